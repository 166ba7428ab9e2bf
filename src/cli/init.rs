//! `backlot init`

use super::branch::EnvFile;
use super::failure::Failure;
use super::project::{self, blocking};
use super::{Global, environment, output, proxy};
use crate::branch::{self, Branch, BranchError, Home};
use crate::instance::{Account, Binaries};
use crate::project::{FOLDER, Project, ProjectError, ProjectFile};
use clap::Args;
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
    /// Where a team keeps its projects; without it, everything is on this machine
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    env_file: EnvFile,
}

pub(super) async fn run(args: InitArgs, global: &Global) -> Result<(), Failure> {
    let began = Instant::now();
    let folder = project::folder(global);
    let (project, is_new) = match Project::open(&folder) {
        Ok(project) => {
            require_same(&args, &project)?;
            (project, false)
        }
        Err(ProjectError::None { folder }) => (create(&args, &folder)?, true),
        Err(other) => return Err(BranchError::from(other).into()),
    };
    let is_shared = Account::for_cluster(Path::new("/nonexistent"))?.is_other();
    project.make_state(is_shared).map_err(BranchError::from)?;
    let home = project::home(&project);
    let (main, is_new_branch) = {
        let (home, project) = (home.clone(), project.clone());
        blocking(move || main_branch(&home, &project)).await?
    };
    let main = if is_new_branch {
        proxy::attend_new(&project, &home, main).await?
    } else {
        proxy::attend(&project, &home, &main).await?;
        main
    };
    args.env_file.write(&project::url(&home, &main)?)?;
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
        "branch {}: PostgreSQL {} on {}:{}",
        main.name,
        main.postgres_version,
        branch::LOOPBACK,
        main.port
    ))?;
    args.env_file.say(global);
    if is_new && !global.quiet {
        output::say("commit .backlot/project.yaml; `backlot branch url` prints the URL");
    }
    Ok(())
}

/// What is there already is not changed by a flag, and not passed over either.
fn require_same(args: &InitArgs, project: &Project) -> Result<(), Failure> {
    let file = &project.file;
    let postgres = args.postgres.map(|major| major.to_string());
    let asked = [
        ("--name", args.name.clone(), Some(file.name.clone())),
        ("--postgres", postgres, Some(file.postgres.to_string())),
        ("--server", args.server.clone(), file.server.clone()),
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
    let name = match &args.name {
        Some(name) => name.clone(),
        None => plain(folder.file_name().and_then(|name| name.to_str()).unwrap_or_default()),
    };
    let binaries = Binaries::find(&environment::search(), args.postgres)?;
    let file = ProjectFile {
        name,
        postgres: binaries.major,
        default_branch: "main".to_owned(),
        server: args.server.clone(),
    };
    let account = Account::for_cluster(Path::new("/nonexistent"))?;
    // Said before anything is made: a server of another account cannot enter a closed folder.
    account.require_reach(&folder.join(FOLDER))?;
    Ok(Project::create(folder, &file, account.is_other()).map_err(BranchError::from)?)
}

/// The default branch, running; made if there is none.
fn main_branch(home: &Home, project: &Project) -> Result<(Branch, bool), BranchError> {
    branch::require_mounted(home)?;
    branch::sweep(home)?;
    let name = &project.file.default_branch;
    if let Ok(main) = home.catalog().read()?.named(name) {
        branch::wake(home, main)?;
        return Ok((main.clone(), false));
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
