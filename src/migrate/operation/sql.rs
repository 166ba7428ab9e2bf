//! `sql`: statements that are run as they are written.

use crate::migrate::file::record;

record! {
    pub struct RawSql {
        /// Run by a rollback; it must bear that `up` was not run, or not to its end.
        "down" => down: Option<String>,
        /// Run `up` at complete, not at start.
        "onComplete" => is_on_complete: bool,
        required "up" => up: Option<String>,
    }
}
