//! Tuples: the columns of one row.
//! Source: `TupleData` in
//! <https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html>

use std::fmt;

/// One column of a tuple. `Debug` prints its shape only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Datum<'a> {
    Null,
    /// A toasted value that the change did not touch: it was not sent.
    Unchanged,
    /// As the type's output function writes it.
    Text(&'a [u8]),
    /// As the type's send function writes it.
    Binary(&'a [u8]),
}

impl fmt::Debug for Datum<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Unchanged => f.write_str("unchanged"),
            Self::Text(bytes) => write!(f, "text, {} bytes", bytes.len()),
            Self::Binary(bytes) => write!(f, "binary, {} bytes", bytes.len()),
        }
    }
}

/// A row: for each column a kind byte (`n`, `u`, `t`, `b`) and, for the latter two, length and
/// bytes. The bytes are well-formed: whoever makes a `Tuple` has walked them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tuple<'a> {
    count: u16,
    bytes: &'a [u8],
}

impl fmt::Debug for Tuple<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.columns()).finish()
    }
}

impl<'a> Tuple<'a> {
    /// The tuple of `count` columns at the start of `bytes`, and what is behind it.
    pub fn split(count: u16, bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut at = 0;
        for _ in 0..count {
            at += column_length(bytes.get(at..)?)?;
        }
        let (tuple, rest) = bytes.split_at_checked(at)?;
        Some((Self { count, bytes: tuple }, rest))
    }

    /// The tuple that is all of `bytes`, which the caller made or walked before.
    pub(crate) fn walked(count: u16, bytes: &'a [u8]) -> Self {
        debug_assert!(Self::split(count, bytes).is_some_and(|(_, rest)| rest.is_empty()));
        Self { count, bytes }
    }

    pub fn column_count(&self) -> u16 {
        self.count
    }

    /// The columns as they stand on the wire, without the count.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn columns(&self) -> Columns<'a> {
        Columns { rest: self.bytes }
    }
}

fn column_length(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        b'n' | b'u' => Some(1),
        b't' | b'b' => {
            let length = u32::from_be_bytes(*bytes.get(1..)?.first_chunk::<4>()?) as usize;
            let whole = length.checked_add(5)?;
            (whole <= bytes.len()).then_some(whole)
        }
        _ => None,
    }
}

/// The columns of a tuple, in order.
#[derive(Clone)]
pub struct Columns<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Columns<'a> {
    type Item = Datum<'a>;

    fn next(&mut self) -> Option<Datum<'a>> {
        let (column, rest) = self.rest.split_at_checked(column_length(self.rest)?)?;
        self.rest = rest;
        let value = || column.get(5..).unwrap_or_default();
        Some(match column.first()? {
            b'n' => Datum::Null,
            b't' => Datum::Text(value()),
            b'b' => Datum::Binary(value()),
            _ => Datum::Unchanged,
        })
    }
}
