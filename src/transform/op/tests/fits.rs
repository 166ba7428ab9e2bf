use super::super::{BuildError, accepts, is_injective, min_unique_chars, unique_alternative};
use super::*;

fn build(transform: Transform, kind: Kind, max_chars: Option<u32>) -> Result<(), String> {
    let shape = Shape { kind, max_chars, unique: true };
    Op::build(&Rule::plain(transform), &shape, &root()).map(drop).map_err(|error| error.to_string())
}

#[test]
fn what_does_not_fit_is_said_in_words() {
    for (transform, kind, max_chars, words) in [
        (Transform::Email, Kind::Int4, None, "email cannot read Int4 values"),
        (
            Transform::Email,
            Kind::Text,
            Some(20),
            "email needs 26 characters to keep the values of a unique column apart; the column holds 20",
        ),
        (
            Transform::FirstName,
            Kind::Text,
            None,
            "first_name cannot keep the values of a unique column apart; username can",
        ),
        (Transform::Null, Kind::Text, None, "null cannot keep the values of a unique column apart"),
        (
            Transform::NumberNoise { percent: 0 },
            Kind::Int4,
            None,
            "number_noise: percent must be from 1 to 100",
        ),
        (
            Transform::HashToken { length: 40 },
            Kind::Text,
            Some(16),
            "hash_token: length must be from 1 to 16",
        ),
    ] {
        assert_eq!(build(transform, kind, max_chars), Err(words.into()));
    }
}

#[test]
fn constants_are_converted_when_the_op_is_built() {
    let constant = |value: &str, kind| {
        let rule = Rule::plain(Transform::Constant { value: value.into() });
        Op::build(&rule, &shape(kind), &root())
    };
    let output = |value, kind| {
        let mut out = Vec::new();
        let output = constant(value, kind).unwrap().apply(Value::Int(1), None, &mut out).unwrap();
        (output, String::from_utf8_lossy(&out).into_owned())
    };
    assert_eq!(output("x", Kind::Text), (Output::Text, "x".into()));
    assert_eq!(output("-7", Kind::Int2), (Output::Int(-7), String::new()));
    assert_eq!(output("2000-01-02", Kind::Date), (Output::Date(1), String::new()));
    assert_eq!(output("2000-01-01 00:00:01.5Z", Kind::Timestamptz).0, Output::Timestamp(1_500_000));
    assert_eq!(output("\\x6869", Kind::Bytea), (Output::Bytes, "hi".into()));
    assert_eq!(output("{\"a\": 1}", Kind::Jsonb), (Output::Text, "{\"a\": 1}".into()));
    assert_eq!(output("t", Kind::Bool).0, Output::Bool(true));
    for (value, kind) in [
        ("40000", Kind::Int2),
        ("1.2.3", Kind::Numeric),
        ("2001-02-30", Kind::Date),
        ("{a:1}", Kind::Json),
        ("nobody", Kind::Uuid),
        ("300.1.1.1", Kind::Inet),
    ] {
        assert!(matches!(constant(value, kind), Err(BuildError::Constant(_))), "{value}");
    }
}

#[test]
fn whatever_is_accepted_can_be_built_and_applied() {
    for transform in text_transforms() {
        for kind in [Kind::Text, Kind::Bpchar, Kind::Citext] {
            assert!(accepts(&transform, &kind));
            let op = op(transform.clone(), kind);
            assert!(op.apply(Value::Text("Some Value 12"), None, &mut Vec::new()).is_ok());
        }
    }
}

#[test]
fn an_alternative_is_injective_and_fits() {
    for transform in text_transforms() {
        if let Some(alternative) = unique_alternative(&transform, &Kind::Text) {
            assert!(is_injective(&alternative) && accepts(&alternative, &Kind::Text));
        }
    }
    assert_eq!(min_unique_chars(&Transform::Email), 26);
}

#[test]
fn joined_columns_of_other_widths_agree() {
    let wide = op(Transform::Email, Kind::Text);
    let narrow = short(Transform::Email, 60);
    assert_eq!(text(&wide, "a@b.c"), text(&narrow, "a@b.c"));
}
