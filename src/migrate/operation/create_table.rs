//! `create_table`: a new table, made under its final name at start.

use super::{Column, TableConstraint};
use crate::migrate::file::record;

record! {
    pub struct CreateTable {
        required "columns" => columns: Vec<Column>,
        "comment" => comment: Option<String>,
        "constraints" => constraints: Vec<TableConstraint>,
        required "name" => name: String,
    }
}
