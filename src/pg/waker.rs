//! Ending a wait on a socket from another thread.

use rustix::event::{PollFd, PollFlags, Timespec};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A socket pair that is polled beside a connection. At most one byte is under way, so that
/// waking a thread that is busy costs nothing.
#[derive(Debug)]
pub struct Waker {
    near: UnixStream,
    far: UnixStream,
    is_woken: AtomicBool,
}

impl Waker {
    pub fn new() -> io::Result<Self> {
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        Ok(Self { near, far, is_woken: AtomicBool::new(false) })
    }

    /// Ends the wait under way, or else the next one.
    pub fn wake(&self) {
        if !self.is_woken.swap(true, Ordering::SeqCst) {
            // A full or closed socket has been woken already.
            drop((&self.near).write(&[0]));
        }
    }

    /// Waits to be woken, or until the time is over.
    pub fn wait(&self, limit: Duration) -> io::Result<()> {
        if poll(&mut [PollFd::new(self, PollFlags::IN)], limit)? > 0 {
            self.clear();
        }
        Ok(())
    }

    /// Read first, then open for the next: the other way round a byte could be read whose flag
    /// stays set, and nothing would wake any more. Who waits looks at its state after this.
    pub(super) fn clear(&self) {
        drop((&self.far).read(&mut [0; 8]));
        self.is_woken.store(false, Ordering::SeqCst);
    }
}

/// A signal ends the wait like the end of the time.
pub(super) fn poll(sources: &mut [PollFd<'_>], limit: Duration) -> io::Result<usize> {
    // A limit that the system cannot express is none.
    match rustix::event::poll(sources, Timespec::try_from(limit).ok().as_ref()) {
        Ok(count) => Ok(count),
        Err(rustix::io::Errno::INTR) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.far.as_fd()
    }
}
