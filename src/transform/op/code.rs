//! `code`: keeps what can only be a code, a label or a key, and permutes everything else.
//!
//! Detection sees a sample. A column whose sample is all codes may still hold a name in a row
//! that nobody looked at, so every value is looked at here, when it is copied.

use super::identifier::Identifier;
use crate::transform::dictionary::{FIRST_NAMES, LAST_NAMES};
use crate::transform::{Fault, Output, Value};

const CHARS_MAX: usize = 40;
const WORDS_MAX: usize = 4;
/// Telephone numbers, dates and numbers of people and accounts have more.
const DIGITS_MAX: usize = 5;
const DIGEST_MIN_CHARS: usize = 32;
const LATIN: std::ops::RangeInclusive<char> = '\u{c0}'..='\u{24f}';
const LONG_DIGITS: std::ops::RangeInclusive<usize> = 9..=19;
const UUID_CHARS: usize = 36;

pub(super) struct Code {
    /// For what is no code. A permutation: it also serves unique columns.
    pub(super) other: Identifier,
}

impl Code {
    pub(super) fn apply(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Output, Fault> {
        if let Value::Text(text) = value
            && is_code(text)
        {
            return Ok(Output::Same);
        }
        self.other.apply(value, out)
    }
}

/// True for a short Latin label without address, number or name of a person, for a UUID and for
/// a digest in hexadecimal.
pub fn is_code(text: &str) -> bool {
    // Of other scripts there is no list of names.
    if !text.chars().all(|c| c.is_ascii() || LATIN.contains(&c)) {
        return false;
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let label = text.chars().count() <= CHARS_MAX
        && digits <= DIGITS_MAX
        && text.split_whitespace().count() <= WORDS_MAX
        && !text.contains(['@', '"', '{', '['])
        && !text.split(|c: char| !c.is_ascii_alphabetic()).any(is_name);
    label || is_uuid(text) || is_digest(text)
}

/// True for a number with as many digits as numbers of people, telephones, cards and accounts
/// have, unless it can be a point in time (epoch seconds, milliseconds or microseconds).
pub fn is_long_number(text: &str) -> bool {
    let whole = text.trim_start_matches('-');
    let whole = whole.split('.').next().filter(|_| !whole.contains(['e', 'E'])).unwrap_or_default();
    let is_epoch = matches!(whole.len(), 10 | 13 | 16) && whole.starts_with('1');
    LONG_DIGITS.contains(&whole.len()) && !is_epoch
}

/// Capitalised, and in the lists of given names and surnames.
fn is_name(word: &str) -> bool {
    word.len() > 2
        && word.starts_with(|first: char| first.is_ascii_uppercase())
        && (FIRST_NAMES.contains(word) || LAST_NAMES.contains(word))
}

fn is_uuid(text: &str) -> bool {
    let fits = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == UUID_CHARS && text.bytes().enumerate().all(fits)
}

fn is_digest(text: &str) -> bool {
    text.len() >= DIGEST_MIN_CHARS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::is_code;

    #[test]
    fn labels_keys_and_digests_are_codes() {
        for code in [
            "",
            "active",
            "in progress",
            "ISO-8859-1",
            "tier_2",
            "geprüft",
            "d41d8cd98f00b204e9800998ecf8427e",
            "0b0e2b5e-0d6c-4b8e-9d5e-2f6f3c1c7a11",
        ] {
            assert!(is_code(code), "{code}");
        }
    }

    #[test]
    fn names_addresses_and_numbers_are_no_codes() {
        for other in [
            "Aaron",
            "call Abbott",
            "jane@x.org",
            "+1 555 010 4477",
            "739351740",
            "王小明",
            "a sentence that somebody wrote about somebody else, say",
            "{\"a\":1}",
        ] {
            assert!(!is_code(other), "{other}");
        }
    }
}
