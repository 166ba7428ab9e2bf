//! `backlot roll validate`

use super::arguments::ServerArgs;
use super::{files, start};
use crate::cli::failure::Failure;
use crate::cli::{Global, output};
use crate::roll::{self, Backfilling, Request, Roll, Scrutiny};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct ValidateArgs {
    /// The migration: YAML or JSON
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) async fn run(
    args: ValidateArgs,
    server: &ServerArgs,
    global: &Global,
) -> Result<(), Failure> {
    let file = files::read(&args.file, global)?;
    let mut roll = Roll::open(server.options(Backfilling::default())?).await?;
    let request = Request {
        migration: &file.migration,
        has_views: server.uses_version_schema()?,
        scrutiny: Scrutiny::Full,
    };
    roll::prepare(&mut roll, request)
        .await
        .map_err(|error| start::placed(error, &args.file, &file))?;
    if global.json {
        return output::json(&json!({"migration": file.migration.name, "is_valid": true}));
    }
    Ok(())
}
