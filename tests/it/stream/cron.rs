//! The stream as cron runs it.

use super::{
    oracle,
    workload::{self, NOT_FOLLOWED, Options, Workload},
};
use crate::{
    fidelity::keep_everything,
    support::{
        Database, Follow, Random, database, follow::FOLLOW_LIMIT, query_value, servers, sql,
        try_query_strings, wait_for,
    },
};

const SCHEMA: &str = "create table people (id int primary key, name text);
    insert into people select i, 'name ' || i from generate_series(1, 100) i;
    create sequence numbers";

fn followed(name: &str) -> (Database, Database, Follow) {
    let cluster = servers().last().unwrap();
    let (source, target) = (database(cluster, name), database(cluster, &format!("{name}_to")));
    sql(&source, SCHEMA);
    let follow = Follow::new(&source.url, &target.url).config(&keep_everything(&source));
    follow.start().expect_code(0);
    (source, target, follow)
}

/// Sessions that hold the target's lock.
fn locks(target: &Database) -> u64 {
    let query = "select count(*) from pg_locks where locktype = 'advisory' and granted
        and database = (select oid from pg_database where datname = current_database())";
    query_value(target, query).parse().unwrap()
}

#[test]
fn a_run_that_has_caught_up_says_so_in_one_summary_and_ends_with_0() {
    let (source, target, follow) = followed("cron");
    for round in 1..=3 {
        sql(
            &source,
            &format!("update people set name = 'round {round}'; select nextval('numbers')"),
        );
        let output = follow.catch_up().expect_code(0);
        let summary = output.summary();
        assert!(summary["transactions"].as_u64().unwrap() >= 1, "{summary}");
        assert_eq!(summary["changes"].as_u64(), Some(100), "{summary}");
        oracle::assert_equal(&source, &target, &[]);
    }
    // Nothing to do is no error either.
    let summary = follow.catch_up().expect_code(0).summary();
    assert_eq!(summary["changes"].as_u64(), Some(0), "{summary}");
}

#[test]
fn everything_committed_before_a_run_is_there_after_it_also_under_load() {
    let cluster = servers().last().unwrap();
    let (source, target) =
        (workload::source(cluster, "cron_load"), database(cluster, "cron_load_to"));
    // The load leaves it alone: it truncates its own tables, also behind the end of a run.
    sql(&source, "create table app.noted (round int primary key)");
    let config = workload::config(&source);
    let follow = Follow::new(&source.url, &target.url).config(&config);
    follow.start().expect_code(0);
    let mut random = Random::seeded();
    let load = Workload::start(&source, &mut random, Options { sessions: 2, ..Options::default() });
    for round in 0..3 {
        sql(&source, &format!("insert into app.noted values ({round})"));
        // A load that never ends does not keep a run from its end.
        follow.catch_up().expect_code(0);
        assert_eq!(query_value(&target, "select max(round) from app.noted"), round.to_string());
    }
    load.finish();
    follow.catch_up().expect_code(0);
    oracle::assert_equal(&oracle::transformed(&source, &config), &target, NOT_FOLLOWED);
}

#[test]
fn a_second_run_beside_the_first_is_refused_with_5() {
    let (source, target, follow) = followed("cron_overlap");
    let stream = follow.stream(&[]);
    sql(&source, "insert into people values (1000, 'first')");
    wait_for("the first run", FOLLOW_LIMIT, || {
        query_value(&target, "select count(*) from people where id = 1000") == "1"
    });
    let output = follow.catch_up().expect_code(5);
    assert!(output.stderr.contains("another"), "{}", output.stderr);
    // The first is none the worse for it.
    sql(&source, "insert into people values (1001, 'second')");
    wait_for("the first run to go on", FOLLOW_LIMIT, || {
        query_value(&target, "select count(*) from people where id = 1001") == "1"
    });
    stream.signal(rustix::process::Signal::TERM);
    stream.wait().expect_code(0);
    oracle::assert_equal(&source, &target, &[]);
}

#[test]
fn a_crash_releases_the_lock() {
    let (source, target, follow) = followed("cron_crash");
    let stream = follow.stream(&[]);
    sql(&source, "insert into people values (1000, 'first')");
    wait_for("the first run", FOLLOW_LIMIT, || {
        query_value(&target, "select count(*) from people where id = 1000") == "1"
    });
    assert!(locks(&target) > 0);
    assert!(stream.kill());
    sql(&source, "insert into people values (1001, 'second')");
    follow.catch_up().expect_code(0);
    oracle::assert_equal(&source, &target, &[]);
    wait_for("the lock's end", FOLLOW_LIMIT, || locks(&target) == 0);
}

#[test]
fn stopping_removes_slot_and_publications_and_leaves_the_target() {
    let (source, target, follow) = followed("cron_stop");
    sql(&source, "update people set name = 'last'");
    follow.catch_up().expect_code(0);
    follow.run("stop", &[]).expect_code(0);
    let left =
        "select (select count(*) from pg_replication_slots where database = current_database())
        + (select count(*) from pg_publication)";
    assert_eq!(query_value(&source, left), "0");
    oracle::assert_equal(&source, &target, &[]);
    // Nothing to follow any more.
    let output = follow.catch_up();
    assert!(matches!(output.code, Some(4 | 7)), "{output:?}");
    assert!(try_query_strings(&target, "select * from people").is_some());
}
