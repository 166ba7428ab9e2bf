//! The clone: one consistent, masked snapshot of a database, written to an empty one.
//!
//! [`run`] is the main path, phase by phase: preflight → snapshot → plan → schema → data →
//! post-data → finish → swap. It never writes to a target that holds data, never drops one
//! before its replacement is complete, and commits every range of rows together with the note
//! that it is done, so that a killed clone goes on where it stopped.

mod complaint;
mod copy;
mod error;
mod finish;
mod journal;
mod left_behind;
mod literals;
mod masks;
mod options;
mod preflight;
mod preview;
mod progress;
mod ranges;
mod run;
mod schema;
mod subset;
mod summary;
mod swap;
mod toc;

pub use error::{CloneError, Side};
pub use literals::SchemaLiteral;
pub use masks::{TableJob, bind_masks};
pub use options::{Options, RANGE_BYTES, Tools};
pub use preview::{PreviewColumn, preview};
pub use progress::{Progress, Stage, TableProgress};
pub use run::{Decided, Planner, plan_only, run};
pub use summary::{RuleSummary, Summary, TableSummary};
