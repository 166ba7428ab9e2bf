//! `drop_table`: hidden from the new version at start, dropped at complete.

use crate::migrate::file::record;

record! {
    pub struct DropTable {
        required "name" => name: String,
    }
}
