//! How long who holds a lock was ready to run and got no processor.
//!
//! Linux, `Documentation/scheduler/sched-stats.rst`: the second number of `/proc/PID/task/TID/schedstat` is the time
//! that the thread spent waiting on a run queue, in nanoseconds.

use std::collections::HashMap;
use std::path::PathBuf;

/// By thread, what it had waited when it was looked at.
#[derive(Clone)]
pub(super) struct Starved(HashMap<PathBuf, f64>);

impl Starved {
    /// Of these servers, and of the `backlot` that works on the database of this URL.
    pub(super) fn look(url: &str, servers: &[i32]) -> Self {
        let servers = servers.iter().map(|pid| PathBuf::from(format!("/proc/{pid}")));
        let threads =
            servers.chain(programs(url)).flat_map(|process| entries(process.join("task")));
        let waited = threads.filter_map(|thread| {
            let schedstat = std::fs::read_to_string(thread.join("schedstat")).ok()?;
            let nanoseconds: f64 = schedstat.split_whitespace().nth(1)?.parse().ok()?;
            Some((thread, nanoseconds / 1e6))
        });
        Self(waited.collect())
    }

    /// Of all threads that both looks saw: they work on one transaction in turns.
    pub(super) fn ms_after(&self, first: &Self) -> f64 {
        let waited = |(thread, now): (&PathBuf, &f64)| first.0.get(thread).map(|then| now - then);
        self.0.iter().filter_map(waited).sum()
    }
}

fn programs(url: &str) -> impl Iterator<Item = PathBuf> {
    entries(PathBuf::from("/proc")).filter(move |process| {
        std::fs::read(process.join("cmdline")).is_ok_and(|command| {
            let mut words = command.split(|byte| *byte == 0);
            let program = words.next().unwrap_or_default();
            program == env!("CARGO_BIN_EXE_backlot").as_bytes()
                && words.any(|word| word == url.as_bytes())
        })
    })
}

/// None of a process that has ended.
fn entries(directory: PathBuf) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(directory).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}
