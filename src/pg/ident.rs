//! SQL identifiers and literals. [`Ident`] is the only `Display` in the crate that quotes.

use std::fmt;

/// Quotes a name for use in SQL text. Always quotes: the rule when quoting may be left out
/// depends on the server's keyword list (`quote_ident`, ruleutils.c), and always quoting is
/// never wrong.
#[derive(Clone, Copy, Debug)]
pub struct Ident<'a>(pub &'a str);

impl fmt::Display for Ident<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for (at, part) in self.0.split('"').enumerate() {
            if at > 0 {
                f.write_str("\"\"")?;
            }
            f.write_str(part)?;
        }
        f.write_str("\"")
    }
}

/// Quotes a string constant for statements that take no bind parameters (COPY, SET, utility
/// commands). Backslashes force the `E''` form, so the result does not depend on
/// `standard_conforming_strings`.
#[derive(Clone, Copy, Debug)]
pub struct Literal<'a>(pub &'a str);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(postgres_protocol::escape::escape_literal(self.0).trim_start())
    }
}

#[cfg(test)]
mod tests {
    use super::{Ident, Literal};

    #[test]
    fn an_identifier_is_quoted_whatever_it_holds() {
        assert_eq!(Ident("users").to_string(), r#""users""#);
        assert_eq!(Ident(r#"a"b c"#).to_string(), r#""a""b c""#);
    }

    #[test]
    fn a_literal_with_a_backslash_uses_the_escape_form() {
        assert_eq!(Literal("o'k").to_string(), "'o''k'");
        assert_eq!(Literal(r"a\b").to_string(), r"E'a\\b'");
    }
}
