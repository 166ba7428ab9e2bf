//! The catalogue's promises, as tests.

#![expect(clippy::wildcard_enum_match_arm, reason = "what a test does not expect, fails it")]

mod fits;
mod golden;
mod json;
mod numbers;
mod properties;
mod texts;
mod uniqueness;

use super::Op;
use crate::pg::Kind;
use crate::transform::key::RootKey;
use crate::transform::{Fault, Output, Rule, Shape, Transform, Value};

fn root() -> RootKey {
    RootKey::new(std::array::from_fn(|index| u8::try_from(index + 1).unwrap()))
}

fn shape(kind: Kind) -> Shape {
    Shape { kind, max_chars: None, unique: false }
}

fn op(transform: Transform, kind: Kind) -> Op {
    Op::build(&Rule::plain(transform), &shape(kind), &root()).unwrap()
}

fn short(transform: Transform, max_chars: u32) -> Op {
    let shape = Shape { kind: Kind::Text, max_chars: Some(max_chars), unique: false };
    Op::build(&Rule::plain(transform), &shape, &root()).unwrap()
}

/// The fake of a text, or the text itself where the op leaves it.
fn text(op: &Op, value: &str) -> String {
    let mut out = Vec::new();
    match op.apply(Value::Text(value), None, &mut out).unwrap() {
        Output::Text => String::from_utf8(out).unwrap(),
        Output::Same => value.to_owned(),
        other => panic!("{other:?}"),
    }
}

fn numeric(op: &Op, value: &str) -> String {
    let mut out = Vec::new();
    match op.apply(Value::Numeric(value), None, &mut out).unwrap() {
        Output::Text => String::from_utf8(out).unwrap(),
        Output::Same => value.to_owned(),
        other => panic!("{other:?}"),
    }
}

fn json(op: &Op, value: &str) -> Result<String, Fault> {
    let mut out = Vec::new();
    Ok(match op.apply(Value::Json(value), None, &mut out)? {
        Output::Text => String::from_utf8(out).unwrap(),
        Output::Same => value.to_owned(),
        other => panic!("{other:?}"),
    })
}

fn int(op: &Op, value: i64) -> i64 {
    match op.apply(Value::Int(value), None, &mut Vec::new()).unwrap() {
        Output::Int(value) => value,
        other => panic!("{other:?}"),
    }
}

/// Every transform that reads text, with plain arguments.
fn text_transforms() -> Vec<Transform> {
    vec![
        Transform::Email,
        Transform::Username,
        Transform::FirstName,
        Transform::LastName,
        Transform::FullName,
        Transform::Phone,
        Transform::Ssn,
        Transform::Digits,
        Transform::Card,
        Transform::Iban,
        Transform::Alnum,
        Transform::Uuid,
        Transform::Street,
        Transform::City,
        Transform::Postal,
        Transform::Company,
        Transform::Ip,
        Transform::Mac,
        Transform::Url,
        Transform::DateShift { max_days: 30, subject: None },
        Transform::DateBucket { unit: crate::transform::DateUnit::Year },
        Transform::TextFill,
        Transform::HashToken { length: 16 },
        Transform::Json {
            paths: std::collections::BTreeMap::new(),
            unknown: crate::transform::UnknownPath::Fill,
        },
    ]
}
