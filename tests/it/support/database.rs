//! A database per test and blocking SQL on it.

use std::{future::Future, sync::OnceLock, thread};

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::Cluster;

/// A database of one test. It is left to the end of its cluster: a failed test's data is still
/// there for the rest of the run, and dropping costs more than it frees.
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) cluster: &'static Cluster,
}

/// Makes an empty database `<name>_<random>`.
pub(crate) fn database(cluster: &'static Cluster, name: &str) -> Database {
    let suffix = tempfile::Builder::new().rand_bytes(8).prefix("").tempdir().unwrap();
    let suffix = suffix.path().file_name().unwrap().to_str().unwrap().to_lowercase();
    let name = format!("{name}_{suffix}");
    run(&cluster.url("postgres"), &format!("create database \"{name}\"")).unwrap();
    Database { url: cluster.url(&name), name, cluster }
}

/// Runs statements, separated by semicolons: as one implicit transaction where `PostgreSQL` makes
/// it one.
pub(crate) fn sql(database: &Database, statements: &str) {
    if let Err(error) = try_sql(database, statements) {
        panic!("{}: {error:?}\n{statements:.2000}", database.name);
    }
}

/// Like [`sql`]; the error is for the test to look at.
pub(crate) fn try_sql(database: &Database, statements: &str) -> Result<(), tokio_postgres::Error> {
    run(&database.url, statements).map(drop)
}

/// The first row's first column as `PostgreSQL` prints it.
pub(crate) fn query_value(database: &Database, query: &str) -> String {
    let rows = query_strings(database, query);
    rows.first().and_then(|row| row.first()).unwrap_or_else(|| panic!("no row: {query}")).clone()
}

/// All rows, every column as `PostgreSQL` prints it, NULL as `∅`.
pub(crate) fn query_strings(database: &Database, query: &str) -> Vec<Vec<String>> {
    match run(&database.url, query) {
        Ok(rows) => rows,
        Err(error) => panic!("{}: {error:?}\n{query}", database.name),
    }
}

/// Like [`query_strings`], for a server that may be away or a table that may not be there yet.
pub(crate) fn try_query_strings(database: &Database, query: &str) -> Option<Vec<Vec<String>>> {
    run(&database.url, query).ok()
}

/// As [`query_strings`], on any server.
pub(crate) fn run(url: &str, statements: &str) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
    block_on(async {
        let client = connect(url).await?;
        let messages = client.simple_query(statements).await?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            // Row descriptions and command tags; the enum is the driver's and may grow.
            SimpleQueryMessage::CommandComplete(_) | SimpleQueryMessage::RowDescription(_) | _ => {
                None
            }
        });
        let value = |value: Option<&str>| value.unwrap_or("∅").to_owned();
        Ok(rows.map(|row| (0..row.len()).map(|at| value(row.get(at))).collect()).collect())
    })
}

/// A client of the driver's own, without what `pg::connect` sets.
pub(crate) async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let config: tokio_postgres::Config = url.parse()?;
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Waits for a future from any thread, also from one that is inside another runtime.
pub(crate) fn block_on<F>(future: F) -> F::Output
where
    F: Future + Send,
    F::Output: Send,
{
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    });
    thread::scope(|scope| match scope.spawn(|| runtime.block_on(future)).join() {
        Ok(output) => output,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
