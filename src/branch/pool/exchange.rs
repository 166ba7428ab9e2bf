//! The exchange of the directory of branches for a pool. A power cut may part it anywhere.
//!
//! `branches` becomes `branches.before`, an empty directory takes its place, the image gets its
//! name, and is mounted. The name is the turning point: without `pool.img`, what counts lies in
//! `branches.before`; with it, in the pool. All of it under the catalog's lock, so that whoever has
//! the lock and finds a `branches.before` knows that its maker is dead.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::{copy_owner, is_mount_point, mount_image};
use crate::branch::{BackendKind, BranchError, Home, Rows, delete};
use crate::project::State;

/// Puts the image `fresh`, which holds the branches, into their place. Whatever fails, they are
/// where they were. Only under the catalog's lock.
pub(super) fn exchange(state: &State, fresh: &Path) -> Result<(), BranchError> {
    let outcome = forth(state, fresh);
    if outcome.is_err()
        && let Err(error) = back(state, fresh)
    {
        tracing::error!(%error, "exchange not undone: the next command tries again");
    }
    outcome
}

/// The branches as they are in a pool.
pub(super) fn adopt(rows: &mut Rows) {
    rows.probe = None;
    for row in &mut rows.branches {
        row.backend = BackendKind::Subvolume;
    }
}

/// Ends what somebody began who was killed: back if the image has no name yet, else forth.
pub(super) fn recover(home: &Home) -> Result<(), BranchError> {
    if !before(&home.state).exists() {
        return Ok(());
    }
    let is_done = home.catalog().change(|rows| {
        let state = &home.state;
        if !state.pool_image().exists() {
            restore(state)?;
            return Ok(false);
        }
        // Until it is mounted nobody can see that the branches are in it.
        let is_done = is_mount_point(&state.branches())?;
        if is_done {
            adopt(rows);
        }
        Ok(is_done)
    })?;
    if is_done {
        discard(&home.state);
    }
    Ok(())
}

/// Removes what the pool has now. What cannot be removed takes space, and stands in nobody's way.
pub(super) fn discard(state: &State) {
    let before = before(state);
    if let Err(error) = delete::remove_dir(&before) {
        tracing::warn!(%error, path = %before.display(), "left-over of a new pool");
    }
}

fn before(state: &State) -> PathBuf {
    state.dir().join("branches.before")
}

fn forth(state: &State, fresh: &Path) -> Result<(), BranchError> {
    let (branches, before, image) = (state.branches(), before(state), state.pool_image());
    rename(&branches, &before)?;
    fs::create_dir(&branches).map_err(BranchError::file("make", &branches))?;
    copy_owner(&before, &branches)?;
    sync(state.dir())?;
    rename(fresh, &image)?;
    sync(state.dir())?;
    mount_image(&image, &branches)
}

/// Nobody has seen the pool yet: the locks of all branches are ours.
fn back(state: &State, fresh: &Path) -> Result<(), BranchError> {
    let image = state.pool_image();
    if image.exists() {
        rename(&image, fresh)?;
        sync(state.dir())?;
    }
    restore(state)
}

/// In one step also where an empty `branches` is in the way.
fn restore(state: &State) -> Result<(), BranchError> {
    let before = before(state);
    if before.exists() {
        rename(&before, &state.branches())?;
        sync(state.dir())?;
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<(), BranchError> {
    fs::rename(from, to).map_err(BranchError::file("rename", from))
}

fn sync(path: &Path) -> Result<(), BranchError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(BranchError::file("sync", path))
}

#[cfg(test)]
mod tests {
    use super::{State, exchange};
    use std::fs;

    #[test]
    fn an_exchange_that_fails_half_way_is_undone() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::new(dir.path());
        fs::create_dir_all(state.branches().join("0123456789ab/data")).unwrap();
        // There is no image: the first rename is done by then.
        exchange(&state, &dir.path().join("pool.img.new")).unwrap_err();
        assert!(state.branches().join("0123456789ab/data").is_dir());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
