//! `backlot clone stop`

use crate::cli::failure::Failure;
use crate::cli::{Global, environment, output};
use crate::clone::{StopOptions, Stopped, stop};
use clap::Args;
use std::time::Duration;

#[derive(Args)]
pub(in crate::cli) struct StopArgs {
    /// The database that is followed (or BACKLOT_SOURCE_URL)
    #[arg(long, value_name = "URL")]
    source_url: Option<String>,
    /// The database that follows it (or BACKLOT_TARGET_URL); its data stays
    #[arg(long, value_name = "URL")]
    target_url: Option<String>,
    #[command(flatten)]
    pub(super) target_branch: super::TargetBranch,
    /// Show what would be dropped and drop nothing
    #[arg(long)]
    dry_run: bool,
    /// Let the target forget the stream even if the source cannot be reached
    #[arg(long)]
    forget: bool,
}

/// A running stream finishes what it has in hand first.
const STREAM_END: Duration = Duration::from_mins(2);

pub(super) async fn run(args: StopArgs, global: &Global) -> Result<(), Failure> {
    let (_, source) =
        environment::server(args.source_url.as_deref(), "BACKLOT_SOURCE_URL", "--source-url")?;
    let (_, target) =
        environment::server(args.target_url.as_deref(), "BACKLOT_TARGET_URL", "--target-url")?;
    let StopArgs { dry_run, forget, .. } = args;
    let stopped = stop(&StopOptions { source, target, dry_run, forget, wait: STREAM_END }).await?;
    if global.json {
        return output::json(&stopped);
    }
    print(&stopped)
}

fn print(stopped: &Stopped) -> Result<(), Failure> {
    let dropped = if stopped.dry_run { "would drop" } else { "dropped" };
    if stopped.was_running {
        output::line("the running stream has ended")?;
    }
    for name in &stopped.slots {
        output::line(&format!("{dropped} replication slot {name}"))?;
    }
    for name in &stopped.publications {
        output::line(&format!("{dropped} publication {name}"))?;
    }
    for name in &stopped.kept_publications {
        output::line(&format!("kept publication {name}: it was made by somebody else"))?;
    }
    for statement in &stopped.left_on_source {
        output::line(&format!("left on the source: {statement}"))?;
    }
    match (stopped.had_stream, stopped.dry_run) {
        (true, false) => output::line("the target is no longer followed; its data stays"),
        (true, true) => output::line("the target would no longer be followed"),
        (false, _) if stopped.slots.is_empty() && stopped.publications.is_empty() => {
            output::line("no stream feeds this target")
        }
        (false, _) => Ok(()),
    }
}
