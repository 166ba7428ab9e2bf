//! One key, one answer: the target does not depend on the number of lanes, on the format that
//! rows travel in, or on the server's version.
//!
//! The schema has one table per type, in it one column per transform that the type takes and one
//! of arrays, and the same values in all of them.

#![expect(clippy::indexing_slicing, reason = "tests")]

use crate::support::{
    Cluster, Database, backlot, database, query_strings, query_value, servers, some_servers, sql,
};
use backlot::pg::Kind;
use backlot::transform::op::accepts;
use backlot::transform::{DateUnit, Transform, UnknownPath};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const KEY: (&str, &str) =
    ("BACKLOT_KEY", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");

/// A type, a constant of it, and values.
struct Sample {
    kind: Kind,
    sql: &'static str,
    constant: &'static str,
    values: &'static [&'static str],
}

const TEXTS: &[&str] = &[
    "",
    " ",
    "Ada.Lovelace@example.org",
    "Ada Lovelace",
    "adalove",
    "12 High Street",
    "+49 30 901820",
    "(555) 123-4567",
    "123-45-6789",
    "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "192.168.1.5/24",
    "2001:db8::1",
    "08:00:2b:01:02:03",
    "https://user@host.example.com:80/a/b?c=d#e",
    "2024-02-29",
    "2024-02-29 23:59:59.123456+00",
    "0044-03-15 BC",
    "infinity",
    "{\"a\": \"b\", \"b\": [1, \"two\"]}",
    "{a,b}",
    "NULL",
    "\\N",
    "\\.",
    "tab\tnew\nline\rback\\slash",
    "Größe 用户 \u{1f469}\u{200d}\u{1f467}",
    "   padded   ",
    "SW1A 1AA",
    "0000000",
];
const DOCUMENTS: &[&str] = &[
    "{}",
    "[]",
    "null",
    "\"\"",
    "\"Ada Lovelace\"",
    "12.50",
    "{\"mail\": \"ada@example.org\", \"tags\": [\"\", null, true, 1.0, \"x\\ty\"], \"n\": {\"m\": \"\\u00e9\"}}",
];
const INTEGERS: &[&str] = &["0", "1", "-1", "7", "10", "4711", "32767", "-32768"];
const LONG_INTEGERS: &[&str] = &["0", "-1", "10", "123456789", "2147483647", "-2147483648"];
const LONGEST_INTEGERS: &[&str] =
    &["0", "-1", "4930901820", "5551234567", "9223372036854775807", "-9223372036854775808"];
const DECIMALS: &[&str] = &[
    "0",
    "0.00",
    "1.10",
    "-1.1000",
    "123456789",
    "4930901820",
    "99999.995",
    "12345678901234567890.1234567890",
    "0.00000001",
    "100000000",
    "NaN",
    "Infinity",
    "-Infinity",
];
const FLOATS: &[&str] =
    &["0", "-0", "1.5", "-1e-7", "123456.78", "1e30", "NaN", "Infinity", "-Infinity"];
const DATES: &[&str] = &[
    "2000-01-01",
    "1969-12-31",
    "2024-02-29",
    "0044-03-15 BC",
    "0001-01-01",
    "4713-01-01 BC",
    "5874897-12-31",
    "infinity",
    "-infinity",
];
const TIMES: &[&str] = &[
    "2000-01-01 00:00:00",
    "1969-12-31 23:59:59.999999",
    "2024-02-29 12:34:56.7",
    "0044-03-15 12:00:00 BC",
    "0001-01-01 00:00:00",
    "4713-02-01 00:00:00 BC",
    "294276-12-31 23:59:59.999999",
    "infinity",
    "-infinity",
];
const ADDRESSES: &[&str] =
    &["0.0.0.0", "192.168.1.5", "10.0.0.1/8", "::1", "2001:db8::5/32", "::ffff:1.2.3.4"];
const NETWORKS: &[&str] = &["0.0.0.0/0", "192.168.0.0/16", "10.1.2.3/32", "::/0", "2001:db8::/32"];

fn samples() -> Vec<Sample> {
    let sample = |kind, sql, constant, values| Sample { kind, sql, constant, values };
    vec![
        sample(Kind::Text, "text", "it's", TEXTS),
        sample(Kind::Text, "varchar(90)", "it's", TEXTS),
        sample(Kind::Text, "varchar(53)", "it's", TEXTS),
        sample(Kind::Bpchar, "char(90)", "it's", TEXTS),
        sample(Kind::Citext, "citext", "it's", TEXTS),
        sample(Kind::Int2, "int2", "-5", INTEGERS),
        sample(Kind::Int4, "int4", "-5", LONG_INTEGERS),
        sample(Kind::Int8, "int8", "-5", LONGEST_INTEGERS),
        sample(Kind::Numeric, "numeric", "-5.50", DECIMALS),
        sample(Kind::Numeric, "numeric(40,10)", "-5.50", DECIMALS.split_at(11).0),
        sample(Kind::Float4, "float4", "-5.5", FLOATS),
        sample(Kind::Float8, "float8", "-5.5", FLOATS),
        sample(Kind::Bool, "bool", "true", &["t", "f"]),
        sample(
            Kind::Uuid,
            "uuid",
            "00000000-0000-4000-8000-000000000001",
            &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"],
        ),
        sample(Kind::Date, "date", "2020-01-01", DATES),
        sample(Kind::Timestamp, "timestamp", "2020-01-01 01:02:03", TIMES),
        sample(Kind::Timestamptz, "timestamptz", "2020-01-01 01:02:03", TIMES),
        sample(Kind::Inet, "inet", "192.0.2.1", ADDRESSES),
        sample(Kind::Cidr, "cidr", "192.0.2.0/24", NETWORKS),
        sample(Kind::Macaddr, "macaddr", "02:00:00:00:00:01", &["08:00:2b:01:02:03"]),
        sample(Kind::Macaddr8, "macaddr8", "02:00:00:00:00:01:02:03", &["08:00:2b:01:02:03:04:05"]),
        sample(Kind::Bytea, "bytea", "\\x00ff", &["", "\\x00", "\\x5c4e0a09ff", "plain text"]),
        sample(Kind::Json, "json", "{\"c\": 1}", DOCUMENTS),
        sample(Kind::Jsonb, "jsonb", "{\"c\": 1}", DOCUMENTS),
    ]
}

fn transforms() -> Vec<(Transform, &'static str)> {
    let month = DateUnit::Month;
    let unknown = UnknownPath::Fill;
    vec![
        (Transform::Keep, ""),
        (Transform::Null, ""),
        (Transform::Constant { value: String::new() }, ""),
        (Transform::Email, ""),
        (Transform::Username, ""),
        (Transform::FirstName, ""),
        (Transform::LastName, ""),
        (Transform::FullName, ""),
        (Transform::Phone, ""),
        (Transform::Ssn, ""),
        (Transform::Digits, ""),
        (Transform::Card, ""),
        (Transform::Iban, ""),
        (Transform::Alnum, ""),
        (Transform::Integer, ""),
        (Transform::Uuid, ""),
        (Transform::Street, ""),
        (Transform::City, ""),
        (Transform::Postal, ""),
        (Transform::Company, ""),
        (Transform::Ip, ""),
        (Transform::Mac, ""),
        (Transform::Url, ""),
        (Transform::DateShift { max_days: 90, subject: None }, ", max_days: 90, subject: keep"),
        (Transform::DateBucket { unit: month }, ", unit: month"),
        (Transform::NumberBucket { width: 10 }, ", width: 10"),
        (Transform::NumberNoise { percent: 10 }, ", percent: 10"),
        (Transform::TextFill, ""),
        (Transform::HashToken { length: 30 }, ", length: 30"),
        (
            Transform::Json { paths: BTreeMap::new(), unknown },
            ", paths: {\"$.mail\": email}, unknown: fill",
        ),
    ]
}

/// Transforms that a type takes, each as its name and its options in the file.
fn taken(sample: &Sample) -> Vec<(&'static str, String)> {
    let all = transforms().into_iter().filter(|(transform, _)| accepts(transform, &sample.kind));
    let named = all.map(|(transform, options)| {
        let value = serde_json::to_string(sample.constant).unwrap();
        let options = match transform.name() {
            "constant" => format!(", value: {value}"),
            _ => options.to_owned(),
        };
        (transform.name(), options)
    });
    named.collect()
}

/// The value as this transform takes it: codes are whole numbers.
fn fitting<'v>(sample: &Sample, name: &str, value: &'v str) -> &'v str {
    let is_code = matches!(name, "phone" | "ssn" | "digits" | "postal" | "integer");
    let is_whole = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if is_code && sample.kind == Kind::Numeric && !is_whole { "4711" } else { value }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The schema with its rows, and the configuration.
fn schema() -> (String, String) {
    let (mut ddl, mut file) = (
        "create extension citext; create schema d;".to_owned(),
        "version: 1\ntables:\n".to_owned(),
    );
    for (number, sample) in samples().iter().enumerate() {
        write!(ddl, "create table d.t{number} (id int primary key").unwrap();
        write!(file, "  d.t{number}:\n    columns:\n      id: keep\n").unwrap();
        let taken = taken(sample);
        for (name, options) in &taken {
            write!(ddl, ", \"{name}\" {0}, \"{name}_array\" {0}[]", sample.sql).unwrap();
            for suffix in ["", "_array"] {
                writeln!(file, "      \"{name}{suffix}\": {{transform: \"{name}\"{options}}}")
                    .unwrap();
            }
        }
        writeln!(ddl, ");").unwrap();
        for (id, value) in sample.values.iter().enumerate() {
            write!(ddl, "insert into d.t{number} values ({id}").unwrap();
            for (name, _) in &taken {
                let own = literal(fitting(sample, name, value));
                let other = literal(fitting(sample, name, sample.values[id / 2]));
                write!(ddl, ", {own}, array[{own}, null, {other}]::{}[]", sample.sql).unwrap();
            }
            writeln!(ddl, ");").unwrap();
        }
        let nothing = ", null, '{}'".repeat(taken.len());
        let nested = format!(
            ", null, array[array[{0}, null], array[null, {0}]]::{1}[]",
            literal(sample.values[0]),
            sample.sql
        );
        writeln!(ddl, "insert into d.t{number} values (100{nothing});").unwrap();
        writeln!(ddl, "insert into d.t{number} values (101{});", nested.repeat(taken.len()))
            .unwrap();
        writeln!(ddl, "insert into d.t{number} (id) values (102);").unwrap();
    }
    (ddl, file)
}

fn clone(source: &Database, to: &'static Cluster, file: &str, args: &[&str]) -> Database {
    let target = database(to, "determinism_target");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("transforms.yaml"), file).unwrap();
    let mut all = vec!["clone", "start", "--config", "transforms.yaml", "--hold-snapshot", "0s"];
    all.extend(["--source-url", &source.url, "--target-url", &target.url]);
    all.extend(args);
    backlot(dir.path(), &all, &[KEY]).expect_code(0);
    target
}

fn source(cluster: &'static Cluster, ddl: &str) -> Database {
    let source = database(cluster, "determinism_source");
    sql(&source, ddl);
    source
}

/// Names what differs, value by value: the first places.
fn assert_equal_rows(a: &Database, b: &Database, what: &str) {
    let mut differences = String::new();
    for (number, sample) in samples().iter().enumerate() {
        let all = format!("select * from d.t{number} order by id");
        let digest = format!("select md5(string_agg(t::text, ',' order by id)) from d.t{number} t");
        if query_value(a, &digest) == query_value(b, &digest) {
            continue;
        }
        let names = taken(sample);
        for (left, right) in query_strings(a, &all).iter().zip(&query_strings(b, &all)) {
            for (at, (x, y)) in left.iter().zip(right).enumerate().filter(|(_, (x, y))| x != y) {
                let (name, _) = &names[(at - 1) / 2];
                writeln!(differences, "{} {name} row {}: {x:?} {y:?}", sample.sql, left[0])
                    .unwrap();
            }
        }
        assert!(!differences.is_empty(), "{what}: the digests of {} differ", sample.sql);
    }
    assert!(differences.is_empty(), "{what}:\n{differences:.6000}");
}

#[test]
fn a_target_does_not_depend_on_lanes_format_or_version() {
    let (ddl, file) = schema();
    let first = servers().next().unwrap();
    let reference = clone(&source(first, &ddl), first, &file, &["--jobs", "1"]);
    for cluster in some_servers() {
        let source = source(cluster, &ddl);
        for args in [&["--jobs", "8"][..], &["--jobs", "8", "--format", "text"]] {
            let target = clone(&source, cluster, &file, args);
            assert_equal_rows(&reference, &target, &format!("{} {args:?}", cluster.major));
        }
    }
    // Across versions, from the oldest to the newest.
    let source = source(first, &ddl);
    let target = clone(&source, servers().last().unwrap(), &file, &["--jobs", "1"]);
    assert_equal_rows(&reference, &target, "across versions");
}

#[test]
fn null_stays_null_and_the_empty_string_stays_empty() {
    let (ddl, file) = schema();
    let cluster = servers().last().unwrap();
    let source = source(cluster, &ddl);
    for format in ["auto", "text"] {
        let target = clone(&source, cluster, &file, &["--format", format]);
        for (number, sample) in samples().iter().enumerate() {
            let names = taken(sample);
            let row = |id: i32| {
                query_strings(&target, &format!("select * from d.t{number} where id = {id}"))
                    .remove(0)
            };
            assert!(row(102)[1..].iter().all(|value| value == "∅"), "{}", sample.sql);
            for (at, (name, _)) in names.iter().enumerate() {
                let place = format!("{} {name} {format}", sample.sql);
                let value = |id: i32| (row(id)[1 + 2 * at].clone(), row(id)[2 + 2 * at].clone());
                if *name == "null" {
                    assert_eq!(value(0), ("∅".into(), "∅".into()), "{place}");
                    continue;
                }
                assert_eq!(value(100), ("∅".into(), "{}".into()), "{place}");
                let nested = value(101).1;
                let (start, end) = ("{{", ",NULL},{NULL,");
                assert!(nested.starts_with(start) && nested.contains(end), "{place}: {nested}");
                let is_text = sample.values[0].is_empty() && *name != "constant";
                if is_text {
                    let empty = value(0).0;
                    assert!(matches!(empty.trim(), "" | "\\x"), "{place}: {empty:?}");
                }
            }
        }
    }
}

#[test]
fn the_text_types_share_their_fakes() {
    let (ddl, file) = schema();
    let cluster = servers().next().unwrap();
    let target = clone(&source(cluster, &ddl), cluster, &file, &[]);
    for (name, _) in taken(&samples()[0]) {
        // Rows 1 and 27 end in spaces, which char(n) does not hold.
        let differing = format!(
            "select id, a.\"{name}\", b.\"{name}\", c.\"{name}\"
             from d.t0 a join d.t1 b using (id) join d.t3 c using (id)
             where id not in (1, 27) and (a.\"{name}\" is distinct from b.\"{name}\"
                 or rtrim(a.\"{name}\") is distinct from rtrim(c.\"{name}\"))"
        );
        assert_eq!(query_strings(&target, &differing), Vec::<Vec<String>>::new(), "{name}");
    }
}
