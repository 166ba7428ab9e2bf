//! What can go wrong with a verification, one variant per thing that can be done about it.
//! That the target differs is no error: it is the result.

use crate::pg::Error;
use crate::source::SnapshotError;
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
pub enum VerifyError {
    #[error("connect to the {side}")]
    Connect { side: Side, source: Error },
    #[error("{doing}")]
    Query { doing: &'static str, source: Error },
    #[error("the target knows of no finished clone and of no stream")]
    NothingToVerify,
    #[error("the target was made from another {what}")]
    OtherOrigin { what: &'static str },
    #[error("the rules that the target was made by do not fit the source ({} problems)", .0.len())]
    Config(Vec<Diagnostic>),
    #[error("{0}")]
    Subset(String),
    #[error("no table of the target's rules matches {0}")]
    NoSuchTable(String),
    #[error("take a snapshot of the {side}")]
    Snapshot { side: Side, source: SnapshotError },
    #[error("the stream of this target is not running")]
    NoStream,
    #[error("the stream did not answer within {seconds} s")]
    MarkTimeout { seconds: u64 },
    #[error("the stream could not mark a position on both sides: {reason}")]
    MarkFailed { reason: String },
    #[error("read {relation} of the {side}")]
    Read { relation: String, side: Side, source: Error },
    #[error("mask {relation}")]
    Mask { relation: String, source: StageError },
    #[error("{relation} of the {side} is not sent as it was asked for")]
    Rows { relation: String, side: Side },
    #[error("draw a key for the digests")]
    Random(#[source] std::io::Error),
    #[error("a worker thread panicked")]
    Panicked,
}

impl VerifyError {
    pub(super) fn query(doing: &'static str) -> impl FnOnce(Error) -> Self {
        move |source| Self::Query { doing, source }
    }
}
