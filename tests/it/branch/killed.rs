//! SIGKILL at any point of `branch create`.

use std::time::{Duration, Instant};

use super::load::{INVARIANT, Load, SCHEMA};
use super::place::Ground;
use super::rig::Project;
use crate::support::{Running, binaries, database, wait_for};

/// Points in time, spread over one creation.
fn points() -> u32 {
    std::env::var_os("BACKLOT_BRANCH_RUNS")
        .map_or(6, |runs| runs.to_str().unwrap().parse().unwrap())
}

/// The parent's promise is a second, which is printed; the rest is for a machine that stands still.
const BACK_LIMIT: Duration = Duration::from_mins(1);

#[test]
fn a_killed_create_leaves_nothing_and_the_parent_runs_on() {
    for ground in Ground::all() {
        for has_sessions in [true, false] {
            let project = ground.project(&binaries()[0]);
            project.sql("main", SCHEMA);
            let load = has_sessions.then(|| Load::start(&project, "main"));
            let began = Instant::now();
            project.json(&ground.create("whole"));
            let whole = began.elapsed();
            let mut slowest = Duration::ZERO;
            let mut finished = 0;
            for point in 0..points() {
                let wait = whole * point / points();
                slowest = slowest.max(kill_after(&project, &ground, wait));
                finished += u32::from(survives(&project, &ground));
            }
            if let Some(load) = load {
                load.stop();
            }
            assert_eq!(project.value("main", INVARIANT), "t");
            eprintln!(
                "{}{}: killed at {} points of {whole:?}, {finished} had finished; parent back within {slowest:?}",
                ground.backend,
                if has_sessions { ", under load" } else { "" },
                points()
            );
        }
    }
}

/// Kills a creation; gives how long its parent took to answer.
fn kill_after(project: &Project, ground: &Ground, wait: Duration) -> Duration {
    let url = project.url("main");
    let args = ground.create("dev").into_iter().map(str::to_owned).collect::<Vec<_>>();
    let running = Running::start(&project.folder, &args, &project.environment());
    // Not to wait for something: the point in time is the test.
    std::thread::sleep(wait);
    running.kill();
    let killed = Instant::now();
    wait_for("the parent to answer", BACK_LIMIT, || {
        database::run(&url, "select 1").is_ok_and(|rows| rows == [["1"]])
    });
    killed.elapsed()
}

/// What the next commands find; true if the creation had finished after all.
fn survives(project: &Project, ground: &Ground) -> bool {
    let list = project.json(&["branch", "list"]);
    let rows = list["branches"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["state"] == "ready"), "{list}");
    let names = rows.iter().map(|row| row["name"].as_str().unwrap()).collect::<Vec<_>>();
    let has_finished = names.contains(&"dev");
    assert_eq!(names.len(), 2 + usize::from(has_finished), "{names:?}");
    assert_eq!(project.directories().len(), names.len(), "directories are left over");
    assert_eq!(project.postmasters(), names.len(), "servers are left over");
    let retried = project.json(&[&ground.create("dev")[..], &["--if-not-exists"]].concat());
    assert_eq!(retried["created"], !has_finished);
    assert_eq!(project.value("dev", INVARIANT), "t");
    project.json(&["branch", "delete", "dev", "--yes"]);
    has_finished
}
