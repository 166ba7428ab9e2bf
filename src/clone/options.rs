//! What a clone is asked to do.

use crate::pg::{ConnInfo, Format};
use crate::source::Keeper;
use secrecy::SecretString;
use std::path::PathBuf;

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
}

/// Ranges of about this much heap: large enough that starting one costs nothing, small enough
/// that a killed clone repeats little.
pub const RANGE_BYTES: u64 = 32 * 1024 * 1024;
