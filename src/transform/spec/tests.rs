use super::parse;
use crate::transform::{DateUnit, Rule, Transform, UnknownPath};

const FULL: &str = r#"
version: 1
profile: realistic
include: ["public.*"]
exclude: ["public.audit_*"]
schema_only: ["public.sessions"]
defaults: {detected: transform, free_text: fill, unclassified: keep, new_column: detect}
tables:
  public.users:
    where: "created_at > now() - interval '90 days'"
    columns:
      email: email
      name: {transform: full_name, domain: person}
      plan: keep
      meta: {transform: json, paths: {"$.ip": ip, "$.contacts[*].email": email}, unknown: fill}
      born: {transform: date_shift}
      seen: {transform: date_bucket, unit: quarter}
      gone: "null"
      token: hash_token
references: [{from: public.orders.customer_email, to: public.users.email}]
"#;

#[test]
fn the_example_of_the_design_is_read_in_full() {
    let spec = parse(FULL, "transforms.yaml").unwrap();
    let table = spec.tables.first().unwrap();
    assert_eq!(table.name.to_string(), "public.users");
    assert!(table.filter.is_some());
    let rule =
        |name: &str| table.columns.iter().find(|column| column.name == name).unwrap().rule.clone();
    assert_eq!(rule("email"), Rule::plain(Transform::Email));
    assert_eq!(rule("name").domain(), "person");
    assert_eq!(rule("born").transform, Transform::DateShift { max_days: 180, subject: None });
    assert_eq!(rule("seen").transform, Transform::DateBucket { unit: DateUnit::Quarter });
    assert_eq!(rule("gone").transform, Transform::Null);
    assert_eq!(rule("token").transform, Transform::HashToken { length: 24 });
    let Transform::Json { paths, unknown } = rule("meta").transform else { panic!("json") };
    assert_eq!((paths.len(), unknown), (2, UnknownPath::Fill));
    assert_eq!(spec.references.len(), 1);
    let email = table.columns.first().unwrap();
    assert_eq!((email.place.line, email.place.column), (12, 7));
    assert_eq!((email.rule_place.line, email.rule_place.column), (12, 14));
}

#[test]
fn a_file_without_tables_is_a_file() {
    assert!(parse("version: 1\n", "f").is_ok());
    assert!(parse("version: 1\ntables: {}\n", "f").is_ok());
}

/// (file, places with a part of the message, part of a hint)
type Bad = (&'static str, &'static [(u32, u32, &'static str)], &'static str);

const BAD: &[Bad] = &[
    ("", &[(1, 1, "`version` is missing")], "version: 1"),
    ("version: 2", &[(1, 10, "version")], "version: 1"),
    ("version: \"1\"", &[(1, 10, "version")], "version: 1"),
    ("- a\n- b", &[(1, 1, "must be a map"), (1, 1, "`version` is missing")], "version: 1"),
    ("version: 1\ntabels: {}", &[(2, 1, "unknown key `tabels`")], "did you mean `tables`?"),
    ("version: 1\nzzz: {}", &[(2, 1, "unknown key `zzz`")], "known here: version"),
    ("version: 1\nprofile: realistc", &[(2, 10, "realistc")], "did you mean `realistic`?"),
    ("version: 1\nprofile: [a]", &[(2, 10, "must be a word")], "safe_harbor"),
    ("version: 1\ninclude: public.*", &[(2, 10, "must be a list")], "[\"public.*\"]"),
    ("version: 1\ninclude: [users]", &[(2, 11, "not a pattern")], "public.users"),
    ("version: 1\nexclude: [1]", &[(2, 11, "must be a string")], "quotes"),
    (
        "version: 1\ndefaults: {unclassified: null}",
        &[(2, 26, "must be a word")],
        "\"null\" in quotes",
    ),
    ("version: 1\ndefaults: {free_text: file}", &[(2, 23, "`file`")], "did you mean `fill`?"),
    ("version: 1\ndefaults: {new_colum: detect}", &[(2, 12, "new_colum")], "`new_column`"),
    ("version: 1\ntables: [a]", &[(2, 9, "must be a map, not a list")], ""),
    ("version: 1\ntables: {users: {}}", &[(2, 10, "not a table name")], "public.users"),
    ("version: 1\ntables: {a.b.c: {}}", &[(2, 10, "not a table name")], "double quotes"),
    (
        "version: 1\ntables:\n  public.users:\n    email: email",
        &[(4, 5, "unknown key `email` in table `public.users`")],
        "under `columns:`",
    ),
    (
        "version: 1\ntables:\n  public.users:\n    colums: {}",
        &[(4, 5, "unknown key `colums`")],
        "did you mean `columns`?",
    ),
    (
        "version: 1\ntables: {public.users: {where: 3}}",
        &[(2, 32, "`where` must be a string, not a number")],
        "quotes",
    ),
    (
        "version: 1\ntables: {public.users: {where: \"a = 1; drop table x\"}}",
        &[(2, 32, "one SQL condition")],
        "without `;`",
    ),
    (
        "version: 1\ntables: {public.users: {where: \" \"}}",
        &[(2, 32, "`where` is empty")],
        "leave `where` out",
    ),
    (
        "version: 1\ntables:\n  public.users: {columns: {email: emial}}",
        &[(3, 35, "unknown transform `emial`")],
        "did you mean `email`?",
    ),
    (
        "version: 1\ntables:\n  public.users: {columns: {email: noop}}",
        &[(3, 35, "unknown transform `noop`")],
        "did you mean `keep`?",
    ),
    (
        "version: 1\ntables:\n  public.users: {columns: {email: Email}}",
        &[(3, 35, "unknown transform `Email`")],
        "did you mean `email`?",
    ),
    (
        "version: 1\ntables:\n  public.users: {columns: {email: null}}",
        &[(3, 35, "YAML null")],
        "\"null\" in quotes",
    ),
    (
        "version: 1\ntables:\n  public.users:\n    columns:\n      email:\n      name: keep",
        &[(5, 12, "YAML null")],
        "\"null\" in quotes",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {email: {transform: ~}}}}",
        &[(2, 54, "YAML null")],
        "\"null\" in quotes",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {email: true}}}",
        &[(2, 42, "not a boolean")],
        "`email`",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {email: {domain: person}}}}",
        &[(2, 42, "names no transform")],
        "transform:",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {email: {transform: email, domain: Per son}}}}",
        &[(2, 69, "name of a domain")],
        "lower-case",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {email: {transform: email, lenght: 3}}}}",
        &[(2, 61, "unknown key `lenght` in a rule `email`")],
        "known here: domain",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {a: {transform: hash_token, lenght: 30}}}}",
        &[(2, 62, "unknown key `lenght`")],
        "did you mean `length`?",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {a: {transform: hash_token, length: 4}}}}",
        &[(2, 70, "out of range")],
        "from 8 to 51",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {a: {transform: date_shift, max_days: -1}}}}",
        &[(2, 72, "out of range")],
        "from 1 to 3650",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {a: {transform: date_bucket, unit: week}}}}",
        &[(2, 69, "`week` is not a choice")],
        "one of: month",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {a: date_bucket}}}",
        &[(2, 38, "needs a `unit`")],
        "unit: month",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {a: number_bucket}}}",
        &[(2, 38, "needs a `width`")],
        "width: 10",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {a: {transform: number_bucket, width: 0}}}}",
        &[(2, 72, "above 0")],
        "width: 10",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {a: {transform: number_noise, percent: 100}}}}",
        &[(2, 73, "out of range")],
        "from 1 to 90",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {a: constant}}}",
        &[(2, 38, "needs a `value`")],
        "value:",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {a: {transform: constant, value: 1.50}}}}",
        &[(2, 67, "must be a string")],
        "quotes",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {a: {transform: constant, value: null}}}}",
        &[(2, 67, "YAML null")],
        "\"null\"",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {a: {transform: json, paths: {ip: ip}}}}}",
        &[(2, 64, "`ip` is not a path")],
        "`$.ip`",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {a: {transform: json, paths: {$.a: json}}}}}",
        &[(2, 69, "cannot stand inside")],
        "`$.a.b`",
    ),
    (
        "version: 1\ntables: {public.users: {columns: {a: {transform: json, unknown: drop}}}}",
        &[(2, 65, "`drop`")],
        "one of: fill",
    ),
    (
        "version: 1\ntables:\n  public.users: {}\n  public.users: {}",
        &[(4, 3, "`public.users` is given twice")],
        "line 3",
    ),
    (
        "version: 1\ntables:\n  public.users: {}\n  \"\\\"public\\\".users\": {}",
        &[(4, 3, "`public.users` is given twice")],
        "line 3",
    ),
    (
        "version: 1\ntables:\n  public.users:\n    columns:\n      email: email\n      email: keep",
        &[(6, 7, "`email` is given twice")],
        "line 5",
    ),
    (
        "version: 1\nreferences: [{from: public.a.b}]",
        &[(2, 14, "needs `from` and `to`")],
        "schema.table.column",
    ),
    (
        "version: 1\nreferences: [{from: public.a, to: public.c.d}]",
        &[(2, 21, "not the name of a column")],
        "schema.table.column",
    ),
    (
        "version: 1\nreferences: [{from: public.a.b, to: public.c.d, on: x}]",
        &[(2, 49, "unknown key `on`")],
        "known here: from, to",
    ),
    ("version: 1\ntables: {\n", &[(2, 9, "not valid YAML")], "indentation"),
    ("version: 1\n\ttables: {}", &[(1, 10, "not valid YAML")], "tabs"),
    ("version: 1\ntables: {a.b: {<<: {x: 1}}}", &[(2, 16, "not valid YAML")], ""),
];

#[test]
fn every_bad_file_is_refused_with_its_place_and_a_hint() {
    for (text, places, hint) in BAD {
        let found = parse(text, "transforms.yaml").expect_err(text);
        let got: Vec<_> = found.iter().map(|one| (one.line, one.column)).collect();
        let wanted: Vec<_> = places.iter().map(|(line, column, _)| (*line, *column)).collect();
        assert_eq!(got, wanted, "{text}\n{found:#?}");
        for (diagnostic, (_, _, part)) in found.iter().zip(*places) {
            assert!(diagnostic.message.contains(part), "{part}: {diagnostic}");
        }
        let hinted = hint.is_empty()
            || found.iter().any(|one| one.hint.as_deref().is_some_and(|text| text.contains(hint)));
        assert!(hinted, "{hint}: {found:#?}");
    }
}

#[test]
fn ten_mistakes_are_reported_in_one_run() {
    let text = include_str!("../../../tests/config/ten_mistakes.yaml");
    let found = parse(text, "ten_mistakes.yaml").unwrap_err();
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    expect_test::expect_file!["../../../tests/config/ten_mistakes.txt"]
        .assert_eq(&format!("{}\n", lines.join("\n")));
    assert_eq!(found.len(), 10);
}

#[test]
fn the_example_at_the_top_of_the_repository_is_read() {
    let spec = parse(include_str!("../../../transforms.yaml"), "transforms.yaml").unwrap();
    assert_eq!((spec.tables.len(), spec.references.len()), (2, 1));
}
