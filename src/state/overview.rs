//! What a target says of the clone and the stream that made it: for people who ask, from another
//! session than theirs. Reads only.

use super::journal::LOCK_KEY;
use super::stream::StreamRecord;
use crate::pg::{Error, Lsn, Session};
use serde::Serialize;

const THERE: &str = "select pg_catalog.to_regclass('backlot.clone_run') is not null, \
     pg_catalog.to_regclass('backlot.checkpoint') is not null";
const CLONE: &str = include_str!("sql/overview_clone.sql");
const CHECKPOINT: &str = include_str!("sql/overview_checkpoint.sql");
const TABLES: &str = "select relation, state, reason, changed_at::text as changed_at \
     from backlot.stream_table order by relation";
const QUARANTINE: &str = include_str!("sql/overview_quarantine.sql");
const LOCK_HOLDER: &str = include_str!("sql/lock_holder.sql");

/// Times are ISO in UTC.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// The latest clone, complete or not.
    pub clone: Option<CloneProgress>,
    pub stream: Option<StreamProgress>,
    /// Who holds the target's lock: a clone or a stream that runs.
    pub holder: Option<LockHolder>,
}

#[derive(Clone, Debug, Serialize)]
pub struct CloneProgress {
    /// `host:port/database`
    pub source: String,
    pub phase: String,
    pub started_at: String,
    pub finished_at: Option<String>,
    /// From its start to its end, or to now.
    pub seconds: f64,
    pub ranges: i64,
    pub ranges_done: i64,
    /// Of the ranges that are done.
    pub rows: i64,
    pub bytes: i64,
}

#[derive(Clone, Debug)]
pub struct StreamProgress {
    pub record: StreamRecord,
    pub checkpoint: Checkpoint,
    pub tables: Vec<FollowedTable>,
    pub quarantine: Vec<Quarantined>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub started_at: String,
    pub end_lsn: Lsn,
    /// Of the last source transaction that was applied.
    pub commit_time: Option<String>,
    pub commit_age_s: Option<f64>,
    pub transactions: i64,
    pub changes: i64,
    pub bytes: i64,
    pub updated_at: String,
    /// The target's clock, in seconds.
    pub looked_at: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct FollowedTable {
    pub table: String,
    /// `streaming`, `insert_only`, `stale` or `resyncing`.
    pub state: String,
    pub reason: Option<String>,
    pub since: String,
}

/// A source transaction in the quarantine. Its values are not here.
#[derive(Clone, Debug, Serialize)]
pub struct Quarantined {
    pub id: i64,
    pub xid: i64,
    pub commit_lsn: String,
    pub commit_time: String,
    pub relation: Option<String>,
    pub sqlstate: Option<String>,
    pub reason: String,
    pub changes: i64,
    pub quarantined_at: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct LockHolder {
    pub pid: i32,
    pub application_name: Option<String>,
    pub since: Option<String>,
}

impl Overview {
    pub async fn read(session: &Session) -> Result<Self, Error> {
        let there = session.query_one(THERE, &[]).await?;
        let (has_clone, has_stream): (bool, bool) = (there.get(0), there.get(1));
        let clone = if has_clone { session.query_opt(CLONE, &[]).await? } else { None };
        Ok(Self {
            clone: clone.as_ref().map(clone_progress),
            stream: if has_stream { StreamProgress::read(session).await? } else { None },
            holder: LockHolder::find(session).await?,
        })
    }
}

fn clone_progress(row: &tokio_postgres::Row) -> CloneProgress {
    CloneProgress {
        source: row.get("source"),
        phase: row.get("phase"),
        started_at: row.get("started_at"),
        finished_at: row.get("finished_at"),
        seconds: row.get("seconds"),
        ranges: row.get("total"),
        ranges_done: row.get("done"),
        rows: row.get("row_count"),
        bytes: row.get("byte_count"),
    }
}

impl StreamProgress {
    async fn read(session: &Session) -> Result<Option<Self>, Error> {
        let Some((record, _)) = StreamRecord::read(session).await? else { return Ok(None) };
        let Some(checkpoint) = Checkpoint::read(session).await? else { return Ok(None) };
        let rows = session.query(TABLES, &[]).await?;
        let table = |row: &tokio_postgres::Row| FollowedTable {
            table: row.get("relation"),
            state: row.get("state"),
            reason: row.get("reason"),
            since: row.get("changed_at"),
        };
        let tables = rows.iter().map(table).collect();
        let quarantine = Quarantined::list(session).await?;
        Ok(Some(Self { record, checkpoint, tables, quarantine }))
    }

    /// Tables whose changes are not followed.
    pub fn stale(&self) -> Vec<String> {
        let stale = self.tables.iter().filter(|table| table.state == "stale");
        stale.map(|table| table.table.clone()).collect()
    }
}

impl Checkpoint {
    /// None if no stream feeds this target. The state's tables must be there.
    pub async fn read(session: &Session) -> Result<Option<Self>, Error> {
        let Some(row) = session.query_opt(CHECKPOINT, &[]).await? else { return Ok(None) };
        let end_lsn: &str = row.get("end_lsn");
        let end_lsn = end_lsn.parse().map_err(|_| Error::Protocol("an unreadable pg_lsn"))?;
        Ok(Some(Self {
            started_at: row.get("started_at"),
            end_lsn,
            commit_time: row.get("commit_time"),
            commit_age_s: row.get("commit_age"),
            transactions: row.get("transaction_count"),
            changes: row.get("change_count"),
            bytes: row.get("byte_count"),
            updated_at: row.get("updated_at"),
            looked_at: row.get("looked_at"),
        }))
    }
}

impl Quarantined {
    /// Oldest first. The state's tables must be there.
    pub async fn list(session: &Session) -> Result<Vec<Self>, Error> {
        let rows = session.query(QUARANTINE, &[]).await?;
        let quarantined = |row: &tokio_postgres::Row| Self {
            id: row.get("quarantine_id"),
            xid: row.get("xid"),
            commit_lsn: row.get("commit_lsn"),
            commit_time: row.get("commit_time"),
            relation: row.get("relation"),
            sqlstate: row.get("sqlstate"),
            reason: row.get("reason"),
            changes: row.get("change_count"),
            quarantined_at: row.get("quarantined_at"),
        };
        Ok(rows.iter().map(quarantined).collect())
    }
}

impl LockHolder {
    async fn find(session: &Session) -> Result<Option<Self>, Error> {
        let row = session.query_opt(LOCK_HOLDER, &[&LOCK_KEY]).await?;
        Ok(row.map(|row| Self {
            pid: row.get("pid"),
            application_name: row.get("application_name"),
            since: row.get("backend_start"),
        }))
    }
}
