//! The state schema itself: is it there, make it, bring it up to date.

use crate::pg::{Error, Ident, Literal, Session};

const TABLES: &str = include_str!("sql/tables.sql");
const ADDITIONS: &str = include_str!("sql/additions.sql");
const FUNCTIONS: &str = include_str!("sql/functions.sql");
const READ_SCHEMA: &str = include_str!("sql/read_schema.sql");
const CAPTURE: &str = include_str!("sql/capture.sql");
const EVENT_TRIGGERS: &str = include_str!("sql/event_triggers.sql");

/// pgroll takes the same lock while it makes its state schema.
const INIT_LOCK: i64 = 0x2c_0305_7fb9_525b;

/// The youngest of the tables that [`ADDITIONS`] makes.
const NEWEST_ADDITION: &str = "backlot_outcome";

/// Whether DDL of others is noted in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// By event triggers.
    Running,
    /// Only a superuser may make event triggers. Migrations work all the same.
    NotAllowed,
}

/// The state schema of one migrated schema, seen through one session.
///
/// One state schema may serve many schemas.
#[derive(Clone, Copy, Debug)]
pub struct RollState<'s> {
    pub(super) session: &'s Session,
    pub(super) state: &'s str,
    pub(super) schema: &'s str,
}

impl<'s> RollState<'s> {
    pub fn new(session: &'s Session, state: &'s str, schema: &'s str) -> Self {
        Self { session, state, schema }
    }

    /// Replaces `@state@` by the quoted name of the state schema.
    pub(super) fn sql(&self, template: &str) -> String {
        render(self.state, template)
    }

    /// True if `init` ran here, ours or pgroll's.
    pub async fn is_there(&self) -> Result<bool, Error> {
        let sql = "select pg_catalog.to_regclass($1) is not null";
        let table = format!("{}.migrations", Ident(self.state));
        Ok(self.session.query_one(sql, &[&table]).await?.get(0))
    }

    /// Makes the state schema, or brings one of pgroll's up to date; may run again.
    pub async fn create(&self) -> Result<Capture, Error> {
        let lock = format!("select pg_catalog.pg_advisory_xact_lock({INIT_LOCK})");
        let parts = [TABLES, ADDITIONS, FUNCTIONS, READ_SCHEMA, CAPTURE].map(|part| self.sql(part));
        let all = format!("begin;{lock};{};commit", parts.join(";\n"));
        self.in_transaction(&all).await?;
        match self.in_transaction(&format!("begin;{};commit", self.sql(EVENT_TRIGGERS))).await {
            Ok(()) => Ok(Capture::Running),
            // insufficient_privilege
            Err(error) if error.sqlstate() == Some("42501") => Ok(Capture::NotAllowed),
            Err(error) => Err(error),
        }
    }

    /// Makes what is missing of our own tables beside those of a pgroll.
    pub async fn complete(&self) -> Result<(), Error> {
        let sql = "select pg_catalog.to_regclass($1) is not null";
        let table = format!("{}.{NEWEST_ADDITION}", Ident(self.state));
        if self.session.query_one(sql, &[&table]).await?.get(0) {
            return Ok(());
        }
        let lock = format!("select pg_catalog.pg_advisory_xact_lock({INIT_LOCK})");
        self.in_transaction(&format!("begin;{lock};{};commit", self.sql(ADDITIONS))).await
    }

    async fn in_transaction(&self, sql: &str) -> Result<(), Error> {
        let result = self.session.execute_all(sql).await;
        if result.is_err() {
            // The first error is the one to tell of.
            drop(self.session.execute_all("rollback").await);
        }
        result
    }
}

pub(super) fn render(state: &str, template: &str) -> String {
    template
        .replace("@state@", &Ident(state).to_string())
        .replace("@state_text@", &Literal(state).to_string())
}
