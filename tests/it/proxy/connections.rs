//! What a client sees.

use std::{
    io::Read,
    net::TcpStream,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use backlot::branch::{Lock, LockKind};
use rustix::process::Signal;
use tokio_postgres::NoTls;

use super::{
    Opens, SOON, postmaster, proxy_log, put_to_sleep, signal, socket_url, sqlstate, starts,
};
use crate::branch::rig::Project;
use crate::support::{binaries, database, wait_for};

/// What is not waited for comes within this: less than a client is held (30 s).
const AT_ONCE: Duration = Duration::from_secs(25);

fn with_password(url: &str, password: &str) -> String {
    let (head, tail) = url.split_once('@').unwrap();
    let (user, _) = head.rsplit_once(':').unwrap();
    format!("{user}:{password}@{tail}")
}

#[test]
fn twenty_clients_at_once_wake_one_server() {
    for binaries in binaries() {
        let project = Project::init(binaries);
        let url = project.url("main");
        put_to_sleep(&project, "main");
        let before = starts(&project, "main");
        let clients: Vec<_> = (0..20)
            .map(|number| {
                let url = url.clone();
                thread::spawn(move || database::run(&url, &format!("select {number}")))
            })
            .collect();
        for (number, client) in clients.into_iter().enumerate() {
            assert_eq!(client.join().unwrap().unwrap(), [[number.to_string()]]);
        }
        assert_eq!(starts(&project, "main"), before + 1);
    }
}

#[test]
fn only_the_branchs_password_of_the_branchs_user_opens_the_port() {
    let project = Project::init(&binaries()[0]);
    let url = project.url("main");
    put_to_sleep(&project, "main");
    let before = starts(&project, "main");
    let wrong = with_password(&url, "wrong");
    let stranger = url.replace("//postgres:", "//stranger:");
    for url in [&wrong, &stranger] {
        let error = database::run(url, "select 1").unwrap_err();
        assert_eq!(sqlstate(&error), "28P01", "{error:?}");
    }
    assert_eq!(starts(&project, "main"), before, "a stranger woke the server");
    assert!(!proxy_log(&project).contains("stranger"), "the log repeats what a client said");
    let elsewhere = format!("{}/nowhere", url.rsplit_once('/').unwrap().0);
    assert_eq!(sqlstate(&database::run(&elsewhere, "select 1").unwrap_err()), "3D000");

    // Another password holds at once, for new clients.
    project.run(&["branch", "set", "main", "password=rotate"]).expect_code(0);
    assert_eq!(sqlstate(&database::run(&url, "select 1").unwrap_err()), "28P01");
    assert_eq!(project.value("main", "select 1"), "1");
}

#[test]
fn a_cancel_request_reaches_the_right_server() {
    let project = Project::init(&binaries()[0]);
    project.create("dev");
    let url = project.url("dev");
    database::block_on(async {
        let config: tokio_postgres::Config = url.parse().unwrap();
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        let token = client.cancel_token();
        let query = tokio::spawn(async move {
            let error = client.simple_query("select pg_sleep(600)").await.unwrap_err();
            (client, error)
        });
        // Before the query has begun a cancel does nothing: again until it does.
        while !query.is_finished() {
            token.cancel_query(NoTls).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let (client, error) = query.await.unwrap();
        assert_eq!(sqlstate(&error), "57014");
        client.simple_query("select 1").await.expect("the session goes on");
    });
}

/// psql asks for SSL and GSS first; the newest asks for protocol 3.2 when told to.
#[test]
fn psql_gets_in_with_its_options() {
    for binaries in binaries().iter().filter(|binaries| binaries.has_client_tools) {
        let project = Project::init(binaries);
        project.sql("main", "create schema v2; create table v2.t as select 'found' as v");
        let url = project.url("main");
        let psql = |url: &str, sql: &str| {
            let mut command = Command::new(binaries.program("psql"));
            command.args(["-X", "-A", "-t", "-c", sql, url]).env_remove("PGPASSWORD");
            let output = command.output().unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
            (text(&output.stdout), text(&output.stderr))
        };
        let newest = if binaries.major >= 18 { "&max_protocol_version=latest" } else { "" };
        let url = format!("{url}?sslmode=prefer{newest}");
        let search_path = format!("{url}&options=-c%20search_path%3Dv2&application_name=shell");
        let query = "select v, current_setting('application_name') from t";
        assert_eq!(psql(&search_path, query), ("found|shell".into(), String::new()));
        let (out, error) = psql(&url.replace("sslmode=prefer", "sslmode=require"), "select 1");
        assert!(out.is_empty() && error.contains("SSL"), "{error}");
        let (_, error) = psql(&with_password(&url, "wrong"), "select 1");
        assert!(error.contains("password authentication failed"), "{error}");
        let replication = format!("{url}&replication=database");
        let (out, error) = psql(&replication, "IDENTIFY_SYSTEM");
        assert!(out.ends_with("|app") && error.is_empty(), "{out} {error}");
    }
}

#[test]
fn a_hundred_megabytes_go_through_both_ways() {
    let binaries = binaries().iter().find(|binaries| binaries.has_client_tools).unwrap();
    let project = Project::init(binaries);
    let url = project.url("main");
    project.sql("main", "create table t (id int, v text)");
    let file = project.folder.join("rows");
    let psql = |sql: &str| {
        let output = Command::new(binaries.program("psql"))
            .args(["-X", "-v", "ON_ERROR_STOP=1", "-c", sql, &url])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let rows = "select n, repeat(md5(n::text), 31) from generate_series(1, 100000) n";
    psql(&format!("\\copy ({rows}) to '{}'", file.display()));
    assert!(std::fs::metadata(&file).unwrap().len() > 99_000_000);
    psql(&format!("\\copy t from '{}'", file.display()));
    let differing = format!("select count(*) from (select * from t except {rows}) d");
    assert_eq!(project.value("main", &differing), "0");
    assert_eq!(project.value("main", "select count(*) from t"), "100000");
}

/// A statement longer than any buffer, and one session's many small ones after each other.
#[test]
fn messages_of_any_size_arrive_whole() {
    let project = Project::init(&binaries()[0]);
    let url = project.url("main");
    let long = "x".repeat(5_000_000);
    let rows = database::run(&url, &format!("select length('{long}'), '{long}'")).unwrap();
    assert_eq!(rows[0][0], "5000000");
    assert_eq!(rows[0][1], long);
    let many = "select 1;".repeat(2_000);
    assert_eq!(database::run(&url, &many).unwrap().len(), 2_000);
}

#[test]
fn clients_wait_while_somebody_has_the_branch_for_himself() {
    let project = Project::init(&binaries()[0]);
    let url = project.url("main");
    let lock = project.directories()[0].join("branch.lock");
    let lock = Lock::wait(&lock, LockKind::Exclusive, "main", SOON).unwrap();
    let is_free = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (url, is_free) = (url.clone(), is_free.clone());
            thread::spawn(move || {
                database::run(&url, "select 1").unwrap();
                assert!(is_free.load(Ordering::SeqCst), "a client did not wait");
            })
        })
        .collect();
    // Time for those who do not wait to get in.
    wait_for("the clients to be there", SOON, || connections(&url) >= clients.len());
    is_free.store(true, Ordering::SeqCst);
    drop(lock);
    for client in clients {
        client.join().unwrap();
    }
}

fn port(url: &str) -> u16 {
    url.rsplit_once(':').unwrap().1.split('/').next().unwrap().parse().unwrap()
}

/// Of clients to the port, as the kernel counts them.
fn connections(url: &str) -> usize {
    let text = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let to_port = format!("0100007F:{:04X} 01", port(url));
    text.lines().filter(|line| line.contains(&to_port)).count()
}

#[test]
fn a_client_that_leaves_while_it_waits_is_let_go() {
    let project = Project::init(&binaries()[0]);
    let url = project.url("main");
    let path = project.directories()[0].join("branch.lock");
    let lock = Lock::wait(&path, LockKind::Exclusive, "main", SOON).unwrap();
    let opens = Opens::of(&path);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config: tokio_postgres::Config = url.parse().unwrap();
    runtime.spawn(async move { config.connect(NoTls).await.map(drop) });
    opens.wait();
    drop(runtime);
    wait_for("the proxy to wait no more", AT_ONCE, || opens.have_ended());
    drop(lock);
}

#[test]
fn a_client_of_a_branch_that_is_being_deleted_is_told_at_once() {
    let project = Project::init(&binaries()[0]);
    let id = project.create("dev")["branch"]["id"].as_str().unwrap().to_owned();
    let url = project.url("dev");
    let path = project.state().join("branches").join(id).join("branch.lock");
    let lock = Lock::wait(&path, LockKind::Exclusive, "dev", SOON).unwrap();
    let opens = Opens::of(&path);
    let client = thread::spawn(move || database::run(&url, "select 1").unwrap_err());
    opens.wait();
    // As `branch delete` begins.
    let catalog = project.state().join("catalog.json");
    let text = std::fs::read_to_string(&catalog).unwrap();
    let mut rows: serde_json::Value = serde_json::from_str(&text).unwrap();
    rows["branches"][1]["state"] = "deleting".into();
    std::fs::write(catalog.with_extension("new"), rows.to_string()).unwrap();
    std::fs::rename(catalog.with_extension("new"), &catalog).unwrap();
    assert_eq!(sqlstate(&client.join().unwrap()), "3D000");
    drop(lock);
}

/// A smart shutdown refuses new sessions and goes on as long as there is an old one.
#[test]
fn a_client_that_comes_while_the_server_ends_gets_the_next_one() {
    let project = Project::init(&binaries()[0]);
    let (url, socket) = (project.url("main"), socket_url(&project));
    let before = starts(&project, "main");
    let lock = project.directories()[0].join("branch.lock");
    database::block_on(async {
        let config: tokio_postgres::Config = socket.parse().unwrap();
        let (session, connection) = config.connect(NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        signal(postmaster(&project), Signal::TERM);
        while config.connect(NoTls).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let client = thread::spawn(move || database::run(&url, "select 1"));
        let is_taken = || Lock::attempt(&lock, LockKind::Shared).unwrap().is_none();
        wait_for("the proxy to wait for the server", SOON, is_taken);
        drop(session);
        connection.await.unwrap().unwrap();
        assert_eq!(client.join().unwrap().unwrap(), [["1"]]);
    });
    assert_eq!(starts(&project, "main"), before + 1);
}

#[test]
fn a_server_that_lets_nobody_in_is_not_tried_again() {
    let project = Project::init(&binaries()[0]);
    let url = project.url("main");
    let rules = project.directories()[0].join("data/pg_hba.conf");
    std::fs::write(rules, "local all all scram-sha-256\n").unwrap();
    database::run(&url, "select pg_reload_conf()").unwrap();
    wait_for("the rules to hold", SOON, || database::run(&socket_url(&project), "").is_err());
    let began = Instant::now();
    let error = database::run(&url, "select 1").unwrap_err();
    assert_eq!(sqlstate(&error), "57P03", "{error:?}");
    let message = error.as_db_error().unwrap().message();
    assert!(message.contains("asks for a password"), "{message}");
    assert!(began.elapsed() < AT_ONCE, "it was tried for {:?}", began.elapsed());
}

#[test]
fn a_client_that_says_nothing_is_hung_up_on() {
    let project = Project::init(&binaries()[0]);
    let mut client = TcpStream::connect(("127.0.0.1", port(&project.url("main")))).unwrap();
    client.set_read_timeout(Some(AT_ONCE)).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_branch_that_cannot_start_says_why() {
    let project = Project::init(&binaries()[0]);
    let url = project.url("main");
    put_to_sleep(&project, "main");
    project
        .run(&["branch", "set", "main", "setting.shared_preload_libraries=no_such_library"])
        .expect_code(0);
    let error = database::run(&url, "select 1").unwrap_err();
    assert_eq!(sqlstate(&error), "57P03", "{error:?}");
    let error = error.as_db_error().unwrap();
    assert!(error.message().contains("no_such_library"), "{}", error.message());
    assert_eq!(error.hint(), Some("`backlot branch logs main` shows what its server says"));
    // Mended, it wakes.
    project.run(&["branch", "set", "main", "setting.shared_preload_libraries="]).expect_code(0);
    assert_eq!(database::run(&url, "select 1").unwrap(), [["1"]]);
}

#[test]
fn a_url_can_be_of_one_version_of_the_schema() {
    let project = Project::init(&binaries()[0]);
    let error = project.error(&["branch", "url", "--schema", "latest"], 4);
    assert!(error["hint"].as_str().unwrap().contains("roll"), "{error}");
    let file = project.folder.join("01_shop.json");
    let create = r#"{"operations": [{"create_table": {"name": "t",
        "columns": [{"name": "id", "type": "int", "pk": true}]}}]}"#;
    std::fs::write(&file, create).unwrap();
    project.run(&["roll", "init"]).expect_code(0);
    project.run(&["roll", "start", file.to_str().unwrap(), "--complete"]).expect_code(0);
    for version in ["latest", "01_shop"] {
        let url = project.run(&["branch", "url", "--schema", version]).expect_code(0).stdout;
        let rows = database::run(url.trim(), "select current_schema()").unwrap();
        assert_eq!(rows, [["public_01_shop"]]);
    }
    project.error(&["branch", "url", "--schema", "02_none"], 4);
}
