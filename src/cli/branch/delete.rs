//! `backlot branch delete`

use crate::branch::{self, Branch, BranchError};
use crate::cli::failure::Failure;
use crate::cli::project::{self, blocking};
use crate::cli::{Global, output};
use clap::Args;
use serde_json::json;

#[derive(Args)]
pub(super) struct DeleteArgs {
    /// Names or ids
    #[arg(required = true)]
    names: Vec<String>,
    /// One that is not there is no error
    #[arg(long)]
    if_exists: bool,
}

pub(super) async fn run(args: DeleteArgs, global: &Global) -> Result<(), Failure> {
    let (_, home) = project::opened(global).await?;
    let mut wanted: Vec<Branch> = Vec::new();
    for name in &args.names {
        match home.catalog().read()?.ready(name) {
            Ok(branch) => wanted.push(branch.clone()),
            Err(BranchError::None { .. }) if args.if_exists => {}
            Err(error) => return Err(error.into()),
        }
    }
    wanted.iter().try_for_each(branch::require_deletable)?;
    let names = wanted.iter().map(|branch| branch.name.clone()).collect::<Vec<_>>();
    if !names.is_empty() {
        super::super::confirm(&format!("delete {} with all data?", names.join(", ")), global)?;
    }
    let deleted = {
        let home = home.clone();
        blocking(move || {
            wanted
                .iter()
                .map(|branch| branch::delete(&home, &branch.id))
                .collect::<Result<Vec<_>, _>>()
        })
        .await?
    };
    if global.json {
        let deleted = deleted.iter().map(|branch| json!({"id": branch.id, "name": branch.name}));
        return output::json(&json!({"deleted": deleted.collect::<Vec<_>>()}));
    }
    deleted.iter().try_for_each(|branch| output::line(&format!("deleted {}", branch.name)))
}
