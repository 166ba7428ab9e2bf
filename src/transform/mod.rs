//! Transforms: from a rule in transforms.yaml to bytes in a row. Pure: no IO, no clock, no RNG.
//!
//! [`rule`] is what the file says of a column, [`key`] the keyed functions, [`op`] the catalogue,
//! [`spec`] the file, [`plan`] the file bound to a catalog.

pub mod key;
pub mod op;
pub mod plan;
mod rule;
pub mod spec;
mod value;

pub use rule::{DateUnit, Rule, Transform, UnknownPath};
pub use value::{Fault, Output, Shape, Value};

mod codec;
mod stage;
pub use stage::{ColumnMask, Frames, KeepAll, Stage, StageError, TableMask, Treatment};
