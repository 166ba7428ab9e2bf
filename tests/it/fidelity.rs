//! A clone in which every column is kept is the source: `pg_dump` cannot tell them apart.
//!
//! The dumps are compared as they are, after what follows: lines that name the time, the
//! server's version or a random token are dropped, and the rows of a table are sorted, because
//! ranges are written in any order. Where `pg_dump` itself loads rows through the partitioned
//! table (hashed enums), they are the rows of that one table.

#![expect(clippy::indexing_slicing, reason = "tests")]

use crate::support::{
    Cluster, Database, backlot, binaries, database, query_strings, query_value, servers, sql,
};
use backlot::instance::Binaries;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

const TYPES: &str = include_str!("sql/fidelity_types.sql");
const XML: &str = include_str!("sql/fidelity_xml.sql");
const CONTRIB: &str = include_str!("sql/fidelity_contrib.sql");
const OBJECTS: &str = include_str!("sql/fidelity_objects.sql");
const NEWER: &str = include_str!("sql/fidelity_18.sql");
pub(crate) const KEY: (&str, &str) =
    ("BACKLOT_KEY", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");

/// Roles are the cluster's: made once, whichever test comes first.
const ROLE: &str = "do $$ begin create role fidelity_reader;
    exception when duplicate_object or unique_violation then null; end $$";

/// Columns that a configuration has to name: partitions follow their root.
const COLUMNS: &str = "
    select n.nspname, c.relname, a.attname
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'p') and not c.relispartition and a.attgenerated = ''
      and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'backlot')
      and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
    order by 1, 2, a.attnum";

/// Settings of the database that change how values are written and read.
pub(crate) fn awkward(db: &Database) {
    for setting in [
        "DateStyle = 'SQL, DMY'",
        "IntervalStyle = 'sql_standard'",
        "TimeZone = 'Pacific/Chatham'",
        "extra_float_digits = -15",
        "bytea_output = 'escape'",
        "standard_conforming_strings = off",
        "search_path = shop, kinds, extras, public",
        "xmloption = 'document'",
        "xmlbinary = 'hex'",
        "default_transaction_isolation = 'serializable'",
        "row_security = on",
        "default_text_search_config = 'english'",
        "array_nulls = off",
    ] {
        sql(db, &format!("alter database \"{}\" set {setting}", db.name));
    }
}

pub(crate) fn oldest() -> &'static Cluster {
    servers().next().unwrap()
}

pub(crate) fn newest() -> &'static Cluster {
    servers().last().unwrap()
}

/// True if both servers have it; what they lack is said once and not tested.
#[expect(clippy::print_stderr, reason = "what is not tested must be seen")]
fn both(what: &str, clusters: [&'static Cluster; 2], probe: &str) -> bool {
    clusters.iter().all(|cluster| {
        let db = database(cluster, "fidelity_probe");
        let has = query_value(&db, probe) == "t";
        if !has {
            eprintln!("NOT TESTED on PostgreSQL {}: {what}", cluster.major);
        }
        has
    })
}

pub(crate) fn source(from: &'static Cluster, to: &'static Cluster) -> Database {
    sql(&database(from, "fidelity_role"), ROLE);
    sql(&database(to, "fidelity_role"), ROLE);
    let db = database(from, "fidelity_source");
    sql(&db, TYPES);
    let libxml = "select exists (select from pg_config where name = 'CONFIGURE' and setting like '%with-libxml%')";
    if both("xml (built without libxml)", [from, to], libxml) {
        sql(&db, XML);
    }
    let extensions = "select count(*) = 10 from pg_available_extensions
        where name in ('hstore', 'citext', 'ltree', 'cube', 'isn', 'seg', 'intarray', 'lo', 'btree_gist', 'pg_trgm')";
    if both("types of contrib extensions", [from, to], extensions) {
        sql(&db, CONTRIB);
    }
    sql(&db, OBJECTS);
    if from.major >= 18 {
        sql(&db, NEWER);
    }
    db
}

/// A configuration that names every column of every table, and keeps it.
pub(crate) fn keep_everything(db: &Database) -> String {
    keep_all_but(db, &[])
}

/// The same, but for columns (as `schema.table.column`) with rules of their own; one with an empty rule is not
/// named.
pub(crate) fn keep_all_but(db: &Database, but: &[(&str, &str)]) -> String {
    let mut tables = BTreeMap::<String, String>::new();
    let mut used = 0;
    for row in query_strings(db, COLUMNS) {
        let [schema, table, column] = row.as_slice() else { panic!("three columns") };
        let part = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let rules = tables.entry(format!("{}.{}", part(schema), part(table))).or_default();
        let name = format!("{schema}.{table}.{column}");
        let rule = but.iter().find(|(column, _)| *column == name).map(|(_, rule)| *rule);
        used += usize::from(rule.is_some());
        let rule = rule.unwrap_or("keep");
        if !rule.is_empty() {
            writeln!(rules, "      {}: {rule}", serde_json::to_string(column).unwrap()).unwrap();
        }
    }
    assert_eq!(used, but.len(), "a rule for no column: {but:?}");
    let mut file = "version: 1\ntables:\n".to_owned();
    for (table, rules) in tables {
        let table = serde_json::to_string(&table).unwrap();
        write!(file, "  {table}:\n    columns:\n{rules}").unwrap();
    }
    file
}

/// Clones with every column kept; returns the target and the summary.
pub(crate) fn clone(
    source: &Database,
    to: &'static Cluster,
    args: &[&str],
) -> (Database, serde_json::Value) {
    let target = database(to, "fidelity_target");
    awkward(source);
    awkward(&target);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("keep.yaml"), keep_everything(source)).unwrap();
    let mut all = vec!["clone", "start", "--json", "--config", "keep.yaml"];
    all.extend(["--hold-snapshot", "0s", "--source-url", &source.url]);
    all.extend(["--target-url", &target.url]);
    all.extend(args);
    let output = backlot(dir.path(), &all, &[KEY]);
    if output.code != Some(0) {
        // What backlot does not show may be in the log of the server, which goes with the process.
        let log = std::fs::read_to_string(to.server().log_path()).unwrap_or_default();
        let errors = log.lines().rev().filter(|line| line.contains("ERROR:")).take(20);
        eprintln!("the last errors on the target's server:\n{:#?}", errors.collect::<Vec<_>>());
    }
    let summary = output.expect_code(0).stdout;
    let last = summary.lines().last().unwrap_or_default();
    let summary: serde_json::Value = serde_json::from_str(last).unwrap();
    assert_eq!(summary["columns_masked"], 0, "{summary:#}");
    assert_eq!(summary["values_changed"], 0);
    (target, summary)
}

fn binaries_of(major: u32) -> &'static Binaries {
    binaries().iter().find(|binaries| binaries.major == major).unwrap()
}

/// What `pg_dump` of that version prints of a database: one version for both sides.
fn pg_dump(db: &Database, major: u32, args: &[&str]) -> String {
    let output = Command::new(binaries_of(major).program("pg_dump"))
        .args(["--exclude-schema=backlot", "--dbname", &db.url])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The same, as it is compared.
pub(crate) fn dump(db: &Database, major: u32, args: &[&str]) -> String {
    let text = pg_dump(db, major, args);
    sort_rows(text.split_inclusive('\n').filter(|line| !names_the_run(line)))
}

fn names_the_run(line: &str) -> bool {
    ["-- Dumped from", "-- Dumped by", "\\restrict ", "\\unrestrict "]
        .iter()
        .any(|start| line.starts_with(start))
}

/// Rows stand sorted at the first `COPY` into their relation.
fn sort_rows<'l>(lines: impl Iterator<Item = &'l str>) -> String {
    let (mut rest, mut rows, mut relation) = (Vec::new(), BTreeMap::<_, Vec<_>>::new(), None);
    for line in lines {
        match relation {
            Some(_) if line == "\\.\n" => relation = None,
            Some(relation) => {
                rows.entry(relation).or_default().push(line);
                continue;
            }
            None if line.starts_with("COPY ") && line.ends_with(" FROM stdin;\n") => {
                relation = Some(line);
            }
            None => {}
        }
        rest.push(line);
    }
    let mut out = String::new();
    for line in rest {
        out.push_str(line);
        let mut rows = rows.remove(line).unwrap_or_default();
        rows.sort_unstable();
        out.extend(rows);
    }
    out
}

#[track_caller]
pub(crate) fn assert_same(what: &str, source: &str, target: &str) {
    if source == target {
        return;
    }
    let only = |a: &str, b: &str| {
        let mut counts = BTreeMap::<&str, i64>::new();
        b.lines().for_each(|line| *counts.entry(line).or_default() += 1);
        let mut lines = a.lines().filter(|line| {
            let left = counts.entry(line).or_default();
            *left -= 1;
            *left < 0
        });
        lines.by_ref().take(60).map(|line| format!("  {line:.300}")).collect::<Vec<_>>().join("\n")
    };
    let at = source.lines().zip(target.lines()).position(|(a, b)| a != b);
    panic!(
        "{what} differ from line {at:?}\nonly in the source's:\n{}\nonly in the target's:\n{}",
        only(source, target),
        only(target, source)
    );
}

#[track_caller]
fn assert_faithful(source: &Database, target: &Database, args: &[&str]) {
    let major = source.cluster.major.max(target.cluster.major);
    for section in ["--schema-only", "--data-only"] {
        let args = [args, &[section]].concat();
        assert_same(section, &dump(source, major, &args), &dump(target, major, &args));
    }
}

#[test]
fn a_clone_of_the_oldest_server_into_the_same_version_is_the_source() {
    let source = source(oldest(), oldest());
    let (target, _) = clone(&source, oldest(), &["--with-owner"]);
    assert_faithful(&source, &target, &[]);
}

#[test]
fn a_clone_of_the_newest_server_into_the_same_version_is_the_source() {
    let source = source(newest(), newest());
    let (target, _) = clone(&source, newest(), &["--with-owner"]);
    assert_faithful(&source, &target, &[]);
}

/// A newer server words the bodies of views in its own way and names the constraints of NOT NULL:
/// the schema is compared with what it makes of the source's dump.
#[test]
fn a_clone_into_a_newer_server_is_what_the_newer_server_makes_of_the_source() {
    let source = source(oldest(), newest());
    let (target, _) = clone(&source, newest(), &["--with-owner", "--jobs", "4"]);
    let major = newest().major;
    let data = ["--data-only"];
    assert_same("rows", &dump(&source, major, &data), &dump(&target, major, &data));

    let restored = database(newest(), "fidelity_restored");
    awkward(&restored);
    let schema = ["--schema-only"];
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pg_dump(&source, major, &schema)).unwrap();
    let psql = Command::new(binaries_of(major).program("psql"))
        .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file"])
        .arg(file.path())
        .arg(&restored.url)
        .output()
        .unwrap();
    assert!(psql.status.success(), "{}", String::from_utf8_lossy(&psql.stderr));
    assert_same("schemas", &dump(&restored, major, &schema), &dump(&target, major, &schema));
}

#[test]
fn without_owners_a_clone_is_the_source_but_for_owners_and_grants() {
    let source = source(oldest(), oldest());
    let (target, _) = clone(&source, oldest(), &[]);
    assert_faithful(&source, &target, &["--no-owner", "--no-privileges"]);
}

#[test]
fn rows_that_travel_as_text_arrive_as_those_that_travel_in_binary() {
    for cluster in servers() {
        let source = source(cluster, cluster);
        let (target, _) = clone(&source, cluster, &["--with-owner", "--format", "text"]);
        assert_faithful(&source, &target, &[]);
    }
}

#[test]
fn rows_of_partitions_by_a_hash_of_oids_find_their_partition() {
    for cluster in servers() {
        let source = database(cluster, "fidelity_hashed");
        sql(
            &source,
            "create type mood as enum ('sad', 'ok', 'glad', 'meh');
             create table hashed (id int, mood mood[]) partition by hash (id, mood);
             create table hashed_0 partition of hashed for values with (modulus 2, remainder 0);
             create table hashed_1 partition of hashed for values with (modulus 2, remainder 1)
                 partition by range (id);
             create table hashed_1_all partition of hashed_1 default;
             insert into hashed select i, array[(enum_range(null::mood))[i % 5]] from generate_series(1, 200) i;",
        );
        let (target, _) = clone(&source, cluster, &[]);
        let rows = "select id, mood from hashed order by id";
        assert_eq!(query_strings(&source, rows), query_strings(&target, rows));
        // Whatever does not fit where it lies is not found by its key.
        for id in ["1", "100", "200"] {
            let found = format!(
                "select count(*) from hashed where id = {id}
                 and mood = array[(enum_range(null::mood))[{id} % 5]]"
            );
            assert_eq!(query_value(&target, &found), "1");
        }
    }
}

#[test]
fn what_a_clone_leaves_behind_is_said() {
    for cluster in servers() {
        let source = database(cluster, "fidelity_left_behind");
        sql(
            &source,
            "create table kept (id int);
             select lo_from_bytea(0, '\\x00'), lo_from_bytea(0, '\\x01');
             create foreign data wrapper nowhere;
             create server elsewhere foreign data wrapper nowhere;
             create user mapping for public server elsewhere options (password 'canary');",
        );
        let subscription = format!(
            "create subscription \"{0}\" connection 'password=canary' publication p
             with (connect = false, slot_name = none)",
            source.name
        );
        sql(&source, &subscription);
        let (target, summary) = clone(&source, cluster, &[]);
        let warnings = summary["warnings"].to_string();
        for said in ["2 large objects", "1 subscription", "1 user mapping"] {
            assert!(warnings.contains(said), "{said}: {warnings}");
        }
        assert!(!pg_dump(&target, cluster.major, &[]).contains("canary"));
    }
}

#[test]
fn a_database_in_another_encoding_arrives_in_the_targets() {
    for cluster in servers() {
        let utf8 = database(cluster, "fidelity_encoding");
        let name = format!("{}_latin", utf8.name);
        let create =
            format!("create database \"{name}\" encoding 'LATIN1' locale 'C' template template0");
        sql(&utf8, &create);
        let source = Database { url: cluster.url(&name), name, cluster };
        sql(
            &source,
            "create type \"Größe\" as enum ('groß', 'klein');
             create table \"Bücher\" (id int primary key, \"Größe\" \"Größe\", t text default 'é', a text[]);
             comment on table \"Bücher\" is 'Bücher';
             insert into \"Bücher\" values (1, 'groß', 'naïve', '{ÿ,NULL}');",
        );
        for format in ["auto", "text"] {
            let (target, _) = clone(&source, cluster, &["--format", format]);
            assert_faithful(&source, &target, &["--encoding=UTF8"]);
        }
    }
}

/// Some MB, with holes, with rows out of line and with an inheritance child.
const LARGE: &str = "
    create schema large;
    create table large.rows (id bigint primary key, body text, toasted text, more text generated always as (body || 'x') stored);
    alter table large.rows alter toasted set storage external;
    insert into large.rows (id, body, toasted)
        select i, repeat(md5(i::text), 8), case when i % 500 = 0 then repeat(md5(i::text), 1000) end from generate_series(1, 20000) i;
    delete from large.rows where id % 3 = 0 or id between 9000 and 13000;
    update large.rows set body = body || 'updated' where id % 5 = 0;
    create table large.child (extra regtype) inherits (large.rows);
    insert into large.child (id, body, extra) select -i, repeat(md5(i::text), 8), 'integer' from generate_series(1, 12000) i;
    create table large.parts (id int, body text) partition by hash (id);
    create table large.part_0 partition of large.parts for values with (modulus 2, remainder 0);
    create table large.part_1 partition of large.parts for values with (modulus 2, remainder 1);
    insert into large.parts select i, repeat(md5(i::text), 4) from generate_series(1, 30000) i;";

#[test]
fn ranges_of_one_table_make_it_whole_on_one_connection_and_on_four() {
    for cluster in servers() {
        let source = database(cluster, "fidelity_ranges");
        sql(&source, LARGE);
        for jobs in ["1", "4"] {
            for format in ["auto", "text"] {
                let args = ["--jobs", jobs, "--range-size", "1", "--format", format];
                let (target, summary) = clone(&source, cluster, &args);
                let tables = summary["tables"].as_array().unwrap().len() as u64;
                let ranges = summary["ranges_total"].as_u64().unwrap();
                assert!(ranges > 3 * tables, "{ranges} ranges of {tables} tables");
                assert_faithful(&source, &target, &[]);
            }
        }
    }
}

/// Tables with an index that identifies rows, one to cluster on, and others beside them, and a
/// partitioned one with triggers and three levels of partitions.
const LOCKS: &str = "
    create schema locks;
    create function locks.quiet() returns trigger language plpgsql as $$ begin return new; end $$;
    do $$ begin
    for t in 1..20 loop
        execute format('create table locks.t%s (id int not null, other int, body text)', t);
        execute format('insert into locks.t%s select i, i, md5(i::text) from generate_series(1, 4000) i', t);
        execute format('create unique index t%1$s_id on locks.t%1$s (id)', t);
        execute format('alter table locks.t%1$s replica identity using index t%1$s_id', t);
        execute format('create index t%1$s_body on locks.t%1$s (body text_pattern_ops)', t);
        execute format('alter table locks.t%1$s cluster on t%1$s_body', t);
        execute format('create index t%1$s_lower on locks.t%1$s (lower(body))', t);
        execute format('create index t%1$s_other on locks.t%1$s (other desc)', t);
    end loop;
    create table locks.parts (id int, at int, body text, primary key (id, at)) partition by range (at);
    for p in 1..4 loop
        execute format('create table locks.p%1$s partition of locks.parts for values from (%1$s) to (%1$s + 1) partition by hash (id)', p);
        execute format('create table locks.p%1$s_x partition of locks.p%1$s for values with (modulus 1, remainder 0) partition by hash (id)', p);
        execute format('create table locks.p%1$s_x_y0 partition of locks.p%1$s_x for values with (modulus 2, remainder 0)', p);
        execute format('create table locks.p%1$s_x_y1 partition of locks.p%1$s_x for values with (modulus 2, remainder 1)', p);
    end loop;
    for i in 1..4 loop
        execute format('create index on locks.parts (body, (id + %s))', i);
        execute format('create trigger quiet_%s before update on locks.parts for each row execute function locks.quiet()', i);
    end loop;
    end $$;
    insert into locks.parts select i, 1 + i % 4, md5(i::text) from generate_series(1, 40000) i;";

/// The server ends one of them, and with it goes what the others have built so far.
#[test]
fn the_jobs_of_pg_restore_do_not_lock_each_other_out() {
    for cluster in servers() {
        let source = database(cluster, "fidelity_locks");
        sql(&source, LOCKS);
        let (target, _) = clone(&source, cluster, &["--jobs", "8"]);
        let deadlocks =
            "select deadlocks::text from pg_stat_database where datname = current_database()";
        assert_eq!(query_value(&target, deadlocks), "0");
        assert_faithful(&source, &target, &[]);
    }
}
