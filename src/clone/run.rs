//! The main path of a clone.

use super::copy::{CopyPhase, copy_ranges};
use super::error::{CloneError, Side};
use super::masks::{TableJob, bind_masks};
use super::options::Options;
use super::preflight::{self, Servers};
use super::progress::{Progress, Stage, TableProgress};
use super::schema::{self, Archive, LeftOut};
use super::summary::Summary;
use super::{finish, journal, left_behind, literals, ranges, subset, summary, swap};
use crate::catalog::{self, Catalog};
use crate::pg::{ConnInfo, Error, Session};
use crate::source::Snapshot;
use crate::state::{Fingerprint, Journal, Phase, PlannedRange, Run as Interrupted};
use crate::table_sync::Abort;
use crate::transform::key::RootKey;
use crate::transform::op;
use crate::transform::plan::Plan;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

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
    let unfinished = journal::unfinished(&journal, options).await?;
    let (mut snapshot, unfinished) = journal::open_snapshot(options, progress, unfinished).await?;

    progress.enter(Stage::Planning);
    let decided = plan_in(&snapshot, options, planner, key, unfinished.as_ref()).await?;
    let fingerprint = fingerprint(options, &servers, &decided.plan, key);
    let rules = (decided.config.as_str(), &fingerprint);
    let (run_id, phase, resumed) =
        journal::begin(&journal, &target, options, rules, &mut snapshot, unfinished).await?;
    clock.lap("plan");

    let mut run = Run {
        options,
        into: &into,
        planned: &decided,
        snapshot: &snapshot,
        journal: &journal,
        target: &target,
        progress,
        id: run_id,
        resumed,
    };
    let archive = run.schema(phase).await?;
    clock.lap("schema");
    let copied = run.data(phase, abort).await?;
    clock.lap("data");
    run.post_data(phase, &archive).await?;
    clock.lap("indexes");
    let sequences = run.finish(&archive).await?;
    clock.lap("finish");

    let literals = literals::find(snapshot.session()).await?;
    let ranges = journal.ranges(run_id).await.map_err(CloneError::query("read the journal"))?;
    journal.enter(run_id, Phase::Done).await.map_err(CloneError::query("write the journal"))?;
    let warnings = run.warnings();
    drop(target);
    if options.replace {
        progress.enter(Stage::Swapping);
        // Still in the snapshot: a swap that fails is made up for by the next run.
        swap::swap(&options.target).await?;
        clock.lap("swap");
    }
    // A keeper that does not let go ends by itself: nothing to fail for.
    drop(snapshot.release().await);
    progress.enter(Stage::Done);
    let facts = summary::Facts {
        fingerprint: &fingerprint,
        resumed,
        copied,
        ranges: &ranges,
        sequences,
        literals,
        warnings,
    };
    Ok(summary::summarise(options, &decided, facts, clock.total()))
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
    let decided = plan_in(&snapshot, options, planner, key, None).await?;
    let fingerprint = fingerprint(options, &servers, &decided.plan, key);
    let ranges = ranges::plan(&decided.jobs, options.range_bytes);
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

async fn plan_in<P: Planner>(
    snapshot: &Snapshot,
    options: &Options,
    planner: &P,
    key: &RootKey,
    unfinished: Option<&Interrupted>,
) -> Result<Planned, CloneError> {
    let source = snapshot.session();
    let catalog =
        catalog::load(source).await.map_err(CloneError::query("read the source's catalog"))?;
    let stored = unfinished.map(|run| run.config.as_str());
    let Decided { plan, config } = planner(snapshot, &catalog, stored).await?;
    let mut jobs = bind_masks(&plan, &catalog, key, options.format).map_err(CloneError::Config)?;
    subset::close(&mut jobs, &plan, &catalog)?;
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
    async fn schema(&mut self, phase: Phase) -> Result<Archive, CloneError> {
        self.progress.enter(Stage::Schema);
        let archive =
            schema::dump(self.options, self.snapshot.name(), &self.planned.left_out).await?;
        if phase == Phase::Schema {
            archive.restore_pre_data(self.options, self.into).await?;
            let ranges = ranges::plan(&self.planned.jobs, self.options.range_bytes);
            let failed = CloneError::query("write the plan to the journal");
            self.journal.plan(self.id, &ranges).await.map_err(failed)?;
        }
        Ok(archive)
    }

    /// Copies what the journal does not know as done; returns how many ranges that were.
    async fn data(&mut self, phase: Phase, abort: &Arc<Abort>) -> Result<u64, CloneError> {
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
        if phase <= Phase::Data {
            self.enter(Phase::PostData).await?;
        }
        Ok(count)
    }

    async fn post_data(&mut self, phase: Phase, archive: &Archive) -> Result<(), CloneError> {
        if phase > Phase::PostData {
            return Ok(());
        }
        self.progress.enter(Stage::PostData);
        let resumed = self.resumed.then_some(self.target);
        archive
            .restore_post_data(self.options, self.snapshot.session(), self.into, resumed)
            .await?;
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
