//! [`MaskedRows`] is to the stream what [`Frames`](super::Frames) is to a COPY: the only rows
//! that a sink takes.
//!
//! It has two makers: [`TupleStage`](super::TupleStage), and [`MaskedRows::read`], for what
//! [`MaskedRows::write`] has put away: a spilled or a quarantined transaction.

use super::StageError;
use crate::pg::pgoutput::{Kinds, Tuple};

/// Masked or explicitly kept tuples, one behind another in one buffer.
#[derive(Default)]
pub struct MaskedRows {
    bytes: Vec<u8>,
}

/// Where a tuple stands in its [`MaskedRows`]. Small: of each change there are several copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskedRow {
    start: u32,
    length: u32,
    column_count: u16,
    kinds: Kinds,
}

impl MaskedRows {
    /// # Panics
    /// If the row is not of these rows.
    pub fn tuple(&self, row: MaskedRow) -> Tuple<'_> {
        // A MaskedRow is only made by its MaskedRows, of a tuple that was walked or masked.
        Tuple::walked(row.column_count, row.kinds, self.encoded(row))
    }

    pub fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes that it has room for.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Forgets the rows that were added since [`MaskedRows::byte_count`] was `byte_count`.
    pub fn truncate(&mut self, byte_count: usize) {
        self.bytes.truncate(byte_count);
    }

    /// Adds a row of others.
    ///
    /// # Panics
    /// If the row is not of those rows, or with 4 GiB in these.
    pub fn copy(&mut self, others: &Self, row: MaskedRow) -> MaskedRow {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(others.encoded(row));
        MaskedRow { start: offset(start).expect(HELD), ..row }
    }

    /// Appends a row to a byte stream: its number of columns (2 bytes), its length (4 bytes, both
    /// big-endian), its columns as pgoutput encodes them.
    ///
    /// # Panics
    /// If the row is not of these rows.
    pub fn write(&self, row: MaskedRow, out: &mut Vec<u8>) {
        let tuple = self.encoded(row);
        out.extend_from_slice(&row.column_count.to_be_bytes());
        out.extend_from_slice(&row.length.to_be_bytes());
        out.extend_from_slice(tuple);
    }

    /// Adds the row at the start of `bytes`, which [`MaskedRows::write`] has written, and moves
    /// `bytes` behind it. Only ever called with what this program has masked and put away itself.
    /// None, with nothing added or moved, if there is no whole row.
    pub fn read(&mut self, bytes: &mut &[u8]) -> Option<MaskedRow> {
        let (count, rest) = bytes.split_first_chunk::<2>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let column_count = u16::from_be_bytes(*count);
        let length = u32::from_be_bytes(*length);
        let (bytes_of_tuple, rest) = rest.split_at_checked(length as usize)?;
        let (tuple, behind) = Tuple::split(column_count, bytes_of_tuple)?;
        if !behind.is_empty() {
            return None;
        }
        let start = offset(self.bytes.len())?;
        self.bytes.extend_from_slice(tuple.bytes());
        *bytes = rest;
        Some(MaskedRow { start, length, column_count, kinds: tuple.kinds() })
    }

    /// Adds the row that `make` appends of a tuple, or nothing if it fails. A masked value has the
    /// kind of the one that it stands for, or is null.
    pub(super) fn append(
        &mut self,
        tuple: Tuple<'_>,
        make: impl FnOnce(&mut Vec<u8>) -> Result<(), StageError>,
    ) -> Result<MaskedRow, StageError> {
        let start = self.bytes.len();
        let place = make(&mut self.bytes).and_then(|()| {
            let length = self.bytes.len() - start;
            offset(start).zip(offset(length)).ok_or(StageError::Large)
        });
        let (start, length) = place.inspect_err(|_| self.bytes.truncate(start))?;
        let (column_count, kinds) = (tuple.column_count(), tuple.kinds());
        Ok(MaskedRow { start, length, column_count, kinds })
    }

    /// Reads a byte of each cache line of these rows, which lie anywhere: one after the other, as
    /// they are used, each would be waited for. For nothing but speed.
    pub fn warm(&self, rows: impl Iterator<Item = MaskedRow>) {
        let lines = rows.flat_map(|row| self.encoded(row).iter().step_by(CACHE_LINE_BYTES));
        std::hint::black_box(lines.fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
    }

    fn encoded(&self, row: MaskedRow) -> &[u8] {
        let start = row.start as usize;
        self.bytes
            .get(start..start + row.length as usize)
            .expect("a MaskedRow is only used with the MaskedRows that made it")
    }
}

const CACHE_LINE_BYTES: usize = 64;
const HELD: &str = "what is held is put away or handed over long before it has 4 GiB";

fn offset(bytes: usize) -> Option<u32> {
    u32::try_from(bytes).ok()
}
