//! Integers: keyed permutations that stay inside the type.
//!
//! Foreign keys join int4 to int8, so the image may depend on the value only, never on the
//! column's width: the permutation works inside ranges of the *value* that every type holds
//! whole or not at all. Negative numbers mirror: the image of `-1 - n` is `-1 -` the image of
//! `n`. Zero may move.

use super::alnum::{Take, permute_text};
use super::canonical::tail;
use super::charclass::slot;
use super::fill;
use crate::transform::key::DomainKey;
use crate::transform::permute::permute;
use crate::transform::{Fault, Output, Value};

/// What stays fixed besides the type's range.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Only the range.
    Range,
    /// The number of decimal digits too.
    Length,
}

/// Where the integer types end.
const WIDTHS: [u64; 3] = [1 << 15, 1 << 31, 1 << 63];

/// The image of an integer: bijective over int8, and over each narrower type.
pub(super) fn permute_int(key: &DomainKey, keep: Keep, value: i64) -> i64 {
    let size = if value < 0 { !value } else { value }.unsigned_abs();
    let (mut first, mut end) = (0_u64, 1 << 63);
    let decades = (1..=19).map(|power| 10_u64.pow(power)).filter(|_| keep == Keep::Length);
    for edge in WIDTHS.into_iter().chain(decades) {
        if edge <= size {
            first = first.max(edge);
        } else {
            end = end.min(edge);
        }
    }
    let last = u128::from(end - 1 - first);
    let step = permute(key.feistel(), 0, last, u128::from(size - first));
    let image = i64::try_from(u128::from(first) + step).unwrap_or(i64::MAX);
    if value < 0 { !image } else { image }
}

/// `integer` and the numeric face of `digits`.
pub(super) struct Integer {
    pub(super) key: DomainKey,
    pub(super) keep: Keep,
}

impl Integer {
    pub(super) fn apply(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Output, Fault> {
        match value {
            Value::Int(value) => Ok(Output::Int(permute_int(&self.key, self.keep, value))),
            Value::Numeric(text) => Ok(self.numeric(text, out)),
            Value::Text("") => Ok(Output::Same),
            Value::Text(text) if self.keep == Keep::Length => {
                let is_digit = |character| slot(character).is_some_and(|slot| slot.is_digit);
                if text.chars().any(is_digit) {
                    permute_text(&self.key, Take::Digits, 0, text, out);
                    return Ok(Output::Text);
                }
                Ok(fill::fallback(&self.key, text, None, out))
            }
            Value::Text(_)
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

    /// Integral numerics within int8 agree with the integers; others keep the sign, the number of
    /// digits before and after the point, a whole part of 0, and a last decimal that is not 0,
    /// so that the image fits the column and no two meet.
    fn numeric(&self, text: &str, out: &mut Vec<u8>) -> Output {
        if let Ok(value) = text.parse::<i64>() {
            push_int(out, permute_int(&self.key, self.keep, value));
            return Output::Text;
        }
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_plain(whole) || !is_plain(fraction) {
            return Output::Same; // NaN and the infinities
        }
        out.extend_from_slice(sign.as_bytes());
        let tweak = if sign.is_empty() { 1 } else { 2 };
        if whole.len() + fraction.len() > MAX_EXACT_DIGITS {
            permute_middle(&self.key, tweak, digits, out);
            return Output::Text;
        }
        let moving = if whole == "0" { "" } else { whole };
        let start = if whole == "0" { 0 } else { 10_u128.pow(digit_count(whole) - 1) };
        let scale = 10_u128.pow(digit_count(fraction));
        let last = 10_u128.pow(digit_count(moving) + digit_count(fraction)) - 1;
        let mut rank = moving
            .bytes()
            .chain(fraction.bytes())
            .fold(0, |rank, byte| rank * 10 + u128::from(byte - b'0'));
        loop {
            rank = permute(self.key.feistel(), tweak, last, rank);
            let is_own = if fraction.is_empty() { rank > 1 << 63 } else { rank % 10 != 0 };
            // Ends: the input is inside this set, and a permutation's cycle comes back to it.
            if is_own && rank / scale >= start {
                break;
            }
        }
        push_decimal(out, rank / scale, 1);
        if !fraction.is_empty() {
            out.push(b'.');
            push_decimal(out, rank % scale, fraction.len());
        }
        Output::Text
    }
}

/// 10^38 < 2^128: numerics of more digits keep their first and last digit.
const MAX_EXACT_DIGITS: usize = 38;

fn digit_count(digits: &str) -> u32 {
    u32::try_from(digits.len()).unwrap_or(u32::MAX)
}

fn permute_middle(key: &DomainKey, tweak: u64, digits: &str, out: &mut Vec<u8>) {
    let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
    let (middle, last) = rest.split_at_checked(rest.len().saturating_sub(1)).unwrap_or((rest, ""));
    out.extend_from_slice(first.as_bytes());
    permute_text(key, Take::Digits, tweak, middle, out);
    out.extend_from_slice(last.as_bytes());
}

/// Appends at least `width` digits.
pub(super) fn push_decimal(out: &mut Vec<u8>, mut value: u128, width: usize) {
    let mut digits = [b'0'; 39];
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        if value == 0 && used >= width {
            break;
        }
        *slot = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        used += 1;
    }
    out.extend_from_slice(tail(&digits, digits.len() - used));
}

pub(super) fn push_int(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    push_decimal(out, u128::from(value.unsigned_abs()), 1);
}
