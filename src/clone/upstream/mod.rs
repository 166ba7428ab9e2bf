//! `--follow`: a clone that is the beginning of a stream reads in the snapshot of the stream's
//! own slot, so that nothing is missed and nothing comes twice.
//!
//! In this order: the rules are decided in a snapshot of their own (they tell which tables are
//! published), then the publications are made, then the slot, whose snapshot the keeper adopts
//! while the walsender that exported it stays idle. Whatever fails before the journal knows of
//! them takes both away again; after that, a run that is interrupted leaves them to the keeper.

mod error;
mod leave;
mod publish;
mod watch;

pub use error::FollowError;
pub(super) use leave::{forget_old_stream, old_stream, remove};
pub(super) use watch::until_lost;

use super::error::{CloneError, Side};
use super::options::{Follow, Options};
use super::progress::Progress;
use super::run::{Planned, Planner, connect, plan_in};
use crate::pg::{Session, SlotKind};
use crate::source::publication::{Followed, Following, PublicationNames};
use crate::source::{
    Footprint, Keeper, NewSlot, SlotError, SlotState, Snapshot, SnapshotError, create_slot,
    lock_alone, slot_name_for, unlock,
};
use crate::state::{
    Fingerprint, Run, RunSlot, StreamRecord, StreamTable, create_stream_state, known_statements,
    source_statement, write_stream_tables,
};
use crate::table_sync::Abort;
use crate::transform::key::RootKey;
use crate::transform::plan::{Plan, TableAction};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The slot that the clone's snapshot is of, and what it will bring.
pub(super) struct Upstream {
    pub(super) slot: RunSlot,
    pub(super) followed: Vec<Followed>,
}

/// A snapshot that is a slot's.
pub(super) struct Opened {
    pub(super) snapshot: Snapshot,
    pub(super) upstream: Upstream,
    /// The run that goes on in it.
    pub(super) unfinished: Option<Run>,
    /// The rules by which the publications were made.
    pub(super) config: String,
}

impl Upstream {
    pub(super) fn footprint(&self) -> Footprint {
        footprint(&self.slot)
    }

    /// True if the stream takes the table up, from the snapshot or from a copy of its own.
    pub(super) fn follows(&self, table: &str) -> bool {
        let known = self.followed.iter().find(|one| one.name.to_string() == table);
        known.is_some_and(|one| !matches!(one.following, Following::Not { .. }))
    }
}

pub(super) fn footprint(slot: &RunSlot) -> Footprint {
    Footprint {
        slot_name: slot.slot_name.clone(),
        consistent_point: slot.consistent_lsn,
        own_publications: if slot.owns_publications {
            slot.publications.clone()
        } else {
            Vec::new()
        },
    }
}

/// Goes on in the slot's snapshot of the unfinished run, if a keeper still holds it, or begins
/// with a new slot. `latest` is the target's last run: the slot that it left is taken away.
pub(super) async fn open<P: Planner>(
    options: &Options,
    follow: &Follow,
    asked: (&P, &RootKey),
    runs: (Option<Run>, Option<Run>),
    progress: &Progress,
    abort: &Abort,
) -> Result<Opened, CloneError> {
    let (unfinished, latest) = runs;
    let source = connect(&options.source, Side::Source).await?;
    let left = latest.and_then(|run| run.slot);
    if let Some(run) = unfinished {
        if let Some(opened) = go_on(options, &source, run).await? {
            return Ok(opened);
        }
        progress.note(
            "the snapshot of the interrupted run is no longer held: its replication slot is made anew, \
             and everything is copied again",
        );
    }
    begin(options, follow, asked, (&source, left.as_ref()), progress, abort).await
}

/// The interrupted run's own snapshot, if it and its slot are as they were.
async fn go_on(
    options: &Options,
    source: &Session,
    run: Run,
) -> Result<Option<Opened>, CloneError> {
    let Some(slot) = run.slot.clone() else { return Ok(None) };
    let footprint = footprint(&slot);
    let (info, url) = (&options.source, &options.source_url);
    let adopt = Some(run.snapshot_name.as_str());
    let opened = Snapshot::open(info, url, &options.keeper, adopt, Some(&footprint)).await;
    let snapshot = match opened {
        // A source that was restarted gives old names to new snapshots.
        Ok(snapshot) if snapshot.xids() == run.snapshot_xids => snapshot,
        Ok(other) => {
            drop(other.release().await);
            return Ok(None);
        }
        Err(SnapshotError::Lost) => return Ok(None),
        Err(error) => return Err(CloneError::Snapshot(error)),
    };
    let failed = CloneError::query("read the replication slot");
    let state = SlotState::read(source, &slot.slot_name).await.map_err(failed)?;
    let as_made = state.is_some_and(|state| {
        state.loss().is_none() && state.confirmed_flush_lsn == Some(slot.consistent_lsn)
    });
    if !as_made {
        drop(snapshot.release().await);
        return Ok(None);
    }
    let config = run.config.clone();
    // What is followed is told by the publications, once the tables are known.
    let upstream = Upstream { slot, followed: Vec::new() };
    Ok(Some(Opened { snapshot, upstream, unfinished: Some(run), config }))
}

async fn begin<P: Planner>(
    options: &Options,
    follow: &Follow,
    (planner, key): (&P, &RootKey),
    (source, left): (&Session, Option<&RunSlot>),
    progress: &Progress,
    abort: &Abort,
) -> Result<Opened, CloneError> {
    publish::followable(source, follow).await?;
    let (info, url) = (&options.source, &options.source_url);
    let open = Snapshot::open(info, url, &Keeper::Session, None, None).await;
    let snapshot = open.map_err(CloneError::Snapshot)?;
    let first = plan_in(&snapshot, options, (planner, key), None).await?;
    drop(snapshot.release().await);
    refuse_subsets(&first.plan)?;
    if let Some(left) = left {
        remove(source, left).await?;
    }
    let name = slot_name(options, follow).await?;
    let failed = CloneError::query("lock the name of the replication slot");
    lock_alone(source, &name).await.map_err(failed)?;
    let made = make(options, follow, source, &name, &first, (progress, abort)).await;
    let failed = CloneError::query("unlock the name of the replication slot");
    unlock(source, &name).await.map_err(failed)?;
    let (new_slot, upstream) = made?;
    let adopt = Some(new_slot.created.snapshot_name.as_str());
    let footprint = upstream.footprint();
    let opened = Snapshot::open(info, url, &options.keeper, adopt, Some(&footprint)).await;
    // The walsender was idle until here.
    drop(new_slot);
    match opened {
        Ok(snapshot) if !abort.is_fired() => {
            Ok(Opened { snapshot, upstream, unfinished: None, config: first.config })
        }
        opened => {
            let error = opened.err().map_or(CloneError::Interrupted, CloneError::Snapshot);
            remove(source, &upstream.slot).await?;
            Err(error)
        }
    }
}

/// Publications, then the slot; neither if one of them fails.
async fn make(
    options: &Options,
    follow: &Follow,
    source: &Session,
    name: &str,
    planned: &Planned,
    (progress, abort): (&Progress, &Abort),
) -> Result<(NewSlot, Upstream), CloneError> {
    leave::clear_name(source, name, follow.slot_name.is_some(), progress).await?;
    let names = PublicationNames::of_slot(name);
    let (publications, followed) = publish::publish(source, follow, &names, planned).await?;
    let kind = if follow.failover { SlotKind::Failover } else { SlotKind::Permanent };
    let created = create_slot(
        source,
        &options.source,
        (name, kind),
        follow.slot_wait,
        || abort.is_fired(),
        |blockers| {
            progress.note(format!("the replication slot waits for {}", blockers.join(", ")));
        },
    );
    let owns_publications = follow.publications.is_empty();
    let new_slot = match created.await {
        Ok(new_slot) => new_slot,
        Err(error) => {
            leave::undo(source, name, if owns_publications { &publications } else { &[] }).await?;
            let is_cancelled = matches!(error, SlotError::Cancelled { .. });
            let error = FollowError::Slot(error).into();
            return Err(if is_cancelled { CloneError::Interrupted } else { error });
        }
    };
    let slot = RunSlot {
        slot_name: name.to_owned(),
        consistent_lsn: new_slot.created.consistent_point,
        publications,
        owns_publications,
        timeline: new_slot.system.timeline,
    };
    Ok((new_slot, Upstream { slot, followed }))
}

/// A subset keeps rows by a condition and by their references: a change can bring rows into it
/// that were never copied.
fn refuse_subsets(plan: &Plan) -> Result<(), CloneError> {
    let subset = plan
        .tables
        .iter()
        .filter(|table| table.action == TableAction::Copy && table.filter.is_some())
        .map(|table| table.name.to_string())
        .collect::<Vec<_>>();
    if subset.is_empty() { Ok(()) } else { Err(FollowError::Subset(subset).into()) }
}

/// The name that is asked for, or one that is made from the target. While the target that is
/// being replaced is still followed, there are two.
async fn slot_name(options: &Options, follow: &Follow) -> Result<String, CloneError> {
    let old = old_stream(options).await?;
    let base = if let Some(name) = &follow.slot_name {
        name.clone()
    } else {
        let target = connect(&options.target, Side::Target).await?;
        let failed = CloneError::query("identify the target");
        let identity = super::preflight::identity(&target).await.map_err(failed)?;
        // Physical copies of a server share its identifier.
        slot_name_for(&format!("{identity} {}", options.target.url_without_password()))
    };
    let is_taken = old.is_some_and(|old| old.slot_name == base);
    Ok(if is_taken { format!("{base}_b") } else { base })
}

/// Writes the stream's record, its first checkpoint and the state of each table, in the
/// transaction that is open. Tables that the source has `overtaken` are to be copied again first.
pub(super) async fn write_record(
    target: &Session,
    planned: &Planned,
    upstream: &Upstream,
    (fingerprint, overtaken): (&Fingerprint, &BTreeSet<String>),
) -> Result<(), CloneError> {
    let failed = || CloneError::query("write the stream's record");
    let (system_identifier, database) =
        fingerprint.source_system_identifier.split_once('/').unwrap_or_default();
    let record = StreamRecord {
        slot_name: upstream.slot.slot_name.clone(),
        source: fingerprint.source.clone(),
        source_system_identifier: system_identifier.to_owned(),
        source_database: database.to_owned(),
        timeline: upstream.slot.timeline,
        publications: upstream.slot.publications.clone(),
        owns_publications: upstream.slot.owns_publications,
        consistent_lsn: upstream.slot.consistent_lsn,
        key_id: fingerprint.key_id.clone(),
        algorithm_version: fingerprint.algorithm_version,
        dictionary_hash: fingerprint.dictionary_hash.clone(),
        config: planned.config.clone(),
    };
    StreamRecord::remove(target).await.map_err(failed())?;
    record.write(target).await.map_err(failed())?;
    let (mut known, mut sources) = (BTreeMap::new(), BTreeMap::new());
    for job in planned.jobs.iter() {
        let root = planned.catalog.table(planned.catalog.partition_root(job.table));
        sources.insert(root.name.clone(), root.oid);
        sources.insert(job.source.clone(), job.oid);
        known.entry(&root.name).or_insert_with(|| root.known_columns(|_| true));
    }
    let known = known.iter().flat_map(|(name, columns)| known_statements(name, columns));
    let known = known.chain(source_statement(&sources)).collect::<Vec<_>>().join(";");
    target.execute_all(&known).await.map_err(failed())?;
    write_stream_tables(target, &tables(planned, upstream, overtaken)).await.map_err(failed())
}

/// Makes the tables of the stream's state.
pub(super) async fn create_state(target: &Session) -> Result<(), CloneError> {
    create_stream_state(target).await.map_err(CloneError::query("make the stream's state"))
}

fn tables(
    planned: &Planned,
    upstream: &Upstream,
    overtaken: &BTreeSet<String>,
) -> Vec<StreamTable> {
    let followed = upstream.followed.iter().map(|table| (&table.name, &table.following));
    let followed = followed.collect::<HashMap<_, _>>();
    let table = |job: &crate::table_sync::TableJob| {
        let source = planned.catalog.table(job.table);
        let name = &source.name;
        let (state, reason) = match followed.get(name) {
            Some(Following::Whole | Following::InsertOnly { .. })
                if overtaken.contains(&name.to_string()) =>
            {
                ("resyncing", Some("it was truncated or rewritten before it was copied".to_owned()))
            }
            Some(Following::Whole) => ("streaming", None),
            Some(Following::InsertOnly { reason }) => ("insert_only", Some(reason.clone())),
            Some(Following::Not { reason }) => ("stale", Some(reason.clone())),
            None => ("stale", Some("it was made while the clone began".to_owned())),
        };
        let rules = planned.plan.table(job.table);
        let rules_hash = rules.map(|rules| rules.rules_hash(source, |_| true)).unwrap_or_default();
        StreamTable { relation: name.to_string(), state, reason, rules_hash }
    };
    planned.jobs.iter().map(table).collect()
}

/// What the publications bring, for a run that goes on.
pub(super) async fn read_followed(
    source: &Session,
    planned: &Planned,
    upstream: &mut Upstream,
) -> Result<(), CloneError> {
    if upstream.followed.is_empty() {
        upstream.followed = publish::followed(source, &upstream.slot.publications, planned).await?;
    }
    Ok(())
}
