//! `verify`: proves that a target is what its rules make of the source.
//!
//! Both sides are read once, each in one snapshot: the source goes through the same stage as in
//! a clone, the target as it is; order-independent keyed digests are compared per bucket of
//! keys (`digest`), and where they differ a second reading tells which rows (`narrow`).
//! References are counted (`orphans`), and source values of masked columns are looked for
//! (`leak`).
//!
//! It never writes a row on either side, never shows a value, and holds no more than fixed
//! amounts of memory, whatever the tables.

mod basis;
mod compare;
mod digest;
mod error;
mod image;
mod join;
mod lanes;
mod leak;
mod mark;
mod marks;
mod narrow;
mod orphans;
mod pairing;
mod progress;
mod report;
mod rows;
mod run;
mod sequences;

pub use error::{Side, VerifyError};
pub use join::DifferentRow;
pub use orphans::Orphans;
pub use progress::{Progress, Stage};
pub use report::{Leak, LeakScan, Report, TableDifference, Verdict};
pub use run::{Options, run};
pub use sequences::SequenceBehind;
