//! Telephone numbers nobody answers, in the shape of the original.
//!
//! Keyed by the digits alone, so that differently written forms of one number stay one number.
//! - NANP numbers (ten digits, or eleven with a leading 1): another area code, then 555-01xx,
//!   the range reserved for fiction; seven digits become 555-01xx.
//! - `+` or `00` and a country code: the country stays, the national number begins with 0 (in
//!   Italy and San Marino, whose numbers do, with 2), which no plan assigns; the digits behind
//!   it are permuted.
//! - A leading trunk 0 stays and the rest is permuted; other digits are permuted whole. These
//!   two cannot be promised to be unassigned.
//!
//! Not injective: fiction has 63 000 NANP numbers in all. A text with letters other than an
//! extension's is filled, one without digits too.

use super::alnum::{Take, permute_text};
use super::canonical::{TAG_DIGITS, tail, tail_mut};
use super::fill::fallback;
use super::identifier::respell;
use super::integer::{Keep, permute_int};
use crate::transform::key::DomainKey;
use crate::transform::{Fault, Output, Value};

/// More digits than E.164 (15), an extension and an access prefix need.
const MAX_DIGITS: usize = 32;
/// Areas (some stand for two draws) times lines 0100 to 0199.
const NANP_FAKES: u32 = 7 * 9 * 10 * 100;

pub(super) struct Phone {
    pub(super) key: DomainKey,
    pub(super) max_chars: Option<u32>,
}

impl Phone {
    pub(super) fn apply(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Output, Fault> {
        match value {
            Value::Text("") => Ok(Output::Same),
            Value::Text(text) => Ok(self.text(text, out)),
            Value::Int(number) => Ok(Output::Int(self.number(number))),
            Value::Numeric(text) => {
                let number = text.parse().map_err(|_| Fault::Malformed)?;
                let fake = self.number(number);
                super::integer::push_int(out, fake);
                Ok(Output::Text)
            }
            Value::Float(_)
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

    /// Ten and eleven digits as NANP where the text would be; else a permutation of the length.
    fn number(&self, number: i64) -> i64 {
        let is_nanp =
            matches!(number, 2_000_000_000..=9_999_999_999 | 12_000_000_000..=19_999_999_999);
        if !is_nanp {
            return permute_int(&self.key, Keep::Length, number);
        }
        let national = number.cast_unsigned() % 10_000_000_000;
        let fake =
            self.draw(national).into_iter().fold(0, |sum, digit| sum * 10 + i64::from(digit));
        number / 10_000_000_000 * 10_000_000_000 + fake
    }

    fn text(&self, text: &str, out: &mut Vec<u8>) -> Output {
        let (main, extension) = split_extension(text);
        let mut held = [0_u8; MAX_DIGITS];
        let mut count = 0;
        for byte in main.bytes().filter(u8::is_ascii_digit) {
            if let Some(slot) = held.get_mut(count) {
                *slot = byte;
            }
            count += 1;
        }
        let is_plain = main.is_ascii() && !main.bytes().any(|byte| byte.is_ascii_alphabetic());
        let Some(digits @ [_, ..]) = held.get(..count).filter(|_| is_plain) else {
            return fallback(&self.key, text, self.max_chars, out);
        };
        let start = out.len();
        self.main(main, digits, out);
        respell(main, start, out);
        if !extension.is_empty() {
            permute_text(&self.key, Take::Digits, 1, extension, out);
        }
        if tail(out, start) == text.as_bytes() {
            // Short numbers can meet a fixed point of their permutation.
            let end = tail_mut(out, start).iter_mut().rev().find(|byte| byte.is_ascii_digit());
            if let Some(digit) = end {
                *digit = b'0' + (*digit - b'0' + 1) % 10;
            }
        }
        Output::Text
    }

    /// Appends the digits of the fake.
    fn main(&self, main: &str, digits: &[u8], out: &mut Vec<u8>) {
        let has_plus = main.trim_start().starts_with('+');
        let (access, number) = match digits {
            [b'0', b'0', number @ ..] if !has_plus => (2, number),
            number => (0, number),
        };
        out.extend(std::iter::repeat_n(b'0', access));
        match number {
            [b'1', national @ ..] if national.len() == 10 => {
                out.push(b'1');
                self.push_nanp(national, out);
            }
            [b'2'..=b'9', ..] if number.len() == 10 && !has_plus && access == 0 => {
                self.push_nanp(number, out);
            }
            [b'2'..=b'9', ..] if number.len() == 7 && !has_plus && access == 0 => {
                let [_, _, _, line @ ..] = self.draw(decimal(number)).map(|digit| b'0' + digit);
                out.extend_from_slice(&line);
            }
            _ if has_plus || access > 0 => self.international(number, out),
            [b'0', rest @ ..] => {
                out.push(b'0');
                self.permuted(rest, out);
            }
            _ => self.permuted(number, out), // local and service numbers
        }
    }

    fn international(&self, number: &[u8], out: &mut Vec<u8>) {
        let (country, national) = number.split_at(country_digits(number).min(number.len()));
        out.extend_from_slice(country);
        let Some((_, rest)) = national.split_first().filter(|(_, rest)| rest.len() >= 3) else {
            return self.permuted(national, out);
        };
        out.push(if country == b"39" || country == b"378" { b'2' } else { b'0' });
        self.permuted(rest, out);
    }

    fn permuted(&self, digits: &[u8], out: &mut Vec<u8>) {
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        permute_text(&self.key, Take::Digits, 0, digits, out);
    }

    fn push_nanp(&self, national: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.draw(decimal(national)).map(|digit| b'0' + digit));
    }

    /// Area (none of 8xx, x9x, N11, N00, 555), 555, 01xx.
    fn draw(&self, national: u64) -> [u8; 10] {
        let mut rank = self.key.below(TAG_DIGITS, national, NANP_FAKES);
        let mut below = |bound: u32| {
            let digit = rank % bound;
            rank /= bound;
            u8::try_from(digit).unwrap_or(0)
        };
        let first = match below(7) {
            6 => 9,
            low => low + 2,
        };
        let second = below(9);
        let mut third = below(10);
        if matches!((first, second, third), (_, 0, 0) | (_, 1, 1) | (5, 5, 5)) {
            third += 1;
        }
        [first, second, third, 5, 5, 5, 0, 1, below(10), below(10)]
    }
}

fn decimal(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))
}

/// The number, and from its first extension mark on the rest.
fn split_extension(text: &str) -> (&str, &str) {
    let Some(at) = text.bytes().position(|byte| byte.is_ascii_alphabetic() || byte == b'#') else {
        return (text, "");
    };
    let (main, extension) = text.split_at(at);
    let mark = extension
        .trim_end_matches(|character: char| !character.is_ascii_alphabetic() && character != '#');
    let is_mark =
        ["x", "ext", "extension", "#", "extn"].iter().any(|known| mark.eq_ignore_ascii_case(known));
    if is_mark { (main, extension) } else { (text, "") }
}

/// How many digits the country code has (ITU-T E.164, list of codes).
fn country_digits(number: &[u8]) -> usize {
    match number {
        [b'1' | b'7', ..] => 1,
        [b'2', b'0' | b'7', ..]
        | [b'3', b'0'..=b'4' | b'6' | b'9', ..]
        | [b'4', b'0' | b'1' | b'3'..=b'9', ..]
        | [b'5', b'1'..=b'8', ..]
        | [b'6', b'0'..=b'6', ..]
        | [b'8', b'1' | b'2' | b'4' | b'6', ..]
        | [b'9', b'0'..=b'5' | b'8', ..] => 2,
        _ => 3, // all other codes
    }
}
