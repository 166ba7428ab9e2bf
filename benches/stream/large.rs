//! One transaction of two million rows: memory, and how soon its rows are transformed.

use crate::backlog::BACKLOGS;
use crate::follower::{backlot, end, prepare};
use crate::site::Site;
use crate::{Settings, process};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

const ROWS: u64 = 2_000_000;
/// Rows that the stream has transformed, also of transactions that are not committed.
const METRIC: &str = "backlot_stream_rows_masked_total";
const LIMIT: Duration = Duration::from_mins(20);

pub(crate) fn run(site: &Site, settings: &Settings) {
    let database = format!("large_{}", std::process::id());
    site.create(&site.source, &database, "template0");
    site.sql(&site.source, &database, BACKLOGS[0].schema());
    site.sql(&site.source, &database, "create table marker (id int primary key)");
    prepare(site, &database, &BACKLOGS[0].config());
    let target = format!("{database}_target");
    site.create(&site.target, &target, &format!("{database}_base"));
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let (source_url, target_url) = (site.source.url(&database), site.target.url(&target));
    let metrics = free.to_string();
    let mut child = backlot(site, "stream", &source_url, &target_url, &["--metrics", &metrics]);
    let reader = site.connect(&site.target, &target);
    site.sql(&site.source, &database, "insert into marker values (0)");
    while site.ask(&reader, "select id from marker").is_none() {
        assert!(child.try_wait().unwrap().is_none(), "the stream ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    let masked_before = masked(&metrics).unwrap_or_default();
    let rows = settings.scaled(ROWS);
    let insert = format!(
        "insert into people select 200000 + i, 'large' || i || '@corp.example', 'Ada Lovelace ' || i % 777,
             '+1 200 555 ' || lpad((i % 10000)::text, 4, '0'), 'Springfield ' || i % 500, i, i, 'pro', '2025-01-01' from generate_series(1, {rows}) i"
    );
    let writer = site.connect(&site.source, &database);
    let started = Instant::now();
    let (mut first, mut committed) = (None, None);
    let work = site.runtime.spawn(async move { writer.batch_execute(&insert).await.unwrap() });
    let wanted = rows + 100_000;
    let deadline = started + LIMIT;
    loop {
        assert!(child.try_wait().unwrap().is_none(), "the stream ended");
        assert!(Instant::now() < deadline, "not at its end after {LIMIT:?}");
        if first.is_none() && masked(&metrics).is_some_and(|count| count > masked_before) {
            first = Some(started.elapsed());
        }
        if committed.is_none() && work.is_finished() {
            committed = Some(started.elapsed());
        }
        if committed.is_some() {
            let most = site.ask(&reader, "select max(id) from people").unwrap();
            if most == (wanted + 100_000).to_string() {
                break;
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let whole = started.elapsed();
    let (peak, cpu) = (process::peak_mib(child.id()), process::cpu_seconds(child.id()));
    end(child);
    println!(
        "large: one transaction of {rows} rows: first row transformed after {:.2} s (wanted: 1), committed after {:.1} s, visible after {:.1} s; peak {peak:.0} MiB (wanted: 256), {cpu:.1} CPU s",
        first.map_or(f64::NAN, |first| first.as_secs_f64()),
        committed.unwrap().as_secs_f64(),
        whole.as_secs_f64()
    );
}

/// The counter, as the endpoint tells it.
fn masked(address: &str) -> Option<u64> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: backlot\r\nConnection: close\r\n\r\n")
        .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let lines = text.lines().filter(|line| line.starts_with(METRIC));
    let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let sum = values.sum::<f64>() as u64;
    Some(sum)
}
