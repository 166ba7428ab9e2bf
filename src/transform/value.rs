//! The canonical value: equal for binary and text COPY, snapshot and stream.

use crate::pg::Kind;
use std::net::IpAddr;

/// One non-null value as a rule sees it. Borrowed; has no `Display`, and `Debug` prints shape only.
#[derive(Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// text, varchar; char(n) right-trimmed; citext as stored (the op folds its case before it is keyed).
    Text(&'a str),
    /// int2, int4, int8: one tag.
    Int(i64),
    /// numeric in its shortest plain decimal form (no exponent, no trailing zeros after the
    /// point), or `NaN`, `Infinity`, `-Infinity`.
    Numeric(&'a str),
    Float(f64),
    Bool(bool),
    Uuid([u8; 16]),
    /// Days since 2000-01-01; `i32::MIN`/`i32::MAX` are -infinity/infinity (date.h).
    Date(i32),
    /// Microseconds since 2000-01-01 (UTC for timestamptz); `i64::MIN`/`i64::MAX` are infinities.
    Timestamp(i64),
    Bytes(&'a [u8]),
    /// inet and cidr: address and prefix length.
    Inet(IpAddr, u8),
    /// 6 or 8 octets.
    Mac(&'a [u8]),
    /// json and jsonb: the document's text.
    Json(&'a str),
}

/// What an op made of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Output {
    Null,
    /// The input stands as it is (infinity dates, empty strings).
    Same,
    /// For `Value::Text`, `Value::Json` and `Value::Numeric`: the new text is in the out buffer.
    Text,
    /// For `Value::Bytes` and `Value::Mac`: the new bytes are in the out buffer.
    Bytes,
    Int(i64),
    Float(f64),
    Bool(bool),
    Uuid([u8; 16]),
    Date(i32),
    Timestamp(i64),
    Inet(IpAddr, u8),
}

/// Why an op could not transform a value. Never holds the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the value is of a kind that this transform cannot read")]
    WrongKind,
    #[error("the result does not fit the column")]
    TooLong,
    #[error("the value is not well-formed for its type")]
    Malformed,
    #[error("the result is out of the type's range")]
    OutOfRange,
}

/// What an op has to know of the column it is built for.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The element's kind for arrays: ops are built for scalars, the stage lifts them.
    pub kind: Kind,
    /// Longest text in characters.
    pub max_chars: Option<u32>,
    /// True if a unique or primary key (also by expression) holds the column: the op must be
    /// injective, or so large that collisions do not happen.
    pub unique: bool,
}
