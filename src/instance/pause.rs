//! A server that is stopped for a moment and comes back whatever becomes of us.

use std::{
    io::Write as _,
    path::Path,
    process::{Child, ChildStdin, Stdio},
    time::Duration,
};

use super::{InstanceError, Server, StopMode, postmaster::wait_until};

/// Told `stop`, it waits for its standard input to close, which the kernel does when our process
/// ends in whatever way; then for the old postmaster `$2` of `$1` to be gone; then it is the new
/// one, unless somebody was quicker.
const WATCHDOG: &str = r#"
trap '' INT HUP TERM
read -r word || exit 0
cat >/dev/null
tries=0
holder() { head -n 1 "$1/postmaster.pid" 2>/dev/null; }
while [ "$(holder "$1")" = "$2" ] && kill -0 "$2" 2>/dev/null && [ "$tries" -lt 1200 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
now=$(holder "$1")
if [ -n "$now" ] && [ "$now" != "$2" ] && kill -0 "$now" 2>/dev/null; then
    exit 0
fi
trap - INT HUP TERM
shift 2
exec "$@" </dev/null
"#;

/// A clean start takes 25–60 ms; elsewhere on a busy machine more.
const START_LIMIT: Duration = Duration::from_mins(1);

/// A stopped server that starts again when this is dropped, or when this process ends.
#[derive(Debug)]
pub struct Paused {
    postmaster: Child,
    lifeline: Option<ChildStdin>,
}

impl Server {
    /// Stops the server cleanly. It starts again with [`Server::resume`], or by itself when this
    /// process ends.
    ///
    /// # Errors
    /// [`InstanceError::Run`], [`InstanceError::StopTimeout`].
    pub fn pause(&mut self) -> Result<Paused, InstanceError> {
        let mut command = self.command(Path::new("/bin/sh"));
        command.args(["-c", WATCHDOG, "backlot-resume"]).arg(self.data_dir());
        // Of no process: there is nothing to wait for then.
        command.arg(self.pid().unwrap_or_default().to_string());
        command.arg(self.binaries().program("postgres")).args(self.postgres_arguments()?);
        self.detach(&mut command)?;
        let run_error = |source| InstanceError::Run { program: "/bin/sh".into(), source };
        let mut postmaster = command.stdin(Stdio::piped()).spawn().map_err(run_error)?;
        let mut lifeline = postmaster.stdin.take();
        if let Some(lifeline) = &mut lifeline {
            writeln!(lifeline, "stop").map_err(run_error)?;
        }
        let paused = Paused { postmaster, lifeline };
        self.stop(StopMode::Fast)?;
        Ok(paused)
    }

    /// Starts a paused server and returns when it answers.
    ///
    /// # Errors
    /// [`InstanceError::DiedAtStart`], [`InstanceError::StartTimeout`].
    pub fn resume(&mut self, mut paused: Paused) -> Result<(), InstanceError> {
        drop(paused.lifeline.take());
        let mut died = None;
        let ready = wait_until(START_LIMIT, || {
            died = paused.postmaster.try_wait().ok().flatten();
            died.is_some() || self.answers()
        });
        if ready && died.is_none() {
            return Ok(());
        }
        let (data_dir, log_tail) = (self.data_dir().to_owned(), self.end_of_log());
        Err(match died {
            Some(status) => {
                InstanceError::DiedAtStart { data_dir, status: status.to_string(), log_tail }
            }
            None => InstanceError::StartTimeout { data_dir, waited: START_LIMIT, log_tail },
        })
    }
}
