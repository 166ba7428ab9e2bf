//! `backlot proxy …`: what applications connect to. Started by the verbs that need it.

use super::failure::Failure;
use super::project::{self, blocking};
use super::{Global, environment, output};
use crate::branch::{self, Branch, BranchError, BranchState, Change, Home, Place};
use crate::project::Project;
use crate::proxy::{self, Launch, ProxyError};
use clap::Subcommand;
use serde_json::json;

#[derive(Subcommand)]
pub(super) enum ProxyVerb {
    /// Start the proxy of the project, if it does not run
    Start,
    /// Stop it, which ends its clients' sessions; servers go on
    Stop,
    /// Show whether it runs, and on which ports
    Status,
    /// Be the proxy, until told to end
    #[command(hide = true)]
    Serve,
}

/// Somebody took the port between its choice and its use; thrice is no accident.
const PORT_ATTEMPTS: usize = 3;

pub(super) async fn run(verb: &ProxyVerb, global: &Global) -> Result<(), Failure> {
    match verb {
        ProxyVerb::Start => start(global).await,
        ProxyVerb::Stop => stop(global).await,
        ProxyVerb::Status => status(global).await,
        ProxyVerb::Serve => serve(global).await,
    }
}

/// Sees to it that the branch can be connected to by its URL; its server need not run.
pub(super) async fn attend(project: &Project, home: &Home, branch: &Branch) -> Result<(), Failure> {
    let (home, branch, launch) = (home.clone(), branch.clone(), launch(project)?);
    blocking(move || ensure(&home, &launch, &branch)).await?
}

/// As [`attend`]; its server runs.
pub(super) async fn reach(project: &Project, home: &Home, branch: &Branch) -> Result<(), Failure> {
    {
        let (home, branch) = (home.clone(), branch.clone());
        blocking(move || wake(&home, &branch)).await?;
    }
    attend(project, home, branch).await
}

fn wake(home: &Home, branch: &Branch) -> Result<(), BranchError> {
    match branch.place {
        Place::Own => branch::wake(home, branch).map(drop),
        // Others see to that it runs.
        Place::Foreign { .. } => Ok(()),
    }
}

fn ensure(
    home: &Home,
    launch: &Launch,
    branch: &Branch,
) -> Result<Result<(), Failure>, BranchError> {
    match branch.place {
        Place::Own => Ok(proxy::ensure(home, launch, branch).map(drop).map_err(Failure::from)),
        Place::Foreign { .. } => branch::foreign_answers(home, branch).map(Ok),
    }
}

/// As [`attend`], for a branch whose URL nobody knows yet: it may get another port.
pub(super) async fn attend_new(
    project: &Project,
    home: &Home,
    branch: Branch,
) -> Result<Branch, Failure> {
    if !branch.place.is_own() {
        attend(project, home, &branch).await?;
        return Ok(branch);
    }
    let (home, launch) = (home.clone(), launch(project)?);
    let attended = blocking(move || {
        let mut branch = branch;
        for _ in 1..PORT_ATTEMPTS {
            match proxy::ensure(&home, &launch, &branch) {
                Err(ProxyError::PortTaken { .. }) => {
                    branch = branch::change(&home, &branch.id, &[Change::NewPort])?;
                }
                other => return Ok(other.map(|_| branch)),
            }
        }
        Ok(proxy::ensure(&home, &launch, &branch).map(|_| branch))
    });
    Ok(attended.await??)
}

/// As [`reach`], for verbs that wait for servers anyway.
pub(super) fn reach_blocking(
    project: &Project,
    home: &Home,
    branch: &Branch,
) -> Result<(), Failure> {
    wake(home, branch)?;
    ensure(home, &launch(project)?, branch)?
}

fn launch(project: &Project) -> Result<Launch, Failure> {
    let folder = project.folder.to_str().ok_or_else(|| {
        Failure::usage(format!("the name of {} is not UTF-8", project.folder.display()))
    })?;
    let arguments = ["proxy", "serve", "--project", folder, "--log", "backlot=info"];
    Ok(Launch { program: environment::program()?, arguments: arguments.map(str::to_owned).into() })
}

async fn start(global: &Global) -> Result<(), Failure> {
    let (project, home) = project::opened(global).await?;
    let rows = home.catalog().read()?.branches;
    let is_ours = |branch: &&Branch| branch.state == BranchState::Ready && branch.place.is_own();
    for branch in rows.iter().filter(is_ours) {
        attend(&project, &home, branch).await?;
    }
    status(global).await
}

async fn stop(global: &Global) -> Result<(), Failure> {
    let home = project::home(&project::find(global)?);
    let ran = blocking(move || Ok(proxy::stop(&home))).await??;
    if global.json {
        return output::json(&json!({"stopped": ran}));
    }
    output::line(if ran { "stopped the proxy" } else { "the proxy did not run" })
}

async fn status(global: &Global) -> Result<(), Failure> {
    let home = project::home(&project::find(global)?);
    let status = {
        let home = home.clone();
        blocking(move || Ok(proxy::status(&home))).await??
    };
    if global.json {
        return output::json(&json!({"running": status.is_some(), "proxy": status}));
    }
    let Some(status) = status else {
        return output::line(match home.foreign {
            None => "the proxy does not run",
            Some(_) => "no proxy is needed: the project's server is not backlot's",
        });
    };
    output::line(&format!("the proxy runs as process {}", status.pid))?;
    for port in &status.ports {
        output::line(&format!("listens on {}:{port}", branch::LOOPBACK))?;
    }
    for unbound in &status.unbound {
        output::line(&format!("cannot listen on port {}: {}", unbound.port, unbound.reason))?;
    }
    Ok(())
}

async fn serve(global: &Global) -> Result<(), Failure> {
    // Closing the terminal does not end it. Refused when a shell runs us as a job, which is then
    // somebody's wish.
    let _ = rustix::process::setsid();
    let home = project::home(&project::find(global)?);
    Ok(proxy::serve(home, environment::now).await?)
}
