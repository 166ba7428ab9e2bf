//! `clone start --follow`: what it makes on the source and writes into the target.

use crate::support::{
    Clone, Cluster, Database, clone::contents, database, query_strings, query_value, some_servers,
    sql,
};

/// One table of every kind that decides how it can be followed.
pub(crate) const KINDS: &str = "
    create table with_key (id int primary key, note text);
    create table full_identity (a int, note text);
    alter table full_identity replica identity full;
    create table by_index (a int not null, note text);
    create unique index by_index_key on by_index (a);
    alter table by_index replica identity using index by_index_key;
    create table keyless (a int, note text);
    create table nothing (id int primary key, note text);
    alter table nothing replica identity nothing;
    create table deferrable_key (id int primary key deferrable, note text);
    create table index_gone (a int not null, note text);
    create unique index index_gone_key on index_gone (a);
    alter table index_gone replica identity using index index_gone_key;
    drop index index_gone_key;
    create unlogged table unlogged (id int primary key, note text);
    create table full_generated (a int, note text, b int generated always as (a + 1) stored);
    alter table full_generated replica identity full;
    create table keyed_generated (a int primary key, note text, b int generated always as (a + 1) stored);
    create table parted (id int primary key, note text) partition by range (id);
    create table parted_1 partition of parted for values from (0) to (100);
    create table parted_2 partition of parted for values from (100) to (1000);
    create table mixed (id int, note text) partition by range (id);
    create table mixed_keyed partition of mixed (primary key (id)) for values from (0) to (100);
    create table mixed_keyless partition of mixed for values from (100) to (1000);
    create table parent (id int primary key, note text);
    create table child (extra int) inherits (parent);";

pub(crate) const KIND_TABLES: &[&str] = &[
    "with_key",
    "full_identity",
    "by_index",
    "keyless",
    "nothing",
    "deferrable_key",
    "index_gone",
    "unlogged",
    "full_generated",
    "keyed_generated",
    "parted",
    "mixed",
    "parent",
    "child",
];

pub(crate) fn source(cluster: &'static Cluster, name: &str) -> Database {
    let source = database(cluster, name);
    sql(&source, KINDS);
    for table in KIND_TABLES {
        sql(
            &source,
            &format!("insert into {table} select n, 'note ' || n from generate_series(1, 200) n"),
        );
    }
    source
}

pub(crate) fn follow(source: &Database, target: &Database) -> Clone {
    Clone::new(&source.url, &target.url).keep_all().args(&["--follow=later"])
}

/// Slots of the source's database.
pub(crate) fn slots(source: &Database) -> Vec<String> {
    let query =
        "select slot_name from pg_replication_slots where database = current_database() order by 1";
    query_strings(source, query).into_iter().map(|mut row| row.remove(0)).collect()
}

pub(crate) fn publications(source: &Database) -> Vec<String> {
    let query = "select pubname from pg_publication order by 1";
    query_strings(source, query).into_iter().map(|mut row| row.remove(0)).collect()
}

/// `relation: state` of every table of the stream.
fn states(target: &Database) -> Vec<String> {
    let query = "select relation || ': ' || state || coalesce(' (' || reason || ')', '')
        from backlot.stream_table order by 1";
    query_strings(target, query).into_iter().map(|mut row| row.remove(0)).collect()
}

#[test]
fn every_table_is_followed_as_far_as_its_replica_identity_allows() {
    for cluster in some_servers() {
        let (source, target) =
            (source(cluster, "follow_kinds"), database(cluster, "follow_kinds_to"));
        let summary = follow(&source, &target).run().expect_code(0).summary();
        assert_eq!(contents(&source), contents(&target));

        let slot = summary["stream"]["slot"].as_str().unwrap();
        assert_eq!(slots(&source), [slot]);
        let made = [slot.to_owned(), format!("{slot}_insert")];
        assert_eq!(publications(&source), made);
        let published = |kinds: &str| {
            let query = format!(
                "select t.tablename from pg_publication_tables t join pg_publication p using (pubname)
                 where (pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot) = ({kinds}, false) order by 1"
            );
            query_strings(&source, &query)
                .into_iter()
                .map(|mut row| row.remove(0))
                .collect::<Vec<_>>()
        };
        let mut whole = vec![
            "by_index",
            "full_generated",
            "full_identity",
            "keyed_generated",
            "mixed_keyed",
            "parent",
            "parted_1",
            "parted_2",
            "with_key",
        ];
        let mut insert_only = vec![
            "child",
            "deferrable_key",
            "index_gone",
            "keyless",
            "mixed_keyed",
            "mixed_keyless",
            "nothing",
        ];
        if cluster.major >= 18 {
            whole.retain(|name| *name != "full_generated");
            insert_only.insert(2, "full_generated");
        }
        assert_eq!(published("true, true, true, true"), whole);
        assert_eq!(published("true, false, false, true"), insert_only);

        assert_record(&source, &target, slot, &made);
        assert_eq!(summary["stream"]["insert_only"]["public.keyless"], "no primary key");
        assert_eq!(crate::crash::keepers(&source), 0);

        // The source's own changes go through, also in a partition made since.
        sql(
            &source,
            "create table parted_3 partition of parted for values from (1000) to (2000);
            create table mixed_3 partition of mixed for values from (1000) to (2000);
            insert into parted values (1500, 'new'); insert into mixed values (1500, 'new')",
        );
        for table in KIND_TABLES {
            sql(
                &source,
                &format!(
                    "update {table} set note = note || '.'; delete from {table} where note like '%7.'"
                ),
            );
        }
    }
}

/// The stream's record, its first checkpoint and the states of the tables of [`KINDS`].
fn assert_record(source: &Database, target: &Database, slot: &str, publications: &[String]) {
    let record = query_strings(
        target,
        "select slot_name, consistent_lsn = end_lsn, owns_publications, publications::text, source_database, timeline
         from backlot.stream join backlot.checkpoint using (slot_name)",
    );
    let publications = format!("{{{}}}", publications.join(","));
    assert_eq!(record, [[slot, "t", "t", &publications, &source.name, "1"]]);
    let confirmed =
        format!("select confirmed_flush_lsn from pg_replication_slots where slot_name = '{slot}'");
    let confirmed = query_value(source, &confirmed);
    assert_eq!(confirmed, query_value(target, "select end_lsn from backlot.checkpoint"));
    let states = states(target);
    let of = |name: &str| {
        let prefix = format!("public.{name}: ");
        states.iter().find_map(|state| state.strip_prefix(&prefix)).unwrap().to_owned()
    };
    for name in [
        "with_key",
        "full_identity",
        "by_index",
        "keyed_generated",
        "parted_1",
        "parted_2",
        "mixed_keyed",
        "parent",
    ] {
        assert_eq!(of(name), "streaming", "{states:?}");
    }
    assert_eq!(of("keyless"), "insert_only (no primary key)");
    assert_eq!(of("child"), "insert_only (no primary key)");
    assert_eq!(of("mixed_keyless"), "insert_only (no primary key)");
    assert_eq!(of("nothing"), "insert_only (REPLICA IDENTITY NOTHING)");
    assert_eq!(of("deferrable_key"), "insert_only (its primary key is deferrable)");
    assert_eq!(of("index_gone"), "insert_only (the index of its REPLICA IDENTITY is gone)");
    assert_eq!(of("unlogged"), "stale (unlogged: its changes are not in the WAL)");
    assert_eq!(states.len(), 16, "{states:?}");
}
