//! What can go wrong with a clone, one variant per thing that can be done about it.

use super::upstream::FollowError;
use crate::pg::Error;
use crate::sink::Occupant;
use crate::source::SnapshotError;
use crate::table_sync::RangeError;
use crate::transform::spec::Diagnostic;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Source,
    Target,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CloneError {
    #[error("connect to the {side}")]
    Connect { side: Side, source: Error },
    #[error("{doing}")]
    Query { doing: &'static str, source: Error },
    #[error("source and target are the same database")]
    SameDatabase,
    #[error("the target holds data: {}", list(.0))]
    TargetNotEmpty(Vec<Occupant>),
    #[error("the role {role} may not replace the target: it {lacks}")]
    MayNotReplace { role: String, lacks: &'static str },
    #[error("another clone or stream is working on this target")]
    TargetBusy,
    #[error("the {side} is PostgreSQL {major}; {needed}")]
    Version { side: Side, major: u32, needed: String },
    #[error("the role may not read {}", .0.join(", "))]
    Unreadable(Vec<String>),
    #[error("row security hides rows of {} from the role", .0.join(", "))]
    RowSecurity(Vec<String>),
    #[error("the configuration does not fit the source ({} problems)", .0.len())]
    Config(Vec<Diagnostic>),
    #[error("{0}")]
    Subset(String),
    #[error("{0}")]
    NoSuchTable(String),
    #[error("sample table {table}")]
    Sample { table: String, source: Error },
    #[error("the target holds an unfinished clone with another {what}")]
    OtherRun { what: &'static str },
    #[error(transparent)]
    Snapshot(SnapshotError),
    #[error("cannot run {program}")]
    Tool { program: String, source: std::io::Error },
    #[error("{program} failed while {doing}: {}", .messages.join("; "))]
    Schema { program: &'static str, doing: &'static str, messages: Vec<String> },
    #[error("copy {relation}")]
    Range { relation: String, source: RangeError },
    #[error("{} is truncated or rewritten on the source again and again while it is copied", .0.join(", "))]
    Overtaken(Vec<String>),
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error(transparent)]
    Bring(#[from] super::bring::BringError),
    #[error("interrupted")]
    Interrupted,
    #[error("a worker thread panicked")]
    Panicked,
}

impl CloneError {
    /// True if one statement of several locked another out, and nothing else went wrong.
    pub(super) fn is_deadlock(&self) -> bool {
        let Self::Schema { messages, .. } = self else { return false };
        !messages.is_empty() && messages.iter().all(|message| message.contains("deadlock detected"))
    }

    pub(super) fn query(doing: &'static str) -> impl FnOnce(Error) -> Self {
        move |source| Self::Query { doing, source }
    }
}

fn list(occupants: &[Occupant]) -> String {
    let shown = occupants
        .iter()
        .take(5)
        .map(|occupant| occupant.name.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    if occupants.len() > 5 { format!("{shown}, …") } else { shown }
}
