//! `backlot roll pull`

use super::arguments::ServerArgs;
use super::baseline::write;
use super::files;
use crate::cli::failure::Failure;
use crate::cli::{Global, output};
use crate::migrate::file::{self, Form};
use crate::roll::{self, Backfilling, Roll};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct PullArgs {
    /// The directory that gets the files
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Write files as JSON
    #[arg(short = 'j', long = "json-files")]
    json_files: bool,
}

pub(super) async fn run(
    args: PullArgs,
    server: &ServerArgs,
    global: &Global,
) -> Result<(), Failure> {
    let local = if args.directory.exists() {
        files::directory(&args.directory, global)?
    } else {
        Vec::new()
    };
    let roll = Roll::lock(server.options(Backfilling::default())?).await?;
    let history = roll.state().history().await?;
    let (form, extension) =
        if args.json_files { (Form::Json, "json") } else { (Form::Yaml, "yaml") };
    let mut written = Vec::new();
    for record in roll::since_baseline(&history) {
        if local.iter().any(|(_, file)| file.migration.name == record.name) {
            continue;
        }
        let migration = file::from_json(&record.name, &record.migration).map_err(|mistakes| {
            Failure::internal(format!("migration {} of the history cannot be read", record.name))
                .causes(mistakes.iter().map(ToString::to_string).collect())
        })?;
        let path = args.directory.join(format!("{}.{extension}", record.name));
        write(&path, &file::write(&migration, form))?;
        written.push(path);
    }
    if global.json {
        return output::json(&json!({"files": written}));
    }
    for path in &written {
        output::line(&path.display().to_string())?;
    }
    Ok(())
}
