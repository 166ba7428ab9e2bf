//! A transaction that is too large to be held in memory: its parts are applied as they come, and
//! committed with the last.

use super::applier::{Applied, Applier};
use super::changes::relation_of;
use super::checkpoint::Progress;
use super::error::{ApplyError, NextRoute, OnError, Route, Severity, StepError};
use super::quarantine::Store;
use super::whole::{named, poison};
use super::{Extent, Group, TransactionMark};
use crate::catalog::RelationName;

/// A large transaction whose end has not come.
#[derive(Default)]
pub(super) struct Open {
    change_count: usize,
    byte_count: usize,
    /// Where it goes instead, if it is to be quarantined.
    store: Option<Store>,
}

impl Applier {
    /// A part of a large transaction.
    pub(super) fn part(&mut self, group: &Group, route: &Route) -> Result<Applied, ApplyError> {
        let result = self.part_step(group, route);
        let Err(error) = result else {
            let is_last = group.extent == Extent::LastPart;
            let end_lsn = is_last.then_some(self.checkpoint);
            let net_changes = (*route == Route::Fast).then(|| self.sets.written());
            let mut applied = Applied { end_lsn, net_changes, ..Applied::default() };
            if let (Route::Quarantine(failure), true, Some(mark)) =
                (route, is_last, group.transactions.last())
            {
                applied.quarantined.push(named(failure.clone(), *mark));
            }
            return Ok(applied);
        };
        let relation = relation_of(group, &error);
        Err(self.part_failed(error, relation, route, group.transactions.last()))
    }

    /// Rolls the large transaction back and says how to go on.
    pub(super) fn part_failed(
        &mut self,
        error: StepError,
        relation: Option<RelationName>,
        route: &Route,
        mark: Option<&TransactionMark>,
    ) -> ApplyError {
        self.open = None;
        if error.severity() != Severity::Final {
            return error.into_connection(relation);
        }
        if let Err(error) = self.pipeline.rollback() {
            return error.into_connection(None);
        }
        if error.is_checkpoint() {
            return self.moved();
        }
        let is_new_partition = self.may_get_partition(&error);
        let failure = error.failure(relation);
        if is_new_partition {
            return ApplyError::NoPartition { failure, checkpoint: self.checkpoint };
        }
        match (route, self.on_error) {
            (Route::Fast, _) => ApplyError::Restart { failure, next: NextRoute::Careful },
            (Route::Careful, OnError::Quarantine) => {
                ApplyError::Restart { failure, next: NextRoute::Quarantine }
            }
            (Route::Careful | Route::Quarantine(_), _) => poison(failure, mark.copied()),
        }
    }

    fn part_step(&mut self, group: &Group, route: &Route) -> Result<(), StepError> {
        if self.open.is_none() {
            self.begin()?;
        }
        let mut open = self.open.take().unwrap_or_default();
        if let Route::Quarantine(failure) = route {
            let (pipeline, parameters) = (&mut self.pipeline, &mut self.parameters);
            let mut store = match open.store.take() {
                Some(store) => store,
                None => Store::open(pipeline, parameters, failure)?,
            };
            store.add(pipeline, parameters, group, &group.changes)?;
            open.store = Some(store);
        } else {
            if *route == Route::Fast {
                self.set_wise(group, &group.changes)?;
            } else {
                self.row_by_row(group, &group.changes)?;
            }
            open.change_count += group.changes.len();
            open.byte_count += group.rows.byte_count();
        }
        self.pipeline.settle()?;
        let mark = group.transactions.last().filter(|_| group.extent == Extent::LastPart);
        let Some(mark) = mark else {
            self.open = Some(open);
            return Ok(());
        };
        if let Some(store) = open.store {
            store.close(&mut self.pipeline, &mut self.parameters, *mark)?;
        }
        let progress = Progress {
            change_count: open.change_count,
            byte_count: open.byte_count,
            ..Progress::to(mark.commit)
        };
        self.finish(progress)
    }
}
