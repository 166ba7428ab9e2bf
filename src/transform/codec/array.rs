//! Arrays: a rule on an array column is applied to every element.
//! Source: `array_send`, `array_out` (arrayfuncs.c).

use crate::transform::Fault;

/// Called with an element's bytes; appends what stands for it, or says that it is NULL now.
/// Returns false for NULL.
pub(crate) type Lift<'f> = dyn FnMut(&[u8], &mut Vec<u8>) -> Result<bool, Fault> + 'f;

/// Most dimensions of an array (`MAXDIM`).
const DIMENSION_LIMIT: usize = 6;

fn word(bytes: &mut &[u8]) -> Result<i32, Fault> {
    let (head, rest) = bytes.split_first_chunk::<4>().ok_or(Fault::Malformed)?;
    *bytes = rest;
    Ok(i32::from_be_bytes(*head))
}

/// Binary: dimensions, has-null flag, element type, (length, lower bound) per dimension, then
/// length-prefixed elements.
pub(crate) fn lift_binary(
    array: &[u8],
    out: &mut Vec<u8>,
    lift: &mut Lift<'_>,
) -> Result<(), Fault> {
    let start = out.len();
    let mut rest = array;
    let dimensions = usize::try_from(word(&mut rest)?).map_err(|_| Fault::Malformed)?;
    if dimensions > DIMENSION_LIMIT {
        return Err(Fault::Malformed);
    }
    let header = 12 + dimensions * 8;
    out.extend_from_slice(array.get(..header).ok_or(Fault::Malformed)?);
    rest = array.get(header..).ok_or(Fault::Malformed)?;
    let mut has_null = false;
    while !rest.is_empty() {
        let Ok(length) = usize::try_from(word(&mut rest)?) else {
            has_null = true;
            out.extend_from_slice(&(-1i32).to_be_bytes());
            continue;
        };
        let element = rest.get(..length).ok_or(Fault::Malformed)?;
        rest = rest.get(length..).ok_or(Fault::Malformed)?;
        has_null |= !prefixed(out, |out| lift(element, out))?;
    }
    if let Some(flag) = out.get_mut(start + 4..start + 8) {
        flag.copy_from_slice(&i32::from(has_null).to_be_bytes());
    }
    Ok(())
}

/// Appends a 4-byte length and what `write` appends; -1 and nothing if it says NULL.
pub(crate) fn prefixed(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<bool, Fault>,
) -> Result<bool, Fault> {
    let start = out.len();
    out.extend_from_slice(&(-1i32).to_be_bytes());
    let present = write(out)?;
    if present {
        let length = i32::try_from(out.len() - start - 4).map_err(|_| Fault::TooLong)?;
        if let Some(place) = out.get_mut(start..start + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    } else {
        out.truncate(start + 4);
    }
    Ok(present)
}

/// Text: `[2:3]={"a","b\"c",NULL,{…}}`. Elements come out always quoted.
pub(crate) fn lift_text(
    array: &[u8],
    element: &mut Vec<u8>,
    out: &mut Vec<u8>,
    lift: &mut Lift<'_>,
) -> Result<(), Fault> {
    let open = memchr::memchr(b'{', array).ok_or(Fault::Malformed)?;
    out.extend_from_slice(array.get(..open).unwrap_or_default());
    let mut rest = array.get(open..).unwrap_or_default();
    while let Some((&byte, after)) = rest.split_first() {
        if matches!(byte, b'{' | b'}' | b',') {
            out.push(byte);
            rest = after;
            continue;
        }
        let quoted = byte == b'"';
        rest = read_element(rest, quoted, element)?;
        if !quoted && element == b"NULL" {
            out.extend_from_slice(b"NULL");
        } else {
            write_element(element, out, lift)?;
        }
    }
    Ok(())
}

fn read_element<'a>(
    text: &'a [u8],
    quoted: bool,
    element: &mut Vec<u8>,
) -> Result<&'a [u8], Fault> {
    element.clear();
    let mut rest = if quoted { text.get(1..).unwrap_or_default() } else { text };
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b'"' if quoted => return Ok(after),
            b',' | b'}' if !quoted => return Ok(rest),
            b'\\' => {
                let (&escaped, after) = after.split_first().ok_or(Fault::Malformed)?;
                element.push(escaped);
                rest = after;
                continue;
            }
            _ => element.push(byte),
        }
        rest = after;
    }
    Err(Fault::Malformed)
}

fn write_element(element: &[u8], out: &mut Vec<u8>, lift: &mut Lift<'_>) -> Result<(), Fault> {
    let start = out.len();
    out.push(b'"');
    if !lift(element, out)? {
        out.truncate(start);
        out.extend_from_slice(b"NULL");
        return Ok(());
    }
    // Escape in place, from the end, so that no second buffer is needed.
    let extra = out.iter().skip(start + 1).filter(|byte| matches!(byte, b'"' | b'\\')).count();
    let mut from = out.len();
    out.resize(from + extra, 0);
    let mut to = out.len();
    while to > from {
        from -= 1;
        let byte = out.get(from).copied().unwrap_or_default();
        to -= 1;
        set(out, to, byte);
        if matches!(byte, b'"' | b'\\') {
            to -= 1;
            set(out, to, b'\\');
        }
    }
    out.push(b'"');
    Ok(())
}

fn set(bytes: &mut [u8], at: usize, byte: u8) {
    if let Some(place) = bytes.get_mut(at) {
        *place = byte;
    }
}
