//! The process: one at a time, replaceable at any moment, in step with the catalog.

use std::{fs, net::TcpListener, os::unix::fs::symlink};

use backlot::branch::{Lock, LockKind};

use super::{Opens, SOON, condition, proxy_log, put_to_sleep, starts};
use crate::branch::rig::Project;
use crate::support::{binaries, database, wait_for};

fn pid(project: &Project) -> u64 {
    project.json(&["proxy", "status"])["proxy"]["pid"].as_u64().unwrap()
}

fn port(url: &str) -> u16 {
    url.rsplit_once(':').unwrap().1.split('/').next().unwrap().parse().unwrap()
}

/// True if nobody listens there.
fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

fn kill(pid: u64) {
    let status = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_killed_proxy_is_replaced_and_the_server_never_notices() {
    let project = Project::init(&binaries()[0]);
    let url = project.url("main");
    let (killed, before) = (pid(&project), starts(&project, "main"));
    kill(killed);
    wait_for("the port to be free", SOON, || is_free(port(&url)));
    wait_for("the proxy to be gone", SOON, || {
        project.json(&["proxy", "status"])["running"] == false
    });
    assert_eq!(project.url("main"), url);
    assert_ne!(pid(&project), killed);
    assert_eq!(database::run(&url, "select 1").unwrap(), [["1"]]);
    assert_eq!(starts(&project, "main"), before);
}

#[test]
fn there_is_one_proxy_however_many_are_started() {
    let project = Project::init(&binaries()[0]);
    project.run(&["stop"]).expect_code(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| project.run(&["proxy", "start"]).expect_code(0));
        }
    });
    let first = pid(&project);
    // A second one leaves by itself.
    project.run(&["proxy", "serve"]).expect_code(0);
    assert_eq!(pid(&project), first);
}

#[test]
fn the_ports_are_those_of_the_catalog() {
    let project = Project::init(&binaries()[0]);
    let main = port(&project.url("main"));
    project.create("dev");
    let dev = project.url("dev");
    assert_eq!(database::run(&dev, "select 1").unwrap(), [["1"]]);

    project.run(&["branch", "set", "dev", "port=auto"]).expect_code(0);
    let moved = project.url("dev");
    assert_ne!(port(&moved), port(&dev));
    assert_eq!(database::run(&moved, "select 1").unwrap(), [["1"]]);
    wait_for("the old port to be free", SOON, || is_free(port(&dev)));

    project.run(&["branch", "delete", "dev", "--yes"]).expect_code(0);
    wait_for("the deleted branch's port to be free", SOON, || is_free(port(&moved)));
    assert!(!is_free(main));
}

#[test]
fn a_port_that_somebody_took_is_named_with_the_way_out() {
    let project = Project::init(&binaries()[0]);
    let taken = port(&project.url("main"));
    project.run(&["stop"]).expect_code(0);
    let thief = TcpListener::bind(("127.0.0.1", taken)).unwrap();
    let error = project.error(&["branch", "url"], 5);
    assert!(error["hint"].as_str().unwrap().contains("port=auto"), "{error}");
    project.run(&["branch", "set", "main", "port=auto"]).expect_code(0);
    assert_eq!(project.value("main", "select 1"), "1");
    drop(thief);
}

#[test]
fn stop_ends_the_proxy_and_the_servers_and_the_next_command_starts_them() {
    let project = Project::init(&binaries()[0]);
    let url = project.url("main");
    let stopped = project.json(&["stop"]);
    assert_eq!((&stopped["proxy"], &stopped["stopped"][0]), (&true.into(), &"main".into()));
    assert!(is_free(port(&url)));
    assert!(!project.state().join("proxy.pid").exists());
    assert_eq!(condition(&project, "main"), "asleep");
    assert_eq!(project.json(&["stop"])["proxy"], false);
    // The proxy alone is enough: the first client wakes the branch.
    project.run(&["proxy", "start"]).expect_code(0);
    assert_eq!(condition(&project, "main"), "asleep");
    assert_eq!(database::run(&url, "select 1").unwrap(), [["1"]]);
}

#[test]
fn a_proxy_ends_with_its_project() {
    let project = Project::init(&binaries()[0]);
    let url = project.url("main");
    project.run(&["proxy", "stop"]).expect_code(0);
    project.run(&["proxy", "start"]).expect_code(0);
    std::fs::rename(project.folder.join(".backlot"), project.folder.join("elsewhere")).unwrap();
    wait_for("the proxy to end", SOON, || is_free(port(&url)));
    std::fs::rename(project.folder.join("elsewhere"), project.folder.join(".backlot")).unwrap();
}

#[test]
fn a_proxy_that_ends_while_a_command_waits_for_it_is_replaced() {
    let project = Project::init(&binaries()[0]);
    project.run(&["proxy", "stop"]).expect_code(0);
    // One that is about to end, and says nothing any more.
    let path = project.state().join("proxy.lock");
    let lock = Lock::wait(&path, LockKind::Exclusive, "proxy", SOON).unwrap();
    drop(fs::remove_file(project.state().join("proxy.pid")));
    let opens = Opens::of(&path);
    std::thread::scope(|scope| {
        let url = scope.spawn(|| project.url("main"));
        opens.wait();
        drop(lock);
        assert_eq!(database::run(&url.join().unwrap(), "select 1").unwrap(), [["1"]]);
    });
}

#[test]
fn a_proxy_whose_log_is_on_a_full_disk_serves() {
    let project = Project::init(&binaries()[0]);
    project.run(&["stop"]).expect_code(0);
    let log = project.state().join("proxy.log");
    fs::remove_file(&log).unwrap();
    symlink("/dev/full", &log).unwrap();
    project.run(&["proxy", "start"]).expect_code(0);
    let before = pid(&project);
    let url = project.url("main");
    // The proxy would say that it put the branch to sleep and woke it.
    put_to_sleep(&project, "main");
    assert_eq!(database::run(&url, "select 1").unwrap(), [["1"]]);
    assert_eq!(pid(&project), before);
}

#[test]
fn a_status_that_cannot_be_written_is_written_later_and_clients_are_served() {
    let project = Project::init(&binaries()[0]);
    let before = pid(&project);
    let file = project.state().join("proxy.pid");
    fs::remove_file(&file).unwrap();
    // No file takes the place of a directory.
    fs::create_dir(&file).unwrap();
    std::thread::scope(|scope| {
        let moved = scope.spawn(|| {
            project.run(&["branch", "set", "main", "port=auto"]).expect_code(0);
            project.url("main")
        });
        let failed = || proxy_log(&project).contains("status not written");
        wait_for("the proxy to fail", SOON, failed);
        fs::remove_dir(&file).unwrap();
        assert_eq!(database::run(&moved.join().unwrap(), "select 1").unwrap(), [["1"]]);
    });
    assert_eq!(pid(&project), before);
}
