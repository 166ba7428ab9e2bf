//! People: names, user names, e-mail addresses.
//!
//! The input is trimmed and case-folded before it is keyed and is never parsed: any text, valid
//! or not, gives a whole fake and no character of it survives. An e-mail address or user name
//! carries about 70 keyed bits (P(any collision among 10 million) ≈ 4e-8); names repeat, as
//! names do. A picked name that the input itself contains as a word is passed over.

use super::canonical::{self, clip, push_token, tail};
use crate::transform::dictionary::{FIRST_NAMES, LAST_NAMES, Words};
use crate::transform::key::{DomainKey, Stream};
use crate::transform::{Fault, Output, Value};

/// RFC 2606, section 3: never delivered to anyone.
const MAIL_HOSTS: [&str; 3] = ["@example.com", "@example.net", "@example.org"];
/// All of [`MAIL_HOSTS`] have this length.
const HOST_CHARS: u32 = 12;
/// Five bits each; with a first and a last name (20 bits) about 70 bits.
const TOKEN_CHARS: u32 = 10;
/// A token that stands without names: 70 bits.
pub(in crate::transform) const LONE_TOKEN_CHARS: u32 = 14;
pub(super) const EMAIL_UNIQUE_CHARS: u32 = LONE_TOKEN_CHARS + HOST_CHARS;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    First,
    Last,
    Full,
    Username,
    Email,
}

pub(super) struct Person {
    pub(super) key: DomainKey,
    pub(super) part: Part,
    pub(super) max_chars: Option<u32>,
}

impl Person {
    pub(super) fn apply(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Output, Fault> {
        let Value::Text(text) = value else { return Err(Fault::WrongKind) };
        if text.is_empty() {
            return Ok(Output::Same);
        }
        let mut stream = canonical::folded(&self.key, text, out);
        let start = out.len();
        match self.part {
            Part::First => self.word(&FIRST_NAMES, text, &mut stream, out),
            Part::Last => self.word(&LAST_NAMES, text, &mut stream, out),
            Part::Full => full_name(text, &mut stream, out),
            Part::Username => self.unique(0, &mut stream, out),
            Part::Email => {
                self.unique(HOST_CHARS, &mut stream, out);
                self.host(&mut stream, start, out);
            }
        }
        match self.part {
            Part::First | Part::Last | Part::Full => keep_case(text, out, start),
            Part::Username | Part::Email => {}
        }
        clip(out, start, self.max_chars);
        Ok(Output::Text)
    }

    fn word(&self, words: &Words, text: &str, stream: &mut Stream, out: &mut Vec<u8>) {
        out.extend_from_slice(pick(words, text, self.max_chars, stream).as_bytes());
    }

    /// `first.last.<token>` where it fits beside `reserved` more characters, else a token that
    /// is long enough alone, else what fits.
    fn unique(&self, reserved: u32, stream: &mut Stream, out: &mut Vec<u8>) {
        let start = out.len();
        let max_chars = self.max_chars.unwrap_or(u32::MAX).saturating_sub(reserved);
        let first = FIRST_NAMES.at(stream.index(FIRST_NAMES.len()));
        let last = LAST_NAMES.at(stream.index(LAST_NAMES.len()));
        if first.len() + last.len() + 2 + TOKEN_CHARS as usize <= max_chars as usize {
            for part in [first, ".", last, "."] {
                out.extend_from_slice(part.as_bytes());
            }
            canonical::tail_mut(out, start).make_ascii_lowercase();
            push_token(out, stream, TOKEN_CHARS);
        } else {
            push_token(out, stream, LONE_TOKEN_CHARS.min(max_chars).max(1));
        }
        // A leading digit is legal, but trips checks that a leading letter passes.
        if let Some(byte @ b'2'..=b'7') = out.get_mut(start) {
            *byte = b'a' + (*byte - b'2');
        }
    }

    fn host(&self, stream: &mut Stream, start: usize, out: &mut Vec<u8>) {
        let room = self.max_chars.unwrap_or(u32::MAX) as usize;
        let host = MAIL_HOSTS.get(stream.index(MAIL_HOSTS.len())).copied().unwrap_or_default();
        if tail(out, start).len() + host.len() <= room {
            out.extend_from_slice(host.as_bytes());
        } else if room >= 3 {
            // Too short for a reserved name: a host without a dot is delivered nowhere either.
            out.extend_from_slice(b"@x");
        }
    }
}

/// A word of the list that fits and that `text` does not contain as a word; the draw decides
/// where the search begins.
pub(super) fn pick(
    words: &Words,
    text: &str,
    max_chars: Option<u32>,
    stream: &mut Stream,
) -> &'static str {
    let first = stream.index(words.len());
    let max_chars = max_chars.unwrap_or(u32::MAX) as usize;
    let mut other = (first..words.len())
        .chain(0..first)
        .map(|place| words.at(place))
        .filter(|word| !has_word(text, word));
    let drawn = other.next().unwrap_or_default();
    if drawn.len() <= max_chars {
        return drawn;
    }
    other.find(|word| word.len() <= max_chars).unwrap_or(drawn)
}

/// True if `word` stands in `text` in whatever case, with no letter or digit beside it.
fn has_word(text: &str, word: &str) -> bool {
    if !text.is_ascii() {
        return text
            .split(|character: char| !character.is_alphanumeric())
            .any(|part| part.eq_ignore_ascii_case(word));
    }
    let Some(first) = word.bytes().next() else { return false };
    let (text, word) = (text.as_bytes(), word.as_bytes());
    let part_at = |at: usize| {
        let (before, rest) = text.split_at_checked(at)?;
        let (part, after) = rest.split_at_checked(word.len())?;
        let is_bounded = !before.last().is_some_and(u8::is_ascii_alphanumeric)
            && !after.first().is_some_and(u8::is_ascii_alphanumeric);
        (is_bounded && part.eq_ignore_ascii_case(word)).then_some(())
    };
    let (small, capital) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
    memchr::memchr2_iter(small, capital, text).any(|at| part_at(at).is_some())
}

/// `First Last`, or `Last, First` where the input has a comma.
fn full_name(text: &str, stream: &mut Stream, out: &mut Vec<u8>) {
    let first = pick(&FIRST_NAMES, text, None, stream);
    let last = pick(&LAST_NAMES, text, None, stream);
    let parts = if text.contains(',') { [last, ", ", first] } else { [first, " ", last] };
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// All capitals stay all capitals, all small stay all small.
pub(super) fn keep_case(text: &str, out: &mut [u8], start: usize) {
    let (has_upper, has_lower) = if text.is_ascii() {
        let has = |case: fn(&u8) -> bool| text.as_bytes().iter().any(case);
        (has(u8::is_ascii_uppercase), has(u8::is_ascii_lowercase))
    } else {
        (text.chars().any(char::is_uppercase), text.chars().any(char::is_lowercase))
    };
    let written = canonical::tail_mut(out, start);
    match (has_upper, has_lower) {
        (true, false) if text.chars().nth(1).is_some() => written.make_ascii_uppercase(),
        (false, true) => written.make_ascii_lowercase(),
        (true | false, _) => {}
    }
}
