//! The reader of a slot.

use std::time::Duration;

use backlot::{
    pg::{Lsn, SlotKind, WalMessage, pgoutput::Message},
    source::WalReader,
};

use super::{
    BUDGET_BYTES, LIMIT, current_lsn, follow, mark, options, payloads_until, payloads_until_mark,
    replication, slot_name,
};
use crate::support::{
    Database, database, own_cluster, query_strings, query_value, servers, sql, wait_for,
};

fn confirmed(database: &Database) -> Lsn {
    let sql =
        "select confirmed_flush_lsn from pg_replication_slots where database = current_database()";
    query_value(database, sql).parse().unwrap()
}

#[test]
fn names_with_quotes_and_spaces_are_followed() {
    for cluster in servers() {
        let database = database(cluster, "names");
        sql(
            &database,
            r#"create table t (a int); create publication "a ""b"", it's \ " for table t"#,
        );
        let reader = follow(&database, r#"a "b", it's \ "#);
        sql(&database, "insert into t values (1)");
        payloads_until(&reader, |message| matches!(message, Message::Commit(_)));
        reader.stop().unwrap();
    }
}

#[test]
fn what_is_acknowledged_moves_the_slot_and_nothing_else_does() {
    for cluster in servers() {
        let database = database(cluster, "acknowledge");
        sql(&database, "create table t (a int); create publication p for all tables");
        let reader = follow(&database, "p");
        let before = confirmed(&database);
        sql(&database, "insert into t values (1)");
        let mut end = Lsn::ZERO;
        payloads_until(&reader, |message| {
            if let Message::Commit(commit) = message {
                end = commit.end_lsn;
            }
            end > Lsn::ZERO
        });
        // Answered with a keepalive: a status update has been seen by the server.
        reader.ping();
        next_keepalive(&reader);
        assert_eq!(confirmed(&database), before);
        assert!(reader.received() >= end);
        reader.acknowledge(end);
        wait_for("the slot to move", LIMIT, || confirmed(&database) == end);
        reader.acknowledge(before);
        reader.ping();
        next_keepalive(&reader);
        assert_eq!(confirmed(&database), end);
        // The last word counts, and the slot is free at once.
        let last = current_lsn(&database);
        let taken = wait_until_received(&reader, last);
        reader.acknowledge(taken);
        reader.stop().unwrap();
        let active =
            "select active::text from pg_replication_slots where database = current_database()";
        assert_eq!(
            (query_value(&database, active).as_str(), confirmed(&database)),
            ("false", taken)
        );
    }
}

#[track_caller]
fn next_keepalive(reader: &WalReader) -> Lsn {
    loop {
        let chunk = reader.chunks().recv_timeout(LIMIT).expect("a keepalive").unwrap();
        for message in chunk.messages() {
            if let WalMessage::Keepalive { end, .. } = message.unwrap() {
                return end;
            }
        }
    }
}

#[track_caller]
fn wait_until_received(reader: &WalReader, lsn: Lsn) -> Lsn {
    loop {
        reader.ping();
        let end = next_keepalive(reader);
        if end >= lsn {
            return end;
        }
    }
}

#[test]
fn a_pipeline_that_takes_nothing_stops_the_reading_but_not_the_talking() {
    for cluster in servers() {
        let (cluster, _handle) = own_cluster(
            crate::support::binaries().iter().find(|found| found.major == cluster.major).unwrap(),
        );
        let database = database(cluster, "stall");
        sql(&database, "alter system set wal_sender_timeout = '1500ms'");
        sql(&database, "select pg_reload_conf()");
        sql(&database, "create table t (a text); create publication p for all tables");
        let reader = follow(&database, "p");
        sql(&database, "insert into t select repeat('x', 1000) from generate_series(1, 50000)");
        sql(&database, &mark("end"));
        let replies = "select extract(epoch from max(reply_time))::text from pg_stat_replication";
        // The walsender ends a connection that is silent for 1.5 s: six status updates are more
        // than three times as long.
        let mut seen = Vec::new();
        wait_for("six status updates", LIMIT, || {
            let reply = query_value(&database, replies);
            if seen.last() != Some(&reply) {
                seen.push(reply);
            }
            seen.len() > 6
        });
        let held = reader.chunks().len();
        assert!((2..=BUDGET_BYTES / (256 * 1024) + 1).contains(&held), "{held} chunks");
        let payloads = payloads_until_mark(&reader, "end");
        let inserts = payloads.iter().filter(|payload| payload[0] == b'I').count();
        assert_eq!(inserts, 50_000);
        reader.stop().unwrap();
    }
}

#[test]
fn a_row_larger_than_the_budget_passes() {
    for cluster in servers() {
        let database = database(cluster, "huge_row");
        sql(&database, "create table t (a bytea); create publication p for all tables");
        let reader = follow(&database, "p");
        // 96 MB of bytea are 192 MB of text.
        sql(&database, "insert into t values (decode(repeat('00', 96 * 1024 * 1024), 'hex'))");
        let payloads = payloads_until(&reader, |message| matches!(message, Message::Commit(_)));
        let longest = payloads.iter().map(Vec::len).max().unwrap();
        assert!(longest > 192 * 1024 * 1024 && longest < 193 * 1024 * 1024);
        reader.stop().unwrap();
    }
}

#[test]
fn a_connection_that_the_server_ends_is_the_last_item_and_worth_another_try() {
    for cluster in servers() {
        let database = database(cluster, "ended");
        sql(&database, "create table t (a int); create publication p for all tables");
        let reader = follow(&database, "p");
        sql(
            &database,
            "select pg_terminate_backend(active_pid) from pg_replication_slots where database = current_database()",
        );
        let error = loop {
            match reader.chunks().recv_timeout(LIMIT).expect("an error") {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.sqlstate(), Some("57P01"));
        assert_eq!(error.retry(), backlot::pg::Retry::Backoff);
        assert!(reader.chunks().recv_timeout(LIMIT).is_err(), "nothing comes after an error");
    }
}

#[test]
fn leaving_in_the_middle_of_a_large_transaction_frees_the_slot() {
    for cluster in servers() {
        let database = database(cluster, "leave");
        sql(&database, "create table t (a text); create publication p for all tables");
        let reader = follow(&database, "p");
        sql(&database, "insert into t select repeat('x', 100) from generate_series(1, 100000)");
        drop(reader.chunks().recv_timeout(LIMIT).unwrap().unwrap());
        reader.stop().unwrap();
        let again = WalReader::start(
            replication(&database),
            &slot_name(&database),
            Lsn::ZERO,
            &options("p"),
            BUDGET_BYTES,
        )
        .unwrap();
        let payloads = payloads_until(&again, |message| matches!(message, Message::Commit(_)));
        assert_eq!(payloads.iter().filter(|payload| payload[0] == b'I').count(), 100_000);
        again.stop().unwrap();
    }
}

#[test]
fn an_idle_source_that_shuts_down_is_not_held_up() {
    for found in crate::support::binaries() {
        let (cluster, mut handle) = own_cluster(found);
        let database = database(cluster, "shutdown");
        sql(&database, "create publication p for all tables");
        let reader = follow(&database, "p");
        let control = reader.control();
        // What the pipeline does: a keepalive's position is acknowledged when nothing is in flight.
        let pipeline = std::thread::spawn(move || {
            for item in reader.chunks() {
                let Ok(chunk) = item else { break };
                for message in chunk.messages() {
                    if let WalMessage::Keepalive { end, .. } = message.unwrap() {
                        control.acknowledge(end);
                    }
                }
            }
        });
        let started = std::time::Instant::now();
        handle.stop(backlot::instance::StopMode::Fast).unwrap();
        assert!(started.elapsed() < Duration::from_secs(30));
        pipeline.join().unwrap();
    }
}

#[test]
fn a_temporary_slot_can_be_followed_on_its_own_connection() {
    for cluster in servers() {
        let database = database(cluster, "temporary");
        sql(&database, "create table t (a int); create publication p for all tables");
        let mut replication = replication(&database);
        let slot = slot_name(&database);
        let made = replication.create_slot(&slot, SlotKind::Temporary).unwrap();
        let from = made.consistent_point;
        let reader =
            WalReader::start(replication, &slot, from, &options("p"), BUDGET_BYTES).unwrap();
        sql(&database, "insert into t values (1)");
        payloads_until(&reader, |message| matches!(message, Message::Commit(_)));
        drop(reader);
        let left =
            "select slot_name::text from pg_replication_slots where database = current_database()";
        wait_for("the slot's end", LIMIT, || query_strings(&database, left).is_empty());
    }
}
