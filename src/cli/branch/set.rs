//! `backlot branch set`, `get` and `renew`

use super::{EnvFile, TimeToLive, document};
use crate::branch::{self, Branch, BranchError, Change, Home};
use crate::cli::failure::Failure;
use crate::cli::project::{self, blocking};
use crate::cli::{Global, output, parse_duration, proxy};
use crate::project::checked_out;
use clap::Args;
use serde_json::{Value, json};

#[derive(Args)]
pub(super) struct SetArgs {
    /// Name or id
    name: String,
    /// protected=true|false, sleep-after=5m|never, expires=7d|never, port=auto|NUMBER,
    /// password=rotate, setting.NAME=VALUE (empty: takes it away)
    #[arg(required = true, value_name = "KEY=VALUE")]
    values: Vec<String>,
    #[command(flatten)]
    env_file: EnvFile,
}

#[derive(Args)]
pub(super) struct GetArgs {
    /// Name or id
    name: String,
    /// As `describe --json` calls it
    key: Option<String>,
}

#[derive(Args)]
pub(super) struct RenewArgs {
    /// Name or id [default: the checked-out branch]
    name: Option<String>,
    /// From now on (90s, 15m, 2h, 7d, never)
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = TimeToLive::parse)]
    ttl: TimeToLive,
}

/// What `set` was told.
#[derive(Debug, PartialEq)]
enum Wish {
    Change(Change),
    RotatePassword,
}

pub(super) async fn run(args: SetArgs, global: &Global) -> Result<(), Failure> {
    let (project, home) = project::opened(global).await?;
    let branch = project::ready_branch(&project, &home, Some(&args.name))?;
    let wishes = args.values.iter().map(|text| wish(text, &home));
    let wishes = wishes.collect::<Result<Vec<_>, _>>()?;
    let rotates = wishes.contains(&Wish::RotatePassword);
    let wanted = wishes.into_iter().filter_map(|wish| match wish {
        Wish::Change(change) => Some(change),
        Wish::RotatePassword => None,
    });
    let wanted = wanted.collect::<Vec<_>>();
    let moves = wanted.iter().any(|change| matches!(change, Change::Port(_) | Change::NewPort));
    let sets = wanted.iter().any(|change| matches!(change, Change::Setting(..)));
    let changed = {
        let home = home.clone();
        blocking(move || {
            let mut changed = branch::change(&home, &branch.id, &wanted)?;
            if rotates {
                branch::rotate_password(&home, &branch.id)?;
                changed = home.catalog().read()?.ready(&branch.id)?.clone();
            }
            Ok(changed)
        })
        .await?
    };
    if moves || args.env_file.path().is_some() {
        // It listens on the port when this returns, and what is written can be used.
        proxy::attend(&project, &home, &changed).await?;
    }
    if args.env_file.path().is_some() {
        args.env_file.write(&project::url(&home, &changed)?)?;
    }
    args.env_file.say(global);
    if sets && branch::is_running(&home, &changed) && !global.json && !global.quiet {
        output::say("settings hold from the next start: `backlot stop` and `backlot branch url`");
    }
    print(&home, &changed, global)
}

pub(super) async fn renew(args: RenewArgs, global: &Global) -> Result<(), Failure> {
    let (project, home) = project::opened(global).await?;
    let branch = project::ready_branch(&project, &home, args.name.as_deref())?;
    let wanted = [Change::ExpiresAt(args.ttl.from(home.now))];
    let changed = branch::change(&home, &branch.id, &wanted)?;
    print(&home, &changed, global)
}

fn print(home: &Home, branch: &Branch, global: &Global) -> Result<(), Failure> {
    if global.json {
        return output::json(&json!({"branch": document(home, branch, None)}));
    }
    let expires = branch.expires_at.map_or("never".to_owned(), |moment| moment.to_string());
    let protected = if branch.protected { ", is protected" } else { "" };
    output::line(&format!(
        "branch {} on port {} expires: {expires}{protected}",
        branch.name, branch.port
    ))
}

pub(super) async fn get(args: GetArgs, global: &Global) -> Result<(), Failure> {
    let (project, home) = project::opened(global).await?;
    let branch = project::branch(&project, &home, Some(&args.name))?;
    let checked_out = checked_out(&project).map_err(BranchError::from)?;
    let document = document(&home, &branch, checked_out.as_deref());
    let Some(key) = args.key else { return output::json(&document) };
    let setting = key.strip_prefix("setting.").map(str::to_ascii_lowercase);
    let setting = setting.and_then(|name| branch.settings.get(&name));
    let value = match setting {
        Some(value) => Value::from(value.as_str()),
        None => document
            .get(key.replace('-', "_"))
            .cloned()
            .ok_or_else(|| Failure::not_found(format!("a branch has no {key}")))?,
    };
    if global.json {
        return output::json(&json!({ key: value }));
    }
    match value.as_str() {
        Some(text) => output::line(text),
        None if value.is_null() => output::line(""),
        None => output::line(&value.to_string()),
    }
}

fn wish(text: &str, home: &Home) -> Result<Wish, Failure> {
    let wrong = |want: &str| {
        Failure::usage(format!("{text}: {want}")).hint("see `backlot branch set --help`")
    };
    let (key, value) = text.split_once('=').ok_or_else(|| wrong("write it as KEY=VALUE"))?;
    let change = match key {
        "protected" => Change::Protected(value.parse().map_err(|_| wrong("true or false"))?),
        "sleep-after" if value == "never" => Change::SleepAfter(None),
        "sleep-after" => {
            Change::SleepAfter(Some(parse_duration(value).map_err(|_| wrong("5m or never"))?))
        }
        "expires" => {
            let ttl = TimeToLive::parse(value).map_err(|_| wrong("7d or never"))?;
            Change::ExpiresAt(ttl.from(home.now))
        }
        "port" if value == "auto" => Change::NewPort,
        "port" => Change::Port(value.parse().map_err(|_| wrong("a port or auto"))?),
        "password" if value == "rotate" => return Ok(Wish::RotatePassword),
        "password" => return Err(wrong("passwords are made here: password=rotate")),
        other => {
            let name = other.strip_prefix("setting.").ok_or_else(|| wrong("no such key"))?;
            let value = Some(value.to_owned()).filter(|value| !value.is_empty());
            Change::Setting(name.to_owned(), value)
        }
    };
    Ok(Wish::Change(change))
}
