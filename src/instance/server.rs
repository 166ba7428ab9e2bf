//! One server on one data directory: make, open, start, stop, address.

use std::{
    ffi::OsString,
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use secrecy::{ExposeSecret, SecretString};

use super::{
    Account, Binaries, InstanceError, Listen, ServerOptions,
    layout::{self, beside, file_error},
    ping,
    postmaster::{self, PidFile, socket_name, wait_until},
};
use crate::pg::percent_encoded;

/// The one superuser of our clusters.
pub const SUPERUSER: &str = "postgres";

/// A clean start takes 25–60 ms; the rest is for crash recovery. One that takes longer is ended, and
/// the next start begins it again.
const START_TIMEOUT: Duration = Duration::from_mins(2);

/// A fast stop takes 10–20 ms, and longer when the last checkpoint has much to write.
const STOP_TIMEOUT: Duration = Duration::from_mins(1);

/// A free port can be taken by somebody else before our server binds it.
const PORT_ATTEMPTS: u32 = 3;

/// The port that names the socket when nothing listens on the network.
const SOCKET_PORT: u16 = 5432;

/// Included by `postgresql.conf`, written at every start.
const SETTINGS_FILE: &str = "backlot.conf";

/// Variables that would change what a server does behind our back.
const FOREIGN_ENV: [&str; 7] =
    ["PGDATA", "PGPORT", "PGHOST", "PGOPTIONS", "PGDATESTYLE", "PGTZ", "PGCLIENTENCODING"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Ends sessions, writes a checkpoint: the next start needs no recovery.
    Fast,
    /// Ends at once: the next start recovers from the WAL.
    Immediate,
}

/// A `PostgreSQL` server on a data directory of ours. Dropping it leaves the server running (a
/// project's server outlives the command that started it); [`super::ServerGuard`] is for the
/// other case.
#[derive(Debug)]
pub struct Server {
    binaries: Binaries,
    /// Canonical.
    data_dir: PathBuf,
    options: ServerOptions,
    account: Account,
    socket_dir: PathBuf,
    port: u16,
    /// The process, when this `Server` started it and has not seen its end.
    child: Option<Child>,
}

impl Server {
    /// Makes a new cluster: UTF-8, C.UTF-8, superuser [`SUPERUSER`]. `data_dir` must be absent or
    /// empty; its parents are made. Not started.
    ///
    /// # Errors
    /// [`InstanceError::AlreadyInitialised`] or [`InstanceError::NotACluster`] when something is
    /// there, [`InstanceError::Failed`] with initdb's words.
    pub fn init(
        binaries: &Binaries,
        data_dir: &Path,
        options: ServerOptions,
    ) -> Result<Self, InstanceError> {
        let data_dir = layout::absolute(data_dir)?;
        if data_dir.join("PG_VERSION").exists() {
            return Err(InstanceError::AlreadyInitialised { path: data_dir });
        }
        if fs::read_dir(&data_dir).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(InstanceError::NotACluster { path: data_dir });
        }
        let server = Self::assemble(binaries, data_dir, options)?;
        server.options.render(binaries.major, server.port, &server.socket_dir)?;
        layout::private_dir(&server.data_dir, &server.account)?;
        server.require_reach()?;
        server.run_initdb()?;
        let conf = server.data_dir.join("postgresql.conf");
        let text = fs::read_to_string(&conf).map_err(|e| file_error("read", &conf, e))?;
        let text = format!("{text}\ninclude_if_exists = '{SETTINGS_FILE}'\n");
        layout::write_private(&conf, &text, &server.account)?;
        Ok(server)
    }

    /// Opens a cluster that [`Server::init`] made earlier, running or not. When it runs, its
    /// port is read from it; `options` hold from the next start.
    ///
    /// # Errors
    /// [`InstanceError::NotACluster`], [`InstanceError::WrongMajor`].
    pub fn open(
        binaries: &Binaries,
        data_dir: &Path,
        options: ServerOptions,
    ) -> Result<Self, InstanceError> {
        let data_dir = layout::absolute(data_dir)?;
        let Ok(cluster) = fs::read_to_string(data_dir.join("PG_VERSION")) else {
            return Err(InstanceError::NotACluster { path: data_dir });
        };
        let cluster = cluster.trim().to_owned();
        if cluster != binaries.major.to_string() {
            let binaries = binaries.major;
            return Err(InstanceError::WrongMajor { path: data_dir, cluster, binaries });
        }
        let mut server = Self::assemble(binaries, data_dir, options)?;
        server.adopt_address();
        Ok(server)
    }

    fn assemble(
        binaries: &Binaries,
        data_dir: PathBuf,
        options: ServerOptions,
    ) -> Result<Self, InstanceError> {
        let account = Account::for_cluster(&data_dir)?;
        let port = match options.listen {
            Listen::Loopback { port: Some(port), .. } => port,
            Listen::Socket | Listen::Loopback { port: None, .. } => SOCKET_PORT,
        };
        let named = options.socket_dir.clone();
        let socket_dir = named.unwrap_or_else(|| layout::socket_dir(&data_dir));
        let binaries = binaries.clone();
        Ok(Self { binaries, data_dir, options, account, socket_dir, port, child: None })
    }

    /// Starts the server and returns when it takes connections.
    ///
    /// # Errors
    /// [`InstanceError::DiedAtStart`] and [`InstanceError::StartTimeout`] with the log's end.
    pub fn start(&mut self) -> Result<(), InstanceError> {
        if let Some(PidFile { pid, .. }) = postmaster::running(&self.data_dir) {
            let data_dir = self.data_dir.clone();
            return Err(InstanceError::AlreadyRunning { data_dir, pid });
        }
        self.require_reach()?;
        layout::private_dir(&self.socket_dir, &self.account)?;
        let deadline = Instant::now() + START_TIMEOUT;
        let picks_port = matches!(self.options.listen, Listen::Loopback { port: None, .. });
        let mut attempts = 0;
        loop {
            if picks_port {
                self.port = free_port()?;
            }
            attempts += 1;
            match self.start_once(deadline) {
                Err(InstanceError::DiedAtStart { log_tail, .. })
                    if picks_port && attempts < PORT_ATTEMPTS && is_port_clash(&log_tail) => {}
                // Backends of a killed postmaster end by themselves within moments; until then
                // the shared memory is still attached. `deadline` bounds this.
                Err(InstanceError::DiedAtStart { log_tail, .. })
                    if log_tail.contains("pre-existing shared memory block")
                        && Instant::now() < deadline =>
                {
                    std::thread::sleep(postmaster::POLL);
                }
                other => return other,
            }
        }
    }

    fn start_once(&mut self, deadline: Instant) -> Result<(), InstanceError> {
        let settings = self.options.render(self.binaries.major, self.port, &self.socket_dir)?;
        layout::write_private(&self.data_dir.join(SETTINGS_FILE), &settings, &self.account)?;
        if let Some(access) = &self.options.access {
            self.write_access(access)?;
        }
        let log_path = self.log_path();
        let mut command = self.command(&self.binaries.program("postgres"));
        command.args(self.postgres_arguments()?);
        let log_start = self.detach(&mut command)?;
        command.stdin(Stdio::null());
        let mut child = command.spawn().map_err(|source| self.run_error("postgres", source))?;
        let mut died: Option<ExitStatus> = None;
        let limit = deadline.saturating_duration_since(Instant::now());
        let ready = wait_until(limit, || {
            died = child.try_wait().ok().flatten();
            // Asked before, it would start a process only to say no.
            let says_so = |file: PidFile| file.pid == child.id() && file.is_ready;
            died.is_some() || (PidFile::read(&self.data_dir).is_some_and(says_so) && self.answers())
        });
        let data_dir = self.data_dir.clone();
        if let Some(status) = died {
            let (status, log_tail) = (status.to_string(), layout::log_tail(&log_path, log_start));
            return Err(InstanceError::DiedAtStart { data_dir, status, log_tail });
        }
        if !ready {
            if !end(&mut child, STOP_TIMEOUT) {
                tracing::warn!(pid = child.id(), "server that did not come up does not end");
                // To be collected when it does.
                self.child = Some(child);
            }
            let log_tail = layout::log_tail(&log_path, log_start);
            return Err(InstanceError::StartTimeout { data_dir, waited: limit, log_tail });
        }
        tracing::debug!(data_dir = %data_dir.display(), pid = child.id(), "server started");
        self.child = Some(child);
        Ok(())
    }

    /// Arguments of `postgres`.
    pub(super) fn postgres_arguments(&self) -> Result<Vec<OsString>, InstanceError> {
        let mut arguments = vec!["-D".into(), self.data_dir.clone().into_os_string()];
        arguments.extend(self.options.arguments()?.into_iter().map(OsString::from));
        Ok(arguments)
    }

    /// Output to the log, a group of its own: Ctrl-C in the terminal is for the command, not for
    /// the server. Gives the log's length.
    pub(super) fn detach(&self, command: &mut Command) -> Result<u64, InstanceError> {
        let log_path = self.log_path();
        let (log, log_start) = layout::open_log(&log_path, &self.account)?;
        let stdout = log.try_clone().map_err(|e| file_error("open the log", &log_path, e))?;
        command.current_dir(&self.data_dir).stdout(stdout).stderr(log).process_group(0);
        Ok(log_start)
    }

    fn write_access(&self, access: &str) -> Result<(), InstanceError> {
        layout::write_private(&self.data_dir.join("pg_hba.conf"), access, &self.account)
    }

    /// Writes `pg_hba.conf` anew and has the running server read it.
    ///
    /// # Errors
    /// [`InstanceError::File`].
    pub fn change_access(&mut self, access: &str) -> Result<(), InstanceError> {
        self.write_access(access)?;
        self.options.access = Some(access.to_owned());
        if let Some(PidFile { pid, .. }) = postmaster::running(&self.data_dir) {
            postmaster::signal(pid, Signal::HUP);
        }
        Ok(())
    }

    /// Stops the server and returns when it is gone. One that does not run is no error.
    ///
    /// # Errors
    /// [`InstanceError::StopTimeout`].
    pub fn stop(&mut self, mode: StopMode) -> Result<(), InstanceError> {
        let signal = match mode {
            StopMode::Fast => Signal::INT,
            StopMode::Immediate => Signal::QUIT,
        };
        self.signal_and_wait(signal)
    }

    /// Kills the server as a crash would: for tests of recovery.
    ///
    /// # Errors
    /// [`InstanceError::StopTimeout`].
    pub fn kill9(&mut self) -> Result<(), InstanceError> {
        self.signal_and_wait(Signal::KILL)
    }

    fn signal_and_wait(&mut self, signal: Signal) -> Result<(), InstanceError> {
        if let Some(file) = postmaster::running(&self.data_dir) {
            let pid = file.pid;
            postmaster::signal(pid, signal);
            let gone = || {
                // Our own child is reaped. It need not be this postmaster: ours may have ended long
                // ago, and another process have started the next one.
                let reaped = self.child.as_mut().is_some_and(|child| {
                    child.id() == pid && matches!(child.try_wait(), Ok(Some(_)))
                });
                // Its pid file goes before it does; until then it holds the filesystem.
                reaped || !postmaster::owns(&file, &self.data_dir)
            };
            if !wait_until(STOP_TIMEOUT, gone) {
                let (data_dir, waited) = (self.data_dir.clone(), STOP_TIMEOUT);
                return Err(InstanceError::StopTimeout { data_dir, pid, waited });
            }
            tracing::debug!(data_dir = %self.data_dir.display(), pid, "server stopped");
        }
        if let Some(mut child) = self.child.take() {
            child.wait().map_err(|source| self.run_error("postgres", source))?;
        }
        Ok(())
    }

    /// Collects the process that this `Server` started, if it has ended meanwhile; true if there
    /// is none to collect any more.
    pub fn reap(&mut self) -> bool {
        if self.child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None))) {
            self.child = None;
        }
        self.child.is_none()
    }

    /// True when a postmaster works on the data directory, whoever started it.
    pub fn is_running(&self) -> bool {
        postmaster::running(&self.data_dir).is_some()
    }

    /// True when the server takes connections now.
    pub fn answers(&self) -> bool {
        ping::answers(&self.socket_dir.join(socket_name(self.port)), SUPERUSER, "postgres")
    }

    /// The postmaster's process id, when it runs.
    pub fn pid(&self) -> Option<u32> {
        postmaster::running(&self.data_dir).map(|file| file.pid)
    }

    /// A connection URL over the private socket, as [`SUPERUSER`], without a password: for
    /// libpq and tokio-postgres alike.
    pub fn url(&self, database: &str) -> String {
        let dir = percent_encoded(self.socket_dir.as_os_str().as_encoded_bytes());
        let (database, port) = (percent_encoded(database), self.port);
        format!("postgresql:///{database}?host={dir}&port={port}&user={SUPERUSER}")
    }

    /// A connection URL over 127.0.0.1 with the password in it. None with [`Listen::Socket`].
    pub fn tcp_url(&self, database: &str) -> Option<SecretString> {
        let Listen::Loopback { password, .. } = &self.options.listen else { return None };
        let (password, port) = (percent_encoded(password.expose_secret()), self.port);
        let database = percent_encoded(database);
        Some(format!("postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/{database}").into())
    }

    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// Of the socket's name, and on 127.0.0.1 with [`Listen::Loopback`]. Known after the start
    /// when it was left to us.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    pub(super) fn options(&self) -> &ServerOptions {
        &self.options
    }

    /// The account that the server runs as.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// `<data directory>.log`, beside the data directory, unless another was named.
    pub fn log_path(&self) -> PathBuf {
        self.options.log_path.clone().unwrap_or_else(|| beside(&self.data_dir, ".log"))
    }

    /// The last lines of the log.
    pub fn end_of_log(&self) -> String {
        layout::log_tail(&self.log_path(), 0)
    }

    fn adopt_address(&mut self) {
        let Some(file) = postmaster::running(&self.data_dir) else { return };
        self.port = file.port.unwrap_or(self.port);
        if let Some(dir) = file.socket_dir {
            self.socket_dir = dir;
        }
    }

    fn require_reach(&self) -> Result<(), InstanceError> {
        self.account.require_reach(&self.binaries.bin_dir)?;
        self.account.require_reach(&self.data_dir)
    }

    /// A program of ours under the server's account, in plain English, without the user's PG*.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for variable in FOREIGN_ENV {
            command.env_remove(variable);
        }
        command.env("LC_ALL", "C");
        self.account.apply(&mut command);
        command
    }

    pub(super) fn run_error(&self, name: &str, source: std::io::Error) -> InstanceError {
        InstanceError::Run { program: self.binaries.program(name), source }
    }
}

/// Ends a postmaster that does not come up, so that the next start finds nobody. True if it has
/// ended, and is collected.
fn end(child: &mut Child, limit: Duration) -> bool {
    // It kills what does not follow it after 5 s (postmaster.c, `SIGKILL_CHILDREN_AFTER_SECS`).
    postmaster::signal(child.id(), Signal::QUIT);
    wait_until(limit, || !matches!(child.try_wait(), Ok(None)))
}

fn free_port() -> Result<u16, InstanceError> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
    let failed = |source| file_error("find a free port on", Path::new("127.0.0.1"), source);
    bound.map(|address| address.port()).map_err(failed)
}

fn is_port_clash(log_tail: &str) -> bool {
    log_tail.contains("Address already in use")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{STOP_TIMEOUT, end};

    #[test]
    fn what_does_not_come_up_is_ended_and_collected() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        assert!(end(&mut child, STOP_TIMEOUT));
        assert!(child.try_wait().unwrap().is_some());
    }
}
