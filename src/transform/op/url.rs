//! URLs: another host, the same structure.
//!
//! Scheme http, https and ftp stay, any other becomes https. The host becomes
//! `<token>.example.com`, keyed by the host alone, so that one site stays one site; the port
//! stays. User info, path segments, query values and the fragment are filled, keyed by the whole
//! URL; the number of segments, query keys and a short extension stay, and `%xx` stays an escape
//! of a letter. A text with white space is not a URL and is filled.

use super::canonical::{self, clip, push_token};
use super::fill::{fallback, fill};
use crate::transform::key::{DomainKey, Stream};
use crate::transform::{Fault, Output, Value};

const TOKEN_CHARS: u32 = 10;
/// `.jpeg`, `.xhtml`: longer ones may be names.
const MAX_EXTENSION_CHARS: usize = 5;

pub(super) struct Url {
    pub(super) key: DomainKey,
    pub(super) max_chars: Option<u32>,
}

impl Url {
    pub(super) fn apply(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Output, Fault> {
        let Value::Text(text) = value else { return Err(Fault::WrongKind) };
        if text.is_empty() {
            return Ok(Output::Same);
        }
        if text.contains(char::is_whitespace) {
            return Ok(fallback(&self.key, text, self.max_chars, out));
        }
        let start = out.len();
        let rest = scheme(text, out);
        let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(host_end);
        let mut stream = self.key.stream(canonical::TAG_TEXT, text.as_bytes());
        self.authority(authority, &mut stream, out);
        let (path, fragment) = path.split_at(path.find('#').unwrap_or(path.len()));
        let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
        push_path(path, &mut stream, out);
        push_query(query, &mut stream, out);
        push_filled(fragment, &mut stream, out);
        clip(out, start, self.max_chars);
        Ok(Output::Text)
    }

    fn authority(&self, authority: &str, stream: &mut Stream, out: &mut Vec<u8>) {
        let host = match authority.rsplit_once('@') {
            Some((user, host)) => {
                push_filled(user, stream, out);
                out.push(b'@');
                host
            }
            None => authority,
        };
        let after_bracket = host.rfind(']').map_or(0, |at| at + 1);
        let port_at = host.rfind(':').filter(|at| *at >= after_bracket).unwrap_or(host.len());
        let (name, port) = host.split_at(port_at);
        let mut token = canonical::folded(&self.key, name, out);
        push_token(out, &mut token, TOKEN_CHARS);
        out.extend_from_slice(b".example.com");
        let is_port = port.len() <= 6 && port.bytes().skip(1).all(|byte| byte.is_ascii_digit());
        if is_port {
            out.extend_from_slice(port.as_bytes());
        }
    }
}

/// Appends the scheme and returns what follows it.
fn scheme<'a>(text: &'a str, out: &mut Vec<u8>) -> &'a str {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.strip_prefix("//").inspect(|_| out.extend_from_slice(b"//")).unwrap_or(text);
    };
    let is_kept = ["http", "https", "ftp"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    out.extend_from_slice(if is_kept { scheme.as_bytes() } else { b"https" });
    out.extend_from_slice(b"://");
    rest
}

fn push_path(path: &str, stream: &mut Stream, out: &mut Vec<u8>) {
    let last_segment = path.rfind('/').map_or(0, |at| at + 1);
    let extension = path.rfind('.').filter(|at| *at > last_segment).filter(|at| {
        let extension = path.get(at + 1..).unwrap_or_default();
        (1..=MAX_EXTENSION_CHARS).contains(&extension.len())
            && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && extension.bytes().any(|byte| byte.is_ascii_alphabetic())
    });
    let (name, extension) = path.split_at(extension.unwrap_or(path.len()));
    push_filled(name, stream, out);
    out.extend_from_slice(extension.as_bytes());
}

/// `?key=value&…`: keys stay, values and lone keys are filled.
fn push_query(query: &str, stream: &mut Stream, out: &mut Vec<u8>) {
    let Some(pairs) = query.strip_prefix('?') else { return };
    for (place, pair) in pairs.split('&').enumerate() {
        out.push(if place == 0 { b'?' } else { b'&' });
        match pair.split_once('=') {
            Some((key, value)) => {
                out.extend_from_slice(key.as_bytes());
                out.push(b'=');
                push_filled(value, stream, out);
            }
            None => push_filled(pair, stream, out),
        }
    }
}

fn push_filled(text: &str, stream: &mut Stream, out: &mut Vec<u8>) {
    let mut parts = text.split('%');
    fill(parts.next().unwrap_or_default(), stream, out);
    for part in parts {
        out.push(b'%');
        match part.as_bytes() {
            [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                // %61 to %6f: a to o.
                out.push(b'6');
                let digit = 1 + usize::try_from(stream.below(15)).unwrap_or(0);
                out.push(b"0123456789abcdef".get(digit).copied().unwrap_or(b'1'));
                fill(part.get(2..).unwrap_or_default(), stream, out);
            }
            _ => fill(part, stream, out), // a stray per cent sign
        }
    }
}
