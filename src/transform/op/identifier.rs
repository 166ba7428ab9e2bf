//! Identifiers with a form: social security numbers, cards, IBANs, codes of letters and digits.
//!
//! Each keeps the input's separators and length. What is injective:
//! - `alnum`, `postal`: bijective for a fixed shape ([`super::alnum`]).
//! - `iban`: bijective over the valid IBANs of one shape (country, length, classes): the
//!   payload is permuted, the check digits follow from it.
//! - `ssn`: *not* injective: 54 million never-issued numbers stand for 889 million valid ones.
//!   Two numbers meet with probability 1 : 54 million, and never if both lie in one block of
//!   53 994 600 consecutive numbers (about 54 areas).
//! - `card`: *not* injective: nine of sixteen digits remain beside a test IIN and the check
//!   digit. Cards of one IIN and length never meet.

use super::alnum::{Take, permute_text};
use super::canonical::{clip, tail, tail_mut};
use super::fill::fallback;
use super::integer::push_decimal;
use crate::transform::key::DomainKey;
use crate::transform::permute::permute;
use crate::transform::{Fault, Output, Value};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Ssn,
    Card,
    Iban,
    Alnum,
}

pub(super) struct Identifier {
    pub(super) key: DomainKey,
    pub(super) form: Form,
    pub(super) max_chars: Option<u32>,
}

impl Identifier {
    pub(super) fn apply(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Output, Fault> {
        match value {
            Value::Text("") => Ok(Output::Same),
            Value::Text(text) => Ok(self.text(text, out)),
            Value::Int(value) if self.form == Form::Ssn => {
                let number = u128::from(value.unsigned_abs());
                let fake = i64::try_from(self.ssn(number % SSN_END)).unwrap_or(0);
                Ok(Output::Int(fake))
            }
            Value::Numeric(text) if self.form == Form::Ssn => {
                let number = text.parse::<i64>().map_err(|_| Fault::Malformed)?;
                push_decimal(out, self.ssn(u128::from(number.unsigned_abs()) % SSN_END), 9);
                Ok(Output::Text)
            }
            Value::Int(_)
            | Value::Numeric(_)
            | Value::Float(_)
            | Value::Bool(_)
            | Value::Uuid(_)
            | Value::Date(_)
            | Value::Timestamp(_)
            | Value::Bytes(_)
            | Value::Inet(..)
            | Value::Mac(_)
            | Value::Json(_) => Err(Fault::WrongKind),
        }
    }

    fn text(&self, text: &str, out: &mut Vec<u8>) -> Output {
        let is_done = match self.form {
            Form::Ssn => self.ssn_text(text, out),
            Form::Card => self.card(text, out),
            Form::Iban => self.iban(text, out),
            Form::Alnum => permute_text(&self.key, Take::LettersAndDigits, 0, text, out),
        };
        if is_done {
            return Output::Text;
        }
        fallback(&self.key, text, self.max_chars, out)
    }
}

/// Numbers of nine digits.
const SSN_END: u128 = 1_000_000_000;
const AREAS: u128 = 100;
/// Groups 01–49, 66–69 and 89 of areas 900–999: the others are ITINs (50–65, 70–88, 90–92,
/// 94–99) or ATINs (93), which are issued.
const GROUPS: u128 = 54;
const SERIALS: u128 = 9_999;
const SSN_FAKES: u128 = AREAS * GROUPS * SERIALS;

impl Identifier {
    /// A number of area 900–999 that is neither an SSN nor an ITIN.
    fn ssn(&self, number: u128) -> u128 {
        let block = u64::try_from(number / SSN_FAKES).unwrap_or(0);
        let rank = permute(self.key.feistel(), block, SSN_FAKES - 1, number % SSN_FAKES);
        let (area, rest) = (rank / (GROUPS * SERIALS), rank % (GROUPS * SERIALS));
        let (group, serial) = (rest / SERIALS, rest % SERIALS);
        let group = match group {
            0..=48 => group + 1,
            49..=52 => group + 17,
            _ => 89, // the 54th
        };
        (900 + area) * 1_000_000 + group * 10_000 + serial + 1
    }

    fn ssn_text(&self, text: &str, out: &mut Vec<u8>) -> bool {
        if digit_count(text) != 9 || text.chars().any(char::is_alphabetic) {
            return false;
        }
        let number = decimal(text.bytes());
        let start = out.len();
        push_decimal(out, self.ssn(number), 9);
        respell(text, start, out);
        true
    }

    /// Length and separators kept, a test IIN of the same brand leads, Luhn holds.
    fn card(&self, text: &str, out: &mut Vec<u8>) -> bool {
        let count = digit_count(text);
        if !(12..=19).contains(&count) || text.chars().any(char::is_alphabetic) {
            return false;
        }
        let start = out.len();
        let mut stripped = [0_u8; 19];
        for (slot, byte) in stripped.iter_mut().zip(text.bytes().filter(u8::is_ascii_digit)) {
            *slot = byte;
        }
        let (issuer, payload) = stripped.split_at(6);
        let payload = payload.get(..count - 7).unwrap_or_default();
        let tweak = u64::try_from(decimal(issuer.iter().copied())).unwrap_or(0);
        let last = 10_u128.pow(u32::try_from(payload.len()).unwrap_or(0)) - 1;
        let rank = decimal(payload.iter().copied());
        out.extend_from_slice(test_iin(issuer).as_bytes());
        push_decimal(out, permute(self.key.feistel(), tweak, last, rank), payload.len());
        out.push(luhn(tail(out, start)));
        respell(text, start, out);
        true
    }

    /// Country kept, payload permuted in class, check digits right.
    fn iban(&self, text: &str, out: &mut Vec<u8>) -> bool {
        let bare = || text.bytes().filter(|byte| !b" -".contains(byte));
        let has_form = (15..=34).contains(&bare().count())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -".contains(&byte))
            && bare().take(2).all(|byte| byte.is_ascii_alphabetic())
            && bare().skip(2).take(2).all(|byte| byte.is_ascii_digit())
            && text.bytes().take(4).all(|byte| byte.is_ascii_alphanumeric());
        let Some((head, payload)) = text.split_at_checked(4).filter(|_| has_form) else {
            return false;
        };
        let start = out.len();
        out.extend_from_slice(head.as_bytes());
        permute_text(&self.key, Take::LettersAndDigits, 0, payload, out);
        let check = iban_check(tail(out, start));
        if let Some([_, _, tens, ones]) = tail_mut(out, start).first_chunk_mut() {
            *tens = b'0' + check / 10;
            *ones = b'0' + check % 10;
        }
        clip(out, start, self.max_chars);
        true
    }
}

fn digit_count(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

/// The ASCII digits as one number; at most 38 of them.
fn decimal(bytes: impl Iterator<Item = u8>) -> u128 {
    bytes.filter(u8::is_ascii_digit).fold(0, |number, byte| number * 10 + u128::from(byte - b'0'))
}

/// Spreads the digits written since `start` over the digits of `text`, separators kept.
pub(super) fn respell(text: &str, start: usize, out: &mut Vec<u8>) {
    let mut held = [0_u8; 40];
    let written = tail(out, start);
    let count = written.len().min(held.len());
    for (slot, byte) in held.iter_mut().zip(written) {
        *slot = *byte;
    }
    out.truncate(start);
    let mut fakes = held.into_iter().take(count);
    out.extend(text.bytes().map(|byte| match byte {
        b'0'..=b'9' => fakes.next().unwrap_or(b'0'),
        other => other,
    }));
}

/// Prefixes that card networks and processors publish for tests.
fn test_iin(issuer: &[u8]) -> &'static str {
    match issuer {
        [b'4', ..] => "400000",
        [b'5' | b'2', ..] => "555555",
        [b'3', b'4' | b'7', ..] => "378282",
        [b'3', b'5', ..] => "353011",
        [b'3', ..] => "305693",
        [b'6', ..] => "601111",
        _ => "999999", // MII 9, unassigned country
    }
}

/// The digit that makes `digits` and itself pass Luhn.
fn luhn(digits: &[u8]) -> u8 {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0');
            if place % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
        })
        .sum();
    b'0' + u8::try_from((10 - sum % 10) % 10).unwrap_or(0)
}

/// ISO 13616: 98 − (payload ‖ country ‖ "00") mod 97.
fn iban_check(iban: &[u8]) -> u8 {
    let (head, payload) = iban.split_at_checked(4).unwrap_or((iban, b""));
    let country = head.get(..2).unwrap_or_default();
    let rest = payload.iter().chain(country).fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        b'A'..=b'Z' => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
        b'a'..=b'z' => (rest * 100 + u32::from(byte - b'a') + 10) % 97,
        _ => rest, // separators do not count
    });
    u8::try_from(98 - rest * 100 % 97).unwrap_or(0)
}
