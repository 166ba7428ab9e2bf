//! The applier's session on the target.

use super::error::{ApplyError, StepError};
use crate::pg::{ConnInfo, Error, Wire};
use std::time::Duration;

pub(super) const APPLICATION_NAME: &str = "backlot apply";
/// How long a killed predecessor's session may take to end.
const LEFTOVER_TIMEOUT: Duration = Duration::from_secs(5);

/// - `synchronous_commit = off`: the source is told of a commit only once it is flushed.
/// - Plans: changes are found by key in sets whose size the planner does not know; it is held to
///   nested loops over an index, and to one plan per statement. An index that does not exist
///   still leaves the sequential scan.
const SETTINGS: &str = "set search_path = ''; set synchronous_commit = off; set jit = off; \
     set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_hashjoin = off; \
     set enable_mergejoin = off; set enable_memoize = off; set enable_material = off";

/// A session that a killed predecessor left behind may still be about to commit.
const END_LEFTOVERS: &str = "select pg_catalog.pg_terminate_backend(a.pid, $timeout)::pg_catalog.int4 \
     from pg_catalog.pg_stat_activity a where a.datname = pg_catalog.current_database() \
     and a.application_name = '$name' and a.usename = current_user and a.pid <> pg_catalog.pg_backend_pid()";

/// Whether the target's own constraints and triggers look at what is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// `session_replication_role = replica`: foreign keys are not checked again, and triggers do
    /// not fire unless they were made to (ENABLE ALWAYS or REPLICA).
    Off,
    /// The role may not set that: tables change in source order, deferrable constraints wait for
    /// the commit, the target's triggers fire.
    On,
}

/// Connects, ends what a predecessor left, and only then lets the caller read the checkpoint.
pub(super) fn connect(info: &ConnInfo) -> Result<(Wire, Enforcement), ApplyError> {
    let failed = |error: Error| StepError::from(error).into_connection(None);
    let mut wire = Wire::connect(info, APPLICATION_NAME).map_err(failed)?;
    wire.simple(SETTINGS).map_err(failed)?;
    let enforcement = match wire.simple("set session_replication_role = replica") {
        Ok(_) => Enforcement::Off,
        Err(error) if error.sqlstate() == Some("42501") => Enforcement::On,
        Err(error) => return Err(failed(error)),
    };
    end_leftovers(&mut wire).map_err(failed)?;
    Ok((wire, enforcement))
}

fn end_leftovers(wire: &mut Wire) -> Result<(), Error> {
    let sql = END_LEFTOVERS
        .replace("$timeout", &LEFTOVER_TIMEOUT.as_millis().to_string())
        .replace("$name", APPLICATION_NAME);
    let all_ended = wire.simple(&sql)?.iter().flatten().all(|ended| ended.as_deref() == Some("1"));
    if all_ended {
        return Ok(());
    }
    Err(Error::Timeout {
        what: "the session of an earlier stream to end".into(),
        seconds: LEFTOVER_TIMEOUT.as_secs(),
    })
}
