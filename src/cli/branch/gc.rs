//! `backlot branch gc`

use super::delete::check_out_default;
use crate::branch::{collect, find_garbage};
use crate::cli::failure::Failure;
use crate::cli::project::{self, blocking};
use crate::cli::{Global, output};
use clap::Args;
use serde_json::json;

#[derive(Args)]
pub(super) struct GcArgs {
    /// Show what would be deleted and delete nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: GcArgs, global: &Global) -> Result<(), Failure> {
    let (project, home) = project::opened(global).await?;
    let found = find_garbage(&home)?;
    let names = found.iter().map(|garbage| garbage.branch.name.clone()).collect::<Vec<_>>();
    let mut deleted = Vec::new();
    if !args.dry_run && !names.is_empty() {
        super::super::confirm(&format!("delete {} with all data?", names.join(", ")), global)?;
        let home = home.clone();
        deleted = blocking(move || collect(&home, &found)).await?;
        check_out_default(&project, &deleted)?;
    }
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
