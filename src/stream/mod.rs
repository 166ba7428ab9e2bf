//! The stream: from the snapshot's position on, the target follows the source.
//!
//! Guarantees: every source transaction is applied exactly once, whole, in commit order, masked;
//! nothing is acknowledged to the source that the target has not flushed. Never writes to the
//! source, except its slot; never holds more than a bounded amount of memory.

mod run;

mod begin;
mod control;
mod slot;

mod pipeline;
mod worker;

mod machine;

mod arrivals;
mod bind;
mod evolve;
mod fit;
mod look;
mod note;
mod rules;
mod spill;

mod mark;
mod order;
mod request;
mod resync;
mod sequences;

mod error;
mod metrics;
mod options;
mod status;

pub use error::{Side, StreamError};
pub use options::{Options, Outcome};
pub use run::run;
pub use status::{Numbers, Phase, SlotHealth, Status, TableCounts, TableState, TableStatus};
