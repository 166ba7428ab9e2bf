//! The replication slot of a stream: what the source keeps its WAL for.

use crate::pg::{
    ConnInfo, CreatedSlot, Error, Lsn, Replication, Session, SlotKind, SystemIdentity,
};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SLOT_STATE: &str = include_str!("sql/slot_state.sql");
const BLOCKERS: &str = include_str!("sql/slot_blockers.sql");

/// `application_name` of the walsender that makes a slot.
const CREATOR_NAME: &str = "backlot slot";
/// Between two looks at what the creation of a slot waits for.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Between two looks at whether to give up.
const POLL: Duration = Duration::from_millis(100);
/// A walsender that was ended is gone within this time.
const END_LIMIT: Duration = Duration::from_secs(10);
/// `NAMEDATALEN` is 64 bytes; a publication's name has more around it.
const NAME_LIMIT: usize = 45;

/// The slot that a target's stream has unless it is given another: `target` is what tells the
/// target from every other one.
pub fn slot_name_for(target: &str) -> String {
    let hash = hex::encode(Sha256::digest(target));
    format!("backlot_{}", hash.get(..8).unwrap_or_default())
}

/// True for names that PostgreSQL and our publications' names have room for (slot.c
/// `ReplicationSlotValidateName`).
pub fn is_slot_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.len() <= NAME_LIMIT && name.bytes().all(allowed)
}

/// A row of `pg_replication_slots`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotState {
    /// None for physical slots.
    pub plugin: Option<String>,
    pub slot_type: String,
    pub database: Option<String>,
    pub is_temporary: bool,
    /// Who streams from it now.
    pub holder: Option<SlotHolder>,
    pub restart_lsn: Option<Lsn>,
    pub confirmed_flush_lsn: Option<Lsn>,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub wal_status: Option<String>,
    /// Bytes of WAL that may yet be written before the slot is in danger; None without
    /// `max_slot_wal_keep_size`.
    pub safe_wal_bytes: Option<i64>,
    /// 16 and newer.
    pub invalidation_reason: Option<String>,
    pub failover: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotHolder {
    pub pid: i32,
    pub application_name: Option<String>,
    pub user_name: Option<String>,
}

impl std::fmt::Display for SlotHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let or_unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".into());
        let (user, application) = (&self.user_name, &self.application_name);
        write!(f, "pid {} ({}, {})", self.pid, or_unknown(user), or_unknown(application))
    }
}

impl SlotState {
    /// The slot as it is now; None if there is none of that name.
    pub async fn read(session: &Session, name: &str) -> Result<Option<Self>, Error> {
        let Some(row) = session.query_opt(SLOT_STATE, &[&name]).await? else { return Ok(None) };
        let lsn = |column| {
            let text: Option<&str> = row.get(column);
            text.map(|text| text.parse().map_err(|_| Error::Protocol("an unreadable pg_lsn")))
                .transpose()
        };
        let active_pid: Option<i32> = row.get("active_pid");
        Ok(Some(Self {
            plugin: row.get("plugin"),
            slot_type: row.get("slot_type"),
            database: row.get("database"),
            is_temporary: row.get("temporary"),
            holder: active_pid.map(|pid| SlotHolder {
                pid,
                application_name: row.get("application_name"),
                user_name: row.get("user_name"),
            }),
            restart_lsn: lsn("restart_lsn")?,
            confirmed_flush_lsn: lsn("confirmed_flush_lsn")?,
            wal_status: row.get("wal_status"),
            safe_wal_bytes: row.get("safe_wal_size"),
            invalidation_reason: row.get("invalidation_reason"),
            failover: row.get("failover"),
        }))
    }

    /// Why nothing can be read from the slot any more.
    pub fn loss(&self) -> Option<String> {
        if let Some(reason) = &self.invalidation_reason {
            return Some(reason.clone());
        }
        let is_lost = self.wal_status.as_deref() == Some("lost") || self.restart_lsn.is_none();
        is_lost.then(|| "the WAL that it needs is gone".to_owned())
    }
}

/// A new slot. Its snapshot can be adopted until it is dropped.
pub struct NewSlot {
    pub created: CreatedSlot,
    pub system: SystemIdentity,
    /// Idle: the next command on it, or its end, takes the snapshot away.
    _walsender: Replication,
}

#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    #[error("create the replication slot {name}")]
    Source { name: String, source: Error },
    #[error("drop the replication slot {name}")]
    Drop { name: String, source: Error },
    #[error("the replication slot {name} was not ready within {} s: it waits for {}", .limit.as_secs(), .blockers.join(", "))]
    Blocked { name: String, limit: Duration, blockers: Vec<String> },
    #[error("the creation of the replication slot {name} was interrupted")]
    Cancelled { name: String },
    #[error("the replication slot {name} is in use by {holder}")]
    Active { name: String, holder: SlotHolder },
    #[error("the source has a replication slot {name} already")]
    Exists { name: String },
}

/// Makes a slot with an exported snapshot. A slot becomes consistent when every transaction that
/// writes has ended: `waiting` is told now and then what is waited for. Made by one session at a
/// time for a name, under [`super::lock_alone`].
pub async fn create_slot(
    session: &Session,
    info: &ConnInfo,
    (name, kind): (&str, SlotKind),
    limit: Duration,
    is_cancelled: impl Fn() -> bool,
    waiting: impl Fn(&[String]),
) -> Result<NewSlot, SlotError> {
    let failed = |source| SlotError::Source { name: name.to_owned(), source };
    let given_up = Arc::new(AtomicBool::new(false));
    let (walsender_info, slot_name, seen) = (info.clone(), name.to_owned(), Arc::clone(&given_up));
    let mut creation =
        tokio::task::spawn_blocking(move || make(&walsender_info, &slot_name, kind, limit, &seen));
    let deadline = Instant::now() + limit;
    let mut next_look = Instant::now() + LOOK_EVERY;
    loop {
        match tokio::time::timeout(POLL, &mut creation).await {
            Ok(Ok(slot)) => return slot.map_err(failed),
            Ok(Err(_)) => return Err(failed(Error::Protocol("the slot's thread panicked"))),
            Err(_) => {}
        }
        let is_over = Instant::now() > deadline;
        let mut blockers = Vec::new();
        if is_over || Instant::now() > next_look {
            next_look = Instant::now() + LOOK_EVERY;
            blockers = self::blockers(session).await.map_err(failed)?;
        }
        if is_cancelled() || is_over {
            given_up.store(true, Ordering::SeqCst);
            end_creators(session, name).await.map_err(failed)?;
            // With its connection gone it ends; a slot that was ready just now is the caller's to drop.
            drop(tokio::time::timeout(END_LIMIT, &mut creation).await);
            let name = name.to_owned();
            return Err(if is_cancelled() {
                SlotError::Cancelled { name }
            } else {
                SlotError::Blocked { name, limit, blockers }
            });
        }
        if !blockers.is_empty() {
            waiting(&blockers);
        }
    }
}

fn make(
    info: &ConnInfo,
    name: &str,
    kind: SlotKind,
    limit: Duration,
    given_up: &AtomicBool,
) -> Result<NewSlot, Error> {
    let mut walsender = Replication::connect(info, &creator_name(name))?;
    // What it waits for is told by the other side, which ends the wait.
    walsender.limit_slot_wait(limit * 2)?;
    let system = walsender.identify_system()?;
    // From here on `end_creators` finds the connection.
    if given_up.load(Ordering::SeqCst) {
        return Err(Error::Protocol("given up before the slot was made"));
    }
    // A walsender whose client was killed would finish the slot, for nobody. The timer that looks
    // for the client is set by a statement of SQL and runs on into the command (postgres.c
    // `start_xact_command`, `ProcessInterrupts`). Not every platform can look.
    if walsender.simple("set client_connection_check_interval = '1s'").is_ok() {
        walsender.simple("select 1")?;
    }
    let created = walsender.create_slot(name, kind)?;
    Ok(NewSlot { created, system, _walsender: walsender })
}

fn creator_name(slot_name: &str) -> String {
    format!("{CREATOR_NAME} {slot_name}")
}

/// Transactions that a new slot would wait for, in words.
pub async fn blockers(session: &Session) -> Result<Vec<String>, Error> {
    let rows = session.query(BLOCKERS, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Ends the walsenders that are at work on a slot of this name: our own, or one whose client was
/// killed. A slot lives only when it is consistent (slot.c `ReplicationSlotPersist`).
pub async fn end_creators(session: &Session, name: &str) -> Result<(), Error> {
    let sql = "select pg_catalog.pg_terminate_backend(a.pid, 5000) from pg_catalog.pg_stat_activity a \
               where a.application_name = $1 and a.usename = current_user";
    session.query(sql, &[&creator_name(name)]).await?;
    Ok(())
}

/// Drops a slot that nobody streams from. False if there is none.
pub async fn drop_slot(session: &Session, name: &str) -> Result<bool, SlotError> {
    let failed = |source: Error| SlotError::Drop { name: name.to_owned(), source };
    let Some(state) = SlotState::read(session, name).await.map_err(failed)? else {
        return Ok(false);
    };
    if let Some(holder) = state.holder {
        return Err(SlotError::Active { name: name.to_owned(), holder });
    }
    match session.query("select pg_catalog.pg_drop_replication_slot($1)", &[&name]).await {
        Ok(_) => Ok(true),
        Err(error) => match Error::from(error) {
            error if error.sqlstate() == Some("42704") => Ok(false),
            error => Err(failed(error)),
        },
    }
}

/// Where the source's WAL is: what has been written, or on a standby replayed.
pub async fn position(session: &Session) -> Result<Lsn, Error> {
    let sql = "select (case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn() \
               else pg_catalog.pg_current_wal_lsn() end)::text";
    let text: String = session.query_one(sql, &[]).await?.get(0);
    text.parse().map_err(|_| Error::Protocol("an unreadable pg_lsn"))
}
