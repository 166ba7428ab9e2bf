//! The source: read, never written, never locked beyond ACCESS SHARE for a statement.

mod copy_out;
mod keeper;
mod snapshot;

pub use copy_out::{BlockRange, CopyOut};
pub use keeper::{KeeperRequest, keep};
pub use snapshot::{Keeper, Snapshot, SnapshotError};
