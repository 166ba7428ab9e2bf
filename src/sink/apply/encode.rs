//! Values as the bytes of COPY rows and of arrays.
//!
//! Binary values and arrays: `array_recv` (arrayfuncs.c). Text:
//! <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2>,
//! <https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO>.

use crate::pg::pgoutput::{Datum, Tuple};
use crate::pg::{Format, Oid, Parameters};

/// Signature, flags and extension length in front of a binary COPY.
pub(super) const COPY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Behind its last row.
pub(super) const COPY_TRAILER: &[u8] = &[0xff, 0xff];

/// A value of another format, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WrongFormat;

/// Appends one row of a COPY.
pub(super) fn copy_row<'a>(
    out: &mut Vec<u8>,
    format: Format,
    count: usize,
    values: impl Iterator<Item = Datum<'a>>,
) -> Result<(), WrongFormat> {
    match format {
        Format::Binary => {
            let count = u16::try_from(count).map_err(|_| WrongFormat)?;
            out.extend_from_slice(&count.to_be_bytes());
            for value in values {
                match value {
                    Datum::Null => out.extend_from_slice(&(-1_i32).to_be_bytes()),
                    Datum::Binary(bytes) => put_binary(out, bytes),
                    Datum::Text(_) | Datum::Unchanged => return Err(WrongFormat),
                }
            }
        }
        Format::Text => {
            for (at, value) in values.enumerate() {
                if at > 0 {
                    out.push(b'\t');
                }
                match value {
                    Datum::Null => out.extend_from_slice(b"\\N"),
                    Datum::Text(bytes) => put_copy_text(out, bytes),
                    Datum::Binary(_) | Datum::Unchanged => return Err(WrongFormat),
                }
            }
            out.push(b'\n');
        }
    }
    Ok(())
}

/// Appends a tuple whose columns are all written as one row of a binary COPY: what pgoutput puts
/// in front of a value is its kind and its length, of which COPY takes the length.
pub(super) fn copy_tuple(out: &mut Vec<u8>, tuple: Tuple<'_>) -> Result<(), WrongFormat> {
    out.reserve(tuple.bytes().len() + 2);
    out.extend_from_slice(&tuple.column_count().to_be_bytes());
    let mut rest = tuple.bytes();
    while let Some((kind, behind)) = rest.split_first() {
        rest = match kind {
            b'b' => {
                let length = behind.first_chunk().copied().map(u32::from_be_bytes);
                let whole = length.unwrap_or(0) as usize + 4;
                let (value, rest) = behind.split_at_checked(whole).ok_or(WrongFormat)?;
                out.extend_from_slice(value);
                rest
            }
            b'n' => {
                out.extend_from_slice(&(-1_i32).to_be_bytes());
                behind
            }
            _ => return Err(WrongFormat),
        };
    }
    Ok(())
}

fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    // A field has at most 1 GB.
    let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

fn put_copy_text(out: &mut Vec<u8>, bytes: &[u8]) {
    put_escaped(out, bytes, |byte| match byte {
        b'\\' => Some(b'\\'),
        b'\t' => Some(b't'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        _ => None,
    });
}

/// Copies runs; a byte that `escape` knows becomes a backslash and what it says.
fn put_escaped(out: &mut Vec<u8>, bytes: &[u8], escape: impl Fn(u8) -> Option<u8>) {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| escape(*byte).is_some()) {
        let (run, from) = rest.split_at(at);
        out.extend_from_slice(run);
        let Some((byte, behind)) = from.split_first() else { break };
        out.extend([b'\\', escape(*byte).unwrap_or(*byte)]);
        rest = behind;
    }
    out.extend_from_slice(rest);
}

/// The values of one column on their way into an array. Reused.
#[derive(Default)]
pub(super) struct Array {
    elements: Vec<u8>,
    count: u32,
    /// That of the values so far; None while all are null.
    format: Option<Format>,
    /// Nulls in front of the first value: written once its format is known.
    leading_nulls: u32,
    has_null: bool,
}

impl Array {
    pub(super) fn clear(&mut self) {
        self.elements.clear();
        *self = Self { elements: std::mem::take(&mut self.elements), ..Self::default() };
    }

    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    pub(super) fn byte_count(&self) -> usize {
        self.elements.len()
    }

    pub(super) fn push(&mut self, value: Datum<'_>) -> Result<(), WrongFormat> {
        match value {
            Datum::Null => {
                self.has_null = true;
                match self.format {
                    Some(format) => self.put_null(format),
                    None => self.leading_nulls += 1,
                }
            }
            Datum::Binary(bytes) => {
                self.settle(Format::Binary)?;
                put_binary(&mut self.elements, bytes);
            }
            Datum::Text(bytes) => {
                self.settle(Format::Text)?;
                self.separate();
                self.elements.push(b'"');
                put_escaped(&mut self.elements, bytes, |byte| {
                    matches!(byte, b'\\' | b'"').then_some(byte)
                });
                self.elements.push(b'"');
            }
            Datum::Unchanged => return Err(WrongFormat),
        }
        self.count += 1;
        Ok(())
    }

    fn settle(&mut self, format: Format) -> Result<(), WrongFormat> {
        if self.format.is_none() {
            self.format = Some(format);
            for _ in 0..std::mem::take(&mut self.leading_nulls) {
                self.put_null(format);
            }
        }
        if self.format == Some(format) { Ok(()) } else { Err(WrongFormat) }
    }

    fn put_null(&mut self, format: Format) {
        match format {
            Format::Binary => self.elements.extend_from_slice(&(-1_i32).to_be_bytes()),
            Format::Text => {
                self.separate();
                self.elements.extend_from_slice(b"NULL");
            }
        }
    }

    fn separate(&mut self) {
        if !self.elements.is_empty() {
            self.elements.push(b',');
        }
    }

    /// Appends the array of elements of that type as a parameter.
    pub(super) fn bind(&mut self, element_type: Oid, parameters: &mut Parameters) {
        if self.format.is_none() {
            // All are null: text needs to know nothing of the type.
            self.format = Some(Format::Text);
            for _ in 0..std::mem::take(&mut self.leading_nulls) {
                self.put_null(Format::Text);
            }
        }
        if self.format == Some(Format::Text) {
            return parameters.push_with(Format::Text, |out| {
                out.push(b'{');
                out.extend_from_slice(&self.elements);
                out.push(b'}');
            });
        }
        parameters.push_with(Format::Binary, |out| {
            // Dimensions, flags, element type, length and lower bound of the one dimension.
            for word in [1, u32::from(self.has_null), element_type.0, self.count, 1] {
                out.extend_from_slice(&word.to_be_bytes());
            }
            out.extend_from_slice(&self.elements);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Array, WrongFormat, copy_row, copy_tuple};
    use crate::pg::Format;
    use crate::pg::pgoutput::{Datum, Tuple};

    #[test]
    fn text_rows_escape_what_copy_would_read() {
        let mut out = Vec::new();
        let row =
            [Datum::Text(b"a\tb\\c\nd\r"), Datum::Null, Datum::Text(b""), Datum::Text(b"\\.")];
        copy_row(&mut out, Format::Text, 4, row.into_iter()).unwrap();
        assert_eq!(out, b"a\\tb\\\\c\\nd\\r\t\\N\t\t\\\\.\n");
        let mixed = copy_row(&mut out, Format::Binary, 1, [Datum::Text(b"a")].into_iter());
        assert_eq!(mixed, Err(WrongFormat));
    }

    #[test]
    fn a_whole_tuple_becomes_the_row_that_its_values_make() {
        let bytes = b"b\0\0\0\x03abcnb\0\0\0\0b\0\0\0\x01x";
        let (tuple, _) = Tuple::split(4, bytes).unwrap();
        let (mut whole, mut by_value) = (Vec::new(), Vec::new());
        copy_tuple(&mut whole, tuple).unwrap();
        copy_row(&mut by_value, Format::Binary, 4, tuple.columns()).unwrap();
        assert_eq!(whole, by_value);
        for other in [&b"u"[..], b"t\0\0\0\x01x"] {
            let (tuple, _) = Tuple::split(1, other).unwrap();
            assert_eq!(copy_tuple(&mut Vec::new(), tuple), Err(WrongFormat));
        }
    }

    #[test]
    fn an_array_takes_the_format_of_its_first_value() {
        let mut array = Array::default();
        for value in [Datum::Null, Datum::Text(b"a\"\\,{}"), Datum::Null, Datum::Text(b"NULL")] {
            array.push(value).unwrap();
        }
        assert_eq!(array.elements, br#"NULL,"a\"\\,{}",NULL,"NULL""#);
        assert_eq!(array.push(Datum::Binary(b"")), Err(WrongFormat));
        array.clear();
        array.push(Datum::Null).unwrap();
        array.push(Datum::Binary(b"x")).unwrap();
        assert_eq!(array.elements, [255, 255, 255, 255, 0, 0, 0, 1, b'x']);
        assert_eq!((array.count, array.has_null), (2, true));
    }
}
