//! A branch of a parent that is being written is of one moment, sound, and leaves its parent alone.

use std::{path::Path, process::Command, time::Duration};

use sha2::{Digest, Sha256};

use super::load::{INVARIANT, Load, SCHEMA};
use super::place::Ground;
use super::rig::Project;
use crate::support::{binaries, wait_for};
use backlot::instance::Binaries;

/// `BACKLOT_BRANCH_RUNS=50` for the whole proof.
fn runs() -> usize {
    std::env::var_os("BACKLOT_BRANCH_RUNS")
        .map_or(3, |runs| runs.to_str().unwrap().parse().unwrap())
}

#[test]
fn a_branch_of_a_busy_parent_is_of_one_moment() {
    let binaries = binaries().iter().find(|binaries| binaries.program("pg_amcheck").exists());
    let binaries = binaries.expect("a server with pg_amcheck: `make setup`");
    for ground in Ground::all() {
        let project = ground.project(binaries);
        project.sql("main", SCHEMA);
        let load = Load::start(&project, "main");
        let mut methods = std::collections::BTreeMap::<String, usize>::new();
        let mut longest = 0;
        for run in 0..runs() {
            let before = load.done();
            wait_for("the load", Duration::from_mins(1), || load.done() > before + 50);
            let least = project.value("main", "select count(*) from history");
            let created = project.json(&ground.create("b"));
            let most = project.value("main", "select count(*) from history");
            let captured = &created["branch"]["captured"];
            *methods.entry(captured["method"].as_str().unwrap().to_owned()).or_default() += 1;
            longest = longest.max(captured["pause_ms"].as_u64().unwrap());
            assert_eq!(project.value("b", INVARIANT), "t", "{} run {run}", ground.backend);
            let count = project.value("b", "select count(*) from history");
            let [least, count, most] = [&least, &count, &most].map(|n| n.parse::<u64>().unwrap());
            assert!(least <= count && count <= most, "{least} {count} {most}");
            check(&project, binaries, created["branch"]["id"].as_str().unwrap());
            project.json(&["branch", "delete", "b", "--yes"]);
        }
        let done = load.stop();
        assert_eq!(project.value("main", INVARIANT), "t");
        eprintln!(
            "{}: {} branches of a parent under load ({done} transactions), by {methods:?}, longest pause {longest} ms",
            ground.backend,
            runs()
        );
    }
}

/// Indexes and heaps by `pg_amcheck`, pages by `pg_checksums`.
fn check(project: &Project, binaries: &Binaries, id: &str) {
    let described = project.json(&["branch", "get", "b"]);
    let url = project.url("b");
    let password = url.split(['/', ':', '@']).nth(4).unwrap();
    let mut amcheck = Command::new(binaries.program("pg_amcheck"));
    amcheck.args(["--install-missing", "--heapallindexed", "--host", "127.0.0.1", "--port"]);
    amcheck.arg(described["port"].to_string()).args([
        "--username",
        "postgres",
        "--database",
        "app",
    ]);
    succeeds(amcheck.env("PGPASSWORD", password));
    let data = project.state().join("branches").join(id).join("data");
    let pid = std::fs::read_to_string(data.join("postmaster.pid")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.lines().next().unwrap().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let gone = || !data.join("postmaster.pid").exists();
    wait_for("the branch's server to stop", Duration::from_mins(1), gone);
    succeeds(Command::new(binaries.program("pg_checksums")).arg("--check").arg("-D").arg(&data));
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    let (out, err) = (&output.stdout, &output.stderr);
    let text = String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err);
    assert!(output.status.success(), "{command:?}\n{text}");
}

#[test]
fn a_branch_never_changes_its_parent() {
    for ground in Ground::all() {
        let project = ground.project(&binaries()[0]);
        project.sql("main", "create table t as select g from generate_series(1, 5000) g");
        let id = project.json(&["branch", "get", "main"])["id"].as_str().unwrap().to_owned();
        let data = project.state().join("branches").join(id).join("data");
        project.json(&["stop"]);
        let before = digest(&data);
        let created = project.json(&ground.create("b"));
        assert_eq!(created["branch"]["captured"]["method"], "asleep");
        assert_eq!(created["branch"]["backend"], ground.backend);
        for statement in
            ["update t set g = -g", "create index on t (g)", "vacuum full t", "checkpoint"]
        {
            project.sql("b", statement);
        }
        assert_eq!(project.value("b", "select count(*) from t where g < 0"), "5000");
        project.json(&["branch", "delete", "b", "--yes"]);
        assert_eq!(before, digest(&data), "{}", ground.backend);
        assert_eq!(project.value("main", "select count(*) from t where g > 0"), "5000");
    }
}

/// Of every file below, by name.
fn digest(dir: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(digest(&path));
        } else {
            let hash = Sha256::digest(std::fs::read(&path).unwrap());
            found.push((path.display().to_string(), hex::encode(hash)));
        }
    }
    found.sort();
    found
}

#[test]
fn an_idle_parent_is_back_at_once() {
    for ground in Ground::all() {
        let project = ground.project(&binaries()[0]);
        project.sql("main", "create table t as select 'kept' v");
        let created = project.json(&ground.create("b"));
        let method = created["branch"]["captured"]["method"].as_str().unwrap();
        let expected = match ground.backend {
            "subvolume" => "snapshot",
            "reflink" => "stopped",
            _ => "backup",
        };
        assert_eq!(method, expected, "{created}");
        for name in ["main", "b"] {
            assert_eq!(project.value(name, "select v from t"), "kept");
        }
        assert_eq!(project.json(&["status"])["running"], 2);
    }
}

/// More than any machine clones within half a second.
const MANY_FILES: u32 = 40_000;

#[test]
fn a_parent_that_takes_too_long_to_clone_goes_on_and_is_copied_by_the_backup_api() {
    for ground in Ground::all().into_iter().filter(|ground| ground.backend == "reflink") {
        let project = ground.project(&binaries()[0]);
        project.sql("main", SCHEMA);
        let id = project.json(&["branch", "get", "main"])["id"].as_str().unwrap().to_owned();
        let many = project.state().join("branches").join(id).join("data/many");
        std::fs::create_dir(&many).unwrap();
        for number in 0..MANY_FILES {
            std::fs::write(many.join(number.to_string()), "x").unwrap();
        }
        let load = Load::start(&project, "main");
        wait_for("the load", Duration::from_mins(1), || load.done() > 50);
        let created = project.json(&ground.create("b"));
        assert_eq!(created["branch"]["captured"]["method"], "backup", "{created}");
        let before = load.done();
        wait_for("the parent to go on", Duration::from_mins(1), || load.done() > before + 50);
        load.stop();
        assert_eq!(project.value("b", INVARIANT), "t");
        assert_eq!(project.value("main", INVARIANT), "t");
        assert_eq!(project.postmasters(), 2);
    }
}
