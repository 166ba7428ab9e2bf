//! Locks on files: the kernel releases them when a process dies, however it dies.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

use super::BranchError;
use crate::project::give_to_owner;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    Shared,
    Exclusive,
}

/// Held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

const POLL: Duration = Duration::from_millis(2);

impl Lock {
    /// Takes the lock if nobody is in the way now.
    ///
    /// # Errors
    /// [`BranchError::File`].
    pub fn attempt(path: &Path, kind: LockKind) -> Result<Option<Self>, BranchError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = file.open(path).map_err(BranchError::file("open the lock", path))?;
        give_to_owner(&file, path).map_err(BranchError::file("give away", path))?;
        let operation = match kind {
            LockKind::Shared => FlockOperation::NonBlockingLockShared,
            LockKind::Exclusive => FlockOperation::NonBlockingLockExclusive,
        };
        match flock(&file, operation) {
            Ok(()) => Ok(Some(Self { file })),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(BranchError::file("take the lock", path)(error.into())),
        }
    }

    /// Waits for the lock; `name` is for the message when that takes longer than `limit`.
    ///
    /// # Errors
    /// [`BranchError::Busy`].
    pub fn wait(
        path: &Path,
        kind: LockKind,
        name: &str,
        limit: Duration,
    ) -> Result<Self, BranchError> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(lock) = Self::attempt(path, kind)? {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                return Err(BranchError::Busy { name: name.to_owned(), waited: limit });
            }
            std::thread::sleep(POLL);
        }
    }

    /// Lets others share it. There is a moment in which nobody has it, so that somebody may come
    /// in between: what was known under the lock is to be looked at again.
    ///
    /// # Errors
    /// [`BranchError::Busy`] when somebody did, and keeps it for longer than `limit`.
    pub fn share(&self, name: &str, limit: Duration) -> Result<(), BranchError> {
        let deadline = Instant::now() + limit;
        while flock(&self.file, FlockOperation::NonBlockingLockShared).is_err() {
            if Instant::now() >= deadline {
                return Err(BranchError::Busy { name: name.to_owned(), waited: limit });
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}
