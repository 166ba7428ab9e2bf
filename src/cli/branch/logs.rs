//! `backlot branch logs`

use crate::branch::BranchError;
use crate::cli::failure::Failure;
use crate::cli::{Global, output, project};
use clap::Args;
use serde_json::json;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

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
    let path = home.state.branch(&branch.id).log;
    let text = end_of(&path).map_err(|source| {
        Failure::from(BranchError::File { action: "read", path: path.clone(), source })
    })?;
    let lines = text.lines().collect::<Vec<_>>();
    let lines = lines.iter().skip(lines.len().saturating_sub(args.lines)).collect::<Vec<_>>();
    if global.json {
        return output::json(&json!({"branch": branch.name, "log": path, "lines": lines}));
    }
    lines.into_iter().try_for_each(|line| output::line(line))
}

fn end_of(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(READ_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(READ_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
