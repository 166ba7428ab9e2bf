//! Places and firms: street lines, cities, company names, out of the pinned word lists.

use super::canonical::{self, clip};
use super::person::{keep_case, pick};
use crate::transform::dictionary::{
    CITY_PREFIXES, CITY_SUFFIXES, COMPANY_SUFFIXES, COMPANY_WORDS, FIRST_NAMES, LAST_NAMES,
    STREET_SUFFIXES,
};
use crate::transform::key::{DomainKey, Stream};
use crate::transform::{Fault, Output, Value};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Street,
    City,
    Company,
}

pub(super) struct Place {
    pub(super) key: DomainKey,
    pub(super) sort: Sort,
    pub(super) max_chars: Option<u32>,
}

impl Place {
    pub(super) fn apply(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Output, Fault> {
        let Value::Text(text) = value else { return Err(Fault::WrongKind) };
        if text.is_empty() {
            return Ok(Output::Same);
        }
        let mut stream = canonical::folded(&self.key, text, out);
        let start = out.len();
        match self.sort {
            Sort::Street => street(text, &mut stream, out),
            Sort::City => self.city(text, &mut stream, out),
            Sort::Company => company(text, &mut stream, out),
        }
        keep_case(text, out, start);
        clip(out, start, self.max_chars);
        Ok(Output::Text)
    }

    /// `[New ]Abigailton`, without the prefix where the column is too short for it.
    fn city(&self, text: &str, stream: &mut Stream, out: &mut Vec<u8>) {
        let with_prefix = stream.below(3) == 0 && self.max_chars.is_none_or(|max| max >= 24);
        if with_prefix {
            push(out, pick(&CITY_PREFIXES, text, None, stream));
            push(out, " ");
        }
        let room = self.max_chars.map(|max| max.saturating_sub(7));
        push(out, pick(&FIRST_NAMES, text, room, stream));
        push(out, pick(&CITY_SUFFIXES, text, None, stream));
    }
}

fn push(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// The house number stands where the input has one (`12 Oak Street`, `Hauptstraße 12`) and has
/// as many digits, at most five.
fn street(text: &str, stream: &mut Stream, out: &mut Vec<u8>) {
    let trimmed = text.trim();
    let leading = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let trailing = trimmed.bytes().rev().take_while(u8::is_ascii_digit).count();
    if leading > 0 {
        number(leading, stream, out);
        push(out, " ");
    }
    push(out, pick(&LAST_NAMES, text, None, stream));
    push(out, " ");
    push(out, pick(&STREET_SUFFIXES, "", None, stream));
    if leading == 0 && trailing > 0 {
        push(out, " ");
        number(trailing, stream, out);
    }
}

fn number(digits: usize, stream: &mut Stream, out: &mut Vec<u8>) {
    for place in 0..digits.min(5) {
        let digit = if place == 0 { 1 + stream.below(9) } else { stream.below(10) };
        out.push(b'0' + u8::try_from(digit).unwrap_or(0));
    }
}

/// `Abbott Group`, `Abbott and Sons`, `Adaptive Abbott LLC`.
fn company(text: &str, stream: &mut Stream, out: &mut Vec<u8>) {
    if stream.below(2) == 0 {
        push(out, pick(&COMPANY_WORDS, text, None, stream));
        push(out, " ");
    }
    push(out, pick(&LAST_NAMES, text, None, stream));
    push(out, " ");
    push(out, pick(&COMPANY_SUFFIXES, "", None, stream));
}
