//! One cluster per `PostgreSQL` version and test process, made when first asked for. A watchdog
//! ends it with the process, also when tests panic or the process is killed.

use std::{
    path::PathBuf,
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
    let server = init(binaries);
    let mut handle = Server::open(binaries, server.data_dir(), options()).unwrap();
    handle.start().unwrap();
    (Box::leak(Box::new(Cluster { major: binaries.major, server })), handle)
}

fn start(binaries: &Binaries) -> Cluster {
    let mut server = init(binaries);
    server.start().unwrap();
    Cluster { major: binaries.major, server }
}

fn init(binaries: &Binaries) -> ServerGuard {
    let dir = tempfile::Builder::new().prefix("backlot-it-").tempdir().unwrap().keep();
    // Closed by default (0700), but the server's account must be able to enter.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&dir, open).unwrap();
    let server = Server::init(binaries, &dir.join("data"), options()).unwrap();
    // Guarded before it is started: no moment in which it could be left behind.
    ServerGuard::removing(server, dir).unwrap()
}

fn options() -> ServerOptions {
    ServerOptions::scratch()
        .with("max_connections", "300")
        .with("max_wal_senders", "50")
        .with("max_replication_slots", "50")
        .with("shared_buffers", "64MB")
        .with("timezone", "UTC")
}
