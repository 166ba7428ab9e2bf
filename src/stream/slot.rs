//! The slot: is it still ours, reading from it, and what does it cost the source?

use super::error::StreamError;
use super::options::{DECODING_BYTES, Options, READ_BYTES};
use super::run::NAME;
use super::status::{SlotHealth, Status};
use crate::pg::{ConnInfo, Error, Lsn, Origin, Replication, Session, StartOptions};
use crate::source::{
    ExpectedSlot, SlotError, SlotState, WalReader, check_slot, drop_slot, wait_until_free,
};
use crate::state::StreamRecord;
use std::error::Error as _;
use std::time::Duration;

/// Warned of when the slot keeps this part of what it may.
const WARNINGS: [u64; 2] = [50, 80];
/// Between two looks at the slot and the end of the source's log.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Older servers cannot leave out what they received by replication themselves; the machine does.
const KNOWS_ORIGINS: u32 = 160_000;
const END_WALSENDER: &str = "select pg_catalog.pg_terminate_backend(s.active_pid, 5000) \
     from pg_catalog.pg_replication_slots s join pg_catalog.pg_stat_activity a on a.pid = s.active_pid \
     where s.slot_name = $1 and a.application_name = $2 and a.usename = current_user";

/// How the slot is read from.
#[derive(Clone)]
struct Start {
    source: ConnInfo,
    slot_name: String,
    options: StartOptions,
    from: Lsn,
}

/// The slot, being read from.
pub(super) struct Reading {
    start: Start,
    pub(super) reader: WalReader,
}

/// Refuses a slot that is not the one that the target was made from. Returns the source's timeline
/// too.
///
/// Reading begins before the slot is looked at, and goes on while everything else is: decoding is
/// what takes long. A reader acknowledges nothing that it was not told of, so that it leaves no
/// trace on a slot that is refused then. `is_binary`: ask for binary values; some types have none.
pub(super) async fn open(
    source: &Session,
    options: &Options,
    (record, checkpoint): (&StreamRecord, Lsn),
    is_binary: bool,
) -> Result<(Reading, i32), StreamError> {
    let failed = || StreamError::source("look at the replication slot");
    let expected = ExpectedSlot {
        slot_name: record.slot_name.clone(),
        system_identifier: record.source_system_identifier.clone(),
        database: record.source_database.clone(),
        timeline: record.timeline,
        publications: record.publications.clone(),
        checkpoint,
        accept_timeline: options.accept_timeline,
    };
    let start = Start {
        source: options.source.clone(),
        slot_name: record.slot_name.clone(),
        options: StartOptions {
            publications: record.publications.clone(),
            binary: is_binary,
            streaming: true,
            messages: true,
            origin: if options.skip_foreign_origins { Origin::None } else { Origin::Any },
        },
        from: checkpoint,
    };
    let (early, of_cluster) = (start.clone(), record.source_system_identifier.clone());
    let (system, early) = blocking(move || {
        let mut walsender = early.connect()?;
        let system = walsender.identify_system();
        let system =
            system.map_err(StreamError::source("connect to the source for replication"))?;
        let is_ours = system.system_identifier == of_cluster;
        let early = is_ours.then(|| early.read(walsender).ok()).flatten();
        Ok((system, early))
    })
    .await?;
    let checked = check_slot(source, &system, &expected).await.map_err(failed())?;
    checked.map_err(|mismatch| StreamError::Slot {
        reason: mismatch.to_string(),
        remedy: mismatch.remedy(),
    })?;
    let reading = match early {
        Some(reader) => Reading { start, reader },
        // Most often a walsender that has not noticed yet that its client is gone.
        None => start.once_free(source).await?,
    };
    Ok((reading, system.timeline))
}

impl Reading {
    pub(super) fn is_binary(&self) -> bool {
        self.start.options.binary
    }

    /// Anew, with all values as text.
    pub(super) async fn reopen_as_text(self, source: &Session) -> Result<Self, StreamError> {
        let Self { mut start, reader } = self;
        start.options.binary = false;
        // Nothing of it was used: a walsender that does not say goodbye is waited for below.
        let stopped = tokio::task::spawn_blocking(move || reader.stop()).await;
        drop(stopped.map_err(|_| StreamError::Panicked)?);
        start.once_free(source).await
    }
}

impl Start {
    async fn once_free(self, source: &Session) -> Result<Reading, StreamError> {
        let holder = wait_until_free(source, &self.slot_name).await;
        if let Some(holder) = holder.map_err(StreamError::source("look at the replication slot"))? {
            let slot_name = self.slot_name;
            return Err(StreamError::SlotBusy { slot_name, holder: holder.to_string() });
        }
        blocking(move || {
            let reader = self.read(self.connect()?);
            let reader = reader.map_err(StreamError::source("start the replication slot"))?;
            Ok(Reading { start: self, reader })
        })
        .await
    }

    fn connect(&self) -> Result<Replication, StreamError> {
        Replication::connect(&self.source, NAME)
            .map_err(StreamError::source("connect to the source for replication"))
    }

    fn read(&self, mut walsender: Replication) -> Result<WalReader, Error> {
        let mut options = self.options.clone();
        if walsender.server_version() < KNOWS_ORIGINS {
            options.origin = Origin::Any;
        }
        walsender.limit_decoding_memory(DECODING_BYTES)?;
        WalReader::start(walsender, &self.slot_name, self.from, &options, READ_BYTES)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StreamError> + Send + 'static,
) -> Result<T, StreamError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StreamError::Panicked)?
}

/// Watches what the slot keeps on the source's disk.
#[derive(Default)]
pub(super) struct Guard {
    /// Of [`WARNINGS`], those that were given.
    warned: usize,
}

impl Guard {
    /// Looks at the slot and at the end of the source's log.
    pub(super) async fn look(
        &mut self,
        source: &Session,
        slot_name: &str,
        limit_bytes: Option<u64>,
        status: &Status,
    ) -> Result<(), StreamError> {
        let failed = || StreamError::source("look at the replication slot");
        let end = crate::source::position(source).await.map_err(failed())?;
        status.set_source_end(end);
        let slot = SlotState::read(source, slot_name).await.map_err(failed())?;
        let Some(slot) = slot else {
            return Err(lost(slot_name, "it was dropped by somebody else"));
        };
        if let Some(reason) = slot.loss() {
            return Err(lost(slot_name, &reason));
        }
        let retained_bytes = end.bytes_since(slot.restart_lsn.unwrap_or(end));
        status.set_slot(SlotHealth {
            wal_status: slot.wal_status.clone().unwrap_or_default(),
            retained_bytes,
            safe_bytes: slot.safe_wal_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
        });
        let Some(limit_bytes) = limit_bytes else { return Ok(()) };
        self.warn(slot_name, retained_bytes, limit_bytes, status);
        if retained_bytes <= limit_bytes {
            return Ok(());
        }
        let slot_name = slot_name.to_owned();
        Err(StreamError::GivenUp { slot_name, retained_bytes, limit_bytes, is_dropped: false })
    }

    fn warn(&mut self, slot_name: &str, retained: u64, limit: u64, status: &Status) {
        let percent = retained.saturating_mul(100) / limit.max(1);
        let reached = WARNINGS.iter().filter(|warning| percent >= **warning).count();
        if reached > self.warned {
            tracing::warn!(slot = slot_name, retained, limit, "the slot keeps much WAL");
            status.note(format!(
                "the slot {slot_name} keeps {retained} bytes of WAL on the source, {percent} % of \
                 --max-lag: beyond 100 % it is dropped, and the target must be built anew"
            ));
        }
        self.warned = reached;
    }
}

fn lost(slot_name: &str, reason: &str) -> StreamError {
    StreamError::Slot {
        reason: format!("the replication slot {slot_name} is lost: {reason}"),
        remedy: "the changes since the checkpoint cannot be had any more; build the target anew: \
                 backlot clone start --follow --replace"
            .into(),
    }
}

/// Ends once the slot keeps more than it may. For the time in which no stream reads from it: an
/// error ends nothing, the source may be away itself.
pub(super) async fn overdrawn(
    options: &Options,
    slot_name: Option<&str>,
    guard: &mut Guard,
    status: &Status,
) -> StreamError {
    let (Some(slot_name), Some(_)) = (slot_name, options.lag_limit_bytes) else {
        return std::future::pending().await;
    };
    loop {
        if let Ok(source) = Session::connect(&options.source, NAME).await {
            loop {
                match guard.look(&source, slot_name, options.lag_limit_bytes, status).await {
                    Ok(()) => tokio::time::sleep(LOOK_EVERY).await,
                    Err(error @ StreamError::GivenUp { .. }) => return error,
                    Err(_) => break,
                }
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Drops the slot rather than let it fill the source's disk, if it is to be given up; says so in the
/// error.
pub(super) async fn give_up(
    options: &Options,
    mut error: StreamError,
    status: &Status,
) -> StreamError {
    let StreamError::GivenUp { slot_name, is_dropped, .. } = &mut error else { return error };
    match drop_own(&options.source, slot_name).await {
        Ok(()) => *is_dropped = true,
        Err(failure) => {
            let cause = failure.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            tracing::error!(error = %failure, cause, "the slot is given up, but not dropped");
            status.note(format!("{failure}{cause}"));
        }
    }
    error
}

/// Drops a slot that none but this stream reads from.
async fn drop_own(source: &ConnInfo, slot_name: &str) -> Result<(), SlotError> {
    let failed = |source| SlotError::Drop { name: slot_name.to_owned(), source };
    let source = Session::connect(source, NAME).await.map_err(failed)?;
    // The walsender is ours and may not have heard yet that the stream has ended.
    let ended = source.query(END_WALSENDER, &[&slot_name, &NAME]).await;
    ended.map_err(Error::from).map_err(failed)?;
    wait_until_free(&source, slot_name).await.map_err(failed)?;
    drop_slot(&source, slot_name).await.map(drop)
}
