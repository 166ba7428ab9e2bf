//! `rename_column`: the new version's view has the new name, the column gets it at complete.

use crate::migrate::file::record;

record! {
    pub struct RenameColumn {
        required "from" => from: String,
        required "table" => table: String,
        required "to" => to: String,
    }
}
