//! A plain copy. Works everywhere, and takes the time and the space that it takes.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use super::{Backend, BackendKind, BranchError, make_dir, remove_tree};
use crate::branch::tree::{Job, Tree, make_file};

pub(in crate::branch) struct Copy;

/// By `copy_file_range`, which std uses between files: nothing passes through this process, and
/// filesystems that can share blocks do.
pub(crate) fn copy_file(mut from: &File, to: &Path) -> io::Result<File> {
    let mut target = make_file(to)?;
    io::copy(&mut from, &mut target)?;
    Ok(target)
}

impl Backend for Copy {
    fn kind(&self) -> BackendKind {
        BackendKind::Copy
    }

    fn is_atomic(&self) -> bool {
        false
    }

    fn probe(&self, dir: &Path) -> Result<(), BranchError> {
        super::probe_file(BackendKind::Copy, dir, copy_file)
    }

    fn make_data_dir(&self, data: &Path) -> Result<(), BranchError> {
        make_dir(data)
    }

    fn clone_data(&self, parent: &Path, data: &Path, job: &Job) -> Result<(), BranchError> {
        Tree::list(parent, &job.wal)?.clone_to(parent, data, copy_file, job)
    }

    fn destroy(&self, data: &Path) -> Result<(), BranchError> {
        remove_tree(data)
    }

    fn exclusive_bytes(&self, data: &Path) -> Option<u64> {
        fs::metadata(data).ok().map(|_| crate::branch::disk_bytes(data))
    }
}
