//! Tables that are copied again.

use super::basic::{Ending, LIMIT, RULES, SCHEMA, pair, pair_between};
use crate::support::database::{block_on, connect};
use crate::support::{Database, query_strings, query_value, servers, sql, wait_for};
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, Ordering};

/// Asks the running stream; returns the request's number.
fn ask(target: &Database, table: &str) -> String {
    let asked = format!(
        "insert into backlot.request (kind, arguments) values ('resync', '{{\"tables\": [\"{table}\"]}}') \
         returning request_id"
    );
    query_value(target, &asked)
}

fn wait_done(target: &Database, request: &str) {
    let state = format!("select state from backlot.request where request_id = {request}");
    wait_for("the copy", LIMIT, || query_value(target, &state) == "done");
}

#[test]
fn copying_an_inheritance_parent_again_leaves_the_rows_of_its_children() {
    let schema = format!(
        "{SCHEMA} create table shapes (id int primary key, size int);
         create table circles (primary key (id)) inherits (shapes);
         insert into shapes values (1, 10), (2, 20); insert into circles values (3, 30), (4, 40)"
    );
    let pair = pair("inherited", &schema, RULES);
    sql(&pair.target, "update only shapes set size = 11 where id = 1");
    pair.follow.run("resync", &["public.shapes"]).expect_code(0);
    pair.assert_rows("select id, size from only shapes order by 1");
    pair.assert_rows("select id, size from circles order by 1");
}

#[test]
fn a_copy_that_gets_no_lock_is_tried_again_and_the_stream_goes_on() {
    // Where the lock's transaction is in no snapshot's way.
    let clusters = [servers().next().unwrap(), servers().last().unwrap()];
    let pair = pair_between(clusters, "locked", SCHEMA, RULES);
    let running = pair.stream(&[]);
    let waits = "select count(*) from pg_locks l join pg_database d on d.oid = l.database \
         where not l.granted and l.relation = 'notes'::regclass and d.datname = current_database()";
    // In the way of the table to copy into, and of putting the copy in place.
    for (round, mode) in ["access exclusive", "share"].iter().enumerate() {
        let holder = block_on(async {
            let holder = connect(&pair.target.url).await.unwrap();
            let lock = format!("begin; lock table notes in {mode} mode");
            holder.batch_execute(&lock).await.unwrap();
            holder
        });
        let request = ask(&pair.target, "public.notes");
        wait_for("the copy to wait", LIMIT, || query_value(&pair.target, waits) != "0");
        sql(&pair.source, &format!("insert into logs values ({round} + 500, 'meanwhile')"));
        sql(&pair.source, &format!("insert into notes values ({round} + 500, 'spooled')"));
        pair.wait_rows("another table", "select * from logs order by 1");
        block_on(async { holder.batch_execute("rollback").await.unwrap() });
        wait_done(&pair.target, &request);
        pair.wait_rows("the table", "select * from notes order by 1");
    }
    running.signal(Signal::TERM);
    let summary = running.wait().expect_code(0).summary();
    assert_eq!(summary["reconnects"], 0, "{summary}");
}

#[test]
fn a_table_without_identity_is_still_insert_only_when_it_was_copied_again() {
    let pair = pair("insert_only", SCHEMA, RULES);
    let running = pair.stream(&[]);
    let request = ask(&pair.target, "public.logs");
    wait_done(&pair.target, &request);
    let state = "select state, reason from backlot.stream_table where relation = 'public.logs'";
    let insert_only = [["insert_only", "it has no replica identity"]];
    assert_eq!(query_strings(&pair.target, state), insert_only);
    // What the stream holds of it is written down with a change of its columns.
    sql(&pair.source, "alter table logs add column more int; insert into logs values (1, 'a', 2)");
    pair.wait_rows("the column", "select at, line, more from logs order by 1, 2");
    assert_eq!(query_strings(&pair.target, state), insert_only);
    running.signal(Signal::TERM);
    running.wait().expect_code(0);
}

#[test]
fn a_copy_without_the_column_that_keys_a_rule_is_refused() {
    let schema = "create table visits (id int primary key, patient int, day date);
         insert into visits select i, i % 7, date '2020-01-01' + i from generate_series(1, 50) i";
    let rules = "version: 1
defaults: {detected: keep, free_text: keep, unclassified: keep}
tables:
  public.visits:
    columns:
      day: {transform: date_shift, max_days: 180, subject: patient}
";
    let pair = pair("unkeyed", schema, rules);
    sql(&pair.target, "alter table visits drop column patient");
    let days = "select string_agg(day::text, ',' order by id) from visits";
    let before = query_value(&pair.target, days);
    let refused = pair.follow.run("resync", &["public.visits"]).expect_code(5);
    let reason = "the rule of column day is keyed by patient";
    assert!(refused.stderr.contains(reason), "{}", refused.stderr);
    assert_eq!(query_value(&pair.target, days), before);
    sql(&pair.target, "alter table visits add column patient int");
    pair.follow.run("resync", &["public.visits"]).expect_code(0);
    assert_eq!(query_value(&pair.target, days), before);
    pair.assert_rows("select id, patient from visits order by 1");
}

#[test]
fn partitions_that_are_sent_as_their_root_are_copied_again_under_load() {
    let schema =
        "create table m (id int, at int, who text, primary key (id, at)) partition by range (at);
        create table m1 partition of m for values from (0) to (10);
        create table m2 partition of m for values from (10) to (20);
        insert into m select i, i % 20, 'w' || i from generate_series(1, 20000) i;
        create publication by_root for table m with (publish_via_partition_root = true)";
    let rules = "version: 1
defaults: {detected: keep, free_text: keep, unclassified: keep}
tables:
  public.m: {columns: {who: keep}}
publications: [by_root]
";
    let pair = pair("sent_as_root", schema, rules);
    let running = pair.stream(&[]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ending = Ending(&stop);
        scope.spawn(|| {
            for id in 100_000.. {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let insert = format!("insert into m values ({id}, {id} % 20, 'new')");
                sql(
                    &pair.source,
                    &format!("{insert}; update m set who = 'u' where id = {id} - 99999"),
                );
            }
        });
        pair.follow.run("resync", &["public.m1"]).expect_code(0);
        drop(ending);
    });
    let sums = "select count(*), sum(id), sum(at), sum(pg_catalog.hashtext(who)) from m";
    pair.wait_rows("the partitions", sums);
    running.signal(Signal::TERM);
    running.wait().expect_code(0);
}
