//! Whether a clone begins or goes on.

use super::error::CloneError;
use super::options::Options;
use super::progress::Progress;
use crate::pg::{Error, Session};
use crate::sink;
use crate::source::{Keeper, Snapshot, SnapshotError};
use crate::state::{Fingerprint, Journal, Phase, Run, RunSlot};
use std::time::{Duration, Instant};

/// A killed run's server processes notice within this time that their client is gone.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// Sessions that a killed run may have left working on the target.
const END_LEFT_OVERS: &str = "select pg_catalog.pg_terminate_backend(pid, 5000) from pg_catalog.pg_stat_activity \
     where datname = pg_catalog.current_database() and usename = current_user and pid <> pg_catalog.pg_backend_pid() \
       and application_name in ('backlot copy in', 'backlot restore', 'backlot analyze')";

/// Takes the target's lock and ends what a killed run has left behind it.
pub(super) async fn lock(target: &Session) -> Result<Journal<'_>, CloneError> {
    let failed = |error: Error| CloneError::query("lock the target")(error);
    let deadline = Instant::now() + LOCK_WAIT;
    let journal = loop {
        if let Some(journal) = Journal::lock(target).await.map_err(failed)? {
            break journal;
        }
        if Instant::now() > deadline {
            return Err(CloneError::TargetBusy);
        }
        tokio::time::sleep(POLL).await;
    };
    end_left_overs(target).await?;
    Ok(journal)
}

/// Ends, and waits for, what works on the target for a process that is gone: it may still commit.
pub(super) async fn end_left_overs(target: &Session) -> Result<(), CloneError> {
    let ended = target.query(END_LEFT_OVERS, &[]).await;
    ended.map(drop).map_err(|error| CloneError::query("end left-over sessions")(error.into()))
}

/// An unfinished run of this target that may go on.
pub(super) async fn unfinished(
    journal: &Journal<'_>,
    options: &Options,
) -> Result<Option<Run>, CloneError> {
    let latest = latest(journal).await?;
    let unfinished = latest.filter(|run| is_unfinished(run, options) && !options.restart);
    match &unfinished {
        Some(run) if run.slot.is_some() != options.follow.is_some() => {
            Err(CloneError::OtherRun { what: "word on --follow" })
        }
        _ => Ok(unfinished),
    }
}

/// The last run of this target, whatever became of it.
pub(super) async fn latest(journal: &Journal<'_>) -> Result<Option<Run>, CloneError> {
    journal.latest().await.map_err(CloneError::query("read the journal"))
}

/// A replacement is finished when it has the target's name.
fn is_unfinished(run: &Run, options: &Options) -> bool {
    run.phase != Phase::Done || options.replace
}

/// Opens the snapshot: the unfinished run's own if it is still held, else a new one. The run
/// comes back only if what it has copied is what the snapshot shows.
pub(super) async fn open_snapshot(
    options: &Options,
    progress: &Progress,
    unfinished: Option<Run>,
) -> Result<(Snapshot, Option<Run>), CloneError> {
    let open = async |adopt: Option<&str>| {
        Snapshot::open(&options.source, &options.source_url, &options.keeper, adopt, None).await
    };
    if let Some(run) = unfinished {
        match open(Some(&run.snapshot_name)).await {
            // A source that was restarted gives old names to new snapshots.
            Ok(snapshot) if snapshot.xids() == run.snapshot_xids => {
                return Ok((snapshot, Some(run)));
            }
            Ok(_) | Err(SnapshotError::Lost) => {}
            Err(error) => return Err(CloneError::Snapshot(error)),
        }
        let snapshot = open(None).await.map_err(CloneError::Snapshot)?;
        // A standby hands out no transaction ids: there, equal says nothing.
        let recovery = "select pg_catalog.pg_is_in_recovery()";
        let row = snapshot.session().query_one(recovery, &[]).await;
        let is_standby: bool =
            row.map_err(|error| CloneError::query("look at the source")(error.into()))?.get(0);
        if !is_standby && snapshot.xids() == run.snapshot_xids {
            return Ok((snapshot, Some(run)));
        }
        progress.note(
            "the snapshot of the interrupted run is no longer held and the source has changed since: \
             everything is copied again, from a new snapshot",
        );
        return Ok((snapshot, None));
    }
    let snapshot = open(None).await.map_err(CloneError::Snapshot)?;
    if matches!(options.keeper, Keeper::Process { .. }) {
        tracing::debug!(snapshot = snapshot.name(), "snapshot taken");
    }
    Ok((snapshot, None))
}

/// The run that goes on, or a new one in a target that is empty by now.
pub(super) async fn begin(
    journal: &Journal<'_>,
    target: &Session,
    options: &Options,
    decided: (&str, &Fingerprint),
    snapshot: &mut Snapshot,
    unfinished: Option<Run>,
    slot: Option<&RunSlot>,
) -> Result<(i64, Phase, bool), CloneError> {
    let failed = |error: Error| CloneError::query("write the journal")(error);
    let (config, fingerprint) = decided;
    let before = match &unfinished {
        Some(run) => Some(run.snapshot_name.clone()),
        None => journal.latest().await.map_err(failed)?.map(|run| run.snapshot_name),
    };
    let begun = if let Some(run) = unfinished.filter(|run| run.phase >= Phase::Data) {
        same(&run.fingerprint, fingerprint)?;
        journal.set_snapshot(run.run_id, snapshot.name()).await.map_err(failed)?;
        (run.run_id, run.phase, true)
    } else {
        clear(journal, target, options).await?;
        journal.create().await.map_err(failed)?;
        let run_id = journal
            .begin(fingerprint, config, (snapshot.name(), snapshot.xids()), slot)
            .await
            .map_err(failed)?;
        (run_id, Phase::Schema, false)
    };
    snapshot.hold().await.map_err(CloneError::Snapshot)?;
    if let Some(before) = before.filter(|before| before != snapshot.name()) {
        let doing = "end the interrupted run's snapshot keeper";
        snapshot.end_keeper(&before).await.map_err(CloneError::query(doing))?;
    }
    Ok(begun)
}

/// Refuses a target that holds data before anything is made on the source for it.
pub(super) async fn refuse_full(
    journal: &Journal<'_>,
    target: &Session,
    options: &Options,
) -> Result<(), CloneError> {
    if latest(journal).await?.is_some_and(|run| is_unfinished(&run, options)) {
        return Ok(());
    }
    let occupants =
        sink::occupants(target).await.map_err(CloneError::query("look into the target"))?;
    if occupants.is_empty() { Ok(()) } else { Err(CloneError::TargetNotEmpty(occupants)) }
}

/// Refuses a target that holds data, unless an unfinished run of ours made all of it.
async fn clear(
    journal: &Journal<'_>,
    target: &Session,
    options: &Options,
) -> Result<(), CloneError> {
    if let Some(run) = latest(journal).await?.filter(|run| is_unfinished(run, options)) {
        let doing = "clear what the interrupted run has left";
        return sink::reset(target, &run.extensions_before).await.map_err(CloneError::query(doing));
    }
    refuse_full(journal, target, options).await
}

fn same(before: &Fingerprint, now: &Fingerprint) -> Result<(), CloneError> {
    let what = if before.source_system_identifier != now.source_system_identifier {
        "source"
    } else if before.key_id != now.key_id {
        "key"
    } else if before.config_hash != now.config_hash {
        "configuration"
    } else if before.algorithm_version != now.algorithm_version
        || before.dictionary_hash != now.dictionary_hash
    {
        "version of backlot's transforms"
    } else if before.plan_hash != now.plan_hash {
        "set of rules"
    } else {
        return Ok(());
    };
    Err(CloneError::OtherRun { what })
}
