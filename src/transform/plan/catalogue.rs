//! What the transforms of the catalogue promise: which kinds they read, whether they keep distinct
//! values apart, how much room that takes.
//!
//! The same questions that `transform::op` answers of its ops; there must be one answer.

use crate::pg::Kind;
use crate::transform::Transform;

/// True if the transform can read and write values of the (scalar) kind.
pub fn accepts(transform: &Transform, kind: &Kind) -> bool {
    let text = kind.is_text();
    let dates = matches!(kind, Kind::Date | Kind::Timestamp | Kind::Timestamptz);
    let numbers = kind.is_integer() || matches!(kind, Kind::Float4 | Kind::Float8 | Kind::Numeric);
    match transform {
        Transform::Keep | Transform::Null => true,
        Transform::Constant { .. } => {
            !matches!(kind, Kind::Opaque | Kind::Composite | Kind::Range | Kind::Tsvector)
        }
        Transform::Email
        | Transform::Username
        | Transform::FirstName
        | Transform::LastName
        | Transform::FullName
        | Transform::Card
        | Transform::Iban
        | Transform::Alnum
        | Transform::Street
        | Transform::City
        | Transform::Company
        | Transform::Url
        | Transform::HashToken { .. } => text,
        Transform::Phone => text || matches!(kind, Kind::Int8 | Kind::Numeric),
        Transform::Ssn => text || matches!(kind, Kind::Int4 | Kind::Int8 | Kind::Numeric),
        Transform::Digits | Transform::Postal => {
            text || kind.is_integer() || *kind == Kind::Numeric
        }
        Transform::Integer => kind.is_integer() || *kind == Kind::Numeric,
        Transform::Uuid => text || *kind == Kind::Uuid,
        Transform::Ip => text || matches!(kind, Kind::Inet | Kind::Cidr),
        Transform::Mac => text || matches!(kind, Kind::Macaddr | Kind::Macaddr8),
        Transform::DateShift { .. } | Transform::DateBucket { .. } => text || dates,
        Transform::NumberBucket { .. } | Transform::NumberNoise { .. } => numbers,
        Transform::TextFill => text || matches!(kind, Kind::Bytea | Kind::Json | Kind::Jsonb),
        Transform::Json { .. } => text || matches!(kind, Kind::Json | Kind::Jsonb),
    }
}

/// True if distinct values get distinct fakes, for certain or with a negligible exception.
pub fn is_injective(transform: &Transform) -> bool {
    match transform {
        Transform::Keep
        | Transform::Email
        | Transform::Username
        | Transform::Digits
        | Transform::Iban
        | Transform::Alnum
        | Transform::Integer
        | Transform::Uuid
        | Transform::Postal
        | Transform::Mac => true,
        Transform::HashToken { length } => *length >= HASH_UNIQUE_CHARS,
        Transform::Null
        | Transform::Constant { .. }
        | Transform::FirstName
        | Transform::LastName
        | Transform::FullName
        | Transform::Phone
        | Transform::Ssn
        | Transform::Card
        | Transform::Street
        | Transform::City
        | Transform::Company
        | Transform::Ip
        | Transform::Url
        | Transform::DateShift { .. }
        | Transform::DateBucket { .. }
        | Transform::NumberBucket { .. }
        | Transform::NumberNoise { .. }
        | Transform::TextFill
        | Transform::Json { .. } => false,
    }
}

/// 70 bits in base32: no collision among ten million values.
pub(super) const HASH_UNIQUE_CHARS: u32 = 14;

/// Shortest column, in characters, in which the transform still keeps unique values apart.
pub fn min_unique_chars(transform: &Transform) -> u32 {
    match transform {
        // `a.b.<10 base32>@example.com`
        Transform::Email => 26,
        Transform::Username => 14,
        Transform::Uuid => 36,
        Transform::Mac => 17,
        Transform::HashToken { length } => *length,
        Transform::Keep
        | Transform::Null
        | Transform::Constant { .. }
        | Transform::FirstName
        | Transform::LastName
        | Transform::FullName
        | Transform::Phone
        | Transform::Ssn
        | Transform::Digits
        | Transform::Card
        | Transform::Iban
        | Transform::Alnum
        | Transform::Integer
        | Transform::Street
        | Transform::City
        | Transform::Postal
        | Transform::Company
        | Transform::Ip
        | Transform::Url
        | Transform::DateShift { .. }
        | Transform::DateBucket { .. }
        | Transform::NumberBucket { .. }
        | Transform::NumberNoise { .. }
        | Transform::TextFill
        | Transform::Json { .. } => 0,
    }
}
