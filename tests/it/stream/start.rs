//! `clone start --follow`: the snapshot and what comes after it from one command.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::follow::{FOLLOW_LIMIT, Follow};
use crate::support::{
    Database, database, query_strings, servers, sql, try_query_strings, wait_for,
};

const SCHEMA: &str =
    "create table t (id bigint generated always as identity primary key, note text);
    insert into t (note) select 'n' || i from generate_series(1, 1000) i";
const ROWS: &str = "select id, note from t order by id";

fn pair(name: &str) -> (Database, Database, Follow) {
    let cluster = servers().next().unwrap();
    let source = database(cluster, &format!("{name}_s"));
    let target = database(cluster, &format!("{name}_t"));
    sql(&source, SCHEMA);
    let follow = Follow::new(&source.url, &target.url)
        .config("version: 1\ndefaults: {detected: keep, free_text: keep, unclassified: keep}\n");
    (source, target, follow)
}

#[test]
fn a_start_that_follows_goes_on_after_the_snapshot_until_it_is_told_to_stop() {
    let (source, target, follow) = pair("start_now");
    let running = follow.begin("--follow");
    wait_for("the snapshot", FOLLOW_LIMIT, || {
        let there = "select 1 from backlot.checkpoint";
        try_query_strings(&target, there).is_some_and(|rows| !rows.is_empty())
    });
    sql(&source, "insert into t (note) values ('after the snapshot'); delete from t where id = 7");
    wait_for("the change on the target", Duration::from_mins(1), || {
        query_strings(&target, ROWS) == query_strings(&source, ROWS)
    });
    running.signal(Signal::TERM);
    let output = running.wait_within(FOLLOW_LIMIT).expect_code(0);
    assert_eq!(output.summary()["ended"], "stopped", "{}", output.stdout);
}

#[test]
fn a_start_that_follows_once_ends_when_it_has_caught_up() {
    let (source, target, follow) = pair("start_once");
    let output = follow.begin("--follow=once").wait_within(FOLLOW_LIMIT).expect_code(0);
    assert_eq!(output.summary()["ended"], "caught up", "{}", output.stdout);
    // Sequences are exact then.
    sql(&target, "insert into t (note) values ('here')");
    sql(&source, "insert into t (note) values ('here')");
    assert_eq!(query_strings(&target, ROWS), query_strings(&source, ROWS));
}

#[test]
fn a_table_whose_rules_are_the_same_is_not_copied_again() {
    let cluster = servers().next().unwrap();
    let (source, target) = (database(cluster, "same_rules_s"), database(cluster, "same_rules_t"));
    // The generated column stands before the masked one: it is not copied and not counted.
    sql(
        &source,
        "create table people (id int primary key, first text,
             name text generated always as ('Dr ' || first) stored, email text);
         insert into people (id, first, email) select i, 'f' || i, i || '@corp.test' from generate_series(1, 10) i",
    );
    let follow = Follow::new(&source.url, &target.url).config(
        "version: 1\ntables:\n  public.people: {columns: {first: first_name, email: email}}\n",
    );
    follow.start().expect_code(0);
    let versions = "select id, xmin, ctid from people order by id";
    let before = query_strings(&target, versions);
    assert_eq!(before.len(), 10);
    follow.catch_up().expect_code(0);
    assert_eq!(query_strings(&target, versions), before);
}
