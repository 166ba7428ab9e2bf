//! A constraint in `create_table`.

use super::TableForeignKeyReference;
use crate::migrate::file::{record, words};

record! {
    pub struct TableConstraint {
        "check" => check: Option<String>,
        "columns" => columns: Vec<String>,
        "deferrable" => is_deferrable: bool,
        "exclude" => exclude: Option<Exclude>,
        "index_parameters" => index_parameters: Option<IndexParameters>,
        "initially_deferred" => is_initially_deferred: bool,
        required "name" => name: String,
        "no_inherit" => is_no_inherit: bool,
        "nulls_not_distinct" => is_nulls_not_distinct: bool,
        "references" => references: Option<TableForeignKeyReference>,
        required "type" => constraint_type: Option<TableConstraintType>,
    }
}

record! {
    pub struct Exclude {
        /// What stands in the parentheses of `EXCLUDE`.
        "elements" => elements: Option<String>,
        "index_method" => index_method: Option<String>,
        "predicate" => predicate: Option<String>,
    }
}

record! {
    pub struct IndexParameters {
        "include_columns" => include_columns: Vec<String>,
        /// What stands in the parentheses of `WITH`.
        "storage_parameters" => storage_parameters: Option<String>,
        "tablespace" => tablespace: Option<String>,
    }
}

words! {
    pub enum TableConstraintType {
        "unique" => Unique,
        "check" => Check,
        "primary_key" => PrimaryKey,
        "foreign_key" => ForeignKey,
        "exclude" => Exclude,
    }
}
