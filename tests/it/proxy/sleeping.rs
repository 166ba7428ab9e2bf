//! When a branch sleeps, and when it must not.

use backlot::pg::{ConnInfo, Replication};
use rustix::process::Signal;
use tokio_postgres::NoTls;

use super::{SOON, condition, postmaster, proxy_log, put_to_sleep, signal, socket_url, stops};
use crate::branch::rig::Project;
use crate::support::{binaries, database, wait_for};

/// Sleeps a second after its last use.
fn light_sleeper() -> Project {
    let project = Project::init(&binaries()[0]);
    project.run(&["branch", "set", "main", "sleep-after=1s"]).expect_code(0);
    project
}

/// The proxy has looked, and decided.
fn stays_awake(project: &Project, reason: &str) {
    let line = |line: &str| line.contains("stays awake") && line.contains(reason);
    wait_for(reason, SOON, || proxy_log(project).lines().any(line));
    assert_eq!(condition(project, "main"), "running");
}

fn sleeps(project: &Project) {
    wait_for("the branch to sleep", SOON, || condition(project, "main") == "asleep");
    // Nothing is left of it but files.
    let data = project.directories()[0].join("data");
    assert!(!data.join("postmaster.pid").exists());
    assert_eq!(processes_in(&data), 0);
}

/// Processes that work in a directory, those of this machine's others included.
fn processes_in(data: &std::path::Path) -> usize {
    let data = data.canonicalize().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let cwd = |entry: std::fs::DirEntry| std::fs::read_link(entry.path().join("cwd")).ok();
    processes.filter_map(cwd).filter(|cwd| *cwd == data).count()
}

#[test]
fn a_branch_sleeps_and_wakes_and_remembers_its_last_use() {
    let project = light_sleeper();
    let url = project.url("main");
    let created = project.json(&["branch", "describe", "main"])["last_used_at"].clone();
    database::run(&url, "create table t as select 1 as v").unwrap();
    sleeps(&project);
    assert_eq!(database::run(&url, "select v from t").unwrap(), [["1"]]);
    sleeps(&project);
    wait_for("the last use to be noted", SOON, || {
        project.json(&["branch", "describe", "main"])["last_used_at"].as_str() > created.as_str()
    });
}

#[test]
fn a_connected_client_keeps_its_branch_awake() {
    let project = light_sleeper();
    let url = project.url("main");
    database::block_on(async {
        let config: tokio_postgres::Config = url.parse().unwrap();
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("begin; create temp table mine as select 7 as v").await.unwrap();
        stays_awake(&project, "a client");
        let row = client.query_one("select v from mine", &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 7);
    });
    assert_eq!(stops(&project, "main"), 0);
    sleeps(&project);
}

#[test]
fn an_open_transaction_and_an_index_build_keep_the_branch_awake() {
    let project = light_sleeper();
    project.sql("main", "create table t as select 1 as v");
    let url = socket_url(&project);
    database::block_on(async {
        let config: tokio_postgres::Config = url.parse().unwrap();
        let (old, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        // Idle, and in a transaction whose snapshot the build must wait for.
        old.batch_execute("begin isolation level repeatable read; select from t").await.unwrap();
        stays_awake(&project, "a transaction");
        let (builder, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        let build = tokio::spawn(async move {
            builder.batch_execute("create index concurrently i on t (v)").await
        });
        let waits = "select 1 from pg_stat_progress_create_index";
        while old.query("select 1", &[]).await.is_ok() && database_rows(&config, waits).await == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        old.batch_execute("commit").await.unwrap();
        drop(old);
        build.await.unwrap().unwrap();
    });
    assert_eq!(stops(&project, "main"), 0);
    sleeps(&project);
    let valid = "select indisvalid from pg_index where indexrelid = 'i'::regclass";
    assert_eq!(project.value("main", valid), "t");
}

async fn database_rows(config: &tokio_postgres::Config, query: &str) -> usize {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client.query(query, &[]).await.unwrap().len()
}

#[test]
fn a_walsender_keeps_the_branch_awake() {
    let project = light_sleeper();
    for url in [project.url("main"), socket_url(&project)] {
        let before = stops(&project, "main");
        let info = ConnInfo::parse(&url).unwrap();
        let mut walsender = Replication::connect(&info, "walsender of a test").unwrap();
        let reason = if info.is_unix_socket() { "replication" } else { "a client" };
        stays_awake(&project, reason);
        walsender.identify_system().unwrap();
        assert_eq!(stops(&project, "main"), before);
        drop(walsender);
        sleeps(&project);
        project.url("main");
    }
}

#[test]
fn a_backfill_keeps_the_branch_awake() {
    let project = light_sleeper();
    project.sql(
        "main",
        "create table t (id int primary key, v text); \
        insert into t select n, 'v' from generate_series(1, 40) n",
    );
    let before = stops(&project, "main");
    let file = project.folder.join("01_add.json");
    std::fs::write(
        &file,
        r#"{"operations": [{"add_column": {"table": "t", "up": "upper(v)",
            "column": {"name": "w", "type": "text", "nullable": true}}}]}"#,
    )
    .unwrap();
    // Between its batches it is idle for longer than the branch waits before it sleeps.
    let args = ["--backfill-batch-size", "10", "--backfill-batch-delay", "2s"];
    let folder = project.folder.to_str().unwrap();
    project.run(&["roll", "init"]).expect_code(0);
    project.run(&["roll", "baseline", "00_begin", folder]).expect_code(0);
    let path = file.to_str().unwrap();
    project.run(&[&["roll", "start", path][..], &args].concat()).expect_code(0);
    assert_eq!(stops(&project, "main"), before);
    assert_eq!(project.value("main", "select count(*) from t where _pgroll_new_w = 'V'"), "40");
    sleeps(&project);
}

#[test]
fn a_subscription_keeps_the_branch_awake_though_its_source_is_away() {
    let project = light_sleeper();
    project.sql(
        "main",
        "create subscription s connection 'host=/nonexistent' publication p \
        with (connect = false, slot_name = none)",
    );
    sleeps(&project);
    project.url("main");
    project.sql("main", "alter subscription s set (slot_name = 's'); alter subscription s enable");
    stays_awake(&project, "a subscription");
}

/// Goes on when it is dropped.
struct Hanging(u32);

impl Hanging {
    fn new(pid: u32) -> Self {
        signal(pid, Signal::STOP);
        Self(pid)
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        signal(self.0, Signal::CONT);
    }
}

/// Processes that nobody has collected, of this parent.
fn zombies_of(parent: u64) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let stat = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("stat")).ok();
    let is_one = |stat: &String| {
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(&format!(" Z {parent} ")))
    };
    processes.filter_map(stat).filter(is_one).count()
}

#[test]
fn a_server_that_hangs_is_not_waited_for_and_sleeps_when_it_is_well() {
    let project = Project::init(&binaries()[0]);
    let url = project.url("main");
    put_to_sleep(&project, "main");
    // The proxy starts it: it is the proxy's to collect.
    database::run(&url, "select 1").unwrap();
    let hanging = Hanging::new(postmaster(&project));
    project.run(&["branch", "set", "main", "sleep-after=1s"]).expect_code(0);
    wait_for("the proxy to give up", SOON, || proxy_log(&project).contains("not put to sleep"));
    drop(hanging);
    sleeps(&project);
    let proxy = project.json(&["proxy", "status"])["proxy"]["pid"].as_u64().unwrap();
    wait_for("the process to be collected", SOON, || zombies_of(proxy) == 0);
}

#[test]
fn a_branch_whose_postgres_database_was_dropped_sleeps() {
    let project = light_sleeper();
    project.sql("main", "drop database postgres");
    sleeps(&project);
    assert_eq!(project.value("main", "select 1"), "1");
}
