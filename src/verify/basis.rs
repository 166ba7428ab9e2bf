//! What the target says of itself: the rules that it was made by, and who follows the source.

use super::error::VerifyError;
use crate::catalog::RelationName;
use crate::pg::{Error, Session};
use crate::state::{Phase, Run, StreamRecord};
use crate::transform::key::RootKey;
use crate::transform::op;
use std::collections::HashMap;

const TABLE_STATES: &str = "select relation, state, reason, changed_at::text as since \
     from backlot.stream_table where state <> 'streaming'";
const QUARANTINED: &str = "select pg_catalog.count(*) from backlot.quarantine";
const IDENTITY: &str = "select system_identifier::text, pg_catalog.current_database()::text \
     from pg_catalog.pg_control_system()";

/// The rules of a target, and how it is kept up.
pub(super) struct Basis {
    /// The effective transforms.yaml.
    pub(super) config: String,
    /// The slot of the stream that feeds it.
    pub(super) slot: Option<String>,
    /// When the clone was finished, if nothing follows the source since.
    pub(super) cloned_at: Option<String>,
}

/// What a stream says of the tables that it does not simply follow; read in the target's
/// snapshot.
#[derive(Default)]
pub(super) struct Followed {
    states: HashMap<String, String>,
    /// Transactions that could not be applied.
    pub(super) quarantined: u64,
}

impl Followed {
    /// Why a table need not be what the rules make of the source.
    pub(super) fn exception(&self, name: &RelationName) -> Option<&str> {
        self.states.get(&name.to_string()).map(String::as_str)
    }

    pub(super) async fn read(target: &Session) -> Result<Self, VerifyError> {
        let failed = |error: tokio_postgres::Error| {
            VerifyError::query("read the state of the stream's tables")(Error::from(error))
        };
        let mut states = HashMap::new();
        for row in target.query(TABLE_STATES, &[]).await.map_err(failed)? {
            let (state, since): (String, String) = (row.get("state"), row.get("since"));
            let reason: Option<String> = row.get("reason");
            let what = match state.as_str() {
                "insert_only" => "only INSERT and TRUNCATE are followed",
                "resyncing" => "being copied again",
                _ => "not followed", // stale, and what a newer backlot may call it
            };
            let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
            states.insert(row.get("relation"), format!("{what} since {since}{reason}"));
        }
        let row = target.query_one(QUARANTINED, &[]).await.map_err(failed)?;
        Ok(Self { states, quarantined: row.get::<_, i64>(0).unsigned_abs() })
    }
}

/// Reads it and makes sure that key, source and transforms are those of the target.
pub(super) async fn read(
    source: &Session,
    target: &Session,
    key: &RootKey,
) -> Result<Basis, VerifyError> {
    let failed = |error: Error| VerifyError::query("read how the target was made")(error);
    let row = source
        .query_one(IDENTITY, &[])
        .await
        .map_err(|error| VerifyError::query("identify the source")(error.into()))?;
    let (system, database): (String, String) = (row.get(0), row.get(1));
    if let Some((record, _)) = StreamRecord::read(target).await.map_err(failed)? {
        let made = Made {
            key_id: &record.key_id,
            source: record.source_system_identifier == system && record.source_database == database,
            algorithm_version: record.algorithm_version,
            dictionary_hash: &record.dictionary_hash,
        };
        made.check(key)?;
        return Ok(Basis { config: record.config, slot: Some(record.slot_name), cloned_at: None });
    }
    let run = Run::latest(target).await.map_err(failed)?;
    let run = run.filter(|run| run.phase == Phase::Done).ok_or(VerifyError::NothingToVerify)?;
    let made = Made {
        key_id: &run.fingerprint.key_id,
        source: run.fingerprint.source_system_identifier == format!("{system}/{database}"),
        algorithm_version: run.fingerprint.algorithm_version,
        dictionary_hash: &run.fingerprint.dictionary_hash,
    };
    made.check(key)?;
    let finished = "select finished_at::text from backlot.clone_run where run_id = $1";
    let row = target.query_one(finished, &[&run.run_id]).await;
    let row = row.map_err(|error| failed(error.into()))?;
    Ok(Basis { config: run.config, slot: None, cloned_at: row.get(0) })
}

struct Made<'m> {
    key_id: &'m str,
    /// True if it is the source that was named.
    source: bool,
    algorithm_version: i32,
    dictionary_hash: &'m str,
}

impl Made<'_> {
    fn check(&self, key: &RootKey) -> Result<(), VerifyError> {
        let version = i32::try_from(op::ALGORITHM_VERSION).unwrap_or(i32::MAX);
        let what = if !self.source {
            "source"
        } else if self.key_id != key.id() {
            "key"
        } else if self.algorithm_version != version || self.dictionary_hash != op::dictionary_hash()
        {
            "version of backlot's transforms"
        } else {
            return Ok(());
        };
        Err(VerifyError::OtherOrigin { what })
    }
}
