//! Canaries: tokens that cannot arise by masking, and where they are found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Begins every text token; six digits (place and row) and an `x` follow.
const PREFIX: &[u8] = b"zq7c";
/// Begins every number; place and row follow: 14 digits in all.
const NUMBER: &[u8] = b"73935174";
const NUMBER_BASE: u64 = 73_935_174_000_000;
const ROWS_MAX: usize = 600;

/// The places where canaries were planted.
#[derive(Default)]
pub(super) struct Places {
    names: Vec<String>,
    /// `kind|object` of each schema literal, by its token's number.
    pub(super) literals: BTreeMap<u32, String>,
}

impl Places {
    /// Fills the macros of `template` in.
    pub(super) fn plant(&mut self, template: &str) -> String {
        let mut sql = String::new();
        let mut rest = template;
        while let Some(at) =
            rest.find("{T:").into_iter().chain(rest.find("{N:")).chain(rest.find("{L:")).min()
        {
            let (before, from) = rest.split_at(at);
            let end = from.find('}').unwrap();
            let name = &from[3..end];
            let place = u32::try_from(self.names.len()).unwrap();
            sql.push_str(before);
            match &from[..3] {
                "{T:" => sql.push_str(&format!(
                    "('Zq7c' || lpad((g + {place} * 1000)::text, 6, '0') || 'x')"
                )),
                "{N:" => sql.push_str(&format!("({NUMBER_BASE} + {place} * 1000 + g)")),
                _ => {
                    self.literals.insert(place * 1000, name.to_owned());
                    sql.push_str(&format!("Zq7c{:06}x", place * 1000));
                }
            }
            self.names.push(name.to_owned());
            rest = &from[end + 1..];
        }
        sql + rest
    }

    pub(super) fn name(&self, token: u32) -> String {
        self.names.get(token as usize / 1000).cloned().unwrap_or_else(|| format!("address {token}"))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.names.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Every canary in `bytes`, by number. `binary` also looks for what numbers and addresses are
    /// in a data directory.
    pub(super) fn find(&self, bytes: &[u8], binary: bool) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        for (at, byte) in bytes.iter().enumerate() {
            let rest = &bytes[at..];
            let token = match byte {
                b'z' | b'Z' => plain(rest).or_else(|| wide(rest)),
                b'5' | b'7' => hexed(rest).or_else(|| number(rest)),
                b'W' => base64(rest),
                b'1' => address(rest, "197.53."),
                b'0' => address(rest, "08:9e:7c:a3:"),
                _ if binary => stored(rest),
                _ => None,
            };
            let token = token.or_else(|| if binary { stored(rest) } else { None });
            found.extend(token.filter(|token| self.is_planted(*token)));
        }
        found
    }

    fn is_planted(&self, token: u32) -> bool {
        token >= 900_000
            || ((token as usize) / 1000 < self.names.len() && (token as usize) % 1000 <= ROWS_MAX)
    }
}

fn digits(text: &[u8], count: usize) -> Option<u32> {
    std::str::from_utf8(text.get(..count)?)
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?
        .parse()
        .ok()
}

fn plain(rest: &[u8]) -> Option<u32> {
    let head = rest.get(..PREFIX.len())?;
    (head.eq_ignore_ascii_case(PREFIX)).then(|| digits(rest.get(PREFIX.len()..)?, 6)).flatten()
}

/// As UTF-16, or with a blank behind each character.
fn wide(rest: &[u8]) -> Option<u32> {
    let pairs = rest.get(..20)?.chunks(2);
    if !pairs.clone().all(|pair| matches!(pair.get(1), Some(0 | b' '))) {
        return None;
    }
    plain(&pairs.filter_map(|pair| pair.first().copied()).collect::<Vec<_>>())
}

fn hexed(rest: &[u8]) -> Option<u32> {
    let text = rest.get(..20)?;
    let head = text.get(..8)?.to_ascii_lowercase();
    (head == b"5a713763" || head == b"7a713763").then(|| plain(&hex::decode(text).ok()?)).flatten()
}

fn number(rest: &[u8]) -> Option<u32> {
    rest.starts_with(NUMBER).then(|| digits(rest.get(NUMBER.len()..)?, 6)).flatten()
}

/// Of a token at the start of what was encoded: `WnE3Yz` is `Zq7c` and the digit's first bits.
fn base64(rest: &[u8]) -> Option<u32> {
    let text = rest.get(..14)?;
    if !text.starts_with(b"WnE3Y") {
        return None;
    }
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = 0_u128;
    for byte in text {
        bits = bits << 6 | alphabet.iter().position(|one| one == byte)? as u128;
    }
    let bytes = (bits >> 4).to_be_bytes();
    plain(bytes.get(6..)?)
}

/// Addresses have no room for a place: 900 000 and a number tell them.
fn address(rest: &[u8], head: &str) -> Option<u32> {
    let tail = rest.strip_prefix(head.as_bytes())?;
    let first = tail.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let place = std::str::from_utf8(tail.get(..first)?).ok()?.parse::<u32>().ok()?;
    (1..=3).contains(&place).then_some(900_000 + place + if head.contains(':') { 10 } else { 0 })
}

/// int8, numeric, inet and macaddr as they lie in a heap page.
fn stored(rest: &[u8]) -> Option<u32> {
    if let [a, b, c, d, e, f, 0, 0, ..] = rest {
        let value = u64::from_le_bytes([*a, *b, *c, *d, *e, *f, 0, 0]);
        if let Some(token) = value.checked_sub(NUMBER_BASE).filter(|token| *token < 1_000_000) {
            return u32::try_from(token).ok();
        }
    }
    match rest {
        // numeric: the digits 73, 9351, 74pp, prrr to the base of 10 000.
        [73, 0, 0x87, 0x24, c, d, e, f, ..] => {
            let [high, low] = [u16::from_le_bytes([*c, *d]), u16::from_le_bytes([*e, *f])];
            let fits = (7400..7500).contains(&high) && low < 10_000;
            fits.then(|| (u32::from(high) - 7400) * 10_000 + u32::from(low))
        }
        [2, 32, 197, 53, place @ 1..=2, ..] => Some(900_000 + u32::from(*place)),
        [0x08, 0x9e, 0x7c, 0xa3, place @ 1..=2, ..] => Some(900_010 + u32::from(*place)),
        _ => None,
    }
}

/// All files below `directory`.
pub(super) fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&path)),
            Ok(kind) if kind.is_file() => found.push(path),
            Ok(_) | Err(_) => {}
        }
    }
    found
}
