//! `backlot roll rollback`

use super::arguments::ServerArgs;
use super::report::Report;
use super::start::ended;
use crate::cli::failure::Failure;
use crate::cli::{Global, output};
use crate::roll::{self, Backfilling, Roll};
use clap::Args;
use serde_json::json;

#[derive(Args)]
pub(in crate::cli) struct RollbackArgs {
    /// Show what would be taken back and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(
    args: RollbackArgs,
    server: &ServerArgs,
    global: &Global,
) -> Result<(), Failure> {
    let report = Report::start(global, server.is_verbose()?);
    let mut roll = Roll::lock(server.options(Backfilling::default())?).await?;
    let done = roll::rollback(&mut roll, args.dry_run, &report.progress).await?;
    drop(report);
    if args.dry_run {
        return print_dry_run("rollback", &done.statements, global);
    }
    ended(&roll, &done.ended, global).await
}

/// The statements that a verb would run.
pub(super) fn print_dry_run(
    verb: &str,
    statements: &[String],
    global: &Global,
) -> Result<(), Failure> {
    if global.json {
        return output::json(&json!({"verb": verb, "dry_run": true, "statements": statements}));
    }
    for statement in statements {
        output::line(&format!("{};", statement.trim().trim_end_matches(';')))?;
    }
    Ok(())
}
