//! What the source truncates or rewrites under a copy: a snapshot does not show it any more.

use crate::support::clone::Clone;
use crate::support::follow::{FOLLOW_LIMIT, Follow};
use crate::support::{
    Database, Output, Running, database, query_strings, query_value, servers, some_servers, sql,
    try_query_strings, wait_for,
};
use rustix::process::Signal;

/// `aaa` is copied first, in many ranges.
const SCHEMA: &str = "
    create table aaa (id int primary key, filler text);
    alter table aaa alter filler set storage plain;
    insert into aaa select i, repeat('f', 1000) from generate_series(1, 30000) i;
    create table parent (id int primary key, note text);
    create table child (id int primary key, parent int not null references parent, note text);
    create table events (id int, day date, note text, primary key (id, day)) partition by range (day);
    create table events_old partition of events for values from (minvalue) to ('2020-01-01');
    create table events_new partition of events for values from ('2020-01-01') to (maxvalue);
    create table full_ (id int primary key, note text);
    create table quiet (id int primary key, note text);
    create table left_alone (id int primary key);
    create table rewritten (id int primary key references left_alone, note text);
    insert into left_alone select i from generate_series(1, 100) i;
    insert into rewritten select i, 'r' || i from generate_series(1, 100) i;
    insert into parent select i, 'p' || i from generate_series(1, 1000) i;
    insert into child select i, i, 'c' || i from generate_series(1, 1000) i;
    insert into events select i, date '2019-12-01' + i, 'e' || i from generate_series(1, 60) i;
    insert into full_ select i, 'v' || i from generate_series(1, 1000) i;
    insert into quiet select i, 'q' || i from generate_series(1, 1000) i";

/// Each table is changed before it is truncated and afterwards.
const MEANWHILE: &str = "
    update parent set note = 'changed' where id = 1;
    delete from child where id < 10;
    update events set note = 'changed', day = day + 40 where id = 3;
    begin; truncate parent cascade; insert into parent values (7, 'new'); insert into child values (1, 7, 'new'); commit;
    truncate events_old;
    insert into events values (1, '2019-12-02', 'new');
    update events set note = 'newer' where id = 1;
    delete from full_ where id % 2 = 0";
const AFTERWARDS: &str =
    "vacuum full full_; vacuum full rewritten; update full_ set note = 'newer' where id = 1;
    update quiet set note = 'newer' where id = 1";
const TABLES: &[&str] = &[
    "aaa",
    "parent",
    "child",
    "events_old",
    "events_new",
    "full_",
    "quiet",
    "left_alone",
    "rewritten",
];
const RULES: &str = "version: 1\ndefaults: {detected: keep, free_text: keep, unclassified: keep}\n";

/// Clones the source, and runs the statements while the first table is being copied.
fn clone_meanwhile(
    source: &Database,
    target: &Database,
    start: impl FnOnce() -> Running,
) -> Output {
    let running = stopped(target, start);
    for statements in [MEANWHILE, AFTERWARDS] {
        for statement in statements.split(';') {
            // VACUUM runs in no block of several statements; BEGIN … COMMIT do not matter here.
            if !matches!(statement.trim(), "begin" | "commit") {
                sql(source, statement);
            }
        }
    }
    running.signal(Signal::CONT);
    running.wait_within(FOLLOW_LIMIT).expect_code(0)
}

/// A clone that stands still while the first table is being copied.
fn stopped(target: &Database, start: impl FnOnce() -> Running) -> Running {
    let running = start();
    wait_for("the first range", FOLLOW_LIMIT, || {
        let done = "select 1 from backlot.clone_range where done";
        try_query_strings(target, done).is_some_and(|rows| !rows.is_empty())
    });
    running.signal(Signal::STOP);
    let copied = "select count(*) from backlot.clone_range where done and relation <> 'public.aaa'";
    assert_eq!(query_value(target, copied), "0", "stopped too late to show anything");
    running
}

/// The tables that the summary says are not of the snapshot.
fn named(output: &Output) -> Vec<String> {
    let summary = output.summary();
    let warnings = summary["warnings"].as_array().unwrap();
    let named = |warning: &serde_json::Value| {
        let text = warning.as_str().unwrap();
        text.split_once(" was truncated or rewritten").map(|(table, _)| table.to_owned())
    };
    warnings.iter().filter_map(named).collect()
}

fn assert_equal(source: &Database, target: &Database) {
    for table in TABLES {
        let rows = format!("select * from {table} order by 1");
        assert_eq!(query_strings(source, &rows), query_strings(target, &rows), "{table}");
    }
}

#[test]
fn what_is_truncated_or_rewritten_before_it_is_copied_is_followed_all_the_same() {
    for cluster in some_servers() {
        let (source, target) = (database(cluster, "overtaken_s"), database(cluster, "overtaken_t"));
        sql(&source, SCHEMA);
        let follow = Follow::new(&source.url, &target.url).config(RULES).start_flags(&[
            "--jobs",
            "1",
            "--range-size",
            "1",
        ]);
        clone_meanwhile(&source, &target, || follow.begin("--follow=later"));
        let states = "select relation, state from backlot.stream_table where state <> 'streaming' order by 1";
        let again = ["child", "events_old", "full_", "parent", "rewritten"]
            .map(|table| vec![format!("public.{table}"), "resyncing".to_owned()]);
        assert_eq!(query_strings(&target, states), again);
        // Of these two, only one is followed from here on.
        sql(&source, "truncate left_alone, rewritten");
        sql(&source, "insert into left_alone values (5); insert into rewritten values (5, 'new')");
        follow.catch_up().expect_code(0);
        assert_equal(&source, &target);
        assert_eq!(query_strings(&target, states), Vec::<Vec<String>>::new());
        sql(
            &source,
            "update parent set note = 'last'; insert into events values (2, '2019-12-03', 'last')",
        );
        follow.catch_up().expect_code(0);
        assert_equal(&source, &target);
    }
}

#[test]
fn a_clone_without_a_stream_says_which_tables_are_not_of_the_snapshot() {
    let cluster = servers().last().unwrap();
    let (source, target) = (database(cluster, "overtaken_c"), database(cluster, "overtaken_d"));
    sql(&source, SCHEMA);
    let clone = Clone::new(&source.url, &target.url).config(RULES).args(&[
        "--jobs",
        "1",
        "--range-size",
        "1",
    ]);
    let named = named(&clone_meanwhile(&source, &target, || clone.start()));
    assert_eq!(
        named,
        ["public.child", "public.events_old", "public.full_", "public.parent", "public.rewritten"]
    );
    for empty in ["parent", "child", "events_old"] {
        assert_eq!(query_value(&target, &format!("select count(*) from {empty}")), "0", "{empty}");
    }
    // VACUUM FULL moves what a snapshot shows and keeps it.
    assert_eq!(query_value(&target, "select count(*) from full_ where note like 'v%'"), "1000");
    assert_eq!(query_value(&target, "select count(*) from quiet where note like 'q%'"), "1000");
}

/// An unlogged table is copied and never followed: nobody will copy it once more.
#[test]
fn a_table_that_is_not_followed_is_named_beside_those_that_are() {
    let cluster = servers().last().unwrap();
    let (source, target) = (database(cluster, "overtaken_u"), database(cluster, "overtaken_v"));
    sql(&source, &SCHEMA.replace("create table full_", "create unlogged table full_"));
    let follow = Follow::new(&source.url, &target.url).config(RULES).start_flags(&[
        "--jobs",
        "1",
        "--range-size",
        "1",
    ]);
    let output = clone_meanwhile(&source, &target, || follow.begin("--follow=later"));
    assert_eq!(named(&output), ["public.full_"]);
}

/// COPY finds columns by the names that they have then, whatever its snapshot shows.
#[test]
fn columns_that_swap_their_names_before_they_are_copied_are_not_taken_for_each_other() {
    let schema = SCHEMA.replace("'q' || i from", "'note ' || i, 'secret' || i from");
    let schema = schema.replace(
        "create table quiet (id int primary key, note text)",
        "create table quiet (id int primary key, note text, secret text)",
    );
    let rules = format!(
        "{RULES}tables:\n  public.quiet:\n    columns:\n      secret: {{transform: constant, value: x}}\n"
    );
    let raw = "select count(*) from quiet where note like 'secret%' or secret like 'secret%'";
    let swap = "alter table quiet rename note to between; alter table quiet rename secret to note;
         alter table quiet rename between to secret";
    // The snapshot shows none of its rows.
    let replace = "alter table quiet rename to quiet_old;
         create table quiet (id int primary key, secret text, note text);
         insert into quiet select id, note, secret from quiet_old";
    for (cluster, change) in some_servers().flat_map(|one| [(one, swap), (one, replace)]) {
        let (source, target) = (database(cluster, "swapped_s"), database(cluster, "swapped_t"));
        sql(&source, &schema);
        let flags = ["--jobs", "1", "--range-size", "1"];
        let clone = Clone::new(&source.url, &target.url).config(&rules).args(&flags);
        let running = stopped(&target, || clone.start());
        sql(&source, change);
        running.signal(Signal::CONT);
        let ended = running.wait_within(FOLLOW_LIMIT);
        assert_eq!(query_value(&target, raw), "0");
        let told = ended.expect_code(5).stderr;
        assert!(told.contains("public.quiet") && told.contains("--restart"), "{told}");
        // What is called `note` is kept now because the rules say so of that name.
        let flags = [&flags[..], &["--restart"]].concat();
        Clone::new(&source.url, &target.url)
            .config(&rules)
            .args(&flags)
            .start()
            .wait_within(FOLLOW_LIMIT)
            .expect_code(0);
        assert_eq!(query_value(&target, "select count(*) from quiet where secret = 'x'"), "1000");
    }
}
