//! A rule: what transforms.yaml says about one column, after parsing and before binding.

use std::collections::BTreeMap;

/// What to do with the values of one column (or of one JSON path).
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub transform: Transform,
    /// The semantic class whose key is used: equal inputs in one domain give equal fakes
    /// everywhere. `None` means the transform's own domain ([`Transform::default_domain`]).
    pub domain: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateUnit {
    Month,
    Quarter,
    Year,
    Decade,
}

/// What happens to a JSON path that no rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownPath {
    /// Strings are filled (`text_fill`), numbers and booleans are kept.
    Fill,
    /// Becomes JSON null.
    Null,
    Keep,
}

/// The catalogue. One variant is one entry of the documentation.
#[derive(Clone, Debug, PartialEq)]
pub enum Transform {
    Keep,
    Null,
    /// The given text, converted to the column's type.
    Constant {
        value: String,
    },
    Email,
    Username,
    FirstName,
    LastName,
    FullName,
    Phone,
    Ssn,
    /// Permutes digits, keeps every other character, the length and the number of digits.
    Digits,
    /// Like `Digits`, and the Luhn check digit is right afterwards; a test IIN leads.
    Card,
    Iban,
    /// Permutes letters among letters of the same case and digits among digits.
    Alnum,
    /// Permutes integers inside the column's non-negative (negative) range.
    Integer,
    Uuid,
    Street,
    City,
    Postal,
    Company,
    Ip,
    Mac,
    Url,
    /// Shifts by up to ± `max_days`, the same for all values of one subject.
    DateShift {
        max_days: u32,
        subject: Option<String>,
    },
    DateBucket {
        unit: DateUnit,
    },
    NumberBucket {
        width: u64,
    },
    /// Multiplies by a keyed factor within ± `percent`.
    NumberNoise {
        percent: u32,
    },
    /// Replaces letters and digits in place; keeps length, case, separators, script and line breaks.
    TextFill,
    /// Keeps what can only be a code, a label or a key; permutes the letters and digits of the rest.
    Code,
    /// A keyed token of `length` base32 characters.
    HashToken {
        length: u32,
    },
    /// Keys are `$`-paths: `$.ip`, `$.contacts[*].email`, `$.tags[*]`.
    Json {
        paths: BTreeMap<String, Rule>,
        unknown: UnknownPath,
    },
}

impl Rule {
    pub fn plain(transform: Transform) -> Self {
        Self { transform, domain: None }
    }

    pub fn is_keep(&self) -> bool {
        matches!(self.transform, Transform::Keep)
    }

    pub fn domain(&self) -> &str {
        self.domain.as_deref().unwrap_or_else(|| self.transform.default_domain())
    }
}

impl Transform {
    /// The name in transforms.yaml.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Null => "null",
            Self::Constant { .. } => "constant",
            Self::Email => "email",
            Self::Username => "username",
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::FullName => "full_name",
            Self::Phone => "phone",
            Self::Ssn => "ssn",
            Self::Digits => "digits",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Alnum => "alnum",
            Self::Integer => "integer",
            Self::Uuid => "uuid",
            Self::Street => "street",
            Self::City => "city",
            Self::Postal => "postal",
            Self::Company => "company",
            Self::Ip => "ip",
            Self::Mac => "mac",
            Self::Url => "url",
            Self::DateShift { .. } => "date_shift",
            Self::DateBucket { .. } => "date_bucket",
            Self::NumberBucket { .. } => "number_bucket",
            Self::NumberNoise { .. } => "number_noise",
            Self::TextFill => "text_fill",
            Self::Code => "code",
            Self::HashToken { .. } => "hash_token",
            Self::Json { .. } => "json",
        }
    }

    /// The class whose key is used when the rule names none: the transform's own name.
    pub fn default_domain(&self) -> &'static str {
        self.name()
    }
}
