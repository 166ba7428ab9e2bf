//! What can go wrong with a stream, one variant per thing that can be done about it.

use crate::catalog::RelationName;
use crate::pg::{Error, Lsn, Retry};
use crate::sink::apply::ApplyError;
use crate::table_sync::RangeError;
use crate::transform::StageError;
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
pub enum StreamError {
    #[error("{doing}")]
    Server { side: Side, doing: &'static str, source: Error },
    #[error("no stream feeds this target")]
    NotFollowed,
    #[error("another clone or stream is working on this target")]
    TargetBusy,
    #[error("the stream was begun with another {what}")]
    OtherRun { what: &'static str },
    /// The slot cannot be gone on with; says why and what to do.
    #[error("{reason}")]
    Slot { reason: String, remedy: String },
    #[error("the replication slot {slot_name} is held by {holder}")]
    SlotBusy { slot_name: String, holder: String },
    #[error(
        "the slot {slot_name} kept {retained_bytes} bytes of WAL on the source, {limit_bytes} are allowed: \
         it was given up{}", left(*.is_dropped)
    )]
    GivenUp { slot_name: String, retained_bytes: u64, limit_bytes: u64, is_dropped: bool },
    #[error("the configuration does not fit the source ({} problems)", .0.len())]
    Config(Vec<Diagnostic>),
    #[error("{relation}.{column} is of the replica identity: {reason}")]
    Identity { relation: String, column: String, reason: &'static str },
    #[error("{0}")]
    Apply(ApplyError),
    #[error("mask a row of {relation}")]
    Mask { relation: String, commit_lsn: Lsn, source: StageError },
    #[error("the source's stream cannot be read: {0}")]
    Protocol(String),
    #[error("put a large transaction away")]
    Spill(#[source] std::io::Error),
    #[error("start a thread")]
    Thread(#[source] std::io::Error),
    #[error("copy the table again")]
    Copy(#[source] RangeError),
    #[error("{0}")]
    Resync(String),
    /// Somebody waited for the stream, and it ended for a reason of its own.
    #[error("the stream ended")]
    Ended,
    #[error("{0} was truncated or rewritten on the source while it was copied")]
    Overtaken(RelationName),
    /// What was changed while a table was copied does not fit the copy.
    #[error("{0}")]
    Reshaped(String),
    #[error("a thread of the stream panicked")]
    Panicked,
}

fn left(is_dropped: bool) -> &'static str {
    if is_dropped { "" } else { ", and could not be dropped" }
}

impl StreamError {
    pub(super) fn source(doing: &'static str) -> impl FnOnce(Error) -> Self {
        move |source| Self::Server { side: Side::Source, doing, source }
    }

    pub(super) fn target(doing: &'static str) -> impl FnOnce(Error) -> Self {
        move |source| Self::Server { side: Side::Target, doing, source }
    }

    /// True if another session holds a lock that was waited for.
    pub(super) fn is_lock(&self) -> bool {
        let (Self::Server { source, .. }
        | Self::Copy(RangeError::Source(source) | RangeError::Target(source))) = self
        else {
            return false;
        };
        matches!(source.sqlstate(), Some("55P03" | "40P01"))
    }

    /// True if the same may work later: a server is away, full, or still holds what a lost
    /// connection held.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Server { source, .. } => source.retry() != Retry::Never,
            Self::Copy(RangeError::Source(error) | RangeError::Target(error)) => {
                error.retry() != Retry::Never
            }
            Self::Copy(RangeError::Interrupted)
            | Self::Ended
            | Self::Apply(ApplyError::Connection { .. })
            | Self::SlotBusy { .. } => true,
            Self::NotFollowed
            | Self::TargetBusy
            | Self::OtherRun { .. }
            | Self::Slot { .. }
            | Self::GivenUp { .. }
            | Self::Config(_)
            | Self::Identity { .. }
            | Self::Apply(_)
            | Self::Mask { .. }
            | Self::Protocol(_)
            | Self::Spill(_)
            | Self::Thread(_)
            // Only a range with a journal can be done already; a resync has none.
            | Self::Copy(RangeError::Mask(_) | RangeError::Reshaped | RangeError::AlreadyDone)
            | Self::Resync(_)
            | Self::Overtaken(_)
            | Self::Reshaped(_)
            | Self::Panicked => false,
        }
    }
}
