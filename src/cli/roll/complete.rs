//! `backlot roll complete`

use super::arguments::ServerArgs;
use super::report::Report;
use super::start::ended;
use crate::cli::Global;
use crate::cli::failure::Failure;
use crate::roll::{self, Backfilling, Roll};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct CompleteArgs {
    /// Taken and not read, as by pgroll: the active migration is completed
    #[arg(value_name = "FILE", hide = true)]
    file: Option<PathBuf>,
    /// Show what would be lost and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(
    args: CompleteArgs,
    server: &ServerArgs,
    global: &Global,
) -> Result<(), Failure> {
    drop(args.file);
    let report = Report::start(global, server.is_verbose()?);
    let mut roll = Roll::lock(server.options(Backfilling::default())?).await?;
    if args.dry_run {
        let steps = roll::would_complete(&roll).await?;
        drop(report);
        return super::rollback::print_dry_run("complete", &steps, global);
    }
    let end = roll::complete(&mut roll, &report.progress).await?;
    drop(report);
    ended(&roll, &end, global).await
}
