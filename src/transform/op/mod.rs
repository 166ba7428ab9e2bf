//! The catalogue of transforms.
//!
//! An [`Op`] is a rule bound to a column: built once, immutable, shared by threads. Applying it
//! allocates nothing per value (the caller's buffer grows to the longest value). What every op
//! promises:
//! - NULL never reaches it; an empty text stays empty (but for `null` and `constant`).
//! - Equal canonical values give equal fakes, under one root key and domain, in every column,
//!   width and representation. The fake may depend on the column's `max_chars` where that is too
//!   short for it: columns that are joined are to be bound with the shortest of them.
//! - A text that the transform cannot parse is filled, never passed through.
//! - The result respects `max_chars`, counted in characters.
//! - Permutations have fixed points, as they must; fakes out of word lists pass over words of
//!   the input, and fills replace every letter and digit by another.

mod alnum;
mod canonical;
mod catalogue;
mod charclass;
mod code;
mod constant;
mod date;
mod fill;
mod identifier;
mod integer;
mod json;
mod network;
mod number;
mod person;
mod phone;
mod place;
#[cfg(test)]
mod tests;
mod token;
mod url;
mod uuid;

use super::key::RootKey;
use super::{Fault, Output, Rule, Shape, Transform, UnknownPath, Value};
use crate::pg::Kind;
use constant::Constant;
use std::collections::BTreeMap;

pub use super::dictionary::dictionary_hash;
pub use catalogue::{accepts, is_injective, min_unique_chars, unique_alternative};
pub use code::{is_code, is_long_number};
pub(super) use person::LONE_TOKEN_CHARS;

/// Changes whenever any fake changes for the same key and input. Version 1 (HMAC) was never
/// released; the number keeps a clone that it began from being finished by this one.
pub const ALGORITHM_VERSION: u32 = 2;

/// A rule bound to a column.
pub struct Op {
    action: Action,
}

enum Action {
    Keep,
    Null,
    Constant(Constant),
    Person(person::Person),
    Place(place::Place),
    Phone(phone::Phone),
    Identifier(identifier::Identifier),
    Integer(integer::Integer),
    Uuid(uuid::Uuid),
    Ip(network::Ip),
    Mac(network::Mac),
    Url(url::Url),
    Date(date::Date),
    Number(number::Number),
    Fill(fill::Fill),
    Code(code::Code),
    Token(token::Token),
    Json(json::Json),
}

/// Why a rule does not fit a column. Never holds a value of the column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error("{transform} cannot read {kind:?} values")]
    Kind { transform: &'static str, kind: Kind },
    #[error("{transform} cannot keep the values of a unique column apart{}", advice(*.alternative))]
    NotInjective { transform: &'static str, alternative: Option<&'static str> },
    #[error(
        "{transform} needs {needed} characters to keep the values of a unique column apart; the \
         column holds {max_chars}"
    )]
    TooShort { transform: &'static str, needed: u32, max_chars: u32 },
    #[error("the constant {0}")]
    Constant(String),
    #[error("{transform}: {name} must be from {least} to {most}")]
    Argument { transform: &'static str, name: &'static str, least: u64, most: u64 },
    #[error("the path {path} {why}")]
    Path { path: String, why: String },
    #[error("has a json rule, which cannot stand inside another: write the longer path instead")]
    Nested,
}

fn advice(alternative: Option<&'static str>) -> String {
    alternative.map_or_else(String::new, |name| format!("; {name} can"))
}

impl Op {
    /// Binds a rule to a column of this shape.
    pub fn build(rule: &Rule, shape: &Shape, key: &RootKey) -> Result<Self, BuildError> {
        check(&rule.transform, shape)?;
        let text = Text { rule, shape, key };
        let action = match &rule.transform {
            Transform::Keep => Action::Keep,
            Transform::Null => Action::Null,
            Transform::Constant { value } => {
                Action::Constant(Constant::build(value, shape).map_err(BuildError::Constant)?)
            }
            Transform::Email => text.person(person::Part::Email),
            Transform::Username => text.person(person::Part::Username),
            Transform::FirstName => text.person(person::Part::First),
            Transform::LastName => text.person(person::Part::Last),
            Transform::FullName => text.person(person::Part::Full),
            Transform::Street => text.place(place::Sort::Street),
            Transform::City => text.place(place::Sort::City),
            Transform::Company => text.place(place::Sort::Company),
            Transform::Phone => {
                Action::Phone(phone::Phone { key: text.key(), max_chars: shape.max_chars })
            }
            Transform::Ssn => text.identifier(identifier::Form::Ssn),
            Transform::Card => text.identifier(identifier::Form::Card),
            Transform::Iban => text.identifier(identifier::Form::Iban),
            Transform::Postal if !shape.kind.element().is_text() => {
                text.integer(integer::Keep::Length)
            }
            Transform::Alnum | Transform::Postal => text.identifier(identifier::Form::Alnum),
            Transform::Code => text.code(),
            Transform::Digits => text.integer(integer::Keep::Length),
            Transform::Integer => text.integer(integer::Keep::Range),
            Transform::Uuid => {
                Action::Uuid(uuid::Uuid { key: text.key(), max_chars: shape.max_chars })
            }
            Transform::Ip => Action::Ip(network::Ip {
                key: text.key(),
                is_network: *shape.kind.element() == Kind::Cidr,
                max_chars: shape.max_chars,
            }),
            Transform::Mac => {
                Action::Mac(network::Mac { key: text.key(), max_chars: shape.max_chars })
            }
            Transform::Url => Action::Url(url::Url { key: text.key(), max_chars: shape.max_chars }),
            Transform::DateShift { max_days, .. } => {
                text.date(date::Change::Shift { max_days: *max_days })
            }
            Transform::DateBucket { unit } => text.date(date::Change::Bucket(*unit)),
            Transform::NumberBucket { width } => {
                text.number(number::Change::Bucket { width: *width })
            }
            Transform::NumberNoise { percent } => {
                text.number(number::Change::Noise { percent: *percent })
            }
            Transform::TextFill if matches!(shape.kind.element(), Kind::Json | Kind::Jsonb) => {
                let fill = UnknownPath::Fill;
                Action::Json(json::Json::build(&BTreeMap::new(), fill, rule.domain(), key)?)
            }
            Transform::TextFill => {
                Action::Fill(fill::Fill { key: text.key(), ignore_case: text.ignores_case() })
            }
            Transform::HashToken { length } => Action::Token(token::Token {
                key: text.key(),
                ignore_case: text.ignores_case(),
                length: *length,
            }),
            Transform::Json { paths, unknown } => {
                // Strings are filled as in a text_fill column, unless the rule names a domain.
                let domain = rule.domain.as_deref();
                let domain = domain.unwrap_or(Transform::TextFill.default_domain());
                Action::Json(json::Json::build(paths, *unknown, domain, key)?)
            }
        };
        Ok(Self { action })
    }

    /// Transforms one value that is not NULL. `out` comes empty and holds the result where the
    /// [`Output`] says so; on an error or another output its content means nothing.
    pub fn apply(
        &self,
        value: Value<'_>,
        subject: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Output, Fault> {
        self.append(value, subject, out)
    }

    /// As [`Op::apply`], behind what `out` already holds.
    fn append(
        &self,
        value: Value<'_>,
        subject: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Output, Fault> {
        match &self.action {
            Action::Keep => Ok(Output::Same),
            Action::Null => Ok(Output::Null),
            Action::Constant(constant) => Ok(constant.apply(out)),
            Action::Person(person) => person.apply(value, out),
            Action::Place(place) => place.apply(value, out),
            Action::Phone(phone) => phone.apply(value, out),
            Action::Identifier(identifier) => identifier.apply(value, out),
            Action::Integer(integer) => integer.apply(value, out),
            Action::Uuid(uuid) => uuid.apply(value, out),
            Action::Ip(ip) => ip.apply(value, out),
            Action::Mac(mac) => mac.apply(value, out),
            Action::Url(url) => url.apply(value, out),
            Action::Date(date) => date.apply(value, subject, out),
            Action::Number(number) => number.apply(value, out),
            Action::Code(code) => code.apply(value, out),
            Action::Fill(fill) => fill.apply(value, out),
            Action::Token(token) => token.apply(value, out),
            Action::Json(json) => json.apply(value, subject, out),
        }
    }
}

/// What all transforms are checked for.
fn check(transform: &Transform, shape: &Shape) -> Result<(), BuildError> {
    let name = transform.name();
    if !accepts(transform, &shape.kind) {
        return Err(BuildError::Kind { transform: name, kind: shape.kind.clone() });
    }
    let argument = argument(transform, shape);
    if let Some((argument, given, most)) = argument
        && !(1..=most).contains(&given)
    {
        return Err(BuildError::Argument { transform: name, name: argument, least: 1, most });
    }
    if !shape.unique {
        return Ok(());
    }
    if !is_injective(transform) {
        let alternative =
            unique_alternative(transform, &shape.kind).map(|alternative| alternative.name());
        return Err(BuildError::NotInjective { transform: name, alternative });
    }
    let needed = min_unique_chars(transform);
    match shape.max_chars {
        Some(max_chars) if max_chars < needed => {
            Err(BuildError::TooShort { transform: name, needed, max_chars })
        }
        Some(_) | None => Ok(()),
    }
}

/// The transform's number: its name, what is given, and the most it may be.
#[expect(clippy::wildcard_enum_match_arm, reason = "a transform without a number needs no check")]
fn argument(transform: &Transform, shape: &Shape) -> Option<(&'static str, u64, u64)> {
    match transform {
        Transform::DateShift { max_days, .. } => {
            Some(("max_days", u64::from(*max_days), u64::from(date::MAX_SHIFT_DAYS)))
        }
        Transform::NumberBucket { width } => Some(("width", *width, u64::MAX)),
        Transform::NumberNoise { percent } => Some(("percent", u64::from(*percent), 100)),
        Transform::HashToken { length } => {
            let most = shape.max_chars.unwrap_or(token::MAX_CHARS).min(token::MAX_CHARS);
            Some(("length", u64::from(*length), u64::from(most)))
        }
        _ => None,
    }
}

/// What the makers of actions share.
struct Text<'a> {
    rule: &'a Rule,
    shape: &'a Shape,
    key: &'a RootKey,
}

impl Text<'_> {
    fn key(&self) -> super::key::DomainKey {
        self.key.domain(self.rule.domain())
    }

    fn ignores_case(&self) -> bool {
        *self.shape.kind.element() == Kind::Citext
    }

    fn person(&self, part: person::Part) -> Action {
        let max_chars = self.shape.max_chars;
        Action::Person(person::Person { key: self.key(), part, max_chars })
    }

    fn place(&self, sort: place::Sort) -> Action {
        let max_chars = self.shape.max_chars;
        Action::Place(place::Place { key: self.key(), sort, max_chars })
    }

    fn identifier(&self, form: identifier::Form) -> Action {
        let max_chars = self.shape.max_chars;
        Action::Identifier(identifier::Identifier { key: self.key(), form, max_chars })
    }

    fn code(&self) -> Action {
        let (form, max_chars) = (identifier::Form::Alnum, self.shape.max_chars);
        let other = identifier::Identifier { key: self.key(), form, max_chars };
        Action::Code(code::Code { other })
    }

    fn integer(&self, keep: integer::Keep) -> Action {
        Action::Integer(integer::Integer { key: self.key(), keep })
    }

    fn date(&self, change: date::Change) -> Action {
        let max_chars = self.shape.max_chars;
        Action::Date(date::Date { key: self.key(), change, max_chars })
    }

    fn number(&self, change: number::Change) -> Action {
        let is_single = *self.shape.kind.element() == Kind::Float4;
        Action::Number(number::Number { key: self.key(), change, is_single })
    }
}
