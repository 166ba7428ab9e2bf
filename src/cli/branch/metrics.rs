//! `backlot branch metrics`

use super::{Named, condition};
use crate::branch;
use crate::cli::failure::Failure;
use crate::cli::project::{self, blocking};
use crate::cli::{Global, output};
use serde_json::{Value, json};

pub(super) async fn run(args: Named, global: &Global) -> Result<(), Failure> {
    let (project, home) = project::opened(global).await?;
    let branch = project::ready_branch(&project, &home, args.name.as_deref())?;
    branch::require_own(&branch, "measure")?;
    let condition = condition(&home, &branch);
    let (name, id) = (branch.name.clone(), branch.id.clone());
    // Measuring does not wake what sleeps.
    let (activity, exclusive) = {
        let home = home.clone();
        blocking(move || {
            let is_running = branch::answers(&home, &branch);
            let activity = if is_running { Some(branch::activity(&home, &branch)?) } else { None };
            Ok((activity, branch::exclusive_bytes(&home, &branch)))
        })
        .await?
    };
    let document = json!({
        "branch": name, "condition": condition,
        "disk_bytes": branch::disk_bytes(&home.state.branch(&id).data),
        "exclusive_bytes": exclusive, "activity": activity,
    });
    if global.json {
        return output::json(&document);
    }
    print("", &document)
}

fn print(prefix: &str, value: &Value) -> Result<(), Failure> {
    let Some(members) = value.as_object() else { return Ok(()) };
    for (name, value) in members {
        let name = name.replace('_', " ");
        if value.is_object() {
            print(&format!("{prefix}{name}: "), value)?;
        } else if !value.is_null() {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            output::line(&format!("{prefix}{name}: {shown}"))?;
        }
    }
    Ok(())
}
