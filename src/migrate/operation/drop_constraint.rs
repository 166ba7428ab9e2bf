//! `drop_constraint`: of one column; `drop_multicolumn_constraint` does the same and more.

use crate::migrate::file::record;

record! {
    pub struct DropConstraint {
        required "down" => down: Option<String>,
        required "name" => name: String,
        required "table" => table: String,
        required "up" => up: Option<String>,
    }
}
