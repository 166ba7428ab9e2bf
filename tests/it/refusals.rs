//! What a clone does with bad input and broken servers: a clear error that names the object and
//! the next step, the right exit code, nothing lost, no row and no password shown.

use crate::support::{
    self, Cluster, Database, Output, binaries, database, query_value, servers, sql, wait_for,
};
use backlot::instance::{Binaries, Listen, Server, ServerGuard, ServerOptions, StopMode};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const PASSWORD: &str = "hunter2-never-shown";
const CANARY: &str = "Zq7row";

fn newest() -> &'static Cluster {
    servers().last().unwrap()
}

/// A source with two tables and rows that no message may quote.
fn source(cluster: &'static Cluster) -> Database {
    let source = database(cluster, "refusals_source");
    let rows =
        format!("select g, '{CANARY}' || g || '@corp-mail.net' from generate_series(1, 100) g");
    sql(
        &source,
        &format!(
            "create table users (id int primary key, email text unique); insert into users {rows}; create table notes (id int, note text); insert into notes {rows}"
        ),
    );
    source
}

/// A source that takes some seconds to copy in small ranges.
fn large_source(cluster: &'static Cluster) -> Database {
    let source = database(cluster, "refusals_large");
    sql(
        &source,
        "create table big (id int primary key, email text, body text); \
                  insert into big select g, 'Zq7row' || g || '@corp-mail.net', repeat('lorem ipsum ', 30) from generate_series(1, 150000) g",
    );
    source
}

fn start(source: &str, target: &str, flags: &[&str]) -> Output {
    start_in(tempfile::tempdir().unwrap().path(), source, target, flags, &[("BACKLOT_KEY", KEY)])
}

fn start_in(
    dir: &Path,
    source: &str,
    target: &str,
    flags: &[&str],
    env: &[(&str, &str)],
) -> Output {
    support::backlot(dir, &arguments(source, target, flags), env)
}

fn arguments(source: &str, target: &str, flags: &[&str]) -> Vec<String> {
    let fixed = [
        "clone",
        "start",
        "--source-url",
        source,
        "--target-url",
        target,
        "--hold-snapshot",
        "120s",
    ];
    fixed.iter().chain(flags).map(|one| (*one).to_owned()).collect()
}

/// The clone as a child that can be watched and signalled.
fn spawn(source: &str, target: &str, flags: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_backlot"))
        .args(arguments(source, target, flags))
        .env("BACKLOT_KEY", KEY)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn finished(child: Child) -> Output {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Output {
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
        code: output.status.code(),
    }
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

/// The error in words and as JSON: code, what each must say, and nothing that it must not.
#[track_caller]
fn refused(source: &str, target: &str, flags: &[&str], code: i32, name: &str, says: &[&str]) {
    let plain = start(source, target, flags);
    says_so(&plain, code, says);
    let mut json_flags = flags.to_vec();
    json_flags.push("--json");
    let json = start(source, target, &json_flags);
    json_says_so(&json, code, name, says);
}

#[track_caller]
fn says_so(output: &Output, code: i32, says: &[&str]) {
    let Output { stdout, stderr, .. } = output;
    assert_eq!(output.code, Some(code), "stdout:\n{stdout}\nstderr:\n{stderr}");
    assert!(stderr.contains("error: "), "{stderr}");
    assert!(stderr.contains("hint: "), "no next step: {stderr}");
    for word in says {
        assert!(stderr.contains(word), "does not say {word}: {stderr}");
    }
    shows_nothing(output);
}

#[track_caller]
fn json_says_so(output: &Output, code: i32, name: &str, says: &[&str]) {
    let Output { stdout, stderr, .. } = output;
    assert_eq!(output.code, Some(code), "stdout:\n{stdout}\nstderr:\n{stderr}");
    let error: serde_json::Value =
        serde_json::from_str(stderr.trim()).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    assert_eq!(error["error"]["code"], name, "{stderr}");
    for word in says {
        assert!(
            error.to_string().contains(&word.replace('"', "\\\"")),
            "does not say {word}: {stderr}"
        );
    }
    for line in stdout.lines() {
        serde_json::from_str::<serde_json::Value>(line)
            .unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    shows_nothing(output);
}

#[track_caller]
fn shows_nothing(output: &Output) {
    for text in [&output.stdout, &output.stderr] {
        assert!(
            !text.contains(CANARY) && !text.contains(PASSWORD) && !text.contains(KEY),
            "{text}"
        );
    }
}

#[track_caller]
fn is_empty(target: &Database) {
    let count = "select count(*) from pg_class where relnamespace = 'public'::regnamespace";
    assert_eq!(query_value(target, count), "0");
    assert_eq!(query_value(target, "select to_regnamespace('backlot') is null"), "t");
}

fn with_role(source: &Database, role: &str) -> String {
    source.url.replace("user=postgres", &format!("user={role}"))
}

#[test]
fn a_server_that_cannot_be_reached_is_named() {
    let (source, target) = (source(newest()), database(newest(), "refusals_target"));
    let nobody = format!("postgres://me:{PASSWORD}@127.0.0.1:1/app");
    refused(&nobody, &target.url, &[], 8, "unreachable", &["source", "127.0.0.1:1"]);
    refused(&source.url, &nobody, &[], 8, "unreachable", &["target", "127.0.0.1:1"]);
    let nowhere = format!("postgres://me:{PASSWORD}@no-such-host.invalid/app");
    refused(&nowhere, &target.url, &[], 8, "unreachable", &["source", "no-such-host.invalid"]);
    is_empty(&target);
}

#[test]
fn a_malformed_url_is_a_usage_error_that_does_not_repeat_it() {
    let target = database(newest(), "refusals_target");
    for url in [
        PASSWORD.to_owned(),
        format!("postgres://u:{PASSWORD}@h:port/d"),
        format!("postgres://u:{PASSWORD}@h/d?sslmode={PASSWORD}"),
        format!("mysql://u:{PASSWORD}@h/d"),
    ] {
        refused(&url, &target.url, &[], 2, "usage", &["--source-url"]);
    }
}

#[test]
fn a_wrong_password_is_an_authentication_error() {
    let cluster = newest();
    let dir = tempfile::tempdir().unwrap().keep();
    std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let options = ServerOptions {
        listen: Listen::Loopback { port: None, password: "right".into() },
        ..ServerOptions::scratch()
    };
    let server = Server::init(cluster.server().binaries(), &dir.join("data"), options).unwrap();
    let mut server = ServerGuard::removing(server, dir).unwrap();
    server.start().unwrap();
    let port = server.port();
    let target = database(cluster, "refusals_target");
    let wrong = format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/postgres");
    refused(&wrong, &target.url, &[], 3, "auth", &["source", "password"]);
    refused(&target.url, &wrong, &[], 3, "auth", &["target", "password"]);
    is_empty(&target);
}

#[test]
fn a_missing_database_or_table_is_named() {
    let (source, target) = (source(newest()), database(newest(), "refusals_target"));
    let missing = newest().url("no_such_database");
    refused(&missing, &target.url, &[], 4, "not_found", &["no_such_database", "source"]);
    refused(&source.url, &missing, &[], 4, "not_found", &["no_such_database", "target"]);
    refused(
        &source.url,
        &target.url,
        &["--tables", "public.userz"],
        4,
        "not_found",
        &["public.userz"],
    );
    refused(
        &source.url,
        &target.url,
        &["--where", "public.userz=true"],
        4,
        "not_found",
        &["public.userz"],
    );
    is_empty(&target);
}

#[test]
fn tables_that_the_role_may_not_read_or_not_wholly_are_named() {
    let (source, target) = (source(newest()), database(newest(), "refusals_target"));
    let role = format!("reader_{}", source.name);
    sql(&source, &format!("create role \"{role}\" login; grant select on users to \"{role}\""));
    let url = with_role(&source, &role);
    refused(&url, &target.url, &[], 3, "auth", &["public.notes"]);
    sql(
        &source,
        &format!(
            "grant select on notes to \"{role}\"; alter table notes enable row level security; create policy few on notes using (id < 10)"
        ),
    );
    refused(&url, &target.url, &[], 7, "refused", &["notes", "BYPASSRLS"]);
    is_empty(&target);
}

#[test]
fn a_target_that_holds_data_is_left_as_it_is() {
    let (source, target) = (source(newest()), database(newest(), "refusals_target"));
    sql(&target, "create table precious (id int); insert into precious values (1)");
    refused(&source.url, &target.url, &[], 7, "refused", &["public.precious", "--replace"]);
    assert_eq!(query_value(&target, "select count(*) from precious"), "1");
    assert_eq!(query_value(&target, "select to_regnamespace('backlot') is null"), "t");
}

#[test]
fn source_and_target_may_not_be_one_database_whatever_they_are_called() {
    let source = source(newest());
    refused(&source.url, &source.url, &[], 7, "refused", &["same database"]);
    let link = tempfile::tempdir().unwrap();
    let other = link.path().join("s");
    std::os::unix::fs::symlink(newest().server().socket_dir(), &other).unwrap();
    let (port, name) = (newest().server().port(), &source.name);
    let alias = format!("host={} port={port} user=postgres dbname={name}", other.display());
    refused(&source.url, &alias, &[], 7, "refused", &["same database"]);
    assert_eq!(query_value(&source, "select count(*) from users"), "100");
}

#[test]
fn every_mistake_of_a_configuration_is_shown_with_its_place() {
    let (source, target) = (source(newest()), database(newest(), "refusals_target"));
    let dir = tempfile::tempdir().unwrap();
    let text = "version: 1\nprofil: realistic\ntables:\n  public.users:\n    columns:\n      email: emial\n      mail: email\n      id: full_name\n  public.userz:\n    columns:\n      x: keep\n  public.notes:\n    colums: {}\n    columns:\n      note: {transform: number_bucket}\n      id: {transform: date_shift, max_days: 0}\n      extra: nonsense\nreferences: [{from: public.x.y, to: public.users.email}]\n";
    std::fs::write(dir.path().join("t.yaml"), text).unwrap();
    let mut places = std::collections::BTreeSet::new();
    // Mistakes of the file first, then those against the catalog.
    for text in [text.to_owned(), "version: 1\ntables:\n  public.users:\n    columns:\n      mail: email\n      id: full_name\n      email: city\n  public.userz:\n    columns:\n      x: keep\nreferences: [{from: public.x.y, to: public.users.email}]\n".to_owned()] {
        std::fs::write(dir.path().join("t.yaml"), text).unwrap();
        let flags = ["--config", "t.yaml"];
        let output = start_in(dir.path(), &source.url, &target.url, &flags, &[("BACKLOT_KEY", KEY)]);
        assert_eq!(output.code, Some(2), "{}", output.stderr);
        let found = output.stderr.lines().filter_map(|line| line.split("t.yaml:").nth(1));
        places.extend(found.filter_map(|rest| rest.split(": error").next().map(str::to_owned)));
        assert!(output.stderr.contains("hint: "), "{}", output.stderr);
        let output = start_in(dir.path(), &source.url, &target.url, &["--config", "t.yaml", "--json"], &[("BACKLOT_KEY", KEY)]);
        json_says_so(&output, 2, "usage", &["t.yaml:"]);
    }
    assert!(places.len() >= 10, "{places:?}");
    assert!(
        places.iter().all(|place| place.split(':').all(|part| part.parse::<u32>().is_ok())),
        "{places:?}"
    );
    is_empty(&target);
}

#[test]
fn a_missing_file_and_a_missing_or_malformed_key_are_usage_errors() {
    let (source, target) = (source(newest()), database(newest(), "refusals_target"));
    refused(&source.url, &target.url, &["--config", "no.yaml"], 2, "usage", &["no.yaml"]);
    refused(&source.url, &target.url, &["--key-file", "no.key"], 2, "usage", &["no.key"]);
    let dir = tempfile::tempdir().unwrap();
    let output = start_in(dir.path(), &source.url, &target.url, &[], &[]);
    says_so(&output, 2, &["no key", "BACKLOT_KEY"]);
    for bad in ["too short", PASSWORD, &KEY[..62]] {
        let output = start_in(dir.path(), &source.url, &target.url, &[], &[("BACKLOT_KEY", bad)]);
        says_so(&output, 2, &["key"]);
    }
    is_empty(&target);
}

#[test]
fn an_unknown_flag_is_a_usage_error_also_in_json() {
    let output = support::backlot(Path::new("/"), &["clone", "start", "--no-such-flag"], &[]);
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("--no-such-flag"));
    let output =
        support::backlot(Path::new("/"), &["clone", "start", "--no-such-flag", "--json"], &[]);
    json_says_so(&output, 2, "usage", &["--no-such-flag"]);
}

#[test]
fn a_target_older_than_the_source_is_refused() {
    if binaries().len() < 2 {
        eprintln!("skipped: one PostgreSQL version only");
        return;
    }
    let (source, target) =
        (source(newest()), database(servers().next().unwrap(), "refusals_target"));
    refused(&source.url, &target.url, &[], 7, "refused", &["target", "older"]);
    is_empty(&target);
}

#[test]
fn a_machine_without_pg_dump_is_told_what_to_install() {
    let (source, target) = (source(newest()), database(newest(), "refusals_target"));
    let empty = tempfile::tempdir().unwrap();
    let nothing = empty.path().to_str().unwrap();
    let env =
        [("BACKLOT_KEY", KEY), ("BACKLOT_PG_BIN", nothing), ("PATH", nothing), ("HOME", nothing)];
    let output = start_in(empty.path(), &source.url, &target.url, &[], &env);
    // Installations in well-known directories are found without any variable.
    if output.code == Some(0) {
        eprintln!("skipped: PostgreSQL is installed where backlot looks by itself");
    } else {
        says_so(&output, 8, &["pg_dump", "BACKLOT_PG_BIN"]);
        is_empty(&target);
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let (source, target) = (source(newest()), database(newest(), "refusals_target"));
    start(&source.url, &target.url, &["--dry-run"]).expect_code(0);
    is_empty(&target);
    let output = start(&source.url, &target.url, &["--dry-run", "--json"]).expect_code(0);
    assert_eq!(output.json()["event"], "plan");
    is_empty(&target);
}

#[test]
fn a_timeout_keeps_what_is_done_and_the_next_run_goes_on() {
    let (source, target) = (large_source(newest()), database(newest(), "refusals_target"));
    let slow = lock(&source, "big");
    refused(&source.url, &target.url, &["--timeout", "1s"], 6, "timeout", &["1 s", "run it again"]);
    drop(slow);
    start(&source.url, &target.url, &[]).expect_code(0);
    assert_eq!(query_value(&target, "select count(*) from big"), "150000");
}

/// Holds a table so that nobody else can read it, until it is dropped.
fn lock(database: &Database, table: &str) -> tokio_postgres::Client {
    support::database::block_on(async {
        let client = support::database::connect(&database.url).await.unwrap();
        client
            .batch_execute(&format!("begin; lock table {table} in access exclusive mode"))
            .await
            .unwrap();
        client
    })
}

#[test]
fn a_lock_that_is_held_for_long_is_a_conflict() {
    let (source, target) = (source(newest()), database(newest(), "refusals_target"));
    let held = lock(&source, "notes");
    refused(&source.url, &target.url, &[], 5, "conflict", &["source", "lock"]);
    drop(held);
    is_empty(&target);
}

#[test]
fn a_second_clone_into_the_same_target_is_a_conflict() {
    let (source, target) = (source(newest()), database(newest(), "refusals_target"));
    // The lock that a running clone holds: "backlot" in ASCII.
    let key = 0x0062_6163_6b6c_6f74_i64;
    let holder = support::database::block_on(support::database::connect(&target.url)).unwrap();
    let take = format!("select pg_advisory_lock({key})");
    support::database::block_on(holder.batch_execute(&take)).unwrap();
    refused(&source.url, &target.url, &[], 5, "conflict", &["another clone"]);
    is_empty(&target);
}

#[test]
fn ctrl_c_leaves_a_clone_that_can_go_on_and_says_so() {
    let (source, target) = (large_source(newest()), database(newest(), "refusals_target"));
    let flags = ["--jobs", "1", "--range-size", "1"];
    let child = spawn(&source.url, &target.url, &flags);
    wait_for("a range in the journal", Duration::from_mins(1), || has_range(&target.url));
    signal(&child, "-INT");
    let output = finished(child);
    says_so(&output, 130, &["interrupted", "same command again"]);
    let ranges = done_ranges(&target.url);
    let child = spawn(&source.url, &target.url, &[&flags[..], &["--json"]].concat());
    wait_for("another range in the journal", Duration::from_mins(1), || {
        done_ranges(&target.url) > ranges
    });
    signal(&child, "-INT");
    json_says_so(&finished(child), 130, "interrupted", &["same command again"]);
    goes_on(&source.url, &target.url, &flags);
}

fn done_ranges(url: &str) -> u64 {
    let done = "select count(*) from backlot.clone_range where done";
    support::database::run(url, done).map_or(0, |rows| rows[0][0].parse().unwrap())
}

fn has_range(url: &str) -> bool {
    done_ranges(url) > 0
}

#[track_caller]
fn goes_on(source: &str, target: &str, flags: &[&str]) {
    let mut flags = flags.to_vec();
    flags.push("--json");
    let output = start(source, target, &flags).expect_code(0);
    let summary: serde_json::Value =
        serde_json::from_str(output.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(summary["resumed"], true);
    let count = "select count(*), count(distinct id) from big";
    assert_eq!(support::database::run(target, count).unwrap(), [["150000", "150000"]]);
}

/// A server of its own, so that it can be stopped.
fn own_server(binaries: &Binaries, options: ServerOptions) -> ServerGuard {
    let dir = tempfile::Builder::new().prefix("backlot-refusals-").tempdir().unwrap().keep();
    std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let server = Server::init(binaries, &dir.join("data"), options).unwrap();
    let mut server = ServerGuard::removing(server, dir).unwrap();
    server.start().unwrap();
    server
}

#[test]
fn a_target_that_crashes_mid_way_is_named_and_the_same_command_goes_on() {
    let source = large_source(newest());
    let mut server = own_server(
        newest().server().binaries(),
        // What was answered is not lost with the server.
        ServerOptions::scratch().with("synchronous_commit", "on"),
    );
    let target = server.url("postgres");
    let flags = ["--jobs", "1", "--range-size", "1"];
    for kill in [true, false] {
        let json: &[&str] = if kill { &[] } else { &["--json"] };
        let ranges = done_ranges(&target);
        let child = spawn(&source.url, &target, &[&flags, json].concat());
        wait_for("another range in the journal", Duration::from_mins(1), || {
            done_ranges(&target) > ranges
        });
        if kill {
            server.kill9().unwrap();
            says_so(&finished(child), 8, &["target", "same command again"]);
        } else {
            server.stop(StopMode::Immediate).unwrap();
            json_says_so(&finished(child), 8, "unreachable", &["target"]);
        }
        server.start().unwrap();
    }
    goes_on(&source.url, &target, &flags);
}

#[test]
fn a_source_that_crashes_mid_way_is_named_and_the_same_command_completes() {
    let mut server = own_server(newest().server().binaries(), ServerOptions::scratch());
    let (source, target) = (server.url("postgres"), database(newest(), "refusals_target"));
    support::database::run(&source, "create table big (id int primary key, email text, body text); \
        insert into big select g, 'Zq7row' || g || '@corp-mail.net', repeat('lorem ipsum ', 30) from generate_series(1, 150000) g").unwrap();
    // A scratch server commits asynchronously: what is not flushed is gone after a crash.
    support::database::run(&source, "checkpoint").unwrap();
    let flags = ["--jobs", "1", "--range-size", "1"];
    let child = spawn(&source, &target.url, &flags);
    wait_for("a range in the journal", Duration::from_mins(1), || has_range(&target.url));
    server.kill9().unwrap();
    says_so(&finished(child), 8, &["source"]);
    server.start().unwrap();
    start(&source, &target.url, &flags).expect_code(0);
    assert_eq!(query_value(&target, "select count(*) from big"), "150000");
}

#[test]
fn too_few_connections_are_said_and_leave_a_clone_that_can_go_on() {
    let source = source(newest());
    let options = ServerOptions::scratch()
        .with("max_connections", "5")
        .with("superuser_reserved_connections", "0")
        .with("max_wal_senders", "2");
    let server = own_server(newest().server().binaries(), options);
    let target = server.url("postgres");
    let taken = support::database::block_on(async {
        let mut taken = Vec::new();
        for _ in 0..4 {
            taken.push(support::database::connect(&target).await.unwrap());
        }
        taken
    });
    refused(&source.url, &target, &[], 8, "unreachable", &["target", "connections"]);
    drop(taken);
    wait_for("the sessions to end", Duration::from_secs(10), || {
        let count = "select count(*) from pg_stat_activity where backend_type = 'client backend'";
        support::database::run(&target, count).is_ok_and(|rows| rows[0][0] == "1")
    });
    start(&source.url, &target, &["--jobs", "1"]).expect_code(0);
}

#[test]
fn a_full_disk_on_the_target_is_said_and_the_same_command_goes_on() {
    let mount = tempfile::tempdir().unwrap().keep();
    let size = |size: &str, how: &str| {
        Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("{how}size={size},mode=0777"), "tmpfs"])
            .arg(&mount)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if !size("24m", "") {
        eprintln!("skipped: no right to mount a small tmpfs");
        return;
    }
    let mounted = Mounted(mount.clone());
    let source = large_source(newest());
    let server = own_server(newest().server().binaries(), ServerOptions::scratch());
    let space = mount.join("space");
    std::fs::create_dir(&space).unwrap();
    std::fs::set_permissions(&space, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let owner = std::fs::metadata(server.data_dir()).unwrap();
    std::os::unix::fs::chown(
        &space,
        Some(std::os::unix::fs::MetadataExt::uid(&owner)),
        Some(std::os::unix::fs::MetadataExt::gid(&owner)),
    )
    .unwrap();
    let admin = server.url("postgres");
    support::database::run(
        &admin,
        &format!("create tablespace small location '{}'", space.display()),
    )
    .unwrap();
    support::database::run(&admin, "create database full_target tablespace small").unwrap();
    let target = server.url("full_target");
    let flags = ["--jobs", "1", "--range-size", "1"];
    says_so(&start(&source.url, &target, &flags), 8, &["disk", "same command again"]);
    assert!(size("400m", "remount,"));
    goes_on(&source.url, &target, &flags);
    drop(server);
    drop(mounted);
}

/// Unmounts when the test ends in whatever way.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}
