//! Locks on files: the kernel releases them when a process dies, however it dies.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

use super::BranchError;

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
        Self::take(path, kind, true)
    }

    /// As [`Lock::attempt`], on a file that somebody made. One that is gone stays so: a new one
    /// would be in the way of who removes its directory.
    ///
    /// # Errors
    /// [`BranchError::File`].
    pub fn attempt_existing(path: &Path, kind: LockKind) -> Result<Option<Self>, BranchError> {
        Self::take(path, kind, false)
    }

    fn take(path: &Path, kind: LockKind, create: bool) -> Result<Option<Self>, BranchError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(create).truncate(false).mode(0o600);
        let file = file.open(path).map_err(BranchError::file("open the lock", path))?;
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
        let mut taken = Self::attempt(path, kind)?;
        loop {
            if let Some(lock) = taken {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                return Err(BranchError::Busy { name: name.to_owned(), waited: limit });
            }
            std::thread::sleep(POLL);
            taken = Self::attempt_existing(path, kind)?;
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

#[cfg(test)]
mod tests {
    use super::{Lock, LockKind};

    #[test]
    fn a_lock_whose_file_was_removed_is_not_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = Lock::attempt(&path, LockKind::Exclusive).unwrap().unwrap();
        assert!(Lock::attempt_existing(&path, LockKind::Shared).unwrap().is_none());
        std::fs::remove_file(&path).unwrap();
        drop(held);
        Lock::attempt_existing(&path, LockKind::Shared).unwrap_err();
        assert!(!path.exists());
    }
}
