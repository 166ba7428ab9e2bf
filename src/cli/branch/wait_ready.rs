//! `backlot branch wait-ready`

use super::document;
use crate::branch::{self, Branch, BranchState, Home};
use crate::cli::failure::Failure;
use crate::cli::{Global, output, project, proxy};
use crate::project::Project;
use clap::Args;
use serde_json::json;
use std::time::{Duration, Instant};

#[derive(Args)]
pub(super) struct WaitReadyArgs {
    /// Name or id [default: the checked-out branch]
    name: Option<String>,
}

/// Unless --timeout says otherwise: nothing waits for ever.
const DEFAULT_LIMIT: Duration = Duration::from_mins(5);
const POLL: Duration = Duration::from_millis(20);

pub(super) async fn run(args: WaitReadyArgs, global: &Global) -> Result<(), Failure> {
    let project = project::find(global)?;
    let home = project::home(&project);
    let branch = until_ready(&project, &home, args.name.as_deref(), global).await?;
    proxy::reach(&project, &home, &branch).await?;
    if global.json {
        return output::json(&json!({"branch": document(&home, &branch, None)}));
    }
    output::line(&format!("branch {} is ready", branch.name))
}

/// Waits for whoever makes the branch.
pub(super) async fn until_ready(
    project: &Project,
    home: &Home,
    name: Option<&str>,
    global: &Global,
) -> Result<Branch, Failure> {
    let limit = global.timeout.unwrap_or(DEFAULT_LIMIT);
    let deadline = Instant::now() + limit;
    loop {
        let branch = project::branch(project, home, name)?;
        match branch.state {
            BranchState::Ready => return Ok(branch),
            // Whoever was to finish it is dead: it never will be.
            BranchState::Creating if branch::is_abandoned(home, &branch)? => {
                return Err(Failure::missing(format!("branch {} was never finished", branch.name))
                    .hint("create it again: the left-over is cleared away first"));
            }
            BranchState::Creating => {}
            BranchState::Deleting => {
                return Err(Failure::not_found(format!("branch {} is being deleted", branch.name)));
            }
        }
        if Instant::now() >= deadline {
            return Err(Failure::timeout(limit));
        }
        tokio::time::sleep(POLL).await;
    }
}
