//! One table, or a part of one: copied out, masked, copied in, noted in the journal.
//! Shared by the clone and, for re-syncs, by the stream.

mod job;
mod pump;
mod ranges;
mod subset;

pub use job::{TableJob, bind_masks, routed_target, table_mask, unkeyed};
pub use pump::{Abort, Counters, Lane, RangeError, RangeJob, RangeResult};
pub use ranges::plan_ranges;
pub use subset::{SubsetError, close_subset};
