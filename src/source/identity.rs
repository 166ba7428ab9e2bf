//! Is the slot the one that this target was built from? Asked before every start of a stream:
//! a slot that was lost, made anew or moved on by somebody else would silently lose changes.

use super::slot::{SlotHolder, SlotState};
use crate::pg::{Error, Lsn, Session, SystemIdentity};
use std::time::{Duration, Instant};

/// What the target remembers of its source.
#[derive(Clone, Debug)]
pub struct ExpectedSlot {
    pub slot_name: String,
    pub system_identifier: String,
    pub database: String,
    pub timeline: i32,
    pub publications: Vec<String>,
    /// Everything that committed before it is on the target.
    pub checkpoint: Lsn,
    /// Go on after a failover.
    pub accept_timeline: bool,
}

/// Why a stream may not start. Each says what happened; [`SlotMismatch::remedy`] what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotMismatch {
    #[error(
        "the source is another cluster: its system identifier is {found}, the target was cloned from {expected}"
    )]
    OtherCluster { expected: String, found: String },
    #[error("the source is database {found}, the target was cloned from {expected}")]
    OtherDatabase { expected: String, found: String },
    #[error(
        "the source is on timeline {found}, the target was cloned from timeline {expected}: it failed over or was restored{}",
        if *.has_slot { "" } else { ", without the slot" }
    )]
    OtherTimeline { expected: i32, found: i32, has_slot: bool },
    #[error(
        "the source's WAL ends at {end}, before the target's checkpoint {checkpoint}: it was restored to an earlier state"
    )]
    Behind { end: Lsn, checkpoint: Lsn },
    #[error("the source has no replication slot {name}")]
    Gone { name: String },
    #[error("the replication slot {name} is not a pgoutput slot of database {database}")]
    OtherKind { name: String, database: String },
    #[error("the replication slot {name} is lost: {reason}")]
    Lost { name: String, reason: String },
    #[error(
        "the replication slot {name} is at {confirmed}, past the target's checkpoint {checkpoint}: somebody else read from it, or it was made anew"
    )]
    Advanced { name: String, confirmed: Lsn, checkpoint: Lsn },
    #[error("the source has no publication {}", .names.join(", "))]
    NoPublication { names: Vec<String> },
}

/// Both recover by building the target anew.
const REBUILD: &str = "backlot clone start --follow --replace";

impl SlotMismatch {
    /// The exact way out.
    pub fn remedy(&self) -> String {
        match self {
            Self::OtherCluster { .. } | Self::OtherDatabase { .. } => format!(
                "name the source that the target was cloned from, or build the target anew: {REBUILD}"
            ),
            Self::OtherTimeline { has_slot: true, .. } => format!(
                "if the new primary holds every change that the old one had sent, go on with \
                 `backlot clone stream --accept-timeline`; otherwise build the target anew: {REBUILD}"
            ),
            Self::NoPublication { .. } => format!(
                "what happened without it cannot be decoded any more; build the target anew: {REBUILD}"
            ),
            Self::Behind { .. } => format!(
                "the target holds changes that the source does not; build it anew: {REBUILD}"
            ),
            Self::OtherTimeline { has_slot: false, .. }
            | Self::Gone { .. }
            | Self::OtherKind { .. }
            | Self::Lost { .. }
            | Self::Advanced { .. } => {
                format!(
                    "the changes since the checkpoint cannot be had any more; build the target anew: {REBUILD}"
                )
            }
        }
    }
}

/// Compares the source with what the target remembers.
pub async fn check_slot(
    session: &Session,
    system: &SystemIdentity,
    expected: &ExpectedSlot,
) -> Result<Result<SlotState, SlotMismatch>, Error> {
    let database = "select pg_catalog.current_database()::text";
    let database: String = session.query_one(database, &[]).await?.get(0);
    let slot = SlotState::read(session, &expected.slot_name).await?;
    let there = "select pubname::text from pg_catalog.pg_publication where pubname = any ($1)";
    let there = session.query(there, &[&expected.publications]).await?;
    let there = there.iter().map(|row| row.get(0)).collect::<Vec<String>>();
    Ok(compare(system, &database, slot, &there, expected))
}

fn compare(
    system: &SystemIdentity,
    database: &str,
    slot: Option<SlotState>,
    publications: &[String],
    expected: &ExpectedSlot,
) -> Result<SlotState, SlotMismatch> {
    let name = || expected.slot_name.clone();
    if system.system_identifier != expected.system_identifier {
        let (expected, found) =
            (expected.system_identifier.clone(), system.system_identifier.clone());
        return Err(SlotMismatch::OtherCluster { expected, found });
    }
    if database != expected.database {
        let (expected, found) = (expected.database.clone(), database.to_owned());
        return Err(SlotMismatch::OtherDatabase { expected, found });
    }
    if system.timeline != expected.timeline && !expected.accept_timeline {
        let (expected, found) = (expected.timeline, system.timeline);
        let has_slot = slot.is_some_and(|slot| slot.loss().is_none());
        return Err(SlotMismatch::OtherTimeline { expected, found, has_slot });
    }
    let slot = slot.ok_or_else(|| SlotMismatch::Gone { name: name() })?;
    if slot.plugin.as_deref() != Some("pgoutput") || slot.database.as_deref() != Some(database) {
        return Err(SlotMismatch::OtherKind { name: name(), database: database.to_owned() });
    }
    if let Some(reason) = slot.loss() {
        return Err(SlotMismatch::Lost { name: name(), reason });
    }
    let confirmed = slot.confirmed_flush_lsn.unwrap_or_default();
    if confirmed > expected.checkpoint {
        let checkpoint = expected.checkpoint;
        return Err(SlotMismatch::Advanced { name: name(), confirmed, checkpoint });
    }
    if system.flushed < expected.checkpoint {
        let (end, checkpoint) = (system.flushed, expected.checkpoint);
        return Err(SlotMismatch::Behind { end, checkpoint });
    }
    let mut missing = expected.publications.clone();
    missing.retain(|name| !publications.contains(name));
    if missing.is_empty() { Ok(slot) } else { Err(SlotMismatch::NoPublication { names: missing }) }
}

/// Waits until nobody streams from the slot, for at most the source's `wal_sender_timeout`: that
/// long a walsender may live on after its client is gone. Returns who holds it then.
pub async fn wait_until_free(
    session: &Session,
    slot_name: &str,
) -> Result<Option<SlotHolder>, Error> {
    let sql = "select setting::int8 from pg_catalog.pg_settings where name = 'wal_sender_timeout'";
    let timeout_ms: i64 = session.query_one(sql, &[]).await?.get(0);
    let limit = match u64::try_from(timeout_ms) {
        // Never timed out by the server: not waited for longer than by its default.
        Ok(0) | Err(_) => Duration::from_mins(1),
        Ok(timeout_ms) => Duration::from_millis(timeout_ms),
    };
    let deadline = Instant::now() + limit;
    loop {
        let holder = SlotState::read(session, slot_name).await?.and_then(|slot| slot.holder);
        if holder.is_none() || Instant::now() > deadline {
            return Ok(holder);
        }
        tokio::time::sleep(POLL).await;
    }
}

const POLL: Duration = Duration::from_millis(200);
