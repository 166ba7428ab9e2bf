//! The target: the only place where rows are written, and only [`Frames`](crate::transform::Frames)
//! and [`MaskedRows`](crate::transform::MaskedRows) can be.

pub mod apply;

mod copy_in;
mod occupancy;
mod sequences;

pub use copy_in::CopyIn;
pub use occupancy::{Occupant, occupants, reset};
pub use sequences::{SequenceCopy, SequenceState, copy_sequences};
