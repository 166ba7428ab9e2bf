//! The main path of a clone.

use super::copy::{CopyPhase, copy_ranges};
use super::error::{CloneError, Side};

use super::options::Options;
use super::preflight::{self, Servers};
use super::progress::{Progress, Stage, TableProgress};
use super::schema::{self, Archive, LeftOut};
use super::summary::Summary;
use super::upstream::{self, Upstream};
use super::{finish, journal, left_behind, literals, overtaken, summary, swap};
use crate::catalog::{self, Catalog, Filenodes};
use crate::pg::{ConnInfo, Error, Session};
use crate::source::Snapshot;
use crate::state::{Fingerprint, Journal, Phase, PlannedRange, Run as Interrupted};
use crate::table_sync::{Abort, TableJob, bind_masks, close_subset, plan_ranges};
use crate::transform::key::RootKey;
use crate::transform::op;
use crate::transform::plan::Plan;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The rules of a clone: bound, and as the transforms.yaml that says the same.
pub struct Decided {
    pub plan: Plan,
    /// Kept in the journal: a resumed clone takes its rules from there, because detection need
    /// not find the same twice.
    pub config: String,
}

/// Decides the rules for the catalog that the snapshot shows; given the configuration of the
/// run that goes on, it binds that one.
pub trait Planner:
    AsyncFn(&Snapshot, &Catalog, Option<&str>) -> Result<Decided, CloneError>
{
}

impl<P: AsyncFn(&Snapshot, &Catalog, Option<&str>) -> Result<Decided, CloneError>> Planner for P {}

/// Jobs of `pg_restore` that lock several relations may meet in ways that nobody has thought of:
/// the server ends one of them.
const POST_DATA_ATTEMPTS: u32 = 4;

/// Everything that is decided before the target is touched.
pub(super) struct Planned {
    pub(super) catalog: Catalog,
    pub(super) plan: Plan,
    pub(super) config: String,
    pub(super) jobs: Arc<Vec<TableJob>>,
    pub(super) left_out: LeftOut,
    /// For the summary.
    pub(super) left_behind: Vec<String>,
}

/// Seconds per phase, for the summary.
struct Clock {
    started: Instant,
    last: Instant,
    seconds: BTreeMap<&'static str, f64>,
}

impl Clock {
    fn start() -> Self {
        let now = Instant::now();
        Self { started: now, last: now, seconds: BTreeMap::new() }
    }

    fn lap(&mut self, phase: &'static str) {
        self.seconds.insert(phase, self.last.elapsed().as_secs_f64());
        self.last = Instant::now();
    }

    fn total(mut self) -> BTreeMap<&'static str, f64> {
        self.seconds.insert("total", self.started.elapsed().as_secs_f64());
        self.seconds
    }
}

/// Clones the source into the target; goes on where an interrupted clone stopped.
///
/// # Errors
/// [`CloneError`]. A target that held data is as it was; one that was empty holds an unfinished
/// clone, which the same call completes.
pub async fn run<P: Planner>(
    options: &Options,
    planner: &P,
    key: &RootKey,
    progress: &Progress,
    abort: &Arc<Abort>,
) -> Result<Summary, CloneError> {
    let mut clock = Clock::start();
    let servers = preflight_servers(options).await?;
    let into = if options.replace {
        swap::prepare(&options.target, options.restart).await?;
        swap::staging(&options.target)
    } else {
        options.target.clone()
    };
    let target = connect(&into, Side::Target).await?;
    let journal = journal::lock(&target).await?;
    let asked = (planner, key);
    let Opened { snapshot, unfinished, stored, mut upstream } =
        open(options, asked, (&journal, &target), progress, abort).await?;
    let begun = begin(
        options,
        asked,
        (&servers, &journal, &target),
        snapshot,
        (unfinished, stored),
        &mut upstream,
    );
    let Begun { snapshot, decided, fingerprint, id, phase, resumed } = begun.await?;
    clock.lap("plan");

    let mut run = Run {
        options,
        into: &into,
        planned: &decided,
        snapshot: &snapshot,
        journal: &journal,
        target: &target,
        progress,
        id,
        resumed,
    };
    let (copied, sequences) = run.watched(phase, abort, upstream.as_ref(), &mut clock).await?;

    let literals = literals::find(snapshot.session()).await?;
    let ranges = journal.ranges(id).await.map_err(CloneError::query("read the journal"))?;
    let overtaken = overtaken::tables(&ranges);
    run.close(upstream.as_ref(), (&fingerprint, &overtaken)).await?;
    let mut warnings = run.warnings();
    let copied_again = |table: &&String| upstream.as_ref().is_some_and(|one| one.follows(table));
    let left = overtaken.iter().filter(|table| !copied_again(table));
    warnings.extend(left.map(|table| overtaken::warning(table)));
    let old_stream = upstream::old_stream(options).await?;
    drop(target);
    if options.replace {
        progress.enter(Stage::Swapping);
        // Still in the snapshot: a swap that fails is made up for by the next run.
        warnings.extend(swap::swap(&options.target).await?);
        clock.lap("swap");
    }
    // A keeper that does not let go ends by itself: nothing to fail for.
    drop(snapshot.release().await);
    if let Some(old) = old_stream {
        warnings.extend(upstream::forget_old_stream(options, &old).await);
    }
    progress.enter(Stage::Done);
    let facts = summary::Facts {
        fingerprint: &fingerprint,
        resumed,
        copied,
        ranges: &ranges,
        sequences,
        literals,
        warnings,
        upstream: upstream.as_ref(),
    };
    Ok(summary::summarise(options, &decided, facts, clock.total()))
}

/// The snapshot that the clone reads, and with `--follow` the slot that it is of.
struct Opened {
    snapshot: Snapshot,
    unfinished: Option<Interrupted>,
    /// The rules to bind instead of deciding anew.
    stored: Option<String>,
    upstream: Option<Upstream>,
}

async fn open<P: Planner>(
    options: &Options,
    asked: (&P, &RootKey),
    (journal, target): (&Journal<'_>, &Session),
    progress: &Progress,
    abort: &Abort,
) -> Result<Opened, CloneError> {
    let unfinished = journal::unfinished(journal, options).await?;
    let latest = journal::latest(journal).await?;
    let Some(follow) = &options.follow else {
        if let Some(slot) = latest.and_then(|run| run.slot).filter(|_| options.restart) {
            let source = connect(&options.source, Side::Source).await?;
            upstream::remove(&source, &slot).await?;
        }
        let (snapshot, unfinished) = journal::open_snapshot(options, progress, unfinished).await?;
        progress.enter(Stage::Planning);
        let stored = unfinished.as_ref().map(|run| run.config.clone());
        return Ok(Opened { snapshot, unfinished, stored, upstream: None });
    };
    journal::refuse_full(journal, target, options).await?;
    progress.enter(Stage::Planning);
    let runs = (unfinished, latest);
    let opened = upstream::open(options, follow, asked, runs, progress, abort).await?;
    let upstream::Opened { snapshot, upstream, unfinished, config } = opened;
    Ok(Opened { snapshot, unfinished, stored: Some(config), upstream: Some(upstream) })
}

/// A run that the journal knows.
struct Begun {
    snapshot: Snapshot,
    decided: Planned,
    fingerprint: Fingerprint,
    id: i64,
    phase: Phase,
    resumed: bool,
}

/// Decides the rules and tells the journal. If that fails, a new slot is taken away again: from
/// the journal on it is kept for the next run.
async fn begin<P: Planner>(
    options: &Options,
    asked: (&P, &RootKey),
    (servers, journal, target): (&Servers, &Journal<'_>, &Session),
    mut snapshot: Snapshot,
    (unfinished, stored): (Option<Interrupted>, Option<String>),
    upstream: &mut Option<Upstream>,
) -> Result<Begun, CloneError> {
    let is_new = unfinished.is_none();
    let begun = async {
        let decided = plan_in(&snapshot, options, asked, stored.as_deref()).await?;
        if let Some(upstream) = upstream.as_mut() {
            upstream::read_followed(snapshot.session(), &decided, upstream).await?;
        }
        let fingerprint = fingerprint(options, servers, &decided.plan, asked.1);
        let rules = (decided.config.as_str(), &fingerprint);
        let slot = upstream.as_ref().map(|upstream| &upstream.slot);
        let known =
            journal::begin(journal, target, options, rules, &mut snapshot, unfinished, slot)
                .await?;
        Ok((decided, fingerprint, known))
    };
    match begun.await {
        Ok((decided, fingerprint, (id, phase, resumed))) => {
            Ok(Begun { snapshot, decided, fingerprint, id, phase, resumed })
        }
        Err(error) => {
            if let Some(upstream) = upstream.as_ref().filter(|_| is_new) {
                drop(snapshot.release().await);
                let source = connect(&options.source, Side::Source).await?;
                upstream::remove(&source, &upstream.slot).await?;
            }
            Err(error)
        }
    }
}

/// What [`run`] would do: nothing is written anywhere.
pub async fn plan_only<P: Planner>(
    options: &Options,
    planner: &P,
    key: &RootKey,
    progress: &Progress,
) -> Result<Summary, CloneError> {
    let mut clock = Clock::start();
    let servers = preflight_servers(options).await?;
    let target = connect(&options.target, Side::Target).await?;
    if !options.replace {
        let occupants = crate::sink::occupants(&target)
            .await
            .map_err(CloneError::query("look into the target"))?;
        let journal = Journal::lock(&target).await.map_err(CloneError::query("lock the target"))?;
        let journal = journal.ok_or(CloneError::TargetBusy)?;
        let unfinished = journal::unfinished(&journal, options).await?;
        if !occupants.is_empty() && unfinished.is_none() {
            return Err(CloneError::TargetNotEmpty(occupants));
        }
    }
    let (snapshot, _) = journal::open_snapshot(options, progress, None).await?;
    progress.enter(Stage::Planning);
    let decided = plan_in(&snapshot, options, (planner, key), None).await?;
    let fingerprint = fingerprint(options, &servers, &decided.plan, key);
    let ranges = plan_ranges(&decided.jobs, options.range_bytes);
    let literals = literals::find(snapshot.session()).await?;
    clock.lap("plan");
    let warnings = warnings(&decided);
    drop(snapshot.release().await);
    let facts = summary::Facts {
        fingerprint: &fingerprint,
        resumed: false,
        copied: 0,
        ranges: &ranges,
        sequences: decided.catalog.sequences.len(),
        literals,
        warnings,
        upstream: None,
    };
    Ok(summary::summarise(options, &decided, facts, clock.total()))
}

pub(super) async fn connect(info: &ConnInfo, side: Side) -> Result<Session, CloneError> {
    Session::connect(info, "backlot").await.map_err(|source| CloneError::Connect { side, source })
}

async fn preflight_servers(options: &Options) -> Result<Servers, CloneError> {
    let source = connect(&options.source, Side::Source).await?;
    let target = connect(&options.target, Side::Target).await?;
    preflight::servers(&source, &target).await
}

/// Reads the catalog in the snapshot and decides, or binds the `stored` configuration.
pub(super) async fn plan_in<P: Planner>(
    snapshot: &Snapshot,
    options: &Options,
    (planner, key): (&P, &RootKey),
    stored: Option<&str>,
) -> Result<Planned, CloneError> {
    let source = snapshot.session();
    let catalog =
        catalog::load(source).await.map_err(CloneError::query("read the source's catalog"))?;
    let Decided { plan, config } = planner(snapshot, &catalog, stored).await?;
    let mut jobs = bind_masks(&plan, &catalog, key, options.format).map_err(CloneError::Config)?;
    close_subset(&mut jobs, &plan, &catalog)
        .map_err(|error| CloneError::Subset(error.to_string()))?;
    preflight::readable(source, &catalog, &jobs).await?;
    let oids =
        catalog.tables.iter().map(|table| (table.oid, table.name.to_string())).collect::<Vec<_>>();
    let left_out = schema::left_out(source, &plan, &oids).await?;
    let left_behind = left_behind::find(source).await?;
    Ok(Planned { catalog, plan, config, jobs: Arc::new(jobs), left_out, left_behind })
}

fn fingerprint(options: &Options, servers: &Servers, plan: &Plan, key: &RootKey) -> Fingerprint {
    Fingerprint {
        source: options.source.url_without_password(),
        source_system_identifier: servers.source_identity.clone(),
        key_id: key.id(),
        algorithm_version: i32::try_from(op::ALGORITHM_VERSION).unwrap_or(i32::MAX),
        dictionary_hash: op::dictionary_hash().to_string(),
        config_hash: options.config_hash.clone(),
        plan_hash: plan.config_hash(),
    }
}

/// After the loss of the slot the lanes get this long to let go.
const LANES_END: Duration = Duration::from_secs(10);

/// The phases of one run, with what they share.
struct Run<'r> {
    options: &'r Options,
    into: &'r ConnInfo,
    planned: &'r Planned,
    snapshot: &'r Snapshot,
    journal: &'r Journal<'r>,
    target: &'r Session,
    progress: &'r Progress,
    id: i64,
    resumed: bool,
}

impl Run<'_> {
    /// The phases from the schema to the end. With a stream to come, the loss of its slot ends
    /// them.
    async fn watched(
        &mut self,
        phase: Phase,
        abort: &Arc<Abort>,
        upstream: Option<&Upstream>,
        clock: &mut Clock,
    ) -> Result<(u64, usize), CloneError> {
        let (options, progress) = (self.options, self.progress);
        let Some(upstream) = upstream else { return self.phases(phase, abort, clock).await };
        let slot_name = &upstream.slot.slot_name;
        let watch = upstream::until_lost(&options.source, slot_name, progress);
        let mut phases = Box::pin(self.phases(phase, abort, clock));
        tokio::select! {
            done = &mut phases => done,
            lost = watch => {
                abort.fire();
                // What the lanes have begun is rolled back.
                drop(tokio::time::timeout(LANES_END, &mut phases).await);
                Err(lost)
            }
        }
    }

    async fn phases(
        &mut self,
        phase: Phase,
        abort: &Arc<Abort>,
        clock: &mut Clock,
    ) -> Result<(u64, usize), CloneError> {
        let archive = self.schema(phase).await?;
        clock.lap("schema");
        let copied = self.data(phase, abort).await?;
        clock.lap("data");
        self.post_data(phase, &archive).await?;
        clock.lap("indexes");
        let sequences = self.finish(&archive).await?;
        clock.lap("finish");
        Ok((copied, sequences))
    }

    /// The end of the journal and the beginning of the stream are one transaction.
    async fn close(
        &self,
        upstream: Option<&Upstream>,
        (fingerprint, overtaken): (&Fingerprint, &BTreeSet<String>),
    ) -> Result<(), CloneError> {
        let Some(upstream) = upstream else { return self.enter(Phase::Done).await };
        upstream::create_state(self.target).await?;
        let failed = || CloneError::query("write the stream's record");
        self.target.execute_all("begin").await.map_err(failed())?;
        let what = (fingerprint, overtaken);
        upstream::write_record(self.target, self.planned, upstream, what).await?;
        self.enter(Phase::Done).await?;
        self.target.execute_all("commit").await.map_err(failed())
    }

    async fn schema(&mut self, phase: Phase) -> Result<Archive, CloneError> {
        self.progress.enter(Stage::Schema);
        let archive =
            schema::dump(self.options, self.snapshot.name(), &self.planned.left_out).await?;
        if phase == Phase::Schema {
            archive.restore_pre_data(self.options, self.into).await?;
            let ranges = plan_ranges(&self.planned.jobs, self.options.range_bytes);
            let failed = CloneError::query("write the plan to the journal");
            self.journal.plan(self.id, &ranges).await.map_err(failed)?;
        }
        Ok(archive)
    }

    /// Copies what is not copied, and what the source has replaced meanwhile once more; returns how
    /// many ranges that were.
    async fn data(&mut self, phase: Phase, abort: &Arc<Abort>) -> Result<u64, CloneError> {
        let Planned { catalog, jobs, .. } = self.planned;
        let mut count = self.copy_open(abort).await?;
        if phase > Phase::Data {
            return Ok(count);
        }
        let failed = CloneError::query("look whether tables were truncated");
        let mut before = Filenodes::read(self.snapshot.session()).await.map_err(failed)?;
        for attempt in 1.. {
            let now = overtaken::files_now(&self.options.source).await?;
            let Some(again) = overtaken::find(jobs, catalog, (&before, &now)) else { break };
            if attempt == overtaken::ATTEMPTS {
                return Err(CloneError::Overtaken(again.overtaken));
            }
            tracing::info!(tables = ?again.overtaken, "truncated or rewritten while copied: copying again");
            self.journal
                .copy_again(self.id, &again.tables, &again.overtaken, &again.targets)
                .await
                .map_err(CloneError::query("empty tables that are to be copied again"))?;
            count += self.copy_open(abort).await?;
            before = now;
        }
        self.enter(Phase::PostData).await?;
        Ok(count)
    }

    /// Copies what the journal does not know as done; returns how many ranges that were.
    async fn copy_open(&mut self, abort: &Arc<Abort>) -> Result<u64, CloneError> {
        let ranges =
            self.journal.ranges(self.id).await.map_err(CloneError::query("read the journal"))?;
        let tables = progress_tables(&self.planned.jobs, &ranges);
        self.progress.set_tables(tables.clone());
        self.progress.enter(Stage::Data);
        let open = ranges.into_iter().filter(|range| !range.done).collect::<Vec<_>>();
        let count = open.len() as u64;
        let copy = CopyPhase {
            source: self.options.source.clone(),
            target: self.into.clone(),
            snapshot_name: self.snapshot.name().to_owned(),
            run_id: self.id,
            jobs: Arc::clone(&self.planned.jobs),
            tables,
            lanes: self.options.jobs.max(1),
            abort: Arc::clone(abort),
        };
        let done = tokio::task::spawn_blocking(move || copy_ranges(&copy, open)).await;
        done.map_err(|_| CloneError::Panicked)??;
        Ok(count)
    }

    async fn post_data(&mut self, phase: Phase, archive: &Archive) -> Result<(), CloneError> {
        if phase > Phase::PostData {
            return Ok(());
        }
        self.progress.enter(Stage::PostData);
        let mut resumed = self.resumed.then_some(self.target);
        let source = self.snapshot.session();
        for attempt in 1.. {
            match archive.restore_post_data(self.options, source, self.into, resumed).await {
                // What is there already is left out, as after a crash.
                Err(error) if error.is_deadlock() && attempt < POST_DATA_ATTEMPTS => {
                    tracing::debug!(attempt, "pg_restore's jobs locked each other out");
                    journal::end_left_overs(self.target).await?;
                    resumed = Some(self.target);
                }
                other => {
                    other?;
                    break;
                }
            }
        }
        self.enter(Phase::Finish).await
    }

    async fn finish(&mut self, archive: &Archive) -> Result<usize, CloneError> {
        self.progress.enter(Stage::Finishing);
        let Planned { catalog, plan, jobs, .. } = self.planned;
        let source = self.snapshot.session();
        finish::materialized_views(source, self.target).await?;
        let sequences = finish::sequences(source, self.target, catalog, plan).await?;
        finish::analyze(self.into, self.options.jobs, jobs).await?;
        let resumed = self.resumed.then_some(self.target);
        archive.restore_event_triggers(self.options, source, self.into, resumed).await?;
        Ok(sequences)
    }

    async fn enter(&self, phase: Phase) -> Result<(), CloneError> {
        self.journal.enter(self.id, phase).await.map_err(CloneError::query("write the journal"))
    }

    fn warnings(&self) -> Vec<String> {
        warnings(self.planned)
    }
}

fn warnings(planned: &Planned) -> Vec<String> {
    let mut warnings = planned.plan.warnings.iter().map(ToString::to_string).collect::<Vec<_>>();
    let dependents = planned.left_out.dependents.iter();
    warnings.extend(
        dependents.map(|name| format!("{name} is left out: it depends on an excluded table")),
    );
    warnings.extend(planned.left_behind.iter().cloned());
    warnings
}

fn progress_tables(jobs: &[TableJob], ranges: &[PlannedRange]) -> Vec<Arc<TableProgress>> {
    let mut counts = HashMap::<&str, (u64, u64)>::new();
    for range in ranges {
        let (all, done) = counts.entry(range.relation.as_str()).or_default();
        *all += 1;
        *done += u64::from(range.done);
    }
    let table = |job: &TableJob| {
        let name = job.source.to_string();
        let (range_count, ranges_before) = counts.get(name.as_str()).copied().unwrap_or_default();
        Arc::new(TableProgress {
            name,
            size_bytes: job.size_bytes,
            range_count,
            ranges_before,
            ranges_done: ranges_before.into(),
            counters: crate::table_sync::Counters::default(),
        })
    };
    jobs.iter().map(table).collect()
}

impl From<Error> for CloneError {
    fn from(source: Error) -> Self {
        Self::Query { doing: "talk to the server", source }
    }
}
