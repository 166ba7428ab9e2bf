//! A server held still: every process of it stopped by SIGSTOP, so that its files do not change.
//!
//! Nothing of the server can be in the middle of a write then, and the page cache is coherent: a
//! copy of the files is what a power cut without lost writes would leave, and crash recovery
//! makes a database of it. The server is let go when the [`Frozen`] is dropped, and by a watchdog
//! process if this one dies or takes longer than it said.

use std::{
    fs,
    io::Write as _,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{
    InstanceError, Server,
    postmaster::{self, PidFile, wait_until},
};

/// Collects process ids from its standard input until that closes, or until `$1` seconds are
/// over; then lets them all go on.
const WATCHDOG: &str = r#"
trap '' INT HUP TERM
pids=$(timeout "$1" cat)
[ -z "$pids" ] || kill -CONT $pids 2>/dev/null
exit 0
"#;

/// A process stops as soon as it leaves the kernel: one that writes, after that write.
const STOP_LIMIT: Duration = Duration::from_millis(250);
/// A postmaster that is stopped makes no children: what it had made is found in two rounds.
const ROUNDS: u32 = 20;

/// A server whose processes are all stopped.
#[derive(Debug)]
pub struct Frozen {
    pids: Vec<u32>,
    since: Instant,
    limit: Duration,
    watchdog: Child,
    lifeline: Option<ChildStdin>,
}

impl Server {
    /// Stops every process of the server; the watchdog lets them go after `limit` at the latest.
    ///
    /// # Errors
    /// [`InstanceError::NotFrozen`] when a process does not stop in time; all go on then.
    pub fn freeze(&self, limit: Duration) -> Result<Frozen, InstanceError> {
        let data_dir = self.data_dir();
        if !cfg!(target_os = "linux") {
            return Err(not_frozen(data_dir, "the states of processes are read from /proc"));
        }
        let Some(PidFile { pid, .. }) = postmaster::running(data_dir) else {
            return Err(not_frozen(data_dir, "it does not run"));
        };
        let mut frozen = Frozen::start(limit)?;
        frozen.stop(pid).map_err(|_| not_frozen(data_dir, "the watchdog is gone"))?;
        if !wait_until(STOP_LIMIT, || is_stopped(pid)) {
            return Err(not_frozen(data_dir, "the postmaster does not stop"));
        }
        for _ in 0..ROUNDS {
            let children = children(pid);
            let fresh: Vec<u32> =
                children.into_iter().filter(|child| !frozen.pids.contains(child)).collect();
            if fresh.is_empty() {
                return frozen.settle(data_dir);
            }
            for child in fresh {
                frozen.stop(child).map_err(|_| not_frozen(data_dir, "the watchdog is gone"))?;
            }
        }
        Err(not_frozen(data_dir, "it makes new processes all the time"))
    }
}

impl Frozen {
    fn start(limit: Duration) -> Result<Self, InstanceError> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", WATCHDOG, "backlot-thaw"]).arg(format!("{:.3}", limit.as_secs_f64()));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let run_error = |source| InstanceError::Run { program: PathBuf::from("/bin/sh"), source };
        let mut watchdog = command.current_dir("/").spawn().map_err(run_error)?;
        let lifeline = watchdog.stdin.take();
        Ok(Self { pids: Vec::new(), since: Instant::now(), limit, watchdog, lifeline })
    }

    /// The watchdog is told first: there is no moment in which only we know.
    fn stop(&mut self, pid: u32) -> std::io::Result<()> {
        let Some(lifeline) = &mut self.lifeline else { return Ok(()) };
        writeln!(lifeline, "{pid}")?;
        if self.pids.is_empty() {
            self.since = Instant::now();
        }
        self.pids.push(pid);
        postmaster::signal(pid, Signal::STOP);
        Ok(())
    }

    fn settle(self, data_dir: &Path) -> Result<Self, InstanceError> {
        let all_stopped = || self.pids.iter().all(|pid| is_stopped(*pid));
        if wait_until(STOP_LIMIT, all_stopped) {
            return Ok(self);
        }
        Err(not_frozen(data_dir, "a process of it does not stop"))
    }

    /// Since the first process was stopped.
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// Lets the server go on. Gives how long it stood still; None if that was longer than the
    /// watchdog allows, or if somebody else let a process go, so that the files may have changed.
    pub fn thaw(mut self) -> Option<Duration> {
        let stood_still = self.pids.iter().all(|pid| is_stopped(*pid));
        let elapsed = self.elapsed();
        self.release();
        (stood_still && elapsed < self.limit).then_some(elapsed)
    }

    /// Every process, also one whose stop only comes through now.
    fn release(&mut self) {
        let all_go_on = || {
            for pid in &self.pids {
                postmaster::signal(*pid, Signal::CONT);
            }
            !self.pids.iter().any(|pid| is_held(*pid))
        };
        if !wait_until(STOP_LIMIT, all_go_on) {
            tracing::warn!("a process of the server is stopped still");
        }
        self.pids.clear();
        drop(self.lifeline.take());
        // It has nothing left to do; if it is gone already, so much the better.
        drop(self.watchdog.wait());
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if self.lifeline.is_some() {
            self.release();
        }
    }
}

fn not_frozen(data_dir: &Path, reason: &'static str) -> InstanceError {
    InstanceError::NotFrozen { data_dir: data_dir.to_owned(), reason }
}

/// Stopped, or gone: either way it writes no more. proc(5): the state follows the name, which is
/// in parentheses and may hold anything.
fn is_stopped(pid: u32) -> bool {
    matches!(state(pid), Some('T' | 't' | 'Z' | 'X') | None)
}

/// There, and stopped.
fn is_held(pid: u32) -> bool {
    matches!(state(pid), Some('T'))
}

fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// The processes whose parent is `parent`.
fn children(parent: u32) -> Vec<u32> {
    let listed = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    if let Ok(listed) = listed {
        return listed.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
