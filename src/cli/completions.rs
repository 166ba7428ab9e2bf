//! `backlot completions`, `backlot manual`: what a shell and `man` want to know, from clap.

use super::failure::Failure;
use super::{Cli, Global, output};
use clap::{Args, CommandFactory};
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// The script goes to stdout, with `--json` as a member of the document.
pub(super) fn completions(args: &CompletionsArgs, global: &Global) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "backlot", &mut script);
    let script = String::from_utf8_lossy(&script);
    if global.json {
        return output::json(&json!({"shell": args.shell.to_string(), "script": script}));
    }
    output::line(script.trim_end())
}

#[derive(Args)]
pub(super) struct ManualArgs {
    /// Where to write the pages: backlot.1, backlot-branch.1, …
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn manual(args: &ManualArgs, global: &Global) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(format!("write man pages to {}: {error}", args.directory.display()))
    };
    std::fs::create_dir_all(&args.directory).map_err(failed)?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), &args.directory)
        .map_err(failed)?;
    if global.json {
        return output::json(&json!({"directory": args.directory}));
    }
    output::line(&format!("man pages written to {}", args.directory.display()))
}
