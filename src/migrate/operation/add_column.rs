//! `add_column`: a column of the new version, filled by `up` where it is given.

use super::Column;
use crate::migrate::file::record;

record! {
    pub struct AddColumn {
        required "column" => column: Column,
        required "table" => table: String,
        /// An SQL expression over the old row.
        "up" => up: Option<String>,
    }
}
