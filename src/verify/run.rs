//! The main path of a verification.

use super::basis::{self, Basis, Followed};
use super::compare::{Comparison, Outcome, compare};
use super::digest::Keys;
use super::error::{Side, VerifyError};
use super::join::Findings;
use super::lanes::Sides;
use super::leak::{Hit, Originals, Scan};
use super::mark::Pinned;
use super::narrow::narrow;
use super::orphans::{self, Integrity};
use super::pairing::{self, Pair};
use super::progress::{Progress, Stage};
use super::report::{Leak, LeakScan, Report, TableDifference, Verdict};
use super::sequences;
use crate::catalog::{self, Catalog, Filenodes, RelationName};
use crate::pg::{ConnInfo, Error, Session};
use crate::pii::evolve;
use crate::state::{Journal, known_columns};
use crate::table_sync::{TableJob, bind_masks, close_subset};
use crate::transform::key::RootKey;
use crate::transform::plan::{Decisions, Plan, bind};
use crate::transform::spec::{Pattern, parse};
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// What a verification is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    pub source: ConnInfo,
    pub source_url: SecretString,
    pub target: ConnInfo,
    pub target_url: SecretString,
    /// Only these tables; empty: all that were copied.
    pub tables: Vec<Pattern>,
    /// Connections to each side.
    pub jobs: usize,
    pub leak_scan: bool,
    /// Rows that are listed of each kind and table.
    pub shown: usize,
}

const REPLACED: &str = "it was truncated or rewritten while it was read: verify it again";

/// Everything that is decided before a row is read.
struct Planned {
    catalog: Catalog,
    target_catalog: Catalog,
    plan: Plan,
    /// Tables that came after the clone.
    later: Vec<RelationName>,
    jobs: Vec<TableJob>,
    pairs: Vec<Pair>,
    followed: Followed,
}

/// Compares the target with what its rules make of the source. Writes nothing but, where a
/// stream is asked for a mark, the request.
///
/// # Errors
/// [`VerifyError`] if it cannot be told; what differs is in the report.
pub async fn run(
    options: &Options,
    key: &RootKey,
    progress: &Arc<Progress>,
) -> Result<Report, VerifyError> {
    let started = Instant::now();
    let source = connect(&options.source, Side::Source).await?;
    let target = connect(&options.target, Side::Target).await?;
    let basis = basis::read(&source, &target, key).await?;
    let pinned = pin(options, &basis, &target, progress).await?;
    let planned = Arc::new(plan(options, key, &basis, &pinned).await?);
    progress.tables.store(planned.pairs.len(), Ordering::Relaxed);

    progress.enter(Stage::Comparing);
    let sides = Sides {
        source: options.source.clone(),
        target: options.target.clone(),
        source_snapshot: pinned.source.name().to_owned(),
        target_snapshot: pinned.target.name().to_owned(),
        jobs: options.jobs,
    };
    let rows = tokio::task::spawn_blocking({
        let (planned, progress) = (Arc::clone(&planned), Arc::clone(progress));
        let (leak_scan, shown) = (options.leak_scan, options.shown);
        move || read_rows(&planned, &sides, &progress, leak_scan, shown)
    });
    // Meanwhile the servers count.
    let integrity = orphans::count(
        pinned.source.session(),
        pinned.target.session(),
        &planned.catalog,
        &planned.target_catalog,
        &planned.plan,
    );
    let (rows, integrity) = tokio::join!(rows, integrity);
    let (rows, integrity) = (rows.map_err(|_| VerifyError::Panicked)??, integrity?);
    let is_wanted = |name: &RelationName| is_wanted(options, name);
    let (sequence_count, behind) =
        sequences::compare(&source, &target, &planned.catalog, is_wanted).await?;
    let lsn = pinned.lsn.clone();
    let replaced = replaced(options, &planned, &pinned).await?;
    pinned.release().await;
    progress.enter(Stage::Done);

    let mut report = report(options, &planned, &basis, (&rows, &replaced), integrity);
    report.lsn = lsn;
    report.sequences = sequence_count;
    if basis.slot.is_none() {
        report.sequences_behind = behind;
    } else if !behind.is_empty() {
        // A stream carries them over at intervals, and both are read as they are now.
        report.notes.push(format!("{} sequences will follow the source's", behind.len()));
    }
    report.bytes = progress.bytes.load(Ordering::Relaxed);
    report.seconds = started.elapsed().as_secs_f64();
    report.judge();
    Ok(report)
}

async fn connect(info: &ConnInfo, side: Side) -> Result<Session, VerifyError> {
    Session::connect(info, "backlot verify")
        .await
        .map_err(|source| VerifyError::Connect { side, source })
}

async fn pin(
    options: &Options,
    basis: &Basis,
    target: &Session,
    progress: &Progress,
) -> Result<Pinned, VerifyError> {
    let servers = ((&options.source, &options.source_url), (&options.target, &options.target_url));
    if basis.slot.is_none() {
        return Pinned::now(servers.0, servers.1).await;
    }
    let is_running = Journal::is_locked(target)
        .await
        .map_err(VerifyError::query("look whether the stream is running"))?;
    if !is_running {
        return Err(VerifyError::NoStream);
    }
    progress.enter(Stage::Marking);
    Pinned::marked(servers.0, servers.1, target).await
}

async fn plan(
    options: &Options,
    key: &RootKey,
    basis: &Basis,
    pinned: &Pinned,
) -> Result<Planned, VerifyError> {
    let load = async |session: &Session, doing: &'static str| {
        catalog::load(session).await.map_err(|error: Error| VerifyError::query(doing)(error))
    };
    let catalog = load(pinned.source.session(), "read the source's catalog").await?;
    let target_catalog = load(pinned.target.session(), "read the target's catalog").await?;
    let spec = parse(&basis.config, "the target's transforms.yaml").map_err(VerifyError::Config)?;
    let known = known_columns(pinned.target.session()).await;
    let known = known.map_err(VerifyError::query("read what is known of the tables"))?;
    let spec = evolve(&spec, &catalog, &known);
    let plan = bind(&spec, &catalog, &Decisions::default()).map_err(VerifyError::Config)?;
    let mut jobs = bind_masks(&plan, &catalog, key, None).map_err(VerifyError::Config)?;
    close_subset(&mut jobs, &plan, &catalog)
        .map_err(|error| VerifyError::Subset(error.to_string()))?;
    for pattern in &options.tables {
        let mut copied = jobs.iter().flat_map(|job| [&job.source, &job.target]);
        if !copied.any(|name| pattern.matches(name)) {
            let name = format!("{}.{}", pattern.schema, pattern.name);
            return Err(VerifyError::NoSuchTable(name));
        }
    }
    let is_wanted = |name: &RelationName| is_wanted(options, name);
    let pairs = pairing::pair(&catalog, &target_catalog, &plan, &jobs, &is_wanted);
    let followed = if basis.slot.is_some() {
        Followed::read(pinned.target.session()).await?
    } else {
        Followed::default()
    };
    Ok(Planned { catalog, target_catalog, plan, later: spec.later, jobs, pairs, followed })
}

fn is_wanted(options: &Options, name: &RelationName) -> bool {
    options.tables.is_empty() || options.tables.iter().any(|pattern| pattern.matches(name))
}

/// Names of tables of either side that were truncated or rewritten while they were read: their
/// snapshots do not show their rows any more (`catalog::filenode`).
async fn replaced(
    options: &Options,
    planned: &Planned,
    pinned: &Pinned,
) -> Result<BTreeSet<RelationName>, VerifyError> {
    let mut names = BTreeSet::new();
    let sides = [
        (&pinned.source, &options.source, Side::Source, &planned.catalog),
        (&pinned.target, &options.target, Side::Target, &planned.target_catalog),
    ];
    for (snapshot, info, side, catalog) in sides {
        let failed = || VerifyError::query("look whether tables were truncated");
        let before = Filenodes::read(snapshot.session()).await.map_err(failed())?;
        let now = connect(info, side).await?;
        let now = Filenodes::read(&now).await.map_err(failed())?;
        let tables = catalog.tables.iter().filter(|table| before.was_replaced(&now, table.oid));
        names.extend(tables.map(|table| table.name.clone()));
    }
    Ok(names)
}

/// What reading the rows came to.
struct RowResults {
    outcomes: Vec<Outcome>,
    /// By position of the pair; those that differ.
    findings: BTreeMap<usize, Findings>,
    scanned: Option<(Originals, Vec<Hit>)>,
}

fn read_rows(
    planned: &Planned,
    sides: &Sides,
    progress: &Progress,
    leak_scan: bool,
    shown: usize,
) -> Result<RowResults, VerifyError> {
    let keys = Keys::draw().map_err(VerifyError::Random)?;
    let scan = leak_scan.then(Scan::default);
    let Planned { pairs, jobs, .. } = planned;
    let comparison = Comparison { pairs, jobs, keys: &keys, scan: scan.as_ref() };
    let outcomes = compare(&comparison, sides, progress)?;
    let scanned = scan.map(Scan::finish);
    let originals = scanned.as_ref().map(|(originals, _)| originals);
    let comparison = Comparison { pairs, jobs, keys: &keys, scan: None };
    let mut findings = BTreeMap::new();
    for (at, outcome) in outcomes.iter().enumerate() {
        if !outcome.differing.is_empty() {
            progress.enter(Stage::Narrowing);
            let pass = (sides, progress);
            findings.insert(at, narrow(&comparison, pass, (at, outcome), originals, shown)?);
        }
    }
    Ok(RowResults { outcomes, findings, scanned })
}

fn report(
    options: &Options,
    planned: &Planned,
    basis: &Basis,
    (rows, replaced): (&RowResults, &BTreeSet<RelationName>),
    integrity: Integrity,
) -> Report {
    let Planned { pairs, followed, .. } = planned;
    let mut notes = Vec::new();
    if let Some(at) = basis.cloned_at.as_ref().filter(|_| !rows.findings.is_empty()) {
        notes.push(format!(
            "no stream follows the source: what has changed there since the clone ({at}) counts as a difference"
        ));
    }
    if followed.quarantined > 0 {
        notes.push(format!("{} transactions are in quarantine", followed.quarantined));
    }
    for pair in pairs {
        notes.extend(pair.notes.iter().map(|note| format!("{}: {note}", pair.name)));
    }
    let later = planned.later.iter().filter(|name| is_wanted(options, name));
    notes.extend(later.map(|name| format!("{name} came after the clone: it is not followed")));
    notes.extend(integrity.notes);
    let differences = differences(planned, rows, replaced);
    let leak_scan = rows
        .scanned
        .as_ref()
        .map(|(originals, _)| LeakScan { originals: originals.count(), share: originals.share() });
    Report {
        source: options.source.url_without_password(),
        target: options.target.url_without_password(),
        verdict: Verdict::Verified,
        lsn: None,
        rows: rows.outcomes.iter().map(|outcome| outcome.source_rows).sum(),
        tables: pairs.len(),
        tables_equal: pairs.len() - differences.len(),
        differences,
        references: integrity.references,
        orphans: integrity.orphans,
        sequences: 0,
        sequences_behind: Vec::new(),
        leaks: leaks(pairs, rows),
        leak_scan,
        notes,
        bytes: 0,
        seconds: 0.0,
    }
}

fn differences(
    planned: &Planned,
    rows: &RowResults,
    replaced: &BTreeSet<RelationName>,
) -> Vec<TableDifference> {
    let mut differences = Vec::new();
    for (at, pair) in planned.pairs.iter().enumerate() {
        let (Some(outcome), found) = (rows.outcomes.get(at), rows.findings.get(&at)) else {
            continue;
        };
        // An empty table that is not there is missing all the same.
        let is_absent = pair.holders.is_empty();
        if found.is_none() && !is_absent {
            continue;
        }
        let found = found.cloned().unwrap_or_default();
        let jobs = pair.origins.iter().filter_map(|origin| planned.jobs.get(origin.job));
        let holders = pair.holders.iter().map(|holder| &holder.name);
        let names = jobs.map(|job| &job.source).chain([&pair.name]).chain(holders);
        let exception = names.clone().find_map(|name| planned.followed.exception(name));
        let is_replaced = names.clone().any(|name| replaced.contains(name));
        let exception = exception.or(is_replaced.then_some(REPLACED));
        differences.push(TableDifference {
            table: pair.name.to_string(),
            source_rows: outcome.source_rows,
            target_rows: outcome.target_rows,
            missing: found.missing,
            extra: found.extra,
            different: found.different,
            is_complete: found.examined_buckets == found.differing_buckets,
            not_followed: exception.map(str::to_owned),
            missing_rows: found.missing_rows,
            extra_rows: found.extra_rows,
            different_rows: found.different_rows,
        });
    }
    differences
}

fn leaks(pairs: &[Pair], rows: &RowResults) -> Vec<Leak> {
    let name = |pair: usize, column: usize| {
        let pair = pairs.get(pair)?;
        Some(format!("{}.{}", pair.name, pair.columns.get(column)?.name))
    };
    let mut leaks = Vec::new();
    let hits = rows.scanned.iter().flat_map(|(_, hits)| hits);
    for Hit { place: (pair, column), values } in hits {
        let place = (usize::try_from(*pair), usize::try_from(*column));
        let (Ok(pair), Ok(column)) = place else { continue };
        leaks.extend(name(pair, column).map(|column| Leak {
            column,
            values: *values,
            because: "its rule keeps values that other rules mask",
        }));
    }
    for (pair, found) in &rows.findings {
        for (column, values) in &found.leaks {
            leaks.extend(name(*pair, *column).map(|column| Leak {
                column,
                values: *values,
                because: "rows that differ show source values",
            }));
        }
    }
    leaks
}
