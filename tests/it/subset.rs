//! Subsets: a condition on one table reaches all that refer to it, and no reference dangles.

use crate::support::{
    Clone, Database, Output, database, query_strings, query_value, servers, some_servers, sql,
};

const SCHEMA: &str = "
    create schema shop;
    create table shop.customers (id integer primary key, name text);
    create table shop.orders (id integer, shop integer, customer_id integer not null references shop.customers, primary key (shop, id));
    create table shop.lines (shop integer, order_id integer, line integer, primary key (shop, order_id, line),
        foreign key (shop, order_id) references shop.orders (shop, id));
    create table shop.remarks (id integer primary key, shop integer, order_id integer, foreign key (shop, order_id) references shop.orders (shop, id));
    create table shop.people (id integer primary key, boss_id integer references shop.people, mentor_id integer references shop.people,
        customer_id integer references shop.customers);
    create table shop.events (id integer, day integer, customer_id integer references shop.customers, primary key (day, id)) partition by range (day);
    create table shop.events_1 partition of shop.events for values from (0) to (10);
    create table shop.events_2 partition of shop.events for values from (10) to (100);
    create table shop.event_logs (day integer, event_id integer, foreign key (day, event_id) references shop.events);
    create table shop.products (id integer primary key);
    create view shop.names as select name from shop.customers;
    create view shop.order_names as select o.id, n.name from shop.orders o cross join shop.names n;
    create materialized view shop.product_count as select count(*) from shop.products;";
const DATA: &str = "
    insert into shop.customers select n, 'c' || n from generate_series(1, 100) n;
    insert into shop.orders select n, n % 3, n % 100 + 1 from generate_series(1, 1000) n;
    insert into shop.lines select shop, id, l from shop.orders, generate_series(1, 3) l;
    insert into shop.remarks select n, case when n % 5 > 0 then n % 3 end, n from generate_series(1, 1000) n;
    insert into shop.people values (1, 1, null, null), (2, 1, 1, 5), (3, 2, null, 5), (4, 3, null, null), (5, 2, null, 50),
        (6, 5, null, null), (7, 1, 6, null), (8, 7, 1, 5), (9, null, 4, 5), (10, 11, null, null), (11, 10, null, null);
    insert into shop.events select n, n % 20, nullif(n % 101, 0) from generate_series(1, 400) n;
    insert into shop.event_logs select day, id from shop.events;
    insert into shop.products select generate_series(1, 20);
    refresh materialized view shop.product_count";

fn source(cluster: &'static crate::support::Cluster, name: &str) -> Database {
    let source = database(cluster, name);
    sql(&source, SCHEMA);
    sql(&source, DATA);
    source
}

fn clone(source: &Database, target: &Database, args: &[&str]) -> Output {
    Clone::new(&source.url, &target.url).keep_all().args(args).run()
}

fn rows(database: &Database, table: &str, condition: &str) -> Vec<Vec<String>> {
    query_strings(
        database,
        &format!("select t::text from shop.{table} t where {condition} order by 1"),
    )
}

fn relations(database: &Database) -> Vec<String> {
    let names = "select relname from pg_class where relnamespace = 'shop'::regnamespace and relkind in ('r', 'p', 'v', 'm') order by 1";
    query_strings(database, names).into_iter().map(|mut row| row.remove(0)).collect()
}

const ORDERS: &str = "exists (select from shop.orders o where o.customer_id <= 10 and (o.shop, o.id) = (t.shop, t.order_id))";

fn check_customers_up_to_10(source: &Database, target: &Database) {
    for (table, condition) in [
        ("customers", "id <= 10".to_owned()),
        ("orders", "customer_id <= 10".to_owned()),
        ("lines", ORDERS.to_owned()),
        ("remarks", format!("shop is null or {ORDERS}")),
        ("events", "customer_id <= 10 or customer_id is null".to_owned()),
        (
            "event_logs",
            "exists (select from shop.events e where (e.customer_id <= 10 or e.customer_id is null)
            and (e.day, e.id) = (t.day, t.event_id))"
                .to_owned(),
        ),
        // 5 belongs to a customer that is left out; 6 refers to 5, 7 to 6, 8 to 7.
        ("people", "id in (1, 2, 3, 4, 9, 10, 11)".to_owned()),
        ("products", "true".to_owned()),
    ] {
        let expected = rows(source, table, &condition);
        assert!(!expected.is_empty(), "{table}");
        assert_eq!(expected, rows(target, table, "true"), "{table}");
    }
    let invalid =
        "select conname::text from pg_constraint where contype = 'f' and not convalidated";
    assert_eq!(query_strings(target, invalid), Vec::<Vec<String>>::new());
    let keys = "select count(*) from pg_constraint where contype = 'f' and connamespace = 'shop'::regnamespace";
    assert_eq!(query_value(source, keys), query_value(target, keys));
}

#[test]
fn a_condition_reaches_all_that_refers_to_its_table() {
    for cluster in some_servers() {
        let source = source(cluster, "subset");
        let target = database(cluster, "subset_flag");
        clone(&source, &target, &["--where", "shop.customers=id <= 10"]).expect_code(0);
        check_customers_up_to_10(&source, &target);

        let target = database(cluster, "subset_file");
        let config = "version: 1\ndefaults: {detected: keep, free_text: keep, unclassified: keep}\n\
                      tables:\n  shop.customers:\n    where: \"id <= 10\"\n";
        Clone::new(&source.url, &target.url).config(config).run().expect_code(0);
        check_customers_up_to_10(&source, &target);
    }
}

#[test]
fn a_condition_on_a_table_that_refers_to_itself_takes_what_leads_to_its_rows_along() {
    for cluster in some_servers() {
        let (source, target) =
            (source(cluster, "subset_tree"), database(cluster, "subset_tree_to"));
        clone(&source, &target, &["--where", "shop.people=id <> 2"]).expect_code(0);
        // 3 and 5 refer to 2, 4 to 3, 6 to 5, 7 to 6, 8 to 7, 9 to 4; 10 and 11 to each other.
        assert_eq!(rows(&target, "people", "true"), rows(&source, "people", "id in (1, 10, 11)"));
        assert_eq!(rows(&target, "orders", "true"), rows(&source, "orders", "true"));
    }
}

#[test]
fn a_condition_on_a_partitioned_table_holds_for_all_its_partitions() {
    let cluster = servers().next().unwrap();
    let (source, target) = (source(cluster, "subset_parts"), database(cluster, "subset_parts_to"));
    clone(&source, &target, &["--where", "shop.events=id % 4 = 0"]).expect_code(0);
    assert_eq!(rows(&target, "events", "true"), rows(&source, "events", "id % 4 = 0"));
    assert_eq!(
        rows(&target, "event_logs", "true"),
        rows(&source, "event_logs", "event_id % 4 = 0")
    );
}

#[test]
fn a_condition_on_one_partition_is_not_passed_over() {
    let cluster = servers().next().unwrap();
    let (source, target) = (source(cluster, "subset_leaf"), database(cluster, "subset_leaf_to"));
    let output = clone(&source, &target, &["--where", "shop.events_1=id % 4 = 0"]).expect_code(2);
    assert!(
        output.stderr.contains("shop.events_1") && output.stderr.contains("shop.events"),
        "{}",
        output.stderr
    );
}

#[test]
fn tables_that_refer_to_each_other_in_a_circle_are_refused_as_a_subset_and_copied_whole() {
    let cluster = servers().next().unwrap();
    let (source, target) =
        (database(cluster, "subset_circle"), database(cluster, "subset_circle_to"));
    sql(&source, "create schema shop; create table shop.teams (id integer primary key, lead integer);
        create table shop.members (id integer primary key, team integer references shop.teams);
        alter table shop.teams add foreign key (lead) references shop.members;
        insert into shop.teams values (1, null), (2, null); insert into shop.members values (1, 1), (2, 2);
        update shop.teams set lead = id");
    let output = clone(&source, &target, &["--where", "shop.teams=id = 1"]).expect_code(2);
    assert!(
        output.stderr.contains("circle") && output.stderr.contains("shop."),
        "{}",
        output.stderr
    );
    clone(&source, &target, &[]).expect_code(0);
    assert_eq!(rows(&target, "teams", "true").len(), 2);
}

#[test]
fn a_condition_that_the_source_cannot_evaluate_is_an_error_that_shows_no_row() {
    let cluster = servers().next().unwrap();
    let (source, target) = (source(cluster, "subset_wrong"), database(cluster, "subset_wrong_to"));
    let output = clone(&source, &target, &["--where", "shop.customers=name::integer > 5"]);
    assert!(output.code.is_some_and(|code| code != 0), "{output:?}");
    assert!(!output.stderr.contains("c1"), "{}", output.stderr);
}

#[test]
fn an_excluded_table_takes_its_views_along_and_the_summary_says_so() {
    for cluster in some_servers() {
        let (source, target) =
            (source(cluster, "subset_exclude"), database(cluster, "subset_exclude_to"));
        let summary = clone(&source, &target, &["--exclude", "shop.customers,shop.products"])
            .expect_code(0)
            .summary();
        let warnings = summary["warnings"].to_string();
        for view in ["shop.names", "shop.order_names", "shop.product_count"] {
            assert!(warnings.contains(view), "{view}: {warnings}");
        }
        assert!(summary["not_copied"].to_string().contains("shop.customers"), "{summary}");
        assert_eq!(
            relations(&target),
            [
                "event_logs",
                "events",
                "events_1",
                "events_2",
                "lines",
                "orders",
                "people",
                "remarks"
            ]
        );
        assert_eq!(rows(&target, "orders", "true"), rows(&source, "orders", "true"));
        let keys = "select count(*) from pg_constraint where contype = 'f' and conparentid = 0 and connamespace = 'shop'::regnamespace";
        assert_eq!(query_value(&target, keys), "5");
    }
}

#[test]
fn only_the_tables_that_are_named_are_copied() {
    let cluster = servers().last().unwrap();
    let (source, target) =
        (source(cluster, "subset_tables"), database(cluster, "subset_tables_to"));
    clone(&source, &target, &["--tables", "shop.customers,shop.events"]).expect_code(0);
    assert_eq!(relations(&target), ["customers", "events", "events_1", "events_2", "names"]);
    assert_eq!(rows(&target, "events", "true"), rows(&source, "events", "true"));
}

#[test]
fn a_table_that_stays_empty_must_not_be_referred_to() {
    let cluster = servers().last().unwrap();
    let (source, target) = (source(cluster, "subset_empty"), database(cluster, "subset_empty_to"));
    let output = clone(&source, &target, &["--schema-only", "shop.customers"]).expect_code(2);
    assert!(
        output.stderr.contains("schema_only") && output.stderr.contains("shop.orders"),
        "{}",
        output.stderr
    );
    clone(&source, &target, &["--schema-only", "shop.lines,shop.event_logs"]).expect_code(0);
    assert_eq!(
        (rows(&target, "lines", "true").len(), rows(&target, "event_logs", "true").len()),
        (0, 0)
    );
    assert_eq!(rows(&target, "orders", "true").len(), 1000);
}
