//! Two servers and what is asked of them.

use backlot::instance::{Binaries, SUPERUSER, Search, Server, ServerGuard, ServerOptions};
use std::path::PathBuf;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Nobody else comes to these servers; a password would be paid for at each start.
const ACCESS: &str = "local all all trust\nlocal replication all trust\nhost all all 127.0.0.1/32 trust\n\
    host replication all 127.0.0.1/32 trust\n";

pub(crate) struct Site {
    pub(crate) source: ServerGuard,
    pub(crate) target: ServerGuard,
    pub(crate) binaries: Binaries,
    pub(crate) scratch: PathBuf,
    /// The followers reach the source by TCP, as they would another machine's.
    by_tcp: bool,
    pub(crate) runtime: tokio::runtime::Runtime,
}

impl Site {
    pub(crate) fn start(by_tcp: bool) -> Self {
        let search = Search {
            named: Vec::new(),
            path: std::env::var_os("PATH"),
            home: std::env::var_os("HOME").map(PathBuf::from),
        };
        let has_tools = |found: &Binaries| found.program("pg_recvlogical").exists();
        let binaries = Binaries::all(&search).into_iter().find(has_tools).unwrap();
        println!("PostgreSQL {}", binaries.version);
        let scratch = std::env::temp_dir().join(format!("backlot-bench-{}", std::process::id()));
        let server = |name: &str| {
            let mut options = ServerOptions::scratch()
                .with("listen_addresses", if name == "source" { "127.0.0.1" } else { "" })
                .with("shared_buffers", "1GB")
                .with("max_wal_size", "16GB")
                .with("max_replication_slots", "60")
                .with("max_wal_senders", "60")
                // By default a subscription made soon after another's start waits for 5 s.
                .with("wal_retrieve_retry_interval", "10ms")
                .with("autovacuum", "off");
            options.access = Some(ACCESS.to_owned());
            let data_dir = scratch.join(name);
            let mut server = Server::init(&binaries, &data_dir, options).unwrap();
            server.start().unwrap();
            ServerGuard::removing(server, data_dir).unwrap()
        };
        let (source, target) = (server("source"), server("target"));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        Self { source, target, binaries, scratch, by_tcp, runtime }
    }

    /// Where the followers find the source: its host, and a URL of the database.
    pub(crate) fn source_address(&self, database: &str) -> (String, String) {
        if !self.by_tcp {
            return (self.source.socket_dir().display().to_string(), self.source.url(database));
        }
        let port = self.source.port();
        let url = format!("postgresql://{SUPERUSER}@127.0.0.1:{port}/{database}");
        ("127.0.0.1".to_owned(), url)
    }

    pub(crate) fn connect(&self, server: &Server, database: &str) -> Client {
        let config: tokio_postgres::Config = server.url(database).parse().unwrap();
        self.runtime.block_on(async {
            let (client, connection) = config.connect(NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        })
    }

    pub(crate) fn sql(&self, server: &Server, database: &str, sql: &str) {
        let client = self.connect(server, database);
        if let Err(error) = self.runtime.block_on(client.batch_execute(sql)) {
            panic!("{error:?}: {sql:.500}");
        }
    }

    pub(crate) fn value(&self, server: &Server, database: &str, sql: &str) -> String {
        let client = self.connect(server, database);
        self.ask(&client, sql).unwrap()
    }

    /// The first column of the first row; None without a row.
    pub(crate) fn ask(&self, client: &Client, sql: &str) -> Option<String> {
        let messages = self.runtime.block_on(client.simple_query(sql)).unwrap();
        messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(ToOwned::to_owned),
            // Row descriptions and command tags.
            SimpleQueryMessage::CommandComplete(_) | SimpleQueryMessage::RowDescription(_) | _ => {
                None
            }
        })
    }

    /// Anew, from a template if one is given.
    pub(crate) fn create(&self, server: &Server, database: &str, template: &str) {
        self.sql(server, "postgres", &format!("drop database if exists {database} (force)"));
        let create = format!(
            "create database {database} template {template}{}",
            if template == "template0" { " lc_collate 'C'" } else { "" }
        );
        self.sql(server, "postgres", &create);
        self.sql(server, "postgres", "checkpoint");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The guards remove what matters.
        drop(std::fs::remove_dir_all(&self.scratch));
    }
}
