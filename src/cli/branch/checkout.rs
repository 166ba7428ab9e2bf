//! `backlot branch checkout`

use super::{EnvFile, document};
use crate::branch::BranchError;
use crate::cli::failure::Failure;
use crate::cli::{Global, output, project, proxy};
use crate::project::set_checked_out;
use clap::Args;
use serde_json::json;

#[derive(Args)]
pub(super) struct CheckoutArgs {
    /// Name or id
    name: String,
    #[command(flatten)]
    env_file: EnvFile,
}

pub(super) async fn run(args: CheckoutArgs, global: &Global) -> Result<(), Failure> {
    let (project, home) = project::opened(global).await?;
    let branch = project::ready_branch(&project, &home, Some(&args.name))?;
    if args.env_file.path().is_some() {
        // What is written can be used.
        proxy::attend(&project, &home, &branch).await?;
        args.env_file.write(&project::url(&home, &branch)?)?;
    }
    set_checked_out(&project, &branch.id).map_err(BranchError::from)?;
    if global.json {
        return output::json(&json!({
            "branch": document(&home, &branch, Some(&branch.id)),
            "env_file": args.env_file.path(),
        }));
    }
    output::line(&format!("checked out {}", branch.name))?;
    args.env_file.say(global);
    Ok(())
}
