//! `backlot roll baseline`

use super::arguments::ServerArgs;
use crate::cli::failure::Failure;
use crate::cli::{Global, output};
use crate::roll::{Backfilling, Roll, RollError, Status};
use crate::state::roll::Phase;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(in crate::cli) struct BaselineArgs {
    /// The name of the migration that stands for everything before it
    #[arg(value_name = "VERSION")]
    name: String,
    /// The directory that gets its file
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Write the file as JSON
    #[arg(short = 'j', long = "json-file")]
    json_file: bool,
}

/// As pgroll's: to be filled in by hand, for databases that are made anew from the directory.
const YAML: &str = "operations:\n  - sql:\n      up: \"\"\n";
const JSON: &str = "{\n  \"operations\": [\n    {\n      \"sql\": {\n        \"up\": \"\"\n      }\n    }\n  ]\n}\n";

pub(super) async fn run(
    args: BaselineArgs,
    server: &ServerArgs,
    global: &Global,
) -> Result<(), Failure> {
    let roll = Roll::lock(server.options(Backfilling::default())?).await?;
    if let Some(active) = Status::read(&roll).await?.active {
        let phase = active.phase.unwrap_or(Phase::Active);
        return Err(RollError::Active { name: active.name, phase }.into());
    }
    let history = roll.state().history().await?;
    if history.iter().any(|record| record.name == args.name) {
        return Err(RollError::Known { name: args.name }.into());
    }
    let (extension, text) = if args.json_file { ("json", JSON) } else { ("yaml", YAML) };
    let path = args.directory.join(format!("{}.{extension}", args.name));
    write(&path, text)?;
    // The empty list is what pgroll keeps: nothing of it ever runs.
    roll.state().baseline(&args.name, r#"{"operations": []}"#).await?;
    if global.json {
        return output::json(&json!({"baseline": args.name, "file": path}));
    }
    output::line(&format!("baseline {} noted, placeholder {} written", args.name, path.display()))
}

/// A file that is there is left alone.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let failed = |error: std::io::Error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            return Failure::conflict(format!("{} is there already", path.display()));
        }
        Failure::usage(format!("write {}: {error}", path.display()))
    };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
