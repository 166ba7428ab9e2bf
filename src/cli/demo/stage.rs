//! The demo's two servers.

use super::{Selection, decide};
use crate::catalog;
use crate::cli::environment;
use crate::cli::failure::Failure;
use crate::clone::{self, PreviewColumn};
use crate::instance::{Binaries, Server, ServerGuard, ServerOptions};
use crate::pg::{ConnInfo, Session};
use crate::transform::key::RootKey;
use crate::transform::plan::Plan;
use std::path::PathBuf;

const SCHEMA: &str = include_str!("../../../demo/schema.sql");
const DATA: &str = include_str!("../../../demo/data.sql");
const DATABASE: &str = "clinic";

/// Both servers, ended with this value unless they are kept.
pub(super) struct Stage {
    source_server: ServerGuard,
    target_server: ServerGuard,
    pub(super) source: ConnInfo,
    pub(super) target: ConnInfo,
    pub(super) major: u32,
    scratch: Scratch,
}

/// The directory around both servers; dropped, and removed, after them.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // It lies in the system's temporary directory: left-overs are cleaned there.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

impl Stage {
    pub(super) async fn build(talk: impl Fn(&str)) -> Result<Self, Failure> {
        let binaries = with_client_tools()?;
        let directory = std::env::temp_dir().join(format!("backlot-demo-{}", std::process::id()));
        let server = |name: &str| -> Result<ServerGuard, Failure> {
            let data_dir = directory.join(name);
            let mut server = Server::init(&binaries, &data_dir, ServerOptions::scratch())?;
            server.start()?;
            Ok(ServerGuard::removing(server, data_dir)?)
        };
        let (source_server, target_server) = (server("source")?, server("target")?);
        for server in [&source_server, &target_server] {
            let session =
                Session::connect(&ConnInfo::parse(&server.url("postgres"))?, "backlot demo")
                    .await?;
            session.execute_all(&format!("create database {DATABASE}")).await?;
        }
        let source = ConnInfo::parse(&source_server.url(DATABASE))?;
        let target = ConnInfo::parse(&target_server.url(DATABASE))?;
        talk("filling the source: a clinic and its shop, everything invented");
        let session = Session::connect(&source, "backlot demo").await?;
        session.execute_all("reset search_path").await?;
        session.execute_all(SCHEMA).await?;
        session.execute_all(DATA).await?;
        session.execute_all("analyze").await?;
        let major = binaries.major;
        Ok(Self {
            source_server,
            target_server,
            source,
            target,
            major,
            scratch: Scratch(directory),
        })
    }

    /// Some rows before and after, and the plan that made them.
    pub(super) async fn look(
        &self,
        selection: &Selection,
        key: &RootKey,
        rows: u32,
    ) -> Result<(Vec<PreviewColumn>, Plan), Failure> {
        let session = Session::connect(&self.source, "backlot demo").await?;
        session.execute_all("begin isolation level repeatable read, read only").await?;
        let row = session
            .query_one("select pg_catalog.pg_export_snapshot()", &[])
            .await
            .map_err(crate::pg::Error::from)?;
        let snapshot: String = row.get(0);
        let catalog = catalog::load(&session).await?;
        let decided = decide(selection, &self.source, &snapshot, &catalog, None).await?;
        let columns = tokio::task::block_in_place(|| {
            clone::preview(&self.source, &catalog, &decided.plan, key, rows, false)
        })?;
        Ok((columns, decided.plan))
    }

    /// Lets the servers outlive this process; gives their URLs and how to end them.
    pub(super) fn keep(self) -> (String, String, String) {
        let urls = (self.source.to_string(), self.target.to_string());
        let ctl = self.source_server.binaries().program("pg_ctl");
        let directory = self.scratch.0.display();
        let stop = format!(
            "for s in source target; do {} -s -m immediate -D {directory}/$s stop; done",
            ctl.display()
        );
        // A server stops for the account that it runs as; its files are ours to remove.
        let account = &self.source_server.account().name;
        let stop = if rustix::process::geteuid().is_root() {
            format!("cd / && su {account} -s /bin/sh -c '{stop}'")
        } else {
            stop
        };
        let stop = format!("{stop}; rm -r {directory}");
        self.source_server.release();
        self.target_server.release();
        std::mem::forget(self.scratch);
        (urls.0, urls.1, stop)
    }
}

/// The newest installation that has `pg_dump` beside its server.
fn with_client_tools() -> Result<Binaries, Failure> {
    let mut found = Binaries::all(&environment::search());
    found.retain(|binaries| binaries.has_client_tools);
    found.into_iter().next().ok_or_else(|| {
        Failure::missing("no PostgreSQL server with client programs was found")
            .hint("run `make setup`, install the postgresql package, or set BACKLOT_PG_BIN")
    })
}
