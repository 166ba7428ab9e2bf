//! Every type of the clone's fidelity test goes through the stream byte for byte.

use std::fmt::Write as _;

use rustix::process::Signal;

use super::oracle;
use crate::{
    fidelity::{self, KEY, keep_everything},
    support::{Cluster, Database, Follow, database, query_strings, query_value, servers, sql},
};

/// Tables with rows, their columns that can be written, and the first column of their primary key.
const TABLES: &str = "
    select format('%I.%I', n.nspname, c.relname), string_agg(format('%I', a.attname), ', ' order by a.attnum),
        (select format('%I', k.attname) from pg_index i join pg_attribute k on k.attrelid = c.oid and k.attnum = i.indkey[0]
         where i.indrelid = c.oid and i.indisprimary), n.nspname, c.relname
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    where c.relkind = 'r' and n.nspname in ('kinds', 'extras') and not c.relispartition
    group by c.oid, n.nspname, c.relname order by 1";

/// Copies of each table, by how their rows are found: by the key, by a key and the whole old row, by the whole
/// old row.
fn copies(source: &Database) -> Vec<(String, String, String)> {
    sql(source, "create schema keyed; create schema whole; create schema bare");
    let mut tables = Vec::new();
    for row in query_strings(source, TABLES) {
        let [table, columns, key, schema, name] = row.as_slice() else { panic!("{row:?}") };
        if key == "∅" {
            // Its rows are found as those of the bare copies are.
            continue;
        }
        let copy = format!("\"{schema}_{name}\"");
        sql(source, &format!(
            "create table keyed.{copy} (like {table} including defaults including constraints including generated, primary key ({key}));
             create table whole.{copy} (like {table} including generated, primary key ({key}));
             alter table whole.{copy} replica identity full;
             create table bare.{copy} (like {table} including generated);
             alter table bare.{copy} replica identity full;"
        ));
        tables.push((copy, table.clone(), columns.clone()));
    }
    tables
}

/// Inserts every row, updates one half to what the other half holds and back, changes keys, deletes.
fn changes(copy: &str, table: &str, columns: &str) -> String {
    let mut sql = String::new();
    let key = columns.split(", ").next().unwrap();
    let rest = columns.split(", ").skip(1).collect::<Vec<_>>().join(", ");
    let select =
        rest.split(", ").map(|column| format!("o.{column}")).collect::<Vec<_>>().join(", ");
    for schema in ["keyed", "whole", "bare"] {
        let copy = format!("{schema}.{copy}");
        write!(sql,
            "insert into {copy} ({columns}) select {columns} from {table};
             insert into {copy} ({key}, {rest}) select {key} + 1000, {rest} from {table};
             insert into {copy} ({key}, {rest}) select {key} + 2000, {rest} from {table};
             update {copy} c set ({rest}) = (select {select} from {table} o where o.{key} = c.{key} - 1000)
                 where {key} = (select min({key}) + 1000 from {table});
             update {copy} c set ({rest}) = (select {select} from {table} o order by md5(o.{key}::text || c.{key}) limit 1)
                 where {key} between 1000 and 1999;
             update {copy} set {key} = {key} + 10000 where {key} < 1000 and {key} % 2 = 0;
             delete from {copy} where {key} > 2000 and {key} % 3 > 0 and {key} < 3000;"
        ).unwrap();
    }
    sql
}

fn check(from: &'static Cluster, to: &'static Cluster, flags: &[&str]) {
    let (source, target) = (fidelity::source(from, to), database(to, "types_to"));
    // What the clone's own test says of these is not repeated.
    sql(&source, "drop schema if exists shop cascade");
    let tables = copies(&source);
    fidelity::awkward(&source);
    fidelity::awkward(&target);
    let follow =
        Follow::new(&source.url, &target.url).env(KEY.0, KEY.1).config(&keep_everything(&source));
    follow.start().expect_code(0);
    let stream = follow.stream(flags);
    for (copy, table, columns) in &tables {
        sql(&source, &changes(copy, table, columns));
    }
    stream.signal(Signal::TERM);
    stream.wait().expect_code(0);
    follow.catch_up().expect_code(0);
    assert!(tables.len() > 12, "{}", tables.len());
    for (copy, ..) in &tables {
        let count = format!("select count(*) from bare.{copy}");
        assert!(query_value(&source, &count).parse::<u64>().unwrap() > 1, "{copy} has no rows");
    }
    oracle::assert_equal(&source, &target, &[]);
    let (major, data) = (from.major.max(to.major), ["--data-only"]);
    fidelity::assert_same(
        "rows",
        &fidelity::dump(&source, major, &data),
        &fidelity::dump(&target, major, &data),
    );
}

#[test]
fn every_type_goes_through_the_stream_of_the_oldest_server_byte_for_byte() {
    check(servers().next().unwrap(), servers().next().unwrap(), &[]);
}

#[test]
fn every_type_goes_through_the_stream_of_the_newest_server_byte_for_byte() {
    check(servers().last().unwrap(), servers().last().unwrap(), &[]);
}

#[test]
fn every_type_goes_through_the_stream_into_a_newer_server_byte_for_byte() {
    check(servers().next().unwrap(), servers().last().unwrap(), &[]);
}
