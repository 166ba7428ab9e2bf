//! Rows of the stream: a pgoutput tuple in, a masked one out, in the same encoding.
//!
//! Columns that are null or were not sent (an unchanged toasted value) stay so. What a rule does
//! to a value here is what it does to it in a COPY: both go through [`field`](super::field).

use super::field::Workspace;
use super::memo::{Memo, Share};
use super::rows::{MaskedRow, MaskedRows};
use super::{ColumnMask, StageError, TableMask};
use crate::pg::Format;
use crate::pg::pgoutput::{Datum, Tuple};
use std::sync::Arc;

/// Masks the tuples of one table; its buffers are reused. The memory is shared with other tables.
pub struct TupleStage {
    mask: Arc<TableMask>,
    /// Columns that the rules look at: none behind the last of them is.
    column_count: usize,
    /// Values that came out other than they went in, per mask.
    changed: Vec<u64>,
    /// Per mask, for its text and for its binary values.
    shares: Vec<[Share; 2]>,
    /// The columns that are looked at.
    columns: Vec<Column>,
    work: Workspace,
}

/// A column of a tuple: its kind byte, then, for a value, its length and bytes.
#[derive(Clone, Copy)]
struct Column {
    start: usize,
    length: usize,
    content: Content,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Null,
    Unchanged,
    Value(Format),
}

/// Kind byte and length.
const HEADER_BYTES: usize = 5;

impl TupleStage {
    /// `mask` is bound to the columns of the relation's tuples, in their order.
    pub fn new(mask: Arc<TableMask>) -> Self {
        let masks = match &*mask {
            TableMask::KeepAll(_) => &[],
            TableMask::Rules(masks) => masks.as_slice(),
        };
        let reach = |mask: &ColumnMask| {
            let subject = mask.subject.iter().map(|(position, _)| *position);
            subject.fold(mask.position, usize::max) + 1
        };
        Self {
            column_count: masks.iter().map(reach).max().unwrap_or(0),
            changed: vec![0; masks.len()],
            shares: masks.iter().map(|_| [Share::new(), Share::new()]).collect(),
            columns: Vec::new(),
            work: Workspace::default(),
            mask,
        }
    }

    /// Appends the masked row to `out`: a new one (`N`) or a whole old one (`O`).
    ///
    /// # Errors
    /// [`StageError`]: nothing was appended.
    pub fn mask(
        &mut self,
        tuple: Tuple<'_>,
        memo: &mut Memo,
        out: &mut MaskedRows,
    ) -> Result<MaskedRow, StageError> {
        self.append(tuple, memo, out, false)
    }

    /// Appends the masked old key (`K`) to `out`, masked as the row is, so that it finds the row.
    /// Its null columns are not of the key: a rule that is keyed by one of them cannot be repeated.
    ///
    /// # Errors
    /// [`StageError`]: nothing was appended.
    pub fn mask_key(
        &mut self,
        tuple: Tuple<'_>,
        memo: &mut Memo,
        out: &mut MaskedRows,
    ) -> Result<MaskedRow, StageError> {
        self.append(tuple, memo, out, true)
    }

    /// Values changed so far, in the order of the masks.
    pub fn changed(&self) -> &[u64] {
        &self.changed
    }

    fn append(
        &mut self,
        tuple: Tuple<'_>,
        memo: &mut Memo,
        out: &mut MaskedRows,
        is_key: bool,
    ) -> Result<MaskedRow, StageError> {
        let mask = Arc::clone(&self.mask);
        out.append(tuple, |bytes| match &*mask {
            TableMask::KeepAll(_) => {
                bytes.extend_from_slice(tuple.bytes());
                Ok(())
            }
            TableMask::Rules(masks) => self.masked(masks, (tuple, is_key), memo, bytes),
        })
    }

    fn masked(
        &mut self,
        masks: &[ColumnMask],
        (tuple, is_key): (Tuple<'_>, bool),
        memo: &mut Memo,
        out: &mut Vec<u8>,
    ) -> Result<(), StageError> {
        let Self { columns, work, .. } = self;
        index(tuple, self.column_count, columns);
        let bytes = tuple.bytes();
        let mut copied = 0;
        for ((mask, changed), shares) in masks.iter().zip(&mut self.changed).zip(&mut self.shares) {
            let missing = || StageError::Missing { column: mask.name.clone() };
            let column = columns.get(mask.position).ok_or_else(missing)?;
            let Content::Value(format) = column.content else { continue };
            let [text, binary] = shares;
            let (kind, share) = match format {
                Format::Text => (b't', text),
                Format::Binary => (b'b', binary),
            };
            out.extend_from_slice(bytes.get(copied..column.start).ok_or(StageError::Stream)?);
            copied = column.start + column.length;
            let field = column.value(bytes)?;
            let start = out.len();
            out.push(kind);
            let subject = |work: &mut Workspace| subject(mask, columns, bytes, is_key, work);
            let is_other = mask.write((format, field), (memo, share), work, out, subject)?;
            *changed += u64::from(is_other);
            if out.get(start + 1..) == Some(&(-1i32).to_be_bytes()) {
                out.truncate(start);
                out.push(b'n');
            }
        }
        out.extend_from_slice(bytes.get(copied..).ok_or(StageError::Stream)?);
        Ok(())
    }
}

impl Column {
    fn value(self, tuple: &[u8]) -> Result<&[u8], StageError> {
        let value = tuple.get(self.start + HEADER_BYTES..self.start + self.length);
        value.ok_or(StageError::Stream)
    }
}

/// Finds the first `count` columns of a tuple.
fn index(tuple: Tuple<'_>, count: usize, columns: &mut Vec<Column>) {
    columns.clear();
    let mut start = 0;
    columns.extend(tuple.columns().take(count).map(|datum| {
        let (length, content) = match datum {
            Datum::Null => (1, Content::Null),
            Datum::Unchanged => (1, Content::Unchanged),
            Datum::Text(value) => (HEADER_BYTES + value.len(), Content::Value(Format::Text)),
            Datum::Binary(value) => (HEADER_BYTES + value.len(), Content::Value(Format::Binary)),
        };
        let column = Column { start, length, content };
        start += length;
        column
    }));
}

/// Collects what keys the mask's op; a NULL adds nothing, as in a COPY.
fn subject(
    mask: &ColumnMask,
    columns: &[Column],
    bytes: &[u8],
    is_key: bool,
    work: &mut Workspace,
) -> Result<(), StageError> {
    for (position, kind) in &mask.subject {
        match columns.get(*position).map(|column| (column, column.content)) {
            Some((column, Content::Value(format))) => work
                .push_subject(kind, format, column.value(bytes)?)
                .map_err(|fault| mask.failed(fault))?,
            Some((_, Content::Null)) if !is_key => {}
            Some((_, Content::Null | Content::Unchanged)) | None => {
                return Err(StageError::Subject { column: mask.name.clone() });
            }
        }
    }
    Ok(())
}
