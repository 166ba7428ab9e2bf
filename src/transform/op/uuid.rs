//! UUIDs: a keyed permutation of the 122 free bits; the image is a version 4 UUID.
//!
//! Bijective over version 4. Other versions (and the nil UUID) draw 122 bits from the PRF: two of
//! 10⁹ values meet with probability 10⁻¹⁹. The time order of versions 1, 6 and 7 is lost, on
//! purpose.

use super::canonical::{TAG_UUID, tail_mut};
use super::fill::fallback;
use crate::transform::key::DomainKey;
use crate::transform::permute::permute;
use crate::transform::{Fault, Output, Value};

pub(super) struct Uuid {
    pub(super) key: DomainKey,
    pub(super) max_chars: Option<u32>,
}

const FREE_BITS: u32 = 122;

impl Uuid {
    pub(super) fn apply(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Output, Fault> {
        match value {
            Value::Uuid(uuid) => Ok(Output::Uuid(self.uuid(uuid))),
            Value::Text("") => Ok(Output::Same),
            Value::Text(text) => Ok(self.text(text, out)),
            Value::Int(_)
            | Value::Numeric(_)
            | Value::Float(_)
            | Value::Bool(_)
            | Value::Date(_)
            | Value::Timestamp(_)
            | Value::Bytes(_)
            | Value::Inet(..)
            | Value::Mac(_)
            | Value::Json(_) => Err(Fault::WrongKind),
        }
    }

    fn uuid(&self, uuid: [u8; 16]) -> [u8; 16] {
        let bits = u128::from_be_bytes(uuid);
        let is_v4 = (bits >> 76) & 0xf == 4 && (bits >> 62) & 3 == 2;
        let free = if is_v4 {
            permute(self.key.feistel(), 0, (1 << FREE_BITS) - 1, unpin(bits))
        } else {
            let mut stream = self.key.stream(TAG_UUID, &uuid);
            ((u128::from(stream.u64()) << 64) | u128::from(stream.u64())) >> (128 - FREE_BITS)
        };
        let pinned = pin(free);
        pinned.to_be_bytes()
    }

    /// Hyphens, braces and the case of the letters stay.
    fn text(&self, text: &str, out: &mut Vec<u8>) -> Output {
        let is_uuid = text.bytes().filter(u8::is_ascii_hexdigit).count() == 32
            && text.bytes().all(|byte| byte.is_ascii_hexdigit() || b"-{}".contains(&byte));
        if !is_uuid {
            return fallback(&self.key, text, self.max_chars, out);
        }
        let fake = u128::from_be_bytes(self.uuid(parse_hex(text).to_be_bytes()));
        push_hex(text, fake, 32, out);
        Output::Text
    }
}

/// The 122 bits without the version (bits 76..80) and the variant (62..64).
fn unpin(bits: u128) -> u128 {
    let (low, middle, high) = (bits & ((1 << 62) - 1), (bits >> 64) & 0xfff, bits >> 80);
    (high << 74) | (middle << 62) | low
}

fn pin(free: u128) -> u128 {
    let (low, middle, high) = (free & ((1 << 62) - 1), (free >> 62) & 0xfff, free >> 74);
    (high << 80) | (4 << 76) | (middle << 64) | (2 << 62) | low
}

fn hex_value(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        _ => 0, // callers pass hexadecimal digits
    }
}

/// Appends `text` with its `count` hexadecimal digits replaced by those of `value`.
pub(super) fn push_hex(text: &str, value: u128, count: u32, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(text.as_bytes());
    let has_upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    let mut shift = count * 4;
    for byte in tail_mut(out, start).iter_mut().filter(|byte| byte.is_ascii_hexdigit()) {
        shift = shift.saturating_sub(4);
        let digit = u8::try_from((value >> shift) & 0xf).unwrap_or(0);
        *byte = match (digit, has_upper) {
            (0..=9, _) => b'0' + digit,
            (_, true) => b'A' + digit - 10,
            (_, false) => b'a' + digit - 10,
        };
    }
}

/// The number that the hexadecimal digits of `text` spell; at most 32 of them.
pub(super) fn parse_hex(text: &str) -> u128 {
    text.bytes()
        .filter(u8::is_ascii_hexdigit)
        .fold(0, |bits, byte| (bits << 4) | u128::from(hex_value(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pin_and_unpin_are_inverse_over_version_4() {
        for free in [0, 1, 1 << 61, 1 << 62, 1 << 74, (1 << 122) - 1] {
            assert_eq!(unpin(pin(free)), free);
        }
    }
}
