//! The history of a schema: its migrations, those of files, those found, and baselines.

use super::{Outcome, RollState};
use crate::pg::Error;
use tokio_postgres::Row;

const COLUMNS: &str = "m.name, m.migration::text as migration, m.done, m.parent, \
     coalesce(m.migration_type, 'pgroll') as migration_type, m.created_at::text as created_at";

/// Oldest first, by parent: what has no way to a first migration is left out.
const HISTORY: &str = "with recursive line(name, age) as ( \
     select m.name, 0 from @state@.migrations m where m.schema = $1::text and m.parent is null \
     union all select m.name, line.age + 1 from line \
     join @state@.migrations m on m.schema = $1::text and m.parent = line.name) \
     select @columns@ from line join @state@.migrations m on m.schema = $1::text and m.name = line.name \
     order by line.age";

const BEGIN: &str = "insert into @state@.migrations (schema, name, parent, migration) \
     values ($1::text, $2, @state@.latest_migration($1::text), $3::text::jsonb)";

const BASELINE: &str = "insert into @state@.migrations (schema, name, parent, migration, done, migration_type, resulting_schema) \
     values ($1::text, $2, @state@.latest_migration($1::text), $3::text::jsonb, true, 'baseline', @state@.read_schema($1::text))";

const FINISH: &str = "update @state@.migrations set done = true, updated_at = pg_catalog.clock_timestamp(), \
     resulting_schema = @state@.read_schema($1::text) where schema = $1::text and name = $2 and not done";

/// pgroll replays a rollback on the document of the migration before: only the newest is ever read.
const FILL: &str = "update @state@.migrations set resulting_schema = @state@.read_schema($1::text) \
     where schema = $1::text and name = @state@.latest_migration($1::text) and done \
     and migration_type = 'inferred' and resulting_schema = '{}'";

const CAPTURED: &str = "delete from @state@.backlot_captured c where c.schema = $1::text and c.id = ( \
     select pg_catalog.min(o.id) from @state@.backlot_captured o where o.schema = $1::text) \
     returning c.statement, c.captured_at::text";

/// Where a migration came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// DDL of others, noted by the event triggers.
    Inferred,
    /// The schema as it was when the history began anew.
    Baseline,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "pgroll",
            Self::Inferred => "inferred",
            Self::Baseline => "baseline",
        }
    }
}

/// One migration of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub name: String,
    /// As pgroll keeps it: `{"operations": […], "version_schema": …}`.
    pub migration: String,
    pub is_done: bool,
    pub parent: Option<String>,
    pub kind: Kind,
    pub created_at: String,
}

impl Record {
    fn of(row: &Row) -> Self {
        Self {
            name: row.get("name"),
            migration: row.get("migration"),
            is_done: row.get("done"),
            parent: row.get("parent"),
            kind: match row.get("migration_type") {
                "inferred" => Kind::Inferred,
                "baseline" => Kind::Baseline,
                // The column's check knows no fourth.
                _ => Kind::File,
            },
            created_at: row.get("created_at"),
        }
    }
}

impl RollState<'_> {
    /// All migrations of the schema, oldest first.
    pub async fn history(&self) -> Result<Vec<Record>, Error> {
        let sql = self.sql(HISTORY).replace("@columns@", COLUMNS);
        let rows = self.session.query(&sql, &[&self.schema]).await?;
        Ok(rows.iter().map(Record::of).collect())
    }

    /// The migration between start and complete, if there is one.
    pub async fn active(&self) -> Result<Option<Record>, Error> {
        let sql = format!(
            "select {COLUMNS} from @state@.migrations m where m.schema = $1::text and not m.done"
        );
        let row = self.session.query_opt(&self.sql(&sql), &[&self.schema]).await?;
        Ok(row.as_ref().map(Record::of))
    }

    /// The newest version whose schema exists.
    pub async fn latest_version(&self) -> Result<Option<String>, Error> {
        let sql = self.sql("select @state@.latest_version($1::text)");
        Ok(self.session.query_one(&sql, &[&self.schema]).await?.get(0))
    }

    /// The version before the newest whose schema exists.
    pub async fn previous_version(&self) -> Result<Option<String>, Error> {
        let sql = self.sql("select @state@.previous_version($1::text)");
        Ok(self.session.query_one(&sql, &[&self.schema]).await?.get(0))
    }

    /// The tables of the schema, as pgroll writes them down.
    pub async fn read_schema(&self) -> Result<String, Error> {
        let sql = self.sql("select @state@.read_schema($1::text)::text");
        Ok(self.session.query_one(&sql, &[&self.schema]).await?.get(0))
    }

    /// True if the schema holds a table, or a view that is not a version's.
    pub async fn holds_tables(&self) -> Result<bool, Error> {
        let sql = "select exists (select from pg_catalog.pg_class c \
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
             where n.nspname = $1::text and c.relkind in ('r', 'p'))";
        Ok(self.session.query_one(sql, &[&self.schema]).await?.get(0))
    }

    /// Adds a migration that begins. Belongs into the transaction of [`RollState::keep_plan`].
    pub(super) async fn begin(&self, name: &str, migration: &str) -> Result<(), Error> {
        self.session.execute(&self.sql(BEGIN), &[&self.schema, &name, &migration]).await?;
        Ok(())
    }

    pub async fn baseline(&self, name: &str, migration: &str) -> Result<(), Error> {
        self.session.execute(&self.sql(BASELINE), &[&self.schema, &name, &migration]).await?;
        Ok(())
    }

    /// Notes that a migration is complete.
    pub async fn finish(&self, name: &str) -> Result<(), Error> {
        self.session.execute_all("begin").await?;
        self.session.execute(&self.sql(FINISH), &[&self.schema, &name]).await?;
        let run = self.sql("delete from @state@.backlot_run where schema = $1::text and name = $2");
        self.session.execute(&run, &[&self.schema, &name]).await?;
        self.note_outcome(name, Outcome::Completed).await?;
        self.session.execute_all("commit").await
    }

    /// Forgets a migration that was rolled back, with its journal.
    pub async fn forget(&self, name: &str) -> Result<(), Error> {
        self.session.execute_all("begin").await?;
        let sql = self.sql(
            "delete from @state@.migrations where schema = $1::text and name = $2 and not done",
        );
        self.session.execute(&sql, &[&self.schema, &name]).await?;
        self.note_outcome(name, Outcome::RolledBack).await?;
        self.session.execute_all("commit").await
    }

    /// Brings the history up to date with what the event triggers left for later. Only while no
    /// migration is active, under the lock of the schema.
    pub async fn settle(&self) -> Result<(), Error> {
        while let Some(row) = self.session.query_opt(&self.sql(CAPTURED), &[&self.schema]).await? {
            let (statement, at): (&str, &str) = (row.get(0), row.get(1));
            let note =
                self.sql("select @state@.note_inferred($1::text, $2, $3::text::timestamptz)");
            self.session.execute(&note, &[&self.schema, &statement, &at]).await?;
        }
        self.session.execute(&self.sql(FILL), &[&self.schema]).await?;
        Ok(())
    }
}
