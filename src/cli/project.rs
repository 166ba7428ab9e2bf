//! Which project and branch a command is about: the flag, the variable, the folder, the folders
//! above it; the flag, the variable, the checked-out branch. The same for every verb.

use super::failure::Failure;
use super::{Global, environment, proxy};
use crate::branch::{self, Branch, BranchError, BranchState, ForeignServer, Home, Place, Swept};
use crate::pg::ConnInfo;
use crate::project::{Credentials, Project, ProjectError, checked_out};
use secrecy::{ExposeSecret, SecretString};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What the command line says; the verbs that were there before projects ask through
/// [`environment::server`], which has no access to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Chosen {
    pub(super) project: Option<PathBuf>,
    pub(super) branch: Option<String>,
}

static CHOSEN: OnceLock<Chosen> = OnceLock::new();

/// Said once, before any verb runs.
pub(super) fn choose(chosen: Chosen) {
    drop(CHOSEN.set(chosen));
}

fn chosen() -> Chosen {
    CHOSEN.get().cloned().unwrap_or_default()
}

/// The folder that was named, or the current one.
pub(super) fn folder(global: &Global) -> PathBuf {
    named_folder(global.project.as_deref()).unwrap_or_else(|| PathBuf::from("."))
}

fn named_folder(flag: Option<&Path>) -> Option<PathBuf> {
    flag.map(Path::to_owned).or_else(|| environment::text("BACKLOT_PROJECT").map(PathBuf::from))
}

/// The project: of the folder that was named, else of the current one or the nearest above it.
pub(super) fn find(global: &Global) -> Result<Project, Failure> {
    find_from(global.project.as_deref()).map_err(|error| BranchError::from(error).into())
}

fn find_from(flag: Option<&Path>) -> Result<Project, ProjectError> {
    match named_folder(flag) {
        Some(folder) => Project::open(&folder),
        None => Project::find(Path::new(".")),
    }
}

/// None outside of projects, unless one was asked for. A broken one is not none.
fn find_if_any() -> Result<Option<Project>, Failure> {
    let chosen = chosen();
    let is_asked_for = chosen.branch.is_some() || named_folder(chosen.project.as_deref()).is_some();
    match find_from(chosen.project.as_deref()) {
        Ok(project) => Ok(Some(project)),
        Err(ProjectError::None { .. }) if !is_asked_for => Ok(None),
        Err(error) => Err(BranchError::from(error).into()),
    }
}

/// What the branches' functions are told of the world.
pub(super) fn home(project: &Project) -> Home {
    let foreign = project.file.foreign();
    Home {
        project: project.file.name.clone(),
        state: project.state.clone(),
        cache: environment::cache_dir(),
        search: environment::search(),
        now: environment::now(),
        foreign: foreign.map(|info| ForeignServer::new(environment::with_password(info))),
    }
}

/// The project and its branches, left-overs of killed commands cleared away.
pub(super) async fn opened(global: &Global) -> Result<(Project, Home), Failure> {
    let project = find(global)?;
    let home = home(&project);
    let swept = {
        let home = home.clone();
        blocking(move || {
            branch::require_mounted(&home)?;
            branch::sweep(&home)
        })
        .await?
    };
    say_swept(&swept, global);
    Ok((project, home))
}

fn say_swept(swept: &Swept, global: &Global) {
    for (name, error) in &swept.left {
        tracing::warn!(%name, %error, "left-over not cleared away");
    }
    if global.json || global.quiet {
        return;
    }
    if !swept.removed.is_empty() {
        let names = swept.removed.join(", ");
        super::output::say(&format!("cleared away what was left of: {names}"));
    }
    for (name, error) in &swept.left {
        super::output::say(&format!("left over and not cleared away: {name}: {error}"));
    }
}

/// Work that waits for servers and disks; the runtime keeps the time.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BranchError> + Send + 'static,
) -> Result<T, Failure> {
    let result = tokio::task::spawn_blocking(work).await;
    result.map_err(|_| Failure::internal("a thread of backlot panicked"))?.map_err(Failure::from)
}

/// The name or id of the branch that is meant: as given, `BACKLOT_BRANCH`, checked out, or the
/// project's default.
pub(super) fn branch_name(project: &Project, given: Option<&str>) -> Result<String, Failure> {
    if let Some(name) = given {
        return Ok(name.to_owned());
    }
    if let Some(name) = environment::text("BACKLOT_BRANCH") {
        return Ok(name);
    }
    let id = checked_out(project).map_err(BranchError::from)?;
    Ok(id.unwrap_or_else(|| project.file.default_branch.clone()))
}

/// The branch that is meant, whatever its state.
pub(super) fn branch(
    project: &Project,
    home: &Home,
    given: Option<&str>,
) -> Result<Branch, Failure> {
    let name = branch_name(project, given)?;
    Ok(home.catalog().read()?.named(&name)?.clone())
}

/// As [`branch`]; it must be ready.
pub(super) fn ready_branch(
    project: &Project,
    home: &Home,
    given: Option<&str>,
) -> Result<Branch, Failure> {
    let branch = branch(project, home, given)?;
    if branch.state == BranchState::Ready {
        return Ok(branch);
    }
    Err(BranchError::NotReady { name: branch.name, state: branch.state.name() }.into())
}

/// The URL of a branch, for applications.
pub(super) fn url(home: &Home, branch: &Branch) -> Result<SecretString, Failure> {
    match branch.place {
        Place::Own => own_url(home, branch),
        Place::Foreign { .. } => Ok(branch::foreign_url(home, branch)?),
    }
}

fn own_url(home: &Home, branch: &Branch) -> Result<SecretString, Failure> {
    let credentials = Credentials::read(&home.state).map_err(BranchError::from)?;
    let password = credentials.password(&branch.id).ok_or_else(|| {
        Failure::missing(format!("the password of branch {} is lost", branch.name))
            .hint(format!("`backlot branch set {} password=rotate` makes another", branch.name))
    })?;
    Ok(branch::tcp_url(branch, password))
}

/// The branch that verbs act on which were given no server: its URL, its server awake. None
/// outside of projects, when none was asked for.
pub(super) fn server() -> Result<Option<(SecretString, ConnInfo)>, Failure> {
    let Some(project) = find_if_any()? else { return Ok(None) };
    let home = home(&project);
    branch::require_mounted(&home)?;
    let branch = ready_branch(&project, &home, chosen().branch.as_deref())?;
    tokio::task::block_in_place(|| proxy::reach_blocking(&project, &home, &branch))?;
    let url = url(&home, &branch)?;
    let info = ConnInfo::parse(url.expose_secret())?;
    Ok(Some((url, info)))
}

/// True if a branch was named on the command line.
pub(super) fn is_branch_named() -> bool {
    chosen().branch.is_some()
}

/// The branch that verbs act on, if nobody named it and it is protected.
pub(super) fn unnamed_protected() -> Result<Option<String>, Failure> {
    if is_branch_named() {
        return Ok(None);
    }
    let Some(project) = find_if_any()? else { return Ok(None) };
    let branch = branch(&project, &home(&project), None)?;
    Ok(Some(branch.name).filter(|_| branch.protected))
}

/// A database that backlot did not make is not replaced by a clone either, named or not.
pub(super) fn check_replace(has_url: bool) -> Result<(), Failure> {
    // A branch that was named goes before the variable.
    if has_url && !is_branch_named() {
        return Ok(());
    }
    let Some(project) = find_if_any()? else { return Ok(()) };
    let branch = branch(&project, &home(&project), chosen().branch.as_deref())?;
    Ok(branch::require_made(&branch)?)
}

/// A clone is not put into a protected branch that nobody named.
pub(super) fn check_unnamed_target(has_url: bool) -> Result<(), Failure> {
    if has_url {
        return Ok(());
    }
    let Some(name) = unnamed_protected()? else { return Ok(()) };
    Err(Failure::refused(format!("the checked-out branch {name} is protected")).hint(format!(
        "make a branch for the clone (`backlot branch create --name staging`) and name it: \
         --target-branch staging; or, if you mean it, --target-branch {name}"
    )))
}
