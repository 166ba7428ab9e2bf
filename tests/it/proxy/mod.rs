//! The proxy before the branches, by the built program, with tokio-postgres and psql as clients.

mod connections;
mod daemon;
mod sleeping;

use std::time::Duration;

use crate::branch::rig::Project;
use crate::support::wait_for;

/// For what takes milliseconds on an idle machine.
const SOON: Duration = Duration::from_mins(1);

/// What the branch is doing, as everybody sees it.
fn condition(project: &Project, name: &str) -> String {
    let described = project.json(&["branch", "describe", name]);
    described["condition"].as_str().unwrap().to_owned()
}

/// Has the branch fall asleep, and then leaves that alone.
fn put_to_sleep(project: &Project, name: &str) {
    project.run(&["branch", "set", name, "sleep-after=1s"]).expect_code(0);
    wait_for("the branch to sleep", SOON, || condition(project, name) == "asleep");
    project.run(&["branch", "set", name, "sleep-after=never"]).expect_code(0);
}

fn proxy_log(project: &Project) -> String {
    std::fs::read_to_string(project.state().join("proxy.log")).unwrap()
}

fn server_log(project: &Project, name: &str) -> String {
    let id = project.json(&["branch", "describe", name])["id"].as_str().unwrap().to_owned();
    std::fs::read_to_string(project.state().join("branches").join(id).join("server.log")).unwrap()
}

/// How often the branch's server was started.
fn starts(project: &Project, name: &str) -> usize {
    server_log(project, name).matches("database system is ready to accept connections").count()
}

/// How often it was told to stop.
fn stops(project: &Project, name: &str) -> usize {
    server_log(project, name).matches("received fast shutdown request").count()
}

fn sqlstate(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("", tokio_postgres::error::SqlState::code)
}
