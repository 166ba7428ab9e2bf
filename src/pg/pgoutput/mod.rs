//! The pgoutput protocol, versions 1 to 4: bytes of one message in, a borrowed [`Message`] out.
//!
//! Sans-IO, no allocation per row: a [`Tuple`] is a slice that is walked when needed. Never
//! panics, whatever the bytes. Prepared transactions (version 3) are not asked for and not read.
//! Source: <https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html>,
//! proto.c.

mod cursor;
mod decode;
mod tuple;

#[cfg(test)]
mod tests;

pub use decode::Decoder;
pub use tuple::{Columns, Datum, Kinds, Tuple};

use crate::pg::{Lsn, Oid};
use std::fmt;

/// Bytes that are no pgoutput message. Says which part, never what stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("a {0} message is cut short")]
    Short(&'static str),
    #[error("a message of an unknown kind")]
    UnknownKind,
    #[error("a {0} message that cannot be read")]
    Malformed(&'static str),
}

/// `xid` of a change inside a streamed transaction's block: the subtransaction that made it.
/// None outside of such blocks.
pub type StreamedXid = Option<u32>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Begin(Begin),
    Commit(Commit),
    Origin {
        origin_lsn: Lsn,
        name: &'a str,
    },
    Relation {
        xid: StreamedXid,
        relation: Relation<'a>,
    },
    Type {
        xid: StreamedXid,
    },
    Insert {
        xid: StreamedXid,
        relation: Oid,
        new: Tuple<'a>,
    },
    Update {
        xid: StreamedXid,
        relation: Oid,
        old: Option<OldTuple<'a>>,
        new: Tuple<'a>,
    },
    Delete {
        xid: StreamedXid,
        relation: Oid,
        old: OldTuple<'a>,
    },
    Truncate {
        xid: StreamedXid,
        truncate: Truncate<'a>,
    },
    Logical(Logical<'a>),
    StreamStart {
        xid: u32,
        is_first: bool,
    },
    StreamStop,
    StreamCommit {
        xid: u32,
        commit: Commit,
    },
    /// The whole transaction if both are equal.
    StreamAbort {
        xid: u32,
        subxid: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Where the commit record starts.
    pub commit_lsn: Lsn,
    /// Microseconds since 2000-01-01 UTC.
    pub commit_time: i64,
    pub xid: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Where the commit record starts. A transaction is in a slot's snapshot exactly if this is
    /// below the slot's consistent point (snapbuild.c `SnapBuildXactNeedsSkip`).
    pub commit_lsn: Lsn,
    /// Where the commit record ends: what is acknowledged once the transaction is applied.
    pub end_lsn: Lsn,
    /// Microseconds since 2000-01-01 UTC.
    pub commit_time: i64,
}

/// The row before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldTuple<'a> {
    /// The columns of the replica identity; all others are null (`K`).
    Key(Tuple<'a>),
    /// The whole row: REPLICA IDENTITY FULL (`O`).
    Full(Tuple<'a>),
}

impl<'a> OldTuple<'a> {
    pub fn tuple(self) -> Tuple<'a> {
        match self {
            Self::Key(tuple) | Self::Full(tuple) => tuple,
        }
    }
}

/// `relreplident` of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaIdentity {
    /// The primary key, if there is one.
    Default,
    Nothing,
    Full,
    Index,
}

/// Name and columns of a relation, sent before its first change in a session and again when it
/// may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation<'a> {
    pub oid: Oid,
    /// Empty for `pg_catalog`.
    pub schema: &'a str,
    pub name: &'a str,
    pub replica_identity: ReplicaIdentity,
    columns: &'a [u8],
    column_count: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelationColumn<'a> {
    /// Part of the replica identity; true of every column under FULL.
    pub is_key: bool,
    pub name: &'a str,
    pub type_oid: Oid,
    pub type_modifier: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncate<'a> {
    pub cascade: bool,
    pub restart_identity: bool,
    relations: &'a [u8],
}

/// A message of `pg_logical_emit_message`. Applications put rows into it (outbox tables without
/// the table): `Debug` prints the shape only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Logical<'a> {
    pub xid: StreamedXid,
    pub is_transactional: bool,
    pub lsn: Lsn,
    pub prefix: &'a str,
    pub content: &'a [u8],
}

impl fmt::Debug for Logical<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logical")
            .field("xid", &self.xid)
            .field("is_transactional", &self.is_transactional)
            .field("lsn", &self.lsn)
            .field("prefix", &self.prefix)
            .field("content", &format_args!("{} bytes", self.content.len()))
            .finish()
    }
}
