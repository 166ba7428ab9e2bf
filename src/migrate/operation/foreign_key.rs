//! Where a foreign key points to: of one column, and of a table's columns.

use crate::migrate::file::{record, words};
use crate::migrate::plan::FindingKind;

record! {
    /// Of one column.
    pub struct ForeignKeyReference {
        required "column" => column: String,
        "deferrable" => is_deferrable: bool,
        "initially_deferred" => is_initially_deferred: bool,
        "match_type" => match_type: Option<ForeignKeyMatch>,
        required "name" => name: String,
        "on_delete" => on_delete: Option<ForeignKeyAction>,
        "on_update" => on_update: Option<ForeignKeyAction>,
        required "table" => table: String,
    }
}

record! {
    /// Of a constraint of the table; its name is the constraint's.
    pub struct TableForeignKeyReference {
        required "columns" => columns: Vec<String>,
        "match_type" => match_type: Option<ForeignKeyMatch>,
        "on_delete" => on_delete: Option<ForeignKeyAction>,
        "on_delete_set_columns" => on_delete_set_columns: Vec<String>,
        "on_update" => on_update: Option<ForeignKeyAction>,
        required "table" => table: String,
    }
}

words! {
    kind FindingKind::InvalidOnDeleteSetting;
    pub enum ForeignKeyAction {
        "NO ACTION" => NoAction,
        "RESTRICT" => Restrict,
        "CASCADE" => Cascade,
        "SET NULL" => SetNull,
        "SET DEFAULT" => SetDefault,
    }
}

words! {
    pub enum ForeignKeyMatch {
        "SIMPLE" => Simple,
        "FULL" => Full,
        /// PostgreSQL knows the word and has not implemented it.
        "PARTIAL" => Partial,
    }
}
