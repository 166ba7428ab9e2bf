//! A mark: one position that a snapshot of the source and a snapshot of the target both stand at.

use super::error::StreamError;
use super::order::{Next, Order};
use super::request::{Requests, answer};
use super::run::NAME;
use crate::catalog::Filenodes;
use crate::pg::{ConnInfo, CreatedSlot, Error, Literal, Replication, Session, SlotKind};
use crossbeam_channel::Sender;
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// For the stream to come to a fence: it may be in the middle of a large transaction.
const FENCE_WAIT: Duration = Duration::from_mins(10);
/// The stream stands still while a slot is made, so not for longer than this.
const SLOT_WAIT: Duration = Duration::from_secs(20);
/// For the stream to come from the fence to the mark.
const BARRIER_WAIT: Duration = Duration::from_mins(2);
/// For whoever asked to take both snapshots over.
const HOLD: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

const EXPORT: &str = "select pg_catalog.pg_export_snapshot()";
const STATE: &str = "select state from backlot.request where request_id = $1";

/// The stream stands still until this is sent from or dropped.
pub(super) struct Fence {
    next: Sender<Next>,
}

impl Fence {
    /// Waits until everything that was handed over is applied and the stream stands still.
    pub(super) async fn reach(orders: &Sender<Order>) -> Result<Self, StreamError> {
        let (fenced, standing) = oneshot::channel();
        let (next, receiver) = crossbeam_channel::bounded(1);
        drop(orders.send(Order::Fence { fenced, next: receiver }));
        match tokio::time::timeout(FENCE_WAIT, standing).await {
            Ok(Ok(())) => Ok(Self { next }),
            Ok(Err(_)) => Err(StreamError::Ended),
            Err(_) => {
                let reason = "the stream is in the middle of a large transaction";
                Err(StreamError::Resync(reason.to_owned()))
            }
        }
    }

    /// False if the stream did not wait so long, or has ended.
    pub(super) fn go_on(self, next: Next) -> bool {
        self.next.send(next).is_ok()
    }
}

/// A temporary slot and the snapshot of its consistent point, which live as long as this.
pub(super) struct SourceSnapshot {
    pub(super) created: CreatedSlot,
    pub(super) _walsender: Replication,
}

impl SourceSnapshot {
    pub(super) async fn take(source: &ConnInfo, what: &str) -> Result<Self, Error> {
        // The one before may not be gone yet.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("backlot_{what}_{}_{number}", std::process::id());
        let source = source.clone();
        let made = tokio::task::spawn_blocking(move || {
            let mut walsender = Replication::connect(&source, NAME)?;
            walsender.limit_slot_wait(SLOT_WAIT)?;
            let created = walsender.create_slot(&name, SlotKind::Temporary)?;
            Ok(Self { created, _walsender: walsender })
        });
        made.await.unwrap_or(Err(Error::Protocol("a thread panicked")))
    }

    /// The files of the source's tables as the snapshot shows them.
    pub(super) async fn files(&self, source: &ConnInfo) -> Result<Filenodes, Error> {
        let session = Session::connect(source, NAME).await?;
        let import = format!(
            "begin isolation level repeatable read, read only; set transaction snapshot {}",
            Literal(&self.created.snapshot_name)
        );
        session.execute_all(&import).await?;
        Filenodes::read(&session).await
    }
}

/// Answers a request for a mark and holds both snapshots until they are taken over.
pub(super) async fn mark(
    requests: &Requests,
    session: &Session,
    request_id: i64,
) -> Result<(), String> {
    let said = |error: Error| error.to_string();
    // Connected before the stream stands still.
    let target = Session::connect(&requests.target, NAME).await.map_err(said)?;
    let fence = Fence::reach(&requests.orders).await.map_err(|error| error.to_string())?;
    let source = SourceSnapshot::take(&requests.source, "mark").await.map_err(|error| {
        format!(
            "the source's snapshot: {error}; a transaction that has run for long may be in the way"
        )
    })?;
    let lsn = source.created.consistent_point;
    let (reached, standing) = oneshot::channel();
    let (go_on, receiver) = crossbeam_channel::bounded(1);
    if !fence.go_on(Next::Mark { lsn, reached, go_on: receiver }) {
        return Err("the stream ended, or was kept waiting for too long".into());
    }
    match tokio::time::timeout(BARRIER_WAIT, standing).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => return Err(StreamError::Ended.to_string()),
        Err(_) => return Err("the stream did not come to the mark in time".into()),
    }
    target.execute_all("begin isolation level repeatable read, read only").await.map_err(said)?;
    let exported = target.query_one(EXPORT, &[]).await.map_err(Error::from).map_err(said)?;
    // The snapshot stands: the stream goes on.
    drop(go_on);
    let names = json!({
        "source_snapshot": source.created.snapshot_name,
        "target_snapshot": exported.get::<_, String>(0),
        "lsn": lsn.to_string(),
    });
    answer(session, request_id, "answered", &names).await.map_err(said)?;
    let deadline = Instant::now() + HOLD;
    while Instant::now() < deadline {
        let state = session.query_opt(STATE, &[&request_id]).await.map_err(Error::from);
        let state = state.map_err(said)?.map(|row| row.get::<_, String>(0));
        if state.as_deref() != Some("answered") {
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
