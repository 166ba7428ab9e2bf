//! Transforms: from a rule in transforms.yaml to bytes in a row. Pure: no IO, no clock, no RNG.
//!
//! [`rule`] is what the file says of a column, [`key`] the keyed functions, [`op`] the catalogue,
//! [`spec`] the file, [`plan`] the file bound to a catalog.

mod dictionary;
pub mod key;
pub mod op;
mod permute;
mod rule;
mod value;

pub use rule::{DateUnit, Rule, Transform, UnknownPath};
pub use value::{Fault, Output, Shape, Value};
