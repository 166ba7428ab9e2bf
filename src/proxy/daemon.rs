//! The proxy seen from outside: whether it runs, its start, its end.
//!
//! It runs if, and only if, somebody holds its lock. What it says of itself stands in a file that
//! counts only while the lock is held. Blocking.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};

use super::ProxyError;
use crate::branch::{Branch, Home, Lock, LockKind};
use crate::project::{State, write_whole};

/// Until it has bound its ports. It needs some 10 ms; the rest is for a busy machine.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Each of them may lose against a proxy that ends at once.
const START_ATTEMPTS: u32 = 3;
/// It has nothing to finish.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// A look at whether it runs takes the lock for a moment: a new proxy tries again for so long.
const OCCUPY_LIMIT: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(2);
/// A longer log is begun anew when the proxy starts.
const LOG_LIMIT: u64 = 1 << 20;
/// The end of the log that an error shows.
const TAIL_LINES: usize = 5;

/// How the process is started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// This program.
    pub program: PathBuf,
    pub arguments: Vec<String>,
}

/// What the proxy says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub pid: u32,
    /// Of 127.0.0.1, on which it listens.
    pub ports: Vec<u16>,
    pub unbound: Vec<Unbound>,
}

/// A port that it should listen on and cannot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unbound {
    pub port: u16,
    pub reason: String,
}

pub(super) struct Files {
    pub(super) directory: PathBuf,
    pub(super) pid: PathBuf,
    lock: PathBuf,
    log: PathBuf,
}

impl Files {
    pub(super) fn of(state: &State) -> Self {
        let directory = state.dir().to_owned();
        Self {
            pid: directory.join("proxy.pid"),
            lock: directory.join("proxy.lock"),
            log: directory.join("proxy.log"),
            directory,
        }
    }

    pub(super) fn write(&self, status: &Status) -> Result<(), ProxyError> {
        let text = serde_json::to_string(status).expect("numbers and texts");
        Ok(write_whole(&self.pid, &(text + "\n"), 0o600)
            .map_err(crate::branch::BranchError::from)?)
    }

    /// None before the proxy has said anything; what a killed one said counts for nothing.
    fn read(&self) -> Option<Status> {
        let status: Status = serde_json::from_str(&fs::read_to_string(&self.pid).ok()?).ok()?;
        test_kill_process(process(status.pid)?).is_ok().then_some(status)
    }

    /// True if a proxy holds the lock now.
    fn are_held(&self) -> Result<bool, ProxyError> {
        Ok(Lock::attempt(&self.lock, LockKind::Shared)?.is_none())
    }

    fn tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let mut lines: Vec<&str> = text.lines().rev().take(TAIL_LINES).collect();
        lines.reverse();
        lines.join("\n")
    }
}

/// Takes the place of the project's proxy; None if it is taken.
pub(super) fn occupy(files: &Files) -> Result<Option<Lock>, ProxyError> {
    let deadline = Instant::now() + OCCUPY_LIMIT;
    loop {
        if let Some(lock) = Lock::attempt(&files.lock, LockKind::Exclusive)? {
            // What the last one said of itself holds no longer.
            drop(fs::remove_file(&files.pid));
            return Ok(Some(lock));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}

/// What the running proxy says of itself; None when none runs, or it has only begun.
///
/// # Errors
/// [`ProxyError::Branch`] if its lock cannot be looked at.
pub fn status(home: &Home) -> Result<Option<Status>, ProxyError> {
    let files = Files::of(&home.state);
    if !files.lock.exists() || !files.are_held()? {
        return Ok(None);
    }
    Ok(files.read())
}

/// Sees to it that a proxy runs and listens on the branch's port.
///
/// # Errors
/// [`ProxyError::NotStarted`] with the end of its log, [`ProxyError::PortTaken`].
pub fn ensure(home: &Home, launch: &Launch, branch: &Branch) -> Result<Status, ProxyError> {
    let files = Files::of(&home.state);
    let deadline = Instant::now() + START_LIMIT;
    let mut child: Option<Child> = None;
    let mut starts = 0;
    loop {
        // In this order: when ours has ended, whoever was quicker has the lock.
        let ended = child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        let is_held = files.are_held()?;
        // One that runs may end while we wait for it; ours ends in peace when another one was
        // quicker, and that one may be gone too.
        if !is_held
            && starts < START_ATTEMPTS
            && (starts == 0 || ended.is_some_and(|e| e.success()))
        {
            child = Some(start(&files, launch)?);
            starts += 1;
            continue;
        }
        let status = if is_held { files.read() } else { None };
        if let Some(status) = &status {
            if status.ports.contains(&branch.port) {
                return Ok(status.clone());
            }
            if let Some(unbound) = status.unbound.iter().find(|one| one.port == branch.port) {
                let (branch, port) = (branch.name.clone(), branch.port);
                return Err(ProxyError::PortTaken { branch, port, reason: unbound.reason.clone() });
            }
        }
        let has_ended = ended.is_some();
        if Instant::now() >= deadline || (has_ended && !is_held) {
            let reason = if has_ended { "it ended" } else { "it does not listen" };
            let reason = format!("{reason}; its log ends with:\n{}", files.tail());
            return Err(ProxyError::NotStarted { reason, log: files.log });
        }
        std::thread::sleep(POLL);
    }
}

/// A process that outlives us, and our terminal too: it makes a session of its own.
fn start(files: &Files, launch: &Launch) -> Result<Child, ProxyError> {
    if fs::metadata(&files.log).is_ok_and(|meta| meta.len() > LOG_LIMIT) {
        fs::write(&files.log, "").map_err(ProxyError::file("empty the log", &files.log))?;
    }
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(&files.log);
    let log = log.map_err(ProxyError::file("open the log", &files.log))?;
    let errors = log.try_clone().map_err(ProxyError::file("open the log", &files.log))?;
    let mut command = Command::new(&launch.program);
    command.args(&launch.arguments).current_dir(Path::new("/"));
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    command.spawn().map_err(ProxyError::file("run", &launch.program))
}

/// Ends the proxy, and with it the sessions of its clients; true if it ran. Servers stay as they
/// are.
///
/// # Errors
/// [`ProxyError::NotStopped`].
pub fn stop(home: &Home) -> Result<bool, ProxyError> {
    let files = Files::of(&home.state);
    let deadline = Instant::now() + STOP_LIMIT;
    let status = loop {
        match status(home)? {
            Some(status) => break status,
            // It has only begun: it says in a moment who it is.
            None if files.lock.exists() && files.are_held()? && Instant::now() < deadline => {
                std::thread::sleep(POLL);
            }
            None => return Ok(false),
        }
    };
    if let Some(pid) = process(status.pid) {
        // The lock is held, so this is its holder; one that is just gone is no error.
        let _ = kill_process(pid, Signal::TERM);
    }
    while files.are_held()? {
        if Instant::now() >= deadline {
            return Err(ProxyError::NotStopped { pid: status.pid, waited: STOP_LIMIT });
        }
        std::thread::sleep(POLL);
    }
    Ok(true)
}

fn process(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw)
}
