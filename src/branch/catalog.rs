//! All branches of a project: one JSON document, replaced whole, changed under a lock.

use std::{collections::BTreeSet, fs, io::ErrorKind, time::Duration};

use serde::{Deserialize, Serialize};

use super::backend::Probe;
use super::{Branch, BranchError, BranchState, Lock, LockKind, access};
use crate::document::suggest;
use crate::project::{State, write_whole};

/// Nothing slow is done under the lock.
const LOCK_LIMIT: Duration = Duration::from_secs(20);
/// Of the document.
const VERSION: u32 = 1;

/// Where the document is.
#[derive(Clone, Debug)]
pub struct Catalog {
    state: State,
}

/// The document.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    version: u32,
    /// In the order in which they were made.
    pub branches: Vec<Branch>,
    /// What the filesystem of the branches can, as it was found out.
    pub(super) probe: Option<Probe>,
}

impl Catalog {
    pub fn new(state: &State) -> Self {
        Self { state: state.clone() }
    }

    /// The document as it is now. No lock: it is replaced whole.
    ///
    /// # Errors
    /// [`BranchError::Catalog`].
    pub fn read(&self) -> Result<Rows, BranchError> {
        let path = self.state.catalog();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Rows::empty()),
            Err(error) => return Err(BranchError::file("read", &path)(error)),
        };
        let broken = |reason: String| BranchError::Catalog { path: path.clone(), reason };
        let mut rows: Rows =
            serde_json::from_str(&text).map_err(|error| broken(error.to_string()))?;
        if rows.version != VERSION {
            return Err(broken(format!("it is of version {}, not {VERSION}", rows.version)));
        }
        for branch in &mut rows.branches {
            branch.socket_dir = access::socket_dir(&self.state.branch(&branch.id));
        }
        Ok(rows)
    }

    /// Changes the document; on an error of `work` it stays as it was.
    ///
    /// # Errors
    /// Those of `work`; [`BranchError::Busy`], [`BranchError::Catalog`].
    pub fn change<T>(
        &self,
        work: impl FnOnce(&mut Rows) -> Result<T, BranchError>,
    ) -> Result<T, BranchError> {
        let path = self.state.catalog();
        let lock = self.state.catalog_lock();
        let _lock = Lock::wait(&lock, LockKind::Exclusive, "catalog", LOCK_LIMIT)?;
        let mut rows = self.read()?;
        let result = work(&mut rows)?;
        let text = serde_json::to_string_pretty(&rows).map_err(|error| BranchError::Catalog {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        write_whole(&path, &text, 0o600)?;
        Ok(result)
    }
}

impl Rows {
    fn empty() -> Self {
        Self { version: VERSION, branches: Vec::new(), probe: None }
    }

    /// The branch with this id, or this name: who has an id means that branch, whatever another
    /// one is called.
    ///
    /// # Errors
    /// [`BranchError::None`] with the nearest name.
    pub fn named(&self, name: &str) -> Result<&Branch, BranchError> {
        let by_name = || self.branches.iter().find(|branch| branch.name == name);
        self.by_id(name).or_else(by_name).ok_or_else(|| {
            let known = self.branches.iter().map(|branch| branch.name.as_str());
            BranchError::None { name: name.to_owned(), nearest: suggest(name, known) }
        })
    }

    /// As [`Rows::named`]; it must be ready.
    ///
    /// # Errors
    /// [`BranchError::None`], [`BranchError::NotReady`].
    pub fn ready(&self, name: &str) -> Result<&Branch, BranchError> {
        let branch = self.named(name)?;
        if branch.state == BranchState::Ready {
            return Ok(branch);
        }
        Err(BranchError::NotReady { name: branch.name.clone(), state: branch.state.name() })
    }

    pub fn by_id(&self, id: &str) -> Option<&Branch> {
        self.branches.iter().find(|branch| branch.id == id)
    }

    pub(super) fn by_id_mut(&mut self, id: &str) -> Result<&mut Branch, BranchError> {
        let none = || BranchError::None { name: id.to_owned(), nearest: None };
        self.branches.iter_mut().find(|branch| branch.id == id).ok_or_else(none)
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.branches.retain(|branch| branch.id != id);
    }

    pub(super) fn ports(&self) -> BTreeSet<u16> {
        let own = self.branches.iter().filter(|branch| branch.place.is_own());
        own.map(|branch| branch.port).collect()
    }
}
