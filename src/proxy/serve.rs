//! The proxy's process: holds a port for each branch of the catalog, until it is told to end.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;
use tokio::task::AbortHandle;

use super::daemon::{Files, Status, Unbound};
use super::door::{Desk, attend, bind};
use super::error::chain;
use super::sleep::look_after;
use super::watch::Watch;
use super::{ProxyError, daemon};
use crate::branch::{Branch, BranchState, Home, Moment};
use crate::instance::Server;

/// Before the next attempt to bind a port that somebody else has.
const BIND_AGAIN: Duration = Duration::from_millis(200);

/// Serves the project's branches until SIGTERM or SIGINT, or until the project is gone. Returns
/// at once when another process does so already.
///
/// # Errors
/// [`ProxyError::File`] for the proxy's own files.
pub async fn serve(home: Home, clock: fn() -> Moment) -> Result<(), ProxyError> {
    let files = Files::of(&home.state);
    let Some(_lock) = daemon::occupy(&files)? else {
        tracing::info!("another proxy serves this project");
        return Ok(());
    };
    // One session takes two descriptors; servers that we start inherit the limit.
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) =
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::debug!(%error, "limit of open files not raised");
    }
    let watch = Watch::new(&home.state.dir().to_owned())?;
    let failed = |error: io::Error| ProxyError::File {
        action: "listen for signals to",
        path: files.pid.clone(),
        source: error,
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut doors = Doors { home, clock, open: BTreeMap::new(), leaving: Vec::new() };
    let mut told = None;
    let mut is_untold = false;
    tracing::info!(pid = std::process::id(), "proxy started");
    loop {
        let status = doors.follow().await;
        if !files.directory.exists() {
            tracing::info!("the project is gone");
            return Ok(());
        }
        let is_settled = status.unbound.is_empty();
        if told.as_ref() != Some(&status) {
            match files.write(&status) {
                Ok(()) => (told, is_untold) = (Some(status), false),
                // A full disk: the ports are served all the same, and the next look tries again.
                Err(error) => {
                    if !is_untold {
                        let error = chain(&error);
                        tracing::error!(error, "status not written; commands wait for it");
                    }
                    is_untold = true;
                }
            }
        }
        tokio::select! {
            () = watch.changed() => {}
            () = tokio::time::sleep(BIND_AGAIN), if !is_settled => {}
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    // Whoever finds the lock held from now on must not take us for one that serves.
    drop(std::fs::remove_file(&files.pid));
    tracing::info!("proxy stopped");
    Ok(())
}

/// The ports that are held.
struct Doors {
    home: Home,
    clock: fn() -> Moment,
    /// By the branch's id.
    open: BTreeMap<String, Door>,
    /// Servers of branches that are being deleted: our children, to be collected.
    leaving: Vec<Arc<Mutex<Option<Server>>>>,
}

struct Door {
    desk: Arc<Desk>,
    sleep_after: Option<u64>,
    /// None when it could not be bound.
    listening: Option<Listening>,
    sleeper: AbortHandle,
}

struct Listening {
    port: u16,
    task: AbortHandle,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.sleeper.abort();
    }
}

impl Doors {
    /// Makes the ports those of the catalog. Gives what came of it.
    async fn follow(&mut self) -> Status {
        let rows = match self.home.catalog().read() {
            Ok(rows) => rows.branches,
            Err(error) => {
                // As it was, until it can be read again.
                tracing::error!(%error, "catalog not read");
                return self.status(Vec::new());
            }
        };
        let is_served =
            |branch: &Branch| branch.state == BranchState::Ready && branch.place.is_own();
        let ready: Vec<Branch> = rows.into_iter().filter(is_served).collect();
        let ids: BTreeSet<&str> = ready.iter().map(|branch| branch.id.as_str()).collect();
        let gone = self.open.extract_if(.., |id, _| !ids.contains(id.as_str()));
        self.leaving.extend(gone.map(|(_, door)| {
            door.desk.is_gone.store(true, Ordering::Relaxed);
            door.desk.server.clone()
        }));
        // One that is still held is being started or stopped.
        let has_ended = |server: &mut Option<Server>| server.as_mut().is_none_or(Server::reap);
        self.leaving.retain(|server| !server.try_lock().is_ok_and(|mut held| has_ended(&mut held)));
        let mut unbound = Vec::new();
        for branch in &ready {
            let door = self.open.entry(branch.id.clone()).or_insert_with(|| {
                let desk = Arc::new(Desk::new(self.home.clone(), branch.id.clone()));
                let sleeper = tokio::spawn(look_after(desk.clone(), self.clock)).abort_handle();
                Door { desk, sleep_after: branch.sleep_after_seconds, listening: None, sleeper }
            });
            if door.sleep_after != branch.sleep_after_seconds {
                door.sleep_after = branch.sleep_after_seconds;
                door.desk.row_changed.notify_one();
            }
            if door.listening.as_ref().is_some_and(|listening| listening.port == branch.port) {
                continue;
            }
            door.listening = None;
            match bind(branch.port).await {
                Ok(listener) => door.listen(listener, branch),
                Err(error) => {
                    unbound.push(Unbound { port: branch.port, reason: error.to_string() });
                }
            }
        }
        self.status(unbound)
    }

    fn status(&self, unbound: Vec<Unbound>) -> Status {
        let ports = self.open.values().filter_map(|door| Some(door.listening.as_ref()?.port));
        Status { pid: std::process::id(), ports: ports.collect(), unbound }
    }
}

impl Door {
    fn listen(&mut self, listener: TcpListener, branch: &Branch) {
        tracing::info!(branch = %branch.name, port = branch.port, "listening");
        let task = tokio::spawn(attend(self.desk.clone(), listener)).abort_handle();
        self.listening = Some(Listening { port: branch.port, task });
    }
}
