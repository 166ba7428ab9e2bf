//! `backlot init`

use super::branch::EnvFile;
use super::failure::Failure;
use super::project::{self, blocking};
use super::{Global, environment, output, proxy};
use crate::branch::{self, Branch, BranchError, Home, Version};
use crate::instance::{Account, Binaries};
use crate::pg::ConnInfo;
use crate::project::{FOLDER, Project, ProjectError, ProjectFile};
use clap::Args;
use secrecy::ExposeSecret;
use serde_json::json;
use std::path::Path;
use std::time::Instant;

#[derive(Args)]
pub(super) struct InitArgs {
    /// The project's name [default: the folder's]
    #[arg(long)]
    name: Option<String>,
    /// Major version of PostgreSQL [default: the first that is found]
    #[arg(long, value_name = "MAJOR")]
    postgres: Option<u32>,
    /// A database of a server that backlot does not run: it is the first branch, and others are made
    /// beside it by CREATE DATABASE … TEMPLATE
    #[arg(long, value_name = "URL")]
    on: Option<String>,
    /// Where a team keeps its projects; without it, everything is on this machine
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    env_file: EnvFile,
}

pub(super) async fn run(args: InitArgs, global: &Global) -> Result<(), Failure> {
    let began = Instant::now();
    let folder = project::folder(global);
    let on = args.on.as_deref().map(foreign).transpose()?;
    let (project, is_new) = match Project::open(&folder) {
        Ok(project) => {
            require_same(&args, on.as_ref(), &project)?;
            (project, false)
        }
        Err(ProjectError::None { folder }) => match &on {
            Some(on) => (create_on(&args, on, &folder).await?, true),
            None => (create(&args, &folder)?, true),
        },
        Err(other) => return Err(BranchError::from(other).into()),
    };
    project.make_state(is_shared(&project)?).map_err(BranchError::from)?;
    let home = project::home(&project);
    if let Some(on) = on {
        keep_password(&home, on).await?;
    }
    let (main, is_new_branch) = {
        let (home, project) = (home.clone(), project.clone());
        blocking(move || main_branch(&home, &project)).await?
    };
    let main = if is_new_branch {
        proxy::attend_new(&project, &home, main).await?
    } else {
        proxy::reach(&project, &home, &main).await?;
        main
    };
    // The application goes on where the other commands act.
    let used = project::branch(&project, &home, None)?;
    if used.id != main.id && args.env_file.path().is_some() {
        proxy::reach(&project, &home, &used).await?;
    }
    args.env_file.write(&project::url(&home, &used)?)?;
    let seconds = began.elapsed().as_secs_f64();
    if global.json {
        return output::json(&json!({
            "project": {
                "name": project.file.name, "folder": project.folder, "created": is_new,
                "file": project.file_path(),
            },
            "branch": super::branch::document(&home, &main, Some(&main.id)),
            "branch_created": is_new_branch,
            "env_file": args.env_file.path(),
            "seconds": seconds,
        }));
    }
    let verb = if is_new { "made" } else { "is" };
    output::line(&format!("project {} {verb} in {}", project.file.name, project.folder.display()))?;
    output::line(&format!(
        "branch {}: PostgreSQL {} on {}",
        main.name,
        main.postgres_version,
        branch::address(&main)
    ))?;
    args.env_file.say(global);
    if is_new && !global.quiet {
        output::say("commit .backlot/project.yaml; `backlot branch url` prints the URL");
    }
    Ok(())
}

/// What is there already is not changed by a flag, and not passed over either.
fn require_same(args: &InitArgs, on: Option<&ConnInfo>, project: &Project) -> Result<(), Failure> {
    let file = &project.file;
    let postgres = args.postgres.map(|major| major.to_string());
    let asked = [
        ("--name", args.name.clone(), Some(file.name.clone())),
        ("--postgres", postgres, Some(file.postgres.to_string())),
        ("--server", args.server.clone(), file.server.clone()),
        ("--on", on.map(committed), file.foreign().as_ref().map(committed)),
    ];
    for (flag, asked, is) in asked {
        if let Some(asked) = asked
            && is.as_ref() != Some(&asked)
        {
            let is = is.unwrap_or_else(|| "not set".to_owned());
            let message =
                format!("{flag} {asked}: there is a project here already, where it is {is}");
            return Err(Failure::usage(message).hint(format!(
                "leave {flag} out, or change it in {}",
                project.file_path().display()
            )));
        }
    }
    Ok(())
}

fn create(args: &InitArgs, folder: &Path) -> Result<Project, Failure> {
    let binaries = Binaries::find(&environment::search(), args.postgres)?;
    let file = ProjectFile {
        name: name(args, folder),
        postgres: binaries.major,
        default_branch: "main".to_owned(),
        server: args.server.clone(),
        foreign_server: None,
    };
    let account = Account::for_cluster(Path::new("/nonexistent"))?;
    // Said before anything is made: a server of another account cannot enter a closed folder.
    account.require_reach(&folder.join(FOLDER))?;
    Ok(Project::create(folder, &file, account.is_other()).map_err(BranchError::from)?)
}

/// A project on a server that others run, which must answer.
async fn create_on(args: &InitArgs, on: &ConnInfo, folder: &Path) -> Result<Project, Failure> {
    let version = version_of(on).await?;
    if let Some(major) = args.postgres.filter(|major| *major != version.major) {
        let message = format!("--postgres {major}: {on} is PostgreSQL {}", version.text);
        return Err(Failure::usage(message).hint("leave --postgres out"));
    }
    let file = ProjectFile {
        name: name(args, folder),
        postgres: version.major,
        default_branch: "main".to_owned(),
        server: args.server.clone(),
        foreign_server: Some(committed(on)),
    };
    // No server of another account has to enter it.
    Ok(Project::create(folder, &file, false).map_err(BranchError::from)?)
}

fn foreign(text: &str) -> Result<ConnInfo, Failure> {
    ConnInfo::parse(text).map_err(|error| {
        Failure::usage(format!("--on: {error}")).hint("postgres://user@host:5432/database")
    })
}

/// As the project file has it.
fn committed(on: &ConnInfo) -> String {
    on.without_password().to_url().expose_secret().to_owned()
}

/// The URL's password, once it has been let in; one of the environment stays there.
async fn keep_password(home: &Home, on: ConnInfo) -> Result<(), Failure> {
    let Some(password) = on.password.clone() else { return Ok(()) };
    version_of(&on).await?;
    let home = home.clone();
    blocking(move || branch::set_server_password(&home, password)).await
}

async fn version_of(on: &ConnInfo) -> Result<Version, Failure> {
    let on = environment::with_password(on.clone());
    blocking(move || branch::version_of(&on, "main")).await
}

/// True if servers of the project run as another account, which must be able to enter the state.
fn is_shared(project: &Project) -> Result<bool, Failure> {
    match project.file.foreign_server {
        Some(_) => Ok(false),
        None => Ok(Account::for_cluster(Path::new("/nonexistent"))?.is_other()),
    }
}

fn name(args: &InitArgs, folder: &Path) -> String {
    let plain = || plain(folder.file_name().and_then(|name| name.to_str()).unwrap_or_default());
    args.name.clone().unwrap_or_else(plain)
}

/// The default branch; made if there is none.
fn main_branch(home: &Home, project: &Project) -> Result<(Branch, bool), BranchError> {
    branch::require_mounted(home)?;
    branch::sweep(home)?;
    let name = &project.file.default_branch;
    if let Ok(main) = home.catalog().read()?.named(name) {
        branch::require_here(home, main)?;
        return Ok((main.clone(), false));
    }
    if let Some(foreign) = &home.foreign {
        return Ok((branch::adopt(home, foreign, name)?, true));
    }
    let binaries = Binaries::find(&home.search, Some(project.file.postgres))?;
    Ok((branch::create_root(home, name, &binaries)?.branch, true))
}

/// A folder's name as a project's.
fn plain(folder: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = folder.chars().map(kept).take(63).collect();
    if name.is_empty() { "project".to_owned() } else { name }
}
