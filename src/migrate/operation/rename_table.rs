//! `rename_table`: the new version's view has the new name, the table gets it at complete.

use crate::migrate::file::record;

record! {
    pub struct RenameTable {
        required "from" => from: String,
        required "to" => to: String,
    }
}
