//! The group that is being gathered.

use super::relation::Slot;
use super::{GROUP_BYTES, MachineError, RowChange, mark};
use crate::pg::pgoutput::OldTuple;
use crate::sink::apply::{
    BoundTable, Change, CommitPoint, Extent, Group, Operation, TransactionMark,
};
use crate::transform::{MaskedRow, MaskedRows, Memo, StageError, TupleStage};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Masked changes and the tables that they speak of.
pub(super) struct Changes {
    pub(super) rows: MaskedRows,
    pub(super) tables: Vec<Arc<BoundTable>>,
    pub(super) list: Vec<Change>,
    /// Tells the positions that slots remember from those of other changes.
    serial: u64,
}

impl Default for Changes {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { rows: MaskedRows::default(), tables: Vec::new(), list: Vec::new(), serial }
    }
}

impl Changes {
    pub(super) fn of(rows: MaskedRows, tables: Vec<Arc<BoundTable>>, list: Vec<Change>) -> Self {
        Self { rows, tables, list, ..Self::default() }
    }

    pub(super) fn bytes(&self) -> usize {
        self.rows.byte_count() + self.list.len() * size_of::<Change>()
    }

    /// Masks the change and adds it, unless the relation is not followed.
    pub(super) fn push(
        &mut self,
        slot: &mut Slot,
        change: RowChange<'_>,
        memo: &mut Memo,
    ) -> Result<(), MachineError> {
        let table = self.table(slot);
        let Some(followed) = &mut slot.followed else { return Ok(()) };
        let operation =
            operation(&mut followed.stage, change, memo, &mut self.rows).map_err(|source| {
                MachineError::Mask { relation: followed.table.source.clone(), source }
            })?;
        self.list.push(Change { table, operation });
        Ok(())
    }

    pub(super) fn truncate(&mut self, slot: &mut Slot, statement: u32, restart_identity: bool) {
        if slot.followed.is_some() {
            let table = self.table(slot);
            let operation = Operation::Truncate { statement, restart_identity };
            self.list.push(Change { table, operation });
        }
    }

    /// Adds a change of others, whose rows it copies.
    pub(super) fn copy(&mut self, rows: &MaskedRows, table: &Arc<BoundTable>, change: Operation) {
        let mut copied = |row: MaskedRow| self.rows.copy(rows, row);
        let operation = match change {
            Operation::Insert { new } => Operation::Insert { new: copied(new) },
            Operation::Update { old, new } => {
                Operation::Update { old: old.map(&mut copied), new: copied(new) }
            }
            Operation::Delete { old } => Operation::Delete { old: copied(old) },
            Operation::Truncate { .. } => change,
        };
        let table = self.position(table);
        self.list.push(Change { table, operation });
    }

    fn table(&mut self, slot: &mut Slot) -> u32 {
        if slot.position.0 != self.serial
            && let Some(followed) = &slot.followed
        {
            slot.position = (self.serial, self.position(&followed.table));
        }
        slot.position.1
    }

    fn position(&mut self, table: &Arc<BoundTable>) -> u32 {
        let known = self.tables.iter().rposition(|known| known.id == table.id);
        let at = known.unwrap_or_else(|| {
            self.tables.push(Arc::clone(table));
            self.tables.len() - 1
        });
        u32::try_from(at).expect("a database has fewer than 2^32 tables")
    }
}

/// Old rows are masked as new ones are, so that a masked key finds its row.
fn operation(
    stage: &mut TupleStage,
    change: RowChange<'_>,
    memo: &mut Memo,
    rows: &mut MaskedRows,
) -> Result<Operation, StageError> {
    let mut old_row = |stage: &mut TupleStage, memo: &mut Memo, old: OldTuple<'_>| match old {
        OldTuple::Key(tuple) => stage.mask_key(tuple, memo, rows),
        OldTuple::Full(tuple) => stage.mask(tuple, memo, rows),
    };
    Ok(match change {
        RowChange::Insert(new) => Operation::Insert { new: stage.mask(new, memo, rows)? },
        RowChange::Update(old, new) => {
            let old = old.map(|old| old_row(stage, memo, old)).transpose()?;
            Operation::Update { old, new: stage.mask(new, memo, rows)? }
        }
        RowChange::Delete(old) => Operation::Delete { old: old_row(stage, memo, old)? },
    })
}

#[derive(Default)]
pub(super) struct Gathered {
    changes: Changes,
    marks: Vec<TransactionMark>,
    /// When the first of its transactions was complete.
    pub(super) since: Duration,
    statement: u32,
    /// Groups that were applied: fresh memory costs a page fault every 4 KiB, row or no row.
    spent: Vec<Group>,
}

/// As many as can be under way: one is written, one waits.
const SPENT_GROUPS: usize = 2;
/// A buffer that one large row made larger than this is let go.
const SPENT_BYTES: usize = 2 * GROUP_BYTES;

impl Gathered {
    /// Takes back a group that was applied.
    pub(super) fn reuse(&mut self, mut group: Group) {
        if self.spent.len() < SPENT_GROUPS && group.rows.capacity() <= SPENT_BYTES {
            group.clear();
            self.spent.push(group);
        }
    }

    /// True if no transaction is complete in it.
    pub(super) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    pub(super) fn has_marks(&self) -> bool {
        !self.marks.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.changes.bytes()
    }

    pub(super) fn change_count(&self) -> usize {
        self.changes.list.len()
    }

    pub(super) fn change(
        &mut self,
        slot: &mut Slot,
        change: RowChange<'_>,
        memo: &mut Memo,
    ) -> Result<(), MachineError> {
        self.changes.push(slot, change, memo)
    }

    pub(super) fn truncate(&mut self, slot: &mut Slot, statement: u32, restart_identity: bool) {
        self.changes.truncate(slot, statement, restart_identity);
    }

    pub(super) fn copy(&mut self, rows: &MaskedRows, table: &Arc<BoundTable>, change: Operation) {
        self.changes.copy(rows, table, change);
    }

    pub(super) fn next_statement(&mut self) -> u32 {
        self.statement = self.statement.wrapping_add(1);
        self.statement
    }

    /// The changes since the last mark are a whole transaction.
    pub(super) fn mark(&mut self, xid: u32, commit: CommitPoint, now: Duration) {
        if self.marks.is_empty() {
            self.since = now;
        }
        self.marks.push(mark(xid, self.change_count(), commit));
    }

    pub(super) fn drop_from(&mut self, first_change: usize) {
        self.changes.list.truncate(first_change);
    }

    /// Moves the changes from `first_change` on into others.
    pub(super) fn split_off(&mut self, first_change: usize) -> Self {
        let spent = std::mem::take(&mut self.spent);
        let mut rest = Self { statement: self.statement, spent, ..Self::default() };
        for change in self.changes.list.drain(first_change..) {
            if let Some(table) = self.changes.tables.get(change.table as usize) {
                rest.changes.copy(&self.changes.rows, table, change.operation);
            }
        }
        rest
    }

    /// The group; None if there is nothing in it.
    pub(super) fn take(&mut self, extent: Extent) -> Option<Group> {
        if self.marks.is_empty() && self.changes.list.is_empty() {
            return None;
        }
        let spent = self.spent.pop().unwrap_or_default();
        let empty = Changes::of(spent.rows, spent.tables, spent.changes);
        let Changes { rows, tables, list: changes, .. } =
            std::mem::replace(&mut self.changes, empty);
        let transactions = std::mem::replace(&mut self.marks, spent.transactions);
        Some(Group { rows, tables, changes, transactions, extent })
    }
}
