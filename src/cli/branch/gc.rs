//! `backlot branch gc`

use crate::branch::{Branch, BranchError, Collected, collect, find_garbage};
use crate::cli::failure::Failure;
use crate::cli::project::{self, blocking};
use crate::cli::{Global, output};
use clap::Args;
use serde_json::json;
use std::error::Error as _;

#[derive(Args)]
pub(super) struct GcArgs {
    /// Show what would be deleted and delete nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: GcArgs, global: &Global) -> Result<(), Failure> {
    let (_, home) = project::opened(global).await?;
    let found = find_garbage(&home)?;
    let names = found.iter().map(|garbage| garbage.branch.name.clone()).collect::<Vec<_>>();
    let mut collected = Collected::default();
    if !args.dry_run && !names.is_empty() {
        super::super::confirm(&format!("delete {} with all data?", names.join(", ")), global)?;
        let home = home.clone();
        collected = blocking(move || Ok(collect(&home, &found))).await?;
    }
    let Collected { deleted, failed } = collected;
    print(&args, &names, deleted, global)?;
    report(&failed)
}

fn print(
    args: &GcArgs,
    names: &[String],
    deleted: Vec<Branch>,
    global: &Global,
) -> Result<(), Failure> {
    let deleted = deleted.into_iter().map(|branch| branch.name).collect::<Vec<_>>();
    if global.json {
        return output::json(&json!({
            "dry_run": args.dry_run, "expired": names, "deleted": deleted,
        }));
    }
    if names.is_empty() {
        return output::line("nothing has expired");
    }
    if args.dry_run {
        return names.iter().try_for_each(|name| output::line(&format!("would delete {name}")));
    }
    deleted.iter().try_for_each(|name| output::line(&format!("deleted {name}")))
}

/// The others are gone by then.
fn report(failed: &[(String, BranchError)]) -> Result<(), Failure> {
    if failed.is_empty() {
        return Ok(());
    }
    let names = failed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let causes = failed.iter().map(|(_, error)| match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    });
    Err(Failure::conflict(format!("not deleted: {names}"))
        .causes(causes.collect())
        .hint("mend what is said above, and run it again"))
}
