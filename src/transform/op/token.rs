//! `hash_token`: an opaque keyed token.

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
        let Value::Text(text) = value else { return Err(Fault::WrongKind) };
        if text.is_empty() {
            return Ok(Output::Same);
        }
        let mut stream = canonical::exact(&self.key, self.ignore_case, text, out);
        push_token(out, &mut stream, self.length);
        Ok(Output::Text)
    }
}
