//! JSON (RFC 8259) as a tree with places. Strict: no comments, no trailing commas, one document.
//!
//! JSON is nearly YAML, but not quite: YAML's escapes know no surrogate pairs and its plain words
//! would pass as strings.

use super::diagnostic::{Diagnostic, Place};
use super::tree::{Key, Node, Tree};
use std::{iter::Peekable, str::Chars};

/// Deeper nesting than any file of ours has: the reader recurses.
const DEPTH_MAX: usize = 64;

/// Reads the one document of `text`.
pub(crate) fn read(text: &str, file: &str) -> Result<Node, Diagnostic> {
    let mut reader = Reader { chars: text.chars().peekable(), at: Place { line: 1, column: 1 } };
    let read = reader.node(0).and_then(|node| {
        reader.skip_space();
        match reader.peek() {
            None => Ok(node),
            Some(_) => Err(reader.fault("the document ends before this")),
        }
    });
    read.map_err(|fault| {
        let message = format!("not valid JSON: {}", fault.message);
        Diagnostic::error(file, fault.place, message)
    })
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    at: Place,
}

struct Fault {
    place: Place,
    message: &'static str,
}

impl Reader<'_> {
    fn fault(&self, message: &'static str) -> Fault {
        Fault { place: self.at, message }
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.chars.next();
        match next {
            Some('\n') => self.at = Place { line: self.at.line.saturating_add(1), column: 1 },
            Some(_) => self.at.column = self.at.column.saturating_add(1),
            None => {}
        }
        next
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\r' | '\n')) {
            self.next();
        }
    }

    fn expect(&mut self, wanted: char, message: &'static str) -> Result<(), Fault> {
        if self.peek() != Some(wanted) {
            return Err(self.fault(message));
        }
        self.next();
        Ok(())
    }

    fn node(&mut self, depth: usize) -> Result<Node, Fault> {
        self.skip_space();
        let place = self.at;
        if depth > DEPTH_MAX {
            return Err(self.fault("nested too deeply"));
        }
        let tree = match self.peek() {
            Some('{') => self.map(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Tree::Text(self.text()?),
            Some('-' | '0'..='9') => self.number()?,
            Some('a'..='z' | 'A'..='Z') => self.word()?,
            Some(_) => return Err(self.fault("a value was expected here")),
            None => return Err(self.fault("it ends where a value was expected")),
        };
        Ok(Node { tree, place })
    }

    fn map(&mut self, depth: usize) -> Result<Tree, Fault> {
        self.next();
        let mut entries = Vec::new();
        self.skip_space();
        if self.peek() == Some('}') {
            self.next();
            return Ok(Tree::Map(entries));
        }
        loop {
            self.skip_space();
            let place = self.at;
            if self.peek() != Some('"') {
                return Err(self.fault("a key in double quotes was expected here"));
            }
            let text = self.text()?;
            self.skip_space();
            self.expect(':', "`:` was expected here")?;
            entries.push((Key { text, place }, self.node(depth + 1)?));
            self.skip_space();
            if self.peek() == Some('}') {
                self.next();
                return Ok(Tree::Map(entries));
            }
            self.expect(',', "`,` or `}` was expected here")?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<Tree, Fault> {
        self.next();
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(']') {
            self.next();
            return Ok(Tree::List(items));
        }
        loop {
            items.push(self.node(depth + 1)?);
            self.skip_space();
            if self.peek() == Some(']') {
                self.next();
                return Ok(Tree::List(items));
            }
            self.expect(',', "`,` or `]` was expected here")?;
        }
    }

    fn word(&mut self) -> Result<Tree, Fault> {
        let fault = self.fault("not a value: a text stands in double quotes");
        let mut word = String::new();
        while let Some(letter) = self.peek().filter(char::is_ascii_alphanumeric) {
            word.push(letter);
            self.next();
        }
        match word.as_str() {
            "true" => Ok(Tree::Bool(true)),
            "false" => Ok(Tree::Bool(false)),
            "null" => Ok(Tree::Null),
            _ => Err(fault),
        }
    }

    fn number(&mut self) -> Result<Tree, Fault> {
        let fault = self.fault("not a number of JSON");
        let mut digits = String::new();
        while let Some(digit @ ('-' | '+' | '.' | 'e' | 'E' | '0'..='9')) = self.peek() {
            digits.push(digit);
            self.next();
        }
        let whole = digits.strip_prefix('-').unwrap_or(&digits);
        let after_zero = whole.strip_prefix('0').and_then(|rest| rest.chars().next());
        let is_shaped = whole.starts_with(|first: char| first.is_ascii_digit())
            && whole.ends_with(|last: char| last.is_ascii_digit())
            && !after_zero.is_some_and(|second| second.is_ascii_digit())
            && !whole.contains(".e")
            && !whole.contains(".E");
        if !is_shaped {
            return Err(fault);
        }
        if let Ok(number) = digits.parse() {
            return Ok(Tree::Int(number));
        }
        digits.parse().map(Tree::Float).map_err(|_| fault)
    }

    fn text(&mut self) -> Result<String, Fault> {
        self.next();
        let mut text = String::new();
        loop {
            let here = self.fault("a control character stands in a text");
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(letter) if u32::from(letter) < 0x20 => return Err(here),
                Some(letter) => text.push(letter),
                None => return Err(self.fault("it ends within a text")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let fault = self.fault("not an escape of JSON");
        match self.next() {
            Some(letter @ ('"' | '\\' | '/')) => Ok(letter),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => {
                let first = self.unit()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first).ok_or(fault);
                }
                self.expect('\\', "the second half of a surrogate pair was expected here")?;
                self.expect('u', "the second half of a surrogate pair was expected here")?;
                let second = self.unit()?;
                let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400).ok_or(fault)?;
                let fault = self.fault("not a surrogate pair");
                char::from_u32(0x10000 + ((first - 0xd800) << 10) + low).ok_or(fault)
            }
            Some(_) | None => Err(fault),
        }
    }

    fn unit(&mut self) -> Result<u32, Fault> {
        let mut unit = 0;
        for _ in 0..4 {
            let fault = self.fault("four hexadecimal digits were expected here");
            let digit = self.next().and_then(|digit| digit.to_digit(16)).ok_or(fault)?;
            unit = unit * 16 + digit;
        }
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> serde_json::Value {
        fn of(tree: Tree) -> serde_json::Value {
            match tree {
                Tree::Null => serde_json::Value::Null,
                Tree::Bool(value) => value.into(),
                Tree::Int(value) => i64::try_from(value).unwrap().into(),
                Tree::Float(value) => value.into(),
                Tree::Text(value) => value.into(),
                Tree::List(items) => items.into_iter().map(|item| of(item.tree)).collect(),
                Tree::Map(entries) => {
                    entries.into_iter().map(|(key, node)| (key.text, of(node.tree))).collect()
                }
            }
        }
        of(read(text, "f").unwrap().tree)
    }

    #[test]
    fn reads_what_serde_json_reads() {
        let texts = [
            r#"{"a": [1, -2, 3.5, 1e3, 0, -0.25], "b": {"c": null, "d": true, "e": false}}"#,
            " [ ] ",
            "{\"\":{}}",
            r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00 \u003e""#,
            "\"\u{7f}é😀\"",
        ];
        for text in texts {
            let theirs: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(value(text), theirs, "{text}");
        }
    }

    #[test]
    fn refuses_what_serde_json_refuses_and_says_where() {
        let texts = [
            ("", 1, 1),
            ("[1,]", 1, 4),
            ("{\"a\": 1,}", 1, 9),
            ("{a: 1}", 1, 2),
            ("[01]", 1, 2),
            ("[1.]", 1, 2),
            ("[+1]", 1, 2),
            ("\n\n  yes", 3, 3),
            ("\"\\x\"", 1, 3),
            ("\"\\ud83dx\"", 1, 8),
            ("\"\\ude00\"", 1, 3),
            ("\"a\nb\"", 1, 3),
            ("{} {}", 1, 4),
            ("{\"a\" 1}", 1, 6),
            ("[1 2]", 1, 4),
            ("\"abc", 1, 5),
        ];
        for (text, line, column) in texts {
            assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "{text}");
            let fault = read(text, "f").unwrap_err();
            assert_eq!((fault.line, fault.column), (line, column), "{text:?}: {fault}");
        }
        assert!(read(&"[".repeat(10_000), "f").unwrap_err().message.contains("deeply"));
    }

    #[test]
    fn keys_and_values_have_places() {
        let Tree::Map(entries) = read("{\n  \"é\": {\"b\": 1}\n}", "f").unwrap().tree else {
            panic!()
        };
        let (key, node) = &entries[0];
        assert_eq!((key.place.line, key.place.column), (2, 3));
        assert_eq!((node.place.line, node.place.column), (2, 8));
    }
}
