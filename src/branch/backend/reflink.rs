//! Files that share their blocks: by FICLONE on xfs, btrfs and bcachefs, by clonefile(2) on APFS.

use std::{fs::File, io, path::Path, process::Command};

use super::{Backend, BackendKind, BranchError, make_dir, refused, remove_tree};
#[cfg(target_os = "linux")]
use crate::branch::tree::make_file;
use crate::branch::tree::{Job, Tree};
#[cfg(target_vendor = "apple")]
use crate::instance::NO_LINK;
#[cfg(target_vendor = "apple")]
use std::os::unix::fs::OpenOptionsExt;

pub(super) struct Reflink;

/// xfs copies 128 kB for a page that is written, unless it is told otherwise; a page has 8 kB.
const COW_EXTENT_BYTES: &str = "8192";
/// statfs(2).
#[cfg(target_os = "linux")]
const XFS_MAGIC: u64 = 0x5846_5342;
/// `OpenZFS` has lost data in cloned blocks more than once (issues 15526, 15728, 15933).
#[cfg(target_os = "linux")]
const ZFS_MAGIC: u64 = 0x2fc1_2fc1;

#[cfg(target_os = "linux")]
fn clone_file(from: &File, to: &Path) -> io::Result<File> {
    let target = make_file(to)?;
    rustix::fs::ioctl_ficlone(&target, from)?;
    Ok(target)
}

/// clonefile(2) makes its target itself, with the mode of what it clones.
#[cfg(target_vendor = "apple")]
fn clone_file(from: &File, to: &Path) -> io::Result<File> {
    use rustix::fs::{CWD, CloneFlags, fclonefileat};
    fclonefileat(from, CWD, to, CloneFlags::NOFOLLOW | CloneFlags::NOOWNERCOPY)?;
    File::options().write(true).custom_flags(NO_LINK).open(to)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn clone_file(_: &File, _: &Path) -> io::Result<File> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

impl Backend for Reflink {
    fn kind(&self) -> BackendKind {
        BackendKind::Reflink
    }

    fn is_atomic(&self) -> bool {
        false
    }

    fn probe(&self, dir: &Path) -> Result<(), BranchError> {
        if filesystem(dir) == Some(Filesystem::Zfs) {
            return Err(refused(BackendKind::Reflink, "ZFS has lost data in cloned blocks"));
        }
        super::probe_file(BackendKind::Reflink, dir, clone_file)?;
        hint(dir);
        Ok(())
    }

    fn make_data_dir(&self, data: &Path) -> Result<(), BranchError> {
        make_dir(data)?;
        hint(data);
        Ok(())
    }

    fn clone_data(&self, parent: &Path, data: &Path, job: &Job) -> Result<(), BranchError> {
        Tree::list(parent, &job.wal)?.clone_to(parent, data, clone_file, job)
    }

    fn destroy(&self, data: &Path) -> Result<(), BranchError> {
        remove_tree(data)
    }

    fn exclusive_bytes(&self, _: &Path) -> Option<u64> {
        None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filesystem {
    Xfs,
    Zfs,
}

#[cfg(target_os = "linux")]
fn filesystem(dir: &Path) -> Option<Filesystem> {
    let kind = rustix::fs::statfs(dir).ok()?.f_type;
    match u64::try_from(kind).ok()? {
        XFS_MAGIC => Some(Filesystem::Xfs),
        ZFS_MAGIC => Some(Filesystem::Zfs),
        _ => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn filesystem(_: &Path) -> Option<Filesystem> {
    None
}

/// Sets the extent size hint, which everything that is made in `dir` later inherits. Without it,
/// or without the program, branches take more space as they are written: nothing else.
fn hint(dir: &Path) {
    if filesystem(dir) != Some(Filesystem::Xfs) {
        return;
    }
    let mut command = Command::new("xfs_io");
    command.args(["-c", &format!("cowextsize {COW_EXTENT_BYTES}")]).arg(dir);
    let is_set = command.output().is_ok_and(|output| output.status.success());
    if !is_set {
        tracing::info!("xfs_io is not here: written pages of branches take 128 kB each");
    }
}
