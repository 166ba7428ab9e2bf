//! What a stream is asked to do.

use crate::pg::{ConnInfo, Lsn};
use crate::sink::apply::OnError;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Options {
    pub source: ConnInfo,
    pub target: ConnInfo,
    /// End once everything is applied that had committed on the source when the stream began.
    pub until_caught_up: bool,
    pub on_error: OnError,
    /// WAL that the slot may keep on the source's disk, in bytes; beyond it the slot is given up.
    pub lag_limit_bytes: Option<u64>,
    /// Rules instead of those that the stream was begun with; tables whose rules differ are
    /// copied again.
    pub config: Option<String>,
    /// Leave out what the source itself received by replication.
    pub skip_foreign_origins: bool,
    /// Go on after a failover of the source.
    pub accept_timeline: bool,
    /// Where large transactions go that memory has no room for; masked rows only.
    pub spill_directory: PathBuf,
    /// Tables without replica identity are copied again this often.
    pub resync_every: Option<Duration>,
}

/// Memory for streamed transactions and for tables that are being copied again, all together.
pub(super) const HELD_BYTES: usize = 64 * 1024 * 1024;
/// Memory for what was read and not yet taken in.
pub(super) const READ_BYTES: usize = 16 * 1024 * 1024;
/// Memory of a transaction on the source, before it is sent while it still runs (64 MB unless the
/// server is set otherwise): so much sooner is its first row masked.
pub(super) const DECODING_BYTES: u32 = 16 * 1024 * 1024;

/// What a stream amounted to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// True if a signal or a request ended it, false if it had caught up.
    pub was_stopped: bool,
    pub checkpoint: Lsn,
    /// Source transactions in the quarantine.
    pub quarantined: u64,
    /// Tables that are not followed.
    pub stale: Vec<String>,
    /// Sequences set at the end.
    pub sequences: usize,
}
