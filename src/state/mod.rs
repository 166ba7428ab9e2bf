//! What backlot remembers in a target: schema `backlot`.
//!
//! The journal of a clone lives beside the data, so that a range and the note that it is done
//! commit together; the checkpoint of a stream lives there for the same reason. It holds names,
//! counts and hashes; it never holds a raw row value. [`roll`] is another schema, pgroll's.

mod journal;
mod overview;
pub mod roll;
mod stream;
mod stream_columns;
mod stream_sources;

pub(crate) use journal::{ALREADY_DONE, range_done_statement, range_result_query};
pub use journal::{Fingerprint, Journal, Phase, PlannedRange, RangeId, Run, RunSlot};
pub use overview::{
    Checkpoint, CloneProgress, FollowedTable, LockHolder, Overview, Quarantined, StreamProgress,
};
pub use stream::{
    StreamRecord, StreamTable, ask_to_stop, create_stream_state, write_stream_tables,
};
pub use stream_columns::{known_columns, known_statements};
pub use stream_sources::{source_oids, source_statement};
