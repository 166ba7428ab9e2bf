//! How a data directory becomes two.

mod copy;
mod reflink;
mod subvolume;

use std::{
    fmt, fs,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::tree::Job;
use super::{BranchError, Home};

pub(super) use copy::{Copy, copy_file};
pub(super) use subvolume::Subvolume;

/// The ways, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// A snapshot of a btrfs subvolume: of one moment, whatever the size.
    Subvolume,
    /// Files that share their blocks until one of them is written (FICLONE, clonefile).
    Reflink,
    /// A copy.
    Copy,
    /// CREATE DATABASE … TEMPLATE, on a server that is not ours.
    Template,
}

impl BackendKind {
    pub const ALL: [Self; 4] = [Self::Subvolume, Self::Reflink, Self::Copy, Self::Template];

    pub fn name(self) -> &'static str {
        match self {
            Self::Subvolume => "subvolume",
            Self::Reflink => "reflink",
            Self::Copy => "copy",
            Self::Template => "template",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// True if a clone takes next to no time and space.
    pub fn shares_blocks(self) -> bool {
        match self {
            Self::Subvolume | Self::Reflink => true,
            Self::Copy | Self::Template => false,
        }
    }

    /// None where there is no data directory of ours.
    pub(super) fn backend(self) -> Option<&'static dyn Backend> {
        match self {
            Self::Subvolume => Some(&subvolume::Subvolume),
            Self::Reflink => Some(&reflink::Reflink),
            Self::Copy => Some(&copy::Copy),
            Self::Template => None,
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One way.
pub(super) trait Backend {
    fn kind(&self) -> BackendKind;

    /// True if a clone of a directory that is being written is of one moment.
    fn is_atomic(&self) -> bool;

    /// Makes a real clone in `dir` and looks at it.
    ///
    /// # Errors
    /// [`BranchError::Backend`] with the reason why it is not to be had here.
    fn probe(&self, dir: &Path) -> Result<(), BranchError>;

    /// Makes the empty directory of a new cluster, from which branches are made later. Whoever
    /// fills it gives it away.
    fn make_data_dir(&self, data: &Path) -> Result<(), BranchError>;

    /// Clones the data directory `parent` to `data`, which is not there. What [`super::tree`]
    /// leaves behind is not in it.
    fn clone_data(&self, parent: &Path, data: &Path, job: &Job) -> Result<(), BranchError>;

    /// Removes a data directory, also a half-made one; that it is not there is no error.
    fn destroy(&self, data: &Path) -> Result<(), BranchError>;

    /// Bytes that only this directory has, where that can be told.
    fn exclusive_bytes(&self, data: &Path) -> Option<u64>;
}

/// What was found out about a filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Probe {
    /// Of the directory of branches: a pool that is mounted later is another one.
    device: u64,
    kind: BackendKind,
}

/// The best way that works for the project's branches. Asked once per filesystem.
pub(super) fn best(home: &Home) -> Result<&'static dyn Backend, BranchError> {
    let dir = home.state.branches();
    let device = fs::metadata(&dir).map_err(BranchError::file("look at", &dir))?.dev();
    let known = home.catalog().read()?.probe.filter(|probe| probe.device == device);
    if let Some(backend) = known.and_then(|probe| probe.kind.backend()) {
        return Ok(backend);
    }
    let works = |backend: &&dyn Backend| match backend.probe(&dir) {
        Ok(()) => true,
        Err(error) => {
            tracing::debug!(backend = %backend.kind(), %error, "backend not usable");
            false
        }
    };
    let mut backends = BackendKind::ALL.into_iter().filter_map(BackendKind::backend);
    let backend = backends.find(works).unwrap_or(&Copy);
    home.catalog().change(|rows| {
        rows.probe = Some(Probe { device, kind: backend.kind() });
        Ok(())
    })?;
    Ok(backend)
}

/// The way to branch off `parent`: the wanted one, or the best that fits it.
pub(super) fn choose(
    home: &Home,
    parent: &Path,
    wanted: Option<BackendKind>,
) -> Result<&'static dyn Backend, BranchError> {
    if let Some(kind) = wanted {
        let backend = kind.backend().ok_or_else(|| {
            refused(kind, "the parent's server is backlot's own: its data directory is copied")
        })?;
        backend.probe(&home.state.branches())?;
        if kind == BackendKind::Subvolume && !subvolume::is_subvolume(parent) {
            let reason = "the parent's data directory is no subvolume".to_owned();
            return Err(BranchError::Backend { backend: kind, reason });
        }
        return Ok(backend);
    }
    let best = best(home)?;
    if best.kind() == BackendKind::Subvolume && !subvolume::is_subvolume(parent) {
        // Made before the directory was on btrfs: its files can share blocks all the same.
        return Ok(&reflink::Reflink);
    }
    Ok(best)
}

/// Nobody else can enter.
fn make_dir(path: &Path) -> Result<(), BranchError> {
    let made = fs::DirBuilder::new().mode(0o700).create(path);
    made.map_err(BranchError::file("make", path))
}

fn remove_tree(path: &Path) -> Result<(), BranchError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(BranchError::file("remove", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn refused(backend: BackendKind, reason: impl Into<String>) -> BranchError {
    BranchError::Backend { backend, reason: reason.into() }
}

/// Clones a file of a megabyte in `dir` and looks whether writing to the clone leaves it alone.
fn probe_file(
    kind: BackendKind,
    dir: &Path,
    clone_file: super::tree::CloneFile,
) -> Result<(), BranchError> {
    const BYTES: usize = 1 << 20;
    let (from, to) = (dir.join(".probe"), dir.join(".probe-clone"));
    // Root's, of a probe that was killed.
    drop(fs::remove_file(&from));
    drop(fs::remove_file(&to));
    let run = || -> std::io::Result<bool> {
        let text = vec![b'p'; BYTES];
        fs::write(&from, &text)?;
        let target = clone_file(&fs::File::open(&from)?, &to)?;
        let is_same = fs::read(&to)? == text;
        std::os::unix::fs::FileExt::write_all_at(&target, b"changed", 0)?;
        Ok(is_same && fs::read(&from)? == text)
    };
    let outcome = run();
    // Left over they do no harm, and the next probe writes them anew.
    drop(fs::remove_file(&from));
    drop(fs::remove_file(&to));
    match outcome {
        Ok(true) => Ok(()),
        Ok(false) => Err(refused(kind, "a clone of a file is not what the file is")),
        Err(error) => Err(refused(kind, error.to_string())),
    }
}
