//! Source transactions that could not be applied: stored whole in the target, masked as they are,
//! and applied later.

mod codec;
mod retry;
mod store;

pub(super) use store::Store;
