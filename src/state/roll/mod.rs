//! What migrations leave behind: pgroll's state schema, and backlot's journal in it.
//!
//! The tables `migrations` and `pgroll_version`, the functions and the event triggers are pgroll's by
//! name, column and meaning, so that a database that pgroll 0.16 initialised goes on here, and the
//! other way round. The tables `backlot_*` are ours alone; their rows go with the migration's.
//! Nothing here sends DDL to a user's table, and no row value is kept but the key at which a
//! backfill stands.

mod history;
mod journal;
mod schema;

pub use history::{Kind, Record};
pub use journal::{BackfillProgress, Outcome, Phase, StepRecord};
pub use schema::{Capture, RollState};
