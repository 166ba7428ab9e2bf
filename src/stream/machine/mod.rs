//! The stream's rules, without IO and without a clock: messages of pgoutput in, [`Action`]s out.
//!
//! Assembles transactions, masks every row at once, and decides what the target commits together.
//! Guarantees: a group ends where a source transaction ends, unless one is too large to be held;
//! nothing of a rolled back subtransaction or of a transaction before the checkpoint is handed
//! over; behind a barrier nothing is handed over that committed before it, before it nothing that
//! committed behind it. Never blocks, never allocates per row, never holds a row unmasked.

mod gather;
mod pace;
mod relation;
mod streamed;
#[cfg(test)]
mod tests;

use crate::catalog::RelationName;
use crate::pg::pgoutput::{Begin, Commit, Message, OldTuple, Truncate, Tuple};
use crate::pg::{Lsn, Oid};
use crate::sink::apply::{CommitPoint, Extent, Group, TransactionMark};
use crate::transform::{Memo, StageError};
use gather::Gathered;
use pace::Pace;
use relation::Relations;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use streamed::{Held, Streamed};

pub(in crate::stream) use relation::{Binding, Followed, Route, Shape};
pub(in crate::stream) use streamed::{BufferId, Release, Segment, StoredId};

/// A group is closed at the latest with this much in it, most often with less (see [`Pace`]); a
/// transaction that is larger goes over in parts of this size.
const GROUP_BYTES: usize = 16 * 1024 * 1024;
const GROUP_CHANGES: usize = 100_000;
/// An idle stream moves its checkpoint after this time or this much WAL, so that the slot of a
/// quiet database in a busy cluster does not hold WAL back.
const ADVANCE_AGE: Duration = Duration::from_secs(10);
const ADVANCE_BYTES: u64 = 8 * 1024 * 1024;

#[derive(Clone, Copy, Debug)]
pub(in crate::stream) struct Settings {
    /// Transactions that committed before it are on the target.
    pub(in crate::stream) checkpoint: Lsn,
    /// Leave out what the source itself received by replication.
    pub(in crate::stream) skip_foreign_origins: bool,
    /// Bytes of streamed transactions and spools held in memory, all together.
    pub(in crate::stream) held_bytes: usize,
}

/// What the machine wants done, in this order.
pub(in crate::stream) enum Action {
    /// To the applier. `commit_lsn`: of the last source transaction in it, also where that one is
    /// not complete.
    Hand {
        group: Group,
        commit_lsn: Lsn,
    },
    /// A segment that was put away: read it, [`Machine::release`] it, hand over the group.
    HandStored(Release),
    /// Put away, until it is asked for or forgotten.
    Store(StoredId, Segment),
    Forget(BufferId),
    /// Everything that committed before the barrier is handed over, and nothing else.
    Barrier,
    /// Nothing is in flight: the checkpoint may move here.
    Advance(Lsn),
    /// The table of the target cannot be followed any more.
    Stale {
        target: RelationName,
        reason: String,
    },
}

/// How busy the applier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stream) enum Applier {
    Idle,
    /// Works on a group; none waits.
    Busy,
    /// A group waits already.
    Full,
}

#[derive(Debug, thiserror::Error)]
pub(in crate::stream) enum MachineError {
    #[error("the walsender sent {0}")]
    Protocol(&'static str),
    #[error("mask a row of {relation}")]
    Mask { relation: RelationName, source: StageError },
}

pub(in crate::stream) struct Machine {
    settings: Settings,
    relations: Relations,
    gathered: Gathered,
    /// The transaction between its Begin and its Commit.
    open: Option<Open>,
    /// Transactions that are sent before they commit, by their id.
    streamed: BTreeMap<u32, Streamed>,
    /// The streamed transaction whose block is being read.
    block: Option<u32>,
    /// Changes of tables that are being copied again.
    spools: BTreeMap<BufferId, Held>,
    next_buffer: u64,
    /// Everything that committed before it was seen.
    passed: Lsn,
    /// Where the checkpoint is or will be, once what was handed over is applied.
    handed: Lsn,
    advanced_at: Duration,
    pace: Pace,
    /// Of all relations.
    memo: Memo,
    /// The source waits for an acknowledgement.
    is_urgent: bool,
    barrier: Option<Lsn>,
    /// Changes masked since somebody asked.
    masked_count: u64,
    actions: VecDeque<Action>,
}

struct Open {
    begin: Begin,
    is_skipped: bool,
    has_parts: bool,
    /// Where its changes begin in the gathered group.
    first_change: usize,
}

/// One row's change, unmasked.
#[derive(Clone, Copy)]
enum RowChange<'a> {
    Insert(Tuple<'a>),
    Update(Option<OldTuple<'a>>, Tuple<'a>),
    Delete(OldTuple<'a>),
}

impl Machine {
    pub(in crate::stream) fn new(settings: Settings) -> Self {
        Self {
            relations: Relations::default(),
            gathered: Gathered::default(),
            open: None,
            streamed: BTreeMap::new(),
            block: None,
            spools: BTreeMap::new(),
            next_buffer: 0,
            passed: settings.checkpoint,
            handed: settings.checkpoint,
            advanced_at: Duration::ZERO,
            pace: Pace::default(),
            memo: Memo::default(),
            is_urgent: false,
            barrier: None,
            masked_count: 0,
            actions: VecDeque::new(),
            settings,
        }
    }

    pub(in crate::stream) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Takes in one message; `now` is any clock that does not go back. Relation messages are for
    /// [`Machine::recognise`] and [`Machine::bind`].
    ///
    /// # Errors
    /// [`MachineError`]: the session cannot go on.
    pub(in crate::stream) fn message(
        &mut self,
        message: Message<'_>,
        now: Duration,
    ) -> Result<(), MachineError> {
        match message {
            Message::Insert { relation, new, xid } => {
                self.change(relation, xid, RowChange::Insert(new))
            }
            Message::Update { relation, old, new, xid } => {
                self.change(relation, xid, RowChange::Update(old, new))
            }
            Message::Delete { relation, old, xid } => {
                self.change(relation, xid, RowChange::Delete(old))
            }
            Message::Truncate { xid, truncate } => self.truncate(xid, truncate),
            Message::Begin(begin) => self.begin(begin),
            Message::Commit(commit) => self.commit(commit, now),
            Message::Origin { .. } => {
                self.origin();
                Ok(())
            }
            Message::StreamStart { xid, .. } => self.stream_start(xid),
            Message::StreamStop => {
                self.block.take().ok_or(MachineError::Protocol("the end of no block"))?;
                self.keep_budget();
                Ok(())
            }
            Message::StreamCommit { xid, commit } => self.stream_commit(xid, commit, now),
            Message::StreamAbort { xid, subxid } => {
                self.stream_abort(xid, subxid);
                Ok(())
            }
            Message::Relation { .. } | Message::Type { .. } | Message::Logical(_) => Ok(()),
        }
    }

    /// A keepalive: everything that committed before `end` was sent. An urgent one asks for a
    /// reply: a source that shuts down waits until everything is acknowledged.
    pub(in crate::stream) fn keepalive(&mut self, end: Lsn, is_urgent: bool) {
        if self.open.is_none() {
            self.pass(end);
            self.is_urgent |= is_urgent;
        }
    }

    /// Closes the group or moves the checkpoint, if it is time.
    pub(in crate::stream) fn close_if_due(&mut self, now: Duration, applier: Applier) {
        if self.open.is_some() {
            return;
        }
        if self.gathered.is_empty() {
            let behind = self.passed.bytes_since(self.handed);
            let is_old = now >= self.advanced_at + ADVANCE_AGE;
            let is_due = self.is_urgent || behind >= ADVANCE_BYTES || is_old;
            if applier == Applier::Idle && behind > 0 && is_due {
                self.advance(now);
            }
            return;
        }
        if self.pace.is_due(&self.gathered, (self.handed, self.passed), now, applier) {
            self.close();
        }
    }

    /// Where the source's WAL ends, as far as is known: how far behind the stream is.
    pub(in crate::stream) fn set_source_end(&mut self, lsn: Lsn) {
        self.pace.set_source_end(lsn);
    }

    /// Hands over what is complete, whatever its size, and moves the checkpoint to the end of
    /// what was seen. What is not complete is dropped: it will be sent again. True if parts of
    /// it are with the applier.
    pub(in crate::stream) fn drain(&mut self, now: Duration) -> bool {
        if let Some(open) = self.open.take() {
            self.gathered.drop_from(open.first_change);
            if open.has_parts {
                return true;
            }
        }
        self.close_and_advance(now);
        false
    }

    /// Hands over what is complete and moves the checkpoint to the end of what was seen, also
    /// where nothing of that was handed over. At a boundary only.
    pub(in crate::stream) fn close_and_advance(&mut self, now: Duration) {
        self.close();
        if self.passed > self.handed {
            self.advance(now);
        }
    }

    /// True if a complete transaction waits to be handed over.
    pub(in crate::stream) fn has_gathered(&self) -> bool {
        self.gathered.has_marks()
    }

    /// True between two transactions: a fence can stand here.
    pub(in crate::stream) fn is_at_boundary(&self) -> bool {
        self.open.is_none()
    }

    /// Hands over what is gathered.
    pub(in crate::stream) fn close(&mut self) {
        self.hand_gathered(Extent::Whole, Lsn::ZERO);
    }

    /// Hands over every transaction before the one that is open. False if that one has changes
    /// already, or is sent before it commits: what comes next must stay with them.
    pub(in crate::stream) fn settle(&mut self) -> bool {
        if self.block.is_some() {
            return false;
        }
        if let Some(open) = &mut self.open {
            if open.has_parts || open.first_change != self.gathered.change_count() {
                return false;
            }
            open.first_change = 0;
        }
        self.close();
        true
    }

    /// Asks for [`Action::Barrier`] once everything that committed before `lsn` is handed over.
    /// At a boundary only.
    pub(in crate::stream) fn set_barrier(&mut self, lsn: Lsn) {
        debug_assert!(self.is_at_boundary() && self.barrier.is_none());
        self.barrier = Some(lsn);
        self.pass(self.passed);
    }

    pub(in crate::stream) fn clear_barrier(&mut self) {
        self.barrier = None;
    }

    /// Where the transaction committed whose messages are being read; None where they are sent
    /// before it commits.
    pub(in crate::stream) fn commit_lsn(&self) -> Option<Lsn> {
        self.open.as_ref().map(|open| open.begin.commit_lsn)
    }

    /// Everything that committed before it was seen.
    pub(in crate::stream) fn passed(&self) -> Lsn {
        self.passed
    }

    /// Takes back a group that was applied, for its buffers. `net_changes`: what its changes came
    /// to, where that is known.
    pub(in crate::stream) fn reuse(&mut self, group: Group, net_changes: Option<usize>) {
        if let Some(net_changes) = net_changes {
            self.pace.learn(&group, net_changes);
        }
        self.gathered.reuse(group);
    }

    /// Changes masked since this was last asked, committed or not.
    pub(in crate::stream) fn take_masked_count(&mut self) -> u64 {
        std::mem::take(&mut self.masked_count)
    }

    /// `commit_lsn`: of a transaction whose mark is not in the group.
    fn hand(&mut self, group: Group, mut commit_lsn: Lsn) {
        if let Some(mark) = group.transactions.last() {
            self.handed = self.handed.max(mark.commit.end_lsn);
            commit_lsn = mark.commit.commit_lsn;
        }
        self.actions.push_back(Action::Hand { group, commit_lsn });
    }

    fn hand_gathered(&mut self, extent: Extent, commit_lsn: Lsn) {
        if let Some(group) = self.gathered.take(extent) {
            self.hand(group, commit_lsn);
        }
    }

    fn advance(&mut self, now: Duration) {
        self.handed = self.passed;
        self.advanced_at = now;
        self.is_urgent = false;
        self.actions.push_back(Action::Advance(self.passed));
    }

    /// Everything that committed before `lsn` was seen. Never called inside a transaction.
    fn pass(&mut self, lsn: Lsn) {
        self.passed = self.passed.max(lsn);
        if let Some(barrier) = self.barrier
            && self.passed >= barrier
        {
            self.barrier = None;
            self.close();
            self.actions.push_back(Action::Barrier);
        }
    }

    fn begin(&mut self, begin: Begin) -> Result<(), MachineError> {
        if self.open.is_some() || self.block.is_some() {
            return Err(MachineError::Protocol("a Begin inside of a transaction"));
        }
        self.pass(begin.commit_lsn);
        self.open = Some(Open {
            begin,
            is_skipped: begin.commit_lsn < self.settings.checkpoint,
            has_parts: false,
            first_change: self.gathered.change_count(),
        });
        Ok(())
    }

    fn commit(&mut self, commit: Commit, now: Duration) -> Result<(), MachineError> {
        let open = self.open.take().ok_or(MachineError::Protocol("a Commit without its Begin"))?;
        if open.begin.commit_lsn != commit.commit_lsn {
            return Err(MachineError::Protocol("the Commit of another transaction"));
        }
        let is_empty = self.gathered.change_count() == open.first_change;
        if !open.is_skipped && (open.has_parts || !is_empty) {
            self.gathered.mark(open.begin.xid, point(commit), now);
            if open.has_parts {
                self.hand_gathered(Extent::LastPart, commit.commit_lsn);
            } else if self.pace.is_full(&self.gathered) {
                self.close();
            }
        }
        self.pass(commit.end_lsn);
        Ok(())
    }

    /// Comes behind Begin, or at the start of a streamed transaction's first block.
    fn origin(&mut self) {
        if !self.settings.skip_foreign_origins {
            return;
        }
        if let Some(streamed) = self.block.and_then(|xid| self.streamed.get_mut(&xid)) {
            streamed.is_skipped = true;
        } else if let Some(open) = &mut self.open {
            open.is_skipped = true;
        }
    }

    fn change(
        &mut self,
        relation: Oid,
        subxid: Option<u32>,
        change: RowChange<'_>,
    ) -> Result<(), MachineError> {
        if let Some(xid) = self.block {
            return self.streamed_change(xid, subxid.unwrap_or(xid), relation, change);
        }
        let Some(open) = &self.open else {
            return Err(MachineError::Protocol("a change outside of a transaction"));
        };
        if open.is_skipped {
            return Ok(());
        }
        let slot = self.relations.get(None, relation)?;
        match slot.route {
            Route::Apply => {
                self.masked_count += u64::from(slot.followed.is_some());
                self.gathered.change(slot, change, &mut self.memo)?;
                if self.is_full() {
                    self.cut();
                }
            }
            Route::Skip => {}
            Route::Spool(id) => {
                self.masked_count += u64::from(slot.followed.is_some());
                if let Some(spool) = self.spools.get_mut(&id)
                    && spool.change(0, slot, change, &mut self.memo)?
                {
                    self.keep_budget();
                }
            }
        }
        Ok(())
    }

    fn truncate(
        &mut self,
        subxid: Option<u32>,
        truncate: Truncate<'_>,
    ) -> Result<(), MachineError> {
        match &self.open {
            Some(open) if open.is_skipped => return Ok(()),
            None if self.block.is_none() => {
                return Err(MachineError::Protocol("a change outside of a transaction"));
            }
            Some(_) | None => {}
        }
        let xid = subxid.or(self.block).unwrap_or(0);
        for (relation, target) in self.half_truncated(truncate)? {
            match self.block.and_then(|block| self.streamed.get_mut(&block)) {
                // Whether it commits is not known yet.
                Some(streamed) => streamed.half_truncated.push((xid, relation, target)),
                None => self.mark_half_truncated(&relation, target),
            }
        }
        let statement = self.gathered.next_statement();
        for relation in truncate.relations() {
            let slot = self.relations.get(self.block, relation)?;
            let restart_identity = truncate.restart_identity;
            if let Some(xid) = self.block {
                if let Some(streamed) = self.streamed.get_mut(&xid) {
                    let subxid = subxid.unwrap_or(xid);
                    streamed.held.truncate(subxid, slot, statement, restart_identity);
                }
                continue;
            }
            match slot.route {
                Route::Apply => self.gathered.truncate(slot, statement, restart_identity),
                Route::Skip => {}
                Route::Spool(id) => {
                    if let Some(spool) = self.spools.get_mut(&id) {
                        spool.truncate(0, slot, statement, restart_identity);
                    }
                }
            }
        }
        Ok(())
    }

    /// Rows of several partitions that are written to one table of the target cannot be told
    /// apart there: if not all of them are truncated, the table cannot be followed.
    fn half_truncated(
        &mut self,
        truncate: Truncate<'_>,
    ) -> Result<Vec<(RelationName, RelationName)>, MachineError> {
        let mut found = Vec::new();
        for relation in truncate.relations() {
            let slot = self.relations.get(self.block, relation)?;
            let Some(followed) = slot.followed.as_ref().filter(|one| one.leaf_count > 1) else {
                continue;
            };
            let relation = slot.shape.name.clone();
            let (target, leaf_count) = (followed.table.target.clone(), followed.leaf_count);
            let mut together = 0;
            for relation in truncate.relations() {
                let other = self.relations.get(self.block, relation)?.followed.as_ref();
                together += usize::from(other.is_some_and(|one| one.table.target == target));
            }
            if together < leaf_count {
                found.push((relation, target));
            }
        }
        Ok(found)
    }

    fn mark_half_truncated(&mut self, relation: &RelationName, target: RelationName) {
        if self.relations.route_of(relation) != Route::Skip {
            self.relations.set_route(&target, Route::Skip);
            let reason =
                "a partition was truncated whose rows the target keeps with others".to_owned();
            self.actions.push_back(Action::Stale { target, reason });
        }
    }

    fn is_full(&self) -> bool {
        self.gathered.bytes() >= GROUP_BYTES || self.gathered.change_count() >= GROUP_CHANGES
    }

    /// The gathered changes are as many as may be held, in the middle of a transaction.
    fn cut(&mut self) {
        let Some(open) = &mut self.open else { return };
        if self.gathered.has_marks() {
            let rest = self.gathered.split_off(open.first_change);
            open.first_change = 0;
            let whole = std::mem::replace(&mut self.gathered, rest).take(Extent::Whole);
            if let Some(group) = whole {
                self.hand(group, Lsn::ZERO);
            }
        } else {
            open.has_parts = true;
            open.first_change = 0;
            let commit_lsn = open.begin.commit_lsn;
            self.hand_gathered(Extent::Part, commit_lsn);
        }
    }
}

fn point(commit: Commit) -> CommitPoint {
    let Commit { commit_lsn, end_lsn, commit_time } = commit;
    CommitPoint { commit_lsn, end_lsn, commit_time }
}

fn mark(xid: u32, changes_end: usize, commit: CommitPoint) -> TransactionMark {
    TransactionMark { xid, changes_end, commit }
}
