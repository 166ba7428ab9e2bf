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
/// Who wants a lock for himself waits for so long before he keeps out those who come to share it…
const PATIENCE: Duration = Duration::from_millis(500);
/// …and does that for so long at a time. What he waits for takes milliseconds, or it is a copy of
/// minutes, whose parent's clients must not be kept out until it ends.
const CLOSED_LIMIT: Duration = Duration::from_millis(200);

impl Lock {
    /// Takes the lock if nobody is in the way now.
    ///
    /// # Errors
    /// [`BranchError::File`].
    pub fn attempt(path: &Path, kind: LockKind) -> Result<Option<Self>, BranchError> {
        Self::take(path, kind, true)
    }

    /// As [`Lock::attempt`], on a file that somebody made. One that is gone stays so: a new one
    /// would be in the way of who removes its directory. Whoever shares stands back for those who
    /// have waited for long.
    ///
    /// # Errors
    /// [`BranchError::File`].
    pub fn attempt_existing(path: &Path, kind: LockKind) -> Result<Option<Self>, BranchError> {
        match kind {
            LockKind::Exclusive => Self::take(path, kind, false),
            LockKind::Shared => match Turnstile::pass(path)? {
                Some(_passed) => Self::take(path, kind, false),
                None => Ok(None),
            },
        }
    }

    fn take(path: &Path, kind: LockKind, create: bool) -> Result<Option<Self>, BranchError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(create).truncate(false).mode(0o600);
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
        let mut taken = Self::attempt(path, kind)?;
        let mut turnstile = Turnstile { path, turned: Instant::now(), closed: None };
        loop {
            if let Some(lock) = taken {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                return Err(BranchError::Busy { name: name.to_owned(), waited: limit });
            }
            if kind == LockKind::Exclusive {
                turnstile.turn();
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

/// Before a lock that is shared all the time by somebody: a lock on its directory, so that there is
/// no other file.
struct Turnstile<'a> {
    path: &'a Path,
    /// When it was closed or opened last.
    turned: Instant,
    closed: Option<File>,
}

impl Turnstile<'_> {
    fn turn(&mut self) {
        let limit = if self.closed.is_some() { CLOSED_LIMIT } else { PATIENCE };
        if self.turned.elapsed() < limit {
            return;
        }
        if self.closed.take().is_none() {
            // Somebody passes just now: again at the next look.
            self.closed =
                Self::lock(self.path, FlockOperation::NonBlockingLockExclusive).unwrap_or_default();
            if self.closed.is_none() {
                return;
            }
        }
        self.turned = Instant::now();
    }

    /// None while it is closed.
    fn pass(path: &Path) -> Result<Option<File>, BranchError> {
        Self::lock(path, FlockOperation::NonBlockingLockShared)
            .map_err(BranchError::file("open the directory of the lock", path))
    }

    fn lock(path: &Path, operation: FlockOperation) -> std::io::Result<Option<File>> {
        let directory = File::open(path.parent().unwrap_or(Path::new(".")))?;
        match flock(&directory, operation) {
            Ok(()) => Ok(Some(directory)),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
        time::Duration,
    };

    use super::{Lock, LockKind};

    #[test]
    fn who_wants_a_lock_for_himself_gets_it_among_many_who_share_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        drop(Lock::attempt(&path, LockKind::Shared).unwrap().unwrap());
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        let held = Lock::attempt_existing(&path, LockKind::Shared).unwrap();
                        thread::sleep(Duration::from_millis(10));
                        drop(held);
                    }
                });
            }
            let got = Lock::wait(&path, LockKind::Exclusive, "main", Duration::from_secs(5));
            is_over.store(true, Ordering::Relaxed);
            got.unwrap();
        });
    }

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
