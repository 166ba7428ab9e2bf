//! One table, or a part of one: copied out, masked, copied in, noted in the journal.
//! Shared by the clone and, for re-syncs, by the stream.

mod pump;

pub use pump::{Abort, Counters, Lane, RangeError, RangeJob, RangeResult};
