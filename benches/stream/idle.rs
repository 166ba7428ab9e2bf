//! How long a commit takes to be visible on the target while nothing else goes on.

use crate::backlog::BACKLOGS;
use crate::follower::{backlot, end, prepare};
use crate::site::Site;
use crate::{Settings, percentile, process};
use std::time::{Duration, Instant};

const COMMITS: u64 = 500;

pub(crate) fn run(site: &Site, settings: &Settings) {
    let database = format!("idle_{}", std::process::id());
    site.create(&site.source, &database, "template0");
    site.sql(&site.source, &database, BACKLOGS[0].schema());
    site.sql(&site.source, &database, "create table marker (id int primary key)");
    prepare(site, &database, &BACKLOGS[0].config());
    let target = format!("{database}_target");
    site.create(&site.target, &target, &format!("{database}_base"));
    let child =
        backlot(site, "stream", &site.source.url(&database), &site.target.url(&target), &[]);
    let (writer, reader) =
        (site.connect(&site.source, &database), site.connect(&site.target, &target));
    // As by default, unlike on these servers: decoding sees nothing of a commit that is not flushed,
    // and without this that is left to the WAL writer, every 200 ms.
    site.ask(&writer, "set synchronous_commit = on");
    let mut times = Vec::new();
    for number in 0..settings.scaled(COMMITS) {
        let insert = format!(
            "insert into people values ({}, 'idle{number}@corp.example', 'Ada', '+1 200 555 0100', 'Rome', 1)",
            10_000_000 + number
        );
        site.ask(&writer, &insert);
        let committed = Instant::now();
        let there = format!("select 1 from people where id = {}", 10_000_000 + number);
        while site.ask(&reader, &there).is_none() {
            assert!(committed.elapsed() < Duration::from_mins(1), "commit {number} is not visible");
            std::thread::yield_now();
        }
        // The first waits for the stream's own start.
        if number > 0 {
            times.push(committed.elapsed().as_secs_f64() * 1e3);
        }
        // Idle means idle, and not in step with any timer.
        std::thread::sleep(Duration::from_micros(3000 + number * 7919 % 30_000));
    }
    let cpu = process::cpu_seconds(child.id());
    end(child);
    println!(
        "idle: commit to visible p50 {:.1} ms (wanted: 10), p99 {:.1} ms (wanted: 50), most {:.1} ms, of {}; {cpu:.2} CPU s",
        percentile(&times, 0.5),
        percentile(&times, 0.99),
        percentile(&times, 1.0),
        times.len()
    );
}
