//! Transforms: from a rule in transforms.yaml to bytes in a row. Pure: no IO, no clock, no RNG.
//!
//! [`spec`] is the file, [`plan`] the file bound to a catalog, [`Rule`] what it says of one
//! column, [`op`] the catalogue that carries rules out, [`key`] the keyed functions under it,
//! and [`Stage`] the place where rows go through.

pub mod spec;

pub mod plan;

mod rule;

pub mod op;

pub mod key;

mod codec;
mod dictionary;
mod permute;
mod stage;
mod stored;
mod value;

pub use rule::{DateUnit, Rule, Transform, UnknownPath};
pub use stage::{
    ColumnMask, Frames, KeepAll, MaskedRow, MaskedRows, Memo, Stage, StageError, TableMask,
    Treatment, TupleStage,
};
pub use stored::{Found, Reader};
pub use value::{Fault, Output, Shape, Value};
