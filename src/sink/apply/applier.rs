//! The applier: groups in, commits with their checkpoint out, and what of them is durable.

use super::checkpoint::{self, Progress, two_lsns};
use super::error::{ApplyError, OnError, Poison, Route, Severity, StepError};
use super::flush::FlushMap;
use super::large::Open;
use super::pipeline::Pipeline;
use super::session::{self, Enforcement};
use super::set::Sets;
use super::{Extent, Group};
use crate::pg::{ConnInfo, Lsn, Parameters};

/// Asked this often in vain, the target is made to flush: its insert position may stand behind
/// what anything would flush by itself (the header of a WAL page, another session's records).
const PATIENCE: u32 = 3;

const COMMIT: &str = "commit; select pg_catalog.pg_current_wal_insert_lsn()::text, \
     pg_catalog.pg_current_wal_flush_lsn()::text";

/// Applies the changes of one stream on one connection, in order.
pub struct Applier {
    pub(super) pipeline: Pipeline,
    pub(super) parameters: Parameters,
    pub(super) sets: Sets,
    slot_name: String,
    pub(super) on_error: OnError,
    enforcement: Enforcement,
    pub(super) checkpoint: Lsn,
    flush: FlushMap,
    asked_in_vain: u32,
    /// A large transaction whose end has not come.
    pub(super) open: Option<Open>,
    /// The checkpoint at which the source's partitions were made once already.
    partitions_made_at: Option<Lsn>,
}

/// What became of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Where the checkpoint stands now; None if the group was a part and nothing is committed.
    pub end_lsn: Option<Lsn>,
    /// What its changes came to where they were written set-wise, those of one row as one.
    pub net_changes: Option<usize>,
    /// True if the set-wise path failed and every transaction was replayed row by row.
    pub is_replayed: bool,
    /// Source transactions that are in the quarantine now.
    pub quarantined: Vec<Poison>,
}

impl Applier {
    /// Connects as the one applier of this slot. Sessions that an earlier one left behind in this
    /// database are ended before the checkpoint is read.
    pub fn connect(
        info: &ConnInfo,
        slot_name: &str,
        on_error: OnError,
    ) -> Result<Self, ApplyError> {
        let (wire, enforcement) = session::connect(info)?;
        let mut pipeline = Pipeline::new(wire);
        let (checkpoint, target) = checkpoint::read(&mut pipeline, slot_name)
            .map_err(|error| error.into_connection(None))?
            .ok_or_else(|| ApplyError::Checkpoint { slot_name: slot_name.to_owned() })?;
        let mut flush = FlushMap::default();
        // What we read may have been committed by a killed predecessor and not be flushed.
        flush.committed(checkpoint, target);
        Ok(Self {
            pipeline,
            parameters: Parameters::default(),
            sets: Sets::default(),
            slot_name: slot_name.to_owned(),
            on_error,
            enforcement,
            checkpoint,
            flush,
            asked_in_vain: 0,
            open: None,
            partitions_made_at: None,
        })
    }

    /// Everything that committed on the source before this is on the target.
    pub fn checkpoint(&self) -> Lsn {
        self.checkpoint
    }

    pub fn enforcement(&self) -> Enforcement {
        self.enforcement
    }

    /// The partitions were made that were missing at this checkpoint: if one is missing there
    /// again, the source has none, and the row fails as any other does.
    pub fn partitions_made(&mut self, at: Lsn) {
        self.partitions_made_at = Some(at);
    }

    /// True if the row may find its partition once those of the source are made again.
    pub(super) fn may_get_partition(&self, error: &StepError) -> bool {
        error.lacks_partition() && self.partitions_made_at != Some(self.checkpoint)
    }

    /// Applies a group: one target transaction for it, or one for each of its source transactions
    /// where the group as a whole fails. A part is applied and stays uncommitted.
    ///
    /// # Errors
    /// After [`ApplyError::Poison`] and [`ApplyError::NoPartition`] everything before that
    /// transaction is committed, and after [`ApplyError::Restart`] nothing of the large
    /// transaction is.
    ///
    /// # Panics
    /// If something else comes between the parts of a transaction; so do `advance` and `retry`.
    pub fn apply(&mut self, group: &Group, route: &Route) -> Result<Applied, ApplyError> {
        self.pipeline.tidy().map_err(|error| error.into_connection(None))?;
        match group.extent {
            Extent::Whole => {
                self.assert_nothing_open();
                self.whole(group, route)
            }
            Extent::Part | Extent::LastPart => self.part(group, route),
        }
    }

    /// Begins a transaction with these statements; parts may follow, and `close_opened` ends it.
    /// The checkpoint does not move.
    ///
    /// # Errors
    /// [`ApplyError::Locked`]: nothing is open.
    pub fn open_with(&mut self, statements: &[String]) -> Result<(), ApplyError> {
        self.assert_nothing_open();
        let run = |applier: &mut Self| {
            applier.begin()?;
            for statement in statements {
                applier.pipeline.query(statement, 1)?;
            }
            applier.pipeline.settle().map(drop)
        };
        match run(self) {
            Ok(()) => {
                self.open = Some(Open::default());
                Ok(())
            }
            Err(error) if error.severity() == Severity::Contention => {
                self.pipeline.rollback().map_err(|error| error.into_connection(None))?;
                Err(ApplyError::Locked { failure: error.failure(None) })
            }
            Err(error) => Err(self.part_failed(error, None, &Route::Fast, None)),
        }
    }

    /// Commits what `open_with` began.
    pub fn close_opened(&mut self) -> Result<(), ApplyError> {
        self.open = None;
        let progress = Progress { end_lsn: self.checkpoint, ..Progress::default() };
        let closed = self.finish(progress);
        closed.map_err(|error| self.part_failed(error, None, &Route::Fast, None))
    }

    /// Moves the checkpoint over changes that are none of ours, durably.
    pub fn advance(&mut self, lsn: Lsn) -> Result<(), ApplyError> {
        self.assert_nothing_open();
        if lsn <= self.checkpoint {
            return Ok(());
        }
        let progress = Progress { end_lsn: lsn, ..Progress::default() };
        self.transaction(progress, |applier| {
            applier.pipeline.query("set local synchronous_commit = on", 1)
        })
        .map_err(|error| self.unrelated(error))
    }

    /// Everything that committed on the source before this survives a crash of the target: what
    /// may be acknowledged. Asks the target while something is not flushed.
    pub fn flushed(&mut self) -> Result<Option<Lsn>, ApplyError> {
        if !self.flush.is_settled() {
            self.ask_flushed().map_err(|error| error.into_connection(None))?;
        }
        Ok(self.flush.flushed())
    }

    fn ask_flushed(&mut self) -> Result<(), StepError> {
        let nudge = if self.asked_in_vain >= PATIENCE && self.open.is_none() {
            "begin; set local synchronous_commit = on; \
             select pg_catalog.pg_logical_emit_message(true, 'backlot', 'flush'); commit; "
        } else {
            ""
        };
        let sql = format!("{nudge}select pg_catalog.pg_current_wal_flush_lsn()::text, '0/0'");
        self.pipeline.query(&sql, if nudge.is_empty() { 1 } else { 5 })?;
        let rows = self.pipeline.settle()?;
        let (target, _) = two_lsns(rows.last().map_or(&[], Vec::as_slice))?;
        self.flush.target_flushed(target);
        self.asked_in_vain = if self.flush.is_settled() { 0 } else { self.asked_in_vain + 1 };
        Ok(())
    }

    /// The caller's order of calls: what commits here would commit half a transaction.
    pub(super) fn assert_nothing_open(&self) {
        assert!(self.open.is_none(), "the parts of a large transaction follow each other");
    }

    pub(super) fn may_move(&self) -> bool {
        self.enforcement == Enforcement::Off
    }

    /// Runs `work` and moves the checkpoint in one target transaction. Rolled back after an error
    /// that is not the connection's.
    pub(super) fn transaction(
        &mut self,
        progress: Progress,
        work: impl FnOnce(&mut Self) -> Result<(), StepError>,
    ) -> Result<(), StepError> {
        let result = self.begin().and_then(|()| work(self)).and_then(|()| self.finish(progress));
        if let Err(error) = &result
            && error.severity() != Severity::Connection
        {
            self.pipeline.rollback()?;
        }
        result
    }

    pub(super) fn begin(&mut self) -> Result<(), StepError> {
        match self.enforcement {
            Enforcement::Off => self.pipeline.query("begin", 1),
            Enforcement::On => self.pipeline.query("begin; set constraints all deferred", 2),
        }
    }

    /// Moves the checkpoint and commits, once everything before is known to have worked.
    pub(super) fn finish(&mut self, progress: Progress) -> Result<(), StepError> {
        checkpoint::queue(
            &mut self.pipeline,
            &mut self.parameters,
            &self.slot_name,
            self.checkpoint,
            progress,
        )?;
        self.pipeline.settle()?;
        let (target_insert, target_flush) = self.commit()?;
        self.checkpoint = progress.end_lsn;
        self.committed(target_insert, target_flush);
        Ok(())
    }

    /// Returns the target's insert and flush positions after the commit.
    pub(super) fn commit(&mut self) -> Result<(Lsn, Lsn), StepError> {
        self.pipeline.query(COMMIT, 2)?;
        let rows = self.pipeline.settle()?;
        two_lsns(rows.last().map_or(&[], Vec::as_slice))
    }

    pub(super) fn committed(&mut self, target_insert: Lsn, target_flush: Lsn) {
        self.flush.committed(self.checkpoint, target_insert);
        self.flush.target_flushed(target_flush);
        self.asked_in_vain = 0;
    }

    /// An error of our own bookkeeping, not of a change.
    pub(super) fn unrelated(&self, error: StepError) -> ApplyError {
        if error.is_checkpoint() { self.moved() } else { error.into_connection(None) }
    }

    pub(super) fn moved(&self) -> ApplyError {
        ApplyError::Checkpoint { slot_name: self.slot_name.clone() }
    }
}
