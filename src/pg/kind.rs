//! What a value of a PostgreSQL type is to a rule.

/// The families of types that rules can read and write. Domains are resolved to their base type
/// before a kind is chosen; anything without a codec is [`Kind::Opaque`] and can only be kept
/// or set to NULL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    /// text and varchar: one tag, so that the same string gets the same fake in both.
    Text,
    /// character(n): right-trimmed to be canonical, padded again by the server.
    Bpchar,
    /// citext: case-folded to be canonical.
    Citext,
    Bytea,
    Uuid,
    Date,
    Timestamp,
    Timestamptz,
    Inet,
    Cidr,
    Macaddr,
    Macaddr8,
    Json,
    Jsonb,
    Xml,
    Hstore,
    Tsvector,
    Enum,
    Array(Box<Kind>),
    Composite,
    Range,
    Opaque,
}

impl Kind {
    /// True for the kinds whose canonical value is text.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::Bpchar | Self::Citext)
    }

    /// True for int2, int4 and int8.
    pub fn is_integer(&self) -> bool {
        matches!(self, Self::Int2 | Self::Int4 | Self::Int8)
    }

    /// The kind of the innermost element: itself unless it is an array.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every kind but an array is its own element"
    )]
    pub fn element(&self) -> &Self {
        match self {
            Self::Array(element) => element.element(),
            scalar => scalar,
        }
    }
}
