//! The grammar of RFC 8259: where the next token ends.

/// How deep arrays and objects may nest: recursion is bounded by it.
pub(super) const MAX_DEPTH: usize = 512;

/// One string token's extent, quotes excluded.
pub(super) struct Text {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) has_escape: bool,
}

/// The end of the string whose opening quote is at `at`.
pub(super) fn string(bytes: &[u8], at: usize) -> Option<Text> {
    let from = at + 1;
    let mut to = from;
    let mut has_escape = false;
    loop {
        to += plain(bytes.get(to..)?);
        match bytes.get(to)? {
            b'"' => return Some(Text { from, to, has_escape }),
            b'\\' => {
                has_escape = true;
                to += match bytes.get(to + 1)? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                    b'u' if bytes.get(to + 2..to + 6)?.iter().all(u8::is_ascii_hexdigit) => 6,
                    _ => return None, // no other escape exists
                };
            }
            _ => return None, // a control character
        }
    }
}

/// Bytes at the start that stand for themselves inside a string: no quote, no backslash, no
/// control character. Eight at a time (Mycroft's test for a zero byte; a borrow may set bits of
/// bytes behind the first that is found, never of one before it).
pub(super) fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = ONES << 7;
    const QUOTES: u64 = ONES * b'"' as u64;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let special = (zero(word ^ QUOTES) | zero(word ^ BACKSLASHES) | control) & TOPS;
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    words.len() * 8 + end.unwrap_or(rest.len())
}

/// The end of the number that begins at `at`.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let mut end = if bytes.get(at) == Some(&b'-') { at + 1 } else { at };
    end = match bytes.get(end)? {
        b'0' => end + 1,
        b'1'..=b'9' => digits(end),
        _ => return None, // a number has a digit here
    };
    if bytes.get(end) == Some(&b'.') {
        let after = digits(end + 1);
        end = Some(after).filter(|after| *after > end + 1)?;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let after = digits(end + 1 + sign);
        end = Some(after).filter(|after| *after > end + 1 + sign)?;
    }
    Some(end)
}

/// The end of `true`, `false` or `null` at `at`.
pub(super) fn literal(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let word = ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word.as_bytes()));
    word.map(|word| at + word.len())
}

pub(super) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// True if the text is one JSON document.
pub(in crate::transform::op) fn is_valid(text: &str) -> bool {
    let bytes = text.as_bytes();
    value(bytes, skip_space(bytes, 0), 0).map(|end| skip_space(bytes, end)) == Some(bytes.len())
}

fn value(bytes: &[u8], at: usize, depth: usize) -> Option<usize> {
    if depth > MAX_DEPTH {
        return None;
    }
    match bytes.get(at)? {
        b'"' => string(bytes, at).map(|text| text.to + 1),
        b'{' => container(bytes, at, depth, b'}'),
        b'[' => container(bytes, at, depth, b']'),
        b't' | b'f' | b'n' => literal(bytes, at),
        _ => number(bytes, at), // checks its first byte
    }
}

fn container(bytes: &[u8], at: usize, depth: usize, close: u8) -> Option<usize> {
    let mut at = skip_space(bytes, at + 1);
    if bytes.get(at) == Some(&close) {
        return Some(at + 1);
    }
    loop {
        if close == b'}' {
            if bytes.get(at) != Some(&b'"') {
                return None;
            }
            at = skip_space(bytes, string(bytes, at)?.to + 1);
            if bytes.get(at) != Some(&b':') {
                return None;
            }
            at = skip_space(bytes, at + 1);
        }
        at = skip_space(bytes, value(bytes, at, depth + 1)?);
        match bytes.get(at)? {
            b',' => at = skip_space(bytes, at + 1),
            byte if *byte == close => return Some(at + 1),
            _ => return None, // only a comma or the end may follow a value
        }
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_ends_a_stretch_of_a_string_is_found_at_every_place() {
        for length in 0..20 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    // What comes before is next to the special bytes, what comes behind is one.
                    let mut bytes = vec![b'!'; length];
                    bytes[at..].fill(b'"');
                    bytes[at] = byte;
                    let is_special = byte < 0x20 || byte == b'"' || byte == b'\\';
                    assert_eq!(plain(&bytes), if is_special { at } else { length.min(at + 1) });
                }
            }
            for byte in [b'!', b'#', b'[', b']', b' ', 0x7f, 0x80, 0xa0, 0xdc, 0xff] {
                assert_eq!(plain(&vec![byte; length]), length);
            }
        }
    }
}
