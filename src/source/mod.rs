//! The source: read, never written, never locked beyond ACCESS SHARE for a statement.
//!
//! Two things a stream leaves on it for as long as it lives: a replication slot and
//! publications.

mod copy_out;
mod footprint;
mod identity;
mod keeper;
pub mod publication;
mod slot;
mod snapshot;
mod wal;

pub use copy_out::{BlockRange, CopyOut};
pub use footprint::{Footprint, end_keepers, lock_alone, unlock};
pub use identity::{ExpectedSlot, SlotMismatch, check_slot, wait_until_free};
pub use keeper::{KeeperRequest, keep};
pub use slot::{
    NewSlot, SlotError, SlotHolder, SlotState, blockers, create_slot, drop_slot, end_creators,
    is_slot_name, position, slot_name_for,
};
pub use snapshot::{Keeper, Snapshot, SnapshotError};
pub use wal::{WalChunk, WalControl, WalReader};
