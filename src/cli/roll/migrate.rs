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
    let pending = pending(&mut roll, &files, &report).await?;
    if args.expect_one && pending.len() > 1 {
        return Err(Failure::conflict(format!(
            "{} migrations are to run, and --expect-one allows one",
            pending.len()
        ))
        .hint("run the older ones first, or leave the flag out"));
    }
    let last = pending.len().saturating_sub(1);
    let mut names = Vec::new();
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

/// What has not run, after whatever an interrupted `migrate` left is brought to its end.
async fn pending<'f>(
    roll: &mut Roll,
    files: &'f [File],
    report: &Report,
) -> Result<Vec<&'f File>, Failure> {
    if let Some(active) = roll.state().active().await? {
        let status = roll::Status::read(roll).await?;
        let phase = status.active.and_then(|active| active.phase);
        let is_ours = files.iter().any(|(_, file)| file.migration.name == active.name);
        match phase {
            Some(Phase::Starting | Phase::Completing) if is_ours => {
                roll::resume(roll, &report.progress).await?;
                // The same command again has to converge on what it would have come to.
                if phase == Some(Phase::Starting) {
                    return pending_after(roll, files, &active.name, report).await;
                }
            }
            Some(phase) => return Err(RollError::Active { name: active.name, phase }.into()),
            None => return Err(RollError::Foreign { name: active.name }.into()),
        }
    }
    unapplied(roll, files).await
}

/// A start that was interrupted is brought to its end; if it was not the last, it is completed.
async fn pending_after<'f>(
    roll: &mut Roll,
    files: &'f [File],
    name: &str,
    report: &Report,
) -> Result<Vec<&'f File>, Failure> {
    let is_last = files.last().is_some_and(|(_, file)| file.migration.name == name);
    if is_last {
        return Ok(Vec::new());
    }
    roll::complete(roll, &report.progress).await?;
    unapplied(roll, files).await
}

async fn unapplied<'f>(roll: &Roll, files: &'f [File]) -> Result<Vec<&'f File>, Failure> {
    let history = roll.state().history().await?;
    let names = files.iter().map(|(_, file)| file.migration.name.as_str()).collect::<Vec<_>>();
    let pending = roll::pending(&history, &names)?;
    Ok(pending.positions.into_iter().filter_map(|at| files.get(at)).collect())
}
