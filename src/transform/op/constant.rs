//! `constant`: one value for every row, converted once, when the op is built.

use super::date::parse_iso;
use crate::pg::Kind;
use crate::transform::{Output, Shape};
use std::net::IpAddr;

/// A constant in the column's kind.
pub(super) enum Constant {
    /// For the kinds whose output stands in the out buffer, as text.
    Text(Box<str>),
    /// The same, as bytes.
    Bytes(Box<[u8]>),
    Plain(Output),
}

impl Constant {
    /// What is wrong with the text is said in words, without the text.
    pub(super) fn build(text: &str, shape: &Shape) -> Result<Self, String> {
        let trimmed = text.trim();
        let plain = |output: Option<Output>, what: &str| {
            output.map(Self::Plain).ok_or_else(|| format!("is not {what}"))
        };
        match shape.kind.element() {
            Kind::Text | Kind::Bpchar | Kind::Citext => match shape.max_chars {
                Some(max) if text.chars().count() > max as usize => {
                    Err(format!("is longer than the column's {max} characters"))
                }
                Some(_) | None => Ok(Self::Text(text.into())),
            },
            Kind::Enum | Kind::Xml | Kind::Hstore | Kind::Tsvector => Ok(Self::Text(text.into())),
            Kind::Json | Kind::Jsonb if super::json::is_valid(text) => Ok(Self::Text(text.into())),
            Kind::Json | Kind::Jsonb => Err("is not a JSON document".into()),
            Kind::Bool => plain(parse_bool(trimmed).map(Output::Bool), "true or false"),
            Kind::Int2 => plain(int(trimmed, i16::MIN.into(), i16::MAX.into()), "an int2"),
            Kind::Int4 => plain(int(trimmed, i32::MIN.into(), i32::MAX.into()), "an int4"),
            Kind::Int8 => plain(int(trimmed, i64::MIN, i64::MAX), "an int8"),
            Kind::Float4 | Kind::Float8 => {
                plain(trimmed.parse().ok().map(Output::Float), "a floating-point number")
            }
            Kind::Numeric if is_decimal(trimmed) => Ok(Self::Text(trimmed.into())),
            Kind::Numeric => Err("is not a plain decimal number".into()),
            Kind::Uuid => plain(parse_uuid(trimmed).map(Output::Uuid), "a uuid"),
            Kind::Date => plain(date(trimmed), "a date written YYYY-MM-DD"),
            Kind::Timestamp | Kind::Timestamptz => plain(
                parse_timestamp(trimmed).map(Output::Timestamp),
                "a timestamp written YYYY-MM-DD HH:MM:SS (UTC)",
            ),
            Kind::Bytea => Ok(Self::Bytes(match text.strip_prefix("\\x").map(hex::decode) {
                Some(bytes) => bytes.map_err(|_| "is not hexadecimal after \\x")?.into(),
                None => text.as_bytes().into(),
            })),
            Kind::Inet | Kind::Cidr => plain(parse_inet(trimmed), "an IP address"),
            Kind::Macaddr => parse_mac(trimmed, 6).map(Self::Bytes).ok_or("is not 6 octets".into()),
            Kind::Macaddr8 => {
                parse_mac(trimmed, 8).map(Self::Bytes).ok_or("is not 8 octets".into())
            }
            Kind::Array(_) | Kind::Composite | Kind::Range | Kind::Opaque => {
                Err("cannot be converted to the column's type".into())
            }
        }
    }

    pub(super) fn apply(&self, out: &mut Vec<u8>) -> Output {
        match self {
            Self::Text(text) => {
                out.extend_from_slice(text.as_bytes());
                Output::Text
            }
            Self::Bytes(bytes) => {
                out.extend_from_slice(bytes);
                Output::Bytes
            }
            Self::Plain(output) => *output,
        }
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "t" | "yes" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "off" | "0" => Some(false),
        _ => None, // PostgreSQL's other spellings are prefixes of these
    }
}

fn int(text: &str, first: i64, last: i64) -> Option<Output> {
    text.parse().ok().filter(|value| (first..=last).contains(value)).map(Output::Int)
}

/// `-12.50`, `NaN`, `Infinity`, `-Infinity`.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (is_plain(whole) && is_plain(fraction)) || text == "NaN" || digits == "Infinity"
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let mut octets = [0; 16];
    let bare: String = text.chars().filter(|character| !"-{}".contains(*character)).collect();
    hex::decode_to_slice(bare, &mut octets).ok().map(|()| octets)
}

fn date(text: &str) -> Option<Output> {
    parse_iso(text).and_then(|day| i32::try_from(day).ok()).map(Output::Date)
}

/// Microseconds since 2000-01-01; the time of day and `Z` may be missing.
fn parse_timestamp(text: &str) -> Option<i64> {
    let (date, time) = text.split_at_checked(10)?;
    let micros = parse_iso(date)? * 86_400_000_000;
    let time = time.trim_end_matches(['Z', 'z']).trim_start_matches(['T', 't', ' ']);
    if time.is_empty() {
        return Some(micros);
    }
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut seconds = 0;
    let mut fields = clock.split(':');
    for limit in [24, 60, 60] {
        let field: i64 = fields.next().unwrap_or("0").parse().ok()?;
        seconds = seconds * 60 + Some(field).filter(|field| (0..limit).contains(field))?;
    }
    if fields.next().is_some() || fraction.len() > 6 {
        return None;
    }
    let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
    Some(micros + seconds * 1_000_000 + fraction)
}

fn parse_inet(text: &str) -> Option<Output> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.unwrap_or(longest);
    (prefix <= longest).then_some(Output::Inet(address, prefix))
}

fn parse_mac(text: &str, octets: usize) -> Option<Box<[u8]>> {
    let bare: String = text.chars().filter(|character| !":-.".contains(*character)).collect();
    hex::decode(bare).ok().filter(|bytes| bytes.len() == octets).map(Into::into)
}
