//! The text format: the `*_out` form of each type, before COPY's escaping.

use super::{datetime, numeric};
use crate::pg::Kind;
use crate::transform::{Fault, Output, Value};
use std::io::Write;
use std::net::IpAddr;

fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| Fault::Malformed)
}

/// Reads one non-null field. `scratch` is cleared, and holds decoded numerics and byte strings.
pub(crate) fn decode<'a>(
    kind: &Kind,
    bytes: &'a [u8],
    scratch: &'a mut Vec<u8>,
) -> Result<Value<'a>, Fault> {
    scratch.clear();
    let text = utf8(bytes)?;
    Ok(match kind {
        Kind::Text | Kind::Citext | Kind::Xml | Kind::Enum => Value::Text(text),
        Kind::Bpchar => Value::Text(text.trim_end_matches(' ')),
        Kind::Bool => Value::Bool(match text {
            "t" => true,
            "f" => false,
            _ => return Err(Fault::Malformed),
        }),
        Kind::Int2 | Kind::Int4 | Kind::Int8 => {
            Value::Int(text.parse().map_err(|_| Fault::Malformed)?)
        }
        Kind::Float4 => Value::Float(text.parse::<f32>().map_err(|_| Fault::Malformed)?.into()),
        Kind::Float8 => Value::Float(text.parse().map_err(|_| Fault::Malformed)?),
        Kind::Numeric => {
            numeric::normalise(text, scratch)?;
            Value::Numeric(utf8(scratch)?)
        }
        Kind::Uuid => {
            unhex(text.bytes().filter(|byte| *byte != b'-'), scratch)?;
            Value::Uuid(scratch.as_slice().try_into().map_err(|_| Fault::Malformed)?)
        }
        Kind::Date => Value::Date(datetime::parse_date(text)?),
        Kind::Timestamp | Kind::Timestamptz => Value::Timestamp(datetime::parse_timestamp(text)?),
        Kind::Bytea => {
            unhex(text.strip_prefix("\\x").ok_or(Fault::Malformed)?.bytes(), scratch)?;
            Value::Bytes(scratch)
        }
        Kind::Inet | Kind::Cidr => inet(text)?,
        Kind::Macaddr | Kind::Macaddr8 => {
            unhex(text.bytes().filter(|byte| *byte != b':'), scratch)?;
            Value::Mac(scratch)
        }
        Kind::Json | Kind::Jsonb => Value::Json(text),
        Kind::Hstore
        | Kind::Tsvector
        | Kind::Array(_)
        | Kind::Composite
        | Kind::Range
        | Kind::Opaque => {
            return Err(Fault::WrongKind);
        }
    })
}

fn unhex(digits: impl Iterator<Item = u8>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut high = None;
    for digit in digits {
        let value = char::from(digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
            .ok_or(Fault::Malformed)?;
        match high.take() {
            None => high = Some(value),
            Some(first) => out.push(first * 16 + value),
        }
    }
    if high.is_some() { Err(Fault::Malformed) } else { Ok(()) }
}

fn inet(text: &str) -> Result<Value<'static>, Fault> {
    let (address, prefix) =
        text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().map_err(|_| Fault::Malformed)?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Ok(longest), str::parse).map_err(|_| Fault::Malformed)?;
    Ok(Value::Inet(address, prefix))
}

/// Appends the text form of what an op made of the field `input`.
pub(crate) fn encode(
    kind: &Kind,
    output: Output,
    input: &[u8],
    text: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    // Writing to a Vec cannot fail.
    match (output, kind) {
        (Output::Same, _) => out.extend_from_slice(input),
        (
            Output::Text,
            Kind::Text
            | Kind::Bpchar
            | Kind::Citext
            | Kind::Xml
            | Kind::Enum
            | Kind::Json
            | Kind::Jsonb,
        ) => out.extend_from_slice(text),
        (Output::Text, Kind::Numeric) => write_numeric(utf8(text)?, input, out),
        (Output::Bytes, Kind::Bytea) => {
            out.extend_from_slice(b"\\x");
            write_hex(text, None, out);
        }
        (Output::Bytes, Kind::Macaddr | Kind::Macaddr8) => write_hex(text, Some(b':'), out),
        (Output::Int(value), Kind::Int2 | Kind::Int4 | Kind::Int8) => drop(write!(out, "{value}")),
        #[expect(clippy::cast_possible_truncation, reason = "float4 columns hold float4")]
        (Output::Float(value), Kind::Float4) => drop(write!(out, "{}", value as f32)),
        (Output::Float(value), Kind::Float8) => drop(write!(out, "{value}")),
        (Output::Bool(value), Kind::Bool) => out.push(if value { b't' } else { b'f' }),
        (Output::Uuid(value), Kind::Uuid) => write_hex(&value, None, out),
        (Output::Date(value), Kind::Date) => datetime::write_date(value, out),
        (Output::Timestamp(value), Kind::Timestamp) => datetime::write_timestamp(value, false, out),
        (Output::Timestamp(value), Kind::Timestamptz) => {
            datetime::write_timestamp(value, true, out);
        }
        (Output::Inet(address, prefix), Kind::Inet | Kind::Cidr) => {
            drop(write!(out, "{address}/{prefix}"));
        }
        _ => return Err(Fault::WrongKind), // every other pair is an op that answered with the wrong kind
    }
    Ok(())
}

/// As many digits behind the point as the input showed.
fn write_numeric(text: &str, input: &[u8], out: &mut Vec<u8>) {
    let shown = |text: &[u8]| {
        text.iter().position(|byte| *byte == b'.').map_or(0, |at| text.len() - at - 1)
    };
    let (have, want) = (shown(text.as_bytes()), shown(input));
    out.extend_from_slice(text.as_bytes());
    let is_number = text.bytes().any(|byte| byte.is_ascii_digit());
    if is_number && want > have {
        if have == 0 {
            out.push(b'.');
        }
        out.extend(std::iter::repeat_n(b'0', want - have));
    }
}

fn write_hex(bytes: &[u8], separator: Option<u8>, out: &mut Vec<u8>) {
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 {
            out.extend(separator);
        }
        drop(write!(out, "{byte:02x}"));
    }
}
