//! How JSON spells texts and numbers, and back.

use super::scan::plain;
use crate::transform::op::canonical::{push_char, tail, tail_mut};

/// Digits that a number's exponent may add: beyond it, it is no measure of anything.
const MAX_EXPONENT: i64 = 400;

/// Appends the text that a string token's inside spells. Lone surrogates become U+FFFD.
pub(super) fn unescape(raw: &str, out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let Some(mark) = after.bytes().next() else { return };
        rest = after.get(1..).unwrap_or_default();
        match mark {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'u' => rest = unescape_unicode(rest, out),
            other => out.push(other), // a quote or a slash, as the scanner has checked
        }
    }
    out.extend_from_slice(rest.as_bytes());
}

fn unescape_unicode<'a>(rest: &'a str, out: &mut Vec<u8>) -> &'a str {
    let unit = |text: &str| u32::from_str_radix(text.get(..4)?, 16).ok();
    let first = unit(rest).unwrap_or(0xfffd);
    let after = rest.get(4..).unwrap_or_default();
    let second = after.strip_prefix("\\u").and_then(unit);
    if let (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) = (first, second) {
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00);
        push_char(out, char::from_u32(code).unwrap_or('\u{fffd}'));
        return after.get(6..).unwrap_or_default();
    }
    push_char(out, char::from_u32(first).unwrap_or('\u{fffd}'));
    after
}

/// Escapes what was written since `start`; mostly there is nothing to do.
pub(super) fn escape_tail(start: usize, out: &mut Vec<u8>) {
    let written = tail(out, start);
    if plain(written) == written.len() {
        return;
    }
    // The text moves behind a gap as long as its longest escaping; it is read from there.
    let length = written.len();
    let gap = length * 6;
    out.resize(start + gap + length, 0);
    out.copy_within(start..start + length, start + gap);
    let mut to = start;
    for place in 0..length {
        let Some(byte) = out.get(start + gap + place).copied() else { break };
        let (escaped, count) = escape(byte);
        if let Some(slot) = tail_mut(out, to).get_mut(..count) {
            slot.copy_from_slice(escaped.get(..count).unwrap_or_default());
        }
        to += count;
    }
    out.truncate(to);
}

/// The escaping of one byte, and how many bytes of it count.
fn escape(byte: u8) -> ([u8; 6], usize) {
    let short = |mark| ([b'\\', mark, 0, 0, 0, 0], 2);
    match byte {
        b'"' | b'\\' => short(byte),
        b'\n' => short(b'n'),
        b'\t' => short(b't'),
        b'\r' => short(b'r'),
        8 => short(b'b'),
        12 => short(b'f'),
        0..0x20 => {
            let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
            ([b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)], 6)
        }
        _ => ([byte, 0, 0, 0, 0, 0], 1), // everything else stands for itself
    }
}

/// Appends a text as the inside of a JSON string.
pub(super) fn push_escaped(text: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(text);
    escape_tail(start, out);
}

/// Appends a JSON number as [`Value::Numeric`] spells it: no exponent, no zeros at the end of
/// the fraction, no plus, no negative zero. `None` beyond [`MAX_EXPONENT`].
pub(super) fn plain_decimal(raw: &str, out: &mut Vec<u8>) -> Option<()> {
    let (mantissa, exponent) = match raw.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (raw, 0),
    };
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if exponent.abs() > MAX_EXPONENT {
        return None;
    }
    let all = || whole.bytes().chain(fraction.bytes());
    let count = i64::try_from(whole.len() + fraction.len()).ok()?;
    let point = i64::try_from(whole.len()).ok()? + exponent;
    let digit =
        |place: i64| usize::try_from(place).ok().and_then(|place| all().nth(place)).unwrap_or(b'0');
    let mut significant = (0..count).filter(|place| digit(*place) != b'0');
    let (first, last) = (significant.clone().next(), significant.next_back());
    let (Some(first), Some(last)) = (first, last) else {
        out.push(b'0');
        return Some(());
    };
    out.extend_from_slice(sign.as_bytes());
    if first >= point {
        out.push(b'0');
    }
    for place in first.min(point)..point.max(last + 1) {
        if place == point {
            out.push(b'.');
        }
        if place >= first || place >= point {
            out.push(digit(place));
        }
    }
    Some(())
}
