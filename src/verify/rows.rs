//! Rows out of CopyData frames, field by field, in either format.
//! Source: <https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS>

use crate::pg::Format;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const TRAILER: [u8; 2] = [0xff, 0xff];
const NULL: &[u8] = b"\\N";
/// Tag and length of a CopyData message.
const HEADER_BYTES: usize = 5;

/// The stream is not what a COPY of these columns sends.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a COPY stream is not in the format that was asked for")]
pub(super) struct NotARow;

/// Where the fields of a row lie: start and length, `None` for NULL.
pub(super) type Fields = Vec<Option<(usize, usize)>>;

/// One row; its fields are looked up by position.
#[derive(Clone, Copy)]
pub(super) struct Row<'r> {
    bytes: &'r [u8],
    fields: &'r [Option<(usize, usize)>],
}

impl<'r> Row<'r> {
    /// As COPY sent it, without the end of a line.
    pub(super) fn bytes(&self) -> &'r [u8] {
        self.bytes
    }

    /// `None` for NULL.
    pub(super) fn field(&self, position: usize) -> Option<&'r [u8]> {
        let (start, length) = (*self.fields.get(position)?)?;
        self.bytes.get(start..start + length)
    }
}

/// Walks over the rows of whole CopyData frames.
pub(super) struct Rows<'f> {
    format: Format,
    column_count: usize,
    /// Frames behind the one that is being read.
    frames: &'f [u8],
    payload: &'f [u8],
}

impl<'f> Rows<'f> {
    pub(super) fn new(format: Format, column_count: usize, frames: &'f [u8]) -> Self {
        Self { format, column_count, frames, payload: &[] }
    }

    /// The next row; `fields` is overwritten.
    pub(super) fn next<'r>(&mut self, fields: &'r mut Fields) -> Result<Option<Row<'r>>, NotARow>
    where
        'f: 'r,
    {
        loop {
            // A frame may hold nothing but the header.
            while self.payload.is_empty() {
                if !self.next_frame()? {
                    return Ok(None);
                }
            }
            let length = match self.format {
                Format::Text => Some(line(self.payload, fields)?),
                Format::Binary => self.binary(fields)?,
            };
            let Some(length) = length else { continue };
            let (bytes, rest) = self.payload.split_at_checked(length).ok_or(NotARow)?;
            // The end of a line is not of the row.
            self.payload = match self.format {
                Format::Text => rest.get(1..).unwrap_or_default(),
                Format::Binary => rest,
            };
            if self.column_count == 0 && bytes.is_empty() {
                fields.clear();
            }
            if fields.len() != self.column_count {
                return Err(NotARow);
            }
            return Ok(Some(Row { bytes, fields }));
        }
    }

    fn next_frame(&mut self) -> Result<bool, NotARow> {
        let Some((header, after)) = self.frames.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(false);
        };
        let [_, length @ ..] = *header;
        let length = (u32::from_be_bytes(length) as usize).checked_sub(4).ok_or(NotARow)?;
        (self.payload, self.frames) = after.split_at_checked(length).ok_or(NotARow)?;
        if self.format == Format::Binary && self.payload.starts_with(SIGNATURE) {
            let extension = self.payload.get(15..19).and_then(|bytes| bytes.try_into().ok());
            let length = 19 + extension.map(u32::from_be_bytes).ok_or(NotARow)? as usize;
            self.payload = self.payload.get(length..).ok_or(NotARow)?;
        }
        Ok(true)
    }

    /// Length of the row at the start of the payload; `None` for the trailer.
    fn binary(&mut self, fields: &mut Fields) -> Result<Option<usize>, NotARow> {
        if self.payload == TRAILER {
            self.payload = &[];
            return Ok(None);
        }
        fields.clear();
        let count = u16::from_be_bytes(*self.payload.first_chunk().ok_or(NotARow)?);
        let mut at = 2;
        for _ in 0..count {
            let rest = self.payload.get(at..).ok_or(NotARow)?;
            let length = i32::from_be_bytes(*rest.first_chunk().ok_or(NotARow)?);
            at += 4;
            let Ok(length) = usize::try_from(length) else {
                fields.push(None);
                continue;
            };
            fields.push(Some((at, length)));
            at = at.checked_add(length).ok_or(NotARow)?;
        }
        Ok(Some(at))
    }
}

/// A newline or a tab inside a value is escaped, so a bare one ends the row or the field. A row
/// without columns is an empty line.
fn line(payload: &[u8], fields: &mut Fields) -> Result<usize, NotARow> {
    fields.clear();
    let end = memchr::memchr(b'\n', payload).ok_or(NotARow)?;
    let line = payload.get(..end).ok_or(NotARow)?;
    let mut start = 0;
    for stop in memchr::memchr_iter(b'\t', line).chain(std::iter::once(line.len())) {
        let field = line.get(start..stop).unwrap_or_default();
        fields.push((field != NULL).then_some((start, field.len())));
        start = stop + 1;
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::{Fields, NotARow, Rows};
    use crate::pg::Format;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len() + 4).unwrap();
        [b"d", length.to_be_bytes().as_slice(), payload].concat()
    }

    fn read(
        format: Format,
        columns: usize,
        frames: &[u8],
    ) -> Result<Vec<Vec<Option<Vec<u8>>>>, NotARow> {
        let (mut rows, mut fields) = (Rows::new(format, columns, frames), Fields::new());
        let mut found = Vec::new();
        while let Some(row) = rows.next(&mut fields)? {
            found.push((0..columns).map(|at| row.field(at).map(<[u8]>::to_vec)).collect());
        }
        Ok(found)
    }

    #[test]
    fn rows_are_read_in_text_and_in_binary_however_many_a_frame_holds() {
        let some = |text: &str| Some(text.as_bytes().to_vec());
        let expected = vec![vec![some("a"), None], vec![some(""), some("c\\n")]];
        let text = [frame(b"a\t\\N\n\tc\\\\n\n"), frame(b"")].concat();
        let found = read(Format::Text, 2, &text).unwrap();
        assert_eq!(found[0], expected[0]);
        assert_eq!(found[1][1], some("c\\\\n"));

        let row = |fields: &[Option<&[u8]>]| {
            let mut bytes = u16::try_from(fields.len()).unwrap().to_be_bytes().to_vec();
            for field in fields {
                bytes.extend(
                    field.map_or(-1, |field| i32::try_from(field.len()).unwrap()).to_be_bytes(),
                );
                bytes.extend(field.unwrap_or_default());
            }
            bytes
        };
        let header = [b"PGCOPY\n\xff\r\n\0".as_slice(), &[0; 8]].concat();
        let (one, two) = (row(&[Some(b"a"), None]), row(&[Some(b""), Some(b"c\\n")]));
        let binary =
            [frame(&header), frame(&[one.clone(), two.clone()].concat()), frame(&[0xff, 0xff])]
                .concat();
        assert_eq!(read(Format::Binary, 2, &binary).unwrap(), expected);
        let joined = [frame(&[header, one].concat()), frame(&two)].concat();
        assert_eq!(read(Format::Binary, 2, &joined).unwrap(), expected);
    }

    #[test]
    fn a_row_with_another_number_of_columns_is_none() {
        assert_eq!(read(Format::Text, 2, &frame(b"a\n")), Err(NotARow));
        assert_eq!(read(Format::Binary, 1, &frame(&[0, 1, 0, 0, 0, 9, 1])), Err(NotARow));
    }
}
