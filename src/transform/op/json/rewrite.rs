//! One pass over a document: copies what no rule touches, hands leaves to their rules.
//!
//! Strings with escapes and numbers in unusual spelling are decoded in a scratch buffer of the
//! thread, which grows once and is reused.

use super::scan::{self, MAX_DEPTH};
use super::spelling::{escape_tail, plain_decimal, unescape};
use super::{Json, Leaf, Node};
use crate::transform::op::integer::push_int;
use crate::transform::op::{Op, is_long_number};
use crate::transform::{Fault, Output, UnknownPath, Value};
use std::cell::RefCell;
use std::io::Write;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends the thread's scratch buffer, empty; wiped of the original afterwards.
fn with_scratch<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut scratch = SCRATCH.take();
    let done = work(&mut scratch);
    scratch.fill(0);
    scratch.clear();
    SCRATCH.set(scratch);
    done
}

pub(super) fn document(
    json: &Json,
    text: &str,
    subject: Option<&[u8]>,
    out: &mut Vec<u8>,
) -> Result<Output, Fault> {
    out.reserve(text.len());
    let mut pass = Pass { json, text, subject, at: 0 };
    pass.space(out);
    pass.value(json.place(0, None), 0, out).ok_or(Fault::Malformed)??;
    pass.space(out);
    if pass.at == text.len() { Ok(Output::Text) } else { Err(Fault::Malformed) }
}

/// Keys with more digits are numbers or hold one.
const KEY_DIGITS_MAX: usize = 4;
const KEY_BYTES_MAX: usize = 64;

/// True for a key that no programmer writes: an address, a number, a text. Dates are no secret.
pub(in crate::transform::op) fn is_data_key(key: &[u8]) -> bool {
    let digits = key.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_date = matches!(key.len(), 7 | 10)
        && key.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    key.contains(&b'@') || key.len() > KEY_BYTES_MAX || digits > KEY_DIGITS_MAX && !is_date
}

/// Where in the rules the pass stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    node: Option<&'a Node>,
    /// The rule of this path, or of the longest path above it that has one.
    leaf: Option<&'a Leaf>,
}

impl Json {
    fn place<'a>(&'a self, node: usize, above: Option<&'a Leaf>) -> Place<'a> {
        let node = self.nodes.get(node);
        Place { node, leaf: node.and_then(|node| node.leaf.as_ref()).or(above) }
    }
}

/// `None` outside means malformed JSON, the inner result is a rule's.
type Done = Option<Result<(), Fault>>;

struct Pass<'a> {
    json: &'a Json,
    text: &'a str,
    subject: Option<&'a [u8]>,
    at: usize,
}

impl<'a> Pass<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn copy_to(&mut self, end: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text.as_bytes().get(self.at..end).unwrap_or_default());
        self.at = end;
    }

    fn space(&mut self, out: &mut Vec<u8>) {
        self.copy_to(scan::skip_space(self.text.as_bytes(), self.at), out);
    }

    fn value(&mut self, place: Place<'a>, depth: usize, out: &mut Vec<u8>) -> Done {
        if depth > MAX_DEPTH {
            return None;
        }
        let start = out.len();
        let is_inner = place.node.is_some_and(|node| {
            (!node.keys.is_empty() || node.elements.is_some())
                && matches!(self.peek(), Some(b'{' | b'['))
        });
        let becomes_null = match place.leaf {
            Some(Leaf::Null) => !is_inner,
            Some(Leaf::Keep | Leaf::Constant { .. } | Leaf::Rule(_)) => false,
            None => self.json.unknown == UnknownPath::Null && !is_inner,
        };
        let done = match self.peek()? {
            b'{' => self.object(place, depth, out)?,
            b'[' => self.array(place, depth, out)?,
            b'"' => self.string(place, out)?,
            b't' | b'f' | b'n' => self.literal(place, out)?,
            _ => self.number(place, out)?, // checks its first byte
        };
        if becomes_null {
            out.truncate(start);
            out.extend_from_slice(b"null");
            return Some(Ok(()));
        }
        Some(done)
    }

    fn object(&mut self, place: Place<'a>, depth: usize, out: &mut Vec<u8>) -> Done {
        self.copy_to(self.at + 1, out);
        self.space(out);
        if self.peek()? == b'}' {
            self.copy_to(self.at + 1, out);
            return Some(Ok(()));
        }
        loop {
            let key =
                (self.peek()? == b'"').then(|| scan::string(self.text.as_bytes(), self.at))??;
            let raw = self.text.get(key.from..key.to)?;
            let (child, is_data) = if key.has_escape {
                with_scratch(|scratch| {
                    unescape(raw, scratch);
                    (self.child(place, scratch), is_data_key(scratch))
                })
            } else {
                (self.child(place, raw.as_bytes()), is_data_key(raw.as_bytes()))
            };
            if is_data && self.may_rename(place, child) {
                if let Err(fault) = self.data_key(raw, key.has_escape, out) {
                    return Some(Err(fault));
                }
                self.at = key.to + 1;
            } else {
                self.copy_to(key.to + 1, out);
            }
            self.space(out);
            (self.peek()? == b':').then(|| self.copy_to(self.at + 1, out))?;
            self.space(out);
            if let fault @ Err(_) = self.value(child, depth + 1, out)? {
                return Some(fault);
            }
            self.space(out);
            let byte = self.peek()?;
            self.copy_to(self.at + 1, out);
            match byte {
                b',' => self.space(out),
                b'}' => return Some(Ok(())),
                _ => return None, // only a comma or the end may follow a value
            }
        }
    }

    /// True for a key that no rule names and none keeps.
    fn may_rename(&self, place: Place<'a>, child: Place<'a>) -> bool {
        child.node.is_none()
            && !matches!(place.leaf, Some(Leaf::Keep))
            && (place.leaf.is_some() || self.json.unknown != UnknownPath::Keep)
    }

    fn data_key(&self, raw: &str, has_escape: bool, out: &mut Vec<u8>) -> Result<(), Fault> {
        let is_same = if has_escape {
            with_scratch(|scratch| {
                unescape(raw, scratch);
                let text = std::str::from_utf8(scratch).map_err(|_| Fault::Malformed)?;
                self.text_leaf(None, text, out)
            })?
        } else {
            self.text_leaf(None, raw, out)?
        };
        if is_same {
            out.push(b'"');
            out.extend_from_slice(raw.as_bytes());
            out.push(b'"');
        }
        Ok(())
    }

    /// The place of a key; in an object where the rules expect an array, of its elements' key.
    fn child(&self, place: Place<'a>, key: &[u8]) -> Place<'a> {
        let find = |node: &'a Node| node.keys.iter().find(|(known, _)| known.as_bytes() == key);
        let found = place.node.and_then(|node| {
            find(node).or_else(|| {
                let elements = self.json.nodes.get(node.elements?)?;
                find(elements)
            })
        });
        match found {
            Some((_, child)) => self.json.place(*child, place.leaf),
            None => Place { node: None, leaf: place.leaf },
        }
    }

    fn array(&mut self, place: Place<'a>, depth: usize, out: &mut Vec<u8>) -> Done {
        let element = match place.node.and_then(|node| node.elements) {
            Some(elements) => self.json.place(elements, place.leaf),
            None => place,
        };
        self.copy_to(self.at + 1, out);
        self.space(out);
        if self.peek()? == b']' {
            self.copy_to(self.at + 1, out);
            return Some(Ok(()));
        }
        loop {
            if let fault @ Err(_) = self.value(element, depth + 1, out)? {
                return Some(fault);
            }
            self.space(out);
            let byte = self.peek()?;
            self.copy_to(self.at + 1, out);
            match byte {
                b',' => self.space(out),
                b']' => return Some(Ok(())),
                _ => return None, // only a comma or the end may follow a value
            }
        }
    }

    fn string(&mut self, place: Place<'a>, out: &mut Vec<u8>) -> Done {
        let token = scan::string(self.text.as_bytes(), self.at)?;
        let raw = self.text.get(token.from..token.to)?;
        let end = token.to + 1;
        let rule = match (place.leaf, self.json.unknown) {
            // What is to become null, the caller replaces.
            (Some(Leaf::Keep | Leaf::Null), _) | (None, UnknownPath::Keep | UnknownPath::Null) => {
                None
            }
            (Some(Leaf::Constant { quoted, .. }), _) => {
                out.extend_from_slice(quoted.as_bytes());
                self.at = end;
                return Some(Ok(()));
            }
            (Some(Leaf::Rule(leaf)), _) => Some(Some(&leaf.text)),
            (None, UnknownPath::Fill) => Some(None),
        };
        let Some(op) = rule else {
            self.copy_to(end, out);
            return Some(Ok(()));
        };
        self.at = end;
        let done = if token.has_escape {
            with_scratch(|scratch| {
                unescape(raw, scratch);
                let text = std::str::from_utf8(scratch).map_err(|_| Fault::Malformed);
                text.and_then(|text| self.text_leaf(op, text, out))
            })
        } else {
            self.text_leaf(op, raw, out)
        };
        Some(done.map(|is_same| {
            if is_same {
                out.push(b'"');
                out.extend_from_slice(raw.as_bytes());
                out.push(b'"');
            }
        }))
    }

    /// Appends the image of a string, quoted; true if nothing was appended because it stays.
    fn text_leaf(&self, op: Option<&Op>, text: &str, out: &mut Vec<u8>) -> Result<bool, Fault> {
        let start = out.len();
        out.push(b'"');
        let output = match op {
            Some(op) => op.append(Value::Text(text), self.subject, out)?,
            None => self.json.fill.text(text, out),
        };
        match output {
            Output::Text => {
                escape_tail(start + 1, out);
                out.push(b'"');
            }
            Output::Null => {
                out.truncate(start);
                out.extend_from_slice(b"null");
            }
            Output::Same => {
                out.truncate(start);
                return Ok(true);
            }
            Output::Bytes
            | Output::Int(_)
            | Output::Float(_)
            | Output::Bool(_)
            | Output::Uuid(_)
            | Output::Date(_)
            | Output::Timestamp(_)
            | Output::Inet(..) => return Err(Fault::WrongKind),
        }
        Ok(false)
    }

    fn literal(&mut self, place: Place<'a>, out: &mut Vec<u8>) -> Done {
        let end = scan::literal(self.text.as_bytes(), self.at)?;
        let is_null = self.peek()? == b'n';
        match place.leaf {
            Some(Leaf::Constant { quoted, bare }) if !is_null => {
                let constant = bare.as_ref().filter(|bare| bare.starts_with(['t', 'f']));
                out.extend_from_slice(constant.unwrap_or(quoted).as_bytes());
                self.at = end;
            }
            Some(Leaf::Constant { .. } | Leaf::Keep | Leaf::Null | Leaf::Rule(_)) | None => {
                self.copy_to(end, out);
            }
        }
        Some(Ok(()))
    }

    fn number(&mut self, place: Place<'a>, out: &mut Vec<u8>) -> Done {
        let end = scan::number(self.text.as_bytes(), self.at)?;
        let raw = self.text.get(self.at..end)?;
        match place.leaf {
            None if self.json.unknown == UnknownPath::Fill && is_long_number(raw) => {
                self.at = end;
                Some(self.number_leaf(&self.json.long, raw, out))
            }
            None | Some(Leaf::Keep | Leaf::Null) => {
                self.copy_to(end, out);
                Some(Ok(()))
            }
            Some(Leaf::Constant { quoted, bare }) => {
                let constant = bare.as_ref().filter(|bare| !bare.starts_with(['t', 'f']));
                out.extend_from_slice(constant.unwrap_or(quoted).as_bytes());
                self.at = end;
                Some(Ok(()))
            }
            Some(Leaf::Rule(leaf)) => {
                self.at = end;
                Some(self.number_leaf(&leaf.number, raw, out))
            }
        }
    }

    fn number_leaf(&self, op: &Op, raw: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
        let start = out.len();
        let output = if let Ok(value) = raw.parse::<i64>() {
            op.append(Value::Int(value), self.subject, out)?
        } else {
            with_scratch(|scratch| {
                plain_decimal(raw, scratch).ok_or(Fault::OutOfRange)?;
                let text = std::str::from_utf8(scratch).map_err(|_| Fault::Malformed)?;
                match text.parse::<i64>() {
                    Ok(value) => op.append(Value::Int(value), self.subject, out),
                    Err(_) => op.append(Value::Numeric(text), self.subject, out),
                }
            })?
        };
        match output {
            Output::Text => {}
            Output::Same => out.extend_from_slice(raw.as_bytes()),
            Output::Int(value) => push_int(out, value),
            Output::Float(value) if value.is_finite() => {
                let _ = write!(out, "{value}"); // writing to a Vec cannot fail
            }
            Output::Null => {
                out.truncate(start);
                out.extend_from_slice(b"null");
            }
            Output::Float(_)
            | Output::Bytes
            | Output::Bool(_)
            | Output::Uuid(_)
            | Output::Date(_)
            | Output::Timestamp(_)
            | Output::Inet(..) => return Err(Fault::WrongKind),
        }
        Ok(())
    }
}
