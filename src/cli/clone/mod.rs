//! `backlot clone …`

mod config;
mod planner;
mod preview;
mod report;
mod start;

use super::Global;
use super::failure::Failure;
use clap::{Args, Subcommand};
use std::path::PathBuf;

pub(super) use planner::{Selection, decide};
pub(super) use preview::table as preview_table;
pub(super) use report::{print_brief, print_summary};
pub(super) use start::{default_jobs, supervised};

#[derive(Subcommand)]
pub(super) enum CloneVerb {
    /// Copy a source into an empty target, anonymized; goes on where an interrupted clone stopped
    Start(start::StartArgs),
    /// Find personal data in the source and write a transforms.yaml that decides every column
    Config(config::ConfigArgs),
    /// Show what a clone would make of some rows: shapes before, values after
    Preview(preview::PreviewArgs),
}

/// How the source, the key and the rules are named.
#[derive(Args, Clone)]
pub(super) struct SourceArgs {
    /// The database to copy (or BACKLOT_SOURCE_URL); it is only read
    #[arg(long, value_name = "URL")]
    source_url: Option<String>,
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

pub(super) async fn run(verb: CloneVerb, global: &Global) -> Result<(), Failure> {
    match verb {
        CloneVerb::Start(args) => start::run(args, global).await,
        CloneVerb::Config(args) => config::run(args, global).await,
        CloneVerb::Preview(args) => preview::run(args, global).await,
    }
}
