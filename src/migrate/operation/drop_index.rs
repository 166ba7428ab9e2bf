//! `drop_index`: at complete.

use crate::migrate::file::record;

record! {
    pub struct DropIndex {
        required "name" => name: String,
    }
}
