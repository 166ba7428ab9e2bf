//! What the name of a column says.

use super::class::{Class, Finding};
use super::classes::{AMBIGUOUS, GUARD, GUARD_EXEMPT, PERSON_TABLES, ROWS, Row};
use crate::pg::Kind;
use crate::transform::plan::Confidence;
use regex::Regex;
use std::sync::OnceLock;

/// Suffixes that say how a value is stored, not what it is.
const QUALIFIERS: [&str; 25] = [
    "enc",
    "encrypted",
    "hashed",
    "raw",
    "text",
    "txt",
    "value",
    "val",
    "new",
    "old",
    "lower",
    "normalized",
    "normalised",
    "canonical",
    "plain",
    "clean",
    "masked",
    "str",
    "string",
    "original",
    "orig",
    "current",
    "previous",
    "prev",
    "full",
];
/// The same for tables.
const TABLE_QUALIFIERS: [&str; 14] = [
    "archive", "archived", "old", "new", "backup", "bak", "tmp", "temp", "history", "staging",
    "copy", "import", "data", "info",
];

struct Patterns {
    row: &'static Row,
    whole: Regex,
    suffix: Regex,
    within: Regex,
}

fn patterns() -> &'static [Patterns] {
    static PATTERNS: OnceLock<Vec<Patterns>> = OnceLock::new();
    PATTERNS.get_or_init(|| ROWS.iter().map(compile).collect())
}

fn compile(row: &'static Row) -> Patterns {
    let regex = |text: String| Regex::new(&text).expect("the table of classes is tested");
    Patterns {
        row,
        whole: regex(format!("^(?:{})$", row.pattern)),
        suffix: regex(format!("(?:^|_)(?:{})$", row.pattern)),
        within: regex(format!("(?:^|_)(?:{})(?:_|$)", row.pattern)),
    }
}

fn guard() -> &'static Regex {
    static REGEX: OnceLock<Regex> = OnceLock::new();
    REGEX.get_or_init(|| Regex::new(GUARD).expect("the guard is tested"))
}

/// The class that the name of a column points to, if its type can hold it.
///
/// `Weak`: the name means several things, or the word is not the last one (`phone_model`); only
/// values make it more.
pub fn classify_name(table: &str, column: &str, kind: &Kind) -> Option<Finding> {
    let name = snake(column);
    let letter = kind_letter(kind.element());
    if letter == 'B' || is_surrogate(&name, letter) {
        return None;
    }
    let bare = strip_qualifiers(&name);
    let guarded = guard().is_match(&name);
    let possible = |patterns: &&Patterns| {
        gate(patterns.row, letter, kind, &name)
            && (!guarded
                || GUARD_EXEMPT.contains(&patterns.row.class) && patterns.whole.is_match(&name))
    };
    let candidates: Vec<&Patterns> = patterns().iter().filter(possible).collect();
    // The whole name says most, then its last word, then any word.
    let stages: [fn(&Patterns) -> &Regex; 3] =
        [|found| &found.whole, |found| &found.suffix, |found| &found.within];
    for (stage, regex) in stages.iter().enumerate() {
        let hit = |found: &&&Patterns| regex(found).is_match(bare) || regex(found).is_match(&name);
        if let Some(found) = candidates.iter().find(hit) {
            let weak = stage == 2 || AMBIGUOUS.contains(&bare) || is_key_like(&name, letter);
            let confidence = if weak { Confidence::Weak } else { Confidence::Likely };
            return Some(finding(found.row.class, confidence, table));
        }
    }
    let person = matches!(bare, "name" | "names") && letter == 't' && is_person_table(table);
    person.then(|| finding(Class::FullName, Confidence::Likely, table))
}

fn finding(class: Class, confidence: Confidence, _table: &str) -> Finding {
    Finding { class, confidence, evidence: format!("name matches {}", class.name()) }
}

/// Integer and uuid columns named `…_id`: keys, unless the name says that it is somebody else's.
fn is_surrogate(name: &str, letter: char) -> bool {
    let foreign = [
        "device_id",
        "visitor_id",
        "anonymous_id",
        "tracking_id",
        "advertising_id",
        "android_id",
        "national_id",
        "tax_id",
        "social_security_id",
        "medicaid_id",
        "medicare_id",
    ];
    matches!(letter, 'i' | 'n' | 'u')
        && (name == "id"
            || name.ends_with("_id")
            || name.ends_with("_ids")
            || name.ends_with("_fk"))
        && !foreign.iter().any(|foreign| name == *foreign || name.ends_with(&format!("_{foreign}")))
}

/// A number or uuid that may well be a key: its values say nothing, so the name alone is weak.
fn is_key_like(name: &str, letter: char) -> bool {
    letter == 'u' && name.ends_with("_id")
}

/// What the gate of a class is written in.
pub(super) fn kind_letter(kind: &Kind) -> char {
    match kind {
        Kind::Bool => 'B',
        Kind::Int2 | Kind::Int4 | Kind::Int8 => 'i',
        Kind::Float4 | Kind::Float8 | Kind::Numeric => 'n',
        Kind::Text | Kind::Bpchar | Kind::Citext => 't',
        Kind::Bytea => 'b',
        Kind::Uuid => 'u',
        Kind::Date | Kind::Timestamp | Kind::Timestamptz => 'd',
        Kind::Inet | Kind::Cidr => 'x',
        Kind::Macaddr | Kind::Macaddr8 => 'm',
        Kind::Json | Kind::Jsonb | Kind::Xml | Kind::Hstore => 'j',
        Kind::Tsvector => 'v',
        Kind::Enum => 'e',
        Kind::Array(element) => kind_letter(element),
        Kind::Composite | Kind::Range | Kind::Opaque => 'o',
    }
}

/// Can a column of this type be of the class at all?
fn gate(row: &Row, letter: char, kind: &Kind, name: &str) -> bool {
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    row.gate.contains(letter)
        && match (row.class, letter) {
            (Class::MacDevice, 'i') => has(&["imei", "imsi", "iccid", "meid"]),
            (Class::Secret, 'i') => has(&["pin", "otp", "pass", "code"]),
            (Class::Secret, 'u') => has(&["token", "key", "secret"]),
            (Class::Dob, 'i') => has(&["year"]),
            (Class::Embedding, 'n') => matches!(kind, Kind::Array(_)),
            // Sort codes and the like lead with zeros; small integers are no account numbers.
            (Class::Bank | Class::Card, 'i') => *kind.element() != Kind::Int2,
            _ => true,
        }
}

/// True if the table holds people: by its last word.
pub fn is_person_table(table: &str) -> bool {
    let name = snake(table);
    let mut tokens = name.split('_').rev().filter(|token| {
        !token.is_empty()
            && !token.bytes().all(|byte| byte.is_ascii_digit())
            && !TABLE_QUALIFIERS.contains(token)
    });
    let Some(last) = tokens.next() else { return false };
    let singular = last.strip_suffix("ies").map_or_else(
        || last.strip_suffix('s').unwrap_or(last).to_owned(),
        |stem| format!("{stem}y"),
    );
    PERSON_TABLES.iter().any(|word| *word == last || *word == singular)
}

/// Words that end the names of codes, states and settings.
const CODE_WORDS: [&str; 76] = [
    "status",
    "state",
    "type",
    "kind",
    "code",
    "currency",
    "locale",
    "slug",
    "lang",
    "language",
    "timezone",
    "tz",
    "unit",
    "units",
    "mime",
    "category",
    "level",
    "priority",
    "role",
    "roles",
    "version",
    "color",
    "colour",
    "sku",
    "country",
    "region",
    "stage",
    "phase",
    "mode",
    "method",
    "provider",
    "channel",
    "platform",
    "env",
    "environment",
    "source",
    "event",
    "action",
    "scope",
    "scopes",
    "grant",
    "tier",
    "plan",
    "size",
    "format",
    "extension",
    "encoding",
    "algorithm",
    "operator",
    "severity",
    "visibility",
    "gateway",
    "permission",
    "permissions",
    "feature",
    "interval",
    "frequency",
    "period",
    "brand",
    "flag",
    "strategy",
    "direction",
    "engine",
    "driver",
    "protocol",
    "class",
    "subtype",
    "result",
    "outcome",
    "theme",
    "layout",
    "position",
    "iso",
    "iso2",
    "iso3",
    "queue",
];

/// True for names of codes and states (`currency`, `order_status`): kept unless values speak
/// against it.
pub fn is_code_name(column: &str) -> bool {
    let name = snake(column);
    let last = name.rsplit('_').next().unwrap_or_default();
    CODE_WORDS.contains(&last)
}

/// True for names of labels (`name`, `title`): harmless outside tables of people, if values agree.
pub fn is_label_name(column: &str) -> bool {
    let name = snake(column);
    let last = name.rsplit('_').next().unwrap_or_default();
    ["name", "title", "label", "key", "model", "make", "product", "material", "ref", "tag", "tags"]
        .contains(&last)
}

/// True for names of digests of content.
pub fn is_digest_name(column: &str) -> bool {
    let name = snake(column);
    name.split('_').any(|token| {
        matches!(
            token,
            "sha"
                | "sha1"
                | "sha256"
                | "sha512"
                | "md5"
                | "checksum"
                | "digest"
                | "etag"
                | "crc"
                | "crc32"
                | "commit"
                | "blake3"
        )
    }) || matches!(name.as_str(), "hash" | "content_hash" | "file_hash" | "body_hash")
}

fn strip_qualifiers(name: &str) -> &str {
    let mut rest = name;
    // Bounded: every turn shortens the name.
    while let Some((head, last)) = rest.rsplit_once('_') {
        let number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
        if head.is_empty() || !(number || QUALIFIERS.contains(&last)) {
            break;
        }
        rest = head;
    }
    let trimmed = rest.trim_end_matches(|letter: char| letter.is_ascii_digit());
    // `email2`, but not `ipv4` or `address_line1`, which are patterns of their own.
    if trimmed.len() > 3 && !trimmed.ends_with("line") {
        trimmed.trim_end_matches('_')
    } else {
        rest
    }
}

/// `ipAddress` → `ip_address`, `userID` → `user_id`, `Prénom` → `prenom`, `e-mail` → `e_mail`.
pub(super) fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (at, letter) in letters.iter().copied().enumerate() {
        if !letter.is_alphanumeric() {
            if !out.is_empty() && !out.ends_with('_') {
                out.push('_');
            }
            continue;
        }
        let before = at.checked_sub(1).and_then(|at| letters.get(at)).copied();
        let after = letters.get(at + 1).copied();
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_uppercase() && after.is_some_and(char::is_lowercase))
            });
        if starts_word && !out.ends_with('_') {
            out.push('_');
        }
        fold(letter, &mut out);
    }
    out.trim_end_matches('_').to_owned()
}

/// Lower case without the accents of Latin letters.
pub(super) fn fold(letter: char, out: &mut String) {
    for lower in letter.to_lowercase() {
        match lower {
            'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => out.push('a'),
            'è' | 'é' | 'ê' | 'ë' | 'ę' => out.push('e'),
            'ì' | 'í' | 'î' | 'ï' | 'ı' => out.push('i'),
            'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => out.push('o'),
            'ù' | 'ú' | 'û' | 'ü' => out.push('u'),
            'ñ' | 'ń' => out.push('n'),
            'ç' | 'ć' | 'č' => out.push('c'),
            'ý' => out.push('y'),
            'ł' => out.push('l'),
            'ś' | 'š' | 'ş' => out.push('s'),
            'ź' | 'ż' | 'ž' => out.push('z'),
            'ğ' => out.push('g'),
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'œ' => out.push_str("oe"),
            other => out.push(other),
        }
    }
}
