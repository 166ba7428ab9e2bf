//! `create_constraint`: on an existing table, with the columns' values carried over by `up`.

use super::{IndexParameters, TableForeignKeyReference};
use crate::migrate::file::{record, words};
use std::collections::BTreeMap;

record! {
    pub struct CreateConstraint {
        "check" => check: Option<String>,
        "columns" => columns: Vec<String>,
        /// By column.
        required "down" => down: BTreeMap<String, String>,
        "index_parameters" => index_parameters: Option<IndexParameters>,
        required "name" => name: String,
        "no_inherit" => is_no_inherit: bool,
        "references" => references: Option<TableForeignKeyReference>,
        required "table" => table: String,
        required "type" => constraint_type: Option<ConstraintType>,
        /// By column.
        required "up" => up: BTreeMap<String, String>,
    }
}

words! {
    pub enum ConstraintType {
        "unique" => Unique,
        "check" => Check,
        "primary_key" => PrimaryKey,
        "foreign_key" => ForeignKey,
    }
}
