//! A loop pool: btrfs in a sparse file, mounted on the directory of branches, for machines whose
//! filesystem cannot share blocks.
//!
//! Made once by root; used by the owner of the project. After a restart of the machine it is
//! mounted again by [`mount`]. By the programs `mkfs.btrfs`, `mount` and `umount`.

mod exchange;

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use super::backend::{Backend, Subvolume, copy_file};
use super::tree::{Job, Tree, Wal, give_away};
use super::{Branch, BranchError, Home, server};
use crate::instance::Account;

/// What a pool is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    pub image: PathBuf,
    /// Its branches are reachable.
    pub is_mounted: bool,
    /// The most that it can hold.
    pub size_bytes: u64,
    /// What the image takes on the disk below it.
    pub used_bytes: u64,
}

/// btrfs does not fit into less.
pub const SMALLEST: u64 = 256 << 20;

/// The project's pool, if it has one.
///
/// # Errors
/// [`BranchError::File`].
pub fn pool(home: &Home) -> Result<Option<Pool>, BranchError> {
    let image = home.state.pool_image();
    if !image.exists() {
        return Ok(None);
    }
    let meta = fs::metadata(&image).map_err(BranchError::file("look at", &image))?;
    let is_mounted = is_mount_point(&home.state.branches())?;
    let (size_bytes, used_bytes) = (meta.len(), meta.blocks() * 512);
    Ok(Some(Pool { image, is_mounted, size_bytes, used_bytes }))
}

/// Makes the pool and moves the branches into it, which are stopped for that. Whatever fails, the
/// branches are where they were.
///
/// # Errors
/// [`BranchError::NeedsRoot`], [`BranchError::PoolExists`], [`BranchError::Tool`],
/// [`BranchError::Overtaken`].
pub fn create_pool(home: &Home, size_bytes: u64) -> Result<Pool, BranchError> {
    needs_root("make a pool")?;
    let image = home.state.pool_image();
    if image.exists() {
        return Err(BranchError::PoolExists { image });
    }
    let rows = home.catalog().read()?.branches;
    // To the end: what is written to a branch after it was copied would be lost.
    let mut locks = Vec::new();
    for branch in &rows {
        locks.push(server::stop_and_hold(home, branch)?.0);
    }
    let (fresh, mount_point) = (image.with_extension("new"), home.state.dir().join("pool.mount"));
    // Left by a process that was killed here.
    unmount(&mount_point)?;
    let outcome = fill(home, &rows, &fresh, &mount_point, size_bytes);
    // Mounted or not: it is mounted where it belongs below, or not at all.
    let unmounted = unmount(&mount_point);
    drop(fs::remove_dir(&mount_point));
    let outcome = outcome.and(unmounted).and_then(|()| move_in(home, &rows, &fresh));
    if let Err(error) = outcome {
        drop(fs::remove_file(&fresh));
        return Err(error);
    }
    drop(locks);
    exchange::discard(&home.state);
    let none = || BranchError::Tool { program: "mount", output: "the pool is gone".to_owned() };
    pool(home)?.ok_or_else(none)
}

/// Puts the filled image into the place of the branches, if they are still those that were copied.
fn move_in(home: &Home, copied: &[Branch], fresh: &Path) -> Result<(), BranchError> {
    fs::File::open(fresh)
        .and_then(|file| file.sync_all())
        .map_err(BranchError::file("sync", fresh))?;
    home.catalog().change(|rows| {
        let ids = |branches: &[Branch]| -> BTreeSet<String> {
            branches.iter().map(|branch| branch.id.clone()).collect()
        };
        if ids(&rows.branches) != ids(copied) {
            return Err(BranchError::Overtaken);
        }
        exchange::exchange(&home.state, fresh)?;
        exchange::adopt(rows);
        Ok(())
    })
}

/// Mounts the pool that is there, after a restart of the machine.
///
/// # Errors
/// [`BranchError::NeedsRoot`], [`BranchError::NoPool`], [`BranchError::Tool`].
pub fn mount(home: &Home) -> Result<(), BranchError> {
    needs_root("mount a pool")?;
    exchange::recover(home)?;
    let (image, branches) = (home.state.pool_image(), home.state.branches());
    if !image.exists() {
        return Err(BranchError::NoPool);
    }
    if !is_mount_point(&branches)? {
        mount_image(&image, &branches)?;
    }
    exchange::recover(home)
}

/// Sees to it that the branches are where they belong, whatever became of a pool that was made.
///
/// # Errors
/// [`BranchError::NotMounted`] when the project has a pool and its branches are out of reach.
pub fn require_mounted(home: &Home) -> Result<(), BranchError> {
    exchange::recover(home)?;
    match pool(home)? {
        Some(Pool { is_mounted: false, image, .. }) => Err(BranchError::NotMounted { image }),
        Some(_) | None => Ok(()),
    }
}

fn fill(
    home: &Home,
    rows: &[Branch],
    image: &Path,
    mount_point: &Path,
    size_bytes: u64,
) -> Result<(), BranchError> {
    drop(fs::remove_file(image));
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(image);
    file.and_then(|file| file.set_len(size_bytes)).map_err(BranchError::file("make", image))?;
    run("mkfs.btrfs", &["--quiet".as_ref(), image.as_ref()])?;
    if !mount_point.exists() {
        fs::create_dir(mount_point).map_err(BranchError::file("make", mount_point))?;
    }
    mount_image(image, mount_point)?;
    copy_owner(&home.state.branches(), mount_point)?;
    for branch in rows {
        let (from, to) = (home.state.branch(&branch.id).dir, mount_point.join(&branch.id));
        move_branch(&from, &to)?;
    }
    Ok(())
}

/// The data as a subvolume, with everything that a branch of it would not get; the files beside it
/// as they are.
fn move_branch(from: &Path, to: &Path) -> Result<(), BranchError> {
    fs::create_dir(to).map_err(BranchError::file("make", to))?;
    copy_owner(from, to)?;
    let (old, new) = (from.join("data"), to.join("data"));
    let account = Account::for_cluster(&old)?;
    Subvolume.make_data_dir(&new)?;
    let job = Job { account: &account, wal: Wal::All, may_go_on: &|| true, is_live: false };
    Tree::whole(&old)?.clone_to(&old, &new, copy_file, &job)?;
    give_away(&new, &account)?;
    for entry in fs::read_dir(from).map_err(BranchError::file("list", from))? {
        let old = entry.map_err(BranchError::file("list", from))?.path();
        let is_file = fs::symlink_metadata(&old).is_ok_and(|meta| meta.is_file());
        if is_file && let Some(name) = old.file_name() {
            let new = to.join(name);
            fs::copy(&old, &new).map_err(BranchError::file("copy", &old))?;
            copy_owner(&old, &new)?;
        }
    }
    Ok(())
}

fn copy_owner(from: &Path, to: &Path) -> Result<(), BranchError> {
    let meta = fs::metadata(from).map_err(BranchError::file("look at", from))?;
    let mode = fs::Permissions::from_mode(meta.mode() & 0o777);
    chown(to, Some(meta.uid()), Some(meta.gid()))
        .and_then(|()| fs::set_permissions(to, mode))
        .map_err(BranchError::file("give away", to))
}

/// Deletes shrink the image; owners may delete their subvolumes.
fn mount_image(image: &Path, at: &Path) -> Result<(), BranchError> {
    let options = "loop,discard=async,user_subvol_rm_allowed,noatime";
    run("mount", &["-o".as_ref(), options.as_ref(), image.as_ref(), at.as_ref()])
}

fn unmount(at: &Path) -> Result<(), BranchError> {
    if at.exists() && is_mount_point(at)? {
        run("umount", &[at.as_ref()])?;
    }
    Ok(())
}

fn is_mount_point(dir: &Path) -> Result<bool, BranchError> {
    let device = |path: &Path| fs::metadata(path).map(|meta| meta.dev());
    let parent = dir.parent().unwrap_or(dir);
    let failed = BranchError::file("look at", dir);
    match (device(dir), device(parent)) {
        (Ok(own), Ok(above)) => Ok(own != above),
        (Err(error), _) | (_, Err(error)) => Err(failed(error)),
    }
}

fn needs_root(what: &'static str) -> Result<(), BranchError> {
    if rustix::process::geteuid().is_root() { Ok(()) } else { Err(BranchError::NeedsRoot { what }) }
}

fn run(program: &'static str, arguments: &[&std::ffi::OsStr]) -> Result<(), BranchError> {
    let failed = |output: String| BranchError::Tool { program, output };
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
