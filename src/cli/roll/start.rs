//! `backlot roll start`

use super::arguments::{ServerArgs, duration, switch};
use super::files;
use super::report::Report;
use crate::cli::failure::Failure;
use crate::cli::{Global, output};
use crate::migrate::file::MigrationFile;
use crate::roll::{self, Backfilling, Ended, Named, Request, Roll, RollError, Scrutiny};
use crate::state::roll::Outcome;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Args)]
pub(in crate::cli) struct StartArgs {
    /// The migration: YAML or JSON
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Complete it at once
    #[arg(long, short)]
    complete: bool,
    /// Do not have the server judge the expressions first (or PGROLL_SKIP_VALIDATION)
    #[arg(long, short)]
    skip_validation: bool,
    #[command(flatten)]
    backfill: BackfillArgs,
}

#[derive(Args, Clone)]
pub(in crate::cli) struct BackfillArgs {
    /// Rows of the largest range that is filled in one transaction
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    backfill_batch_size: u32,
    /// Pause after each range (1s, 100ms)
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = duration)]
    backfill_batch_delay: Duration,
    /// Ranges are made so large that one takes about this long
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = duration)]
    backfill_batch_time: Duration,
    /// Wait for replicas that are further behind
    #[arg(long, value_name = "TIME", value_parser = duration)]
    max_replica_lag: Option<Duration>,
    /// MiB of WAL that the server may write a second while the backfill runs
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    max_wal_rate: Option<u64>,
}

impl BackfillArgs {
    pub(super) fn read(&self) -> Backfilling {
        Backfilling {
            batch_rows: self.backfill_batch_size,
            batch_time: self.backfill_batch_time,
            delay: self.backfill_batch_delay,
            max_lag: self.max_replica_lag,
            wal_bytes_per_second: self.max_wal_rate.map(|mib| mib << 20),
        }
    }
}

pub(super) async fn run(
    args: StartArgs,
    server: &ServerArgs,
    global: &Global,
) -> Result<(), Failure> {
    let file = files::read(&args.file, global)?;
    let scrutiny = scrutiny(args.skip_validation)?;
    let report = Report::start(global, server.is_verbose()?);
    let mut roll = Roll::lock(server.options(args.backfill.read())?).await?;
    if !(args.complete && is_at_its_end(&roll, &file).await?) {
        let choices = (server.uses_version_schema()?, scrutiny);
        start(&mut roll, &args.file, &file, choices, &report).await?;
    }
    if args.complete {
        let end = roll::complete(&mut roll, &report.progress).await?;
        drop(report);
        return ended(&roll, &end, global).await;
    }
    drop(report);
    started(&roll, &file.migration.name, global).await
}

/// True where an earlier `start --complete` was stopped behind its start.
async fn is_at_its_end(roll: &Roll, file: &MigrationFile) -> Result<bool, Failure> {
    let document = file.migration.to_value().to_string();
    let named = Named { name: &file.migration.name, document: &document };
    Ok(roll::is_at_its_end(roll, named).await?)
}

pub(super) fn scrutiny(skip: bool) -> Result<Scrutiny, Failure> {
    let skips = switch(skip.then_some(true), "PGROLL_SKIP_VALIDATION", false)?;
    Ok(if skips { Scrutiny::Least } else { Scrutiny::Full })
}

/// Starts one file's migration; what is wrong with it is shown at its place in the file.
pub(super) async fn start(
    roll: &mut Roll,
    path: &Path,
    file: &MigrationFile,
    (has_views, scrutiny): (bool, Scrutiny),
    report: &Report,
) -> Result<(), Failure> {
    let request = Request { migration: &file.migration, has_views, scrutiny };
    let started = roll::start(roll, request, &report.progress).await;
    started.map(drop).map_err(|error| placed(error, path, file))
}

/// Findings get their places in the file.
pub(super) fn placed(error: RollError, path: &Path, file: &MigrationFile) -> Failure {
    if let RollError::Invalid { findings, .. } = &error {
        return files::invalid(path, file, findings);
    }
    Failure::from(error)
}

/// The last word of a start.
pub(super) async fn started(roll: &Roll, name: &str, global: &Global) -> Result<(), Failure> {
    let schema = version_schema(roll).await?;
    if global.json {
        return output::json(&json!({
            "event": "summary", "migration": name, "status": "started", "version_schema": schema,
        }));
    }
    output::line(&format!("migration {name} started{}", with_schema(schema.as_deref())))
}

/// The last word of a verb that ends a migration.
pub(super) async fn ended(roll: &Roll, end: &Ended, global: &Global) -> Result<(), Failure> {
    let schema = match end.outcome {
        Outcome::Completed => version_schema(roll).await?,
        Outcome::RolledBack => None,
    };
    let (name, what) = (&end.name, end.outcome.name());
    if global.json {
        return output::json(&json!({
            "event": "summary", "migration": name, "status": what, "version_schema": schema,
            "was_done": end.was_done,
        }));
    }
    let already = if end.was_done { "was already " } else { "" };
    output::line(&format!("migration {name} {already}{what}{}", with_schema(schema.as_deref())))
}

async fn version_schema(roll: &Roll) -> Result<Option<String>, Failure> {
    let version = roll.state().latest_version().await?;
    Ok(version.map(|version| format!("{}_{version}", roll.options().schema)))
}

fn with_schema(schema: Option<&str>) -> String {
    schema.map_or(String::new(), |schema| format!(", version schema {schema}"))
}
