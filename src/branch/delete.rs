//! Branches that go: those that are not wanted any more, and those that were never finished.

use std::{fs, io::ErrorKind, path::Path};

use super::backend::BackendKind;
use super::{Branch, BranchError, BranchState, Home, Lock, LockKind, server};
use crate::instance::StopMode;
use crate::project::Credentials;

/// Deletes a branch, with everything in it. Its children stay.
///
/// # Errors
/// [`BranchError::None`], [`BranchError::Protected`], [`BranchError::Busy`].
pub fn delete(home: &Home, name: &str) -> Result<Branch, BranchError> {
    let branch = home.catalog().read()?.ready(name)?.clone();
    let lock = home.state.branch(&branch.id).lock;
    let lock = Lock::wait(&lock, LockKind::Exclusive, &branch.name, server::LOCK_LIMIT)?;
    home.catalog().change(|rows| {
        let row = rows.by_id_mut(&branch.id)?;
        if row.protected {
            return Err(BranchError::Protected { name: row.name.clone() });
        }
        row.state = BranchState::Deleting;
        Ok(())
    })?;
    remove(home, &branch)?;
    drop(lock);
    Ok(branch)
}

/// Clears away what processes that were killed left half-made or half-deleted. Gives the names.
///
/// # Errors
/// [`BranchError::File`], [`BranchError::Catalog`].
pub fn sweep(home: &Home) -> Result<Vec<String>, BranchError> {
    let rows = home.catalog().read()?;
    let is_unfinished = |branch: &Branch| branch.state != BranchState::Ready;
    if !rows.branches.iter().any(is_unfinished) && !has_strays(home, &rows.branches)? {
        return Ok(Vec::new());
    }
    let (orphans, strays) = home.catalog().change(|rows| {
        let mut orphans = Vec::new();
        for branch in rows.branches.iter_mut().filter(|branch| is_unfinished(branch)) {
            let lock = home.state.branch(&branch.id).lock;
            // Its directory is gone already: only the row is left.
            let is_gone = !lock.exists();
            let lock = if is_gone { None } else { Lock::attempt(&lock, LockKind::Exclusive)? };
            if is_gone || lock.is_some() {
                branch.state = BranchState::Deleting;
                orphans.push((branch.clone(), lock));
            }
        }
        Ok((orphans, strays(home, &rows.branches)?))
    })?;
    let mut names = Vec::new();
    for (branch, _lock) in orphans {
        tracing::info!(branch = %branch.name, "unfinished branch removed");
        remove(home, &branch)?;
        names.push(branch.name);
    }
    for (path, _lock) in strays {
        remove_dir(&path)?;
    }
    Ok(names)
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

/// Removes the server, the files, the password and the row. The caller has the lock.
pub(super) fn remove(home: &Home, branch: &Branch) -> Result<(), BranchError> {
    let files = home.state.branch(&branch.id);
    // Unfinished data need not be a cluster yet: then nothing runs on it.
    if let Ok(mut server) = server::open(home, branch) {
        server.stop(StopMode::Immediate)?;
    }
    branch.backend.backend().destroy(&files.data)?;
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

type Strays = Vec<(std::path::PathBuf, Option<Lock>)>;

/// Directories without a row: their maker died before it wrote one. Only under the catalog's
/// lock does nobody come in between.
fn strays(home: &Home, branches: &[Branch]) -> Result<Strays, BranchError> {
    let mut found = Vec::new();
    for path in directories(home)? {
        let id = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if is_id(id) && !branches.iter().any(|branch| branch.id == id) {
            let lock = Lock::attempt(&home.state.branch(id).lock, LockKind::Exclusive)?;
            if lock.is_some() {
                found.push((path, lock));
            }
        }
    }
    Ok(found)
}

fn has_strays(home: &Home, branches: &[Branch]) -> Result<bool, BranchError> {
    let known = |path: &Path| {
        let id = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        !is_id(id) || branches.iter().any(|branch| branch.id == id)
    };
    Ok(directories(home)?.iter().any(|path| !known(path)))
}

/// Others' directories (`lost+found`) are not ours to remove.
fn is_id(name: &str) -> bool {
    name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn directories(home: &Home) -> Result<Vec<std::path::PathBuf>, BranchError> {
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
    BackendKind::Copy.backend().destroy(path)
}
