//! `text_fill`: other letters and digits in the same shape.
//!
//! Length, case, script, white space, punctuation and line breaks stay; every letter becomes
//! another letter of its script and every digit another digit, chosen by a stream keyed by the
//! whole value: equal texts give equal fills, and a change of one letter changes all. A
//! character never stands for itself. ASCII draws one byte per character (a bias between
//! letters of at most 10 %, which says nothing of the original).

use super::canonical::{self, TAG_BYTES, push_char, tail};
use super::charclass::{neighbour, slot};
use crate::transform::key::{DomainKey, Stream};
use crate::transform::{Fault, Output, Value};

pub(super) struct Fill {
    pub(super) key: DomainKey,
    pub(super) ignore_case: bool,
}

impl Fill {
    pub(super) fn apply(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Output, Fault> {
        match value {
            Value::Text(text) => Ok(self.text(text, out)),
            Value::Bytes([]) => Ok(Output::Same),
            Value::Bytes(bytes) => {
                let mut stream = self.key.stream(TAG_BYTES, bytes);
                out.extend(bytes.iter().map(|byte| match stream.byte() {
                    same if same == *byte => !same,
                    other => other,
                }));
                Ok(Output::Bytes)
            }
            Value::Int(_)
            | Value::Numeric(_)
            | Value::Float(_)
            | Value::Bool(_)
            | Value::Uuid(_)
            | Value::Date(_)
            | Value::Timestamp(_)
            | Value::Inet(..)
            | Value::Mac(_)
            | Value::Json(_) => Err(Fault::WrongKind),
        }
    }

    pub(super) fn text(&self, text: &str, out: &mut Vec<u8>) -> Output {
        if text.is_empty() {
            return Output::Same;
        }
        let mut stream = canonical::exact(&self.key, self.ignore_case, text, out);
        fill(text, &mut stream, out);
        Output::Text
    }
}

/// Appends the fill of `text`: as many characters and as many bytes.
pub(super) fn fill(text: &str, stream: &mut Stream, out: &mut Vec<u8>) {
    out.reserve(text.len());
    for character in text.chars() {
        match character {
            'a'..='z' | 'A'..='Z' => {
                let first = if character.is_ascii_lowercase() { b'a' } else { b'A' };
                out.push(first + other(stream, 26, character as u8 - first));
            }
            '0'..='9' => out.push(b'0' + other(stream, 10, character as u8 - b'0')),
            '\0'..='\u{7f}' => out.push(character as u8),
            // Beyond ASCII the class is looked up.
            _ => push_char(out, replace(character, stream)),
        }
    }
}

/// A keyed index below `size`, never `index`.
fn other(stream: &mut Stream, size: u8, index: u8) -> u8 {
    let [pick, _] = (u16::from(stream.byte()) * u16::from(size)).to_be_bytes();
    if pick == index { (pick + 1) % size } else { pick }
}

fn replace(character: char, stream: &mut Stream) -> char {
    if let Some(slot) = slot(character) {
        let pick = stream.below(slot.size);
        return slot.at(if pick == slot.index { pick + 1 } else { pick });
    }
    if !character.is_alphanumeric() {
        return character;
    }
    neighbour(character, u32::from(stream.byte())).unwrap_or(character)
}

/// A fill that differs from the text only where it must, for callers that hold no fill of their
/// own: what a transform does with a value it cannot parse. At most `max_chars` characters.
pub(super) fn fallback(
    key: &DomainKey,
    text: &str,
    max_chars: Option<u32>,
    out: &mut Vec<u8>,
) -> Output {
    let start = out.len();
    let mut stream = canonical::folded(key, text, out);
    fill(text, &mut stream, out);
    canonical::clip(out, start, max_chars);
    if tail(out, start) == text.as_bytes() { Output::Same } else { Output::Text }
}
