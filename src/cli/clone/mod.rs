//! `backlot clone …`

mod config;
mod follower;
mod metrics;
mod planner;
mod preview;
mod report;
mod resync;
mod retry;
mod start;
mod status;
mod stop;
mod stream;
mod verify;

use super::Global;
use super::failure::Failure;
use clap::{Args, Subcommand};
use std::path::PathBuf;

pub(super) use planner::{Selection, decide};
pub(super) use preview::table as preview_table;
pub(super) use report::{print_brief, print_summary};
pub(super) use start::{GRACE, default_jobs, supervised};

/// A branch of the project instead of a URL, for verbs that have a target.
#[derive(Args, Clone)]
pub(in crate::cli) struct TargetBranch {
    /// This branch of the project, instead of a URL [default: the checked-out branch]
    #[arg(long = "target-branch", value_name = "BRANCH")]
    name: Option<String>,
}

impl TargetBranch {
    pub(in crate::cli) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

#[derive(Args)]
pub(super) struct CloneArgs {
    #[command(subcommand)]
    verb: CloneVerb,
}

impl CloneArgs {
    pub(super) fn target_branch(&self) -> Option<&str> {
        match &self.verb {
            CloneVerb::Start(args) => args.target_branch.name(),
            CloneVerb::Stream(args) => args.servers.target_branch.name(),
            CloneVerb::Resync(args) => args.servers.target_branch.name(),
            CloneVerb::Stop(args) => args.target_branch.name(),
            CloneVerb::Status(args) => args.target_branch.name(),
            CloneVerb::Retry(args) => args.target_branch.name(),
            CloneVerb::Verify(args) => args.target_branch.name(),
            CloneVerb::Config(_) | CloneVerb::Preview(_) => None,
        }
    }

    pub(super) fn is_start(&self) -> bool {
        matches!(self.verb, CloneVerb::Start(_))
    }
}

#[derive(Subcommand)]
pub(super) enum CloneVerb {
    /// Copy a source into an empty target, anonymized; goes on where an interrupted clone stopped
    Start(start::StartArgs),
    /// Follow the source from where the clone, or the last stream, stopped
    Stream(stream::StreamArgs),
    /// Copy tables again while the stream goes on
    Resync(resync::ResyncArgs),
    /// End the stream of a target for good: drop its slot and publications; the data stays
    Stop(stop::StopArgs),
    /// Find personal data in the source and write a transforms.yaml that decides every column
    Config(config::ConfigArgs),
    /// Show what a clone would make of some rows: shapes before, values after
    Preview(preview::PreviewArgs),
    /// Show how far the clone and the stream of a target have come
    Status(status::StatusArgs),
    /// Apply quarantined transactions again
    Retry(retry::RetryArgs),
    /// Prove that a target is what its rules make of the source; count orphans, look for leaks
    Verify(verify::VerifyArgs),
}

/// How the source, the key and the rules are named.
#[derive(Args, Clone)]
pub(in crate::cli) struct SourceArgs {
    /// The database to copy (or BACKLOT_SOURCE_URL); it is only read
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) source_url: Option<String>,
    /// Rules for columns; without it the rules are detected
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The key of the fakes: a file, or - for standard input (or BACKLOT_KEY, BACKLOT_KEY_FILE, .backlot/key)
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Only these tables (schema.table, * allowed)
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    tables: Vec<String>,
    /// Leave these tables out
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    exclude: Vec<String>,
    /// Make these tables, and leave them empty
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    schema_only: Vec<String>,
    /// A condition for the rows of a table; tables that refer to it follow
    #[arg(long = "where", value_name = "TABLE=CONDITION")]
    filters: Vec<String>,
    /// Rows of each table that detection looks at
    #[arg(long, value_name = "N", default_value_t = 200)]
    sample_rows: u32,
}

impl SourceArgs {
    /// A configuration file and nothing else.
    fn of_config(config: PathBuf) -> Self {
        Self {
            source_url: None,
            config: Some(config),
            key_file: None,
            tables: Vec::new(),
            exclude: Vec::new(),
            schema_only: Vec::new(),
            filters: Vec::new(),
            sample_rows: 200,
        }
    }
}

pub(super) async fn run(args: CloneArgs, global: &Global) -> Result<(), Failure> {
    match args.verb {
        CloneVerb::Start(args) => start::run(args, global).await,
        CloneVerb::Stream(args) => stream::run(args, global).await,
        CloneVerb::Resync(args) => resync::run(args, global).await,
        CloneVerb::Stop(args) => stop::run(args, global).await,
        CloneVerb::Config(args) => config::run(args, global).await,
        CloneVerb::Preview(args) => preview::run(args, global).await,
        CloneVerb::Status(args) => status::run(args, global).await,
        CloneVerb::Retry(args) => retry::run(args, global).await,
        CloneVerb::Verify(args) => verify::run(args, global).await,
    }
}
