//! One field: the same rules for a COPY's rows and a stream's tuples, in both formats.
//!
//! Whoever reads rows finds the fields and calls this; nothing else applies an op to bytes.

use super::memo::{Memo, Share};
use super::{ColumnMask, StageError, Treatment};
use crate::pg::{Format, Kind};
use crate::transform::codec::{array, binary, text};
use crate::transform::op::Op;
use crate::transform::{Fault, Output, Value};

/// Buffers that grow to the longest value.
#[derive(Default)]
pub(super) struct Workspace {
    decoded: Vec<u8>,
    made: Vec<u8>,
    element: Vec<u8>,
    subject: Vec<u8>,
    is_keyed: bool,
}

impl Workspace {
    /// Forgets the row's subject; `mask` says whether its op has one.
    pub(super) fn begin(&mut self, mask: &ColumnMask) {
        self.subject.clear();
        self.is_keyed = !mask.subject.is_empty();
    }

    /// Adds a column's raw value, unescaped, to what keys the op. A NULL is left out by the caller.
    pub(super) fn push_subject(
        &mut self,
        kind: &Kind,
        format: Format,
        field: &[u8],
    ) -> Result<(), Fault> {
        push_canonical(decode(kind, format, field, &mut self.decoded)?, &mut self.subject);
        Ok(())
    }

    /// Appends what stands for a field that is not NULL, in the field's own format: an array is
    /// lifted, text comes and goes unescaped. False, and nothing to be used, if it is NULL now.
    pub(super) fn mask(
        &mut self,
        op: &Op,
        kind: &Kind,
        format: Format,
        field: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        let Self { decoded, made, element, subject, is_keyed } = self;
        let subject = is_keyed.then_some(subject.as_slice());
        let scalar = kind.element();
        let mut one = |field: &[u8], out: &mut Vec<u8>| {
            made.clear();
            let output = op.apply(decode(scalar, format, field, decoded)?, subject, made)?;
            if output == Output::Null {
                return Ok(false);
            }
            match format {
                Format::Binary => binary::encode(scalar, output, field, made, out)?,
                Format::Text => text::encode(scalar, output, field, made, out)?,
            }
            Ok(true)
        };
        if !matches!(kind, Kind::Array(_)) {
            return one(field, out);
        }
        match format {
            Format::Binary => array::lift_binary(field, out, &mut one)?,
            Format::Text => array::lift_text(field, element, out, &mut one)?,
        }
        Ok(true)
    }
}

fn decode<'a>(
    kind: &Kind,
    format: Format,
    field: &'a [u8],
    scratch: &'a mut Vec<u8>,
) -> Result<Value<'a>, Fault> {
    match format {
        Format::Binary => binary::decode(kind, field, scratch),
        Format::Text => text::decode(kind, field, scratch),
    }
}

impl ColumnMask {
    /// Appends what stands for a field that is not NULL behind its length, -1 for NULL; true if it
    /// is another value than before. `subject` adds what keys the op; it is only called for a rule
    /// that has a subject. The share is of this mask and format alone.
    pub(super) fn write(
        &self,
        (format, field): (Format, &[u8]),
        (memo, share): (&mut Memo, &mut Share),
        work: &mut Workspace,
        out: &mut Vec<u8>,
        subject: impl FnOnce(&mut Workspace) -> Result<(), StageError>,
    ) -> Result<bool, StageError> {
        let Treatment::Transform(op) = &self.treatment else {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            return Ok(true);
        };
        let is_keyed = !self.subject.is_empty();
        let place = if is_keyed { None } else { memo.seek(share, field) };
        if let Some(made) = place.and_then(|place| memo.get(share, place, field)) {
            out.extend_from_slice(&u32::try_from(made.len()).unwrap_or(0).to_be_bytes());
            out.extend_from_slice(made);
            return Ok(made != field);
        }
        work.begin(self);
        if is_keyed {
            subject(work)?;
        }
        let start = out.len() + 4;
        let present = array::prefixed(out, |out| work.mask(op, &self.kind, format, field, out))
            .map_err(|fault| self.failed(fault))?;
        let made = out.get(start..).unwrap_or_default();
        if let Some(place) = place.filter(|_| present) {
            memo.put(share, place, field, made);
        }
        Ok(!present || made != field)
    }

    pub(super) fn failed(&self, fault: Fault) -> StageError {
        StageError::Column { column: self.name.clone(), fault }
    }
}

/// The same bytes whatever format the value came in.
pub(in crate::transform) fn push_canonical(value: Value<'_>, out: &mut Vec<u8>) {
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
