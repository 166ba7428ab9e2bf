//! What a clone is asked to do.

use crate::pg::{ConnInfo, Format};
use crate::source::Keeper;
use crate::transform::spec::Placed;
use secrecy::SecretString;
use std::path::PathBuf;
use std::time::Duration;

/// The PostgreSQL client programs that carry the schema.
#[derive(Clone, Debug)]
pub struct Tools {
    pub pg_dump: PathBuf,
    pub pg_restore: PathBuf,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub source: ConnInfo,
    /// The source's URL as given, for the snapshot keeper's standard input.
    pub source_url: SecretString,
    pub target: ConnInfo,
    pub tools: Tools,
    /// Hash of what the user asked for: the configuration file and the flags that change it.
    pub config_hash: String,
    pub keeper: Keeper,
    /// Pairs of connections that copy at the same time, and parallel index builds.
    pub jobs: usize,
    /// Put the clone in the place of a target that holds data, once it is complete.
    pub replace: bool,
    /// Drop what an interrupted run left and begin anew.
    pub restart: bool,
    /// Restore owners and grants.
    pub with_owner: bool,
    /// Copy in this format even where binary would do.
    pub format: Option<Format>,
    /// Bytes of heap per range.
    pub range_bytes: u64,
    /// Make the clone the beginning of a stream. The keeper is a process then, which takes slot
    /// and publications away if no stream comes of it.
    pub follow: Option<Follow>,
}

/// What `--follow` needs to know.
#[derive(Clone, Debug, Default)]
pub struct Follow {
    /// Instead of a name made from the target.
    pub slot_name: Option<String>,
    /// Made by an owner beforehand, as the configuration names them; empty: backlot makes its own.
    pub publications: Vec<Placed<String>>,
    /// The configuration's name, for messages.
    pub config_file: String,
    /// Have the slot synchronised to standbys (17 and newer).
    pub failover: bool,
    /// Longest wait for the transactions that hold the slot up.
    pub slot_wait: Duration,
}

/// Longest wait for the transactions that hold up a new slot, unless asked otherwise.
pub const SLOT_WAIT: Duration = Duration::from_mins(5);

/// Ranges of about this much heap: large enough that starting one costs nothing, small enough
/// that a killed clone repeats little.
pub const RANGE_BYTES: u64 = 32 * 1024 * 1024;
