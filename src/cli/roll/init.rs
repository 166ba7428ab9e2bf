//! `backlot roll init`

use super::arguments::ServerArgs;
use crate::cli::failure::Failure;
use crate::cli::{Global, output};
use crate::roll::{Backfilling, Roll};
use crate::state::roll::Capture;
use serde_json::json;

pub(super) async fn run(server: &ServerArgs, global: &Global) -> Result<(), Failure> {
    let options = server.options(Backfilling::default())?;
    let state_schema = options.state_schema.clone();
    let capture = Roll::init(options).await?;
    let captures = capture == Capture::Running;
    if !captures && !global.quiet {
        output::say(
            "note: only a superuser may make event triggers: schema changes by other programs are not \
             noted in the history; use `backlot roll baseline` after them",
        );
    }
    if global.json {
        return output::json(&json!({"state_schema": state_schema, "captures_ddl": captures}));
    }
    output::line(&format!("initialized schema {state_schema}"))
}
