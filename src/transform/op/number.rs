//! Numbers that stay numbers: buckets and noise.
//!
//! `number_bucket` floors to a multiple of its width; a multiple that the type (or a numeric of
//! as many digits) cannot hold is replaced by the next one towards zero. `number_noise`
//! multiplies by `1 ± k/100 000`, k keyed by the value within the given per cent; sign and
//! numeric scale stay, and where the product would need more digits or leave the integer type
//! the noise goes the other way. A small integer may round back to itself. NaN and infinities
//! stay. Numerics are computed digit by digit: no precision is lost.

use super::canonical::{self, tail, tail_mut};
use crate::transform::key::{DomainKey, Stream};
use crate::transform::{Fault, Output, Value};

/// Noise is drawn in units of 1/1000 of a per cent.
const UNIT: u64 = 100_000;
const UNIT_DIGITS: usize = 5;

pub(super) enum Change {
    Bucket { width: u64 },
    Noise { percent: u32 },
}

pub(super) struct Number {
    pub(super) key: DomainKey,
    pub(super) change: Change,
    pub(super) is_single: bool,
}

impl Number {
    pub(super) fn apply(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Output, Fault> {
        match (value, &self.change) {
            (Value::Int(value), Change::Bucket { width }) => Ok(bucket_int(value, *width)),
            (Value::Int(value), Change::Noise { percent }) => {
                Ok(noise_int(value, *percent, canonical::int(&self.key, value)))
            }
            (Value::Float(value), _) if !value.is_finite() => Ok(Output::Same),
            (Value::Float(value), Change::Bucket { width }) => Ok(bucket_float(value, *width)),
            (Value::Float(value), Change::Noise { percent }) => {
                Ok(self.noise_float(value, *percent))
            }
            (Value::Numeric(text), change) => {
                let Some(decimal) = Decimal::parse(text) else { return Ok(Output::Same) };
                match change {
                    Change::Bucket { width } => bucket_numeric(&decimal, *width, out),
                    Change::Noise { percent } => {
                        let mut stream = canonical::numeric(&self.key, text);
                        noise_numeric(&decimal, *percent, &mut stream, out);
                    }
                }
                Ok(Output::Text)
            }
            (
                Value::Text(_)
                | Value::Bool(_)
                | Value::Uuid(_)
                | Value::Date(_)
                | Value::Timestamp(_)
                | Value::Bytes(_)
                | Value::Inet(..)
                | Value::Mac(_)
                | Value::Json(_),
                _,
            ) => Err(Fault::WrongKind),
        }
    }

    fn noise_float(&self, value: f64, percent: u32) -> Output {
        let mut stream = canonical::float(&self.key, value);
        let (units, is_up) = draw(percent, &mut stream);
        let share = f64::from(units) / 100_000.0;
        let limit = if self.is_single { f64::from(f32::MAX) } else { f64::MAX };
        let (up, down) = (value * (1.0 + share), value * (1.0 - share));
        Output::Float(if is_up && up.abs() <= limit { up } else { down })
    }
}

/// Units of noise, at least 1, and the direction.
fn draw(percent: u32, stream: &mut Stream) -> (u32, bool) {
    (1 + stream.below(percent.saturating_mul(1_000)), stream.byte().is_multiple_of(2))
}

/// True if `two` fits every integer type that `one` fits.
fn same_width(one: i128, two: i128) -> bool {
    [15, 31, 63].iter().all(|bits| {
        let fits = |value: i128| (-(1_i128 << bits)..(1 << bits)).contains(&value);
        fits(two) || !fits(one)
    })
}

fn int(value: i128, original: i64) -> Output {
    Output::Int(i64::try_from(value).unwrap_or(original))
}

fn bucket_int(value: i64, width: u64) -> Output {
    let (wide, width) = (i128::from(value), i128::from(width));
    let floor = wide.div_euclid(width) * width;
    int(if same_width(wide, floor) { floor } else { floor + width }, value)
}

fn noise_int(value: i64, percent: u32, mut stream: Stream) -> Output {
    let (units, is_up) = draw(percent, &mut stream);
    let wide = i128::from(value);
    let unit = i128::from(UNIT);
    let half = if value < 0 { -unit / 2 } else { unit / 2 };
    let noisy = |factor: i128| (wide * factor + half) / unit;
    let (up, down) = (noisy(unit + i128::from(units)), noisy(unit - i128::from(units)));
    int(if is_up && same_width(wide, up) { up } else { down }, value)
}

#[expect(clippy::cast_precision_loss, reason = "a bucket of floats is as exact as floats are")]
fn bucket_float(value: f64, width: u64) -> Output {
    let width = width as f64;
    let floor = (value / width).floor() * width;
    Output::Float(if floor.is_finite() { floor } else { value.trunc() })
}

/// A plain decimal, taken apart.
struct Decimal<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Decimal<'a> {
    /// `None` for NaN and the infinities.
    fn parse(text: &'a str) -> Option<Self> {
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        (!whole.is_empty() && is_plain(whole) && is_plain(fraction)).then_some(Self {
            is_negative,
            whole,
            fraction,
        })
    }
}

fn bucket_numeric(decimal: &Decimal<'_>, width: u64, out: &mut Vec<u8>) {
    let width = u128::from(width);
    let rest =
        decimal.whole.bytes().fold(0, |rest, byte| (rest * 10 + u128::from(byte - b'0')) % width);
    let has_fraction = decimal.fraction.bytes().any(|byte| byte != b'0');
    let is_exact = rest == 0 && !has_fraction;
    out.push(b'-');
    let start = out.len();
    out.extend_from_slice(decimal.whole.as_bytes());
    if decimal.is_negative && !is_exact && add(tail_mut(out, start), width - rest) {
        // Grew by a digit, which the column may not hold: the multiple towards zero.
        out.truncate(start);
        out.extend_from_slice(decimal.whole.as_bytes());
        subtract(tail_mut(out, start), rest);
    } else if !decimal.is_negative {
        subtract(tail_mut(out, start), rest);
    }
    tidy(out, start, decimal.is_negative);
}

/// Adds to decimal digits in place; true if a digit was carried out (and lost).
fn add(digits: &mut [u8], mut carry: u128) -> bool {
    for digit in digits.iter_mut().rev() {
        carry += u128::from(*digit - b'0');
        *digit = b'0' + u8::try_from(carry % 10).unwrap_or(0);
        carry /= 10;
    }
    carry > 0
}

/// Subtracts from decimal digits in place; the digits are not smaller than `rest`.
fn subtract(digits: &mut [u8], mut rest: u128) {
    for digit in digits.iter_mut().rev() {
        let held = *digit - b'0';
        let take = u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if take > held {
            rest += 1;
            *digit = b'0' + held + 10 - take;
        } else {
            *digit = b'0' + held - take;
        }
    }
}

/// Removes leading zeros of the whole number at `start`, and the sign before it where there is
/// none to keep.
fn tidy(out: &mut Vec<u8>, start: usize, is_negative: bool) {
    let zeros = tail(out, start).iter().take_while(|byte| **byte == b'0').count();
    let is_zero = start + zeros == out.len();
    let drop = if is_zero { zeros.saturating_sub(1) } else { zeros };
    let from = if is_negative && !is_zero { start } else { start - 1 };
    let kept = out.len() - start - drop;
    out.copy_within(start + drop.., from);
    out.truncate(from + kept);
}

fn noise_numeric(decimal: &Decimal<'_>, percent: u32, stream: &mut Stream, out: &mut Vec<u8>) {
    let (units, is_up) = draw(percent, stream);
    let up = UNIT + u64::from(units);
    let down = UNIT.saturating_sub(units.into());
    let sign_at = out.len();
    if decimal.is_negative {
        out.push(b'-');
    }
    let start = out.len();
    if !is_up || !push_product(decimal, up, out) {
        out.truncate(start);
        push_product(decimal, down, out);
    }
    if tail(out, start).iter().all(|byte| b"0.".contains(byte)) {
        out.truncate(sign_at); // no negative zero
        out.extend_from_slice(b"0");
    }
}

/// Appends |decimal| × factor / 100 000 rounded to the decimal's scale. False if it has more
/// digits than the decimal; then what was appended is to be thrown away.
fn push_product(decimal: &Decimal<'_>, factor: u64, out: &mut Vec<u8>) -> bool {
    let whole = if decimal.whole == "0" { "" } else { decimal.whole };
    let start = out.len();
    out.extend_from_slice(whole.as_bytes());
    out.extend_from_slice(decimal.fraction.as_bytes());
    let digits = tail_mut(out, start);
    // The carry starts at one half of the unit and leaves the lowest five digits behind.
    let mut carry = UNIT / 2;
    let mut kept = digits.len();
    for at in (0..digits.len()).rev() {
        let Some(digit) = digits.get(at) else { break };
        carry += u64::from(*digit - b'0') * factor;
        let low = b'0' + u8::try_from(carry % 10).unwrap_or(0);
        carry /= 10;
        let from_right = digits.len() - 1 - at;
        if from_right >= UNIT_DIGITS {
            kept -= 1;
            if let Some(slot) = digits.get_mut(at + UNIT_DIGITS) {
                *slot = low;
            }
        }
    }
    let short = UNIT_DIGITS.saturating_sub(digits.len());
    carry /= 10_u64.pow(u32::try_from(short).unwrap_or(0));
    for slot in digits.iter_mut().take(kept).rev() {
        *slot = b'0' + u8::try_from(carry % 10).unwrap_or(0);
        carry /= 10;
    }
    point(start, decimal.fraction.len(), out);
    carry == 0
}

/// Sets the point before the last `scale` digits and drops leading zeros.
fn point(start: usize, scale: usize, out: &mut Vec<u8>) {
    let count = out.len() - start;
    let whole = count.saturating_sub(scale);
    let zeros = tail(out, start).iter().take(whole).take_while(|byte| **byte == b'0').count();
    out.drain(start..start + zeros);
    let whole = whole - zeros;
    if whole == 0 {
        out.insert(start, b'0');
    }
    if scale > 0 {
        out.insert(start + whole.max(1), b'.');
    }
}
