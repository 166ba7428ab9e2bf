//! One pass over a document: copies what no rule touches, hands leaves to their rules.
//!
//! What stays is copied in long stretches, from one replaced leaf to the next, not by token.
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
    let mut pass = Pass { json, text, subject, at: 0, copied: 0 };
    pass.space();
    pass.value(json.place(0, None), 0, out).ok_or(Fault::Malformed)??;
    pass.space();
    pass.copy(out);
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
    /// Up to here the document is in `out`, as it was or replaced.
    copied: usize,
}

impl<'a> Pass<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Copies what stays as it is up to here.
    fn copy(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text.as_bytes().get(self.copied..self.at).unwrap_or_default());
        self.copied = self.at;
    }

    /// Goes on behind a token whose replacement is in `out`.
    fn replaced(&mut self, end: usize) {
        self.at = end;
        self.copied = end;
    }

    fn space(&mut self) {
        self.at = scan::skip_space(self.text.as_bytes(), self.at);
    }

    fn value(&mut self, place: Place<'a>, depth: usize, out: &mut Vec<u8>) -> Done {
        if depth > MAX_DEPTH {
            return None;
        }
        let is_inner = place.node.is_some_and(|node| {
            (!node.keys.is_empty() || node.elements.is_some())
                && matches!(self.peek(), Some(b'{' | b'['))
        });
        let becomes_null = match place.leaf {
            Some(Leaf::Null) => !is_inner,
            Some(Leaf::Keep | Leaf::Constant { .. } | Leaf::Rule(_)) => false,
            None => self.json.unknown == UnknownPath::Null && !is_inner,
        };
        if becomes_null {
            self.copy(out);
        }
        let start = out.len();
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
            self.replaced(self.at);
            return Some(Ok(()));
        }
        Some(done)
    }

    fn object(&mut self, place: Place<'a>, depth: usize, out: &mut Vec<u8>) -> Done {
        self.at += 1;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(Ok(()));
        }
        loop {
            let child = match self.key(place, out)? {
                Ok(child) => child,
                Err(fault) => return Some(Err(fault)),
            };
            self.space();
            (self.peek()? == b':').then(|| self.at += 1)?;
            self.space();
            if let fault @ Err(_) = self.value(child, depth + 1, out)? {
                return Some(fault);
            }
            self.space();
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b',' => self.space(),
                b'}' => return Some(Ok(())),
                _ => return None, // only a comma or the end may follow a value
            }
        }
    }

    /// The key that begins here; its place in the rules.
    fn key(&mut self, place: Place<'a>, out: &mut Vec<u8>) -> Option<Result<Place<'a>, Fault>> {
        let key = (self.peek()? == b'"').then(|| scan::string(self.text.as_bytes(), self.at))??;
        let raw = self.text.get(key.from..key.to)?;
        let look = |name: &[u8]| {
            let child = self.child(place, name);
            (child, self.may_rename(place, child) && is_data_key(name))
        };
        let (child, is_renamed) = if key.has_escape {
            with_scratch(|scratch| {
                unescape(raw, scratch);
                look(scratch)
            })
        } else {
            look(raw.as_bytes())
        };
        if is_renamed && let Err(fault) = self.text_token(None, &key, raw, out) {
            return Some(Err(fault));
        }
        self.at = key.to + 1;
        Some(Ok(child))
    }

    /// True for a key that no rule names and none keeps.
    fn may_rename(&self, place: Place<'a>, child: Place<'a>) -> bool {
        child.node.is_none()
            && !matches!(place.leaf, Some(Leaf::Keep))
            && (place.leaf.is_some() || self.json.unknown != UnknownPath::Keep)
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
        self.at += 1;
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(Ok(()));
        }
        loop {
            if let fault @ Err(_) = self.value(element, depth + 1, out)? {
                return Some(fault);
            }
            self.space();
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b',' => self.space(),
                b']' => return Some(Ok(())),
                _ => return None, // only a comma or the end may follow a value
            }
        }
    }

    fn string(&mut self, place: Place<'a>, out: &mut Vec<u8>) -> Done {
        let token = scan::string(self.text.as_bytes(), self.at)?;
        let raw = self.text.get(token.from..token.to)?;
        let op = match (place.leaf, self.json.unknown) {
            // What is to become null, the caller replaces.
            (Some(Leaf::Keep | Leaf::Null), _) | (None, UnknownPath::Keep | UnknownPath::Null) => {
                self.at = token.to + 1;
                return Some(Ok(()));
            }
            (Some(Leaf::Constant { quoted, .. }), _) => {
                self.constant(quoted, token.to + 1, out);
                return Some(Ok(()));
            }
            (Some(Leaf::Rule(leaf)), _) => Some(&leaf.text),
            (None, UnknownPath::Fill) => None,
        };
        Some(self.text_token(op, &token, raw, out))
    }

    fn constant(&mut self, constant: &str, end: usize, out: &mut Vec<u8>) {
        self.copy(out);
        out.extend_from_slice(constant.as_bytes());
        self.replaced(end);
    }

    /// Puts the image of a string token in its place, and goes on behind it.
    fn text_token(
        &mut self,
        op: Option<&Op>,
        token: &scan::Text,
        raw: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        self.copy(out);
        let is_same = if token.has_escape {
            with_scratch(|scratch| {
                unescape(raw, scratch);
                let text = std::str::from_utf8(scratch).map_err(|_| Fault::Malformed)?;
                self.text_leaf(op, text, out)
            })?
        } else {
            self.text_leaf(op, raw, out)?
        };
        self.at = token.to + 1;
        if !is_same {
            self.copied = self.at;
        }
        Ok(())
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
                self.constant(constant.unwrap_or(quoted), end, out);
            }
            Some(Leaf::Constant { .. } | Leaf::Keep | Leaf::Null | Leaf::Rule(_)) | None => {
                self.at = end;
            }
        }
        Some(Ok(()))
    }

    fn number(&mut self, place: Place<'a>, out: &mut Vec<u8>) -> Done {
        let end = scan::number(self.text.as_bytes(), self.at)?;
        let raw = self.text.get(self.at..end)?;
        let op = match place.leaf {
            None if self.json.unknown == UnknownPath::Fill && is_long_number(raw) => {
                &*self.json.long
            }
            None | Some(Leaf::Keep | Leaf::Null) => {
                self.at = end;
                return Some(Ok(()));
            }
            Some(Leaf::Constant { quoted, bare }) => {
                let constant = bare.as_ref().filter(|bare| !bare.starts_with(['t', 'f']));
                self.constant(constant.unwrap_or(quoted), end, out);
                return Some(Ok(()));
            }
            Some(Leaf::Rule(leaf)) => &leaf.number,
        };
        self.copy(out);
        self.replaced(end);
        Some(self.number_leaf(op, raw, out))
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
