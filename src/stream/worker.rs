//! The applier's thread: takes work in order, tells when it is done, and says what is durable.

use super::status::Status;
use crate::pg::Lsn;
use crate::sink::apply::{Applied, Applier, ApplyError, Group, Operation, Route};
use crate::source::WalControl;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// While something is not flushed on the target, it is asked this often.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// For everything to be flushed before the stream ends.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

pub(super) enum Work {
    Group {
        group: Box<Group>,
        route: Route,
        commit_lsn: Lsn,
    },
    Advance(Lsn),
    /// A transaction out of the quarantine.
    Retry(i64),
    /// Statements that begin the transaction whose parts follow.
    Open(Vec<String>),
    /// The end of that transaction.
    Close,
    /// Done once everything is flushed.
    Settle,
}

/// The answer to one [`Work`].
pub(super) enum Done {
    /// A group that was applied comes back, for its buffers, with what its changes came to.
    Group {
        group: Box<Group>,
        net_changes: Option<usize>,
    },
    Applied,
    /// A retry failed, or a lock was not to be had; the stream goes on.
    Refused(String),
    /// The thread has ended.
    Failed {
        error: ApplyError,
        commit_lsn: Lsn,
    },
}

pub(super) struct Worker {
    pub(super) applier: Applier,
    pub(super) acknowledge: WalControl,
    pub(super) status: Arc<Status>,
}

impl Worker {
    /// Works until the sender is gone or something fails.
    pub(super) fn run(mut self, work: &Receiver<Work>, done: &Sender<Done>) {
        let mut asked_at = Instant::now();
        loop {
            let next = match work.recv_timeout(self.pause(asked_at)) {
                Ok(work) => Some(work),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let commit_lsn = match &next {
                Some(Work::Group { commit_lsn, .. }) => *commit_lsn,
                Some(
                    Work::Advance(_) | Work::Retry(_) | Work::Open(_) | Work::Close | Work::Settle,
                )
                | None => Lsn::ZERO,
            };
            let is_asked = next.is_some();
            let outcome = match next {
                Some(work) => self.work(work),
                None => Ok(Done::Applied),
            };
            let outcome = outcome.and_then(|outcome| {
                if asked_at.elapsed() >= ASK_EVERY {
                    asked_at = Instant::now();
                    self.acknowledge()?;
                }
                Ok(outcome)
            });
            let outcome = outcome.unwrap_or_else(|error| Done::Failed { error, commit_lsn });
            let is_end = matches!(outcome, Done::Failed { .. });
            // Whoever gave the work may be gone: then so is the reason to go on.
            let is_heard = !(is_asked || is_end) || done.send(outcome).is_ok();
            if is_end || !is_heard {
                return;
            }
        }
    }

    /// Until the target is asked what it has flushed.
    fn pause(&self, asked_at: Instant) -> Duration {
        /// Nothing to ask for.
        const LONG: Duration = Duration::from_mins(1);
        if self.status.numbers().acknowledged >= self.applier.checkpoint() {
            return LONG;
        }
        ASK_EVERY.saturating_sub(asked_at.elapsed())
    }

    fn work(&mut self, work: Work) -> Result<Done, ApplyError> {
        match work {
            Work::Group { group, route, .. } => {
                let begun_at = Instant::now();
                let applied = self.applier.apply(&group, &route)?;
                self.status.count_apply_time(begun_at.elapsed());
                self.count(&group, &applied);
                return Ok(Done::Group { group, net_changes: applied.net_changes });
            }
            Work::Advance(lsn) => {
                self.applier.advance(lsn)?;
                self.status.set_applied(lsn, None);
                self.acknowledge()?;
            }
            Work::Retry(id) => match self.applier.retry(id) {
                Ok(()) => {
                    let left = self.status.numbers().quarantined.saturating_sub(1);
                    self.status.set_quarantined(left);
                }
                Err(
                    error @ (ApplyError::Poison { .. }
                    | ApplyError::NotQuarantined(_)
                    | ApplyError::Quarantine(_)
                    | ApplyError::OtherRules { .. }),
                ) => return Ok(Done::Refused(error.to_string())),
                Err(error) => return Err(error),
            },
            Work::Open(statements) => match self.applier.open_with(&statements) {
                Ok(()) => {}
                Err(error @ ApplyError::Locked { .. }) => {
                    return Ok(Done::Refused(error.to_string()));
                }
                Err(error) => return Err(error),
            },
            Work::Close => self.applier.close_opened()?,
            Work::Settle => self.settle()?,
        }
        Ok(Done::Applied)
    }

    fn settle(&mut self) -> Result<(), ApplyError> {
        let deadline = Instant::now() + SETTLE_LIMIT;
        while self.acknowledge()? < self.applier.checkpoint() && Instant::now() < deadline {
            // The WAL writer's own pace (wal_writer_delay) is 200 ms.
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn acknowledge(&mut self) -> Result<Lsn, ApplyError> {
        let flushed = self.applier.flushed()?.unwrap_or_default();
        self.acknowledge.acknowledge(flushed);
        self.status.set_acknowledged(flushed);
        Ok(flushed)
    }

    fn count(&self, group: &Group, applied: &Applied) {
        let bytes = group.rows.byte_count() as u64;
        let mut counts = vec![super::TableCounts::default(); group.tables.len()];
        for change in &group.changes {
            let Some(counts) = counts.get_mut(change.table as usize) else { continue };
            match change.operation {
                Operation::Insert { .. } => counts.inserts += 1,
                Operation::Update { .. } => counts.updates += 1,
                Operation::Delete { .. } => counts.deletes += 1,
                Operation::Truncate { .. } => counts.truncates += 1,
            }
        }
        for (table, more) in group.tables.iter().zip(counts) {
            self.status.with_table(&table.source, |table| {
                table.counts.inserts += more.inserts;
                table.counts.updates += more.updates;
                table.counts.deletes += more.deletes;
                table.counts.truncates += more.truncates;
            });
        }
        let transactions = group.transactions.len() as u64;
        self.status.count_group(transactions, group.changes.len() as u64, bytes);
        if let (Some(end_lsn), Some(mark)) = (applied.end_lsn, group.transactions.last()) {
            self.status.set_applied(end_lsn, Some(mark.commit.commit_time));
        }
        for poison in &applied.quarantined {
            tracing::warn!(%poison, "transaction quarantined");
            self.status.add_quarantined(1);
            self.status.note(format!("source transaction {poison}: quarantined"));
        }
    }
}
