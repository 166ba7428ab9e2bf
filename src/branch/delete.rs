//! Branches that go: those that are not wanted any more, and those that were never finished.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::backend::{Backend, Copy};
use super::{Branch, BranchError, BranchState, Home, Lock, LockKind, Place, server, template};
use crate::instance::StopMode;
use crate::project::{Credentials, forget_checked_out};

/// What a sweep came to.
#[derive(Debug, Default)]
pub struct Swept {
    /// Names of branches that are gone now.
    pub removed: Vec<String>,
    /// What is there still, and why. The next sweep tries again.
    pub left: Vec<(String, BranchError)>,
}

/// Deletes a branch, with everything in it. Its children stay.
///
/// # Errors
/// [`BranchError::None`], [`BranchError::Protected`], [`BranchError::Busy`]; of a foreign server
/// [`BranchError::InUse`], and the branch stays.
pub fn delete(home: &Home, name: &str) -> Result<Branch, BranchError> {
    let branch = home.catalog().read()?.ready(name)?.clone();
    delete_if(home, &branch, |row| require_deletable(row).map(|()| true))?;
    Ok(branch)
}

/// True if a branch may be deleted at all.
///
/// # Errors
/// [`BranchError::Protected`], [`BranchError::NotOurs`].
pub fn require_deletable(row: &Branch) -> Result<(), BranchError> {
    template::require_made(row)?;
    if row.protected {
        return Err(BranchError::Protected { name: row.name.clone() });
    }
    Ok(())
}

/// Deletes a branch if its row is as wanted when nobody else can change it; true if it was.
pub(super) fn delete_if(
    home: &Home,
    branch: &Branch,
    is_wanted: impl FnOnce(&Branch) -> Result<bool, BranchError>,
) -> Result<bool, BranchError> {
    let lock = home.state.branch(&branch.id).lock;
    let lock = Lock::wait(&lock, LockKind::Exclusive, &branch.name, server::LOCK_LIMIT)?;
    let is_ours = home.catalog().change(|rows| {
        let row = rows.by_id_mut(&branch.id)?;
        let is_ours = is_wanted(row)?;
        if is_ours {
            row.state = BranchState::Deleting;
        }
        Ok(is_ours)
    })?;
    if is_ours {
        if let Err(error) = destroy(home, branch) {
            give_back(home, branch)?;
            return Err(error);
        }
        clear(home, branch)?;
    }
    drop(lock);
    Ok(is_ours)
}

/// Clears away what processes that were killed left half-made or half-deleted.
///
/// # Errors
/// [`BranchError::Unknown`] for data that the catalog has no row of, which is never removed;
/// [`BranchError::File`], [`BranchError::Catalog`].
pub fn sweep(home: &Home) -> Result<Swept, BranchError> {
    let rows = home.catalog().read()?;
    let is_unfinished = |branch: &Branch| branch.state != BranchState::Ready;
    let mut swept = Swept::default();
    if !rows.branches.iter().any(is_unfinished) && unknown(home, &rows.branches)?.is_empty() {
        return Ok(swept);
    }
    let (orphans, strays) = home.catalog().change(|rows| {
        // First: of a catalog that was lost, nothing may be believed.
        let strays = strays(home, &rows.branches, &mut swept)?;
        let mut orphans = Vec::new();
        for branch in rows.branches.iter_mut().filter(|branch| is_unfinished(branch)) {
            let lock = home.state.branch(&branch.id).lock;
            // Its directory is gone already: only the row is left.
            let is_gone = !lock.exists();
            let lock = if is_gone { Ok(None) } else { Lock::attempt(&lock, LockKind::Exclusive) };
            match lock {
                Ok(lock) if is_gone || lock.is_some() => {
                    branch.state = BranchState::Deleting;
                    orphans.push((branch.clone(), lock));
                }
                Ok(_) => {}
                Err(error) => swept.left.push((branch.name.clone(), error)),
            }
        }
        Ok((orphans, strays))
    })?;
    for (branch, _lock) in orphans {
        match remove(home, &branch) {
            Ok(()) => {
                tracing::info!(branch = %branch.name, "unfinished branch removed");
                swept.removed.push(branch.name);
            }
            Err(error) => swept.left.push((branch.name, error)),
        }
    }
    for (path, _lock) in strays {
        if let Err(error) = remove_dir(&path) {
            swept.left.push((path.display().to_string(), error));
        }
    }
    Ok(swept)
}

/// True if a branch is not ready and nobody is at work on it.
///
/// # Errors
/// [`BranchError::File`].
pub fn is_abandoned(home: &Home, branch: &Branch) -> Result<bool, BranchError> {
    let lock = home.state.branch(&branch.id).lock;
    Ok(branch.state != BranchState::Ready
        && (!lock.exists() || Lock::attempt(&lock, LockKind::Shared)?.is_some()))
}

/// Removes the server or the database, the files, the password and the row. The caller has the lock.
pub(super) fn remove(home: &Home, branch: &Branch) -> Result<(), BranchError> {
    destroy(home, branch)?;
    clear(home, branch)
}

fn destroy(home: &Home, branch: &Branch) -> Result<(), BranchError> {
    match &branch.place {
        Place::Own => {
            forget_checked_out(&home.state, &branch.id)?;
            // Unfinished data need not be a cluster yet: then nothing runs on it.
            if let Ok(mut server) = server::open(home, branch) {
                server.stop(StopMode::Immediate)?;
            }
            let backend = branch.backend.backend().unwrap_or(&Copy);
            backend.destroy(&home.state.branch(&branch.id).data)
        }
        Place::Foreign { .. } => {
            template::drop_databases(home, branch)?;
            Ok(forget_checked_out(&home.state, &branch.id)?)
        }
    }
}

/// A database that was not dropped is as it was; of a server of ours parts may be gone.
fn give_back(home: &Home, branch: &Branch) -> Result<(), BranchError> {
    match branch.place {
        Place::Own => Ok(()),
        Place::Foreign { .. } => home.catalog().change(|rows| {
            rows.by_id_mut(&branch.id)?.state = BranchState::Ready;
            Ok(())
        }),
    }
}

fn clear(home: &Home, branch: &Branch) -> Result<(), BranchError> {
    let files = home.state.branch(&branch.id);
    remove_dir(&files.dir)?;
    if branch.socket_dir != files.socket {
        remove_dir(&branch.socket_dir)?;
    }
    home.catalog().change(|rows| {
        rows.remove(&branch.id);
        Credentials::read(&home.state)?.remove(&branch.id)?;
        Ok(())
    })
}

type Strays = Vec<(PathBuf, Lock)>;

/// Directories without a row: their maker died before it wrote one, and long before it copied any
/// data. Only under the catalog's lock does nobody come in between.
fn strays(home: &Home, branches: &[Branch], swept: &mut Swept) -> Result<Strays, BranchError> {
    let mut found = Vec::new();
    let unknown = unknown(home, branches)?;
    // What cannot be looked at may hold data.
    let may_hold_data = |path: &&PathBuf| {
        let looked = fs::symlink_metadata(path.join("data"));
        !looked.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    };
    if let Some(path) = unknown.iter().find(may_hold_data) {
        return Err(BranchError::Unknown { path: path.clone(), catalog: home.state.catalog() });
    }
    for path in unknown {
        match Lock::attempt(&home.state.branch(id_of(&path)).lock, LockKind::Exclusive) {
            Ok(Some(lock)) => found.push((path, lock)),
            Ok(None) => {}
            Err(error) => swept.left.push((path.display().to_string(), error)),
        }
    }
    Ok(found)
}

/// Directories as those of branches that have no row.
fn unknown(home: &Home, branches: &[Branch]) -> Result<Vec<PathBuf>, BranchError> {
    let mut found = directories(home)?;
    found.retain(|path| {
        let id = id_of(path);
        is_id(id) && !branches.iter().any(|branch| branch.id == id)
    });
    Ok(found)
}

fn id_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Others' directories (`lost+found`) are not ours to remove.
fn is_id(name: &str) -> bool {
    name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn directories(home: &Home) -> Result<Vec<PathBuf>, BranchError> {
    let dir = home.state.branches();
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(BranchError::file("list", &dir)(error)),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    paths.collect::<Result<Vec<_>, _>>().map_err(BranchError::file("list", dir))
}

/// A directory with everything in it; that it is not there is no error.
pub(super) fn remove_dir(path: &Path) -> Result<(), BranchError> {
    // A subvolume in it must be deleted as one; the plain way empties it all the same.
    Copy.destroy(path)
}
