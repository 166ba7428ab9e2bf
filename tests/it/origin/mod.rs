//! The source's side of a stream: publications, slot, and that the source is unharmed.

mod doctor;
mod follow;
mod harm;
mod identity;
mod interrupted;
mod roles;
mod standby;
mod stop;

use crate::support::{
    Cluster, Database, Output, backlot, database,
    database::{block_on, connect},
    query_strings, query_value, sql,
};

/// Runs `backlot ARGS` with the source's and the target's URL in its environment.
fn run(source: &str, target: &str, args: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    backlot(dir.path(), args, &[("BACKLOT_SOURCE_URL", source), ("BACKLOT_TARGET_URL", target)])
}

/// A role that may log in, and the database's URL as it.
fn role(database: &Database, attributes: &str) -> (String, String) {
    let name = format!("r_{}", database.name);
    sql(database, &format!("create role \"{name}\" login {attributes}"));
    let user = format!("user={}", query_value(database, "select current_user"));
    assert!(database.url.contains(&user), "{}", database.url);
    let url = database.url.replacen(&user, &format!("user={name}"), 1);
    (name, url)
}

/// A transaction that has written and stays open.
fn open_transaction(source: &Database) -> tokio_postgres::Client {
    let client = block_on(connect(&source.url)).unwrap();
    block_on(client.batch_execute("begin; create table in_the_way ()")).unwrap();
    client
}

/// Slots and publications of the source's database.
fn left(source: &Database) -> Vec<String> {
    let query =
        "select slot_name::text from pg_replication_slots where database = current_database()
        union all select pubname from pg_publication order by 1";
    query_strings(source, query).into_iter().map(|mut row| row.remove(0)).collect()
}

fn small(cluster: &'static Cluster, name: &str) -> Database {
    let source = database(cluster, name);
    sql(&source, "create table t (id int primary key, note text); insert into t select n, 'n' from generate_series(1, 50) n;
        create table keyless (a int); insert into keyless values (1)");
    source
}
