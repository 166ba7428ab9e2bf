//! `backlot roll migrate`

use super::arguments::ServerArgs;
use super::files;
use super::report::Report;
use super::start::{self, BackfillArgs};
use crate::cli::failure::Failure;
use crate::cli::{Global, output};
use crate::migrate::file::MigrationFile;
use crate::roll::{self, Roll, RollError};
use crate::state::roll::Phase;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct MigrateArgs {
    /// The directory with the migrations
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Complete the last one, too
    #[arg(long, short)]
    complete: bool,
    /// Refuse to run more than one
    #[arg(long)]
    expect_one: bool,
    /// Do not have the server judge the expressions first (or PGROLL_SKIP_VALIDATION)
    #[arg(long, short)]
    skip_validation: bool,
    #[command(flatten)]
    backfill: BackfillArgs,
}

pub(super) async fn run(
    args: MigrateArgs,
    server: &ServerArgs,
    global: &Global,
) -> Result<(), Failure> {
    let files = files::directory(&args.directory, global)?;
    let choices = (server.uses_version_schema()?, start::scrutiny(args.skip_validation)?);
    let report = Report::start(global, server.is_verbose()?);
    let mut roll = Roll::lock(server.options(args.backfill.read())?).await?;
    let found = active(&mut roll, &files, args.complete, &report).await?;
    let pending = match &found {
        Some(Active { is_completed: false, .. }) => Vec::new(),
        Some(_) | None => unapplied(&roll, &files).await?,
    };
    if args.expect_one && pending.len() > 1 {
        return Err(Failure::conflict(format!(
            "{} migrations are to run, and --expect-one allows one",
            pending.len()
        ))
        .hint("run the older ones first, or leave the flag out"));
    }
    let last = pending.len().saturating_sub(1);
    let mut names = found.into_iter().map(|found| found.name).collect::<Vec<_>>();
    for (at, (path, file)) in pending.into_iter().enumerate() {
        start::start(&mut roll, path, file, choices, &report).await?;
        if at < last || args.complete {
            roll::complete(&mut roll, &report.progress).await?;
        }
        names.push(file.migration.name.clone());
    }
    drop(report);
    let is_active = !names.is_empty() && !args.complete;
    if global.json {
        let status = if is_active { "In progress" } else { "Complete" };
        return output::json(&json!({"event": "summary", "migrated": names, "status": status}));
    }
    match names.last() {
        None => output::line("database is up to date; no migrations to apply"),
        Some(last) if is_active => {
            output::line(&format!("{} migration(s) run; {last} is active", names.len()))
        }
        Some(_) => output::line(&format!("{} migration(s) completed", names.len())),
    }
}

type File = (PathBuf, MigrationFile);

/// A migration of the directory that another `migrate` left.
struct Active {
    name: String,
    is_completed: bool,
}

/// Brings what an interrupted `migrate` left to its end: the same command again has to converge on
/// what it would have come to.
async fn active(
    roll: &mut Roll,
    files: &[File],
    complete: bool,
    report: &Report,
) -> Result<Option<Active>, Failure> {
    let Some(active) = roll.state().active().await? else { return Ok(None) };
    let status = roll::Status::read(roll).await?;
    let Some(phase) = status.active.and_then(|active| active.phase) else {
        return Err(RollError::Foreign { name: active.name }.into());
    };
    let is_ours = files.iter().any(|(_, file)| file.migration.name == active.name);
    let is_last = files.last().is_some_and(|(_, file)| file.migration.name == active.name);
    let name = active.name;
    let is_completed = match phase {
        Phase::Starting if is_ours => {
            roll::resume(roll, &report.progress).await?;
            let completes = complete || !is_last;
            if completes {
                roll::complete(roll, &report.progress).await?;
            }
            completes
        }
        Phase::Completing if is_ours => {
            roll::resume(roll, &report.progress).await?;
            true
        }
        Phase::Active if is_ours && complete => {
            roll::complete(roll, &report.progress).await?;
            true
        }
        Phase::Starting | Phase::Active | Phase::Completing | Phase::RollingBack => {
            return Err(RollError::Active { name, phase }.into());
        }
    };
    Ok(Some(Active { name, is_completed }))
}

async fn unapplied<'f>(roll: &Roll, files: &'f [File]) -> Result<Vec<&'f File>, Failure> {
    let history = roll.state().history().await?;
    let names = files.iter().map(|(_, file)| file.migration.name.as_str()).collect::<Vec<_>>();
    let pending = roll::pending(&history, &names)?;
    Ok(pending.positions.into_iter().filter_map(|at| files.get(at)).collect())
}
