//! The command line: the only reader of arguments, environment and configuration files.
//!
//! stdout is data, stderr is talk. With `--json` every verb prints exactly one JSON document on
//! stdout (long-running ones: one event a line), and errors are JSON on stderr.

mod clone;
mod demo;
mod display;
mod environment;
mod failure;
mod output;

use clap::{Args, Parser, Subcommand};
use failure::Failure;
use std::process::ExitCode;

/// Databases that look and behave like production and hold nobody's personal data.
#[derive(Parser)]
#[command(name = "backlot", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Flags of every verb.
#[derive(Args, Clone)]
struct Global {
    /// Print JSON: one document, or one event a line for long-running verbs
    #[arg(long, global = true)]
    json: bool,
    /// Print nothing but errors and the result
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Never ask: answer yes
    #[arg(long, short, global = true)]
    yes: bool,
    /// Give up after this long (90s, 15m, 2h); what is done is kept
    #[arg(long, global = true, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<std::time::Duration>,
    /// What to log to stderr, as `RUST_LOG` (backlot=debug); rows never are
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
}

#[derive(Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one value a process")]
enum Verb {
    /// Copy a database, anonymized
    #[command(subcommand)]
    Clone(clone::CloneVerb),
    /// Run the main job on embedded defaults: sample, clone, proof
    Demo(demo::DemoArgs),
    #[command(hide = true)]
    SnapshotKeeper,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    let global = cli.global.clone();
    let result = run(cli);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(global.json),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    // With --json and no wish for logs, stderr holds one document: the error.
    let quiet = cli.global.json.then(|| "off".to_owned());
    let filter = cli.global.log.clone().or_else(|| environment::text("RUST_LOG")).or(quiet);
    crate::observe::init_logs(filter.as_deref(), cli.global.json, output::colours_stderr())
        .map_err(|error| Failure::usage(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("start the runtime: {error}")))?;
    let Cli { global, verb } = cli;
    let timeout = global.timeout;
    let job = async {
        match verb {
            Verb::Clone(verb) => clone::run(verb, &global).await,
            Verb::Demo(args) => demo::run(args, &global).await,
            Verb::SnapshotKeeper => crate::source::keep().await.map_err(Failure::from),
        }
    };
    let result = runtime.block_on(async {
        match timeout {
            None => job.await,
            Some(limit) => tokio::time::timeout(limit, job)
                .await
                .unwrap_or_else(|_| Err(Failure::timeout(limit))),
        }
    });
    // A thread that waits for standard input must not keep the process.
    runtime.shutdown_background();
    result
}

/// `90s`, `15m`, `2h`, or plain seconds.
fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let (digits, scale) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(digits) if text.ends_with('m') => (digits, 60),
        Some(digits) if text.ends_with('h') => (digits, 3600),
        Some(digits) => (digits, 1),
        None => (text, 1),
    };
    let count: u64 = digits.parse().map_err(|_| "write it as 90s, 15m or 2h".to_owned())?;
    Ok(std::time::Duration::from_secs(count.saturating_mul(scale)))
}

#[cfg(test)]
mod tests {
    use super::{Cli, parse_duration};
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("15m").unwrap().as_secs(), 900);
        assert_eq!(parse_duration("20").unwrap().as_secs(), 20);
        assert!(parse_duration("soon").is_err());
    }
}
