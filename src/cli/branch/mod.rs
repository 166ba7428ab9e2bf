//! `backlot branch …`

mod checkout;
mod create;
mod delete;
mod describe;
mod env_file;
mod gc;
mod list;
mod logs;
mod metrics;
mod pool;
mod set;
mod tree;
mod url;
mod wait_ready;

use super::Global;
use super::failure::Failure;
use crate::branch::{self, Branch, BranchState, Database, Home, Moment};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::time::Duration;

pub(super) use env_file::EnvFile;

#[derive(Args)]
pub(super) struct BranchArgs {
    #[command(subcommand)]
    verb: BranchVerb,
}

#[derive(Subcommand)]
enum BranchVerb {
    /// Make a branch: an independent copy of another one, with its data
    Create(create::CreateArgs),
    /// Show all branches
    List,
    /// Show which branch was made of which
    Tree,
    /// Show everything about a branch but its password
    Describe(Named),
    /// Choose the branch that other commands act on
    Checkout(checkout::CheckoutArgs),
    /// Print the URL of a branch, with its password; starts its server
    Url(url::UrlArgs),
    /// Wait until a branch takes connections
    WaitReady(wait_ready::WaitReadyArgs),
    /// Delete branches, with their data
    Delete(delete::DeleteArgs),
    /// Let a branch live longer
    Renew(set::RenewArgs),
    /// Delete branches whose time is over
    Gc(gc::GcArgs),
    /// Change a branch: protected, sleep-after, expires, port, password, and settings of its server
    Set(set::SetArgs),
    /// Show one property of a branch, or all
    Get(set::GetArgs),
    /// A filesystem of the project's own on which branches are instant
    #[command(subcommand)]
    Pool(pool::PoolVerb),
    /// Print the end of a server's log
    Logs(logs::LogsArgs),
    /// Show what a branch does and takes
    Metrics(Named),
}

/// A branch that may be left out.
#[derive(Args)]
struct Named {
    /// Name or id [default: the checked-out branch]
    name: Option<String>,
}

pub(super) async fn run(args: BranchArgs, global: &Global) -> Result<(), Failure> {
    match args.verb {
        BranchVerb::Create(args) => create::run(args, global).await,
        BranchVerb::List => list::run(global).await,
        BranchVerb::Tree => tree::run(global).await,
        BranchVerb::Describe(args) => describe::run(args, global).await,
        BranchVerb::Checkout(args) => checkout::run(args, global).await,
        BranchVerb::Url(args) => url::run(args, global).await,
        BranchVerb::WaitReady(args) => wait_ready::run(args, global).await,
        BranchVerb::Delete(args) => delete::run(args, global).await,
        BranchVerb::Renew(args) => set::renew(args, global).await,
        BranchVerb::Gc(args) => gc::run(args, global).await,
        BranchVerb::Set(args) => set::run(args, global).await,
        BranchVerb::Get(args) => set::get(args, global).await,
        BranchVerb::Pool(verb) => pool::run(verb, global).await,
        BranchVerb::Logs(args) => logs::run(args, global).await,
        BranchVerb::Metrics(args) => metrics::run(args, global).await,
    }
}

/// What a branch is doing, in a word.
pub(super) fn condition(home: &Home, branch: &Branch) -> &'static str {
    match branch.state {
        BranchState::Creating => "creating",
        BranchState::Deleting => "deleting",
        BranchState::Ready if !branch.place.is_own() => {
            match branch::foreign_database(home, branch) {
                Database::There => "running",
                Database::Missing => "broken",
                Database::Unknown => "unreachable",
            }
        }
        BranchState::Ready if !home.state.branch(&branch.id).data.join("PG_VERSION").exists() => {
            "broken"
        }
        BranchState::Ready if branch::is_running(home, branch) => "running",
        BranchState::Ready => "asleep",
    }
}

/// A branch for programs. No password.
pub(super) fn document(home: &Home, branch: &Branch, checked_out: Option<&str>) -> Value {
    let is_checked_out = checked_out.is_some_and(|id| id == branch.id || id == branch.name);
    json!({
        "id": branch.id, "name": branch.name, "parent": branch.parent,
        "state": branch.state, "condition": condition(home, branch),
        "is_checked_out": is_checked_out, "protected": branch.protected,
        "backend": branch.backend, "captured": branch.captured,
        "host": branch::host(branch), "port": branch.port, "database": branch.database,
        "user": branch.user, "postgres_version": branch.postgres_version,
        "created_at": branch.created_at, "expires_at": branch.expires_at,
        "last_used_at": branch.last_used_at, "sleep_after_seconds": branch.sleep_after_seconds,
        "settings": branch.settings,
    })
}

/// A time to live: None for `never`.
#[derive(Clone, Copy, Debug)]
struct TimeToLive(Option<Duration>);

impl TimeToLive {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self(None));
        }
        super::parse_duration(text)
            .map(|time| Self(Some(time)))
            .map_err(|_| "write it as 90s, 15m, 2h, 7d or never".to_owned())
    }

    fn from(self, now: Moment) -> Option<Moment> {
        self.0.map(|time| now.after(time))
    }
}
