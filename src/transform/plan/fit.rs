//! Which transform fits which column.
//!
//! Rules are lifted over arrays: everything is asked of the element's kind.

use crate::catalog::{Column, Table};
use crate::pg::Kind;
use crate::transform::op::{LONE_TOKEN_CHARS, accepts, is_injective, min_unique_chars};
use crate::transform::{Rule, Shape, Transform, UnknownPath};
use std::collections::BTreeMap;

/// A column as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub column: &'a Column,
    /// True if a unique or primary key holds the column, alone or with others.
    pub unique: bool,
}

impl<'a> Target<'a> {
    pub fn new(table: &Table, column: &'a Column) -> Self {
        let in_key = |keys: &[String]| keys.contains(&column.name);
        let unique = in_key(&table.primary_key)
            || table.indexes.iter().any(|index| index.is_unique && in_key(&index.key_columns));
        Self { column, unique }
    }

    pub fn kind(&self) -> &'a Kind {
        self.column.kind.element()
    }

    pub fn shape(&self) -> Shape {
        Shape { kind: self.kind().clone(), max_chars: self.column.max_chars, unique: self.unique }
    }
}

/// Why a rule cannot be bound to a column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    #[error("`null` on a column that is not null")]
    NullOnNotNull,
    #[error("`{0}` on a unique column: all values would be equal")]
    EqualOnUnique(&'static str),
    #[error("`{0}` on a unique column: two values can get the same fake")]
    NotInjective(&'static str),
    #[error("`{transform}` on a unique column needs {needed} characters, the column holds {have}")]
    TooShort { transform: &'static str, needed: u32, have: u32 },
    #[error("`{transform}` needs {needed} characters, the column holds {have}")]
    Narrow { transform: &'static str, needed: u32, have: u32 },
    #[error("`{transform}` does not fit the type {type_name}")]
    WrongKind { transform: &'static str, type_name: String },
    #[error("the constant is not a label of the enum {0}")]
    NotALabel(String),
    #[error("the constant is not a value of the type {0}")]
    NotOfType(String),
    #[error("`{transform}` at the path `{path}` does not fit JSON strings or numbers")]
    InPath { transform: &'static str, path: String },
}

/// Checks everything but a `date_shift`'s subject, which needs the table.
///
/// # Errors
/// The first reason why the rule cannot be bound.
pub fn check(rule: &Rule, target: &Target<'_>) -> Result<(), Misfit> {
    let (transform, column) = (&rule.transform, target.column);
    let name = transform.name();
    if rule.is_keep() {
        return Ok(());
    }
    if matches!(transform, Transform::Null) {
        return match (column.not_null, target.unique) {
            (true, _) => Err(Misfit::NullOnNotNull),
            (false, true) => Err(Misfit::EqualOnUnique(name)),
            (false, false) => Ok(()),
        };
    }
    let type_name = || column.type_name.clone();
    if !accepts(transform, target.kind()) {
        return Err(Misfit::WrongKind { transform: name, type_name: type_name() });
    }
    if let Transform::Constant { value } = transform {
        constant_fits(value, target)?;
    }
    if let Transform::Json { paths, .. } = transform {
        paths_fit(paths)?;
    }
    if let (Transform::HashToken { length }, Some(have)) = (transform, column.max_chars)
        && have < *length
    {
        return Err(Misfit::Narrow { transform: name, needed: *length, have });
    }
    if !target.unique || matches!(transform, Transform::DateShift { .. }) {
        return Ok(());
    }
    if matches!(transform, Transform::Constant { .. }) {
        return Err(Misfit::EqualOnUnique(name));
    }
    if !is_injective(transform) {
        return Err(Misfit::NotInjective(name));
    }
    match (column.max_chars, min_unique_chars(transform)) {
        (Some(have), needed) if have < needed && target.kind().is_text() => {
            Err(Misfit::TooShort { transform: name, needed, have })
        }
        _ => Ok(()),
    }
}

fn constant_fits(value: &str, target: &Target<'_>) -> Result<(), Misfit> {
    let column = target.column;
    let fits = match target.kind() {
        Kind::Enum => {
            return if column.enum_labels.iter().any(|label| label == value) {
                Ok(())
            } else {
                Err(Misfit::NotALabel(column.type_name.clone()))
            };
        }
        Kind::Text | Kind::Bpchar | Kind::Citext => {
            let chars = u32::try_from(value.chars().count()).unwrap_or(u32::MAX);
            if let Some(have) = column.max_chars.filter(|max| *max < chars) {
                return Err(Misfit::Narrow { transform: "constant", needed: chars, have });
            }
            true
        }
        Kind::Int2 => value.parse::<i16>().is_ok(),
        Kind::Int4 => value.parse::<i32>().is_ok(),
        Kind::Int8 => value.parse::<i64>().is_ok(),
        Kind::Float4 | Kind::Float8 | Kind::Numeric => value.parse::<f64>().is_ok(),
        Kind::Bool => matches!(value, "true" | "false" | "t" | "f"),
        Kind::Json | Kind::Jsonb => serde_json::from_str::<serde_json::Value>(value).is_ok(),
        // Their input functions are the server's business.
        Kind::Bytea
        | Kind::Uuid
        | Kind::Date
        | Kind::Timestamp
        | Kind::Timestamptz
        | Kind::Inet
        | Kind::Cidr
        | Kind::Macaddr
        | Kind::Macaddr8
        | Kind::Xml
        | Kind::Hstore
        | Kind::Tsvector
        | Kind::Array(_)
        | Kind::Composite
        | Kind::Range
        | Kind::Opaque => true,
    };
    if fits { Ok(()) } else { Err(Misfit::NotOfType(column.type_name.clone())) }
}

fn paths_fit(paths: &BTreeMap<String, Rule>) -> Result<(), Misfit> {
    for (path, rule) in paths {
        let fits = [Kind::Text, Kind::Int8, Kind::Numeric]
            .iter()
            .any(|kind| accepts(&rule.transform, kind));
        if !fits {
            return Err(Misfit::InPath { transform: rule.transform.name(), path: path.clone() });
        }
    }
    Ok(())
}

/// The names of the transforms that can be bound to the column, for hints.
pub fn fitting_names(target: &Target<'_>) -> Vec<&'static str> {
    use crate::transform::DateUnit;
    let label = target.column.enum_labels.first().cloned().unwrap_or_default();
    let candidates = [
        Transform::Keep,
        Transform::Null,
        Transform::Constant { value: label },
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
        Transform::Code,
        Transform::Integer,
        Transform::Uuid,
        Transform::Street,
        Transform::City,
        Transform::Postal,
        Transform::Company,
        Transform::Ip,
        Transform::Mac,
        Transform::Url,
        Transform::DateShift { max_days: 1, subject: None },
        Transform::DateBucket { unit: DateUnit::Year },
        Transform::NumberBucket { width: 1 },
        Transform::NumberNoise { percent: 1 },
        Transform::TextFill,
        Transform::HashToken { length: LONE_TOKEN_CHARS },
        Transform::Json { paths: BTreeMap::new(), unknown: UnknownPath::Fill },
    ];
    let fits = |transform: &Transform| {
        let unproven = matches!(transform, Transform::Constant { .. }) && !target.unique;
        (unproven && accepts(transform, target.kind()))
            || check(&Rule::plain(transform.clone()), target).is_ok()
    };
    candidates.iter().filter(|transform| fits(transform)).map(Transform::name).collect()
}

/// The first rule that fits every target; a `date_shift` counts as not fitting a unique column.
pub fn first_fitting<'a>(
    candidates: impl IntoIterator<Item = &'a Rule>,
    targets: &[Target<'_>],
) -> Option<Rule> {
    let fits = |rule: &Rule| {
        let shift = matches!(rule.transform, Transform::DateShift { .. });
        targets.iter().all(|target| !(shift && target.unique) && check(rule, target).is_ok())
    };
    candidates.into_iter().find(|rule| fits(rule)).cloned()
}

/// The rule that closes columns of which nothing is known; `None` if only a person can decide
/// (an XML column that is not null, say).
pub fn fill_for(targets: &[Target<'_>]) -> Option<Rule> {
    let widest = targets.iter().filter_map(|target| target.column.max_chars).min();
    let length = widest.unwrap_or(24).clamp(LONE_TOKEN_CHARS, 24);
    let candidates = [
        Transform::Json { paths: BTreeMap::new(), unknown: UnknownPath::Fill },
        Transform::TextFill,
        Transform::Ip,
        Transform::Mac,
        // On a unique column the two above `Null` keep values apart.
        Transform::HashToken { length },
        Transform::Alnum,
        Transform::Integer,
        Transform::Uuid,
        Transform::Null,
    ]
    .map(Rule::plain);
    // Ops for addresses and documents are no fillers of plain text.
    let plain_text = targets.iter().any(|target| target.kind().is_text());
    let native = |rule: &&Rule| {
        let special =
            matches!(rule.transform, Transform::Ip | Transform::Mac | Transform::Json { .. });
        !(special && plain_text)
    };
    first_fitting(candidates.iter().filter(native), targets)
}

/// Types that are [`Kind::Opaque`] for want of a rule, and too small to hold a text.
const TEXTLESS: [&str; 20] = [
    "interval",
    "time",
    "time without time zone",
    "time with time zone",
    "timetz",
    "money",
    "bit",
    "bit varying",
    "oid",
    "xid",
    "xid8",
    "cid",
    "tid",
    "pg_lsn",
    "\"char\"",
    "int2vector",
    "oidvector",
    "regclass",
    "regtype",
    "regproc",
];

/// True if values of the column can hold text about anybody, so that it needs a decision.
pub fn carries_text(column: &Column) -> bool {
    match column.kind.element() {
        Kind::Text
        | Kind::Bpchar
        | Kind::Citext
        | Kind::Bytea
        | Kind::Inet
        | Kind::Cidr
        | Kind::Macaddr
        | Kind::Macaddr8
        | Kind::Json
        | Kind::Jsonb
        | Kind::Xml
        | Kind::Hstore
        | Kind::Tsvector
        | Kind::Composite => true,
        Kind::Opaque => {
            let name = column.type_name.trim_end_matches("[]");
            let bare: String = match (name.find('('), name.find(')')) {
                (Some(open), Some(close)) if open < close => {
                    let head = name.get(..open).unwrap_or_default();
                    format!("{head}{}", name.get(close + 1..).unwrap_or_default())
                }
                _ => name.to_owned(),
            };
            !TEXTLESS.contains(&bare.trim_start_matches("pg_catalog."))
                && !bare.starts_with("interval ")
        }
        Kind::Bool
        | Kind::Int2
        | Kind::Int4
        | Kind::Int8
        | Kind::Float4
        | Kind::Float8
        | Kind::Numeric
        | Kind::Uuid
        | Kind::Date
        | Kind::Timestamp
        | Kind::Timestamptz
        | Kind::Enum
        | Kind::Range
        | Kind::Array(_) => false,
    }
}
