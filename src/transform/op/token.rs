//! `hash_token`: an opaque keyed token of base32 characters, in text and in bytea.

use super::canonical::{self, push_token};
use crate::transform::key::DomainKey;
use crate::transform::{Fault, Output, Value};

/// More than anything that is called a token.
pub(super) const MAX_CHARS: u32 = 1024;

pub(super) struct Token {
    pub(super) key: DomainKey,
    pub(super) ignore_case: bool,
    pub(super) length: u32,
}

impl Token {
    pub(super) fn apply(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Output, Fault> {
        let (mut stream, output) = match value {
            Value::Text("") | Value::Bytes([]) => return Ok(Output::Same),
            Value::Text(text) => {
                (canonical::exact(&self.key, self.ignore_case, text, out), Output::Text)
            }
            Value::Bytes(bytes) => (self.key.stream(canonical::TAG_BYTES, bytes), Output::Bytes),
            Value::Int(_)
            | Value::Numeric(_)
            | Value::Float(_)
            | Value::Bool(_)
            | Value::Uuid(_)
            | Value::Date(_)
            | Value::Timestamp(_)
            | Value::Inet(..)
            | Value::Mac(_)
            | Value::Json(_) => return Err(Fault::WrongKind),
        };
        push_token(out, &mut stream, self.length);
        Ok(output)
    }
}
