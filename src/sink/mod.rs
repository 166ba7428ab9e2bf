//! The target: the only place where rows are written, and only [`Frames`](crate::transform::Frames)
//! can be.

mod copy_in;
mod occupancy;
mod sequences;

pub use copy_in::CopyIn;
pub use occupancy::{Occupant, occupants, reset};
pub use sequences::{SequenceState, copy_sequences};
