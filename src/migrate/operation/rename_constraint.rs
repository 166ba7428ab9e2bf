//! `rename_constraint`: at complete.

use crate::migrate::file::record;

record! {
    pub struct RenameConstraint {
        required "from" => from: String,
        required "table" => table: String,
        required "to" => to: String,
    }
}
