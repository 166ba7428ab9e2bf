//! A row's image: the bytes that are hashed, equal on both sides for equal rows.

use super::digest::Keys;
use super::pairing::{Form, Pair, PairColumn};
use super::rows::Row;
use crate::transform::Reader;

/// Makes images; one per thread, its buffers are reused.
pub(super) struct Imager<'k> {
    pub(super) keys: &'k Keys,
    pub(super) reader: Reader,
    image: Vec<u8>,
}

/// Hashes of a row: of its key (of all of it without one) and of all of it.
#[derive(Clone, Copy)]
pub(super) struct Hashes {
    pub(super) key: u128,
    pub(super) row: u128,
}

impl<'k> Imager<'k> {
    pub(super) fn new(keys: &'k Keys) -> Self {
        Self { keys, reader: Reader::default(), image: Vec::new() }
    }

    /// `order`: where each column of the pair stands in the row.
    pub(super) fn hashes(&mut self, pair: &Pair, order: &[usize], row: Row<'_>) -> Hashes {
        if !pair.is_direct {
            return self.hashes_by_column(pair, order, row);
        }
        let of_row = self.keys.row(row.bytes());
        Hashes { key: self.key(pair, order, row).unwrap_or(of_row), row: of_row }
    }

    /// The same, whatever stands in the row beside the columns of the pair.
    pub(super) fn hashes_by_column(
        &mut self,
        pair: &Pair,
        order: &[usize],
        row: Row<'_>,
    ) -> Hashes {
        self.image.clear();
        for (column, position) in pair.columns.iter().zip(order) {
            self.push(column, pair, row.field(*position));
        }
        let of_row = self.keys.row(&self.image);
        Hashes { key: self.key(pair, order, row).unwrap_or(of_row), row: of_row }
    }

    fn key(&mut self, pair: &Pair, order: &[usize], row: Row<'_>) -> Option<u128> {
        if pair.key.is_empty() {
            return None;
        }
        self.image.clear();
        for at in &pair.key {
            if let (Some(column), Some(position)) = (pair.columns.get(*at), order.get(*at)) {
                self.push(column, pair, row.field(*position));
            }
        }
        Some(self.keys.key(&self.image))
    }

    /// Hash of one column's value; zero for NULL.
    pub(super) fn value(&mut self, column: &PairColumn, pair: &Pair, field: Option<&[u8]>) -> u64 {
        if field.is_none() {
            return 0;
        }
        self.image.clear();
        self.push(column, pair, field);
        self.keys.value(&self.image)
    }

    /// A length stands before each value, so that no two rows have one image.
    fn push(&mut self, column: &PairColumn, pair: &Pair, field: Option<&[u8]>) {
        let start = self.image.len();
        self.image.extend_from_slice(&[0; 8]);
        let mut length = u64::MAX;
        if let Some(field) = field {
            let stored = column.form == Form::Stored
                && self
                    .reader
                    .push_stored(&column.kind, pair.format, field, &mut self.image)
                    .is_ok();
            if !stored {
                // A value that cannot be read is compared as it is.
                self.image.truncate(start + 8);
                self.image.extend_from_slice(field);
            }
            length = (self.image.len() - start - 8) as u64;
        }
        if let Some(place) = self.image.get_mut(start..start + 8) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }
}
