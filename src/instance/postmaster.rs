//! The server's process, seen from outside: its pid file, whether it lives, signals to it.
//!
//! A pid alone proves nothing (pids are reused), so a process counts as ours only when it works
//! in our data directory, where every postmaster sits (`ChangeToDataDir`).

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{SUPERUSER, ping};

/// How often a condition is looked at. A clean start takes 25–60 ms.
pub(super) const POLL: Duration = Duration::from_millis(2);

/// What `postmaster.pid` says (miscadmin.h, `LOCK_FILE_LINE_*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PidFile {
    pub(super) pid: u32,
    pub(super) port: Option<u16>,
    pub(super) socket_dir: Option<PathBuf>,
    /// The postmaster has said that it takes connections.
    pub(super) is_ready: bool,
}

impl PidFile {
    pub(super) fn read(data_dir: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(data_dir.join("postmaster.pid")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim);
        let pid = lines.next()?.parse().ok()?;
        let port = lines.nth(2).and_then(|port| port.parse().ok());
        let socket_dir = lines.next().filter(|dir| !dir.is_empty()).map(PathBuf::from);
        // Behind the addresses and the shared memory (pidfile.h, `PM_STATUS_READY`, `PM_STATUS_STANDBY`).
        let is_ready = lines.nth(2).is_some_and(|status| ["ready", "standby"].contains(&status));
        Some(Self { pid, port, socket_dir, is_ready })
    }
}

/// The postmaster that runs on `data_dir` now.
pub(super) fn running(data_dir: &Path) -> Option<PidFile> {
    let file = PidFile::read(data_dir)?;
    owns(&file, data_dir).then_some(file)
}

/// True while the process that the file names works in `data_dir`.
pub(super) fn owns(file: &PidFile, data_dir: &Path) -> bool {
    if !is_alive(file.pid) {
        return false;
    }
    if cfg!(target_os = "linux") {
        // A zombie has no working directory any more, and rightly counts as gone.
        return fs::read_link(format!("/proc/{}/cwd", file.pid)).is_ok_and(|cwd| cwd == data_dir);
    }
    // Elsewhere there is no /proc: what answers on our private socket is ours.
    let (Some(dir), Some(port)) = (&file.socket_dir, file.port) else { return false };
    ping::answers(&dir.join(socket_name(port)), SUPERUSER, "postgres")
}

pub(super) fn socket_name(port: u16) -> String {
    format!(".s.PGSQL.{port}")
}

fn is_alive(pid: u32) -> bool {
    let Some(pid) = to_pid(pid) else { return false };
    // EPERM also means alive, but a process that we may not signal is none of ours.
    test_kill_process(pid).is_ok()
}

/// Sends a signal; a process that is gone already is no error.
pub(super) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = to_pid(pid) {
        let _ = kill_process(pid, signal);
    }
}

fn to_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw)
}

/// Looks at `done` until it says so or `limit` is over: true when it said so.
pub(super) fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !done() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(POLL);
    }
    true
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::PidFile;

    #[test]
    fn the_pid_file_is_read_complete_or_half_written() {
        let text = "4711\n/data\n1700000000\n5433\n/sock\n127.0.0.1\n  1234  5\nready   \n";
        let socket_dir = Some(PathBuf::from("/sock"));
        let whole = PidFile { pid: 4711, port: Some(5433), socket_dir, is_ready: true };
        assert_eq!(PidFile::parse(text), Some(whole.clone()));
        let starts = PidFile { is_ready: false, ..whole };
        assert_eq!(PidFile::parse(&text.replace("ready   ", "starting")), Some(starts));
        let half = PidFile { pid: 4711, port: None, socket_dir: None, is_ready: false };
        assert_eq!(PidFile::parse("4711\n/data\n"), Some(half));
        assert_eq!(PidFile::parse(""), None);
    }
}
