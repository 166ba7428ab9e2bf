//! The journal of the active migration: its plan, its steps, its backfills.
//!
//! A step that runs in a transaction is noted in it, so the note is the truth. A step outside of a
//! transaction is noted before and after: between the two only its probe knows.

use super::RollState;
use super::schema::render;
use crate::pg::{Error, Literal};
use tokio_postgres::types::ToSql;

const KEEP: &str = "insert into @state@.backlot_run (schema, name, phase, plan) \
     values ($1::text, $2, 'starting', $3::text::jsonb)";
const RUN: &str = "select r.phase, r.plan::text from @state@.backlot_run r \
     where r.schema = $1::text and r.name = $2";
const STEPS: &str = "select s.step, s.is_done, s.is_reversible from @state@.backlot_step s \
     where s.schema = $1::text and s.name = $2 order by s.started_at";
const BACKFILLS: &str = "select b.backfill, b.relation, b.position, b.row_count, b.row_estimate, b.is_done, \
     pg_catalog.date_part('epoch', b.updated_at - b.started_at) as seconds \
     from @state@.backlot_backfill b where b.schema = $1::text and b.name = $2 order by b.started_at";

const OUTCOME: &str = "insert into @state@.backlot_outcome (schema, name, outcome) \
     values ($1::text, $2, $3) on conflict (schema) \
     do update set name = excluded.name, outcome = excluded.outcome, ended_at = excluded.ended_at";

/// What pgroll writes down of DDL beside migrations is none that ended.
const LAST_OUTCOME: &str = "select o.name, o.outcome from @state@.backlot_outcome o \
     where o.schema = $1::text and not exists (select from @state@.migrations m \
     where m.schema = o.schema and m.created_at > o.ended_at \
     and coalesce(m.migration_type, 'pgroll') <> 'inferred')";

/// How far the active migration has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `start` is at work, or stopped half way.
    Starting,
    /// Both versions are there.
    Active,
    /// `complete` is at work, or stopped half way.
    Completing,
    /// `rollback` is at work, or stopped half way.
    RollingBack,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Active => "active",
            Self::Completing => "completing",
            Self::RollingBack => "rolling back",
        }
    }

    fn parse(name: &str) -> Result<Self, Error> {
        [Self::Starting, Self::Active, Self::Completing, Self::RollingBack]
            .into_iter()
            .find(|phase| phase.name() == name)
            .ok_or(Error::Protocol("a phase that this backlot does not know"))
    }
}

/// How a migration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Completed,
    RolledBack,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::RolledBack => "rolled back",
        }
    }

    fn parse(name: &str) -> Result<Self, Error> {
        [Self::Completed, Self::RolledBack]
            .into_iter()
            .find(|outcome| outcome.name() == name)
            .ok_or(Error::Protocol("an outcome that this backlot does not know"))
    }
}

/// A step that has run, or began to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRecord {
    pub step: String,
    /// False: it ran outside of a transaction and nobody saw its end.
    pub is_done: bool,
    pub is_reversible: bool,
}

/// How far the backfill of one relation has come.
#[derive(Clone, Debug, PartialEq)]
pub struct BackfillProgress {
    pub backfill: String,
    pub relation: String,
    /// Key of the last row done, or the first page that is not; as text.
    pub position: Option<Vec<String>>,
    pub rows: i64,
    pub row_estimate: i64,
    pub is_done: bool,
    pub seconds: f64,
}

impl RollState<'_> {
    /// Adds a migration to the history together with the plan that it will run.
    ///
    /// # Errors
    /// `23505` if another migration of the schema began in the meantime.
    pub async fn begin_run(&self, name: &str, migration: &str, plan: &str) -> Result<(), Error> {
        self.session.execute_all("begin").await?;
        let kept = async {
            self.begin(name, migration).await?;
            let ended = self.sql("delete from @state@.backlot_outcome where schema = $1::text");
            self.session.execute(&ended, &[&self.schema]).await?;
            self.session.execute(&self.sql(KEEP), &[&self.schema, &name, &plan]).await?;
            self.session.execute_all("commit").await
        };
        let result = kept.await;
        if result.is_err() {
            // The first error is the one to tell of.
            drop(self.session.execute_all("rollback").await);
        }
        result
    }

    /// Gives a migration that a pgroll began a plan by which it is rolled back.
    pub async fn adopt(&self, name: &str, plan: &str) -> Result<(), Error> {
        self.session.execute_all("begin").await?;
        let kept = async {
            let ended = self.sql("delete from @state@.backlot_outcome where schema = $1::text");
            self.session.execute(&ended, &[&self.schema]).await?;
            self.session.execute(&self.sql(KEEP), &[&self.schema, &name, &plan]).await?;
            self.enter(name, Phase::RollingBack).await?;
            // A run without steps has nothing to take back.
            self.session.execute(&self.claim(name, "adopted", true), &[]).await?;
            self.session.execute_all("commit").await
        };
        let result = kept.await;
        if result.is_err() {
            // The first error is the one to tell of.
            drop(self.session.execute_all("rollback").await);
        }
        result
    }

    /// Belongs into the transaction that ends the migration.
    pub(super) async fn note_outcome(&self, name: &str, outcome: Outcome) -> Result<(), Error> {
        let values: [&(dyn ToSql + Sync); 3] = [&self.schema, &name, &outcome.name()];
        self.session.execute(&self.sql(OUTCOME), &values).await?;
        Ok(())
    }

    /// How the last migration ended, if none began since, ours or a pgroll's; by a verb of ours.
    pub async fn outcome(&self) -> Result<Option<(String, Outcome)>, Error> {
        let sql = self.sql(LAST_OUTCOME);
        let row = self.session.query_opt(&sql, &[&self.schema]).await?;
        row.map(|row| Ok((row.get(0), Outcome::parse(row.get(1))?))).transpose()
    }

    /// False where only a pgroll was.
    pub async fn has_journal(&self) -> Result<bool, Error> {
        let table = self.sql("@state@.backlot_backfill");
        let sql = "select pg_catalog.to_regclass($1) is not null";
        Ok(self.session.query_one(sql, &[&table]).await?.get(0))
    }

    /// The phase and the plan of a migration; `None` if a pgroll started it.
    pub async fn run(&self, name: &str) -> Result<Option<(Phase, String)>, Error> {
        let row = self.session.query_opt(&self.sql(RUN), &[&self.schema, &name]).await?;
        row.map(|row| Ok((Phase::parse(row.get(0))?, row.get(1)))).transpose()
    }

    pub async fn enter(&self, name: &str, phase: Phase) -> Result<(), Error> {
        let sql = self
            .sql("update @state@.backlot_run set phase = $3 where schema = $1::text and name = $2");
        self.session.execute(&sql, &[&self.schema, &name, &phase.name()]).await?;
        Ok(())
    }

    /// Replaces the plan of a run, where only the server knew what the first steps would bring.
    pub async fn replace_plan(&self, name: &str, plan: &str) -> Result<(), Error> {
        let sql = self.sql(
            "update @state@.backlot_run set plan = $3::text::jsonb where schema = $1::text and name = $2",
        );
        self.session.execute(&sql, &[&self.schema, &name, &plan]).await?;
        Ok(())
    }

    /// The steps that ran or began, in this order.
    pub async fn steps(&self, name: &str) -> Result<Vec<StepRecord>, Error> {
        let rows = self.session.query(&self.sql(STEPS), &[&self.schema, &name]).await?;
        let record = |row: &tokio_postgres::Row| StepRecord {
            step: row.get(0),
            is_done: row.get(1),
            is_reversible: row.get(2),
        };
        Ok(rows.iter().map(record).collect())
    }

    pub async fn backfills(&self, name: &str) -> Result<Vec<BackfillProgress>, Error> {
        let rows = self.session.query(&self.sql(BACKFILLS), &[&self.schema, &name]).await?;
        let progress = |row: &tokio_postgres::Row| BackfillProgress {
            backfill: row.get("backfill"),
            relation: row.get("relation"),
            position: row.get("position"),
            rows: row.get("row_count"),
            row_estimate: row.get("row_estimate"),
            is_done: row.get("is_done"),
            seconds: row.get("seconds"),
        };
        Ok(rows.iter().map(progress).collect())
    }

    /// The note of a step, for its own transaction and before everything else in it: it touches no
    /// row if the step was noted before, and waits for a transaction that is about to note it.
    pub fn claim(&self, name: &str, step: &str, is_reversible: bool) -> String {
        self.note(name, step, is_reversible, true)
    }

    /// The note that a step outside of a transaction begins.
    pub fn announcement(&self, name: &str, step: &str, is_reversible: bool) -> String {
        self.note(name, step, is_reversible, false)
    }

    fn note(&self, name: &str, step: &str, is_reversible: bool, is_done: bool) -> String {
        let finished = if is_done { "pg_catalog.clock_timestamp()" } else { "null" };
        self.sql(&format!(
            "insert into @state@.backlot_step (schema, name, step, is_done, is_reversible, finished_at) \
             values ({}, {}, {}, {is_done}, {is_reversible}, {finished}) on conflict do nothing",
            Literal(self.schema),
            Literal(name),
            Literal(step),
        ))
    }

    /// The note that an announced step is over.
    pub fn conclusion(&self, name: &str, step: &str) -> String {
        self.sql(&format!(
            "update @state@.backlot_step set is_done = true, finished_at = pg_catalog.clock_timestamp() \
             where schema = {} and name = {} and step = {}",
            Literal(self.schema),
            Literal(name),
            Literal(step),
        ))
    }

    /// Begins the backfill of a relation, unless it began before.
    pub async fn begin_backfill(
        &self,
        name: &str,
        (backfill, relation): (&str, &str),
        row_estimate: i64,
    ) -> Result<(), Error> {
        let sql = self.sql(
            "insert into @state@.backlot_backfill (schema, name, backfill, relation, row_estimate) \
             values ($1::text, $2, $3, $4, $5) on conflict do nothing",
        );
        let schema = &self.schema;
        self.session.execute(&sql, &[schema, &name, &backfill, &relation, &row_estimate]).await?;
        Ok(())
    }

    /// Moves a backfill on, in the transaction of the rows it speaks of: parameters are schema,
    /// migration, backfill, relation, position (NULL: it stays), rows, and whether that was all.
    pub fn advance(state: &str) -> String {
        render(
            state,
            "update @state@.backlot_backfill set position = coalesce($5, position), row_count = row_count + $6, is_done = $7, \
             updated_at = pg_catalog.clock_timestamp() \
             where schema = $1::text and name = $2 and backfill = $3 and relation = $4",
        )
    }
}
