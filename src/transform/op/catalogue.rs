//! What each transform reads and promises, for the checker of transforms.yaml.

use super::person::{EMAIL_UNIQUE_CHARS, LONE_TOKEN_CHARS};
use crate::pg::Kind;
use crate::transform::Transform;

/// True if a rule with this transform can be bound to a column of this kind (of its elements,
/// for an array).
pub fn accepts(transform: &Transform, kind: &Kind) -> bool {
    let kind = kind.element();
    let is_text = kind.is_text();
    match transform {
        Transform::Keep | Transform::Null => true,
        Transform::Constant { .. } => !matches!(
            kind,
            Kind::Composite
                | Kind::Range
                | Kind::Opaque
                | Kind::Array(_)
                | Kind::Tsvector
                | Kind::Hstore
        ),
        Transform::Email
        | Transform::Username
        | Transform::FirstName
        | Transform::LastName
        | Transform::FullName
        | Transform::Card
        | Transform::Iban
        | Transform::Alnum
        | Transform::Code
        | Transform::Street
        | Transform::City
        | Transform::Company
        | Transform::Url => is_text,
        Transform::HashToken { .. } => is_text || *kind == Kind::Bytea,
        Transform::Phone => is_text || matches!(kind, Kind::Int8 | Kind::Numeric),
        Transform::Ssn => is_text || matches!(kind, Kind::Int4 | Kind::Int8 | Kind::Numeric),
        Transform::Digits | Transform::Postal => {
            is_text || kind.is_integer() || *kind == Kind::Numeric
        }
        Transform::Integer => kind.is_integer() || *kind == Kind::Numeric,
        Transform::Uuid => is_text || *kind == Kind::Uuid,
        Transform::Ip => is_text || matches!(kind, Kind::Inet | Kind::Cidr),
        Transform::Mac => is_text || matches!(kind, Kind::Macaddr | Kind::Macaddr8),
        Transform::DateShift { .. } | Transform::DateBucket { .. } => {
            is_text || matches!(kind, Kind::Date | Kind::Timestamp | Kind::Timestamptz)
        }
        Transform::NumberBucket { .. } | Transform::NumberNoise { .. } => {
            kind.is_integer() || matches!(kind, Kind::Numeric | Kind::Float4 | Kind::Float8)
        }
        Transform::TextFill => is_text || matches!(kind, Kind::Bytea | Kind::Json | Kind::Jsonb),
        Transform::Json { .. } => is_text || matches!(kind, Kind::Json | Kind::Jsonb),
    }
}

/// True if distinct inputs give distinct fakes: by a permutation, or by so many keyed bits (70)
/// that collisions do not happen.
pub fn is_injective(transform: &Transform) -> bool {
    match transform {
        Transform::Keep
        | Transform::Email
        | Transform::Username
        | Transform::Digits
        | Transform::Iban
        | Transform::Alnum
        | Transform::Code
        | Transform::Integer
        | Transform::Uuid
        | Transform::Postal
        | Transform::Mac => true,
        Transform::HashToken { length } => *length >= LONE_TOKEN_CHARS,
        // Within a subject all dates move alike: it keeps keys apart that hold the subject too.
        Transform::DateShift { subject, .. } => subject.is_some(),
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
        | Transform::DateBucket { .. }
        | Transform::NumberBucket { .. }
        | Transform::NumberNoise { .. }
        | Transform::TextFill
        | Transform::Json { .. } => false,
    }
}

/// The transform to propose where a unique column needs what `transform` cannot promise: the
/// shape may suffer (a fiction phone number becomes any number of its length).
pub fn unique_alternative(transform: &Transform, kind: &Kind) -> Option<Transform> {
    let text = |alternative| kind.element().is_text().then_some(alternative);
    let token = Transform::HashToken { length: LONE_TOKEN_CHARS };
    match transform {
        Transform::Phone | Transform::Ssn | Transform::Card => Some(Transform::Digits),
        Transform::FirstName | Transform::LastName | Transform::FullName => {
            text(Transform::Username)
        }
        Transform::TextFill | Transform::Street | Transform::City | Transform::Company => {
            text(Transform::Alnum)
        }
        Transform::Ip | Transform::Url | Transform::HashToken { .. } => text(token),
        Transform::NumberBucket { .. } | Transform::NumberNoise { .. } => {
            accepts(&Transform::Integer, kind).then_some(Transform::Integer)
        }
        Transform::Keep
        | Transform::Null
        | Transform::Constant { .. }
        | Transform::Email
        | Transform::Username
        | Transform::Digits
        | Transform::Iban
        | Transform::Alnum
        | Transform::Code
        | Transform::Integer
        | Transform::Uuid
        | Transform::Postal
        | Transform::Mac
        | Transform::DateShift { .. }
        | Transform::DateBucket { .. }
        | Transform::Json { .. } => None,
    }
}

/// The fewest characters in which a unique column can hold this transform's fakes; 0 where
/// the fake is never longer than the original.
pub fn min_unique_chars(transform: &Transform) -> u32 {
    match transform {
        Transform::Email => EMAIL_UNIQUE_CHARS,
        Transform::Username => LONE_TOKEN_CHARS,
        Transform::HashToken { length } => (*length).max(LONE_TOKEN_CHARS),
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
        | Transform::Code
        | Transform::Integer
        | Transform::Uuid
        | Transform::Street
        | Transform::City
        | Transform::Postal
        | Transform::Company
        | Transform::Ip
        | Transform::Mac
        | Transform::Url
        | Transform::DateShift { .. }
        | Transform::DateBucket { .. }
        | Transform::NumberBucket { .. }
        | Transform::NumberNoise { .. }
        | Transform::TextFill
        | Transform::Json { .. } => 0,
    }
}
