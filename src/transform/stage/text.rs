//! Rows in COPY's text format: tab-separated, backslash-escaped, `\N` for NULL.
//! Source: <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2>

use super::{ColumnMask, Scratch, Stage, StageError, Treatment};
use crate::pg::Format;
use crate::transform::Fault;

const NULL: &[u8] = b"\\N";

impl Stage<'_> {
    /// One frame: whole lines.
    pub(super) fn text(&mut self, payload: &[u8]) -> Result<(), StageError> {
        let mut rest = payload;
        while !rest.is_empty() {
            // A newline inside a value is escaped, so a bare one ends the row.
            let end = memchr::memchr(b'\n', rest).ok_or(StageError::Stream)?;
            let (line, after) = rest.split_at_checked(end).ok_or(StageError::Stream)?;
            self.line(line)?;
            self.out.push(b'\n');
            rest = after.get(1..).unwrap_or_default();
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), StageError> {
        index(line, &mut self.scratch.fields);
        if self.scratch.fields.len() != self.column_count {
            return Err(StageError::Stream);
        }
        let mut copied = 0;
        for (mask, changed) in self.masks.iter().zip(&mut self.changed) {
            let Some(&Some((start, length))) = self.scratch.fields.get(mask.position) else {
                continue;
            };
            self.out.extend_from_slice(line.get(copied..start).ok_or(StageError::Stream)?);
            copied = start + length;
            *changed += u64::from(mask_field(
                mask,
                line,
                (start, length),
                &mut self.scratch,
                &mut self.out,
            )?);
        }
        self.out.extend_from_slice(line.get(copied..).ok_or(StageError::Stream)?);
        Ok(())
    }
}

fn index(line: &[u8], fields: &mut Vec<Option<(usize, usize)>>) {
    fields.clear();
    let mut start = 0;
    for end in memchr::memchr_iter(b'\t', line).chain(std::iter::once(line.len())) {
        let field = line.get(start..end).unwrap_or_default();
        fields.push((field != NULL).then_some((start, field.len())));
        start = end + 1;
    }
}

/// Appends the masked, escaped field; true if it is another value than before.
fn mask_field(
    mask: &ColumnMask,
    line: &[u8],
    (start, length): (usize, usize),
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Result<bool, StageError> {
    let Treatment::Transform(op) = &mask.treatment else {
        out.extend_from_slice(NULL);
        return Ok(true);
    };
    let failed = |fault| mask.failed(fault);
    let Scratch { fields, work, unescaped, encoded } = scratch;
    work.begin(mask);
    for (position, kind) in &mask.subject {
        let Some(&Some((start, length))) = fields.get(*position) else { continue };
        let value = line.get(start..start + length).ok_or(StageError::Stream)?;
        unescape(value, unescaped).map_err(failed)?;
        work.push_subject(kind, Format::Text, unescaped).map_err(failed)?;
    }
    unescape(line.get(start..start + length).ok_or(StageError::Stream)?, unescaped)
        .map_err(failed)?;
    encoded.clear();
    if !work.mask(op, &mask.kind, Format::Text, unescaped, encoded).map_err(failed)? {
        out.extend_from_slice(NULL);
        return Ok(true);
    }
    escape(encoded, out);
    Ok(encoded != unescaped)
}

/// Undoes `CopyAttributeOutText` (copyto.c).
pub(in crate::transform) fn unescape(field: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    out.clear();
    let mut rest = field;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        let (&escaped, after) =
            rest.get(at + 1..).and_then(<[u8]>::split_first).ok_or(Fault::Malformed)?;
        out.push(match escaped {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            other => other,
        });
        rest = after;
    }
    out.extend_from_slice(rest);
    Ok(())
}

pub(super) fn escape(field: &[u8], out: &mut Vec<u8>) {
    for &byte in field {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => out.push(other),
        }
    }
}
