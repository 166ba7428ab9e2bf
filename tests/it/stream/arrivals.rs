//! Tables of the source that came after the clone: partitions are followed, all others are named.

use super::basic::{LIMIT, Pair, RULES, SCHEMA, pair, pair_on};
use crate::support::{
    Cluster, backlot, clone::KEY, query_strings, query_value, servers, some_servers, sql, wait_for,
};
use rustix::process::Signal;

const EVENTS: &str = "
    create table events (id int, at int, email text, primary key (id, at)) partition by range (at);
    create table events_1 partition of events for values from (0) to (10);
    create index on events (email);
    insert into events select i, i, 'e' || i || '@corp.test' from generate_series(1, 9) i;";
const ROWS: &str = "select id, at, tableoid::regclass::text from events order by id, at";

fn rules() -> String {
    format!("{RULES}  public.events: {{columns: {{email: email}}}}\n")
}

fn with_events(name: &str) -> Pair {
    pair(name, &format!("{SCHEMA}{EVENTS}"), &rules())
}

/// With rows that are sent as the root's.
fn with_root(cluster: &'static Cluster, name: &str) -> Pair {
    let schema = format!(
        "{SCHEMA}{EVENTS} create publication everything for all tables with (publish_via_partition_root = true);
         alter table logs replica identity full"
    );
    pair_on(cluster, name, &schema, &format!("{}publications: [everything]\n", rules()))
}

/// In both ways that the rows of a partition can be sent.
fn both_ways(name: &str) -> Vec<Pair> {
    let root = servers().map(|cluster| with_root(cluster, &format!("{name}_root")));
    std::iter::once(with_events(name)).chain(root).collect()
}

fn state(pair: &Pair, relation: &str) -> Vec<Vec<String>> {
    let state = format!(
        "select state, coalesce(reason, '') from backlot.stream_table where relation = '{relation}'"
    );
    query_strings(&pair.target, &state)
}

/// No address of the source's is on the target.
fn assert_masked(pair: &Pair) {
    let raw = "select count(*) from events where email like '%corp.test'";
    assert_eq!(query_value(&pair.target, raw), "0");
    let masked = "select count(*) from events where email like '%@%'";
    assert_eq!(
        query_value(&pair.target, masked),
        query_value(&pair.source, "select count(*) from events")
    );
}

#[test]
fn new_partitions_are_made_and_followed_from_cron() {
    for cluster in servers() {
        let pair = pair_on(cluster, "arrive_cron", &format!("{SCHEMA}{EVENTS}"), &rules());
        sql(
            &pair.source,
            "create table events_2 partition of events for values from (10) to (20);
             insert into events values (10, 10, 'x@corp.test'), (11, 11, 'y@corp.test');
             create table events_3 partition of events for values from (20) to (30) partition by list (id);
             create table events_3_a partition of events_3 for values in (20, 21);
             create table events_3_b partition of events_3 default;
             insert into events values (20, 20, 'a@corp.test'), (22, 22, 'b@corp.test')",
        );
        pair.catch_up();
        pair.assert_rows(ROWS);
        assert_masked(&pair);
        assert_eq!(state(&pair, "public.events_2"), [["streaming", ""]]);
        assert_eq!(state(&pair, "public.events_3_b"), [["streaming", ""]]);
        let copies = "select count(*) from backlot.request where kind = 'resync'";
        assert_eq!(query_value(&pair.target, copies), "0");
        // As on the source, with the indexes of their parents.
        let indexes = "select indexrelid::regclass::text, indisprimary from pg_index
            where indrelid in ('events_2'::regclass, 'events_3_a'::regclass) order by 1";
        pair.assert_rows(indexes);
        sql(
            &pair.source,
            "update events set email = 'z@corp.test' where at = 11; delete from events where at = 10;
             update events set at = 25 where id = 11",
        );
        pair.catch_up();
        pair.assert_rows(ROWS);
        pair.follow.run("verify", &[]).expect_code(0);
    }
}

#[test]
fn an_attached_partition_comes_with_the_rows_that_it_had() {
    let pair = with_events("arrive_attach");
    sql(
        &pair.source,
        "create table events_2 (at int not null, email text, id int not null);
         insert into events_2 select 10 + i % 10, 'old' || i || '@corp.test', i from generate_series(100, 150) i;
         alter table events attach partition events_2 for values from (10) to (20);
         insert into events values (10, 10, 'new@corp.test'); delete from events where id = 120",
    );
    // Its leaves were made as partitions, of what was none of the tree.
    sql(
        &pair.source,
        "create table events_3 (id int not null, at int not null, email text) partition by list (id);
         create table events_3_a partition of events_3 default;
         insert into events_3 values (30, 20, 'before@corp.test');
         alter table events attach partition events_3 for values from (20) to (30);
         insert into events values (31, 21, 'after@corp.test')",
    );
    // All in one transaction.
    sql(
        &pair.source,
        "begin; create table events_4 (id int not null, at int not null, email text);
         insert into events_4 values (40, 30, 'inside@corp.test');
         alter table events attach partition events_4 for values from (30) to (40); commit",
    );
    pair.catch_up();
    pair.assert_rows(ROWS);
    assert_masked(&pair);
    for relation in ["public.events_2", "public.events_3_a", "public.events_4"] {
        assert_eq!(state(&pair, relation), [["streaming", ""]]);
    }
    pair.follow.run("verify", &[]).expect_code(0);
}

#[test]
fn a_partition_without_rows_yet_is_made_while_the_stream_runs() {
    let pair = with_events("arrive_empty");
    let running = pair.stream(&[]);
    sql(&pair.source, "create table events_2 partition of events for values from (10) to (20)");
    let there = "select to_regclass('public.events_2') is not null";
    wait_for("the partition", LIMIT, || query_value(&pair.target, there) == "t");
    running.signal(Signal::TERM);
    running.wait().expect_code(0);
    sql(&pair.source, "insert into events values (10, 10, 'x@corp.test')");
    pair.catch_up();
    pair.assert_rows(ROWS);
    assert_eq!(state(&pair, "public.events_2"), [["streaming", ""]]);
    // Nothing was copied for it.
    let hash =
        "select rules_hash <> '' from backlot.stream_table where relation = 'public.events_2'";
    assert_eq!(query_value(&pair.target, hash), "t");
    let copies = "select count(*) from backlot.request where kind = 'resync'";
    assert_eq!(query_value(&pair.target, copies), "0");
}

#[test]
fn a_running_stream_takes_up_new_partitions() {
    for pair in both_ways("arrive_run") {
        let running = pair.stream(&["--on-error", "quarantine"]);
        // At once: the stream meets its rows before it looks for new tables, as the partition's or as
        // the root's.
        sql(
            &pair.source,
            "begin; create table events_2 partition of events for values from (10) to (20);
             insert into events values (10, 10, 'x@corp.test'); commit;
             insert into events values (11, 11, 'y@corp.test')",
        );
        pair.wait_rows("rows of the partition", ROWS);
        assert_eq!(state(&pair, "public.events_2"), [["streaming", ""]]);
        sql(
            &pair.source,
            "create table events_3 (id int not null, at int not null, email text);
             insert into events_3 select i, 20 + i % 10, 'o' || i || '@corp.test' from generate_series(300, 320) i;
             alter table events attach partition events_3 for values from (20) to (30)",
        );
        pair.wait_rows("rows of the attached partition", ROWS);
        sql(&pair.source, "insert into events values (25, 25, 'y@corp.test')");
        pair.wait_rows("later rows", ROWS);
        assert_masked(&pair);
        running.signal(Signal::TERM);
        running.wait().expect_code(0);
        let quarantined = "select count(*) from backlot.quarantine";
        assert_eq!(query_value(&pair.target, quarantined), "0");
        pair.follow.run("verify", &[]).expect_code(0);
    }
}

#[test]
fn a_known_table_that_becomes_a_partition_brings_its_rows() {
    for pair in both_ways("arrive_known") {
        sql(
            &pair.source,
            "create table events_4 (id int not null, at int not null, email text);
             insert into events_4 values (40, 40, 'o@corp.test')",
        );
        let running = pair.stream(&["--on-error", "quarantine"]);
        sql(&pair.source, "insert into events values (1000, 1, 'before@corp.test')");
        pair.wait_rows("the stream's first row", "select id from events where id = 1000");
        sql(
            &pair.source,
            "alter table events attach partition events_4 for values from (40) to (50);
             insert into events values (41, 41, 'x@corp.test')",
        );
        pair.wait_rows("rows of the attached table", ROWS);
        running.signal(Signal::TERM);
        running.wait().expect_code(0);
        assert_masked(&pair);
        let quarantined = "select count(*) from backlot.quarantine";
        assert_eq!(query_value(&pair.target, quarantined), "0");
        pair.follow.run("verify", &[]).expect_code(0);
    }
}

#[test]
fn a_transaction_that_is_sent_before_it_commits_brings_the_partition_that_it_makes() {
    for pair in both_ways("arrive_early") {
        let running = pair.stream(&[]);
        // The source's catalog does not show the partition when its rows come.
        sql(
            &pair.source,
            "begin; create table events_2 partition of events for values from (10) to (200000);
             insert into events select i, i, 'l' || i || '@corp.test' from generate_series(10, 150000) i;
             do $$ begin loop
                 perform pg_stat_clear_snapshot();
                 exit when exists (select from pg_stat_replication_slots join pg_replication_slots using (slot_name)
                     where database = current_database() and stream_txns > 0);
                 perform pg_sleep(0.05);
             end loop; end $$;
             commit",
        );
        pair.wait_rows("the rows", "select count(*) from events");
        sql(&pair.source, "insert into events values (160000, 160000, 'later@corp.test')");
        pair.wait_rows("a later row", "select count(*) from events");
        wait_for("the partition", LIMIT, || state(&pair, "public.events_2") == [["streaming", ""]]);
        running.signal(Signal::TERM);
        running.wait().expect_code(0);
        assert_masked(&pair);
        pair.follow.run("verify", &[]).expect_code(0);
    }
}

#[test]
fn a_partition_that_is_made_again_has_none_of_its_old_rows() {
    for is_running in [true, false] {
        for pair in both_ways("arrive_again") {
            let running = is_running.then(|| pair.stream(&[]));
            sql(&pair.source, "insert into events values (77, 7, 'old@corp.test')");
            if is_running {
                pair.wait_rows("the first row", ROWS);
            }
            sql(
                &pair.source,
                "alter table events detach partition events_1; drop table events_1;
                 create table events_1 partition of events for values from (0) to (10)",
            );
            sql(&pair.source, "insert into events values (88, 8, 'new@corp.test')");
            if let Some(running) = running {
                pair.wait_rows("the rows", ROWS);
                wait_for("the partition", LIMIT, || {
                    state(&pair, "public.events_1") == [["streaming", ""]]
                });
                running.signal(Signal::TERM);
                running.wait().expect_code(0);
            } else {
                pair.follow.catch_up().expect_code(0);
            }
            pair.assert_rows(ROWS);
            assert_masked(&pair);
            pair.follow.run("verify", &[]).expect_code(0);
        }
    }
}

#[test]
fn a_row_of_a_partition_that_is_gone_fails_as_any_other() {
    for cluster in some_servers() {
        let pair = with_root(cluster, "arrive_gone");
        // Each a transaction.
        for statement in [
            "insert into events values (1000, 1, 'before@corp.test')",
            "create table events_2 partition of events for values from (10) to (20)",
            "insert into events values (10, 10, 'x@corp.test')",
            "drop table events_2",
            "insert into events values (1001, 2, 'behind@corp.test')",
        ] {
            sql(&pair.source, statement);
        }
        let told = pair.follow.catch_up().expect_code(7).stderr;
        assert!(told.contains("public.events") && !told.contains("corp.test"), "{told}");
        pair.assert_rows("select id from events where id = 1000");
        let put_aside =
            pair.follow.run("stream", &["--until-caught-up", "--on-error", "quarantine"]);
        put_aside.expect_code(9);
        assert_eq!(query_value(&pair.target, "select count(*) from backlot.quarantine"), "1");
        pair.assert_rows(ROWS);
    }
}

#[test]
fn a_partition_that_the_target_cannot_make_is_named() {
    let schema = format!("{SCHEMA}{EVENTS} create table events_rest partition of events default");
    let pair = pair("arrive_default", &schema, &rules());
    sql(&pair.target, "insert into events values (15, 15, 'in the way')");
    sql(
        &pair.source,
        "create table events_2 partition of events for values from (10) to (20);
         insert into events values (10, 10, 'x@corp.test')",
    );
    pair.follow.catch_up().expect_code(9);
    let told = state(&pair, "public.events_2").remove(0);
    assert_eq!(told[0], "stale");
    assert!(
        told[1].contains("the target cannot make it") && told[1].contains("events_rest"),
        "{told:?}"
    );
    assert!(!told[1].contains("in the way"), "{told:?}");
    // Once it can, nothing of it is missing.
    sql(&pair.target, "delete from events where id = 15");
    pair.catch_up();
    pair.assert_rows(ROWS);
    assert_eq!(state(&pair, "public.events_2"), [["streaming", ""]]);
}

#[test]
fn a_new_table_is_named_and_not_said_to_be_followed() {
    let pair = pair("arrive_table", SCHEMA, RULES);
    let create = "create table invoices (id int primary key, email text, scan bytea not null);
        insert into invoices values (1, 'a@corp.test', 'x')";
    sql(&pair.source, create);
    let output = pair.follow.catch_up().expect_code(9);
    let notes = output.stdout.lines().filter(|line| line.contains("\"note\""));
    assert_eq!(
        notes.filter(|line| line.contains("public.invoices came after the clone")).count(),
        1
    );
    assert_eq!(output.summary()["stale"], serde_json::json!(["public.invoices"]));
    assert_eq!(state(&pair, "public.invoices"), [["stale", "it came after the clone"]]);
    // Also of one that somebody made on the target.
    sql(&pair.target, "create table invoices (id int primary key, email text, scan bytea)");
    sql(&pair.source, "insert into users (email, name) values ('n@corp.test', 'n')");
    pair.follow.catch_up().expect_code(9);
    pair.assert_rows("select count(*) from users");
    let verified = pair.follow.run("verify", &[]).expect_code(0);
    assert!(
        verified.stdout.contains("public.invoices came after the clone"),
        "{}",
        verified.stdout
    );
    // Until it is gone.
    sql(&pair.target, "drop table invoices");
    sql(&pair.source, "drop table invoices");
    pair.catch_up();
    assert!(state(&pair, "public.invoices").is_empty());
    // A running stream says it, too.
    let running = pair.stream(&[]);
    sql(&pair.source, create);
    wait_for("the table to be named", LIMIT, || !state(&pair, "public.invoices").is_empty());
    running.signal(Signal::TERM);
    running.wait().expect_code(9);
}

#[test]
fn a_running_stream_takes_no_table_of_an_extension_for_a_new_one() {
    let pair = with_events("arrive_extension");
    let running = pair.stream(&[]);
    sql(
        &pair.source,
        "create table spatial (id int primary key); alter extension plpgsql add table spatial",
    );
    // What one look found is written down before the next one.
    for at in [2, 3] {
        let partition = format!("events_{at}");
        let bounds = format!("from ({at}0) to ({at}9)");
        sql(
            &pair.source,
            &format!("create table {partition} partition of events for values {bounds}"),
        );
        let there = format!("select to_regclass('public.{partition}') is not null");
        wait_for("the partition", LIMIT, || query_value(&pair.target, &there) == "t");
    }
    assert!(state(&pair, "public.spatial").is_empty());
    running.signal(Signal::TERM);
    running.wait().expect_code(0);
    pair.catch_up();
}

#[test]
fn a_new_table_that_the_rules_exclude_is_nobodys_business() {
    let pair = pair(
        "arrive_excluded",
        &format!("{SCHEMA} create table etl_1 (id int)"),
        &format!("{RULES}exclude: [public.etl_*]\n"),
    );
    sql(&pair.source, "create table etl_2 (id int primary key)");
    pair.catch_up();
    assert!(state(&pair, "public.etl_2").is_empty());
}

const ORDERS: &str = "
    create schema sales;
    create table sales.orders (id bigint generated always as identity primary key,
        buyer text not null references users (email), phone text, note text, amount numeric not null check (amount > 0));
    create index on sales.orders (buyer);
    insert into sales.orders (buyer, phone, note, amount)
        select 'u' || i || '@corp.test', '+1 202 555 01' || i, 'call u' || i, i from generate_series(10, 60) i;";

/// What is not masked is the source's, what is masked refers to whom it referred.
fn assert_orders(pair: &Pair) {
    pair.assert_rows("select o.id, o.amount, u.id, u.name from sales.orders o join users u on u.email = o.buyer order by 1");
    pair.assert_rows("select count(*) from sales.orders");
    let raw = "select count(*) from sales.orders where buyer like '%corp.test' or phone like '+1 202%' or note like 'call%'";
    assert_eq!(query_value(&pair.target, raw), "0");
    pair.assert_rows("select indexrelid::regclass::text from pg_index where indrelid = 'sales.orders'::regclass order by 1");
    pair.assert_rows("select conname, convalidated from pg_constraint where conrelid = 'sales.orders'::regclass order by 1");
}

fn with_unique_email(name: &str) -> Pair {
    pair(name, &format!("{SCHEMA} alter table users add unique (email)"), RULES)
}

#[test]
fn a_new_table_is_brought_by_a_copy_from_cron() {
    let pair = with_unique_email("bring_cron");
    sql(&pair.source, ORDERS);
    pair.follow.catch_up().expect_code(9);
    let brought = pair.follow.run("resync", &["sales.orders"]).expect_code(0).summary();
    assert_eq!(brought["brought"], serde_json::json!(["sales.orders"]));
    assert_orders(&pair);
    assert_eq!(state(&pair, "sales.orders"), [["streaming", ""]]);
    let again = pair.follow.run("resync", &["sales.orders", "notes"]).expect_code(0).summary();
    assert_eq!(again["tables"], serde_json::json!(["sales.orders", "public.notes"]));
    assert_eq!(again["brought"], serde_json::json!([]));
    let change = "insert into sales.orders (buyer, amount) values ('u1@corp.test', 7);
        update sales.orders set amount = 8 where id = 3; delete from sales.orders where id = 4";
    sql(&pair.source, change);
    pair.catch_up();
    assert_orders(&pair);
    pair.follow.run("verify", &[]).expect_code(0);
    pair.follow.run("stop", &[]).expect_code(0);
    let left = "select count(*) from pg_publication";
    assert_eq!(query_value(&pair.source, left), "0");
}

#[test]
fn a_new_table_is_brought_while_the_stream_runs() {
    let pair = with_unique_email("bring_run");
    let running = pair.stream(&[]);
    // Without a key, and partitioned: of both kinds that are published in another way.
    sql(
        &pair.source,
        &format!(
            "{ORDERS} create table clicks (at int, who text) partition by range (at);
             create table clicks_1 partition of clicks for values from (0) to (10);
             create table clicks_2 partition of clicks for values from (10) to (20);
             insert into clicks select i, 'u' || i || '@corp.test' from generate_series(0, 19) i"
        ),
    );
    pair.follow.run("resync", &["sales.orders", "clicks"]).expect_code(0);
    assert_orders(&pair);
    sql(
        &pair.source,
        "insert into sales.orders (buyer, amount) values ('u2@corp.test', 9); insert into clicks values (5, 'x')",
    );
    pair.wait_rows("later clicks", "select at from clicks order by at");
    pair.wait_rows("later orders", "select id, amount from sales.orders order by id");
    assert_orders(&pair);
    assert_eq!(
        query_value(&pair.target, "select count(*) from clicks where who like '%corp%'"),
        "0"
    );
    assert_eq!(state(&pair, "public.clicks_2")[0][0], "insert_only");
    running.signal(Signal::TERM);
    running.wait().expect_code(0);
}

#[test]
fn a_new_table_that_cannot_be_brought_says_what_it_lacks() {
    let pair = pair("bring_lacks", SCHEMA, RULES);
    sql(
        &pair.source,
        "create type mood as enum ('sad', 'ok'); create table moods (id int primary key, mood mood);
         insert into moods values (1, 'ok')",
    );
    let refused = pair.follow.run("resync", &["moods"]).expect_code(1);
    assert!(refused.stderr.contains("public.mood"), "{}", refused.stderr);
    sql(&pair.target, "create type mood as enum ('sad', 'ok')");
    let urls = ["--source-url", &pair.source.url, "--target-url", &pair.target.url];
    let args = [&["clone", "resync"][..], &urls, &["moods", "notes"]].concat();
    let brought = backlot(pair.follow.dir.path(), &args, &[("BACKLOT_KEY", KEY)]).expect_code(0);
    let told = "brought, and followed from now on: public.moods\ncopied again: public.notes\n";
    assert_eq!(brought.stdout, told);
    pair.assert_rows("select * from moods");
    pair.follow.run("resync", &["no_such_table"]).expect_code(5);
}

#[test]
fn a_new_table_is_brought_only_where_owner_and_rules_let_it_in() {
    let invoices = "create table invoices (id int primary key, email text);
        insert into invoices values (1, 'a@corp.test')";
    let there = "select to_regclass('invoices') is not null";
    let owned = pair(
        "bring_owner",
        &format!(
            "{SCHEMA} create publication whole for table users, notes;
             create publication part for table logs with (publish = 'insert, truncate')"
        ),
        &format!("{RULES}publications: [part, whole]\n"),
    );
    sql(&owned.source, invoices);
    let refused = owned.follow.run("resync", &["invoices"]).expect_code(7);
    assert!(refused.stderr.contains("is in none of the publications"), "{}", refused.stderr);
    let listed = "select count(*) from pg_publication_tables where tablename = 'invoices'";
    assert_eq!(query_value(&owned.source, listed), "0");
    assert_eq!(query_value(&owned.target, there), "f");
    // What the refusal says, done by the owner, where updates are published too.
    assert!(refused.stderr.contains("let an owner run"), "{}", refused.stderr);
    sql(&owned.source, "alter publication whole add table invoices");
    owned.follow.run("resync", &["invoices"]).expect_code(0);
    owned.assert_rows("select id from invoices");
    assert_eq!(state(&owned, "public.invoices"), [["streaming", ""]]);
    let raw = "select count(*) from invoices where email like '%corp.test'";
    assert_eq!(query_value(&owned.target, raw), "0");

    for policy in ["null", "stop_table"] {
        let closed = format!("unclassified: keep, new_column: \"{policy}\"}}");
        let rules = RULES.replace("unclassified: keep}", &closed);
        let pair = pair("bring_closed", SCHEMA, &rules);
        sql(&pair.source, invoices);
        let refused = pair.follow.run("resync", &["invoices"]).expect_code(7);
        let reason = format!("`new_column: {policy}` lets nothing of it in");
        assert!(refused.stderr.contains(&reason), "{}", refused.stderr);
        assert_eq!(query_value(&pair.source, listed), "0");
        assert_eq!(query_value(&pair.target, there), "f");
    }

    let excluding = format!("{RULES}exclude: [public.inv*]\n");
    let schema = format!("{SCHEMA} create table inventory (id int)");
    let pair = pair("bring_excluded", &schema, &excluding);
    sql(&pair.source, invoices);
    pair.follow.run("resync", &["invoices"]).expect_code(5);
    assert_eq!(query_value(&pair.source, listed), "0");
    assert_eq!(query_value(&pair.target, there), "f");
}

#[test]
fn a_new_column_that_refers_to_a_masked_one_follows_it() {
    let pair = with_unique_email("refer_column");
    sql(
        &pair.source,
        "alter table notes add column keeper text references users (email);
         update notes set keeper = 'u' || id || '@corp.test'",
    );
    pair.catch_up();
    pair.assert_rows(
        "select n.id, u.id from notes n join users u on u.email = n.keeper order by 1",
    );
    let raw = "select count(*) from notes where keeper like '%corp.test'";
    assert_eq!(query_value(&pair.target, raw), "0");
}
