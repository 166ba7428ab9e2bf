//! The two formats of COPY.
//! Source: <https://www.postgresql.org/docs/current/sql-copy.html>

use std::fmt;

/// The format of a COPY stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    Binary,
    Text,
}

/// As `COPY … (FORMAT …)` spells it.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Binary => "binary",
            Self::Text => "text",
        })
    }
}
