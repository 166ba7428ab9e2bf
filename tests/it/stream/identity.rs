//! A slot that is not the one the target's checkpoint speaks of is refused, with the cause and the way on.

use std::time::{Duration, Instant};

use backlot::{instance::StopMode, pg::Lsn};

use super::kill::Positions;
use crate::{
    fidelity::keep_everything,
    support::{
        Cluster, Database, Follow, Output, binaries, database, follow::FOLLOW_LIMIT, own_cluster,
        query_strings, query_value, servers, sql, wait_for,
    },
};

/// Of a refusal: what is tried again takes longer.
const SOON: Duration = Duration::from_mins(1);
/// An idle database's slot may hold back so much of a busy cluster's WAL.
const LAG_MAX: u64 = 32 << 20;

const SCHEMA: &str = "create table people (id int primary key, name text);
    insert into people select i, 'name ' || i from generate_series(1, 100) i";

/// A source and a target that has followed it for a moment.
fn followed(cluster: &'static Cluster, name: &str) -> (Database, Database, Follow, String) {
    let (source, target) = (database(cluster, name), database(cluster, &format!("{name}_to")));
    sql(&source, SCHEMA);
    let follow = Follow::new(&source.url, &target.url).config(&keep_everything(&source));
    follow.start().expect_code(0);
    sql(&source, "update people set name = 'changed' where id <= 50");
    follow.catch_up().expect_code(0);
    let slot = query_value(&target, "select slot_name from backlot.stream");
    (source, target, follow, slot)
}

/// Exit 7 at once, with the words and a command of ours; and nothing was written.
#[track_caller]
fn assert_refused(follow: &Follow, target: &Database, words: &[&str]) -> Output {
    let before =
        query_value(target, "select md5(string_agg(p::text, ',' order by id)) from people p");
    let started = Instant::now();
    let output = follow.run("stream", &[]).expect_code(7);
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    let said = output.stderr.to_lowercase();
    for word in words {
        assert!(said.contains(word), "{word} is not said: {}", output.stderr);
    }
    assert!(said.contains("backlot clone "), "no command is said: {}", output.stderr);
    let after =
        query_value(target, "select md5(string_agg(p::text, ',' order by id)) from people p");
    assert_eq!(before, after);
    output
}

/// A slot that is refused was read from, and has confirmed what it had all the same. Its
/// `restart_lsn` may come closer to that by the reading alone, also by a peek of SQL: where another
/// slot has written a snapshot down in between (logical.c `LogicalIncreaseRestartDecodingForSlot`).
#[track_caller]
fn assert_left_alone(source: &Database, slot: &str, refused: impl FnOnce()) {
    sql(source, "delete from people where id = 2");
    let slot = format!(
        "select confirmed_flush_lsn, restart_lsn from pg_replication_slots where slot_name = '{slot}'"
    );
    let state = || {
        let row = query_strings(source, &slot).remove(0);
        (row[0].parse::<Lsn>().unwrap(), row[1].parse::<Lsn>().unwrap())
    };
    let (confirmed, restart) = state();
    refused();
    let (confirmed_after, restart_after) = state();
    assert_eq!(confirmed_after, confirmed);
    assert!(restart <= restart_after && restart_after <= confirmed, "{restart} {restart_after}");
}

#[test]
fn a_slot_that_is_gone_is_refused() {
    for cluster in servers() {
        let (source, target, follow, slot) = followed(cluster, "slot_gone");
        sql(&source, &format!("select pg_drop_replication_slot('{slot}')"));
        assert_refused(&follow, &target, &[&slot]);
    }
}

#[test]
fn a_slot_that_was_made_again_is_refused() {
    for cluster in servers() {
        let (source, target, follow, slot) = followed(cluster, "slot_again");
        sql(&source, &format!("select pg_drop_replication_slot('{slot}')"));
        sql(&source, "delete from people where id = 1");
        sql(&source, &format!("select pg_create_logical_replication_slot('{slot}', 'pgoutput')"));
        assert_left_alone(&source, &slot, || {
            assert_refused(&follow, &target, &[&slot]);
        });
    }
}

#[test]
fn a_slot_that_somebody_else_has_advanced_is_refused() {
    for cluster in servers() {
        let (source, target, follow, slot) = followed(cluster, "slot_moved");
        sql(&source, "delete from people where id = 1");
        sql(
            &source,
            &format!("select pg_replication_slot_advance('{slot}', pg_current_wal_lsn())"),
        );
        assert_left_alone(&source, &slot, || {
            assert_refused(&follow, &target, &[&slot]);
        });
    }
}

#[test]
fn another_cluster_is_refused() {
    for (cluster, installed) in servers().zip(binaries()) {
        let (_, target, follow, slot) = followed(cluster, "other_cluster");
        let (other, mut server) = own_cluster(installed);
        let elsewhere = database(other, "other_cluster");
        sql(&elsewhere, SCHEMA);
        sql(
            &elsewhere,
            &format!("select pg_create_logical_replication_slot('{slot}', 'pgoutput')"),
        );
        let follow = follow.through(&elsewhere.url, &target.url);
        assert_refused(&follow, &target, &["cluster"]);
        server.stop(StopMode::Immediate).unwrap();
    }
}

#[test]
fn a_new_timeline_is_refused() {
    for installed in binaries() {
        let (own, mut server) = own_cluster(installed);
        let (source, target) =
            (database(own, "timeline"), database(servers().last().unwrap(), "timeline_to"));
        sql(&source, SCHEMA);
        let follow = Follow::new(&source.url, &target.url).config(&keep_everything(&source));
        follow.start().expect_code(0);
        follow.catch_up().expect_code(0);
        // Into recovery and out of it again: what a failover does, with the slot still there.
        server.stop(StopMode::Fast).unwrap();
        let signal = server.data_dir().join("standby.signal");
        std::fs::write(&signal, "").unwrap();
        server.start().unwrap();
        sql(&source, "select pg_promote(true, 60)");
        assert_eq!(query_value(&source, "select pg_is_in_recovery()"), "f");
        assert_refused(&follow, &target, &["timeline"]);
        server.stop(StopMode::Immediate).unwrap();
    }
}

#[test]
fn an_idle_database_in_a_busy_cluster_holds_no_wal_back() {
    for installed in binaries() {
        let (own, mut server) = own_cluster(installed);
        let (source, target, follow, slot) = followed(own, "idle");
        let busy = database(own, "busy");
        sql(&busy, "create table noise (n int, t text)");
        let mut stream = follow.stream(&[]);
        let lag = |position: &str| {
            let query = format!(
                "select pg_wal_lsn_diff(pg_current_wal_lsn(), {position})::bigint from pg_replication_slots where slot_name = '{slot}'"
            );
            query_value(&source, &query).parse::<u64>().unwrap()
        };
        let written = "select (pg_current_wal_lsn() - '0/0')::bigint";
        let begin = query_value(&busy, written).parse::<u64>().unwrap();
        let mut most = 0;
        // Some 300 MB in steps of half of what is allowed.
        while query_value(&busy, written).parse::<u64>().unwrap() < begin + (300 << 20) {
            sql(
                &busy,
                "insert into noise select i, repeat('noise', 40) from generate_series(1, 50000) i",
            );
            wait_for("the slot to follow", FOLLOW_LIMIT, || {
                lag("confirmed_flush_lsn") < LAG_MAX / 2
            });
            most = most.max(lag("confirmed_flush_lsn"));
        }
        assert!(stream.is_running());
        // The WAL itself goes once the server has noted that nothing is running.
        wait_for("the WAL to be let go", FOLLOW_LIMIT, || {
            sql(&busy, "checkpoint");
            lag("restart_lsn") < LAG_MAX
        });
        assert!(most < LAG_MAX, "{most}");
        let positions = Positions::new(&source, &target);
        assert!(positions.confirmed() <= positions.checkpoint().unwrap());
        stream.signal(rustix::process::Signal::TERM);
        stream.wait().expect_code(0);
        server.stop(StopMode::Immediate).unwrap();
    }
}
