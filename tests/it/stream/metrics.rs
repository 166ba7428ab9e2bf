//! A stream that runs is scraped, and asked for its status.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::follow::Follow;
use crate::support::{database, query_value, servers, sql, wait_for};

const LIMIT: Duration = Duration::from_mins(1);

/// The body of a scrape; None while nobody listens.
fn scrape(address: &str) -> Option<String> {
    let mut connection = TcpStream::connect(address).ok()?;
    connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: backlot\r\n\r\n").ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    Some(body.to_owned())
}

fn value(body: &str, name: &str) -> f64 {
    let line = body.lines().find(|line| line.split(' ').next() == Some(name));
    line.unwrap_or_else(|| panic!("no {name} in {body}"))
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn a_running_stream_is_scraped_and_tells_its_status() {
    let cluster = servers().next().unwrap();
    let (source, target) = (database(cluster, "scrape_source"), database(cluster, "scrape_target"));
    sql(&source, "create table t (id bigint generated always as identity primary key, v int)");
    let rules = "version: 1\ndefaults: {detected: keep, free_text: keep, unclassified: keep}\n";
    let follow = Follow::new(&source.url, &target.url).config(rules);
    follow.start().expect_code(0);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let stream = follow.stream(&["--metrics", &address]);
    sql(
        &source,
        "insert into t (v) select generate_series(1, 500); update t set v = 0 where id <= 20",
    );
    let mut body = String::new();
    wait_for("the metrics of 520 changes", LIMIT, || {
        body = scrape(&address).unwrap_or_default();
        body.contains("backlot_stream_changes_applied_total 520\n")
    });
    assert!(body.contains("backlot_stream_up 1\n"), "{body}");
    assert!(value(&body, "backlot_stream_transactions_applied_total") >= 1.0);
    assert!(value(&body, "backlot_stream_apply_seconds_total") > 0.0);
    assert!(
        value(&body, "backlot_stream_received_lsn") >= value(&body, "backlot_stream_applied_lsn")
    );
    assert!(
        value(&body, "backlot_stream_applied_lsn") >= value(&body, "backlot_stream_flushed_lsn")
    );
    assert!(value(&body, "backlot_stream_bytes_applied_total") > 500.0);

    let status = follow.run("status", &[]).expect_code(0).json();
    let told = &status["stream"];
    assert_eq!((&told["is_running"], &told["changes"]), (&true.into(), &520.into()), "{told}");
    assert!(told["slot"]["active_pid"].is_u64() && told["lag_bytes"].is_u64(), "{told}");
    assert_eq!(told["tables"][0]["state"], "streaming");

    // The sequence follows, though it is no part of the stream.
    wait_for("the sequence", LIMIT, || {
        query_value(&target, "select coalesce(max(last_value), 0) from pg_sequences") == "500"
    });
    stream.signal(Signal::TERM);
    stream.wait_within(LIMIT).expect_code(0);
    assert_eq!(scrape(&address), None, "the endpoint ends with the stream");
    let status = follow.run("status", &[]).expect_code(0).json();
    assert_eq!(
        (&status["stream"]["is_running"], &status["lock_holder"]),
        (&false.into(), &serde_json::Value::Null)
    );
}
