//! `drop_multicolumn_constraint`: gone for the new version at start; `down` makes the new
//! version's values fit for the old one, which keeps it.

use crate::migrate::file::record;
use std::collections::BTreeMap;

record! {
    pub struct DropMultiColumnConstraint {
        /// By column.
        required "down" => down: BTreeMap<String, String>,
        required "name" => name: String,
        required "table" => table: String,
        /// By column.
        "up" => up: BTreeMap<String, String>,
    }
}
