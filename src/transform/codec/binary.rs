//! The binary format of COPY and of bind parameters, type by type.

use super::numeric;
use crate::pg::Kind;
use crate::transform::{Fault, Output, Value};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `PGSQL_AF_INET`, `PGSQL_AF_INET6` (inet.h).
const FAMILY_V4: u8 = 2;
const FAMILY_V6: u8 = 3;
/// Version byte of `jsonb_send` (jsonb.c).
const JSONB_VERSION: u8 = 1;

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Fault> {
    bytes.try_into().map_err(|_| Fault::Malformed)
}

fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| Fault::Malformed)
}

/// Reads one non-null field. `scratch` is cleared, and holds the text of a numeric.
pub(crate) fn decode<'a>(
    kind: &Kind,
    bytes: &'a [u8],
    scratch: &'a mut Vec<u8>,
) -> Result<Value<'a>, Fault> {
    scratch.clear();
    Ok(match kind {
        Kind::Text | Kind::Citext | Kind::Xml | Kind::Enum => Value::Text(utf8(bytes)?),
        Kind::Bpchar => Value::Text(utf8(bytes)?.trim_end_matches(' ')),
        Kind::Bool => Value::Bool(fixed::<1>(bytes)? != [0]),
        Kind::Int2 => Value::Int(i16::from_be_bytes(fixed(bytes)?).into()),
        Kind::Int4 => Value::Int(i32::from_be_bytes(fixed(bytes)?).into()),
        Kind::Int8 => Value::Int(i64::from_be_bytes(fixed(bytes)?)),
        Kind::Float4 => Value::Float(f32::from_be_bytes(fixed(bytes)?).into()),
        Kind::Float8 => Value::Float(f64::from_be_bytes(fixed(bytes)?)),
        Kind::Numeric => {
            numeric::decode(bytes, scratch)?;
            Value::Numeric(utf8(scratch)?)
        }
        Kind::Uuid => Value::Uuid(fixed(bytes)?),
        Kind::Date => Value::Date(i32::from_be_bytes(fixed(bytes)?)),
        Kind::Timestamp | Kind::Timestamptz => Value::Timestamp(i64::from_be_bytes(fixed(bytes)?)),
        Kind::Bytea => Value::Bytes(bytes),
        Kind::Inet | Kind::Cidr => inet(bytes)?,
        Kind::Macaddr | Kind::Macaddr8 => Value::Mac(bytes),
        Kind::Json => Value::Json(utf8(bytes)?),
        Kind::Jsonb => match bytes.split_first() {
            Some((&JSONB_VERSION, text)) => Value::Json(utf8(text)?),
            _ => return Err(Fault::Malformed),
        },
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

fn inet(bytes: &[u8]) -> Result<Value<'static>, Fault> {
    let (header, address) = bytes.split_first_chunk::<4>().ok_or(Fault::Malformed)?;
    let [family, prefix, _is_cidr, _length] = *header;
    let address = match family {
        FAMILY_V4 => IpAddr::V4(Ipv4Addr::from(fixed::<4>(address)?)),
        FAMILY_V6 => IpAddr::V6(Ipv6Addr::from(fixed::<16>(address)?)),
        _ => return Err(Fault::Malformed),
    };
    Ok(Value::Inet(address, prefix))
}

/// Appends the binary form of what an op made of the field `input`. `text` is what the op
/// wrote. [`Output::Null`] is the caller's to handle.
pub(crate) fn encode(
    kind: &Kind,
    output: Output,
    input: &[u8],
    text: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let misfit = Err(Fault::WrongKind);
    match (output, kind) {
        (Output::Same, _) => out.extend_from_slice(input),
        (Output::Text, Kind::Numeric) => {
            return numeric::encode(utf8(text)?, numeric::scale(input), out);
        }
        (Output::Text, Kind::Jsonb) => {
            out.push(JSONB_VERSION);
            out.extend_from_slice(text);
        }
        (
            Output::Text,
            Kind::Text | Kind::Bpchar | Kind::Citext | Kind::Xml | Kind::Enum | Kind::Json,
        )
        | (Output::Bytes, Kind::Bytea | Kind::Macaddr | Kind::Macaddr8) => {
            out.extend_from_slice(text);
        }
        (Output::Int(value), Kind::Int2) => {
            out.extend_from_slice(&int::<i16>(value)?.to_be_bytes());
        }
        (Output::Int(value), Kind::Int4) => {
            out.extend_from_slice(&int::<i32>(value)?.to_be_bytes());
        }
        (Output::Int(value), Kind::Int8) => out.extend_from_slice(&value.to_be_bytes()),
        #[expect(clippy::cast_possible_truncation, reason = "float4 columns hold float4")]
        (Output::Float(value), Kind::Float4) => {
            out.extend_from_slice(&(value as f32).to_be_bytes());
        }
        (Output::Float(value), Kind::Float8) => out.extend_from_slice(&value.to_be_bytes()),
        (Output::Bool(value), Kind::Bool) => out.push(u8::from(value)),
        (Output::Uuid(value), Kind::Uuid) => out.extend_from_slice(&value),
        (Output::Date(value), Kind::Date) => out.extend_from_slice(&value.to_be_bytes()),
        (Output::Timestamp(value), Kind::Timestamp | Kind::Timestamptz) => {
            out.extend_from_slice(&value.to_be_bytes());
        }
        (Output::Inet(address, prefix), Kind::Inet | Kind::Cidr) => {
            write_inet(address, prefix, *kind == Kind::Cidr, out);
        }
        _ => return misfit, // every other pair is an op that answered with the wrong kind
    }
    Ok(())
}

fn int<T: TryFrom<i64>>(value: i64) -> Result<T, Fault> {
    T::try_from(value).map_err(|_| Fault::OutOfRange)
}

fn write_inet(address: IpAddr, prefix: u8, is_cidr: bool, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => {
            out.extend_from_slice(&[FAMILY_V4, prefix, u8::from(is_cidr), 4]);
            out.extend_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            out.extend_from_slice(&[FAMILY_V6, prefix, u8::from(is_cidr), 16]);
            out.extend_from_slice(&address.octets());
        }
    }
}
