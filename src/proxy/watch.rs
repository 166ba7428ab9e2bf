//! Notices that the catalog was replaced.

use std::{path::PathBuf, time::Duration};

use super::ProxyError;

/// Changes that the kernel does not tell of are found within this time. Where it tells of them,
/// this is for directories that were moved or removed.
const LOOK_EVERY: Duration =
    Duration::from_millis(if cfg!(target_os = "linux") { 2_000 } else { 200 });

/// A directory in which files are replaced by renaming.
pub(super) struct Watch {
    #[cfg(target_os = "linux")]
    inotify: tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
}

impl Watch {
    #[cfg(target_os = "linux")]
    pub(super) fn new(directory: &PathBuf) -> Result<Self, ProxyError> {
        use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
        let failed = |error: rustix::io::Errno| ProxyError::File {
            action: "watch",
            path: directory.clone(),
            source: error.into(),
        };
        let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(failed)?;
        let what = WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        add_watch(&inotify, directory, what).map_err(failed)?;
        #[expect(
            deprecated,
            reason = "an OwnedFd is one descriptor for life; the successor is an unsafe function"
        )]
        let inotify = tokio::io::unix::AsyncFd::new(inotify)
            .map_err(ProxyError::file("watch", directory.clone()))?;
        Ok(Self { inotify })
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unnecessary_wraps, reason = "it can fail elsewhere")]
    pub(super) fn new(_directory: &PathBuf) -> Result<Self, ProxyError> {
        Ok(Self {})
    }

    /// Returns when something may have changed. Cancel-safe: what was not read is still there.
    pub(super) async fn changed(&self) {
        #[cfg(target_os = "linux")]
        {
            if let Ok(Ok(mut ready)) =
                tokio::time::timeout(LOOK_EVERY, self.inotify.readable()).await
            {
                // What happened does not matter: the catalog says what there is.
                let mut events = [0; 4096];
                while rustix::io::read(&self.inotify, &mut events).is_ok_and(|count| count > 0) {}
                ready.clear_ready();
            }
        }
        #[cfg(not(target_os = "linux"))]
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
