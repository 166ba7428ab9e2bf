//! `backlot branch describe`

use super::{Named, document};
use crate::branch::{self, BranchError};
use crate::cli::failure::Failure;
use crate::cli::{Global, output, project};
use crate::project::checked_out;
use serde_json::json;

pub(super) async fn run(args: Named, global: &Global) -> Result<(), Failure> {
    let (project, home) = project::opened(global).await?;
    let branch = project::branch(&project, &home, args.name.as_deref())?;
    let checked_out = checked_out(&project).map_err(BranchError::from)?;
    let checked_out = checked_out.unwrap_or_else(|| project.file.default_branch.clone());
    let files = home.state.branch(&branch.id);
    let mut document = document(&home, &branch, Some(&checked_out));
    if branch.place.is_own()
        && let Some(members) = document.as_object_mut()
    {
        members.insert("disk_bytes".into(), branch::disk_bytes(&files.data).into());
        members.insert("exclusive_bytes".into(), branch::exclusive_bytes(&home, &branch).into());
        members.insert("data_directory".into(), json!(files.data));
        members.insert("socket_url".into(), branch::socket_url(&branch).into());
        members.insert("log".into(), json!(files.log));
    }
    if global.json {
        return output::json(&document);
    }
    let Some(members) = document.as_object() else { return Ok(()) };
    for (name, value) in members {
        if !value.is_null() {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            output::line(&format!("{:<20} {shown}", name.replace('_', " ")))?;
        }
    }
    Ok(())
}
