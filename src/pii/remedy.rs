//! The transforms that suit a class, best first.

use super::class::Class;
use super::name::{kind_letter, snake};
use super::validate;
use crate::pg::Kind;
use crate::transform::{Transform, UnknownPath};
use std::collections::BTreeMap;

const SHIFT_DAYS: u32 = 180;
const TOKEN_CHARS: u32 = 24;
/// Shortest token that is worth one.
const TOKEN_MIN_CHARS: u32 = 8;
const NOISE_PERCENT: u32 = 10;
/// Fewer digits are no identifier by themselves.
const FORM_MIN_DIGITS: usize = 4;

/// Kept and marked sensitive: changing them would make the data useless, keeping them names
/// nobody by itself.
pub fn is_kept_class(class: Class) -> bool {
    matches!(class, Class::SpecialCategory | Class::Health | Class::Demographic)
}

/// What to do with a column of the class, best first. The binder takes the first that fits and
/// falls back to filling; nothing here leaves an identifier as it is.
pub fn remedies(
    class: Class,
    column: &str,
    kind: &Kind,
    max_chars: Option<u32>,
    samples: &[&str],
) -> Vec<Transform> {
    let letter = kind_letter(kind.element());
    if is_kept_class(class) && letter != 'j' {
        return vec![Transform::Keep];
    }
    match letter {
        't' => for_text(class, &snake(column), max_chars, samples),
        'j' if matches!(kind.element(), Kind::Json | Kind::Jsonb) => {
            vec![Transform::Json { paths: BTreeMap::new(), unknown: UnknownPath::Fill }]
        }
        'i' => for_integer(class),
        'n' => for_number(class),
        'd' if class == Class::CardSecret => vec![Transform::Null, shift()],
        'd' => vec![shift()],
        'u' => vec![Transform::Uuid],
        'b' if class == Class::BiometricImage => vec![Transform::Null, Transform::TextFill],
        'b' => vec![Transform::TextFill],
        'x' => vec![Transform::Ip],
        'm' => vec![Transform::Mac],
        _ => vec![Transform::Null],
    }
}

fn shift() -> Transform {
    Transform::DateShift { max_days: SHIFT_DAYS, subject: None }
}

fn token(max_chars: Option<u32>) -> Transform {
    let length = max_chars.map_or(TOKEN_CHARS, |max| max.min(TOKEN_CHARS));
    Transform::HashToken { length }
}

fn for_integer(class: Class) -> Vec<Transform> {
    if class == Class::Dob { vec![Transform::NumberBucket { width: 5 }] } else { for_number(class) }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all other classes are identifiers")]
fn for_number(class: Class) -> Vec<Transform> {
    match class {
        Class::Age => vec![Transform::NumberBucket { width: 5 }],
        Class::Geo => vec![Transform::NumberBucket { width: 1 }],
        Class::Embedding => vec![Transform::Null, Transform::NumberNoise { percent: 90 }],
        Class::CardSecret => vec![Transform::Null, Transform::Digits],
        Class::Finance => vec![Transform::NumberNoise { percent: NOISE_PERCENT }],
        Class::Phone => vec![Transform::Phone, Transform::Digits],
        Class::SsnUs => vec![Transform::Ssn, Transform::Digits],
        Class::Postal => vec![Transform::Postal],
        // The last is for floats: far enough away that no value is its own fake.
        _ => vec![Transform::Integer, Transform::NumberNoise { percent: 90 }],
    }
}

fn mostly(samples: &[&str], check: fn(&str) -> bool) -> bool {
    let filled = samples.iter().filter(|value| !value.trim().is_empty());
    let hits = filled.clone().filter(|value| check(value)).count();
    hits > 0 && hits * 2 >= filled.count()
}

/// Letters that stand in every value (`MRN-…`, `INV/…`) are part of the form, which a CHECK may
/// insist on: only the digits are permuted then.
fn for_identifier(samples: &[&str]) -> Vec<Transform> {
    let form = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).count();
    let mut filled = samples.iter().filter(|text| !text.trim().is_empty());
    let Some(first) = filled.next() else { return vec![Transform::Alnum] };
    let is_form = digits(first) >= FORM_MIN_DIGITS && filled.all(|text| form(text) == form(first));
    if is_form { vec![Transform::Digits, Transform::Alnum] } else { vec![Transform::Alnum] }
}

fn for_text(class: Class, name: &str, max_chars: Option<u32>, samples: &[&str]) -> Vec<Transform> {
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    match class {
        Class::Secret if max_chars.is_some_and(|max| max < TOKEN_MIN_CHARS) => {
            vec![Transform::Alnum]
        }
        Class::Secret => vec![token(max_chars)],
        Class::Ip => vec![Transform::Ip],
        Class::MacDevice if mostly(samples, validate::is_mac) => vec![Transform::Mac],
        Class::MacDevice | Class::ExternalId if mostly(samples, validate::is_uuid) => {
            vec![Transform::Uuid, Transform::Alnum]
        }
        Class::Card => vec![Transform::Card, Transform::Digits],
        Class::CardSecret => vec![Transform::Null, Transform::Digits],
        Class::Bank if says(&["holder"]) => vec![Transform::FullName, Transform::Alnum],
        Class::Bank if says(&["iban"]) || mostly(samples, validate::is_iban) => {
            vec![Transform::Iban, Transform::Alnum]
        }
        Class::SsnUs => vec![Transform::Ssn, Transform::Digits],
        Class::MacDevice
        | Class::VinPlate
        | Class::Bank
        | Class::CryptoWallet
        | Class::TaxId
        | Class::NationalId
        | Class::Passport
        | Class::Licence
        | Class::Mrn
        | Class::HealthPlan
        | Class::ExternalId => for_identifier(samples),
        Class::BiometricImage if mostly(samples, validate::is_url) => {
            vec![Transform::Url, Transform::Null, Transform::TextFill]
        }
        Class::Email => vec![Transform::Email],
        Class::Phone => vec![Transform::Phone, Transform::Digits],
        Class::Dob | Class::EventDate => vec![shift(), Transform::Digits],
        Class::Finance | Class::Geo | Class::Age => vec![Transform::Digits],
        Class::FirstName => vec![Transform::FirstName, Transform::Alnum],
        Class::LastName => vec![Transform::LastName, Transform::Alnum],
        Class::FullName => vec![Transform::FullName, Transform::Alnum],
        Class::Username => vec![Transform::Username, Transform::Alnum],
        Class::Street => vec![Transform::Street],
        Class::City => vec![Transform::City],
        Class::Postal => vec![Transform::Postal, Transform::Alnum],
        Class::Url => vec![Transform::Url],
        Class::Company => vec![Transform::Company],
        Class::BiometricImage | Class::SearchCopy => vec![Transform::Null, Transform::TextFill],
        Class::UserAgent
        | Class::SpecialCategory
        | Class::Health
        | Class::Demographic
        | Class::FreeText
        | Class::Embedding
        | Class::ChangeCopy => vec![Transform::TextFill],
    }
}
