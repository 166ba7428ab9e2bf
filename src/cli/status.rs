//! `backlot status`

use super::branch::{condition, document};
use super::failure::Failure;
use super::{Global, environment, output, project};
use crate::branch::{self, Branch, BranchError};
use crate::project::{Tokens, checked_out};
use serde_json::json;

pub(super) async fn run(global: &Global) -> Result<(), Failure> {
    let (project, home) = project::opened(global).await?;
    let branches = home.catalog().read()?.branches;
    let id = checked_out(&project).map_err(BranchError::from)?;
    let id = id.unwrap_or_else(|| project.file.default_branch.clone());
    let current = branches.iter().find(|branch| branch.id == id || branch.name == id);
    let is_running = |branch: &&Branch| condition(&home, branch) == "running";
    let running = branches.iter().filter(is_running).count();
    let logged_in = match &project.file.server {
        None => None,
        Some(server) => {
            let tokens = Tokens::read(&environment::tokens_file()).map_err(BranchError::from)?;
            Some(tokens.has(server))
        }
    };
    if global.json {
        return output::json(&json!({
            "project": {
                "name": project.file.name, "folder": project.folder,
                "postgres": project.file.postgres, "server": project.file.server,
                "foreign_server": project.file.foreign_server,
                "default_branch": project.file.default_branch, "is_logged_in": logged_in,
            },
            "checked_out": current.map(|branch| document(&home, branch, Some(&id))),
            "branches": branches.len(), "running": running,
        }));
    }
    output::line(&format!("project {} in {}", project.file.name, project.folder.display()))?;
    match current {
        Some(branch) => output::line(&format!(
            "branch {} ({}), PostgreSQL {} on {}",
            branch.name,
            condition(&home, branch),
            branch.postgres_version,
            branch::address(branch)
        ))?,
        None if branches.is_empty() => {
            output::line("there is no branch: `backlot init` makes the default one")?;
        }
        None => output::line("no branch is checked out: `backlot branch checkout NAME` does it")?,
    }
    output::line(&format!("{} branch(es), {running} running", branches.len()))?;
    match (&project.file.server, logged_in) {
        (Some(server), Some(true)) => output::line(&format!("server {server}: logged in")),
        (Some(server), _) => output::line(&format!("server {server}: not logged in")),
        (None, _) => Ok(()),
    }
}
