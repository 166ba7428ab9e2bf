//! `backlot branch create`

use super::wait_ready::until_ready;
use super::{EnvFile, TimeToLive, document};
use crate::branch::{self, BackendKind, BranchError, Created, Home, Method, Request};
use crate::cli::failure::Failure;
use crate::cli::project::{self, blocking};
use crate::cli::{Global, output, proxy};
use crate::project::{Project, checked_out};
use clap::Args;
use serde_json::json;
use std::time::Instant;

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct CreateArgs {
    /// Its name: letters, digits and - _ . /
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What it is made of [default: the checked-out branch]
    #[arg(long, value_name = "BRANCH")]
    parent_branch: Option<String>,
    /// With --if-not-exists: wait for a branch that another command is making. A new one always answers
    /// by its URL when this returns
    #[arg(long)]
    wait: bool,
    /// Expires after this long (90s, 15m, 2h, 7d, never); `branch gc` deletes it then
    #[arg(long, value_name = "TIME", value_parser = TimeToLive::parse)]
    ttl: Option<TimeToLive>,
    /// Refuse to delete it
    #[arg(long)]
    protect: bool,
    /// How the data is copied [default: the best that works here]
    #[arg(long, value_name = "BACKEND", value_parser = ["subvolume", "reflink", "copy", "template"])]
    backend: Option<String>,
    /// Be content with a branch of this name that is there already
    #[arg(long)]
    if_not_exists: bool,
    /// Copy a large database in full where nothing better works
    #[arg(long)]
    allow_copy: bool,
    #[command(flatten)]
    env_file: EnvFile,
}

pub(super) async fn run(args: CreateArgs, global: &Global) -> Result<(), Failure> {
    let began = Instant::now();
    let (project, home) = project::opened(global).await?;
    if args.wait && args.if_not_exists {
        wait_for_others(&project, &home, &args.name, global).await?;
    }
    let request = Request {
        parent: project::branch_name(&project, args.parent_branch.as_deref())?,
        backend: args.backend.as_deref().and_then(BackendKind::named),
        expires_at: args.ttl.and_then(|ttl| ttl.from(home.now)),
        protected: args.protect,
        if_not_exists: args.if_not_exists,
        allow_copy: args.allow_copy,
        name: args.name,
    };
    let mut created = {
        let home = home.clone();
        blocking(move || branch::create(&home, &request)).await?
    };
    created.branch = if created.existed {
        proxy::reach(&project, &home, &created.branch).await?;
        created.branch
    } else {
        proxy::attend_new(&project, &home, created.branch).await?
    };
    args.env_file.write(&project::url(&home, &created.branch)?)?;
    let seconds = began.elapsed().as_secs_f64();
    if global.json {
        let checked_out = checked_out(&project).map_err(BranchError::from)?;
        return output::json(&json!({
            "branch": document(&home, &created.branch, checked_out.as_deref()),
            "created": !created.existed,
            "subscriptions_disabled": created.subscriptions_disabled,
            "jobs_stopped": created.jobs_stopped,
            "settings_left": created.settings_left,
            "env_file": args.env_file.path(),
            "seconds": seconds,
        }));
    }
    print(&created, seconds, global)?;
    args.env_file.say(global);
    Ok(())
}

async fn wait_for_others(
    project: &Project,
    home: &Home,
    name: &str,
    global: &Global,
) -> Result<(), Failure> {
    let rows = home.catalog().read()?.branches;
    let Some(row) = rows.iter().find(|row| row.name == name) else { return Ok(()) };
    until_ready(project, home, Some(&row.id), global).await?;
    Ok(())
}

fn print(created: &Created, seconds: f64, global: &Global) -> Result<(), Failure> {
    let Created { branch, .. } = created;
    let address = branch::address(branch);
    if created.existed {
        return output::line(&format!("branch {} is there already, on {address}", branch.name));
    }
    let parent = branch.parent.as_ref().map_or("nothing", |parent| parent.name.as_str());
    output::line(&format!("branch {} of {parent} in {seconds:.2} s, on {address}", branch.name))?;
    if global.quiet {
        return Ok(());
    }
    if let Some(captured) = branch.captured {
        output::say(&format!(
            "by {}: {}",
            branch.backend,
            told(captured.method, captured.pause_ms)
        ));
    }
    if branch.backend == BackendKind::Copy {
        output::say("`sudo backlot branch pool create` would make it instant and small");
    }
    for (count, what) in [
        (created.subscriptions_disabled, "subscription(s) disabled"),
        (created.jobs_stopped, "job(s) of pg_cron stopped"),
    ] {
        if count > 0 {
            output::say(&format!("{count} {what} in the branch"));
        }
    }
    if !created.settings_left.is_empty() {
        let names = created.settings_left.join(", ");
        output::say(&format!(
            "settings of the database that an administrator must give it: {names}"
        ));
    }
    Ok(())
}

fn told(method: Method, pause_ms: u64) -> String {
    match method {
        Method::New => "a new cluster".to_owned(),
        Method::Asleep => "the parent was asleep".to_owned(),
        Method::Stopped => format!("the parent had no sessions and was away for {pause_ms} ms"),
        Method::Snapshot => "a snapshot; the parent went on".to_owned(),
        Method::Frozen => format!("the parent stood still for {pause_ms} ms"),
        Method::Backup => "a backup; the parent went on".to_owned(),
        Method::Template => format!("nobody could connect to the parent for {pause_ms} ms"),
        Method::Adopted => "it was there".to_owned(),
    }
}
