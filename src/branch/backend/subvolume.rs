//! Snapshots of btrfs subvolumes: the whole directory at one moment, in milliseconds.
//!
//! By the program `btrfs` (btrfs-progs): the ioctls have no safe interface. Owners may make and
//! snapshot subvolumes without being root; deleting one as such needs root or the mount option
//! `user_subvol_rm_allowed`, emptying it does not.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::Command,
};

use super::{Backend, BackendKind, BranchError, refused, remove_tree};
use crate::branch::tree::{Job, links_outside, prune};

pub(in crate::branch) struct Subvolume;

/// `BTRFS_FIRST_FREE_OBJECTID`: the inode of every subvolume's root.
const ROOT_INODE: u64 = 256;
/// statfs(2).
#[cfg(target_os = "linux")]
const BTRFS_MAGIC: u64 = 0x9123_683e;

pub(super) fn is_subvolume(data: &Path) -> bool {
    is_btrfs(data) && fs::metadata(data).is_ok_and(|meta| meta.ino() == ROOT_INODE)
}

#[cfg(target_os = "linux")]
fn is_btrfs(dir: &Path) -> bool {
    rustix::fs::statfs(dir).is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(BTRFS_MAGIC))
}

#[cfg(not(target_os = "linux"))]
fn is_btrfs(_: &Path) -> bool {
    false
}

impl Backend for Subvolume {
    fn kind(&self) -> BackendKind {
        BackendKind::Subvolume
    }

    fn is_atomic(&self) -> bool {
        true
    }

    fn probe(&self, dir: &Path) -> Result<(), BranchError> {
        if !is_btrfs(dir) {
            return Err(refused(BackendKind::Subvolume, "the filesystem is not btrfs"));
        }
        let (from, to) = (dir.join(".probe-volume"), dir.join(".probe-snapshot"));
        // Left by a process that was killed here.
        self.destroy(&to)?;
        self.destroy(&from)?;
        let run = || {
            btrfs(&["subvolume", "create"], &[&from])?;
            fs::write(from.join("file"), "probe").map_err(BranchError::file("write", &from))?;
            btrfs(&["subvolume", "snapshot"], &[&from, &to])?;
            fs::read(to.join("file")).map_err(BranchError::file("read", &to))
        };
        let outcome = run();
        self.destroy(&to)?;
        self.destroy(&from)?;
        match outcome {
            Ok(text) if text == b"probe" => Ok(()),
            Ok(_) => Err(refused(BackendKind::Subvolume, "a snapshot lacks what was written")),
            Err(error) => Err(refused(BackendKind::Subvolume, error.to_string())),
        }
    }

    fn make_data_dir(&self, data: &Path) -> Result<(), BranchError> {
        btrfs(&["subvolume", "create"], &[data])?;
        let closed = fs::Permissions::from_mode(0o700);
        fs::set_permissions(data, closed).map_err(BranchError::file("close", data))
    }

    fn clone_data(&self, parent: &Path, data: &Path, _: &Job) -> Result<(), BranchError> {
        btrfs(&["subvolume", "snapshot"], &[parent, data])?;
        // Before anything is removed: that may be the parent's.
        if let Some(what) = links_outside(data) {
            return Err(BranchError::Outside { name: parent.display().to_string(), what });
        }
        prune(data)
    }

    fn destroy(&self, data: &Path) -> Result<(), BranchError> {
        if is_subvolume(data) && btrfs(&["subvolume", "delete"], &[data]).is_ok() {
            return Ok(());
        }
        remove_tree(data)
    }

    fn exclusive_bytes(&self, data: &Path) -> Option<u64> {
        let mut command = Command::new("btrfs");
        command.args(["filesystem", "du", "--summarize", "--raw"]).arg(data);
        let output = command.output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        // Total, exclusive, shared.
        text.lines().last()?.split_whitespace().nth(1)?.parse().ok()
    }
}

fn btrfs(verb: &[&str], paths: &[&Path]) -> Result<(), BranchError> {
    let mut command = Command::new("btrfs");
    command.args(verb).args(paths.iter().map(|path| path.as_os_str()).collect::<Vec<&OsStr>>());
    let failed = |output: String| BranchError::Tool { program: "btrfs", output };
    let output = command.env("LC_ALL", "C").output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
