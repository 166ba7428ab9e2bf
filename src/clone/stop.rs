//! `clone stop`: the stream of a target ends for good. Slot and publications are dropped on the
//! source, the record on the target; the data stays. Whatever is gone already is no reason to
//! fail, so that it can be run again.

use super::error::{CloneError, Side};
use super::preflight::identity;
use super::run::connect;
use super::swap;
use super::upstream::footprint;
use crate::pg::{ConnInfo, Error, Ident, Literal, Session};
use crate::source::publication::{PublicationNames, drop_publications};
use crate::source::{
    Footprint, SlotError, SlotState, drop_slot, end_creators, end_keepers, slot_name_for,
    wait_until_free,
};
use crate::state::{Journal, Phase, StreamRecord, ask_to_stop, create_stream_state};
use serde::Serialize;
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
pub struct StopOptions {
    pub source: ConnInfo,
    pub target: ConnInfo,
    /// Change nothing.
    pub dry_run: bool,
    /// Let the target forget its stream even if the source cannot be reached.
    pub forget: bool,
    /// Longest wait for a running stream to end.
    pub wait: Duration,
}

/// What was there and is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stopped {
    pub dry_run: bool,
    /// True if a stream was running and has ended.
    pub was_running: bool,
    pub slots: Vec<String>,
    pub publications: Vec<String>,
    /// Made by an owner: not ours to drop.
    pub kept_publications: Vec<String>,
    /// True if the target knew of a stream.
    pub had_stream: bool,
    /// Statements that drop what is left on a source that could not be reached.
    pub left_on_source: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum StopError {
    #[error(transparent)]
    Clone(#[from] CloneError),
    #[error("the stream did not end within {} s", .0.as_secs())]
    StillRunning(Duration),
    #[error("the target's stream comes from {expected}, not from this source")]
    OtherSource { expected: String },
    #[error("the source cannot be reached; left there: {}", .statements.join(" "))]
    SourceAway { statements: Vec<String>, source: Error },
    #[error(transparent)]
    Slot(SlotError),
}

/// Something of ours on the source.
struct Found {
    footprint: Footprint,
    kept_publications: Vec<String>,
    /// `system identifier/database` and the name for people.
    origin: Option<(String, String)>,
}

const POLL: Duration = Duration::from_millis(100);

/// # Errors
/// [`StopError`]. What is not dropped by then is found again by the next call.
pub async fn stop(options: &StopOptions) -> Result<Stopped, StopError> {
    let target = connect(&options.target, Side::Target).await?;
    let mut stopped = Stopped { dry_run: options.dry_run, ..Stopped::default() };
    let record = StreamRecord::read(&target).await.map_err(CloneError::query("read the stream"))?;
    stopped.had_stream = record.is_some();
    if !options.dry_run {
        stopped.was_running = lock(&target, options.wait, record.is_some()).await?;
    }
    let mut found = Vec::new();
    found.extend(record.map(|(record, _)| of_record(&record)));
    found.extend(unfinished(&target).await?);
    found.extend(in_staging(options).await);
    let source = match connect(&options.source, Side::Source).await {
        Ok(source) => source,
        Err(CloneError::Connect { source, .. }) => {
            let statements = found.iter().flat_map(sql).collect::<Vec<_>>();
            if !options.forget {
                return Err(StopError::SourceAway { statements, source });
            }
            stopped.left_on_source = statements;
            forget(&target, options, stopped.had_stream).await?;
            return Ok(stopped);
        }
        Err(error) => return Err(error.into()),
    };
    let failed = CloneError::query("identify the source");
    let here = identity(&source).await.map_err(failed)?;
    for found in &found {
        if let Some((there, name)) = found.origin.as_ref().filter(|(there, _)| *there != here) {
            let expected = format!("{name} ({there})");
            return Err(StopError::OtherSource { expected });
        }
    }
    found.extend(left_over(&source, &target, options, &found).await?);
    for found in &found {
        take_away(&source, found, options.dry_run, &mut stopped).await?;
    }
    forget(&target, options, stopped.had_stream).await?;
    Ok(stopped)
}

/// Takes the target's lock; asks a stream that holds it to stop. True if one did.
async fn lock(target: &Session, wait: Duration, has_stream: bool) -> Result<bool, StopError> {
    let failed = || CloneError::query("lock the target");
    if Journal::lock(target).await.map_err(failed())?.is_some() {
        return Ok(false);
    }
    if !has_stream {
        return Err(CloneError::TargetBusy.into());
    }
    ask_to_stop(target).await.map_err(CloneError::query("ask the stream to stop"))?;
    let deadline = Instant::now() + wait;
    while Journal::lock(target).await.map_err(failed())?.is_none() {
        if Instant::now() > deadline {
            return Err(StopError::StillRunning(wait));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(true)
}

fn of_record(record: &StreamRecord) -> Found {
    let (own, kept) = if record.owns_publications {
        (record.publications.clone(), Vec::new())
    } else {
        (Vec::new(), record.publications.clone())
    };
    let origin = format!("{}/{}", record.source_system_identifier, record.source_database);
    Found {
        footprint: Footprint {
            slot_name: record.slot_name.clone(),
            consistent_point: record.consistent_lsn,
            own_publications: own,
        },
        kept_publications: kept,
        origin: Some((origin, record.source.clone())),
    }
}

/// The slot of a clone that was interrupted.
async fn unfinished(target: &Session) -> Result<Option<Found>, CloneError> {
    let journal = Journal::of(target);
    let run = journal.latest().await.map_err(CloneError::query("read the journal"))?;
    let Some(run) = run.filter(|run| run.phase != Phase::Done) else { return Ok(None) };
    Ok(run.slot.map(|slot| Found {
        footprint: footprint(&slot),
        kept_publications: if slot.owns_publications { Vec::new() } else { slot.publications },
        origin: Some((run.fingerprint.source_system_identifier, run.fingerprint.source)),
    }))
}

/// The same, of one that was to replace the target.
async fn in_staging(options: &StopOptions) -> Option<Found> {
    let staging = connect(&swap::staging(&options.target), Side::Target).await.ok()?;
    // It is done only when it has the target's name.
    let run = Journal::of(&staging).latest().await.ok()??;
    let slot = run.slot?;
    Some(Found {
        footprint: footprint(&slot),
        kept_publications: if slot.owns_publications { Vec::new() } else { slot.publications },
        origin: Some((run.fingerprint.source_system_identifier, run.fingerprint.source)),
    })
}

/// What a start that was killed before the journal knew of it has left under its own names.
async fn left_over(
    source: &Session,
    target: &Session,
    options: &StopOptions,
    found: &[Found],
) -> Result<Option<Found>, CloneError> {
    let failed = || CloneError::query("look for what is left on the source");
    let identity = identity(target).await.map_err(failed())?;
    let name = slot_name_for(&format!("{identity} {}", options.target.url_without_password()));
    if found.iter().any(|found| found.footprint.slot_name == name) {
        return Ok(None);
    }
    let slot = SlotState::read(source, &name).await.map_err(failed())?;
    let names = PublicationNames::of_slot(&name).all();
    let sql = "select pubname::text from pg_catalog.pg_publication where pubname = any ($1)";
    let rows = source.query(sql, &[&names]).await.map_err(|error| failed()(error.into()))?;
    let own_publications = rows.iter().map(|row| row.get(0)).collect::<Vec<String>>();
    if slot.is_none() && own_publications.is_empty() {
        return Ok(None);
    }
    let consistent_point = slot.and_then(|slot| slot.confirmed_flush_lsn).unwrap_or_default();
    let footprint = Footprint { slot_name: name, consistent_point, own_publications };
    Ok(Some(Found { footprint, kept_publications: Vec::new(), origin: None }))
}

async fn take_away(
    source: &Session,
    found: &Found,
    dry_run: bool,
    stopped: &mut Stopped,
) -> Result<(), StopError> {
    let Footprint { slot_name, own_publications, .. } = &found.footprint;
    let failed = || CloneError::query("look at the replication slot");
    if !dry_run {
        let failed = CloneError::query("end the walsender of a start that was killed");
        end_creators(source, slot_name).await.map_err(failed)?;
    }
    let is_there = SlotState::read(source, slot_name).await.map_err(failed())?.is_some();
    if is_there && !dry_run {
        end_keepers(source, slot_name).await.map_err(CloneError::query("end the keepers"))?;
        // Of a stream that has just ended; the target's lock is ours.
        wait_until_free(source, slot_name).await.map_err(failed())?;
        drop_slot(source, slot_name).await.map_err(StopError::Slot)?;
    }
    if is_there {
        stopped.slots.push(slot_name.clone());
    }
    let sql = "select pubname::text from pg_catalog.pg_publication where pubname = any ($1)";
    let rows = source.query(sql, &[own_publications]).await.map_err(Error::from);
    let rows = rows.map_err(CloneError::query("look at the publications"))?;
    let there = rows.iter().map(|row| row.get(0)).collect::<Vec<String>>();
    if !dry_run {
        let failed = CloneError::query("drop the publications");
        drop_publications(source, &there).await.map_err(failed)?;
    }
    stopped.publications.extend(there);
    stopped.kept_publications.extend(found.kept_publications.iter().cloned());
    Ok(())
}

async fn forget(
    target: &Session,
    options: &StopOptions,
    had_stream: bool,
) -> Result<(), CloneError> {
    if options.dry_run || !had_stream {
        return Ok(());
    }
    let failed = || CloneError::query("forget the stream");
    // An older backlot's state lacks tables that are to be emptied.
    create_stream_state(target).await.map_err(failed())?;
    StreamRecord::remove(target).await.map_err(failed())
}

fn sql(found: &Found) -> Vec<String> {
    let slot = &found.footprint.slot_name;
    let mut statements = vec![format!("select pg_drop_replication_slot({});", Literal(slot))];
    for name in &found.footprint.own_publications {
        statements.push(format!("drop publication if exists {};", Ident(name)));
    }
    statements
}
