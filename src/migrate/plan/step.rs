//! Steps: the unit that the executor runs, records in its journal and can take back.

use crate::catalog::RelationName;
use crate::migrate::plan::Check;
use serde::{Deserialize, Serialize};

/// All that a migration does, from the first statement to the last.
///
/// Every name in the statements is qualified, but the texts of the user's own expressions are as
/// they stand in the file: run all statements with `search_path` set to [`Plan::schema`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The schema that is migrated, `public`.
    pub schema: String,
    /// The schema of the new version's views, `public_02_add_column`.
    pub version_schema: String,
    /// The schema of the old version's views, which complete drops.
    #[serde(default)]
    pub previous: Option<String>,
    /// Statements by which the server judges the user's expressions before anything is changed.
    pub checks: Vec<Check>,
    /// Expand, before the backfill: tables, columns with their checks and trigger, indexes.
    pub start: Vec<Step>,
    /// One entry a table, in the order in which they must be filled.
    pub backfill: Vec<Backfill>,
    /// Expand, after the backfill: validations of what was added, so that complete needs no scan.
    pub validate: Vec<Step>,
    /// The new version's schema and views. Empty if the migration runs without version schemas.
    pub views: Vec<Step>,
    /// True if `start` holds SQL whose effect only the server knows: load the schema again after
    /// `start` and take the views from [`crate::migrate::plan`] instead of [`Plan::views`].
    pub must_reload: bool,
    /// True if `complete` runs SQL whose effect only the server knows: load the schema again after
    /// it and run [`crate::migrate::plan::refreshed_views`].
    #[serde(default)]
    pub must_refresh: bool,
    /// Contract. The old version's schema is dropped last.
    pub complete: Vec<Step>,
    /// Takes back everything that start did, also when start got only half way.
    pub rollback: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Stable within the migration: `start/0002/add-column`.
    pub id: String,
    /// Index in the migration's operations; `None`: of several or of the migration as a whole.
    pub operation: Option<usize>,
    /// Run in order.
    pub statements: Vec<String>,
    pub mode: Mode,
    /// Locks on user tables, strongest first.
    pub locks: Vec<Lock>,
    pub cost: Cost,
    /// False: once this step ran, rollback is refused.
    pub is_reversible: bool,
    pub is_done: Probe,
    /// What takes the step back; idempotent. Empty in steps of complete and rollback.
    pub undo: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// All statements in one transaction, together with the journal's note.
    Transaction,
    /// One `CREATE INDEX CONCURRENTLY`, outside of a transaction. An invalid index of this name is
    /// what a failed attempt left: drop it and build again.
    BuildIndex {
        index: RelationName,
        /// The partition that it is of: if that is gone, nothing is built.
        #[serde(default)]
        partition: Option<RelationName>,
    },
    /// `DROP INDEX CONCURRENTLY IF EXISTS`, outside of a transaction.
    DropIndex { index: RelationName },
    /// The user's own SQL, one simple query. In a transaction with the journal's note if the
    /// server lets it (25001: it does not), else by itself.
    Script,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    pub relation: RelationName,
    pub mode: LockMode,
}

/// Weakest first (lockdefs.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockMode {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

impl LockMode {
    pub fn as_str(self) -> &'static str {
        match self {
            LockMode::AccessShare => "ACCESS SHARE",
            LockMode::RowShare => "ROW SHARE",
            LockMode::RowExclusive => "ROW EXCLUSIVE",
            LockMode::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            LockMode::Share => "SHARE",
            LockMode::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            LockMode::Exclusive => "EXCLUSIVE",
            LockMode::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// True if writers wait for it.
    pub fn blocks_writes(self) -> bool {
        self >= LockMode::Share
    }
}

/// What a step costs while it holds its locks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cost {
    /// Catalog rows only: milliseconds, whatever the table's size.
    Metadata,
    /// Reads the whole table.
    Scan { relation: RelationName },
    /// Writes the whole table anew.
    Rewrite { relation: RelationName },
    /// Builds an index over the whole table.
    Build { relation: RelationName },
    /// Only the server knows: the user's own SQL.
    Unknown,
}

/// A query that gives one boolean: is the step's effect there?
///
/// It tells after a crash whether a step outside of a transaction has run. `None`: the journal
/// alone knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe(pub Option<String>);

/// New columns of one table, filled set-wise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// `backfill/public.users`.
    pub id: String,
    pub table: RelationName,
    /// All in one UPDATE; the last sets the marker column to false.
    pub assignments: Vec<Assignment>,
    pub key: Key,
    /// Rows still to do: `"_pgroll_needs_backfill"`. A row that leaves the range walked while it
    /// is walked is filled by the trigger, so that a pass over all ranges leaves none.
    pub only_where: Option<String>,
    /// Leaves that hold the rows of a partitioned table; empty for an ordinary one.
    pub partitions: Vec<RelationName>,
    /// The sync trigger: it steps aside for an update that sets the marker from true to false.
    pub trigger: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Physical name, unquoted.
    pub column: String,
    /// SQL over the columns of the row that is updated, unqualified.
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// Columns of a unique index without NULLs, in index order.
    Columns(Vec<String>),
    /// No such index: ranges of pages.
    Ctid,
}

impl Step {
    /// One transaction of metadata changes.
    pub(super) fn transaction(
        id: String,
        operation: Option<usize>,
        statements: Vec<String>,
        locks: Vec<Lock>,
    ) -> Self {
        Self {
            id,
            operation,
            statements,
            mode: Mode::Transaction,
            locks,
            cost: Cost::Metadata,
            is_reversible: true,
            is_done: Probe(None),
            undo: Vec::new(),
        }
    }

    pub(super) fn undone_by(mut self, undo: Vec<String>) -> Self {
        self.undo = undo;
        self
    }

    pub(super) fn at_cost(mut self, cost: Cost) -> Self {
        self.cost = cost;
        self
    }

    pub(super) fn irreversible(mut self) -> Self {
        self.is_reversible = false;
        self
    }
}
