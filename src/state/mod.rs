//! What backlot remembers in a target: schema `backlot`.
//!
//! The journal of a clone lives beside the data, so that a range and the note that it is done
//! commit together. It holds names, counts and hashes; it never holds a row value.

mod journal;

pub(crate) use journal::range_done_statement;
pub use journal::{Fingerprint, Journal, Phase, PlannedRange, RangeId, Run};
