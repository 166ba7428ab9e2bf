//! Where the files of this machine lie: `.backlot/state/`.

use std::path::{Path, PathBuf};

/// The state directory of a project. Only names: what is there is others' business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    dir: PathBuf,
}

/// The files of one branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchFiles {
    pub dir: PathBuf,
    pub data: PathBuf,
    pub socket: PathBuf,
    pub log: PathBuf,
    /// Taken with flock: shared while a client connects, exclusive while the server is started,
    /// stopped, copied or deleted.
    pub lock: PathBuf,
}

impl State {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn catalog(&self) -> PathBuf {
        self.dir.join("catalog.json")
    }

    pub fn catalog_lock(&self) -> PathBuf {
        self.dir.join("catalog.lock")
    }

    /// Passwords of branches, mode 0600.
    pub fn credentials(&self) -> PathBuf {
        self.dir.join("credentials")
    }

    pub fn checked_out(&self) -> PathBuf {
        self.dir.join("checked-out")
    }

    pub fn branches(&self) -> PathBuf {
        self.dir.join("branches")
    }

    pub fn branch(&self, id: &str) -> BranchFiles {
        let dir = self.branches().join(id);
        BranchFiles {
            data: dir.join("data"),
            socket: dir.join("socket"),
            log: dir.join("server.log"),
            lock: dir.join("branch.lock"),
            dir,
        }
    }

    /// The image of a loop pool, mounted on [`State::branches`].
    pub fn pool_image(&self) -> PathBuf {
        self.dir.join("pool.img")
    }
}
