//! `cargo bench --bench stream`: the stream beside a native subscription and beside the sender's own ceiling
//! (`pg_recvlogical` to /dev/null), in one run, of the same slot content, on servers of its own.
//!
//! Each backlog lies in the WAL before anybody reads it. Slots are copied from one that was made before it, targets
//! from one that was cloned before it, and the runs alternate; medians count and the ratios are the result.
//! What is compared is alike: both targets commit with `synchronous_commit = off`, the default of a subscription
//! and the stream's own setting, both read binary values over the same Unix socket, and both times run from the
//! start (of the process, of CREATE SUBSCRIPTION) until the backlog's last row is visible.
//! `BACKLOT_BENCH_SCALE` (1.0) shrinks the backlogs, `BACKLOT_BENCH_RUNS` (5) says how often,
//! `BACKLOT_BENCH_ONLY` (inserts,pgbench,single,hot,latency,large,roundtrip) what. With `BACKLOT_BENCH_TCP` the
//! three that read a backlog reach the source over TCP, as they would another machine's.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark talks and fails loudly")]
#![expect(clippy::indexing_slicing, reason = "as above")]
#![expect(clippy::disallowed_methods, reason = "a benchmark is configured by the environment")]

#[path = "../../tests/it/support/proxy.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod proxy;

mod backlog;
mod follower;
mod idle;
mod large;
mod process;
mod site;

use backlog::{BACKLOGS, Backlog};
use follower::{Native, Stream, ceiling};
use site::Site;

/// What the environment says.
pub(crate) struct Settings {
    pub(crate) scale: f64,
    pub(crate) runs: u32,
    only: Option<String>,
    by_tcp: bool,
}

impl Settings {
    fn read() -> Self {
        let value = |name| std::env::var(name).ok();
        let scale = value("BACKLOT_BENCH_SCALE").and_then(|scale| scale.parse().ok());
        let runs = value("BACKLOT_BENCH_RUNS").and_then(|runs| runs.parse().ok());
        let only = value("BACKLOT_BENCH_ONLY");
        let by_tcp = value("BACKLOT_BENCH_TCP").is_some();
        Self { scale: scale.unwrap_or(1.0), runs: runs.unwrap_or(5), only, by_tcp }
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.split(',').any(|one| one == name))
    }

    /// So many, made smaller.
    pub(crate) fn scaled(&self, count: u64) -> u64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts below 2^53"
        )]
        let scaled = (count as f64 * self.scale) as u64;
        scaled.max(1)
    }
}

fn main() {
    let settings = Settings::read();
    let site = Site::start(settings.by_tcp);
    println!("load average before: {}", process::load_average());
    for backlog in BACKLOGS {
        if settings.wants(backlog.name) {
            compare(&site, &settings, backlog);
        }
    }
    if settings.wants("roundtrip") {
        roundtrip(&site, &settings);
    }
    if settings.wants("latency") {
        idle::run(&site, &settings);
    }
    if settings.wants("large") {
        large::run(&site, &settings);
    }
    println!("load average after: {}", process::load_average());
}

/// One backlog by all three ways.
fn compare(site: &Site, settings: &Settings, backlog: &Backlog) {
    let stage = backlog.prepare(site, settings);
    let (mut stream, mut native, mut ceilings) = (Vec::new(), Vec::new(), Vec::new());
    let (mut cpu, mut peak) = (Vec::new(), Vec::new());
    for run in 0..settings.runs {
        let of_stream = Stream::run(site, &stage, None);
        let of_native = Native::run(site, &stage);
        let of_ceiling = ceiling(site, &stage);
        println!(
            "  {} run {run}: stream {:.2} s ({:.2} s CPU, {:.0} MiB), native {of_native:.2} s, pg_recvlogical {of_ceiling:.2} s",
            backlog.name, of_stream.seconds, of_stream.cpu_seconds, of_stream.peak_mib
        );
        stream.push(of_stream.seconds);
        cpu.push(of_stream.cpu_seconds);
        peak.push(of_stream.peak_mib);
        native.push(of_native);
        ceilings.push(of_ceiling);
    }
    let (stream, native, ceiling) = (median(&stream), median(&native), median(&ceilings));
    let rows = stage.rows();
    println!(
        "{}: {rows:.0} rows; stream {:.0} rows/s, native {:.0} rows/s, pg_recvlogical {:.0} rows/s",
        backlog.name,
        rows / stream,
        rows / native,
        rows / ceiling
    );
    println!(
        "{}: {:.2} x native (wanted: {}), {:.2} of the ceiling{}; {:.2} CPU s per million rows{}; peak {:.0} MiB (wanted: 256)",
        backlog.name,
        native / stream,
        backlog.wanted,
        ceiling / stream,
        if backlog.name == "inserts" { " (wanted: 0.8)" } else { "" },
        median(&cpu) / rows * 1e6,
        if backlog.is_masked { " (wanted: 2.5)" } else { ", nothing masked" },
        median(&peak)
    );
}

/// The inserts once more, 10 ms away in each direction from both servers.
fn roundtrip(site: &Site, settings: &Settings) {
    let inserts = BACKLOGS[0].named("roundtrip");
    let stage = inserts.prepare(site, settings);
    let latency = std::time::Duration::from_millis(10);
    let runs = (0..settings.runs).map(|_| Stream::run(site, &stage, Some(latency)).seconds);
    let seconds = median(&runs.collect::<Vec<_>>());
    println!("roundtrip of 20 ms: {:.0} rows/s (wanted: 10000)", stage.rows() / seconds);
}

pub(crate) fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "of a few values"
)]
pub(crate) fn percentile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * part) as usize;
    sorted[at.min(sorted.len() - 1)]
}
