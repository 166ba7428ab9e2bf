//! Canonical bytes: what the PRF reads of a value, and the tag that says which kind it is.
//!
//! One tag for text, varchar, char and citext; one for all integers, integral numerics included.
//! Scratch space is the tail of the output buffer, so nothing is allocated per value.

use crate::transform::key::{DomainKey, Stream};

pub(super) const TAG_TEXT: u8 = 1;
pub(super) const TAG_INT: u8 = 2;
pub(super) const TAG_NUMERIC: u8 = 3;
pub(super) const TAG_FLOAT: u8 = 4;
pub(super) const TAG_UUID: u8 = 5;
pub(super) const TAG_DAY: u8 = 6;
pub(super) const TAG_BYTES: u8 = 8;
pub(super) const TAG_INET: u8 = 9;
pub(super) const TAG_MAC: u8 = 10;
pub(super) const TAG_SUBJECT: u8 = 11;
/// Digits of an identifier without its separators.
pub(super) const TAG_DIGITS: u8 = 12;
/// One round over half of a long text; the round number is added.
pub(super) const TAG_ROUND: u8 = 0x40;

/// The stream of a text trimmed and case-folded: for transforms to which `Bob@X.com ` and
/// `bob@x.com` are one person.
pub(super) fn folded(key: &DomainKey, text: &str, out: &mut Vec<u8>) -> Stream {
    fold(key, TAG_TEXT, text.trim(), out)
}

/// The stream of a text as it is, or case-folded where the column's type ignores case.
pub(super) fn exact(key: &DomainKey, ignore_case: bool, text: &str, out: &mut Vec<u8>) -> Stream {
    if ignore_case { fold(key, TAG_TEXT, text, out) } else { key.stream(TAG_TEXT, text.as_bytes()) }
}

fn fold(key: &DomainKey, tag: u8, text: &str, out: &mut Vec<u8>) -> Stream {
    // Without an early end these loops take many bytes at a time.
    let has_upper = text.bytes().fold(false, |has, byte| has | byte.is_ascii_uppercase());
    if text.is_ascii() && !has_upper {
        return key.stream(tag, text.as_bytes());
    }
    let start = out.len();
    if text.is_ascii() {
        out.extend_from_slice(text.as_bytes());
        tail_mut(out, start).make_ascii_lowercase();
    } else {
        for character in text.chars().flat_map(char::to_lowercase) {
            push_char(out, character);
        }
    }
    let stream = key.stream(tag, tail(out, start));
    wipe(out, start);
    stream
}

pub(super) fn int(key: &DomainKey, value: i64) -> Stream {
    key.stream(TAG_INT, &value.to_be_bytes())
}

/// Integral numerics within int8 share the integers' stream.
pub(super) fn numeric(key: &DomainKey, text: &str) -> Stream {
    match text.parse::<i64>() {
        Ok(value) => int(key, value),
        Err(_) => key.stream(TAG_NUMERIC, text.as_bytes()),
    }
}

pub(super) fn float(key: &DomainKey, value: f64) -> Stream {
    let value = if value == 0.0 { 0.0 } else { value };
    key.stream(TAG_FLOAT, &value.to_bits().to_be_bytes())
}

/// The bytes written since `start`.
pub(super) fn tail(out: &[u8], start: usize) -> &[u8] {
    out.get(start..).unwrap_or_default()
}

pub(super) fn tail_mut(out: &mut [u8], start: usize) -> &mut [u8] {
    out.get_mut(start..).unwrap_or_default()
}

/// Drops scratch, which may hold an original.
fn wipe(out: &mut Vec<u8>, start: usize) {
    tail_mut(out, start).fill(0);
    out.truncate(start);
}

pub(super) fn push_char(out: &mut Vec<u8>, character: char) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Cuts what was written since `start` to at most `max_chars` characters.
pub(super) fn clip(out: &mut Vec<u8>, start: usize, max_chars: Option<u32>) {
    let Some(max_chars) = max_chars else { return };
    let written = tail(out, start);
    if written.len() <= max_chars as usize {
        return;
    }
    // A byte that does not continue a character begins one.
    let mut begins = written.iter().enumerate().filter(|(_, byte)| **byte & 0xc0 != 0x80);
    if let Some((end, _)) = begins.nth(max_chars as usize) {
        out.truncate(start + end);
    }
}

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Characters that one draw of [`push_token`] gives: five bits each.
const TOKEN_DRAW: usize = 12;

/// Appends `count` base32 characters of five bits each.
pub(super) fn push_token(out: &mut Vec<u8>, stream: &mut Stream, count: u32) {
    let mut rest = count as usize;
    while rest > 0 {
        let mut bits = stream.u64();
        let token: [u8; TOKEN_DRAW] = std::array::from_fn(|_| {
            let [.., index] = (bits & 31).to_be_bytes();
            bits >>= 5;
            BASE32.get(usize::from(index)).copied().unwrap_or(b'a')
        });
        let part = rest.min(TOKEN_DRAW);
        out.extend_from_slice(token.get(..part).unwrap_or_default());
        rest -= part;
    }
}
