//! The whole way, end to end: each rule of the stream once, on both servers where they differ.

use crate::support::follow::Follow;
use crate::support::{
    Database, Output, Running, backlot, database, query_strings, query_value, servers, sql,
    try_query_strings, wait_for,
};
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(super) const LIMIT: Duration = Duration::from_mins(1);

/// Every column as it is, but for e-mail addresses.
pub(super) const RULES: &str = "version: 1
defaults: {detected: keep, free_text: keep, unclassified: keep}
tables:
  public.users:
    columns:
      email: email
      name: keep
  public.notes: {columns: {body: keep}}
  public.logs: {columns: {line: keep}}
";

pub(super) const SCHEMA: &str = "
    create table users (id bigint generated always as identity primary key, email text not null, name text);
    create table notes (id int primary key, body text);
    create table logs (at int, line text);
    insert into users (email, name) select 'u' || i || '@corp.test', 'n' || i from generate_series(1, 100) i;
    insert into notes select i, repeat('b' || i, 3) from generate_series(1, 50) i;
    insert into logs select i, 'l' || i from generate_series(1, 20) i;";

pub(super) struct Pair {
    pub(super) source: Database,
    pub(super) target: Database,
    pub(super) follow: Follow,
}

/// A cloned pair, not yet streaming.
pub(super) fn pair(name: &str, schema: &str, rules: &str) -> Pair {
    pair_on(servers().next().unwrap(), name, schema, rules)
}

pub(super) fn pair_on(
    cluster: &'static crate::support::Cluster,
    name: &str,
    schema: &str,
    rules: &str,
) -> Pair {
    pair_between([cluster, cluster], name, schema, rules)
}

pub(super) fn pair_between(
    [source, target]: [&'static crate::support::Cluster; 2],
    name: &str,
    schema: &str,
    rules: &str,
) -> Pair {
    let source = database(source, &format!("{name}_s"));
    let target = database(target, &format!("{name}_t"));
    sql(&source, schema);
    let follow = Follow::new(&source.url, &target.url).config(rules);
    follow.start().expect_code(0);
    Pair { source, target, follow }
}

/// Ends a load also where the test fails.
pub(super) struct Ending<'a>(pub(super) &'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Pair {
    /// `clone retry --all`.
    fn retry(&self) -> Output {
        let args = ["--json", "clone", "retry", "--all", "--target-url", &self.target.url];
        backlot(self.follow.dir.path(), &args, &[])
    }

    pub(super) fn catch_up(&self) -> serde_json::Value {
        self.follow.catch_up().expect_code(0).summary()
    }

    pub(super) fn assert_rows(&self, query: &str) {
        assert_eq!(
            query_strings(&self.source, query),
            query_strings(&self.target, query),
            "{query}"
        );
    }

    /// A running stream that has caught up at least once.
    pub(super) fn stream(&self, more: &[&str]) -> Running {
        let running = self.follow.stream(more);
        let holds = format!(
            "select 1 from pg_replication_slots where active and slot_name = '{}'",
            self.slot()
        );
        // It reads its slot early; this is the last connection that it makes.
        let binds = "select 1 from pg_stat_activity where datname = current_database()
            and application_name = 'backlot stream bind' and state = 'idle'";
        wait_for("the stream to follow its source", LIMIT, || {
            !query_strings(&self.source, &holds).is_empty()
                && !query_strings(&self.target, binds).is_empty()
        });
        running
    }

    pub(super) fn slot(&self) -> String {
        query_value(&self.target, "select slot_name from backlot.stream")
    }

    pub(super) fn wait_rows(&self, what: &str, query: &str) {
        wait_for(what, LIMIT, || {
            try_query_strings(&self.target, query) == Some(query_strings(&self.source, query))
        });
    }
}

#[test]
fn what_commits_after_the_snapshot_arrives_masked_and_once() {
    for cluster in servers() {
        let pair = pair_on(cluster, "basic", SCHEMA, RULES);
        sql(
            &pair.source,
            "begin; insert into users (email, name) values ('new@corp.test', 'new');
             update users set name = 'changed' where id = 1; commit;
             update users set email = 'moved@corp.test' where id = 2; delete from users where id = 3;
             update notes set id = 1000 where id = 1; delete from notes where id = 2;
             insert into logs values (99, 'no key');",
        );
        let summary = pair.catch_up();
        assert_eq!(summary["ended"], "caught up");
        assert_eq!(summary["changes"], 7);
        pair.assert_rows("select id, name from users order by 1");
        pair.assert_rows("select * from notes order by 1");
        pair.assert_rows("select * from logs order by 1");
        let raw = "select count(*) from users where email like '%@corp.test'";
        assert_eq!(query_value(&pair.target, raw), "0");
        pair.assert_rows("select count(*), count(distinct email) from users");
        // Nothing is left to do, and nothing is done twice.
        let again = pair.catch_up();
        assert_eq!((&again["changes"], &again["transactions"]), (&0.into(), &0.into()));
        pair.assert_rows("select last_value, is_called from users_id_seq");
    }
}

#[test]
fn a_snapshot_taken_under_load_and_the_stream_behind_it_leave_no_gap() {
    let cluster = servers().last().unwrap();
    let source = database(cluster, "gap_s");
    let target = database(cluster, "gap_t");
    sql(&source, SCHEMA);
    let follow = Follow::new(&source.url, &target.url).config(RULES);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ending = Ending(&stop);
        scope.spawn(|| {
            let mut round = 0;
            while !stop.load(Ordering::SeqCst) {
                round += 1;
                sql(
                    &source,
                    &format!(
                        "begin; insert into users (email, name) values ('r{round}@corp.test', 'r{round}');
                         insert into logs values ({round}, 'round'); commit;
                         update notes set body = body || 'x' where id = {round} % 50 + 1;"
                    ),
                );
            }
        });
        follow.start().expect_code(0);
        let last = "select max(at) from logs where line = 'round'";
        let count = |rows: Vec<Vec<String>>| rows[0][0].parse::<i64>().unwrap_or(0);
        // Not from the clone: a stream that has not begun yet heeds no signal.
        let cloned = count(query_strings(&target, last));
        let running = follow.stream(&[]);
        wait_for("rows of the stream", LIMIT, || count(query_strings(&target, last)) > cloned);
        drop(ending);
        running.signal(Signal::TERM);
        running.wait().expect_code(0);
    });
    follow.catch_up().expect_code(0);
    for query in [
        "select id, name from users order by 1",
        "select * from notes order by 1",
        "select * from logs order by 1, 2",
    ] {
        assert_eq!(query_strings(&source, query), query_strings(&target, query), "{query}");
    }
}

#[test]
fn a_signal_ends_the_stream_in_order_and_the_next_one_goes_on() {
    for signal in [Signal::TERM, Signal::INT] {
        let pair = pair("signal", SCHEMA, RULES);
        let running = pair.stream(&[]);
        sql(&pair.source, "insert into notes values (100, 'a')");
        pair.wait_rows("the row", "select * from notes order by 1");
        running.signal(signal);
        let summary = running.wait().expect_code(0).summary();
        assert_eq!(summary["ended"], "stopped");
        // Everything is acknowledged, and the slot is free.
        let slot = "select active::text, (confirmed_flush_lsn = $lsn)::text from pg_replication_slots where slot_name = '$slot'";
        let lsn = query_value(&pair.target, "select end_lsn from backlot.checkpoint");
        let slot = slot.replace("$slot", &pair.slot()).replace("$lsn", &format!("'{lsn}'"));
        assert_eq!(query_strings(&pair.source, &slot), [["false", "true"]]);
        sql(&pair.source, "insert into notes values (101, 'b')");
        assert_eq!(pair.catch_up()["changes"], 1);
        pair.assert_rows("select * from notes order by 1");
    }
}

#[test]
fn a_second_stream_on_the_same_target_is_refused() {
    let pair = pair("second", SCHEMA, RULES);
    let running = pair.stream(&[]);
    let refused = pair.follow.run("stream", &["--until-caught-up"]).expect_code(5);
    assert!(refused.stderr.contains("another clone or stream"), "{}", refused.stderr);
    drop(running);
    // A killed stream leaves no lock behind.
    wait_for("the lock", LIMIT, || pair.follow.catch_up().code == Some(0));
}

#[test]
fn a_large_streamed_transaction_loses_its_rolled_back_savepoints() {
    for cluster in servers() {
        let pair = pair_on(cluster, "large", SCHEMA, RULES);
        sql(
            &pair.source,
            "alter database \"$\" set logical_decoding_work_mem = '64kB'"
                .replace('$', &pair.source.name)
                .as_str(),
        );
        sql(
            &pair.source,
            "begin;
             insert into notes select i, repeat(md5(i::text), 4) from generate_series(1000, 5999) i;
             savepoint a; insert into notes select i, 'rolled back' from generate_series(6000, 7999) i;
             update notes set body = 'rolled back' where id < 2000; rollback to a;
             savepoint b; insert into notes select i, repeat(md5(i::text), 4) from generate_series(8000, 9999) i; release b;
             delete from notes where id between 1500 and 1600;
             commit;
             begin; insert into notes select i, repeat(md5(i::text), 4) from generate_series(20000, 24999) i; rollback;
             insert into notes values (30000, 'after')",
        );
        let summary = pair.catch_up();
        assert_eq!(summary["transactions"], 2);
        pair.assert_rows("select * from notes order by 1");
        let slot = format!(
            "select (stream_txns > 0)::text from pg_stat_replication_slots where slot_name = '{}'",
            pair.slot()
        );
        wait_for("the slot's statistics", LIMIT, || query_value(&pair.source, &slot) == "true");
    }
}

#[test]
fn a_truncate_of_several_tables_arrives() {
    let schema = format!(
        "{SCHEMA} create table items (note int references notes, n int, primary key (note, n)); insert into items values (1, 1);"
    );
    let pair = pair("truncate", &schema, RULES);
    sql(
        &pair.source,
        "truncate notes, items; insert into notes values (1, 'again'); insert into items values (1, 7);
         truncate logs; insert into logs values (1, 'again')",
    );
    pair.catch_up();
    for table in ["notes", "items", "logs"] {
        pair.assert_rows(&format!("select * from {table} order by 1"));
    }
}

const PARTITIONED: &str = "
    create table m (id int, at int, who text, primary key (id, at)) partition by range (at);
    create table m1 partition of m for values from (0) to (10);
    create table m2 partition of m for values from (10) to (20);
    insert into m select i, i % 20, 'w' || i || '@corp.test' from generate_series(1, 60) i;";
const PARTITIONED_RULES: &str = "version: 1
defaults: {detected: keep, free_text: keep, unclassified: keep}
tables:
  public.m: {columns: {who: email}}
";

#[test]
fn partitions_follow_with_the_rules_of_their_root() {
    let pair = pair("leaves", PARTITIONED, PARTITIONED_RULES);
    sql(
        &pair.source,
        "insert into m values (100, 5, 'new@corp.test'); update m set at = at + 10 where at < 3;
         delete from m where id = 7; truncate m2;
         create table m3 partition of m for values from (20) to (30); insert into m values (200, 15, 'x@corp.test')",
    );
    pair.catch_up();
    pair.assert_rows("select id, at from m order by 1, 2");
    let raw = "select count(*) from m where who like '%@corp.test'";
    assert_eq!(query_value(&pair.target, raw), "0");
}

#[test]
fn partitions_published_by_their_root_follow_as_well() {
    let rules = format!("{PARTITIONED_RULES}publications: [by_root]\n");
    let schema = format!(
        "{PARTITIONED} create publication by_root for table m with (publish_via_partition_root = true);"
    );
    let pair = pair("via_root", &schema, &rules);
    sql(
        &pair.source,
        "insert into m values (100, 5, 'new@corp.test'); update m set at = at + 10 where at < 3;
         delete from m where id = 7; truncate m; insert into m values (300, 3, 'y@corp.test')",
    );
    pair.catch_up();
    pair.assert_rows("select id, at from m order by 1, 2");
    let raw = "select count(*) from m where who like '%@corp.test'";
    assert_eq!(query_value(&pair.target, raw), "0");
}

#[test]
fn a_table_that_cannot_be_altered_as_the_sources_was_is_left_as_it_is_or_stale() {
    let pair = pair("columns", SCHEMA, RULES);
    sql(&pair.target, "create view lines as select line from logs");
    sql(
        &pair.source,
        "create type only_here as enum ('corp secret'); alter table notes add column secret only_here;
         insert into notes values (60, 'b', 'corp secret');
         alter table logs drop column line; insert into logs values (77);
         insert into users (email) values ('more@corp.test')",
    );
    let output = pair.follow.catch_up().expect_code(9);
    assert!(output.stdout.contains("does not have secret"), "{}", output.stdout);
    pair.assert_rows("select id, body from notes order by 1");
    pair.assert_rows("select count(*) from users");
    let stale = "select relation, state, reason like '%column line dropped%' \
                 from backlot.stream_table where state = 'stale'";
    assert_eq!(query_strings(&pair.target, stale), [["public.logs", "stale", "t"]]);
    assert_eq!(query_value(&pair.target, "select count(*) from logs"), "20");
    sql(&pair.source, "insert into logs values (78)");
    // The view is still in the way.
    let refused = pair.follow.run("resync", &["public.logs"]).expect_code(5);
    assert!(refused.stderr.contains("2BP01"), "{}", refused.stderr);
    sql(&pair.target, "drop view lines");
    pair.follow.run("resync", &["public.logs"]).expect_code(0);
    pair.assert_rows("select * from logs order by 1");
    sql(&pair.source, "insert into logs values (79)");
    pair.catch_up();
    pair.assert_rows("select * from logs order by 1");
}

#[test]
fn a_transaction_that_the_target_refuses_stops_the_stream_or_is_quarantined_whole() {
    let pair = pair("poison", SCHEMA, RULES);
    sql(&pair.target, "insert into notes values (500, 'in the way')");
    for transaction in [
        "insert into notes values (499, 'before')",
        "insert into logs values (1, 'whole'); insert into notes values (500, 'corp secret')",
        "insert into notes values (501, 'behind')",
    ] {
        sql(&pair.source, transaction);
    }
    let refused = pair.follow.catch_up().expect_code(7);
    assert!(refused.stderr.contains("public.notes"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("corp secret"), "{}", refused.stderr);
    assert_eq!(query_value(&pair.target, "select count(*) from notes where id = 499"), "1");
    assert_eq!(query_value(&pair.target, "select count(*) from notes where id = 501"), "0");
    let output = pair.follow.run("stream", &["--until-caught-up", "--on-error", "quarantine"]);
    assert_eq!(output.expect_code(9).summary()["quarantined"], 1);
    assert_eq!(query_value(&pair.target, "select count(*) from notes where id = 501"), "1");
    assert_eq!(query_value(&pair.target, "select count(*) from logs where line = 'whole'"), "0");
    assert_eq!(
        query_strings(&pair.target, "select relation, sqlstate from backlot.quarantine"),
        [["public.notes", "23505"]]
    );
}

#[test]
fn a_table_is_copied_again_while_the_stream_goes_on() {
    let pair = pair("resync", SCHEMA, RULES);
    let running = pair.stream(&[]);
    // A table without replica identity: what its UPDATE did is not in the stream.
    sql(
        &pair.source,
        "update logs set line = 'changed' where at < 10; insert into logs values (200, 'new')",
    );
    sql(&pair.target, "update users set name = 'diverged', email = 'x' || id where id < 50");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ending = Ending(&stop);
        scope.spawn(|| {
            let mut round = 0;
            while !stop.load(Ordering::SeqCst) {
                round += 1;
                sql(
                    &pair.source,
                    &format!(
                        "insert into users (email, name) values ('r{round}@corp.test', 'r{round}');
                         update users set name = 'u{round}' where id = {round} % 100 + 1;
                         insert into notes values ({round} + 1000, 'n')"
                    ),
                );
            }
        });
        pair.follow.run("resync", &["public.users", "public.logs"]).expect_code(0);
        drop(ending);
    });
    pair.wait_rows("users", "select id, name from users order by 1");
    pair.wait_rows("logs", "select * from logs order by 1, 2");
    pair.wait_rows("notes", "select * from notes order by 1");
    assert_eq!(
        query_value(
            &pair.target,
            "select count(*) from users where email like '%@corp.test' or email ~ '^x[0-9]+$'"
        ),
        "0"
    );
    assert_eq!(
        query_strings(&pair.target, "select relation, state from backlot.stream_table order by 1"),
        [
            ["public.logs", "insert_only"],
            ["public.notes", "streaming"],
            ["public.users", "streaming"]
        ]
    );
    assert_eq!(
        query_value(&pair.target, "select count(*) from pg_class where relname like 'resync_%'"),
        "0"
    );
    running.signal(Signal::TERM);
    running.wait().expect_code(0);
}

#[test]
fn a_mark_gives_two_snapshots_at_one_position_while_the_source_keeps_writing() {
    let pair = pair("mark", SCHEMA, RULES);
    let running = pair.stream(&[]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ending = Ending(&stop);
        scope.spawn(|| {
            let mut round = 0;
            while !stop.load(Ordering::SeqCst) {
                round += 1;
                sql(&pair.source, &format!("insert into notes values ({round} + 1000, 'n')"));
            }
        });
        for _ in 0..3 {
            let asked = "insert into backlot.request (kind) values ('mark') returning request_id";
            let id = query_value(&pair.target, asked);
            let answer = format!(
                "select state, answer ->> 'source_snapshot', answer ->> 'target_snapshot', answer::text from backlot.request where request_id = {id}"
            );
            let mut names = Vec::new();
            wait_for("the mark", LIMIT, || {
                names = query_strings(&pair.target, &answer).remove(0);
                !matches!(names[0].as_str(), "asked" | "taken")
            });
            assert_eq!(names[0], "answered", "{names:?}");
            let count = |database: &Database, name: &str| {
                let sql = format!(
                    "begin isolation level repeatable read; set transaction snapshot '{name}'; select count(*) from notes"
                );
                query_value(database, &sql)
            };
            assert_eq!(count(&pair.source, &names[1]), count(&pair.target, &names[2]));
            sql(
                &pair.target,
                &format!("update backlot.request set state = 'done' where request_id = {id}"),
            );
        }
        drop(ending);
    });
    pair.wait_rows("the stream to go on", "select count(*) from notes");
    running.signal(Signal::TERM);
    running.wait().expect_code(0);
}

#[test]
fn another_key_and_a_target_that_follows_nothing_are_refused() {
    let pair = pair("refused", SCHEMA, RULES);
    let other = Follow::new(&pair.source.url, &pair.target.url)
        .env("BACKLOT_KEY", "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
    assert!(other.catch_up().expect_code(7).stderr.contains("another key"));
    let stranger = database(pair.target.cluster, "stranger");
    Follow::new(&pair.source.url, &stranger.url).catch_up().expect_code(4);
}

#[test]
fn a_request_to_stop_ends_the_stream() {
    let pair = pair("stop", SCHEMA, RULES);
    let running = pair.stream(&[]);
    sql(&pair.target, "insert into backlot.request (kind) values ('stop')");
    assert_eq!(running.wait().expect_code(0).summary()["ended"], "stopped");
}

#[test]
fn rules_that_change_copy_only_the_tables_they_touch() {
    let pair = pair("rules", SCHEMA, RULES);
    let file = pair.follow.dir.path().join("other.yaml");
    std::fs::write(&file, RULES.replace("name: keep", "name: full_name")).unwrap();
    let file = file.to_str().unwrap();
    let output = pair.follow.run("stream", &["--until-caught-up", "--config", file]).expect_code(0);
    assert!(output.stdout.contains("public.users: 100 rows copied again"), "{}", output.stdout);
    assert!(!output.stdout.contains("public.notes: "), "{}", output.stdout);
    assert_eq!(
        query_value(&pair.target, "select count(*) from users where name ~ '^n[0-9]+$'"),
        "0"
    );
    sql(&pair.source, "insert into users (email, name) values ('l@corp.test', 'n7777')");
    pair.catch_up();
    assert_eq!(
        query_value(&pair.target, "select count(*) from users where name ~ '^n[0-9]+$'"),
        "0"
    );
    pair.assert_rows("select count(*), count(distinct name) from users");
}

#[test]
fn what_was_quarantined_under_other_rules_is_not_applied() {
    for cluster in servers() {
        let pair = pair_on(cluster, "retry", SCHEMA, RULES);
        let quarantined = ["--until-caught-up", "--on-error", "quarantine"];
        let poison = |id: u32, user: &str| {
            let user =
                format!("insert into users (email, name) values ('{user}@corp.test', '{user}')");
            sql(&pair.target, &format!("insert into notes values ({id}, 'in the way')"));
            sql(&pair.source, &format!("{user}; insert into notes values ({id}, 'x')"));
            pair.follow.run("stream", &quarantined).expect_code(9);
            sql(&pair.target, &format!("delete from notes where id = {id}"));
        };
        poison(500, "n7001");
        // As long as the rules are the same it is applied.
        let applied = pair.retry().expect_code(0);
        assert!(applied.stdout.contains("\"applied\":true"), "{}", applied.stdout);
        pair.assert_rows("select id, name from users order by 1");
        poison(501, "n7002");
        let file = pair.follow.dir.path().join("other.yaml");
        std::fs::write(&file, RULES.replace("name: keep", "name: full_name")).unwrap();
        let rules = ["--until-caught-up", "--config", file.to_str().unwrap()];
        pair.follow.run("stream", &rules).expect_code(9);
        let refused = pair.retry().expect_code(9);
        let running = pair.stream(&[]);
        let by_the_stream = pair.retry().expect_code(9);
        running.signal(Signal::TERM);
        running.wait().expect_code(9);
        for refused in [refused, by_the_stream] {
            assert!(refused.stdout.contains("clone resync public.users"), "{}", refused.stdout);
            assert!(!refused.stdout.contains("n7002"), "{}", refused.stdout);
        }
        let raw = "select count(*) from users where name ~ '^n[0-9]+$'";
        assert_eq!(query_value(&pair.target, raw), "0");
    }
}

#[test]
fn what_was_quarantined_of_partitions_is_applied_by_the_rules_of_each() {
    let rules = format!("{PARTITIONED_RULES}publications: [by_root]\n");
    let schema = format!(
        "{PARTITIONED} create publication by_root for table m with (publish_via_partition_root = true);"
    );
    let quarantined = ["--until-caught-up", "--on-error", "quarantine"];
    for (name, schema, rules) in
        [("own_rules", PARTITIONED, PARTITIONED_RULES), ("root_rules", &schema, &rules)]
    {
        let pair = pair(name, schema, rules);
        // A partition that came later, and a row that the target does not take.
        sql(&pair.target, "alter table m add constraint no_201 check (id <> 201)");
        sql(&pair.source, "create table m3 partition of m for values from (20) to (30)");
        sql(&pair.source, "insert into m values (201, 25, 'w201@corp.test')");
        pair.follow.run("stream", &quarantined).expect_code(9);
        sql(&pair.target, "alter table m drop constraint no_201");
        pair.retry().expect_code(0);
        pair.assert_rows("select id, at from m order by 1, 2");
        sql(&pair.target, "insert into m values (202, 5, 'in the way')");
        sql(&pair.source, "insert into m values (202, 5, 'w202@corp.test')");
        pair.follow.run("stream", &quarantined).expect_code(9);
        let file = pair.follow.dir.path().join("other.yaml");
        std::fs::write(&file, rules.replace("who: email", "who: text_fill")).unwrap();
        let rules = ["--until-caught-up", "--config", file.to_str().unwrap()];
        pair.follow.run("stream", &rules).expect_code(9);
        let refused = pair.retry().expect_code(9);
        assert!(refused.stdout.contains("clone resync public.m1"), "{}", refused.stdout);
    }
}

#[test]
fn lost_connections_on_either_side_are_made_again() {
    let pair = pair("reconnect", SCHEMA, RULES);
    let running = pair.stream(&[]);
    for (round, side) in [&pair.source, &pair.target, &pair.source, &pair.target].iter().enumerate()
    {
        let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
            where datname = current_database() and application_name like 'backlot%'";
        assert_ne!(query_value(side, cut), "0");
        sql(&pair.source, &format!("insert into notes values ({}, 'again')", 100 + round));
        pair.wait_rows("the row", "select * from notes order by 1");
    }
    running.signal(Signal::TERM);
    let summary = running.wait().expect_code(0).summary();
    assert!(summary["reconnects"].as_u64().unwrap() >= 4, "{summary}");
}

#[test]
fn a_slot_that_keeps_too_much_is_given_up_before_it_fills_the_disk() {
    let pair = pair("maxlag", SCHEMA, RULES);
    let slot = pair.slot();
    let output = pair.follow.stream(&["--max-lag", "1"]).wait().expect_code(7);
    assert!(output.stdout.contains("beyond 100 % it is dropped"), "{}", output.stdout);
    assert!(output.stderr.contains("--replace"), "{}", output.stderr);
    let there = format!("select count(*) from pg_replication_slots where slot_name = '{slot}'");
    assert_eq!(query_value(&pair.source, &there), "0");
    let again = pair.follow.catch_up().expect_code(7);
    assert!(again.stderr.contains("no replication slot"), "{}", again.stderr);
}

#[test]
fn a_slot_that_is_dropped_under_the_stream_ends_it() {
    let pair = pair("dropped", SCHEMA, RULES);
    let running = pair.stream(&[]);
    let slot = pair.slot();
    let drop = format!(
        "select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where slot_name = '{slot}';
         select pg_drop_replication_slot('{slot}')"
    );
    // A stream that is quicker to come back holds it again.
    wait_for("the slot to be dropped", LIMIT, || {
        crate::support::try_sql(&pair.source, &drop).is_ok()
    });
    assert!(running.wait().expect_code(7).stderr.contains("slot"));
}
