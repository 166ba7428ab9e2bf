//! A copy of a data directory that is of one moment, though the server may be running.
//!
//! PostgreSQL's rule (docs, "File System Level Backup"): a copy of a running server's files is
//! good only as an atomic snapshot of everything, which crash recovery makes a database of, or
//! through `pg_backup_start` and `pg_backup_stop`. A server all of whose processes are stopped
//! writes nothing, so that any copy is of one moment.

mod backup;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::backend::{Backend, BackendKind};
use super::tree::{Job, Wal, give_away};
use super::{Branch, BranchError, Lock, control_data, server};
use crate::instance::Server;

/// How a branch was made of its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Captured {
    pub method: Method,
    /// For how long the parent's sessions stood still, or could not begin.
    pub pause_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// A new cluster.
    New,
    /// The parent did not run.
    Asleep,
    /// The parent had no sessions: stopped, cloned, started.
    Stopped,
    /// The filesystem's snapshot of everything.
    Snapshot,
    /// All processes stopped for the time of the clone.
    Frozen,
    /// The backup API: the parent went on all the time.
    Backup,
    /// CREATE DATABASE … TEMPLATE: nobody was in the parent, and nobody could come.
    Template,
    /// Not made: it was there.
    Adopted,
}

/// How long the sessions of a parent may be held up.
const PAUSE_BUDGET: Duration = Duration::from_millis(500);
/// The watchdog's, if we hang: beyond the budget, since what we give up is thrown away anyway.
const WATCHDOG_LIMIT: Duration = Duration::from_millis(800);

/// A parent, and the exclusive lock on it.
pub(super) struct Source<'a> {
    pub(super) branch: &'a Branch,
    pub(super) server: Server,
    pub(super) lock: Lock,
}

/// A checkpoint before the lock is taken, which may have much to write: what the one of the capture
/// has left to write, or a clean stop, holds clients up for a moment only. A parent that does not
/// answer now is dealt with under the lock.
pub(super) fn prepare(server: &Server, branch: &Branch) {
    if server.is_running()
        && let Err(error) = checkpoint(server, branch)
    {
        tracing::debug!(branch = %branch.name, %error, "no checkpoint ahead");
    }
}

/// Clones the parent's data directory to `target`.
pub(super) fn capture(
    parent: Source,
    backend: &dyn Backend,
    target: &Path,
) -> Result<Captured, BranchError> {
    let account = parent.server.account().clone();
    let captured = copied(parent, backend, target)?;
    // A snapshot is its owner's as it is.
    if backend.kind() != BackendKind::Subvolume {
        give_away(target, &account)?;
    }
    Ok(captured)
}

fn copied(
    mut parent: Source,
    backend: &dyn Backend,
    target: &Path,
) -> Result<Captured, BranchError> {
    if !parent.server.is_running() {
        asleep(&parent, backend, target)?;
        return Ok(Captured { method: Method::Asleep, pause_ms: 0 });
    }
    if backend.is_atomic() {
        checkpoint(&parent.server, parent.branch)?;
        backend.clone_data(parent.server.data_dir(), target, &parent.job(&Wal::All, &always))?;
        return Ok(Captured { method: Method::Snapshot, pause_ms: 0 });
    }
    if backend.kind().shares_blocks() {
        if sessions(&parent)? == 0 {
            let pause = stopped(&mut parent, backend, target)?;
            return Ok(Captured { method: Method::Stopped, pause_ms: milliseconds(pause) });
        }
        checkpoint(&parent.server, parent.branch)?;
        if let Some(pause) = frozen(&parent, backend, target)? {
            return Ok(Captured { method: Method::Frozen, pause_ms: milliseconds(pause) });
        }
        backend.destroy(target)?;
    }
    // Nothing is held up any more: others may connect, but not stop or delete the parent.
    parent.lock.share(&parent.branch.name, server::LOCK_LIMIT)?;
    backup::backup(&parent, backend, target)?;
    Ok(Captured { method: Method::Backup, pause_ms: 0 })
}

impl Source<'_> {
    fn job<'a>(&'a self, wal: &Wal, may_go_on: &'a dyn Fn() -> bool) -> Job<'a> {
        Job { account: self.server.account(), wal: wal.clone(), may_go_on, is_live: false }
    }
}

fn always() -> bool {
    true
}

fn asleep(parent: &Source, backend: &dyn Backend, target: &Path) -> Result<(), BranchError> {
    let data = parent.server.data_dir();
    let first = (!backend.kind().shares_blocks())
        .then(|| control_data::first_segment(&parent.branch.bin_dir, data))
        .flatten();
    let wal = first.map_or(Wal::All, Wal::From);
    backend.clone_data(data, target, &parent.job(&wal, &always))
}

/// Sessions of clients, ours aside.
fn sessions(parent: &Source) -> Result<i64, BranchError> {
    let housekeeping = server::HOUSEKEEPING;
    let sql = format!(
        "select pg_catalog.count(*) from pg_catalog.pg_stat_activity \
        where pid <> pg_catalog.pg_backend_pid() \
        and backend_type not in ('autovacuum worker', {housekeeping})"
    );
    let name = &parent.branch.name;
    let mut session = server::any_session(&parent.server, parent.branch)?;
    let count = session.column(&sql).map_err(BranchError::sql("count the sessions", name))?;
    let count = count.first().and_then(|count| count.parse().ok());
    // What is not understood is taken for a session: the parent is not stopped then.
    Ok(count.unwrap_or(1))
}

/// Recovery of the copy begins here: the later, the less it has to do.
fn checkpoint(server: &Server, branch: &Branch) -> Result<(), BranchError> {
    let mut session = server::any_session(server, branch)?;
    session.simple("checkpoint").map_err(BranchError::sql("checkpoint", &branch.name))?;
    Ok(())
}

fn stopped(
    parent: &mut Source,
    backend: &dyn Backend,
    target: &Path,
) -> Result<Duration, BranchError> {
    let since = Instant::now();
    let paused = parent.server.pause()?;
    let data = parent.server.data_dir();
    let cloned = backend.clone_data(data, target, &parent.job(&Wal::All, &always));
    // Also after a failure.
    parent.server.resume(paused)?;
    cloned?;
    Ok(since.elapsed())
}

/// None if it took longer than the budget: the copy is worth nothing then.
fn frozen(
    parent: &Source,
    backend: &dyn Backend,
    target: &Path,
) -> Result<Option<Duration>, BranchError> {
    let frozen = match parent.server.freeze(WATCHDOG_LIMIT) {
        Ok(frozen) => frozen,
        Err(error) => {
            tracing::debug!(%error, "not frozen");
            return Ok(None);
        }
    };
    let in_budget = || frozen.elapsed() < PAUSE_BUDGET;
    let job = parent.job(&Wal::All, &in_budget);
    let cloned = backend.clone_data(parent.server.data_dir(), target, &job);
    let pause = frozen.thaw();
    match cloned {
        Ok(()) => Ok(pause),
        Err(BranchError::OverBudget) => Ok(None),
        Err(error) => Err(error),
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
