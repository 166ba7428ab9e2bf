//! Runs migrations: expand (`start`), contract (`complete`), or take back (`rollback`).
//!
//! Whoever runs a verb holds an advisory lock of the schema for as long. What a verb does is a plan
//! that `start` made and the journal keeps; each step is noted in its own transaction, so that the
//! same verb goes on where a killed one stopped. Row values stay on the server.

mod backfill;
mod checks;
mod complete;
mod dependents;
mod ended;
mod error;
mod foreign;
mod histories;
mod open;
mod planning;
mod progress;
mod rollback;
mod start;
mod status;
mod steps;

pub use backfill::Backfilling;
pub use complete::{complete, would_complete};
pub use ended::Ended;
pub use error::RollError;
pub use histories::{Pending, pending, since_baseline};
pub use open::{Options, Roll};
pub use planning::{Request, Scrutiny, prepare, start};
pub use progress::{BackfillView, Progress, View};
pub use rollback::{Rollback, rollback};
pub use start::{Begun, Named, Resumed, begin, go_on, is_at_its_end, resume};
pub use status::Status;
