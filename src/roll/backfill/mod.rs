//! Fills new columns: ranges of rows, each one UPDATE that commits together with the place reached.
//!
//! A large table is filled over two sessions, each with a range of its own at a time.
//! The rows are written straight, not through the sync trigger, and no trigger of the user's fires
//! where the role may set `session_replication_role`. A killed backfill goes on where it stopped.
//! It gives way: to lock waits (the range is tried again, and halved), to a limit of WAL, to
//! replicas that lag.

mod policy;
mod throttle;
mod walk;

use self::policy::Policy;
use self::throttle::{RETRY_PAUSE, Throttle};
use self::walk::Walk;
use super::{BackfillView, Progress, Roll, RollError};
use crate::catalog::RelationName;
use crate::migrate::plan::Backfill;
use crate::pg::{Error, Session};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tokio_postgres::Row;

/// How a backfill behaves.
#[derive(Clone, Copy, Debug)]
pub struct Backfilling {
    /// The largest range, in rows.
    pub batch_rows: u32,
    /// Ranges are made so large that one takes about this long: that is how long others may wait
    /// for one of its rows.
    pub batch_time: Duration,
    /// After each range.
    pub delay: Duration,
    /// Replicas that are further behind are waited for.
    pub max_lag: Option<Duration>,
    /// WAL of the server while the backfill runs, per second.
    pub wal_bytes_per_second: Option<u64>,
}

impl Default for Backfilling {
    fn default() -> Self {
        Self {
            batch_rows: 10_000,
            batch_time: Duration::from_millis(100),
            delay: Duration::ZERO,
            max_lag: None,
            wal_bytes_per_second: None,
        }
    }
}

/// Only a superuser, or who was granted SET on it, may.
const SILENCE: &str = "set session_replication_role = 'replica'";

/// A page that is changed for the first time after a checkpoint goes to the WAL as a whole: that is a
/// quarter of a backfill's WAL. Who may set it is who may set the other; lz4 costs next to nothing,
/// and is there from PostgreSQL 15 on if it was built in.
const COMPRESS: &str = "do $block$ begin
    if pg_catalog.current_setting('wal_compression') = 'off' then
        begin
            perform pg_catalog.set_config('wal_compression', 'lz4', false);
        exception when invalid_parameter_value then
            perform pg_catalog.set_config('wal_compression', 'on', false);
        end;
    end if;
exception when insufficient_privilege then null;
end $block$";

/// The table, or the leaves below it.
const WITH_ROWS: &str = "with root as (select pg_catalog.to_regclass($1::text) as table)
select n.nspname::text, c.relname::text from root r, pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and (c.oid = r.table
    or c.oid in (select t.relid from pg_catalog.pg_partition_tree(r.table) t where t.isleaf))
order by c.oid";

/// Triggers that are ENABLE ALWAYS or ENABLE REPLICA.
const INSISTENT: &str = "with recursive tree as (
    select pg_catalog.to_regclass($1::text)::oid as oid
    union select i.inhrelid from pg_catalog.pg_inherits i join tree on tree.oid = i.inhparent)
select exists (select from pg_catalog.pg_trigger t join tree on tree.oid = t.tgrelid
    where t.tgenabled in ('A', 'R') and not t.tgisinternal)";

/// Tries of one range: with pauses of a quarter of a second, half an hour for one row that is locked.
const ATTEMPT_LIMIT: u32 = 3600;

/// Fills the columns of one table, from where it stopped.
pub(super) async fn fill(
    roll: &mut Roll,
    name: &str,
    backfill: &Backfill,
    progress: &Progress,
) -> Result<(), RollError> {
    // One for all partitions: what it has learned of replicas and WAL holds for the next one too.
    let mut throttle = Throttle::new(roll.options.backfill);
    let mut seen = HashSet::new();
    // What is attached while the others are filled comes with rows that no trigger has seen.
    loop {
        let mut relations = relations(roll, backfill).await?;
        relations.retain(|relation| seen.insert(relation.clone()));
        if relations.is_empty() {
            break;
        }
        fill_all(roll, name, (backfill, &relations), &mut throttle, progress).await?;
    }
    progress.change(|view| view.backfill = None);
    Ok(())
}

async fn fill_all(
    roll: &mut Roll,
    name: &str,
    (backfill, relations): (&Backfill, &[RelationName]),
    throttle: &mut Throttle,
    progress: &Progress,
) -> Result<(), RollError> {
    let known = roll.state().backfills(name).await.map_err(RollError::query("read the journal"))?;
    let is_done = |relation: &RelationName| {
        let written = relation.to_string();
        known.iter().any(|at| at.backfill == backfill.id && at.relation == written && at.is_done)
    };
    for relation in relations.iter().filter(|relation| !is_done(relation)) {
        let filled = fill_relation(roll, name, (backfill, relation), throttle, progress).await;
        if let Err(error) = filled {
            // Somebody dropped the partition: nothing of it is left to fill.
            let is_whole = *relation == backfill.table;
            if error.is_passing() || is_whole || roll.is_there(relation).await? {
                return Err(error);
            }
            // What is set of it may be of the one that failed.
            roll.executor.forget_session();
        }
    }
    Ok(())
}

/// Takes away what a backfill that did not get to its end left, where the table is still there.
pub(super) async fn clear(roll: &mut Roll, backfill: &Backfill) -> Result<(), RollError> {
    let mut relations = relations(roll, backfill).await?;
    // One that was detached meanwhile.
    let detached = backfill.partitions.iter().filter(|one| !relations.contains(one));
    let detached = detached.cloned().collect::<Vec<_>>();
    relations.extend(detached);
    for relation in &relations {
        if let Some(policy) = Policy::left(roll, relation).await? {
            policy.lower(roll).await?;
        }
    }
    Ok(())
}

/// That hold rows: partitions come and go after the plan was made.
async fn relations(roll: &Roll, backfill: &Backfill) -> Result<Vec<RelationName>, RollError> {
    let rows = roll.session.query(WITH_ROWS, &[&backfill.table.sql()]).await;
    let rows = rows.map_err(|error| RollError::query("look for partitions")(error.into()))?;
    let name = |row: &Row| RelationName::new(row.get::<_, &str>(0), row.get::<_, &str>(1));
    Ok(rows.iter().map(name).collect())
}

async fn fill_relation(
    roll: &mut Roll,
    name: &str,
    (backfill, relation): (&Backfill, &RelationName),
    throttle: &mut Throttle,
    progress: &Progress,
) -> Result<(), RollError> {
    let policy = Policy::raise(roll, relation).await?;
    let mut walk = Walk::begin(roll, name, backfill, relation).await?;
    progress.change(|view| view.backfill = Some(walk.view()));
    let result = sweep(roll, &mut walk, throttle, progress).await;
    // Nobody else uses this session with these settings.
    roll.executor.forget_session();
    if let Err(error) = &result
        && error.is_passing()
    {
        // `resume` needs the policy, and `rollback` takes it away.
        return result;
    }
    policy.lower(roll).await?;
    result
}

/// Range after range until no row is left.
async fn sweep(
    roll: &mut Roll,
    walk: &mut Walk,
    throttle: &mut Throttle,
    progress: &Progress,
) -> Result<(), RollError> {
    let mut attempt = 0;
    let mut is_set = false;
    let mut second = None;
    while !walk.is_over() {
        if !is_set {
            second = set_up(roll, walk, progress).await?;
            is_set = true;
        }
        roll.check_lock().await?;
        let session = roll.executor.session().await?;
        throttle.before(session, progress).await.map_err(|source| walk.failed(source))?;
        let since = Instant::now();
        let second = second.as_ref();
        let (rows, limit) = (throttle.rows(), throttle.statement_timeout());
        let lanes = walk.lanes(second.is_some());
        match walk.advance((session, second), rows, limit).await {
            Ok(rows) => {
                attempt = 0;
                if walk.is_stuck() {
                    return Err(RollError::Unreachable { relation: walk.relation.to_string() });
                }
                let took = since.elapsed();
                throttle.after(session, rows / lanes, took).await.map_err(|e| walk.failed(e))?;
                progress.change(|view| view.backfill = Some(walk.view()));
            }
            Err(error) => {
                attempt += 1;
                is_set = give_way(roll, walk, throttle, error, attempt).await?;
            }
        }
    }
    Ok(())
}

/// The sessions with what they need once: the first, and a second one where the walk has work for
/// two and the server lets another in.
async fn set_up(
    roll: &mut Roll,
    walk: &Walk,
    progress: &Progress,
) -> Result<Option<Session>, RollError> {
    let is_silent = prepare(roll.executor.session().await?).await?;
    if !is_silent {
        progress.note(
            "the role may not set session_replication_role: triggers on the table fire for the backfill",
        );
    }
    // Triggers of a user's may lock rows of any range: two sessions could lock each other out.
    if !walk.is_wide() || !is_silent || has_insistent_triggers(roll, &walk.relation).await? {
        return Ok(None);
    }
    match roll.executor.another_session().await {
        Ok(session) => {
            prepare(&session).await?;
            Ok(Some(session))
        }
        Err(error) => {
            tracing::debug!(%error, "no second session");
            Ok(None)
        }
    }
}

/// True if triggers fire even for a replica, of the table or of one that inherits from it.
async fn has_insistent_triggers(roll: &Roll, relation: &RelationName) -> Result<bool, RollError> {
    let row = roll.session.query_one(INSISTENT, &[&relation.sql()]).await;
    let row = row.map_err(|error| RollError::query("look for triggers")(error.into()))?;
    Ok(row.get(0))
}

/// True if no ordinary trigger fires for what the session writes.
async fn prepare(session: &Session) -> Result<bool, RollError> {
    let is_silent = match session.execute_all(SILENCE).await {
        Ok(()) => true,
        // insufficient_privilege
        Err(error) if error.sqlstate() == Some("42501") => false,
        Err(error) => return Err(RollError::query("prepare the backfill")(error)),
    };
    session.execute_all(COMPRESS).await.map_err(RollError::query("prepare the backfill"))?;
    Ok(is_silent)
}

/// After a range that failed: waits, with a smaller one, or gives the error. False: the session is
/// a new one.
async fn give_way(
    roll: &mut Roll,
    walk: &mut Walk,
    throttle: &mut Throttle,
    error: Error,
    attempt: u32,
) -> Result<bool, RollError> {
    let is_lost = error.is_connection();
    // query_canceled: by the statement timeout, that is by somebody who locks our rows.
    let is_slow = error.sqlstate() == Some("57014");
    if attempt >= ATTEMPT_LIMIT || (error.retry() == crate::pg::Retry::Never && !is_slow) {
        return Err(walk.failed(error));
    }
    tracing::debug!(attempt, %error, "range again");
    throttle.shrink(attempt);
    if is_lost {
        roll.executor.forget_session();
    }
    // Of two ranges one may be done; and the answer to a COMMIT may have been lost.
    walk.reload(roll).await?;
    tokio::time::sleep(RETRY_PAUSE).await;
    Ok(!is_lost)
}

impl Walk {
    fn view(&self) -> BackfillView {
        BackfillView {
            relation: self.relation.to_string(),
            rows: self.rows,
            row_estimate: self.row_estimate.max(self.rows),
            rows_here: self.rows_here,
            since: self.since,
            waits_for: None,
        }
    }

    fn failed(&self, source: Error) -> RollError {
        RollError::Backfill { relation: self.relation.to_string(), source }
    }
}
