//! Local servers: found, made, started, stopped, killed, and never left behind.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::MetadataExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use backlot::instance::{
    Binaries, InstanceError, Listen, Search, Server, ServerGuard, ServerOptions, StopMode,
};
use secrecy::ExposeSecret;

use crate::support::{binaries, database::block_on, database::connect, search, wait_for};

/// A directory that the server's account can enter, removed with the guard.
fn scratch_dir() -> PathBuf {
    let dir = tempfile::Builder::new().prefix("backlot-instance-").tempdir().unwrap().keep();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn made(binaries: &Binaries, options: ServerOptions) -> ServerGuard {
    let dir = scratch_dir();
    let server = Server::init(binaries, &dir.join("data"), options).unwrap();
    ServerGuard::removing(server, dir).unwrap()
}

fn answer(url: &str, query: &str) -> String {
    block_on(async {
        let row = connect(url).await.unwrap().query_one(query, &[]).await.unwrap();
        row.get(0)
    })
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_server_lives_through_start_stop_kill_and_restart() {
    for binaries in binaries() {
        let mut server = made(binaries, ServerOptions::scratch());
        assert!(!server.is_running());
        server.start().unwrap();
        assert!(server.is_running() && server.answers());
        let url = server.url("postgres");
        block_on(async {
            let client = connect(&url).await.unwrap();
            client
                .batch_execute("create table t (v text); insert into t values ('kept')")
                .await
                .unwrap();
        });
        let again = server.start().unwrap_err();
        assert!(matches!(again, InstanceError::AlreadyRunning { .. }), "{again}");

        server.stop(StopMode::Fast).unwrap();
        assert!(!server.is_running() && !server.answers());
        server.stop(StopMode::Fast).unwrap();

        server.start().unwrap();
        server.kill9().unwrap();
        assert!(!server.is_running());
        // The pid file of the killed server is still there; the next start must not trust it.
        server.start().unwrap();
        assert_eq!(answer(&url, "select v from t"), "kept");

        server.stop(StopMode::Immediate).unwrap();
        server.start().unwrap();
        assert_eq!(answer(&url, "select v from t"), "kept");
    }
}

#[test]
fn a_new_cluster_is_utf8_in_the_c_locale_and_listens_on_its_socket_only() {
    for binaries in binaries() {
        let mut server = made(binaries, ServerOptions::scratch().with("work_mem", "7MB"));
        server.start().unwrap();
        let url = server.url("postgres");
        assert_eq!(answer(&url, "show server_encoding"), "UTF8");
        assert_eq!(
            answer(&url, "select datcollate::text from pg_database where datname = 'postgres'"),
            "C.UTF-8"
        );
        assert_eq!(answer(&url, "show listen_addresses"), "");
        assert_eq!(answer(&url, "show wal_level"), "logical");
        assert_eq!(answer(&url, "show fsync"), "off");
        assert_eq!(answer(&url, "show work_mem"), "7MB");
        let mode = fs::metadata(server.socket_dir()).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(server.tcp_url("postgres").is_none());
    }
}

#[test]
fn a_server_started_by_root_runs_as_an_unprivileged_account() {
    let mut server = made(&binaries()[0], ServerOptions::scratch());
    server.start().unwrap();
    let owner = fs::metadata(server.data_dir()).unwrap().uid();
    let process = fs::metadata(format!("/proc/{}", server.pid().unwrap()));
    if let Ok(process) = process {
        assert_eq!(process.uid(), owner);
    }
    assert_eq!(owner, server.account().uid);
    assert_ne!(owner, 0);
    if !is_root() {
        assert_eq!(owner, rustix::process::geteuid().as_raw());
    }
}

#[test]
fn a_directory_closed_to_the_account_is_refused_with_its_name() {
    if !is_root() {
        return; // only root changes accounts
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let data_dir = dir.path().join("data");
    let error = Server::init(&binaries()[0], &data_dir, ServerOptions::scratch()).unwrap_err();
    let InstanceError::Unreachable { blocked_at, .. } = &error else { panic!("{error}") };
    assert_eq!(blocked_at, &dir.path().canonicalize().unwrap());
    assert!(error.hint().is_some());
}

#[test]
fn a_loopback_server_asks_for_its_password() {
    let listen = Listen::Loopback { port: None, password: "pass word/é".to_owned().into() };
    let mut server = made(&binaries()[0], ServerOptions { listen, ..ServerOptions::scratch() });
    server.start().unwrap();
    let url = server.tcp_url("postgres").unwrap();
    assert_eq!(answer(url.expose_secret(), "select 'in'::text"), "in");
    let wrong = url.expose_secret().replace("pass%20word", "guess");
    assert!(block_on(async { connect(&wrong).await.is_err() }));
    assert!(!server.data_dir().with_file_name("data.pw").exists());
}

#[test]
fn a_taken_port_fails_with_the_servers_own_words() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = Some(taken.local_addr().unwrap().port());
    let listen = Listen::Loopback { port, password: "x".to_owned().into() };
    let mut server = made(&binaries()[0], ServerOptions { listen, ..ServerOptions::scratch() });
    let error = server.start().unwrap_err();
    let InstanceError::DiedAtStart { log_tail, .. } = &error else { panic!("{error}") };
    assert!(log_tail.contains("Address already in use"), "{log_tail}");
    assert!(!server.is_running());
}

#[test]
fn a_server_that_dies_at_start_shows_the_end_of_its_log() {
    let options = ServerOptions::scratch().with("shared_preload_libraries", "no_such_library");
    let mut server = made(&binaries()[0], options);
    let error = server.start().unwrap_err();
    assert!(matches!(error, InstanceError::DiedAtStart { .. }), "{error:?}");
    assert!(error.to_string().contains("no_such_library"), "{error}");
}

#[test]
fn an_existing_cluster_is_opened_but_never_made_again() {
    let mut server = made(&binaries()[0], ServerOptions::scratch());
    server.start().unwrap();
    let data_dir = server.data_dir().to_owned();
    let again = Server::init(&binaries()[0], &data_dir, ServerOptions::scratch()).unwrap_err();
    assert!(matches!(again, InstanceError::AlreadyInitialised { .. }), "{again}");

    let mut other = Server::open(&binaries()[0], &data_dir, ServerOptions::scratch()).unwrap();
    assert!(other.is_running());
    assert_eq!(other.url("postgres"), server.url("postgres"));
    other.stop(StopMode::Fast).unwrap();
    assert!(!server.is_running());

    let full = scratch_dir();
    fs::write(full.join("notes.txt"), "mine").unwrap();
    let error = Server::init(&binaries()[0], &full, ServerOptions::scratch()).unwrap_err();
    assert!(matches!(error, InstanceError::NotACluster { .. }), "{error}");
    fs::remove_dir_all(full).unwrap();
}

/// The first of the two is long gone, and not collected yet.
#[test]
fn the_end_of_a_former_server_is_not_taken_for_that_of_the_present_one() {
    let mut first = made(&binaries()[0], ServerOptions::scratch());
    first.start().unwrap();
    let data_dir = first.data_dir().to_owned();
    let mut other = Server::open(&binaries()[0], &data_dir, ServerOptions::scratch()).unwrap();
    other.stop(StopMode::Fast).unwrap();
    other.start().unwrap();
    let pid = other.pid();
    first.stop(StopMode::Fast).unwrap();
    assert!(!other.is_running(), "stop returned before process {pid:?} had ended");
    wait_for("both to be collected", Duration::from_mins(1), || first.reap() && other.reap());
}

#[test]
fn a_strangers_process_behind_a_stale_pid_file_is_left_alone() {
    let mut server = made(&binaries()[0], ServerOptions::scratch());
    let mut stranger = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
    let file = server.data_dir().join("postmaster.pid");
    fs::write(&file, format!("{}\n{}\n", stranger.id(), server.data_dir().display())).unwrap();
    assert!(!server.is_running());
    server.stop(StopMode::Immediate).unwrap();
    server.kill9().unwrap();
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger was killed");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn a_dropped_guard_leaves_neither_server_nor_files() {
    let mut server = made(&binaries()[0], ServerOptions::scratch());
    server.start().unwrap();
    let (pid, dir) = (server.pid().unwrap(), server.data_dir().parent().unwrap().to_owned());
    drop(server);
    assert!(!dir.exists());
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

/// The helper of the next test, run in a process of its own: it starts a server and waits to be
/// killed.
#[test]
#[ignore = "run by a_server_ends_with_a_killed_process"]
fn child_that_waits_to_be_killed() {
    let mut server = made(&binaries()[0], ServerOptions::scratch());
    server.start().unwrap();
    let report = std::env::var_os("BACKLOT_IT_REPORT").unwrap();
    let data_dir = server.data_dir().display();
    fs::write(report, format!("{} {data_dir}\n", server.pid().unwrap())).unwrap();
    let limit = Duration::from_mins(1);
    wait_for("being killed", limit, || false);
}

#[test]
fn a_server_ends_with_a_killed_process() {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "instance::child_that_waits_to_be_killed"])
        .env("BACKLOT_IT_REPORT", &report)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let minute = Duration::from_mins(1);
    let read = || fs::read_to_string(&report).unwrap_or_default();
    wait_for("the child's server", minute, || read().ends_with('\n'));
    let text = read();
    let (pid, data_dir) = text.trim().split_once(' ').unwrap();
    let data_dir = Path::new(data_dir);
    assert!(data_dir.exists());
    child.kill().unwrap(); // SIGKILL: no destructor runs
    child.wait().unwrap();
    wait_for("the watchdog to remove the data", minute, || !data_dir.exists());
    let cwd = fs::read_link(format!("/proc/{pid}/cwd"));
    assert!(cwd.is_err() || cwd.is_ok_and(|cwd| !cwd.starts_with(data_dir)), "still running");
}

#[test]
fn the_binaries_found_say_what_they_are() {
    let found = Binaries::all(&search());
    for binaries in &found {
        assert!(binaries.version.starts_with(&binaries.major.to_string()), "{binaries:?}");
        assert!(binaries.program("postgres").is_file());
        let wanted = Binaries::find(&search(), Some(binaries.major)).unwrap();
        assert_eq!(wanted.major, binaries.major);
    }
    let error = Binaries::find(&search(), Some(99)).unwrap_err();
    assert!(error.to_string().contains("PostgreSQL 99"), "{error}");
    assert!(error.hint().unwrap().contains("BACKLOT_PG_BIN"));
}

#[test]
fn a_named_directory_comes_first() {
    let last = binaries().last().unwrap();
    let named = Search { named: vec![last.bin_dir.clone()], ..Search::default() };
    assert_eq!(&Binaries::find(&named, None).unwrap(), last);
    let empty = tempfile::tempdir().unwrap();
    assert!(Binaries::probe(empty.path()).is_none());
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_that_somebody_else_let_go_was_not_held_still() {
    use rustix::process::{Pid, Signal, kill_process};
    let mut server = made(&binaries()[0], ServerOptions::scratch());
    server.start().unwrap();
    let limit = Duration::from_secs(30);
    assert!(server.freeze(limit).unwrap().thaw().is_some());
    assert!(server.answers());

    let frozen = server.freeze(limit).unwrap();
    let pid = server.pid().unwrap();
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::CONT).unwrap();
    wait_for("the postmaster to go on", limit, || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        !stat.rsplit_once(')').unwrap().1.trim_start().starts_with('T')
    });
    assert!(frozen.thaw().is_none());
    assert!(server.answers());
}
