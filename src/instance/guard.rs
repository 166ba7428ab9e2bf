//! A server that never outlives the process that wanted it, even when that process is killed.

use std::{
    ops::{Deref, DerefMut},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use super::{InstanceError, Server, StopMode, postmaster::wait_until};

/// Waits for its standard input to close, which the kernel does when our process ends in
/// whatever way; then stops the postmaster of the data directory `$1` and removes the directory
/// `$2`. Like `postmaster::running`, it trusts a pid only when it works in the data directory.
const WATCHDOG: &str = r#"
trap '' INT HUP TERM
cat >/dev/null
pid=$(head -n 1 "$1/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && { [ ! -d /proc/self ] || [ "$(readlink "/proc/$pid/cwd")" = "$1" ]; }; then
    kill -QUIT "$pid"
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 100 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
    [ "$tries" -lt 100 ] || kill -KILL "$pid"
fi
[ -z "$2" ] || rm -rf -- "$2"
"#;

/// Removing a scratch directory of some gigabytes takes seconds at most.
const WATCHDOG_TIMEOUT: Duration = Duration::from_secs(20);

/// Owns a [`Server`] and ends it: at drop, and through a watchdog process when this process dies
/// without dropping (a static, a panic that aborts, SIGKILL).
#[derive(Debug)]
pub struct ServerGuard {
    server: Server,
    watchdog: Child,
    lifeline: Option<ChildStdin>,
}

impl ServerGuard {
    /// Guards `server`, whose data stays.
    ///
    /// # Errors
    /// [`InstanceError::Run`] when the watchdog cannot be started.
    pub fn new(server: Server) -> Result<Self, InstanceError> {
        Self::watch(server, PathBuf::new())
    }

    /// Guards `server` and removes the directory `scratch` with everything in it afterwards.
    ///
    /// # Errors
    /// As [`ServerGuard::new`].
    pub fn removing(server: Server, scratch: PathBuf) -> Result<Self, InstanceError> {
        Self::watch(server, scratch)
    }

    /// Lets the server live on: it is the caller's to stop now.
    pub fn release(mut self) {
        // A watchdog that is gone already watches nothing.
        drop(self.watchdog.kill());
        drop(self.watchdog.wait());
        std::mem::forget(self);
    }

    fn watch(server: Server, scratch: PathBuf) -> Result<Self, InstanceError> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", WATCHDOG, "backlot-watchdog"]).arg(server.data_dir()).arg(scratch);
        // Its own group, so that a Ctrl-C for us does not end it first; no inherited output, or
        // whoever reads our output would wait for it.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let run_error = |source| InstanceError::Run { program: PathBuf::from("/bin/sh"), source };
        let mut watchdog = command.current_dir("/").spawn().map_err(run_error)?;
        let lifeline = watchdog.stdin.take();
        Ok(Self { server, watchdog, lifeline })
    }
}

impl Deref for ServerGuard {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for ServerGuard {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

impl Drop for ServerGuard {
    fn drop(&mut self) {
        if let Err(error) = self.server.stop(StopMode::Immediate) {
            tracing::warn!(%error, "server not stopped");
        }
        drop(self.lifeline.take());
        let ended = || !matches!(self.watchdog.try_wait(), Ok(None));
        if !wait_until(WATCHDOG_TIMEOUT, ended) {
            tracing::warn!(pid = self.watchdog.id(), "watchdog still cleaning up");
        }
    }
}
