//! `backlot branch logs`

use crate::branch::{self, BranchError};
use crate::cli::failure::Failure;
use crate::cli::{Global, output, project};
use crate::instance::last_lines;
use clap::Args;
use serde_json::json;

#[derive(Args)]
pub(super) struct LogsArgs {
    /// Name or id [default: the checked-out branch]
    name: Option<String>,
    /// Lines
    #[arg(short = 'n', long, default_value_t = 100)]
    lines: usize,
}

/// No line of a server's log is so long that a hundred do not fit.
const READ_BYTES: u64 = 1 << 20;

pub(super) async fn run(args: LogsArgs, global: &Global) -> Result<(), Failure> {
    let (project, home) = project::opened(global).await?;
    let branch = project::branch(&project, &home, args.name.as_deref())?;
    branch::require_own(&branch, "show the log of")?;
    let path = home.state.branch(&branch.id).log;
    let lines = last_lines(&path, 0, READ_BYTES, args.lines).map_err(|source| {
        Failure::from(BranchError::File { action: "read", path: path.clone(), source })
    })?;
    if global.json {
        return output::json(&json!({"branch": branch.name, "log": path, "lines": lines}));
    }
    lines.iter().try_for_each(|line| output::line(line))
}
