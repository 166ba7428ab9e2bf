//! Values as they compare once a server has stored them, the texts that stand in a value, and
//! keys as people read them. For proving that a target is what the rules make of a source.
//!
//! A fake on its way to the target need not be spelled as the target spells it when it is read
//! back: char(n) is padded, text COPY escapes more bytes than it must, `1000000` is `1e+06`.

use super::codec::{array, binary, text};
use super::stage::{push_canonical, unescape};
use crate::pg::{Format, Kind};
use crate::transform::{Fault, Output, Value};

/// Decimal digits that every double keeps (`DBL_DIG`).
const DOUBLE_DIGITS: usize = 15;

/// What is found in a value.
#[derive(Clone, Copy)]
pub enum Found<'v> {
    /// A text, a JSON string, an element of an array.
    Whole(&'v str),
    /// A run of characters out of a value that cannot be taken apart here (composites, ranges,
    /// types of extensions): may begin or end with a byte of structure.
    Part(&'v str),
}

/// Scratch space for reading values; one per thread.
#[derive(Default)]
pub struct Reader {
    decoded: Vec<u8>,
    unescaped: Vec<u8>,
    element: Vec<u8>,
    structure: Vec<u8>,
}

impl Reader {
    /// Appends the form in which a masked value and the same value read from a server are equal.
    ///
    /// # Errors
    /// A value that its kind's codec cannot read.
    pub fn push_stored(
        &mut self,
        kind: &Kind,
        format: Format,
        field: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Self { decoded, unescaped, element, structure } = self;
        let field = plain(format, field, unescaped)?;
        let scalar = kind.element();
        if !matches!(kind, Kind::Array(_)) {
            return push_scalar(scalar, format, field, decoded, out);
        }
        structure.clear();
        let mut lift = |field: &[u8], _: &mut Vec<u8>| {
            push_scalar(scalar, format, field, decoded, out).map(|()| true)
        };
        match format {
            Format::Binary => {
                array::lift_binary(field, structure, &mut lift)?;
                // The element type's oid is another one in another database.
                structure.get_mut(8..12).ok_or(Fault::Malformed)?.fill(0);
            }
            Format::Text => array::lift_text(field, element, structure, &mut lift)?,
        }
        out.extend_from_slice(structure);
        Ok(())
    }

    /// Calls `each` with every text that stands in a value. A value that cannot be read has none.
    pub fn texts(
        &mut self,
        kind: &Kind,
        format: Format,
        field: &[u8],
        each: &mut dyn FnMut(Found<'_>),
    ) {
        let Self { decoded, unescaped, element, structure } = self;
        let Ok(field) = plain(format, field, unescaped) else { return };
        let scalar = kind.element();
        if !matches!(kind, Kind::Array(_)) {
            return scalar_texts(scalar, format, field, decoded, each);
        }
        structure.clear();
        let mut lift = |field: &[u8], _: &mut Vec<u8>| {
            scalar_texts(scalar, format, field, decoded, each);
            Ok(true)
        };
        // An array that cannot be read to its end has shown what could be read.
        let _ = match format {
            Format::Binary => array::lift_binary(field, structure, &mut lift),
            Format::Text => array::lift_text(field, element, structure, &mut lift),
        };
    }

    /// A key column's value for people, of the kinds that serve as keys; `None` for the others.
    /// Only for fakes and for kept surrogates: nothing else may be shown.
    pub fn show(&mut self, kind: &Kind, format: Format, field: &[u8]) -> Option<String> {
        let field = plain(format, field, &mut self.unescaped).ok()?;
        if format == Format::Text && !matches!(kind, Kind::Array(_)) {
            return std::str::from_utf8(field).ok().map(str::to_owned);
        }
        let output = match value(kind, format, field, &mut self.decoded).ok()? {
            Value::Text(text) | Value::Numeric(text) => return Some(text.to_owned()),
            Value::Int(number) => return Some(number.to_string()),
            Value::Bool(value) => return Some(value.to_string()),
            Value::Uuid(bytes) => return Some(hyphenated(&bytes)),
            Value::Date(days) => Output::Date(days),
            Value::Timestamp(at) => Output::Timestamp(at),
            Value::Inet(address, prefix) => Output::Inet(address, prefix),
            Value::Float(_) | Value::Bytes(_) | Value::Mac(_) | Value::Json(_) => return None,
        };
        let mut shown = Vec::new();
        text::encode(kind, output, &[], &[], &mut shown).ok()?;
        String::from_utf8(shown).ok()
    }
}

fn hyphenated(bytes: &[u8; 16]) -> String {
    let mut digits = hex::encode(bytes);
    for at in [20, 16, 12, 8] {
        digits.insert(at, '-');
    }
    digits
}

/// Without COPY's escapes.
fn plain<'a>(
    format: Format,
    field: &'a [u8],
    unescaped: &'a mut Vec<u8>,
) -> Result<&'a [u8], Fault> {
    if format == Format::Binary || memchr::memchr(b'\\', field).is_none() {
        return Ok(field);
    }
    unescape(field, unescaped)?;
    Ok(unescaped)
}

fn value<'a>(
    kind: &Kind,
    format: Format,
    field: &'a [u8],
    decoded: &'a mut Vec<u8>,
) -> Result<Value<'a>, Fault> {
    match format {
        Format::Binary => binary::decode(kind, field, decoded),
        Format::Text => text::decode(kind, field, decoded),
    }
}

fn push_scalar(
    kind: &Kind,
    format: Format,
    field: &[u8],
    decoded: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let value = value(kind, format, field, decoded)?;
    match (kind, value) {
        (Kind::Jsonb, Value::Json(document)) => push_json(document, out),
        (_, value) => push_canonical(value, out),
    }
    Ok(())
}

/// jsonb as its members and elements, in the order of the keys: how a document is spelled, and
/// in which order its keys are given, is not stored. A document that serde cannot read (deeper
/// than it goes) stands for itself.
fn push_json(document: &str, out: &mut Vec<u8>) {
    match serde_json::from_str::<serde_json::Value>(document) {
        Ok(value) => push_json_value(&value, out),
        Err(_) => out.extend_from_slice(document.as_bytes()),
    }
    // Numbers that a double does not hold tell documents apart too.
    let mut long = long_numbers(document);
    long.sort_unstable();
    for number in long {
        out.extend_from_slice(number.as_bytes());
    }
}

fn push_json_value(value: &serde_json::Value, out: &mut Vec<u8>) {
    use serde_json::Value as Json;
    match value {
        Json::Object(members) => {
            let mut members = members.iter().collect::<Vec<_>>();
            members.sort_by_key(|(key, _)| *key);
            out.push(b'{');
            for (key, value) in members {
                push_json_value(&Json::String(key.clone()), out);
                push_json_value(value, out);
            }
            out.push(b'}');
        }
        Json::Array(elements) => {
            out.push(b'[');
            for element in elements {
                push_json_value(element, out);
            }
            out.push(b']');
        }
        Json::String(text) => {
            out.push(b'"');
            out.extend_from_slice(&(text.len() as u64).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        Json::Null => out.push(b'n'),
        Json::Bool(value) => out.push(if *value { b't' } else { b'f' }),
        Json::Number(number) => {
            out.extend_from_slice(&number.as_f64().unwrap_or(0.0).to_be_bytes());
        }
    }
}

/// Numbers of more digits than a double is sure of.
fn long_numbers(document: &str) -> Vec<&str> {
    let (mut rest, mut found) = (document, Vec::new());
    while !rest.is_empty() {
        let (outside, inside) = rest.split_once('"').unwrap_or((rest, ""));
        let tokens = outside.split(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
        found.extend(
            tokens.filter(|token| token.bytes().filter(u8::is_ascii_digit).count() > DOUBLE_DIGITS),
        );
        let behind = string_end(inside).map_or(inside.len(), |end| end + 1);
        rest = inside.get(behind..).unwrap_or_default();
    }
    found
}

fn scalar_texts(
    kind: &Kind,
    format: Format,
    field: &[u8],
    decoded: &mut Vec<u8>,
    each: &mut dyn FnMut(Found<'_>),
) {
    match kind {
        Kind::Text | Kind::Bpchar | Kind::Citext | Kind::Json | Kind::Jsonb => {
            match value(kind, format, field, decoded) {
                Ok(Value::Text(text)) => each(Found::Whole(text)),
                Ok(Value::Json(document)) => json_strings(document, each),
                _ => {} // not of its kind: nothing to read
            }
        }
        Kind::Xml
        | Kind::Hstore
        | Kind::Tsvector
        | Kind::Composite
        | Kind::Range
        | Kind::Opaque => {
            parts(field, each);
        }
        Kind::Bool
        | Kind::Int2
        | Kind::Int4
        | Kind::Int8
        | Kind::Float4
        | Kind::Float8
        | Kind::Numeric
        | Kind::Bytea
        | Kind::Uuid
        | Kind::Date
        | Kind::Timestamp
        | Kind::Timestamptz
        | Kind::Inet
        | Kind::Cidr
        | Kind::Macaddr
        | Kind::Macaddr8
        | Kind::Enum
        | Kind::Array(_) => {}
    }
}

/// Runs of printable characters.
fn parts(field: &[u8], each: &mut dyn FnMut(Found<'_>)) {
    for run in field.split(|byte| *byte < b' ') {
        for chunk in run.utf8_chunks() {
            each(Found::Part(chunk.valid()));
        }
    }
}

/// The strings of a document that are values, not keys.
fn json_strings(document: &str, each: &mut dyn FnMut(Found<'_>)) {
    let mut rest = document;
    while let Some((_, after)) = rest.split_once('"') {
        let Some(end) = string_end(after) else { return };
        let (raw, behind) = after.split_at(end);
        rest = behind.get(1..).unwrap_or_default();
        if rest.trim_start().starts_with(':') {
            continue;
        }
        if !raw.contains('\\') {
            each(Found::Whole(raw));
        } else if let Ok(text) = serde_json::from_str::<String>(&format!("\"{raw}\"")) {
            each(Found::Whole(&text));
        }
    }
}

/// Where the quote stands that ends a string.
fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::{Found, Reader};
    use crate::pg::{Format, Kind};

    fn stored(kind: &Kind, format: Format, field: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Reader::default().push_stored(kind, format, field, &mut out).unwrap();
        out
    }

    fn same(kind: &Kind, format: Format, left: &str, right: &str) -> bool {
        stored(kind, format, left.as_bytes()) == stored(kind, format, right.as_bytes())
    }

    fn texts(kind: &Kind, format: Format, field: &str) -> Vec<String> {
        let mut found = Vec::new();
        Reader::default().texts(kind, format, field.as_bytes(), &mut |text| {
            let (Found::Whole(text) | Found::Part(text)) = text;
            found.push(text.to_owned());
        });
        found
    }

    #[test]
    fn a_value_equals_itself_however_it_is_spelled() {
        assert!(same(&Kind::Bpchar, Format::Binary, "ab", "ab   "));
        assert!(same(&Kind::Float4, Format::Text, "1000000", "1e+06"));
        assert!(same(&Kind::Text, Format::Text, "a\\vb", "a\u{b}b"));
        assert!(same(&Kind::Inet, Format::Text, "10.0.0.1/32", "10.0.0.1"));
        let array = Kind::Array(Box::new(Kind::Text));
        assert!(same(&array, Format::Text, r#"{"a","b c"}"#, r#"{a,"b c"}"#));
        assert!(same(&Kind::Jsonb, Format::Text, r#"{"b": 1, "a": "x"}"#, r#"{"a":"x","b":1}"#));
    }

    #[test]
    fn another_value_is_another() {
        assert!(!same(&Kind::Text, Format::Binary, "ab", "ab "));
        let array = Kind::Array(Box::new(Kind::Text));
        assert!(!same(&array, Format::Text, "{a,b}", "{ab}"));
        assert!(!same(&array, Format::Text, "{a,NULL}", "{a}"));
        assert!(!same(&array, Format::Text, "{{a},{b}}", "{a,b}"));
        assert!(!same(&array, Format::Text, "[2:3]={a,b}", "{a,b}"));
        assert!(!same(&Kind::Jsonb, Format::Text, r#"{"a": "1"}"#, r#"{"a": 1}"#));
        let long = |end: &str| format!("[1234567890123456789{end}]");
        assert!(!same(&Kind::Jsonb, Format::Text, &long("1"), &long("2")));
        assert!(same(
            &Kind::Jsonb,
            Format::Text,
            r#"{"b": 1.0, "a": [2]}"#,
            r#"{"a": [2], "b": 1.0}"#
        ));
    }

    #[test]
    fn texts_are_found_in_arrays_and_documents_but_keys_are_none() {
        let array = Kind::Array(Box::new(Kind::Text));
        assert_eq!(texts(&array, Format::Text, r#"{a,"b\\"c",NULL}"#), ["a", "b\"c"]);
        let document = r#"{"k": "a\"b", "l": ["c", {"m": "é"}], "n": 1}"#;
        assert_eq!(texts(&Kind::Json, Format::Binary, document), ["a\"b", "c", "é"]);
        assert_eq!(texts(&Kind::Composite, Format::Binary, "\0\0\0\u{5}a@b.c"), ["a@b.c"]);
    }

    #[test]
    fn keys_are_shown_as_a_server_would() {
        let mut reader = Reader::default();
        let mut show = |kind, field: &[u8]| reader.show(&kind, Format::Binary, field);
        assert_eq!(show(Kind::Int4, &[0, 0, 1, 0]).as_deref(), Some("256"));
        assert_eq!(show(Kind::Date, &[0; 4]).as_deref(), Some("2000-01-01"));
        assert_eq!(
            show(Kind::Uuid, &[0x11; 16]).as_deref(),
            Some("11111111-1111-1111-1111-111111111111")
        );
        assert_eq!(show(Kind::Bytea, b"x"), None);
    }
}
