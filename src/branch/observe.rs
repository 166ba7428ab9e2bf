//! What a branch does and takes.

use std::path::Path;

use serde::Serialize;

use super::tree::{Tree, Wal};
use super::{Branch, BranchError, Home, server};

/// Counters of a running server, since its statistics were reset.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Activity {
    pub sessions: Sessions,
    pub database_bytes: i64,
    pub transactions_committed: i64,
    pub transactions_rolled_back: i64,
    pub blocks_read: i64,
    pub blocks_hit: i64,
    pub rows_written: i64,
    pub deadlocks: i64,
    pub temporary_bytes: i64,
    pub uptime_seconds: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sessions {
    pub active: i64,
    pub idle: i64,
    pub idle_in_transaction: i64,
}

const ACTIVITY: &str = include_str!("sql/activity.sql");

/// Asks a running branch.
///
/// # Errors
/// [`BranchError::Sql`].
pub fn activity(home: &Home, branch: &Branch) -> Result<Activity, BranchError> {
    let server = server::open(home, branch)?;
    let mut session = server::session(&server, branch, &branch.database)?;
    let failed = BranchError::sql("read the statistics", &branch.name);
    let rows = session.simple(ACTIVITY).map_err(failed)?;
    let mut values = rows
        .into_iter()
        .flatten()
        .map(|value| value.and_then(|text| text.parse().ok()).unwrap_or(0_i64));
    let mut next = || values.next().unwrap_or(0);
    Ok(Activity {
        sessions: Sessions { active: next(), idle: next(), idle_in_transaction: next() },
        database_bytes: next(),
        transactions_committed: next(),
        transactions_rolled_back: next(),
        blocks_read: next(),
        blocks_hit: next(),
        rows_written: next(),
        deadlocks: next(),
        temporary_bytes: next(),
        uptime_seconds: next(),
    })
}

/// What the files of a data directory take, blocks that are shared with others included.
pub fn disk_bytes(data: &Path) -> u64 {
    Tree::list(data, &Wal::All).map_or(0, |tree| tree.bytes(data))
}

/// Bytes that only this branch has, where that can be told.
pub fn exclusive_bytes(home: &Home, branch: &Branch) -> Option<u64> {
    branch.backend.backend()?.exclusive_bytes(&home.state.branch(&branch.id).data)
}
