//! `backlot roll …`: pgroll's verbs, flags and variables, and some more.

mod arguments;
mod baseline;
mod complete;
mod convert;
mod files;
mod init;
mod latest;
mod lint;
mod migrate;
mod plan;
mod pull;
mod report;
mod resume;
mod rollback;
mod start;
mod status;
mod update;
mod validate;

pub(super) use latest::versioned;

use super::Global;
use super::failure::Failure;
use clap::{Args, Subcommand};

#[derive(Args)]
pub(super) struct RollArgs {
    #[command(flatten)]
    server: arguments::ServerArgs,
    #[command(subcommand)]
    verb: RollVerb,
}

impl RollArgs {
    pub(super) fn branch(&self) -> Option<&str> {
        self.server.branch()
    }
}

#[derive(Subcommand)]
enum RollVerb {
    /// Make the schema that remembers migrations, or bring one of pgroll's up to date
    Init,
    /// Begin a migration: afterwards the old and the new version work side by side
    Start(start::StartArgs),
    /// End the active migration: only the new version stays
    Complete(complete::CompleteArgs),
    /// Take the active migration back: only the old version stays
    Rollback(rollback::RollbackArgs),
    /// Go on with a start, complete or rollback that was interrupted
    Resume(start::BackfillArgs),
    /// Show the version, and how far the active migration has come
    Status,
    /// Run all migrations of a directory that have not run
    Migrate(migrate::MigrateArgs),
    /// Have the server judge a migration, without changing anything
    Validate(validate::ValidateArgs),
    /// Show what a migration would do: statements, locks, costs, without doing it
    Plan(plan::PlanArgs),
    /// Look for what is allowed and will be regretted
    Lint(lint::LintArgs),
    /// Make a migration of SQL, from a file or standard input; no server is asked
    Convert(convert::ConvertArgs),
    /// Rewrite migrations of a directory that are in an older form; no server is asked
    Update(update::UpdateArgs),
    /// Begin the history of a schema that has tables already
    Baseline(baseline::BaselineArgs),
    /// Write migrations of the history that a directory lacks
    Pull(pull::PullArgs),
    /// Show what is newest: schema, migration or url
    Latest(latest::LatestArgs),
    /// Print the URL by which an application sees the newest version
    Url(latest::UrlArgs),
}

pub(super) async fn run(args: RollArgs, global: &Global) -> Result<(), Failure> {
    let server = &args.server;
    match args.verb {
        RollVerb::Init => init::run(server, global).await,
        RollVerb::Start(args) => start::run(args, server, global).await,
        RollVerb::Complete(args) => complete::run(args, server, global).await,
        RollVerb::Rollback(args) => rollback::run(args, server, global).await,
        RollVerb::Resume(args) => resume::run(args, server, global).await,
        RollVerb::Status => status::run(server, global).await,
        RollVerb::Migrate(args) => migrate::run(args, server, global).await,
        RollVerb::Validate(args) => validate::run(args, server, global).await,
        RollVerb::Plan(args) => plan::run(args, server, global).await,
        RollVerb::Lint(args) => lint::run(args, server, global).await,
        RollVerb::Convert(args) => convert::run(args, server, global),
        RollVerb::Update(args) => update::run(&args, global),
        RollVerb::Baseline(args) => baseline::run(args, server, global).await,
        RollVerb::Pull(args) => pull::run(args, server, global).await,
        RollVerb::Latest(args) => latest::run(args, server, global).await,
        RollVerb::Url(args) => latest::url(args, server, global).await,
    }
}
