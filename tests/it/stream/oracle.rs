//! What a target must hold, found without the stream.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Clone, Database, database, query_strings, query_value};

/// Relations by name, and of each what it holds: a digest and the number of rows, or a sequence's
/// position.
pub(super) type Digests = BTreeMap<String, String>;

const RELATIONS: &str = "select format('%I.%I', n.nspname, c.relname), c.relkind::text from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'S') and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'backlot')
    order by 1";

pub(super) fn digests(database: &Database, skip: &[&str]) -> Digests {
    let relations = query_strings(database, RELATIONS).into_iter();
    let relations = relations.filter(|row| !skip.contains(&row[0].as_str()));
    relations
        .map(|row| (row[0].clone(), query_value(database, &digest(&row[0], &row[1]))))
        .collect()
}

/// Of each row first: a table's rows may be larger than a string can be.
fn digest(name: &str, kind: &str) -> String {
    if kind == "S" {
        return format!("select last_value || ' ' || is_called from {name}");
    }
    format!(
        "select count(*) || ' rows ' || coalesce(md5(string_agg(row, '' order by row)), '')
         from (select md5(t::text) as row from {name} t) rows"
    )
}

/// The target of a new clone of the source, by the same rules and the same key.
pub(super) fn transformed(source: &Database, config: &str) -> Database {
    let expected = database(source.cluster, "stream_oracle");
    Clone::new(&source.url, &expected.url).config(config).run().expect_code(0);
    expected
}

/// Every row of every table but `skip`, and every sequence.
#[track_caller]
pub(super) fn assert_equal(expected: &Database, target: &Database, skip: &[&str]) {
    let differences = differences(expected, target, skip);
    assert!(
        differences.is_empty(),
        "the target is not what the source makes of it:\n{differences:.2000}"
    );
}

/// What differs, table by table; empty if nothing does.
pub(super) fn differences(expected: &Database, target: &Database, skip: &[&str]) -> String {
    let (left, right) = (digests(expected, skip), digests(target, skip));
    let tables = left.keys().chain(right.keys()).collect::<BTreeSet<_>>();
    let mut differences = String::new();
    for table in tables {
        let (a, b) = (left.get(table), right.get(table));
        if a == b {
            continue;
        }
        differences += &format!("{table}: expected {a:?}, found {b:?}\n");
        if let (Some(text), Some(_)) = (a, b)
            && text.contains("rows")
        {
            differences += &rows(expected, target, table);
        }
    }
    differences
}

/// The first rows that only one of them has. The tests' rows are nobody's data.
fn rows(expected: &Database, target: &Database, table: &str) -> String {
    let sql = format!("select md5(t::text) || ' ' || left(t::text, 300) from {table} t");
    let counted = |database: &Database| {
        let mut rows = BTreeMap::<String, i64>::new();
        for mut row in query_strings(database, &sql) {
            *rows.entry(row.remove(0)).or_default() += 1;
        }
        rows
    };
    let (a, b) = (counted(expected), counted(target));
    let more = |a: &BTreeMap<String, i64>, b: &BTreeMap<String, i64>, sign: &str| {
        let more = a.iter().filter(|(row, count)| *count > b.get(*row).unwrap_or(&0));
        let lines = more.take(5).map(|(row, _)| format!("  {sign} {row}\n"));
        lines.collect::<Vec<_>>().concat()
    };
    more(&a, &b, "missing") + &more(&b, &a, "too many")
}
