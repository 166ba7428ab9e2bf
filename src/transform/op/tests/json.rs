use super::*;
use crate::transform::UnknownPath;

fn build(paths: &[(&str, Transform)], unknown: UnknownPath) -> Op {
    let rule = |(path, transform): &(&str, Transform)| {
        ((*path).to_owned(), Rule::plain(transform.clone()))
    };
    let paths = paths.iter().map(rule).collect();
    op(Transform::Json { paths, unknown }, Kind::Jsonb)
}

fn keep(paths: &[(&str, Transform)]) -> Op {
    build(paths, UnknownPath::Keep)
}

fn constant(value: &str) -> Transform {
    Transform::Constant { value: value.into() }
}

#[test]
fn outside_the_paths_every_byte_stays() {
    let document = " { \"b\" : 1.50e+2 , \"a\":[1, 2 ,{\"x\":\"\\u00e9\\n\"}],\"a\":null, \"e\":{} ,\"f\":[ ] }\n";
    assert_eq!(json(&keep(&[]), document).unwrap(), document);
    let ruled = json(&keep(&[("$.e.z", Transform::Null), ("$.q", Transform::Email)]), document);
    assert_eq!(ruled.unwrap(), document);
}

#[test]
fn leaves_get_the_fakes_of_columns() {
    let op = keep(&[
        ("$.email", Transform::Email),
        ("$.contacts[*].email", Transform::Email),
        ("$.tags", Transform::TextFill),
        ("$['odd key']", constant("a \"b\"\n")),
    ]);
    let email = text(&super::op(Transform::Email, Kind::Text), "bob@x.com");
    let fill = text(&super::op(Transform::TextFill, Kind::Text), "vip");
    let document = r#"{"email":"bob@x.com","contacts":[{"email":"BOB@x.com","n":1}],"tags":["vip"],"odd key":"x","other":"kept"}"#;
    let expected = format!(
        r#"{{"email":"{email}","contacts":[{{"email":"{email}","n":1}}],"tags":["{fill}"],"odd key":"a \"b\"\n","other":"kept"}}"#
    );
    assert_eq!(json(&op, document).unwrap(), expected);
    let lifted = r#"{"contacts":{"email":"bob@x.com"}}"#;
    assert_eq!(json(&op, lifted).unwrap(), lifted.replace("bob@x.com", &email));
}

#[test]
fn escapes_are_read_as_what_they_spell() {
    let op =
        keep(&[("$.a", Transform::Email), ("$.t", Transform::TextFill), ("$.k", Transform::Null)]);
    let plain = json(&op, r#"{"a":"bob@x.com","t":"é\"😀\n"}"#).unwrap();
    let escaped =
        json(&op, r#"{"\u0061":"\u0062ob\u0040x.com","t":"\u00e9\"\ud83d\ude00\n"}"#).unwrap();
    assert_eq!(escaped.replace("\\u0061", "a"), plain);
    assert!(serde_json::from_str::<serde_json::Value>(&plain).is_ok(), "{plain}");
    assert_eq!(json(&op, r#"{"k":"x","k":[1,{"y":2}]}"#).unwrap(), r#"{"k":null,"k":null}"#);
    assert!(json(&op, r#"{"t":"a\ud800b"}"#).is_ok());
}

#[test]
fn numbers_meet_their_rules() {
    let op = keep(&[
        ("$.n", Transform::NumberBucket { width: 10 }),
        ("$.i", Transform::Integer),
        ("$.e", Transform::Email),
        ("$.c", constant("5")),
        ("$.s", constant("five")),
    ]);
    let integer = int(&super::op(Transform::Integer, Kind::Int8), 120);
    let document = r#"{"n":[47,-4.75e1,1e400,"12.5"],"i":1.2e2,"c":1,"s":1,"b":true}"#;
    let fake: serde_json::Value =
        serde_json::from_str(&json(&op, &document.replace("1e400", "0")).unwrap()).unwrap();
    assert_eq!(fake["n"][0], 40);
    assert_eq!(fake["n"][1], -50);
    assert_ne!(fake["n"][3], "12.5");
    assert_eq!(fake["i"], integer);
    assert_eq!((&fake["c"], &fake["s"], &fake["b"]), (&5.into(), &"five".into(), &true.into()));
    assert_ne!(json(&op, r#"{"e":5551234567}"#).unwrap(), r#"{"e":5551234567}"#);
}

#[test]
fn unknown_paths_follow_the_policy() {
    let document =
        r#"{"known":"x","deep":{"secret":"Alice 1","n":42,"t":true,"z":null},"list":["Bob"]}"#;
    let paths = [("$.known", Transform::Keep), ("$.deep.n", Transform::Keep)];
    let filled = json(&build(&paths, UnknownPath::Fill), document).unwrap();
    assert!(!filled.contains("Alice") && !filled.contains("Bob"), "{filled}");
    assert!(filled.contains(r#""known":"x""#) && filled.contains(r#""n":42,"t":true,"z":null"#));
    let nulled = json(&build(&paths, UnknownPath::Null), document).unwrap();
    assert_eq!(
        nulled,
        r#"{"known":"x","deep":{"secret":null,"n":42,"t":null,"z":null},"list":null}"#
    );
    assert_eq!(json(&build(&paths, UnknownPath::Keep), document).unwrap(), document);
}

#[test]
fn a_longer_path_wins() {
    let op = keep(&[("$.a", constant("x")), ("$.a.b", Transform::Keep)]);
    let document = r#"{"a":{"b":"kept","c":"gone","d":[1,"y"]}}"#;
    assert_eq!(json(&op, document).unwrap(), r#"{"a":{"b":"kept","c":"x","d":["x","x"]}}"#);
    let op = keep(&[("$.a", Transform::Null), ("$.a.b", Transform::Keep)]);
    assert_eq!(json(&op, document).unwrap(), r#"{"a":{"b":"kept","c":null,"d":null}}"#);
}

#[test]
fn scalars_and_text_columns_are_documents_too() {
    assert_eq!(json(&keep(&[("$", constant("x"))]), "\"y\"").unwrap(), "\"x\"");
    let fill = op(Transform::TextFill, Kind::Jsonb);
    assert!(!json(&fill, r#"{"a":"Alice"}"#).unwrap().contains("Alice"));
    let rule = Transform::Json { paths: [].into(), unknown: UnknownPath::Fill };
    let by_text = op(rule, Kind::Text);
    assert!(text(&by_text, r#"{"a":"Alice"}"#).starts_with(r#"{"a":""#));
    assert!(!text(&by_text, "{a: Alice").contains("Alice"));
}

#[test]
fn malformed_documents_fault() {
    let op = build(&[("$.a", Transform::Email)], UnknownPath::Fill);
    for document in [
        "",
        "{",
        "[1,]",
        "{\"a\"}",
        "{\"a\":1,}",
        "01",
        "1.",
        "-",
        "1e",
        "tru",
        "\"\\x\"",
        "\"\n\"",
        "[1] 2",
        "{a:1}",
        "'a'",
        "\"\\u12g4\"",
        "nul",
        "[1 2]",
    ] {
        assert_eq!(json(&op, document), Err(Fault::Malformed), "{document}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(json(&op, &deep), Err(Fault::Malformed));
}

#[test]
fn paths_that_contradict_are_refused() {
    let nested = Transform::Json { paths: [].into(), unknown: UnknownPath::Fill };
    for paths in [
        vec![("a", Transform::Keep)],
        vec![("$.a", Transform::Keep), ("$['a']", Transform::Null)],
        vec![("$.a", nested)],
        vec![("$.a", Transform::NumberNoise { percent: 0 })],
    ] {
        let paths =
            paths.into_iter().map(|(path, transform)| (path.into(), Rule::plain(transform)));
        let rule =
            Rule::plain(Transform::Json { paths: paths.collect(), unknown: UnknownPath::Keep });
        assert!(Op::build(&rule, &shape(Kind::Json), &root()).is_err());
    }
}
