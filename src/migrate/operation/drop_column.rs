//! `drop_column`: gone from the new version at start, dropped at complete.

use crate::migrate::file::record;

record! {
    pub struct DropColumn {
        required "column" => column: String,
        /// An SQL expression over the new row: what the old version sees in rows that the new
        /// one writes.
        "down" => down: Option<String>,
        required "table" => table: String,
    }
}
