//! Rows in COPY's binary format: a field count, then length-prefixed fields.
//! Source: <https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY-FORMAT>

use super::{ColumnMask, Scratch, Stage, StageError, Treatment};
use crate::pg::Kind;
use crate::transform::codec::{array, binary};
use crate::transform::{Fault, Output, Value};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const TRAILER: [u8; 2] = [0xff, 0xff];

impl Stage<'_> {
    /// One frame: the file header, rows, or the trailer.
    pub(super) fn binary(&mut self, payload: &[u8]) -> Result<(), StageError> {
        let mut rest = payload;
        if rest.starts_with(SIGNATURE) {
            let extension =
                rest.get(15..19).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
            let length = 19 + extension.ok_or(StageError::Stream)? as usize;
            let (header, rows) = rest.split_at_checked(length).ok_or(StageError::Stream)?;
            self.out.extend_from_slice(header);
            rest = rows;
        }
        while let Some(count) = rest.first_chunk::<2>() {
            if *count == TRAILER && rest.len() == 2 {
                self.out.extend_from_slice(&TRAILER);
                return Ok(());
            }
            let length = self.row(rest)?;
            rest = rest.get(length..).ok_or(StageError::Stream)?;
        }
        if rest.is_empty() { Ok(()) } else { Err(StageError::Stream) }
    }

    /// Masks the row at the start of `bytes`; returns its length.
    fn row(&mut self, bytes: &[u8]) -> Result<usize, StageError> {
        let length =
            index(bytes, self.column_count, &mut self.scratch.fields).ok_or(StageError::Stream)?;
        let mut copied = 0;
        let masks = self.masks.iter().zip(&mut self.changed).zip(&mut self.memos);
        for ((mask, changed), memo) in masks {
            let Some(&Some((start, field_length))) = self.scratch.fields.get(mask.position) else {
                continue;
            };
            let field = bytes.get(start..start + field_length).ok_or(StageError::Stream)?;
            self.out.extend_from_slice(bytes.get(copied..start - 4).ok_or(StageError::Stream)?);
            copied = start + field_length;
            let known = mask.subject.is_empty() && memo.takes(field);
            if let Some(made) = known.then(|| memo.get(field)).flatten() {
                self.out.extend_from_slice(&u32::try_from(made.len()).unwrap_or(0).to_be_bytes());
                self.out.extend_from_slice(made);
                *changed += u64::from(made != field);
                continue;
            }
            let place = self.out.len() + 4;
            *changed +=
                u64::from(mask_field(mask, bytes, field, &mut self.scratch, &mut self.out)?);
            if known
                && let Some(made) = self.out.get(place..)
                && self.out.get(place - 4) == Some(&0)
            {
                memo.put(field, made);
            }
        }
        self.out.extend_from_slice(bytes.get(copied..length).ok_or(StageError::Stream)?);
        Ok(length)
    }
}

/// Finds the fields of a row; returns the row's length.
fn index(
    bytes: &[u8],
    column_count: usize,
    fields: &mut Vec<Option<(usize, usize)>>,
) -> Option<usize> {
    fields.clear();
    let count = usize::from(u16::from_be_bytes(*bytes.first_chunk::<2>()?));
    if count != column_count {
        return None;
    }
    let mut at = 2;
    for _ in 0..count {
        let length = i32::from_be_bytes(*bytes.get(at..)?.first_chunk::<4>()?);
        at += 4;
        match usize::try_from(length) {
            Ok(length) => {
                fields.push(Some((at, length)));
                at = at.checked_add(length)?;
            }
            Err(_) => fields.push(None),
        }
    }
    (at <= bytes.len()).then_some(at)
}

/// Appends the masked field with its length; true if it is another value than before.
fn mask_field(
    mask: &ColumnMask,
    row: &[u8],
    field: &[u8],
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Result<bool, StageError> {
    let Treatment::Transform(op) = &mask.treatment else {
        out.extend_from_slice(&(-1i32).to_be_bytes());
        return Ok(true);
    };
    let failed = |fault| StageError::Column { column: mask.name.clone(), fault };
    let has_subject = subject(mask, row, scratch).map_err(failed)?;
    let Scratch { subject, decoded, made, .. } = scratch;
    let subject = has_subject.then_some(subject.as_slice());
    let start = out.len() + 4;
    let element = mask.kind.element();
    array::prefixed(out, |out| {
        let mut one = |field: &[u8], out: &mut Vec<u8>| {
            made.clear();
            let output = op.apply(binary::decode(element, field, decoded)?, subject, made)?;
            if output == Output::Null {
                return Ok(false);
            }
            binary::encode(element, output, field, made, out)?;
            Ok(true)
        };
        if matches!(mask.kind, Kind::Array(_)) {
            return array::lift_binary(field, out, &mut one).map(|()| true);
        }
        one(field, out)
    })
    .map_err(failed)?;
    Ok(out.get(start..).is_none_or(|made| made != field))
}

/// Collects the canonical raw values that key the op; false if it has no subject.
fn subject(mask: &ColumnMask, row: &[u8], scratch: &mut Scratch) -> Result<bool, Fault> {
    scratch.subject.clear();
    for (position, kind) in &mask.subject {
        let Some(&Some((start, length))) = scratch.fields.get(*position) else { continue };
        let field = row.get(start..start + length).ok_or(Fault::Malformed)?;
        push_canonical(binary::decode(kind, field, &mut scratch.decoded)?, &mut scratch.subject);
    }
    Ok(!mask.subject.is_empty())
}

/// The same bytes whatever format the value came in.
pub(super) fn push_canonical(value: Value<'_>, out: &mut Vec<u8>) {
    let text = |text: &str, out: &mut Vec<u8>| {
        out.extend_from_slice(&(text.len() as u64).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    };
    match value {
        Value::Text(value) | Value::Numeric(value) | Value::Json(value) => text(value, out),
        Value::Int(value) | Value::Timestamp(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::Float(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::Bool(value) => out.push(u8::from(value)),
        Value::Uuid(value) => out.extend_from_slice(&value),
        Value::Date(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::Bytes(value) | Value::Mac(value) => {
            out.extend_from_slice(&(value.len() as u64).to_be_bytes());
            out.extend_from_slice(value);
        }
        Value::Inet(address, prefix) => {
            match address {
                std::net::IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
                std::net::IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
            }
            out.push(prefix);
        }
    }
}
