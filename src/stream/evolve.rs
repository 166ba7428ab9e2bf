//! Changes of the source's schema: the target's tables are altered as the source's were.
//!
//! What is known of a table (`backlot.stream_column`) is compared with the source's catalog. Where
//! the difference says nothing of the rows that are there (columns dropped, renamed, added
//! without values), the target is altered between two transactions, exactly where the source
//! first sends the new shape. Any other difference is made good by copying the table again.

use super::rules::Rules;
use crate::catalog::{Column, KnownColumn, RelationName, Table};
use crate::ddl::{ExecuteError, Executor, ExecutorOptions, Patience, SchemaChange, Work, changes};
use crate::pg::{ConnInfo, Error, Session};
use crate::pii::origin;
use crate::state::known_statements;
use std::collections::HashSet;
use std::time::Duration;

/// Readers of the target wait behind a change for no longer, and the stream stands still for no
/// longer than all the tries take.
const PATIENCE: Patience = Patience {
    lock_timeout: Duration::from_millis(500),
    attempts: 20,
    first_pause: Duration::from_millis(50),
    longest_pause: Duration::from_secs(1),
    build_limit: Duration::from_mins(1),
};
/// Columns whose old rows have values that were never sent.
const FILLED: &str = "select a.attname::text from pg_catalog.pg_attribute a where a.attrelid = $1 \
     and a.attnum > 0 and not a.attisdropped and (a.atthasmissing or a.atthasdef or a.attidentity <> '')";

/// How a table of the target is to be changed, and what is known of it then.
pub(super) struct Evolution {
    /// The table, or the root of its partitions.
    pub(super) root: RelationName,
    pub(super) changes: Vec<SchemaChange>,
    pub(super) known: Vec<KnownColumn>,
}

impl Evolution {
    /// None if the target has what the source's catalog shows, or nothing is known of it.
    pub(super) fn of(rules: &Rules, name: &RelationName) -> Option<Self> {
        let root = rules.root(name)?;
        let before = rules.known.get(&root.name)?;
        let known = current(root, before);
        let changes = changes(before, &known);
        (!changes.is_empty()).then(|| Self { root: root.name.clone(), changes, known })
    }

    /// True if the rows that are there are as the source's are, once the table is altered.
    pub(super) async fn keeps_rows(&self, rules: &Rules, source: &ConnInfo) -> Result<bool, Error> {
        let mut added = HashSet::new();
        for change in &self.changes {
            match change {
                SchemaChange::AlterType { .. } => return Ok(false),
                SchemaChange::AddColumn { name, .. } => {
                    added.insert(name.as_str());
                }
                SchemaChange::DropColumn { .. } | SchemaChange::RenameColumn { .. } => {}
            }
        }
        let Some(root) = rules.root(&self.root).filter(|_| !added.is_empty()) else {
            return Ok(true);
        };
        let session = Session::connect(source, super::run::NAME).await?;
        let filled = session.query(FILLED, &[&root.oid.0]).await?;
        Ok(!filled.iter().any(|row| added.contains(row.get::<_, &str>(0))))
    }

    pub(super) fn only_adds(&self) -> bool {
        self.changes.iter().all(|change| matches!(change, SchemaChange::AddColumn { .. }))
    }

    pub(super) fn adds(&self) -> bool {
        self.changes.iter().any(|change| matches!(change, SchemaChange::AddColumn { .. }))
    }

    /// For people.
    pub(super) fn describe(&self) -> String {
        let changes = self.changes.iter().map(SchemaChange::describe).collect::<Vec<_>>();
        format!("{}: {}", self.root, changes.join(", "))
    }

    /// Why the target could not be altered, for people.
    pub(super) fn refused(&self, error: &ExecuteError) -> String {
        format!("{}: the target cannot be altered so: {}", self.describe(), cause(error))
    }

    /// Alters the target's table; `notes` are written in the same transaction.
    pub(super) async fn run(
        &self,
        target: &ConnInfo,
        notes: Vec<String>,
    ) -> Result<(), ExecuteError> {
        let mut statements =
            self.changes.iter().map(|change| change.statement(&self.root)).collect::<Vec<_>>();
        statements.extend(known_statements(&self.root, &self.known));
        statements.extend(notes);
        alter(&mut executor(target), "follow a change of the schema", &statements).await
    }
}

/// For changes of the target's tables.
pub(super) fn executor(target: &ConnInfo) -> Executor {
    Executor::new(
        target.clone(),
        ExecutorOptions {
            application_name: super::run::NAME.to_owned(),
            search_path: vec!["pg_catalog".to_owned()],
            role: None,
            has_own_times: false,
            patience: PATIENCE,
        },
    )
}

/// Runs the statements of a step in one transaction. After a crash it is found out anew what is
/// left to do: nothing is noted.
pub(super) async fn alter(
    executor: &mut Executor,
    step: &str,
    statements: &[String],
) -> Result<(), ExecuteError> {
    let work = Work {
        step,
        statements,
        claim: "update backlot.checkpoint set updated_at = updated_at",
        announcement: "",
        conclusion: "",
        message: None,
    };
    executor.run(&work).await.map(drop)
}

/// Why the target refuses a change, for people.
pub(super) fn cause(error: &ExecuteError) -> String {
    error.server().map_or_else(|| error.to_string(), ToString::to_string)
}

/// What is known of a table that is as the source's is now.
pub(super) fn current(table: &Table, before: &[KnownColumn]) -> Vec<KnownColumn> {
    let known = |column: &Column| KnownColumn {
        number: column.number,
        name: column.name.clone(),
        type_name: column.type_name.clone(),
        origin: origin(column, table, before),
    };
    table.copied_columns().map(|(_, column)| known(column)).collect()
}
