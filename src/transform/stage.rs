//! The stage: whole COPY frames in, whole COPY frames out, with every ruled column masked.
//!
//! [`Frames`] is what may reach a sink. It has two makers: [`Stage::run`], and [`KeepAll::pass`]
//! for a table of which every column is kept by decision. Nothing else in the crate can make one.
//! The rows of a stream have [`MaskedRows`] and [`TupleStage`] instead.

mod binary;
mod field;
mod memo;
mod rows;
mod text;
mod tuple;

use crate::pg::{Format, Kind};
use crate::transform::Fault;
use crate::transform::op::Op;
use field::Workspace;
use memo::Share;

pub(super) use field::push_canonical;
pub use memo::Memo;
pub use rows::{MaskedRow, MaskedRows};
pub(super) use text::unescape;
pub use tuple::TupleStage;

/// Masked or explicitly kept rows as CopyData messages, ready to send.
#[derive(Clone, Copy)]
pub struct Frames<'a>(&'a [u8]);

impl<'a> Frames<'a> {
    /// For sinks.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }
}

/// One ruled column of a table.
pub struct ColumnMask {
    /// Position in the COPY's column list.
    pub position: usize,
    pub name: String,
    /// The column's kind; a rule on an array works on its elements.
    pub kind: Kind,
    pub treatment: Treatment,
    /// Positions and kinds of the columns whose raw values key the op.
    pub subject: Vec<(usize, Kind)>,
}

/// NULL needs no codec, so it can stand in for a value of any type.
pub enum Treatment {
    Null,
    Transform(Box<Op>),
}

/// What to do with the rows of one table; shared by all workers.
pub enum TableMask {
    /// No column has a rule.
    KeepAll(KeepAll),
    Rules(Vec<ColumnMask>),
}

/// The decision that every column of a table is kept, as a value.
pub struct KeepAll(());

impl KeepAll {
    /// The frames of a table without rules, as they came.
    pub fn pass<'a>(&self, raw: &'a [u8]) -> Frames<'a> {
        Frames(raw)
    }
}

impl TableMask {
    /// `masks` in column order. None means that every column is kept by the plan.
    pub fn new(mut masks: Vec<ColumnMask>) -> Self {
        if masks.is_empty() {
            return Self::KeepAll(KeepAll(()));
        }
        masks.sort_by_key(|mask| mask.position);
        Self::Rules(masks)
    }
}

/// A row that could not be masked. Says where, never what.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    #[error("column {column}: {fault}")]
    Column { column: String, fault: Fault },
    #[error("column {column}: a column that keys its rule was not sent with the row")]
    Subject { column: String },
    #[error("column {column}: the row is too short to hold it")]
    Missing { column: String },
    #[error("the source's COPY stream is not in the format that was asked for")]
    Stream,
    #[error("a row that would end behind 4 GiB: exclude its table, or make its values shorter")]
    Large,
}

/// Masks the rows of one table; one per worker, its buffers are reused.
pub struct Stage<'m> {
    masks: &'m [ColumnMask],
    format: Format,
    column_count: usize,
    /// Values that came out other than they went in, per mask.
    changed: Vec<u64>,
    memo: Memo,
    /// Per mask.
    shares: Vec<Share>,
    scratch: Scratch,
    out: Vec<u8>,
}

#[derive(Default)]
struct Scratch {
    /// Start and length of each field of the row; `None` is NULL.
    fields: Vec<Option<(usize, usize)>>,
    work: Workspace,
    unescaped: Vec<u8>,
    encoded: Vec<u8>,
}

/// A CopyData message is closed when it has grown to this size.
const MESSAGE_BYTES: usize = 64 * 1024;
/// Tag and length of a CopyData message.
const HEADER_BYTES: usize = 5;

impl<'m> Stage<'m> {
    pub fn new(masks: &'m [ColumnMask], format: Format, column_count: usize) -> Self {
        let changed = vec![0; masks.len()];
        let shares = masks.iter().map(|_| Share::new()).collect();
        Self {
            masks,
            format,
            column_count,
            changed,
            memo: Memo::default(),
            shares,
            scratch: Scratch::default(),
            out: Vec::new(),
        }
    }

    /// Masks whole CopyData frames as they came from the source.
    ///
    /// # Errors
    /// [`StageError`]: nothing of the batch may be used then.
    pub fn run(&mut self, raw: &[u8]) -> Result<Frames<'_>, StageError> {
        self.out.clear();
        let mut open = self.open();
        let mut rest = raw;
        while let Some((header, after)) = rest.split_first_chunk::<HEADER_BYTES>() {
            let [_, length @ ..] = *header;
            let length =
                (u32::from_be_bytes(length) as usize).checked_sub(4).ok_or(StageError::Stream)?;
            let (payload, after) = after.split_at_checked(length).ok_or(StageError::Stream)?;
            match self.format {
                Format::Binary => self.binary(payload)?,
                Format::Text => self.text(payload)?,
            }
            if self.out.len() - open >= MESSAGE_BYTES {
                self.close(open)?;
                open = self.open();
            }
            rest = after;
        }
        if self.out.len() == open + HEADER_BYTES {
            self.out.truncate(open);
        } else {
            self.close(open)?;
        }
        Ok(Frames(&self.out))
    }

    /// Values changed so far, in the order of the masks.
    pub fn changed(&self) -> &[u64] {
        &self.changed
    }

    fn open(&mut self) -> usize {
        let start = self.out.len();
        self.out.extend_from_slice(b"d\0\0\0\0");
        start
    }

    fn close(&mut self, start: usize) -> Result<(), StageError> {
        let length = u32::try_from(self.out.len() - start - 1).map_err(|_| StageError::Stream)?;
        if let Some(place) = self.out.get_mut(start + 1..start + HEADER_BYTES) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
