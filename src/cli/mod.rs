//! The command line: the only reader of arguments, environment and configuration files.
//!
//! stdout is data, stderr is talk. With `--json` every verb prints exactly one JSON document on
//! stdout (long-running ones: one event a line), and errors are JSON on stderr.

mod auth;
mod branch;
mod clone;
mod completions;
mod demo;
mod display;
mod doctor;
mod environment;
mod failure;
mod init;
mod manifest;
mod output;
mod project;
mod proxy;
mod roll;
mod skills;
mod status;
mod stop;
#[cfg(test)]
mod written;

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
    /// The project's folder [default: this one, or the nearest above it that has one] (or BACKLOT_PROJECT)
    #[arg(long, global = true, value_name = "DIR")]
    project: Option<std::path::PathBuf>,
    /// Give up after this long (90s, 15m, 2h); what is done is kept
    #[arg(long, global = true, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<std::time::Duration>,
    /// What to log to stderr, as `RUST_LOG` (backlot=debug); rows never are
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
}

#[derive(Subcommand)]
enum Verb {
    /// Link this folder to a project, with a PostgreSQL of its own
    Init(init::InitArgs),
    /// Show the project: its branches, what runs
    Status,
    /// Stop all servers of the project; the data stays
    Stop,
    /// Log in to a team's server (a project of this machine needs none)
    #[command(subcommand)]
    Auth(auth::AuthVerb),
    /// Make, show, use and delete branches: independent copies of a database
    Branch(branch::BranchArgs),
    /// Copy a database, anonymized
    Clone(clone::CloneArgs),
    /// Migrate a schema without downtime: old and new version work side by side (files as pgroll's)
    Roll(Box<roll::RollArgs>),
    /// What applications connect to; started by itself when it is needed
    #[command(subcommand)]
    Proxy(proxy::ProxyVerb),
    /// Look for what stands in the way of a clone and a stream, and say how to mend it
    Doctor(doctor::DoctorArgs),
    /// Run the main job on embedded defaults: sample, clone, proof
    Demo(demo::DemoArgs),
    /// Write what agents need to know of backlot into this folder
    #[command(subcommand)]
    Skills(skills::SkillsVerb),
    /// Show every verb, flag, effect and exit code
    Manifest,
    /// Print a shell's completion script
    Completions(completions::CompletionsArgs),
    /// Write man pages
    Manual(completions::ManualArgs),
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
    // A clone sees to its own time, and needs a moment to let go.
    let timeout = global.timeout.map(|limit| (limit, limit + clone::GRACE));
    let is_clone = matches!(&verb, Verb::Clone(args) if args.is_start());
    project::choose(project::Chosen {
        project: global.project.clone(),
        branch: match &verb {
            Verb::Clone(args) => args.target_branch().map(str::to_owned),
            Verb::Roll(args) => args.branch().map(str::to_owned),
            Verb::Doctor(args) => args.target_branch().map(str::to_owned),
            Verb::Init(_)
            | Verb::Status
            | Verb::Stop
            | Verb::Auth(_)
            | Verb::Branch(_)
            | Verb::Proxy(_)
            | Verb::Demo(_)
            | Verb::Skills(_)
            | Verb::Manifest
            | Verb::Completions(_)
            | Verb::Manual(_)
            | Verb::SnapshotKeeper => None,
        },
    });
    let job = async {
        match verb {
            Verb::Init(args) => init::run(args, &global).await,
            Verb::Status => status::run(&global).await,
            Verb::Stop => stop::run(&global).await,
            Verb::Auth(verb) => auth::run(&verb, &global),
            Verb::Branch(args) => branch::run(args, &global).await,
            Verb::Clone(args) => clone::run(args, &global).await,
            Verb::Roll(args) => roll::run(*args, &global).await,
            Verb::Proxy(verb) => proxy::run(&verb, &global).await,
            Verb::Doctor(args) => doctor::run(args, &global).await,
            Verb::Demo(args) => demo::run(args, &global).await,
            Verb::Skills(verb) => skills::run(&verb, &global),
            Verb::Manifest => manifest::run(&global),
            Verb::Completions(args) => completions::completions(&args, &global),
            Verb::Manual(args) => completions::manual(&args, &global),
            Verb::SnapshotKeeper => crate::source::keep().await.map_err(Failure::from),
        }
    };
    let result = runtime.block_on(async {
        match timeout {
            None => job.await,
            Some((limit, last)) => tokio::time::timeout(if is_clone { last } else { limit }, job)
                .await
                .unwrap_or_else(|_| Err(Failure::timeout(limit))),
        }
    });
    // A thread that waits for standard input must not keep the process.
    runtime.shutdown_background();
    result
}

/// Asks on a terminal. Without one, nothing is done that nobody has agreed to.
fn confirm(question: &str, global: &Global) -> Result<(), Failure> {
    use std::io::{BufRead, IsTerminal};
    if global.yes {
        return Ok(());
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || global.json {
        return Err(Failure::refused(question).hint("give --yes to agree"));
    }
    output::say(&format!("{question} [y/N]"));
    let mut answer = String::new();
    let read = tokio::task::block_in_place(|| stdin.lock().read_line(&mut answer));
    match (read, answer.trim()) {
        (Ok(_), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Failure::refused("not confirmed; nothing was done")),
    }
}

/// `90s`, `15m`, `2h`, `7d`, or plain seconds.
fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let (digits, scale) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(digits) if text.ends_with('m') => (digits, 60),
        Some(digits) if text.ends_with('h') => (digits, 3600),
        Some(digits) if text.ends_with('d') => (digits, 86_400),
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
        assert_eq!(parse_duration("2d").unwrap().as_secs(), 172_800);
        assert_eq!(parse_duration("20").unwrap().as_secs(), 20);
        assert!(parse_duration("soon").is_err());
    }
}
