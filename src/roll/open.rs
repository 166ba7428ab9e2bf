//! The two sessions of a verb: one holds the lock and keeps the state, one runs the statements.

use super::{Backfilling, RollError};
use crate::catalog::RelationName;
use crate::ddl::{Executor, ExecutorOptions, Patience};
use crate::pg::{ConnInfo, Ident, Session};
use crate::state::roll::{Capture, RollState};
use std::time::Duration;

/// The name of our sessions, for `pg_stat_activity`.
const APPLICATION_NAME: &str = "backlot roll";

/// A killed verb's session may still hold the lock until the server reads from its socket.
const LOCK_TRIES: u32 = 30;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

const TRY_LOCK: &str = "select pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended($1, 0))";
const IS_THERE: &str = "select pg_catalog.to_regclass($1::text) is not null";
/// A bigint key is shown in two halves (lockfuncs.c `SET_LOCKTAG_INT64`).
const HOLDER: &str = "select 'process ' || l.pid || ' (' || coalesce(a.application_name, '?') || ')' \
     from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a on a.pid = l.pid \
     where l.locktype = 'advisory' and l.granted and l.objsubid = 1 \
     and (l.classid::bigint << 32 | l.objid::bigint) = pg_catalog.hashtextextended($1, 0) \
     and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())";

/// What every verb needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    pub server: ConnInfo,
    /// The one schema that is migrated.
    pub schema: String,
    /// Holds the state; pgroll's is `pgroll`.
    pub state_schema: String,
    /// Whose rights the statements run with.
    pub role: Option<String>,
    pub patience: Patience,
    pub backfill: Backfilling,
}

/// A verb at work on one schema.
pub struct Roll {
    pub(super) options: Options,
    pub(super) session: Session,
    pub(super) executor: Executor,
}

impl Roll {
    /// Connects. Nothing is locked yet.
    pub async fn connect(options: Options) -> Result<Self, RollError> {
        let session = Session::connect(&options.server, APPLICATION_NAME)
            .await
            .map_err(RollError::Connect)?;
        // Our own tables are made under the eyes of the event triggers.
        session
            .execute_all("set pgroll.no_inferred_migrations = 'TRUE'")
            .await
            .map_err(RollError::Connect)?;
        if let Some(role) = &options.role {
            let take = format!("set role {};reset role", Ident(role));
            let failed = |source| RollError::Role { role: role.clone(), source };
            session.execute_all(&take).await.map_err(failed)?;
        }
        // A killed verb's session must not keep the lock. Where the server's system cannot tell that
        // a client is gone, it says no, and the lock is kept until the statement ends.
        drop(session.execute_all("set client_connection_check_interval = '1s'").await);
        // Names in users' texts are looked for as pgroll does, and then where extensions mostly are.
        let mut search_path = vec![options.schema.clone()];
        if options.schema != "public" {
            search_path.push("public".to_owned());
        }
        let executor = Executor::new(
            options.server.clone(),
            ExecutorOptions {
                application_name: APPLICATION_NAME.to_owned(),
                search_path,
                role: options.role.clone(),
                has_own_times: true,
                patience: options.patience,
            },
        );
        Ok(Self { options, session, executor })
    }

    /// As [`Roll::connect`], where `init` has run.
    pub async fn open(options: Options) -> Result<Self, RollError> {
        let roll = Self::connect(options).await?;
        let state = roll.state();
        if !state.is_there().await.map_err(RollError::query("look for the state schema"))? {
            return Err(RollError::NotInitialised { state: roll.options.state_schema });
        }
        Ok(roll)
    }

    /// As [`Roll::open`], with the lock of the schema and a history that is up to date.
    pub async fn lock(options: Options) -> Result<Self, RollError> {
        let roll = Self::open(options).await?;
        roll.take_lock().await?;
        let state = roll.state();
        state.complete().await.map_err(RollError::query("make the journal"))?;
        if state.active().await.map_err(RollError::query("read the history"))?.is_none() {
            state.settle().await.map_err(RollError::query("bring the history up to date"))?;
        }
        Ok(roll)
    }

    /// Makes the state schema; may run again.
    pub async fn init(options: Options) -> Result<Capture, RollError> {
        let roll = Self::connect(options).await?;
        roll.state().create().await.map_err(RollError::query(format!(
            "make the state schema {}",
            roll.options.state_schema
        )))
    }

    pub fn state(&self) -> RollState<'_> {
        RollState::new(&self.session, &self.options.state_schema, &self.options.schema)
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The session that reads; `search_path` is empty there.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Nobody else may have begun: the session that holds the lock must be alive.
    pub(super) async fn check_lock(&self) -> Result<(), RollError> {
        let alive = self.session.execute_all("select").await;
        alive.map_err(|source| RollError::LockLost { schema: self.options.schema.clone(), source })
    }

    /// A partition may be dropped while it is worked on.
    pub(super) async fn is_there(&self, relation: &RelationName) -> Result<bool, RollError> {
        let row = self.session.query_one(IS_THERE, &[&relation.sql()]).await;
        let row = row.map_err(|error| RollError::query("look for a table")(error.into()))?;
        Ok(row.get(0))
    }

    async fn take_lock(&self) -> Result<(), RollError> {
        let key = format!("backlot roll {}/{}", self.options.state_schema, self.options.schema);
        for _ in 0..LOCK_TRIES {
            let row = self.session.query_one(TRY_LOCK, &[&key]).await;
            let row = row.map_err(|error| RollError::query("take the lock")(error.into()))?;
            if row.get(0) {
                return Ok(());
            }
            tokio::time::sleep(LOCK_PAUSE).await;
        }
        let holder = self.session.query_opt(HOLDER, &[&key]).await;
        let holder = holder.map_err(|error| RollError::query("take the lock")(error.into()))?;
        Err(RollError::Busy {
            schema: self.options.schema.clone(),
            holder: holder.map_or_else(|| "another process".to_owned(), |row| row.get(0)),
        })
    }
}
