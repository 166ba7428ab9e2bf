//! The server of a branch: opened, started, stopped, asked.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{Branch, BranchError, Home, Lock, LockKind, access};
use crate::instance::{Binaries, InstanceError, Server, ServerOptions, StopMode, WalLevel};
use crate::pg::{ConnInfo, Wire};

/// Recovery of a server that somebody else has started, or the end of one that is being stopped.
const ANSWER_LIMIT: Duration = Duration::from_mins(2);
/// As `instance` looks at a server that starts.
const POLL: Duration = Duration::from_millis(2);
/// A copy by the backup API shares the lock; a clone, a start and a stop hold it for less.
pub(super) const LOCK_LIMIT: Duration = Duration::from_mins(2);

/// What runs in every server and works for nobody (`pg_stat_activity.backend_type`, PostgreSQL 12
/// to 18): a list for SQL.
pub const HOUSEKEEPING: &str = "'archiver', 'autovacuum launcher', 'background writer', \
    'checkpointer', 'io worker', 'logical replication launcher', 'slotsync worker', 'startup', \
    'walsummarizer', 'walwriter'";

/// The server's handle, running or not.
///
/// # Errors
/// [`BranchError::Instance`] when the data directory or the programs are gone.
pub fn open(home: &Home, branch: &Branch) -> Result<Server, BranchError> {
    open_with(home, branch, access::OPEN)
}

pub(super) fn open_with(home: &Home, branch: &Branch, rules: &str) -> Result<Server, BranchError> {
    let files = home.state.branch(&branch.id);
    let options = ServerOptions {
        wal_level: WalLevel::Replica,
        settings: settings(),
        forced: forced(home, branch),
        socket_dir: Some(branch.socket_dir.clone()),
        log_path: Some(files.log),
        access: Some(rules.to_owned()),
        ..ServerOptions::default()
    };
    Ok(Server::open(&binaries(branch), &files.data, options)?)
}

/// What the catalog says of them: asking every program on the machine for its version takes longer
/// than a branch.
fn binaries(branch: &Branch) -> Binaries {
    Binaries {
        bin_dir: branch.bin_dir.clone(),
        major: branch.major,
        version: branch.postgres_version.clone(),
        has_client_tools: branch.bin_dir.join("pg_dump").is_file(),
    }
}

/// May be changed by ALTER SYSTEM.
fn settings() -> Vec<(String, String)> {
    // Recycled segments are space that a copy takes again.
    [("min_wal_size", "32MB")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// With these a server speaks to nobody by itself, and waits for nobody.
const QUIET: [(&str, &str); 10] = [
    ("archive_mode", "off"),
    ("archive_command", ""),
    ("archive_library", ""),
    ("restore_command", ""),
    ("primary_conninfo", ""),
    ("primary_slot_name", ""),
    // A commit would wait for a standby of the parent's for ever.
    ("synchronous_standby_names", ""),
    ("max_logical_replication_workers", "0"),
    // Jobs of pg_cron, in all its versions; placeholders where it is not loaded.
    ("cron.launch_active_jobs", "off"),
    ("cron.max_running_jobs", "0"),
];

/// Settings of a parent that its branches get.
pub(super) fn inherited(settings: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_quiet = |name: &String| QUIET.iter().any(|(quiet, _)| quiet == name);
    settings
        .iter()
        .filter(|(name, _)| !is_quiet(name))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

/// What a branch must not have from its parent, whose postgresql.auto.conf came along.
fn forced(home: &Home, branch: &Branch) -> Vec<(String, String)> {
    let name = format!("{}/{}", home.project, branch.name);
    // As `instance` writes it into the file: another form would count as a change on reload.
    let socket = branch.socket_dir.display().to_string().replace('"', "\"\"");
    let (socket, port) = (format!("\"{socket}\""), access::SOCKET_PORT.to_string());
    let mut forced = vec![
        ("cluster_name", name.as_str()),
        // The proxy listens, and asks for the password.
        ("listen_addresses", ""),
        ("port", &port),
        ("unix_socket_directories", &socket),
        ("unix_socket_permissions", "0700"),
    ];
    if branch.parent.is_some() {
        let known = |(name, _): &(&str, &str)| *name != "archive_library" || branch.major >= 15;
        forced.extend(QUIET.into_iter().filter(known));
    }
    let forced = forced.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    // The user's own come last, and win.
    forced.chain(branch.settings.clone()).collect()
}

/// Sees to it that the branch runs. Gives its server, and whether it had to be started.
///
/// # Errors
/// [`BranchError::Busy`], [`BranchError::Instance`].
pub fn wake(home: &Home, branch: &Branch) -> Result<(Server, bool), BranchError> {
    let server = open(home, branch)?;
    if server.answers() {
        return Ok((server, false));
    }
    let files = home.state.branch(&branch.id);
    let lock = Lock::wait(&files.lock, LockKind::Exclusive, &branch.name, LOCK_LIMIT);
    // Whoever had the lock may have deleted it, changed it or started it.
    let branch = home.catalog().read()?.ready(&branch.id)?.clone();
    let _lock = lock?;
    let deadline = Instant::now() + ANSWER_LIMIT;
    loop {
        let mut server = open(home, &branch)?;
        match watch(&server, deadline) {
            Watched::Answers => return Ok((server, false)),
            Watched::Ended => {}
            Watched::Late => {
                return Err(BranchError::Busy { name: branch.name, waited: ANSWER_LIMIT });
            }
        }
        match server.start() {
            Ok(()) => return Ok((server, true)),
            // The watchdog of a command that was killed while it had the server stopped, or one
            // whom the lock does not keep out.
            Err(InstanceError::DiedAtStart { .. } | InstanceError::AlreadyRunning { .. })
                if server.is_running() && Instant::now() < deadline => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What becomes of a server that somebody else has started, or stops.
enum Watched {
    Answers,
    Ended,
    /// It is there still, and takes no connections.
    Late,
}

fn watch(server: &Server, deadline: Instant) -> Watched {
    loop {
        if server.answers() {
            return Watched::Answers;
        }
        if !server.is_running() {
            return Watched::Ended;
        }
        if Instant::now() >= deadline {
            return Watched::Late;
        }
        std::thread::sleep(POLL);
    }
}

/// Stops the branch's server cleanly; true if it ran.
///
/// # Errors
/// [`BranchError::Busy`], [`BranchError::Instance`].
pub fn stop(home: &Home, branch: &Branch) -> Result<bool, BranchError> {
    stop_and_hold(home, branch).map(|(_, ran)| ran)
}

/// As [`stop`]; nobody starts it while the lock is held.
pub(super) fn stop_and_hold(home: &Home, branch: &Branch) -> Result<(Lock, bool), BranchError> {
    let files = home.state.branch(&branch.id);
    let lock = Lock::wait(&files.lock, LockKind::Exclusive, &branch.name, LOCK_LIMIT)?;
    // Deleted while we waited?
    home.catalog().read()?.ready(&branch.id)?;
    let mut server = open(home, branch)?;
    let ran = server.is_running();
    server.stop(StopMode::Fast)?;
    Ok((lock, ran))
}

/// True if a server works on the branch's data.
pub fn is_running(home: &Home, branch: &Branch) -> bool {
    open(home, branch).is_ok_and(|server| server.is_running())
}

/// True if the branch takes connections now.
pub fn answers(home: &Home, branch: &Branch) -> bool {
    open(home, branch).is_ok_and(|server| server.answers())
}

/// A session for what concerns the whole server, in a database that is there: template1 last, for
/// whoever is in it stands in the way of CREATE DATABASE.
pub(super) fn any_session(server: &Server, branch: &Branch) -> Result<Wire, BranchError> {
    // invalid_catalog_name: somebody dropped it.
    let is_dropped = |error: &BranchError| matches!(error, BranchError::Sql { source, .. } if source.sqlstate() == Some("3D000"));
    for database in ["postgres", &branch.database] {
        match session(server, branch, database) {
            Err(error) if is_dropped(&error) => {}
            other => return other,
        }
    }
    session(server, branch, "template1")
}

/// A session over the private socket.
pub(super) fn session(
    server: &Server,
    branch: &Branch,
    database: &str,
) -> Result<Wire, BranchError> {
    let failed = BranchError::sql("connect", &branch.name);
    let info = ConnInfo::parse(&server.url(database)).map_err(&failed)?;
    Wire::connect(&info, "backlot branch").map_err(&failed)
}
