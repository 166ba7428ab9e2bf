//! `backlot roll update`

use crate::cli::failure::Failure;
use crate::cli::{Global, output};
use crate::migrate::file::{self, migration_files};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(in crate::cli) struct UpdateArgs {
    /// The directory of the migrations
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Nothing is written unless every file of the directory can be read.
pub(super) fn run(args: &UpdateArgs, global: &Global) -> Result<(), Failure> {
    let mut rewritten = Vec::new();
    let mut failures = Vec::new();
    for name in names(&args.directory)? {
        let path = args.directory.join(name);
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Failure::usage(format!("read {shown}: {error}")))?;
        match file::update(&text, &shown) {
            Ok(Some(new)) => rewritten.push((path, new)),
            Ok(None) => {}
            Err(mistakes) => failures.push(super::files::mistaken(&mistakes)),
        }
    }
    if let Some(failure) = Failure::joined(failures) {
        return Err(failure);
    }
    for (path, text) in &rewritten {
        replace(path, text)?;
    }
    let paths: Vec<_> = rewritten.iter().map(|(path, _)| path.display().to_string()).collect();
    if global.json {
        return output::json(&json!({ "updated": paths }));
    }
    paths.iter().try_for_each(|path| output::line(&format!("{path} updated")))
}

fn names(directory: &Path) -> Result<Vec<String>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(format!("read directory {}: {error}", directory.display()))
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    migration_files(names).map_err(|error| Failure::usage(error.to_string()))
}

/// The file is the old or the new one, never half of it.
fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::usage(format!("write {}: {error}", path.display()));
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, text).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}
