//! A group of whole source transactions: as one, or one by one.

use super::applier::{Applied, Applier};
use super::changes::{byte_count, relation_of};
use super::checkpoint::Progress;
use super::error::{ApplyError, Failure, OnError, Poison, Route, Severity, StepError};
use super::quarantine::Store;
use super::{Change, Group, TransactionMark};
use std::time::Duration;

/// How often a transaction that another session was in the way of is tried again.
const CONTENTION_ATTEMPTS: u32 = 5;
/// Before the n-th new try, n times this.
const CONTENTION_PAUSE: Duration = Duration::from_millis(100);

impl Applier {
    pub(super) fn whole(&mut self, group: &Group, route: &Route) -> Result<Applied, ApplyError> {
        let Some(last) = group.transactions.last() else { return Ok(Applied::default()) };
        let mut applied = Applied { end_lsn: Some(last.commit.end_lsn), ..Applied::default() };
        if *route == Route::Fast {
            match self.together(group, *last) {
                Ok(()) => {
                    applied.net_changes = Some(self.sets.written());
                    return Ok(applied);
                }
                Err(error) if error.severity() == Severity::Connection => {
                    let relation = relation_of(group, &error);
                    return Err(error.into_connection(relation));
                }
                Err(error) => {
                    let failure = error.failure(relation_of(group, &error));
                    tracing::debug!(%failure, "group is replayed row by row");
                    applied.is_replayed = true;
                }
            }
        }
        let mut start = 0;
        for mark in &group.transactions {
            let changes = group.changes.get(start..mark.changes_end).unwrap_or_default();
            start = mark.changes_end;
            if let Route::Quarantine(failure) = route {
                self.quarantine(group, changes, *mark, failure)?;
                applied.quarantined.push(named(failure.clone(), *mark));
                continue;
            }
            let Err(failure) = self.replay(group, changes, *mark)? else { continue };
            match self.on_error {
                OnError::Stop => return Err(poison(failure, Some(*mark))),
                OnError::Quarantine => {
                    self.quarantine(group, changes, *mark, &failure)?;
                    applied.quarantined.push(named(failure, *mark));
                }
            }
        }
        Ok(applied)
    }

    /// The whole group set-wise, in one target transaction.
    fn together(&mut self, group: &Group, last: TransactionMark) -> Result<(), StepError> {
        let progress = Progress {
            transaction_count: group.transactions.len(),
            change_count: last.changes_end,
            byte_count: group.rows.byte_count(),
            ..Progress::to(last.commit)
        };
        let changes = group.changes.get(..last.changes_end).unwrap_or_default();
        self.transaction(progress, |applier| applier.set_wise(group, changes))
    }

    /// One source transaction row by row, in a target transaction of its own. The inner error is
    /// one that would come again.
    fn replay(
        &mut self,
        group: &Group,
        changes: &[Change],
        mark: TransactionMark,
    ) -> Result<Result<(), Failure>, ApplyError> {
        let progress = Progress {
            change_count: changes.len(),
            byte_count: byte_count(&group.rows, changes),
            ..Progress::to(mark.commit)
        };
        for attempt in 1.. {
            let result = self.transaction(progress, |applier| applier.row_by_row(group, changes));
            let Err(error) = result else { return Ok(Ok(())) };
            match error.severity() {
                Severity::Contention if attempt < CONTENTION_ATTEMPTS => {
                    std::thread::sleep(CONTENTION_PAUSE * attempt);
                }
                Severity::Contention | Severity::Connection => {
                    let relation = relation_of(group, &error);
                    return Err(error.into_connection(relation));
                }
                Severity::Final if error.is_checkpoint() => return Err(self.moved()),
                Severity::Final if self.may_get_partition(&error) => {
                    let failure = error.failure(relation_of(group, &error));
                    return Err(ApplyError::NoPartition { failure, checkpoint: self.checkpoint });
                }
                Severity::Final => return Ok(Err(error.failure(relation_of(group, &error)))),
            }
        }
        Ok(Ok(()))
    }

    fn quarantine(
        &mut self,
        group: &Group,
        changes: &[Change],
        mark: TransactionMark,
        failure: &Failure,
    ) -> Result<(), ApplyError> {
        let progress = Progress::to(mark.commit);
        self.transaction(progress, |applier| {
            let (pipeline, parameters) = (&mut applier.pipeline, &mut applier.parameters);
            let mut store = Store::open(pipeline, parameters, failure)?;
            store.add(pipeline, parameters, group, changes)?;
            store.close(pipeline, parameters, mark)
        })
        .map_err(|error| self.unrelated(error))
    }
}

pub(super) fn named(failure: Failure, mark: TransactionMark) -> Poison {
    Poison { failure, commit: Some(mark.commit), xid: Some(mark.xid) }
}

pub(super) fn poison(failure: Failure, mark: Option<TransactionMark>) -> ApplyError {
    let poison =
        Poison { failure, commit: mark.map(|mark| mark.commit), xid: mark.map(|mark| mark.xid) };
    ApplyError::Poison { poison: Box::new(poison) }
}
