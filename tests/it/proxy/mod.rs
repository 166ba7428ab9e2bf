//! The proxy before the branches, by the built program, with tokio-postgres and psql as clients.

mod connections;
mod daemon;
mod sleeping;

use std::{os::fd::OwnedFd, path::Path, time::Duration};

use rustix::fs::inotify;

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

/// Past the proxy, as a client whose work it does not see.
fn socket_url(project: &Project) -> String {
    let socket = project.directories()[0].join("socket");
    let path = socket.display().to_string().replace('/', "%2F");
    format!("postgresql://postgres@{path}:5432/app")
}

/// Of `main`, of a project with no other branch.
fn postmaster(project: &Project) -> u32 {
    let file = project.directories()[0].join("data/postmaster.pid");
    std::fs::read_to_string(file).unwrap().lines().next().unwrap().parse().unwrap()
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Notices that a file is opened: whoever polls for a lock opens it each time.
struct Opens(OwnedFd);

impl Opens {
    fn of(path: &Path) -> Self {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let events = inotify::init(flags).unwrap();
        inotify::add_watch(&events, path, inotify::WatchFlags::OPEN).unwrap();
        Self(events)
    }

    /// Until somebody has looked at the lock, and looks again.
    fn wait(&self) {
        for _ in 0..2 {
            wait_for("a look at the lock", SOON, || self.is_new());
        }
    }

    /// True if nobody looks for a while: who waits does so every 2 ms.
    fn have_ended(&self) -> bool {
        self.is_new();
        std::thread::sleep(Duration::from_millis(100));
        !self.is_new()
    }

    fn is_new(&self) -> bool {
        rustix::io::read(&self.0, &mut [0; 4096]).is_ok_and(|count| count > 0)
    }
}
