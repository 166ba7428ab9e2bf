//! One rule: a bare name, or a map with `transform` and its options.

use super::json_path::JsonPath;
use super::read::Reader;
use crate::document::{Key, Node, Place, Tree, suggest};
use crate::transform::{DateUnit, Rule, Transform, UnknownPath};
use std::collections::BTreeMap;

/// Longest name of a domain in bytes: it is part of a key's label.
const DOMAIN_MAX_BYTES: usize = 63;
const DATE_SHIFT_DEFAULT_DAYS: u32 = 180;
const DATE_SHIFT_MAX_DAYS: u32 = 3650;
const NOISE_DEFAULT_PERCENT: u32 = 10;
const NOISE_MAX_PERCENT: u32 = 90;
const TOKEN_DEFAULT_LENGTH: u32 = 24;
/// 256 bits in base32.
const TOKEN_MAX_LENGTH: u32 = 51;
/// Below this a token is guessed or collides soon.
const TOKEN_MIN_LENGTH: u32 = 8;

/// Every name a rule can have.
pub(super) const NAMES: [&str; 31] = [
    "keep",
    "null",
    "constant",
    "email",
    "username",
    "first_name",
    "last_name",
    "full_name",
    "phone",
    "ssn",
    "digits",
    "card",
    "iban",
    "alnum",
    "integer",
    "uuid",
    "street",
    "city",
    "postal",
    "company",
    "ip",
    "mac",
    "url",
    "date_shift",
    "date_bucket",
    "number_bucket",
    "number_noise",
    "text_fill",
    "code",
    "hash_token",
    "json",
];

/// Reads the rule of `column`; `None` if it has a mistake, which is reported.
pub(super) fn read(reader: &mut Reader<'_>, node: Node, column: &str) -> Option<Rule> {
    read_at(reader, node, column, true)
}

fn read_at(reader: &mut Reader<'_>, node: Node, column: &str, json_fits: bool) -> Option<Rule> {
    let place = node.place;
    match node.tree {
        Tree::Text(name) => {
            transform(reader, &name, place, Vec::new(), place, json_fits).map(Rule::plain)
        }
        Tree::Map(_) => read_map(reader, node, column, json_fits),
        Tree::Null => {
            let hint = "write \"null\" in quotes to set the column to NULL, or `keep` to copy it";
            let message = format!("the rule of `{column}` is missing (YAML null)");
            reader.error(place, message, Some(hint.to_owned()));
            None
        }
        other @ (Tree::Bool(_) | Tree::Int(_) | Tree::Float(_) | Tree::List(_)) => {
            let message =
                format!("the rule of `{column}` must be a name or a map, not {}", other.describe());
            let hint = "such as `email` or `{transform: full_name, domain: person}`".to_owned();
            reader.error(place, message, Some(hint));
            None
        }
    }
}

fn read_map(reader: &mut Reader<'_>, node: Node, column: &str, json_fits: bool) -> Option<Rule> {
    let place = node.place;
    let (mut name, mut domain, mut sound, mut options) = (None, None, true, Vec::new());
    for (key, node) in reader.map(node, "a rule") {
        let at = node.place;
        match key.text.as_str() {
            "transform" if node.tree == Tree::Null => {
                let hint = "write \"null\" in quotes to set the column to NULL".to_owned();
                reader.error(at, "`transform` is missing (YAML null)", Some(hint));
                sound = false;
            }
            "transform" => {
                name = reader.text(node, "`transform`").map(|name| (name, at));
                sound &= name.is_some();
            }
            "domain" => {
                domain = domain_name(reader, node);
                sound &= domain.is_some();
            }
            _ => options.push((key, node)),
        }
    }
    let Some((name, name_place)) = name else {
        if sound {
            let hint = Some("add `transform: email`, or whichever fits".to_owned());
            reader.error(place, format!("the rule of `{column}` names no transform"), hint);
        }
        return None;
    };
    let transform = transform(reader, &name, name_place, options, place, json_fits)?;
    sound.then_some(Rule { transform, domain })
}

fn domain_name(reader: &mut Reader<'_>, node: Node) -> Option<String> {
    let place = node.place;
    let name = reader.text(node, "`domain`")?;
    let good = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= DOMAIN_MAX_BYTES
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.'));
    if !good {
        let hint = format!(
            "lower-case letters, digits, `_`, `-` and `.`, at most {DOMAIN_MAX_BYTES}, a letter first"
        );
        reader.error(place, "this is not the name of a domain", Some(hint));
    }
    good.then_some(name)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a transform without options is its name")]
fn transform(
    reader: &mut Reader<'_>,
    name: &str,
    name_place: Place,
    options: Vec<(Key, Node)>,
    rule_place: Place,
    json_fits: bool,
) -> Option<Transform> {
    let Some(plain) = by_name(name) else {
        let hint = suggest(name, NAMES)
            .or_else(|| near_synonym(name))
            .or_else(|| Some(format!("one of: {}", NAMES.join(", "))));
        reader.error(name_place, format!("unknown transform `{name}`"), hint);
        return None;
    };
    if !json_fits && matches!(plain, Transform::Json { .. }) {
        let hint = Some("name the inner path itself, such as `$.a.b`".to_owned());
        reader.error(name_place, "`json` cannot stand inside `paths`", hint);
        return None;
    }
    let mut options = Options { reader, transform: plain.name(), rest: options, sound: true };
    let transform = match plain {
        Transform::Constant { .. } => options.constant(rule_place),
        Transform::DateShift { .. } => Some(Transform::DateShift {
            max_days: options.number("max_days", 1..=DATE_SHIFT_MAX_DAYS, DATE_SHIFT_DEFAULT_DAYS),
            subject: options.subject(json_fits),
        }),
        Transform::DateBucket { .. } => options.date_bucket(rule_place),
        Transform::NumberBucket { .. } => options.number_bucket(rule_place),
        Transform::NumberNoise { .. } => Some(Transform::NumberNoise {
            percent: options.number("percent", 1..=NOISE_MAX_PERCENT, NOISE_DEFAULT_PERCENT),
        }),
        Transform::HashToken { .. } => Some(Transform::HashToken {
            length: options.number(
                "length",
                TOKEN_MIN_LENGTH..=TOKEN_MAX_LENGTH,
                TOKEN_DEFAULT_LENGTH,
            ),
        }),
        Transform::Json { .. } => Some(options.json()),
        other => Some(other),
    };
    let sound = options.finish();
    transform.filter(|_| sound)
}

/// The transform of that name with placeholder options.
fn by_name(name: &str) -> Option<Transform> {
    Some(match name {
        "keep" => Transform::Keep,
        "null" => Transform::Null,
        "constant" => Transform::Constant { value: String::new() },
        "email" => Transform::Email,
        "username" => Transform::Username,
        "first_name" => Transform::FirstName,
        "last_name" => Transform::LastName,
        "full_name" => Transform::FullName,
        "phone" => Transform::Phone,
        "ssn" => Transform::Ssn,
        "digits" => Transform::Digits,
        "card" => Transform::Card,
        "iban" => Transform::Iban,
        "alnum" => Transform::Alnum,
        "integer" => Transform::Integer,
        "uuid" => Transform::Uuid,
        "street" => Transform::Street,
        "city" => Transform::City,
        "postal" => Transform::Postal,
        "company" => Transform::Company,
        "ip" => Transform::Ip,
        "mac" => Transform::Mac,
        "url" => Transform::Url,
        "date_shift" => Transform::DateShift { max_days: 0, subject: None },
        "date_bucket" => Transform::DateBucket { unit: DateUnit::Month },
        "number_bucket" => Transform::NumberBucket { width: 1 },
        "number_noise" => Transform::NumberNoise { percent: 0 },
        "text_fill" => Transform::TextFill,
        "code" => Transform::Code,
        "hash_token" => Transform::HashToken { length: 0 },
        "json" => Transform::Json { paths: BTreeMap::new(), unknown: UnknownPath::Fill },
        _ => return None,
    })
}

/// Words other tools use.
fn near_synonym(name: &str) -> Option<String> {
    let ours = match name.to_lowercase().as_str() {
        "noop" | "none" | "passthrough" | "raw" | "skip" | "copy" => "keep",
        "name" | "fullname" | "person" => "full_name",
        "firstname" => "first_name",
        "lastname" | "surname" => "last_name",
        "hash" | "token" | "sha256" | "md5" => "hash_token",
        "mask" | "redact" | "text" | "scramble" | "fill" | "lorem" => "text_fill",
        "address" => "street",
        "zip" | "zipcode" | "zip_code" | "postcode" | "postal_code" => "postal",
        "int" | "number" => "integer",
        "date" | "timestamp" | "dob" => "date_shift",
        "nullify" | "nil" | "empty" => "null",
        "template" | "fixed" | "static" | "literal" => "constant",
        "credit_card" | "creditcard" => "card",
        "ipv4" | "ipv6" | "ip_address" => "ip",
        "mac_address" => "mac",
        "telephone" | "phone_number" | "mobile" => "phone",
        "jsonb" => "json",
        _ => return None,
    };
    Some(format!("did you mean `{ours}`?"))
}

/// The options of one rule: each is taken once, what stays is unknown.
struct Options<'r, 'f> {
    reader: &'r mut Reader<'f>,
    transform: &'static str,
    rest: Vec<(Key, Node)>,
    sound: bool,
}

impl Options<'_, '_> {
    fn take(&mut self, name: &str) -> Option<Node> {
        let at = self.rest.iter().position(|(key, _)| key.text == name)?;
        Some(self.rest.remove(at).1)
    }

    fn fail(&mut self, place: Place, message: impl Into<String>, hint: &str) {
        self.sound = false;
        self.reader.error(place, message, Some(hint.to_owned()));
    }

    fn number(&mut self, name: &str, range: std::ops::RangeInclusive<u32>, default: u32) -> u32 {
        let Some(node) = self.take(name) else { return default };
        if let Tree::Int(number) = node.tree
            && let Ok(number) = u32::try_from(number)
            && range.contains(&number)
        {
            return number;
        }
        let hint = format!("a whole number from {} to {}", range.start(), range.end());
        self.fail(node.place, format!("`{name}` is out of range or no number"), &hint);
        default
    }

    fn constant(&mut self, rule_place: Place) -> Option<Transform> {
        let Some(node) = self.take("value") else {
            self.fail(
                rule_place,
                "`constant` needs a `value`",
                "{transform: constant, value: \"x\"}",
            );
            return None;
        };
        let value = match node.tree {
            Tree::Text(text) => text,
            Tree::Int(number) => number.to_string(),
            Tree::Bool(value) => value.to_string(),
            Tree::Null => {
                let hint = "use the transform \"null\" (in quotes) to set NULL";
                self.fail(node.place, "`value` is missing (YAML null)", hint);
                return None;
            }
            other @ (Tree::Float(_) | Tree::List(_) | Tree::Map(_)) => {
                let message = format!("`value` must be a string, not {}", other.describe());
                self.fail(node.place, message, "put it in quotes");
                return None;
            }
        };
        Some(Transform::Constant { value })
    }

    fn subject(&mut self, fits: bool) -> Option<String> {
        let node = self.take("subject")?;
        let place = node.place;
        if !fits {
            self.fail(place, "`subject` cannot stand inside `paths`", "leave it out");
            return None;
        }
        let text = self.reader.text(node, "`subject`");
        self.sound &= text.is_some();
        text
    }

    fn date_bucket(&mut self, rule_place: Place) -> Option<Transform> {
        let units = [
            ("month", Some(DateUnit::Month)),
            ("quarter", Some(DateUnit::Quarter)),
            ("year", Some(DateUnit::Year)),
            ("decade", Some(DateUnit::Decade)),
        ];
        let Some(node) = self.take("unit") else {
            let hint = "{transform: date_bucket, unit: month | quarter | year | decade}";
            self.fail(rule_place, "`date_bucket` needs a `unit`", hint);
            return None;
        };
        let unit = self.reader.choice(&node, "unit", &units);
        self.sound &= unit.is_some();
        unit.map(|unit| Transform::DateBucket { unit })
    }

    fn number_bucket(&mut self, rule_place: Place) -> Option<Transform> {
        let hint = "{transform: number_bucket, width: 10}";
        let Some(node) = self.take("width") else {
            self.fail(rule_place, "`number_bucket` needs a `width`", hint);
            return None;
        };
        let width = match node.tree {
            Tree::Int(number) => u64::try_from(number).ok().filter(|width| *width > 0),
            Tree::Null
            | Tree::Bool(_)
            | Tree::Float(_)
            | Tree::Text(_)
            | Tree::List(_)
            | Tree::Map(_) => None,
        };
        if width.is_none() {
            self.fail(node.place, "`width` must be a whole number above 0", hint);
        }
        width.map(|width| Transform::NumberBucket { width })
    }

    fn json(&mut self) -> Transform {
        let mut paths = BTreeMap::new();
        if let Some(node) = self.take("paths") {
            for (key, node) in self.reader.map(node, "`paths`") {
                if JsonPath::parse(&key.text).is_none() {
                    let hint = "such as `$.ip`, `$.contacts[*].email` or `$['odd key']`";
                    self.fail(key.place, format!("`{}` is not a path", key.text), hint);
                    continue;
                }
                match read_at(self.reader, node, &key.text, false) {
                    Some(rule) => {
                        paths.insert(key.text, rule);
                    }
                    None => self.sound = false,
                }
            }
        }
        let choices = [
            ("fill", Some(UnknownPath::Fill)),
            ("null", Some(UnknownPath::Null)),
            ("keep", Some(UnknownPath::Keep)),
        ];
        let unknown = match self.take("unknown") {
            Some(node) => {
                let unknown = self.reader.choice(&node, "unknown", &choices);
                self.sound &= unknown.is_some();
                unknown
            }
            None => None,
        };
        Transform::Json { paths, unknown: unknown.unwrap_or(UnknownPath::Fill) }
    }

    /// Reports what no one took; true if the rule has no mistake.
    fn finish(self) -> bool {
        let known: &[&str] = match self.transform {
            "constant" => &["domain", "value"],
            "date_shift" => &["domain", "max_days", "subject"],
            "date_bucket" => &["domain", "unit"],
            "number_bucket" => &["domain", "width"],
            "number_noise" => &["domain", "percent"],
            "hash_token" => &["domain", "length"],
            "json" => &["domain", "paths", "unknown"],
            _ => &["domain"],
        };
        for (key, _) in &self.rest {
            self.reader.unknown_key(key, &format!("a rule `{}`", self.transform), known);
        }
        self.sound && self.rest.is_empty()
    }
}
