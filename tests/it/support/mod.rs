//! What every test needs: real servers, a database of its own, SQL, the built program.

// Not `expect`: it would turn into a warning with the first test that uses the last function.
#![allow(dead_code, unused_imports, reason = "offered to every test file")]

pub(crate) mod clone;
mod cluster;
pub(crate) mod database;
pub(crate) mod follow;
mod program;
mod proxy;
mod random;

pub(crate) use clone::{Clone, Running};
pub(crate) use cluster::{
    Cluster, binaries, drawn, own_cluster, own_cluster_with, search, servers, some_servers,
    standby_of,
};
pub(crate) use database::{
    Database, database, query_strings, query_value, sql, try_query_strings, try_sql,
};
pub(crate) use follow::Follow;
pub(crate) use program::{Output, backlot};
pub(crate) use proxy::Proxy;
pub(crate) use random::Random;

use std::time::{Duration, Instant};

/// No wait is given up before: a machine with other work stands still for many seconds at times.
const SHORTEST_LIMIT: Duration = Duration::from_mins(2);

/// Between two looks at least, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(100)];
/// So many times as long as the look took is the pause after it. To connect and ask keeps a server
/// busy for 10 ms: looks without a pause take a core from what is waited for.
const PAUSE_PER_LOOK: u32 = 6;

/// Waits for a condition, with a limit that names what was awaited.
pub(crate) fn wait_for(what: &str, limit: Duration, done: impl FnMut() -> bool) {
    let [least, most] = PAUSES;
    wait(what, limit, done, |look| (look * PAUSE_PER_LOOK).clamp(least, most));
}

/// As [`wait_for`], for a moment that passes: looks as often as it can.
pub(crate) fn wait_closely_for(what: &str, limit: Duration, done: impl FnMut() -> bool) {
    let [least, _] = PAUSES;
    wait(what, limit, done, |_| least);
}

/// `pause`: from the time that a look took, the time to the next.
fn wait(
    what: &str,
    limit: Duration,
    mut done: impl FnMut() -> bool,
    pause: impl Fn(Duration) -> Duration,
) {
    let limit = limit.max(SHORTEST_LIMIT);
    let deadline = Instant::now() + limit;
    loop {
        let look = Instant::now();
        if done() {
            return;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} for {what}");
        std::thread::sleep(pause(look.elapsed()));
    }
}
