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

/// Which kinds of values a tuple may hold: never fewer than it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    const UNCHANGED: u8 = 1;
    const TEXT: u8 = 2;
    const BINARY: u8 = 4;

    pub fn of(datum: Datum<'_>) -> Self {
        match datum {
            Datum::Null => Self(0),
            Datum::Unchanged => Self(Self::UNCHANGED),
            Datum::Text(_) => Self(Self::TEXT),
            Datum::Binary(_) => Self(Self::BINARY),
        }
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Of a column, by its kind byte.
    fn of_byte(kind: u8) -> Self {
        Self(match kind {
            b'u' => Self::UNCHANGED,
            b't' => Self::TEXT,
            b'b' => Self::BINARY,
            _ => 0,
        })
    }

    pub fn has_unchanged(self) -> bool {
        self.0 & Self::UNCHANGED != 0
    }

    pub fn has_text(self) -> bool {
        self.0 & Self::TEXT != 0
    }

    pub fn has_binary(self) -> bool {
        self.0 & Self::BINARY != 0
    }
}

/// A row: for each column a kind byte (`n`, `u`, `t`, `b`) and, for the latter two, length and
/// bytes. The bytes are well-formed: whoever makes a `Tuple` has walked them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tuple<'a> {
    count: u16,
    kinds: Kinds,
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
        let mut kinds = Kinds::default();
        for _ in 0..count {
            let column = bytes.get(at..)?;
            kinds = kinds.and(Kinds::of_byte(*column.first()?));
            at += column_length(column)?;
        }
        let (tuple, rest) = bytes.split_at_checked(at)?;
        Some((Self { count, kinds, bytes: tuple }, rest))
    }

    /// The tuple that is all of `bytes`, which the caller made or walked before.
    pub(crate) fn walked(count: u16, kinds: Kinds, bytes: &'a [u8]) -> Self {
        debug_assert!(
            Self::split(count, bytes)
                .is_some_and(|(tuple, rest)| rest.is_empty() && tuple.kinds.0 & !kinds.0 == 0)
        );
        Self { count, kinds, bytes }
    }

    pub fn column_count(&self) -> u16 {
        self.count
    }

    pub fn kinds(&self) -> Kinds {
        self.kinds
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
