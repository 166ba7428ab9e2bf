//! The journal of a clone.

use crate::catalog::RelationName;
use crate::pg::{Error, Lsn, Session};

const CREATE: &str = include_str!("sql/journal.sql");
/// Key of the session lock that a clone or stream holds on its target: "backlot" in ASCII.
pub(super) const LOCK_KEY: i64 = 0x0062_6163_6b6c_6f74;

const LATEST: &str = "select run_id, source, source_system_identifier, snapshot_name, snapshot_xids, key_id, \
     algorithm_version, dictionary_hash, config_hash, plan_hash, config, extensions_before, phase, \
     slot_name, consistent_lsn::text as consistent_lsn, publications, owns_publications, timeline \
     from backlot.clone_run order by run_id desc limit 1";

/// A bigint key is shown in two halves (lockfuncs.c `SET_LOCKTAG_INT64`).
const LOCKED: &str = "select exists (select from pg_catalog.pg_locks l where l.locktype = 'advisory' and l.granted \
     and l.objsubid = 1 and (l.classid::bigint << 32 | l.objid::bigint) = $1 \
     and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()))";

const BEGIN: &str = "insert into backlot.clone_run (source, source_system_identifier, snapshot_name, snapshot_xids, \
     key_id, algorithm_version, dictionary_hash, config_hash, plan_hash, config, extensions_before, phase, \
     slot_name, consistent_lsn, publications, owns_publications, timeline) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, array(select e.extname::text from pg_catalog.pg_extension e), 'schema', \
     $11, $12::text::pg_lsn, $13, $14, $15) \
     returning run_id";

const PLAN: &str = "insert into backlot.clone_range (run_id, range_id, relation, first_block, last_block) \
     select $1, r.* from rows from (pg_catalog.unnest($2::bigint[]), pg_catalog.unnest($3::text[]), \
     pg_catalog.unnest($4::bigint[]), pg_catalog.unnest($5::bigint[])) r";

const RANGES: &str = "select range_id, relation, first_block, last_block, done, row_count, byte_count, changed, overtaken \
     from backlot.clone_range where run_id = $1 order by range_id";

const COPY_AGAIN: &str = "update backlot.clone_range set done = false, row_count = 0, byte_count = 0, changed = '{}', \
     overtaken = overtaken or relation = any ($3) where run_id = $1 and relation = any ($2)";

/// What must be the same for a killed clone to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// `host:port/database`, for people.
    pub source: String,
    pub source_system_identifier: String,
    pub key_id: String,
    pub algorithm_version: i32,
    pub dictionary_hash: String,
    /// Of what the user asked for.
    pub config_hash: String,
    /// Of the rules that this came to.
    pub plan_hash: String,
}

/// How far a clone has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Tables are being created.
    Schema,
    /// Ranges are planned and being copied.
    Data,
    /// Indexes, constraints, triggers.
    PostData,
    /// Sequences, materialized views, statistics.
    Finish,
    Done,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Data => "data",
            Self::PostData => "post-data",
            Self::Finish => "finish",
            Self::Done => "done",
        }
    }

    fn parse(name: &str) -> Self {
        match name {
            "data" => Self::Data,
            "post-data" => Self::PostData,
            "finish" => Self::Finish,
            "done" => Self::Done,
            // An unknown phase is the work of a newer backlot: the safe reading is "start over".
            _ => Self::Schema,
        }
    }
}

/// A clone that this target has seen.
#[derive(Clone, Debug)]
pub struct Run {
    pub run_id: i64,
    pub fingerprint: Fingerprint,
    /// The transforms.yaml that says what the plan says.
    pub config: String,
    /// For `SET TRANSACTION SNAPSHOT`.
    pub snapshot_name: String,
    /// `pg_current_snapshot()` of it.
    pub snapshot_xids: String,
    /// Extensions that were there before us.
    pub extensions_before: Vec<String>,
    pub phase: Phase,
    /// With `--follow`.
    pub slot: Option<RunSlot>,
}

/// The slot whose snapshot a clone reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSlot {
    pub slot_name: String,
    pub consistent_lsn: Lsn,
    pub publications: Vec<String>,
    pub owns_publications: bool,
    pub timeline: i32,
}

impl Run {
    /// The latest run of a target, whoever works on it; `None` if it has no journal.
    pub async fn latest(session: &Session) -> Result<Option<Self>, Error> {
        let there = "select pg_catalog.to_regclass('backlot.clone_run') is not null";
        if !session.query_one(there, &[]).await?.get::<_, bool>(0) {
            return Ok(None);
        }
        let Some(row) = session.query_opt(LATEST, &[]).await? else { return Ok(None) };
        Ok(Some(Self {
            run_id: row.get("run_id"),
            fingerprint: Fingerprint {
                source: row.get("source"),
                source_system_identifier: row.get("source_system_identifier"),
                key_id: row.get("key_id"),
                algorithm_version: row.get("algorithm_version"),
                dictionary_hash: row.get("dictionary_hash"),
                config_hash: row.get("config_hash"),
                plan_hash: row.get("plan_hash"),
            },
            config: row.get("config"),
            snapshot_name: row.get("snapshot_name"),
            snapshot_xids: row.get("snapshot_xids"),
            extensions_before: row.get("extensions_before"),
            phase: Phase::parse(row.get("phase")),
            slot: slot(&row)?,
        }))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RangeId(pub i64);

/// Blocks of one relation; the last block is exclusive, `None` is the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRange {
    pub id: RangeId,
    pub relation: String,
    pub first_block: i64,
    pub last_block: Option<i64>,
    pub done: bool,
    pub row_count: i64,
    pub byte_count: i64,
    /// Values changed, per mask of the table.
    pub changed: Vec<i64>,
    /// The table was truncated or rewritten on the source before its copy was complete.
    pub overtaken: bool,
}

/// The journal in one target database.
pub struct Journal<'s> {
    session: &'s Session,
}

impl<'s> Journal<'s> {
    /// Takes the target's lock for as long as the session lives; `None` if another run holds it.
    pub async fn lock(session: &'s Session) -> Result<Option<Self>, Error> {
        let row =
            session.query_one("select pg_catalog.pg_try_advisory_lock($1)", &[&LOCK_KEY]).await?;
        Ok(row.get::<_, bool>(0).then_some(Self { session }))
    }

    /// For reading only: without the lock.
    pub fn of(session: &'s Session) -> Self {
        Self { session }
    }

    pub async fn create(&self) -> Result<(), Error> {
        self.session.execute_all(&format!("begin;{CREATE}commit")).await
    }

    /// True if a clone or a stream holds the target's lock.
    pub async fn is_locked(session: &'s Session) -> Result<bool, Error> {
        Ok(session.query_one(LOCKED, &[&LOCK_KEY]).await?.get(0))
    }

    /// The latest run, if the target has a journal.
    pub async fn latest(&self) -> Result<Option<Run>, Error> {
        Run::latest(self.session).await
    }

    pub async fn begin(
        &self,
        fingerprint: &Fingerprint,
        config: &str,
        snapshot: (&str, &str),
        slot: Option<&RunSlot>,
    ) -> Result<i64, Error> {
        let (snapshot_name, xids) = snapshot;
        let row = self
            .session
            .query_one(
                BEGIN,
                &[
                    &fingerprint.source,
                    &fingerprint.source_system_identifier,
                    &snapshot_name,
                    &xids,
                    &fingerprint.key_id,
                    &fingerprint.algorithm_version,
                    &fingerprint.dictionary_hash,
                    &fingerprint.config_hash,
                    &fingerprint.plan_hash,
                    &config,
                    &slot.map(|slot| &slot.slot_name),
                    &slot.map(|slot| slot.consistent_lsn.to_string()),
                    &slot.map(|slot| &slot.publications),
                    &slot.map(|slot| slot.owns_publications),
                    &slot.map(|slot| slot.timeline),
                ],
            )
            .await?;
        Ok(row.get(0))
    }

    /// A resumed run holds its snapshot under a new name.
    pub async fn set_snapshot(&self, run_id: i64, name: &str) -> Result<(), Error> {
        let sql = "update backlot.clone_run set snapshot_name = $2 where run_id = $1";
        self.session.execute(sql, &[&run_id, &name]).await?;
        Ok(())
    }

    /// Writes the plan and enters the data phase, in one transaction.
    pub async fn plan(&self, run_id: i64, ranges: &[PlannedRange]) -> Result<(), Error> {
        let ids = ranges.iter().map(|range| range.id.0).collect::<Vec<_>>();
        let relations = ranges.iter().map(|range| range.relation.as_str()).collect::<Vec<_>>();
        let first = ranges.iter().map(|range| range.first_block).collect::<Vec<_>>();
        let last = ranges.iter().map(|range| range.last_block).collect::<Vec<_>>();
        self.session.execute_all("begin").await?;
        self.session.execute(PLAN, &[&run_id, &ids, &relations, &first, &last]).await?;
        self.enter(run_id, Phase::Data).await?;
        self.session.execute_all("commit").await
    }

    pub async fn ranges(&self, run_id: i64) -> Result<Vec<PlannedRange>, Error> {
        let rows = self.session.query(RANGES, &[&run_id]).await?;
        let range = |row: &tokio_postgres::Row| PlannedRange {
            id: RangeId(row.get("range_id")),
            relation: row.get("relation"),
            first_block: row.get("first_block"),
            last_block: row.get("last_block"),
            done: row.get("done"),
            row_count: row.get("row_count"),
            byte_count: row.get("byte_count"),
            changed: row.get("changed"),
            overtaken: row.get("overtaken"),
        };
        Ok(rows.iter().map(range).collect())
    }

    /// The tables' ranges are to be copied again, into tables that are emptied for it, all in one
    /// transaction. `overtaken` are those of them that the source has replaced.
    pub async fn copy_again(
        &self,
        run_id: i64,
        tables: &[String],
        overtaken: &[String],
        targets: &[RelationName],
    ) -> Result<(), Error> {
        let targets = targets.iter().map(RelationName::sql).collect::<Vec<_>>().join(", ");
        self.session.execute_all(&format!("begin; truncate {targets}")).await?;
        self.session.execute(COPY_AGAIN, &[&run_id, &tables, &overtaken]).await?;
        self.session.execute_all("commit").await
    }

    pub async fn enter(&self, run_id: i64, phase: Phase) -> Result<(), Error> {
        let sql = "update backlot.clone_run set phase = $2, \
                   finished_at = case when $2 = 'done' then pg_catalog.now() end where run_id = $1";
        self.session.execute(sql, &[&run_id, &phase.name()]).await?;
        Ok(())
    }
}

fn slot(row: &tokio_postgres::Row) -> Result<Option<RunSlot>, Error> {
    let Some(slot_name) = row.get::<_, Option<String>>("slot_name") else { return Ok(None) };
    let lsn: &str = row.get("consistent_lsn");
    Ok(Some(RunSlot {
        slot_name,
        consistent_lsn: lsn.parse().map_err(|_| Error::Protocol("an unreadable pg_lsn"))?,
        publications: row.get("publications"),
        owns_publications: row.get("owns_publications"),
        timeline: row.get("timeline"),
    }))
}

/// SQLSTATE (`division_by_zero`) of [`range_done_statement`] for a range that was done already.
pub(crate) const ALREADY_DONE: &str = "22012";

/// The statement that a data-path connection runs in the transaction of a range's COPY.
/// Fails with [`ALREADY_DONE`] if the range was done already: that transaction must not commit.
pub(crate) fn range_done_statement(
    run_id: i64,
    range: RangeId,
    rows: u64,
    bytes: u64,
    changed: &[u64],
) -> String {
    let changed = changed.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    format!(
        "with done as (update backlot.clone_range set done = true, row_count = {rows}, byte_count = {bytes}, \
         changed = '{{{changed}}}' where run_id = {run_id} and range_id = {} and not done returning 1) \
         select 1 / pg_catalog.count(*) from done; commit",
        range.0
    )
}

/// Asks whether a range is done: one row of rows, bytes and values changed (comma-separated),
/// or none.
pub(crate) fn range_result_query(run_id: i64, range: RangeId) -> String {
    format!(
        "select row_count, byte_count, pg_catalog.array_to_string(changed, ',') \
         from backlot.clone_range where run_id = {run_id} and range_id = {} and done",
        range.0
    )
}
