//! numeric: base-10000 digits on the wire, plain decimal text as canonical value.
//! Source: `numeric_send`, `numeric_recv` and the comment on NumericVar (numeric.c).

use crate::transform::Fault;
use std::io::Write;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const POSITIVE_INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;
/// `NUMERIC_MAX_PRECISION`-free numerics have up to 131072 digits before the point.
const WEIGHT_LIMIT: i32 = 0x7fff;

/// Splits off a big-endian 16-bit word.
fn word(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*head), rest))
}

/// Display scale of a binary numeric: what `numeric_out` pads to. NaN and the infinities have
/// none, though `numeric_send` writes one for the latter.
pub(super) fn scale(bytes: &[u8]) -> usize {
    let sign = bytes.get(4..6).and_then(word).map(|(sign, _)| sign);
    if sign.is_some_and(|sign| matches!(sign, NAN | POSITIVE_INFINITY | NEGATIVE_INFINITY)) {
        return 0;
    }
    bytes.get(6..8).and_then(word).map_or(0, |(scale, _)| usize::from(scale & 0x3fff))
}

/// Appends the canonical text of a binary numeric.
pub(super) fn decode(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let header = word(bytes).and_then(|(count, rest)| {
        let (weight, rest) = word(rest)?;
        let (sign, rest) = word(rest)?;
        let (_scale, rest) = word(rest)?;
        Some((usize::from(count), weight.cast_signed(), sign, rest))
    });
    let (count, weight, sign, digits) = header.ok_or(Fault::Malformed)?;
    let special = match sign {
        NAN => Some("NaN"),
        POSITIVE_INFINITY => Some("Infinity"),
        NEGATIVE_INFINITY => Some("-Infinity"),
        _ => None,
    };
    if let Some(special) = special {
        out.extend_from_slice(special.as_bytes());
        return Ok(());
    }
    if digits.len() != count * 2 {
        return Err(Fault::Malformed);
    }
    if sign == NEGATIVE && count > 0 {
        out.push(b'-');
    }
    let group = |position: i32| -> u16 {
        let at = i32::from(weight) - position;
        usize::try_from(at)
            .ok()
            .and_then(|at| digits.get(at * 2..))
            .and_then(word)
            .map_or(0, |(digit, _)| digit)
    };
    let lowest = i32::from(weight) - i32::try_from(count).unwrap_or(0) + 1;
    if weight < 0 {
        out.push(b'0');
    }
    for position in (0..=i32::from(weight)).rev() {
        let first = position == i32::from(weight);
        // Writing to a Vec cannot fail.
        drop(if first {
            write!(out, "{}", group(position))
        } else {
            write!(out, "{:04}", group(position))
        });
    }
    if lowest < 0 {
        out.push(b'.');
        for position in (lowest..0).rev() {
            drop(write!(out, "{:04}", group(position)));
        }
        trim_fraction(out);
    }
    Ok(())
}

/// Drops trailing zeros of a fraction, and the point if nothing stays behind it.
fn trim_fraction(out: &mut Vec<u8>) {
    while out.last() == Some(&b'0') {
        out.pop();
    }
    if out.last() == Some(&b'.') {
        out.pop();
    }
}

/// Appends the canonical form of `numeric_out`'s text.
pub(super) fn normalise(text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    if matches!(text, "NaN" | "Infinity" | "-Infinity") {
        out.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if digits.is_empty() || !plain || digits.bytes().filter(|byte| *byte == b'.').count() > 1 {
        return Err(Fault::Malformed);
    }
    out.extend_from_slice(text.as_bytes());
    if digits.contains('.') {
        trim_fraction(out);
    }
    Ok(())
}

/// Appends the binary form of a plain decimal text, with at least `scale` digits shown behind
/// the point.
pub(super) fn encode(text: &str, scale: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
    let special = match text {
        "NaN" => Some(NAN),
        "Infinity" => Some(POSITIVE_INFINITY),
        "-Infinity" => Some(NEGATIVE_INFINITY),
        _ => None,
    };
    if let Some(sign) = special {
        header(0, 0, sign, 0, out);
        return Ok(());
    }
    let (digits, sign) = text.strip_prefix('-').map_or((text, 0), |digits| (digits, NEGATIVE));
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if !integer.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit())
        || digits.is_empty()
    {
        return Err(Fault::Malformed);
    }
    let integer = integer.trim_start_matches('0');
    let groups = integer.len().div_ceil(4);
    let weight = i32::try_from(groups).unwrap_or(i32::MAX) - 1;
    if weight > WEIGHT_LIMIT {
        return Err(Fault::OutOfRange);
    }
    let start = out.len();
    header(0, weight, sign, fraction.len().max(scale), out);
    let pad = groups * 4 - integer.len();
    let padded = std::iter::repeat_n(b'0', pad).chain(integer.bytes()).chain(fraction.bytes());
    let digit_count = groups * 4 + fraction.len();
    write_groups(padded, digit_count, out);
    let count = u16::try_from((out.len() - start - 8) / 2).map_err(|_| Fault::OutOfRange)?;
    if let Some(place) = out.get_mut(start..start + 2) {
        place.copy_from_slice(&count.to_be_bytes());
    }
    Ok(())
}

fn write_groups(digits: impl Iterator<Item = u8>, digit_count: usize, out: &mut Vec<u8>) {
    let padded = digits.chain(std::iter::repeat(b'0')).take(digit_count.div_ceil(4) * 4);
    let mut group = 0;
    for (at, digit) in padded.enumerate() {
        group = group * 10 + u16::from(digit - b'0');
        if at % 4 == 3 {
            out.extend_from_slice(&group.to_be_bytes());
            group = 0;
        }
    }
}

fn header(count: u16, weight: i32, sign: u16, scale: usize, out: &mut Vec<u8>) {
    let weight = i16::try_from(weight).unwrap_or(0);
    let scale = u16::try_from(scale).unwrap_or(0x3fff);
    for word in [count, weight.cast_unsigned(), sign, scale] {
        out.extend_from_slice(&word.to_be_bytes());
    }
}
