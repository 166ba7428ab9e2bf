//! The clone: one consistent, masked snapshot of a database, written to an empty one.
//!
//! [`run`] is the main path, phase by phase: preflight → snapshot → plan → schema → data →
//! post-data → finish → swap. It never writes to a target that holds data, never drops one
//! before its replacement is complete, and commits every range of rows together with the note
//! that it is done, so that a killed clone goes on where it stopped.

mod bring;
mod carry;
mod complaint;
mod copy;
mod doctor;
mod error;
mod finish;
mod journal;
mod left_behind;
mod literals;
mod options;
mod overtaken;
mod preflight;
mod preview;
mod progress;
mod run;
mod schema;
mod stop;
mod summary;
mod swap;
mod toc;
mod upstream;

pub use bring::{Bring, BringError};
pub use doctor::{DoctorOptions, Finding, FindingSeverity, examine};
pub use error::{CloneError, Side};
pub use literals::SchemaLiteral;
pub use options::{Follow, Options, RANGE_BYTES, SLOT_WAIT, Tools};
pub use preview::{PreviewColumn, preview};
pub use progress::{Progress, Stage, TableProgress};
pub use run::{Decided, Planner, plan_only, run};
pub use stop::{StopError, StopOptions, Stopped, stop};
pub use summary::{RuleSummary, StreamSummary, Summary, TableSummary};
pub use upstream::FollowError;
