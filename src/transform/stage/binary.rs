//! Rows in COPY's binary format: a field count, then length-prefixed fields.
//! Source: <https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY-FORMAT>

use super::field::Workspace;
use super::{Scratch, Stage, StageError};
use crate::pg::Format;

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
        let Scratch { fields, work, .. } = &mut self.scratch;
        let mut copied = 0;
        let masks = self.masks.iter().zip(&mut self.changed).zip(&mut self.shares);
        for ((mask, changed), share) in masks {
            let Some(&Some((start, field_length))) = fields.get(mask.position) else {
                continue;
            };
            let field = bytes.get(start..start + field_length).ok_or(StageError::Stream)?;
            self.out.extend_from_slice(bytes.get(copied..start - 4).ok_or(StageError::Stream)?);
            copied = start + field_length;
            let subject = |work: &mut Workspace| {
                for (position, kind) in &mask.subject {
                    let Some(&Some((start, length))) = fields.get(*position) else { continue };
                    let value = bytes.get(start..start + length).ok_or(StageError::Stream)?;
                    work.push_subject(kind, Format::Binary, value)
                        .map_err(|fault| mask.failed(fault))?;
                }
                Ok(())
            };
            let memory = (&mut self.memo, share);
            let made = mask.write((Format::Binary, field), memory, work, &mut self.out, subject)?;
            *changed += u64::from(made);
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
