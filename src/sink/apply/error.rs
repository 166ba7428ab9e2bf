//! What can go wrong while changes are applied, by what can be done about it.

use super::CommitPoint;
use crate::catalog::RelationName;
use crate::pg::{self, Lsn};
use std::fmt;

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The target cannot be reached, went away, is full, or another session keeps a lock (then
    /// the relation is named). The connection is not to be used any more: start again from the
    /// checkpoint.
    #[error("apply to the target{}", of(relation.as_ref()))]
    Connection { relation: Option<RelationName>, source: pg::Error },
    /// A source transaction that does not fit the target, under [`OnError::Stop`]; everything
    /// before it is committed.
    #[error("source transaction {poison}")]
    Poison { poison: Box<Poison> },
    /// A part of a large transaction failed: it cannot be replayed from memory. Start again from
    /// the checkpoint and send that transaction by this route.
    #[error("a part of a large transaction failed: {failure}")]
    Restart { failure: Failure, next: NextRoute },
    /// No partition of the target takes a row, and everything before its source transaction is
    /// committed: make those that the source has by now, say so with
    /// [`Applier::partitions_made`](super::Applier::partitions_made), and start again from this
    /// checkpoint.
    #[error("the target lacks a partition: {failure}")]
    NoPartition { failure: Failure, checkpoint: Lsn },
    /// The checkpoint is not where this stream left it: something else moved or removed it.
    #[error("the checkpoint of slot {slot_name} is not where this stream left it")]
    Checkpoint { slot_name: String },
    /// The statements of [`Applier::open_with`](super::Applier::open_with) were in another
    /// session's way: nothing is open, and the same may work again.
    #[error("another session is in the way: {failure}")]
    Locked { failure: Failure },
    /// There is no quarantined transaction of that number.
    #[error("no quarantined transaction {0}")]
    NotQuarantined(i64),
    /// What the quarantine holds cannot be read, for example because a newer backlot wrote it.
    #[error("the quarantined transaction cannot be read: {0}")]
    Quarantine(&'static str),
    /// A quarantined transaction is not masked by the rules that the table is masked by now, as
    /// far as is known, or the table is not followed.
    #[error(
        "its rows of {relation} may not be masked as the table is now: \
         `backlot clone resync {relation}` copies the table again, with what they change"
    )]
    OtherRules { relation: RelationName },
}

/// What the applier does with a source transaction that cannot be applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    #[default]
    Stop,
    /// Stored whole in `backlot.quarantine`, and the stream goes on behind it.
    Quarantine,
}

/// How a group is applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Route {
    /// Set-wise, and row by row if that fails.
    #[default]
    Fast,
    /// Row by row from the beginning.
    Careful,
    /// Not applied: stored in the quarantine, because of this. Only for a group whose changes all
    /// belong to one source transaction.
    Quarantine(Failure),
}

/// How a transaction is sent again after [`ApplyError::Restart`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextRoute {
    Careful,
    Quarantine,
}

/// Why a change could not be applied. Names and conditions, never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The relation on the source.
    pub relation: Option<RelationName>,
    pub sqlstate: Option<String>,
    pub reason: String,
}

/// A source transaction that could not be applied, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poison {
    pub failure: Failure,
    /// None while the end of a large transaction has not come: the sender knows it.
    pub commit: Option<CommitPoint>,
    pub xid: Option<u32>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.relation {
            Some(relation) => write!(f, "{relation}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl fmt::Display for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(xid) = self.xid {
            write!(f, "{xid} ")?;
        }
        if let Some(commit) = self.commit {
            write!(f, "(commit at {}) ", commit.commit_lsn)?;
        }
        write!(f, "cannot be applied: {}", self.failure)
    }
}

fn of(relation: Option<&RelationName>) -> String {
    relation.map(|relation| format!(", table {relation}")).unwrap_or_default()
}

/// A statement that failed, before it is known what that means for the stream.
#[derive(Debug)]
pub(super) struct StepError {
    /// Position in the tables at hand.
    pub table: Option<u32>,
    pub cause: Cause,
}

#[derive(Debug)]
pub(super) enum Cause {
    Database(pg::Error),
    /// A statement changed another number of rows than it had to.
    RowCount {
        expected: u64,
        found: u64,
    },
    /// A change that cannot be written as a statement.
    Refused(&'static str),
}

/// What to do about a [`StepError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// The target is away.
    Connection,
    /// Another session was in the way: the same may work again.
    Contention,
    /// It will fail again.
    Final,
}

impl StepError {
    pub(super) fn refused(table: u32, reason: &'static str) -> Self {
        Self { table: Some(table), cause: Cause::Refused(reason) }
    }

    /// True if it was the checkpoint that was not where it had to be.
    pub(super) fn is_checkpoint(&self) -> bool {
        self.table.is_none() && matches!(self.cause, Cause::RowCount { .. })
    }

    /// True if a row belongs to no partition that the target has: `ExecFindPartition` names no
    /// constraint, as everything else that violates a CHECK does.
    pub(super) fn lacks_partition(&self) -> bool {
        let Cause::Database(pg::Error::Server(error)) = &self.cause else { return false };
        error.sqlstate == "23514" && error.table.is_some() && error.constraint.is_none()
    }

    pub(super) fn severity(&self) -> Severity {
        match &self.cause {
            Cause::Database(error) => match error.sqlstate() {
                Some("40001" | "40P01" | "55P03" | "57014") => Severity::Contention,
                // The server's own disk and files are no fault of a change.
                Some(state) if state.starts_with("58") => Severity::Connection,
                Some(_) if !error.is_connection() && error.retry() == pg::Retry::Never => {
                    Severity::Final
                }
                // Resources that are short for the moment are waited for like a server that is away.
                Some(_) | None => Severity::Connection,
            },
            Cause::RowCount { .. } | Cause::Refused(_) => Severity::Final,
        }
    }

    pub(super) fn failure(&self, relation: Option<RelationName>) -> Failure {
        let (sqlstate, reason) = match &self.cause {
            Cause::Database(error) => (error.sqlstate().map(str::to_owned), error.to_string()),
            Cause::RowCount { expected, found } => {
                (None, format!("{found} rows of the target match where there should be {expected}"))
            }
            Cause::Refused(reason) => (None, (*reason).to_owned()),
        };
        Failure { relation, sqlstate, reason }
    }

    pub(super) fn into_connection(self, relation: Option<RelationName>) -> ApplyError {
        let source = match self.cause {
            Cause::Database(error) => error,
            Cause::RowCount { .. } | Cause::Refused(_) => {
                pg::Error::Protocol("a failure that is none of the connection's")
            }
        };
        ApplyError::Connection { relation, source }
    }
}

impl From<pg::Error> for StepError {
    fn from(error: pg::Error) -> Self {
        Self { table: None, cause: Cause::Database(error) }
    }
}
