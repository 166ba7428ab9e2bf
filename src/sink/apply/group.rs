//! What the stream hands to the target: masked changes in source order.

use super::BoundTable;
use crate::pg::Lsn;
use crate::transform::{MaskedRow, MaskedRows};
use std::sync::Arc;

/// Changes that the target commits together: whole source transactions, or a part of one that is
/// too large to be held in memory.
#[derive(Default)]
pub struct Group {
    pub rows: MaskedRows,
    /// The tables that `changes` speak of, by position.
    pub tables: Vec<Arc<BoundTable>>,
    /// In source order.
    pub changes: Vec<Change>,
    /// The transactions that end in this group, in source order; their changes follow each other
    /// in `changes`. What stands behind the last of them belongs to one that is not yet complete.
    pub transactions: Vec<TransactionMark>,
    pub extent: Extent,
}

impl Group {
    /// Empties it and keeps its buffers.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.tables.clear();
        self.changes.clear();
        self.transactions.clear();
    }
}

/// Whether the group stands for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// Whole transactions.
    #[default]
    Whole,
    /// A part of one transaction; the next group goes on with it. Applied, not committed.
    Part,
    /// The last part of the transaction that the groups before began.
    LastPart,
}

#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// Position in [`Group::tables`].
    pub table: u32,
    pub operation: Operation,
}

#[derive(Clone, Copy, Debug)]
pub enum Operation {
    Insert {
        new: MaskedRow,
    },
    /// `old`: the replica identity's columns before the change, where it was sent (the key has
    /// changed), or the whole old row (REPLICA IDENTITY FULL). Without it the key is in `new`.
    Update {
        old: Option<MaskedRow>,
        new: MaskedRow,
    },
    Delete {
        old: MaskedRow,
    },
    /// One TRUNCATE may name several tables: they follow each other with the same `statement`.
    Truncate {
        statement: u32,
        restart_identity: bool,
    },
}

/// A source transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionMark {
    pub xid: u32,
    /// Where its changes end in [`Group::changes`] (exclusive).
    pub changes_end: usize,
    pub commit: CommitPoint,
}

/// Where a source transaction was committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitPoint {
    pub commit_lsn: Lsn,
    /// What the checkpoint says once it is applied.
    pub end_lsn: Lsn,
    /// Microseconds since 2000-01-01 UTC.
    pub commit_time: i64,
}
