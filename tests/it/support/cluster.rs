//! One cluster per `PostgreSQL` version and test process, made when first asked for. A watchdog
//! ends it with the process, also when tests panic or the process is killed.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
};

use backlot::instance::{Binaries, Search, Server, ServerGuard, ServerOptions};

/// A shared server. Tests get databases in it and leave its settings alone.
pub(crate) struct Cluster {
    pub(crate) major: u32,
    server: ServerGuard,
}

impl Cluster {
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn url(&self, database: &str) -> String {
        self.server.url(database)
    }
}

/// What the tests know of the environment. `BACKLOT_TEST_PG` names more directories with
/// binaries, like `PATH`.
pub(crate) fn search() -> Search {
    let named = std::env::var_os("BACKLOT_TEST_PG");
    Search {
        named: named.iter().flat_map(std::env::split_paths).collect(),
        path: std::env::var_os("PATH"),
        home: std::env::var_os("HOME").map(PathBuf::from),
    }
}

/// One installation per major version, oldest first: two versions where two are installed.
pub(crate) fn binaries() -> &'static [Binaries] {
    static FOUND: OnceLock<Vec<Binaries>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut found = Binaries::all(&search());
        found.sort_by_key(|binaries| (binaries.major, !binaries.has_client_tools));
        found.dedup_by_key(|binaries| binaries.major);
        assert!(!found.is_empty(), "no PostgreSQL server binaries: run `make setup`");
        found
    })
}

/// Every cluster that can be had here: `PostgreSQL` 15 and 18 after `make setup`.
pub(crate) fn servers() -> impl Iterator<Item = &'static Cluster> {
    binaries().iter().map(cluster)
}

/// For a test that asks nothing of the version: one of them, by the test's name, so that all tests
/// together run on each. With `BACKLOT_TEST_EVERY_VERSION` set, every one.
pub(crate) fn some_servers() -> impl Iterator<Item = &'static Cluster> {
    let thread = std::thread::current();
    // libtest gives a test's thread its name, but runs one test at a time on the main thread.
    let name = thread.name().filter(|name| *name != "main");
    let drawn = name.map(|name| drawn(name).collect::<Vec<_>>());
    let all = binaries().iter();
    all.filter(move |one| drawn.as_ref().is_none_or(|drawn| drawn.contains(&one.major)))
        .map(cluster)
}

/// The versions that something of this name is tried on: one, the same each time, or, with
/// `BACKLOT_TEST_EVERY_VERSION` set, every one.
pub(crate) fn drawn(name: &str) -> impl Iterator<Item = u32> {
    let sum =
        name.bytes().fold(0, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let drawn = sum % binaries().len();
    let is_every = std::env::var_os("BACKLOT_TEST_EVERY_VERSION").is_some();
    let all = binaries().iter().enumerate();
    all.filter(move |(at, _)| is_every || *at == drawn).map(|(_, binaries)| binaries.major)
}

fn cluster(binaries: &'static Binaries) -> &'static Cluster {
    static CLUSTERS: Mutex<Vec<&'static Cluster>> = Mutex::new(Vec::new());
    // Held while a cluster is made, so that each is made once. A test that panics while it makes
    // one leaves the list as it was.
    let mut clusters = CLUSTERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(cluster) = clusters.iter().find(|cluster| cluster.major == binaries.major) {
        return cluster;
    }
    let cluster: &'static Cluster = Box::leak(Box::new(start(binaries)));
    clusters.push(cluster);
    cluster
}

/// A cluster that a test has to itself, and the handle to kill and start it. It ends with the
/// process.
pub(crate) fn own_cluster(binaries: &Binaries) -> (&'static Cluster, Server) {
    own_cluster_with(binaries, options(), |_| {})
}

/// With these options, and after `prepare` has changed the data directory.
pub(crate) fn own_cluster_with(
    binaries: &Binaries,
    options: ServerOptions,
    prepare: impl FnOnce(&Path),
) -> (&'static Cluster, Server) {
    let server = init(binaries, options.clone());
    prepare(server.data_dir());
    let mut handle = Server::open(binaries, server.data_dir(), options).unwrap();
    handle.start().unwrap();
    (Box::leak(Box::new(Cluster { major: binaries.major, server })), handle)
}

fn start(binaries: &Binaries) -> Cluster {
    let mut server = init(binaries, options());
    server.start().unwrap();
    Cluster { major: binaries.major, server }
}

fn init(binaries: &Binaries, options: ServerOptions) -> ServerGuard {
    let dir = scratch_dir();
    let server = Server::init(binaries, &dir.join("data"), options).unwrap();
    // Guarded before it is started: no moment in which it could be left behind.
    ServerGuard::removing(server, dir).unwrap()
}

fn scratch_dir() -> PathBuf {
    let dir = tempfile::Builder::new().prefix("backlot-it-").tempdir().unwrap().keep();
    // Closed by default (0700), but the server's account must be able to enter.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&dir, open).unwrap();
    dir
}

fn options() -> ServerOptions {
    ServerOptions::scratch()
        .with("max_connections", "300")
        .with("max_wal_senders", "50")
        // Those of a test stay to the end of its cluster, as its databases do.
        .with("max_replication_slots", "500")
        .with("shared_buffers", "64MB")
        .with("timezone", "UTC")
        // Some catalog queries are estimated dear enough to be compiled, which takes longer than they do.
        .with("jit", "off")
        // A cluster gets hundreds of databases, and each of them a worker that often.
        .with("autovacuum_naptime", "5min")
}

/// A standby of a cluster that a test has to itself, from a base backup; with its handle, as
/// [`own_cluster`]. None where there is no `pg_basebackup` of the version.
pub(crate) fn standby_of(primary: &Cluster) -> Option<(&'static Cluster, Server)> {
    let binaries = primary.server.binaries();
    let program = binaries.program("pg_basebackup");
    if !program.exists() {
        return None;
    }
    let dir = scratch_dir();
    let data = dir.join("data");
    let mut backup = std::process::Command::new(program);
    // Its slot keeps what it has yet to read.
    backup.args(["--create-slot", "--slot", "standby"]);
    backup.args(["--write-recovery-conf", "--checkpoint=fast", "--pgdata"]).arg(&data);
    backup.args(["--dbname", &primary.url("postgres")]);
    let mut chown = std::process::Command::new("chown");
    chown.arg("-R").arg("--reference").arg(primary.server.data_dir()).arg(&data);
    for command in [&mut backup, &mut chown] {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let server = Server::open(binaries, &data, options()).unwrap();
    let server = ServerGuard::removing(server, dir).unwrap();
    let mut handle = Server::open(binaries, &data, options()).unwrap();
    handle.start().unwrap();
    Some((Box::leak(Box::new(Cluster { major: primary.major, server })), handle))
}
