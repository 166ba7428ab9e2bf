//! Transactions that are sent before they commit, and changes of tables that are being copied
//! again: masked at once, held in segments, put away beyond a budget.

use super::gather::Changes;
use super::relation::{Route, Slot};
use super::{Action, GROUP_BYTES, GROUP_CHANGES, Machine, MachineError, RowChange, mark, point};
use crate::catalog::RelationName;
use crate::pg::pgoutput::Commit;
use crate::pg::{Lsn, Oid};
use crate::sink::apply::{BoundTable, Change, Extent, Group, Operation, TransactionMark};
use crate::transform::{MaskedRows, Memo, StageError};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// A segment is closed with this much in it: before its buffers grow beyond 4 MiB.
const SEGMENT_BYTES: usize = 7 * 512 * 1024;
const SEGMENT_CHANGES: usize = 30_000;

/// Segments that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::stream) struct BufferId(pub u64);

/// A segment that was put away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::stream) struct StoredId {
    pub(in crate::stream) buffer: BufferId,
    pub(in crate::stream) index: usize,
}

/// Masked changes with the subtransactions that made them.
#[derive(Default)]
pub(in crate::stream) struct Segment {
    changes: Changes,
    subxids: Vec<u32>,
}

/// How the changes of a segment become a group.
pub(in crate::stream) struct Release {
    pub(in crate::stream) stored: StoredId,
    pub(in crate::stream) extent: Extent,
    /// Of the source transaction.
    pub(in crate::stream) commit_lsn: Lsn,
    mark: Option<TransactionMark>,
    aborted: Arc<HashSet<u32>>,
}

pub(super) struct Streamed {
    pub(super) held: Held,
    /// Subtransactions that were rolled back.
    aborted: HashSet<u32>,
    pub(super) is_skipped: bool,
    /// By a subtransaction, of a relation and its target: the target was truncated in part.
    pub(super) half_truncated: Vec<(u32, RelationName, RelationName)>,
    /// By a subtransaction, of a relation: rows that could not be masked.
    unmasked: Vec<(u32, RelationName, StageError)>,
}

impl Streamed {
    fn new(held: Held) -> Self {
        Self {
            held,
            aborted: HashSet::new(),
            is_skipped: false,
            half_truncated: Vec::new(),
            unmasked: Vec::new(),
        }
    }
}

/// Segments in memory and put away, in order.
pub(super) struct Held {
    id: BufferId,
    closed: Vec<Kept>,
    current: Segment,
    /// In memory.
    bytes: usize,
}

enum Kept {
    Here(Segment),
    Away,
}

impl Segment {
    fn bytes(&self) -> usize {
        self.changes.bytes() + self.subxids.len() * size_of::<u32>()
    }

    /// Changes, to be written down: subtransaction, position of the table, what happened.
    pub(in crate::stream) fn entries(&self) -> impl Iterator<Item = (u32, &Change)> {
        self.subxids.iter().copied().zip(&self.changes.list)
    }

    pub(in crate::stream) fn rows(&self) -> &MaskedRows {
        &self.changes.rows
    }

    pub(in crate::stream) fn tables(&self) -> &[Arc<BoundTable>] {
        &self.changes.tables
    }

    /// The segment that was written down: its rows must be read back in their order.
    pub(in crate::stream) fn read(
        tables: Vec<Arc<BoundTable>>,
        rows: MaskedRows,
        entries: impl Iterator<Item = (u32, Change)>,
    ) -> Self {
        let (subxids, changes) = entries.unzip();
        Self { changes: Changes::of(rows, tables, changes), subxids }
    }
}

impl Held {
    pub(super) fn new(id: BufferId) -> Self {
        Self { id, closed: Vec::new(), current: Segment::default(), bytes: 0 }
    }

    /// True if a segment is full: the time to look at the budget.
    pub(super) fn change(
        &mut self,
        subxid: u32,
        slot: &mut Slot,
        change: RowChange<'_>,
        memo: &mut Memo,
    ) -> Result<bool, MachineError> {
        let before = self.current.changes.list.len();
        self.current.changes.push(slot, change, memo)?;
        Ok(self.current.changes.list.len() > before && self.added(subxid))
    }

    pub(super) fn truncate(
        &mut self,
        subxid: u32,
        slot: &mut Slot,
        statement: u32,
        restart_identity: bool,
    ) {
        if slot.followed.is_some() {
            self.current.changes.truncate(slot, statement, restart_identity);
            self.added(subxid);
        }
    }

    /// True as for [`Self::change`].
    fn copy(&mut self, rows: &MaskedRows, table: &Arc<BoundTable>, change: Operation) -> bool {
        self.current.changes.copy(rows, table, change);
        self.added(0)
    }

    fn added(&mut self, subxid: u32) -> bool {
        self.current.subxids.push(subxid);
        let count = self.current.subxids.len();
        let is_full = self.current.bytes() >= SEGMENT_BYTES || count >= SEGMENT_CHANGES;
        if is_full {
            self.close();
        }
        is_full
    }

    fn close(&mut self) {
        if !self.current.subxids.is_empty() {
            let segment = std::mem::take(&mut self.current);
            self.bytes += segment.bytes();
            self.closed.push(Kept::Here(segment));
        }
    }

    fn bytes(&self) -> usize {
        self.bytes + self.current.bytes()
    }

    /// Everything that is in memory, to be put away.
    fn put_away(&mut self, actions: &mut impl Extend<Action>) {
        self.close();
        for (index, kept) in self.closed.iter_mut().enumerate() {
            if let Kept::Here(segment) = std::mem::replace(kept, Kept::Away) {
                let id = StoredId { buffer: self.id, index };
                actions.extend([Action::Store(id, segment)]);
            }
        }
        self.bytes = 0;
    }
}

impl Machine {
    pub(super) fn stream_start(&mut self, xid: u32) -> Result<(), MachineError> {
        if self.open.is_some() || self.block.is_some() {
            return Err(MachineError::Protocol("a block inside of a transaction"));
        }
        self.block = Some(xid);
        if !self.streamed.contains_key(&xid) {
            let held = Held::new(self.new_buffer());
            self.streamed.insert(xid, Streamed::new(held));
        }
        Ok(())
    }

    pub(super) fn new_buffer(&mut self) -> BufferId {
        self.next_buffer += 1;
        BufferId(self.next_buffer)
    }

    pub(super) fn streamed_change(
        &mut self,
        xid: u32,
        subxid: u32,
        relation: Oid,
        change: RowChange<'_>,
    ) -> Result<(), MachineError> {
        let Some(streamed) = self.streamed.get_mut(&xid) else {
            return Err(MachineError::Protocol("a change of an unknown transaction"));
        };
        if streamed.is_skipped {
            return Ok(());
        }
        let slot = self.relations.get(Some(xid), relation)?;
        self.masked_count += u64::from(slot.followed.is_some());
        // Whether it is applied, spooled or skipped is decided at the commit.
        match streamed.held.change(subxid, slot, change, &mut self.memo) {
            Ok(true) => self.keep_budget(),
            Ok(false) => {}
            Err(MachineError::Mask { relation, source }) => {
                let is_known = |(by, known, _): &(u32, RelationName, StageError)| {
                    *by == subxid && *known == relation
                };
                if !streamed.unmasked.iter().any(is_known) {
                    streamed.unmasked.push((subxid, relation, source));
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub(super) fn stream_abort(&mut self, xid: u32, subxid: u32) {
        if xid != subxid {
            if let Some(streamed) = self.streamed.get_mut(&xid) {
                streamed.aborted.insert(subxid);
            }
            return;
        }
        self.relations.end_of(xid, false);
        if let Some(streamed) = self.streamed.remove(&xid) {
            self.actions.push_back(Action::Forget(streamed.held.id));
        }
    }

    pub(super) fn stream_commit(
        &mut self,
        xid: u32,
        commit: Commit,
        now: Duration,
    ) -> Result<(), MachineError> {
        if self.open.is_some() || self.block.is_some() {
            return Err(MachineError::Protocol("a Stream Commit inside of a transaction"));
        }
        self.pass(commit.commit_lsn);
        self.relations.end_of(xid, true);
        if let Some(streamed) = self.streamed.remove(&xid) {
            let id = streamed.held.id;
            if commit.commit_lsn >= self.settings.checkpoint && !streamed.is_skipped {
                self.commit_streamed(xid, streamed, commit, now)?;
            }
            self.actions.push_back(Action::Forget(id));
        }
        self.pass(commit.end_lsn);
        Ok(())
    }

    fn commit_streamed(
        &mut self,
        xid: u32,
        mut streamed: Streamed,
        commit: Commit,
        now: Duration,
    ) -> Result<(), MachineError> {
        for (subxid, relation, target) in streamed.half_truncated {
            if !streamed.aborted.contains(&subxid) {
                self.mark_half_truncated(&relation, target);
            }
        }
        for (subxid, relation, source) in streamed.unmasked {
            let is_skipped = self.relations.route_of(&relation) == Route::Skip;
            if !is_skipped && !streamed.aborted.contains(&subxid) {
                return Err(MachineError::Mask { relation, source });
            }
        }
        streamed.held.close();
        let Held { id: buffer, mut closed, .. } = streamed.held;
        let aborted = Arc::new(streamed.aborted);
        if let [Kept::Here(segment)] = closed.as_mut_slice()
            && self.gathered.bytes() + segment.bytes() < GROUP_BYTES
            && self.gathered.change_count() + segment.subxids.len() < GROUP_CHANGES
        {
            let segment = std::mem::take(segment);
            let before = self.gathered.change_count();
            self.append(&segment, &aborted);
            if self.gathered.change_count() > before {
                self.gathered.mark(xid, point(commit), now);
            }
            return Ok(());
        }
        self.close();
        let count = closed.len();
        for (index, kept) in closed.into_iter().enumerate() {
            let is_last = index + 1 == count;
            let stored = StoredId { buffer, index };
            let extent = if is_last { Extent::LastPart } else { Extent::Part };
            let mark = is_last.then(|| mark(xid, 0, point(commit)));
            let (commit_lsn, aborted) = (commit.commit_lsn, Arc::clone(&aborted));
            self.hand_kept(kept, Release { stored, extent, commit_lsn, mark, aborted });
        }
        if count > 0 {
            self.handed = self.handed.max(commit.end_lsn);
        }
        Ok(())
    }

    fn hand_kept(&mut self, kept: Kept, release: Release) {
        match kept {
            Kept::Here(segment) => {
                let group = self.release(segment, &release);
                let commit_lsn = release.commit_lsn;
                self.actions.push_back(Action::Hand { group, commit_lsn });
            }
            Kept::Away => self.actions.push_back(Action::HandStored(release)),
        }
    }

    /// Adds a small streamed transaction to what is gathered.
    fn append(&mut self, segment: &Segment, aborted: &HashSet<u32>) {
        let routes = segment.tables().iter().map(|table| (table, self.relations.route(table)));
        let routes = routes.collect::<Vec<_>>();
        for (subxid, change) in segment.entries() {
            let Some((table, route)) = routes.get(change.table as usize) else { continue };
            match route {
                _ if aborted.contains(&subxid) => {}
                Route::Apply => self.gathered.copy(segment.rows(), table, change.operation),
                Route::Skip => {}
                Route::Spool(id) => self.spool(*id, segment.rows(), table, change.operation),
            }
        }
    }

    /// What of a segment is applied, as a group.
    pub(in crate::stream) fn release(&mut self, segment: Segment, release: &Release) -> Group {
        let routes = segment.tables().iter().map(|table| self.relations.route(table));
        let routes = routes.collect::<Vec<_>>();
        let Segment { changes: Changes { rows, tables, list: mut changes, .. }, subxids } = segment;
        let mut subxids = subxids.into_iter();
        changes.retain(|change| {
            let at = change.table as usize;
            let is_aborted = subxids.next().is_some_and(|id| release.aborted.contains(&id));
            match (is_aborted, routes.get(at), tables.get(at)) {
                (false, Some(Route::Apply), _) => true,
                (false, Some(Route::Spool(id)), Some(table)) => {
                    self.spool(*id, &rows, table, change.operation);
                    false
                }
                (_, _, _) => false,
            }
        });
        let changes_end = changes.len();
        let mark = release.mark.map(|mark| TransactionMark { changes_end, ..mark });
        let transactions = mark.into_iter().collect();
        Group { rows, tables, changes, transactions, extent: release.extent }
    }

    fn spool(
        &mut self,
        id: BufferId,
        rows: &MaskedRows,
        table: &Arc<BoundTable>,
        change: Operation,
    ) {
        if let Some(spool) = self.spools.get_mut(&id)
            && spool.copy(rows, table, change)
        {
            self.keep_budget();
        }
    }

    /// From here on the changes of `target` are kept for [`Machine::take_spool`].
    pub(in crate::stream) fn start_spool(&mut self, target: &RelationName) -> BufferId {
        let id = self.new_buffer();
        self.spools.insert(id, Held::new(id));
        self.set_route(target, Route::Spool(id));
        id
    }

    /// Asks for everything that was spooled to be handed over, as parts of one transaction that
    /// ends with an empty last part, which the caller makes.
    pub(in crate::stream) fn take_spool(&mut self, id: BufferId) {
        let Some(mut held) = self.spools.remove(&id) else { return };
        held.close();
        let aborted = Arc::new(HashSet::new());
        for (index, kept) in held.closed.into_iter().enumerate() {
            let release = Release {
                stored: StoredId { buffer: id, index },
                extent: Extent::Part,
                commit_lsn: Lsn::ZERO,
                mark: None,
                aborted: Arc::clone(&aborted),
            };
            self.hand_kept(kept, release);
        }
        self.actions.push_back(Action::Forget(id));
    }

    pub(in crate::stream) fn drop_spool(&mut self, id: BufferId) {
        if self.spools.remove(&id).is_some() {
            self.actions.push_back(Action::Forget(id));
        }
    }

    /// Puts the largest buffer away if too much is held in memory.
    pub(super) fn keep_budget(&mut self) {
        let streamed = self.streamed.values_mut().map(|streamed| &mut streamed.held);
        let mut held = streamed.chain(self.spools.values_mut()).collect::<Vec<_>>();
        let total = held.iter().map(|held| held.bytes()).sum::<usize>();
        if total <= self.settings.held_bytes {
            return;
        }
        if let Some(largest) = held.iter_mut().max_by_key(|held| held.bytes()) {
            largest.put_away(&mut self.actions);
        }
    }
}
