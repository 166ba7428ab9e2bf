//! JSON documents: a class per path, by key and by values.
//!
//! Keys can be data (a map by e-mail address): only keys that look like identifiers become part
//! of a path, and what no path names is filled.

use super::class::Class;
use super::name::{classify_name, is_code_name};
use super::remedy::{is_kept_class, remedies};
use super::shape::TextProfile;
use super::values::{classify_values, support};
use super::{entity, validate};
use crate::pg::Kind;
use crate::transform::plan::Confidence;
use crate::transform::{Rule, Transform};
use serde_json::Value;
use std::collections::BTreeMap;

const DEPTH_MAX: usize = 16;
/// Documents with more paths are maps by data.
const PATHS_MAX: usize = 500;
/// An object with more keys is a map, not a record.
const KEYS_MAX: usize = 60;
const VALUES_PER_PATH_MAX: usize = 500;
const KEY_MAX_BYTES: usize = 40;

/// What the documents of one column hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DocumentFinding {
    pub paths: BTreeMap<String, Rule>,
    /// Documents that could be read.
    pub documents: usize,
    /// Classes found, each once.
    pub classes: Vec<Class>,
    pub sensitive: bool,
    /// Object keys are addresses or numbers of people: no rule reaches keys.
    pub keys_are_personal: bool,
}

#[derive(Default)]
struct Leaves {
    texts: Vec<String>,
    numbers: Vec<String>,
}

/// Reads documents and finds a rule per path. Text that is not JSON (cut off, say) is skipped.
pub fn classify_documents(table: &str, samples: &[&str]) -> DocumentFinding {
    let mut leaves = BTreeMap::<String, (String, Leaves)>::new();
    let mut finding = DocumentFinding::default();
    for document in samples.iter().filter_map(|text| serde_json::from_str::<Value>(text).ok()) {
        finding.documents += 1;
        finding.keys_are_personal |= has_personal_key(&document, 0);
        walk(&document, "$", "", 0, &mut leaves);
    }
    for (path, (key, leaves)) in &leaves {
        let Some((class, transform)) = judge(table, key, leaves) else { continue };
        if let Some(class) = class {
            finding.sensitive |= is_kept_class(class);
            if !finding.classes.contains(&class) {
                finding.classes.push(class);
            }
        }
        // Documents that were not sampled may hold anything at the same path.
        let transform = if transform == Transform::Keep { Transform::Code } else { transform };
        finding.paths.insert(path.clone(), Rule::plain(transform));
    }
    finding.classes.sort();
    finding
}

fn walk(
    value: &Value,
    path: &str,
    key: &str,
    depth: usize,
    leaves: &mut BTreeMap<String, (String, Leaves)>,
) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::Object(map) if map.len() <= KEYS_MAX => {
            for (key, value) in map.iter().filter(|(key, _)| is_identifier(key)) {
                walk(value, &format!("{path}.{key}"), key, depth + 1, leaves);
            }
        }
        Value::Array(items) => {
            let path = format!("{path}[*]");
            for item in items {
                walk(item, &path, key, depth + 1, leaves);
            }
        }
        Value::String(text) => {
            if let Some(found) = slot(leaves, path, key)
                && found.texts.len() < VALUES_PER_PATH_MAX
            {
                found.texts.push(text.clone());
            }
        }
        Value::Number(number) => {
            if let Some(found) = slot(leaves, path, key)
                && found.numbers.len() < VALUES_PER_PATH_MAX
            {
                found.numbers.push(number.to_string());
            }
        }
        Value::Object(_) | Value::Null | Value::Bool(_) => {}
    }
}

fn slot<'a>(
    leaves: &'a mut BTreeMap<String, (String, Leaves)>,
    path: &str,
    key: &str,
) -> Option<&'a mut Leaves> {
    if leaves.len() >= PATHS_MAX && !leaves.contains_key(path) {
        return None;
    }
    let entry =
        leaves.entry(path.to_owned()).or_insert_with(|| (key.to_owned(), Leaves::default()));
    Some(&mut entry.1)
}

fn has_personal_key(value: &Value, depth: usize) -> bool {
    match value {
        _ if depth > DEPTH_MAX => false,
        Value::Object(map) => map
            .iter()
            .any(|(key, value)| entity::has_entity(key) || has_personal_key(value, depth + 1)),
        Value::Array(items) => items.iter().any(|item| has_personal_key(item, depth + 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A key that a programmer wrote, not one that is data.
fn is_identifier(key: &str) -> bool {
    let digits = key.bytes().filter(u8::is_ascii_digit).count();
    key.len() <= KEY_MAX_BYTES
        && key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        && digits <= 2
        && !(validate::is_given_name(key) && key.starts_with(|first: char| first.is_uppercase()))
        && !entity::has_entity(key)
}

/// The class, and what to do; `None` leaves the path to `unknown: fill`.
fn judge(table: &str, key: &str, leaves: &Leaves) -> Option<(Option<Class>, Transform)> {
    if leaves.texts.is_empty() {
        let found = classify_name(table, key, &Kind::Int8)
            .or_else(|| classify_name(table, key, &Kind::Numeric))?;
        let numbers: Vec<&str> = leaves.numbers.iter().map(String::as_str).collect();
        let whole = numbers.iter().all(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
        let kind = if whole { Kind::Int8 } else { Kind::Numeric };
        let transform = remedies(found.class, key, &kind, None, &numbers).into_iter().next()?;
        let strong = found.confidence > Confidence::Weak && transform != Transform::Keep;
        return strong.then_some((Some(found.class), transform));
    }
    let texts: Vec<&str> = leaves.texts.iter().map(String::as_str).collect();
    let by_value = classify_values(&texts, &Kind::Text);
    let by_name = classify_name(table, key, &Kind::Text).filter(|found| {
        found.confidence > Confidence::Weak
            || support(found.class, &texts).is_some_and(|share| share >= 50)
    });
    let class = match (by_name, by_value) {
        (Some(name), Some(value)) if value.confidence > Confidence::Weak => {
            if is_kept_class(name.class) || value.class != Class::FreeText {
                value.class
            } else {
                name.class
            }
        }
        (Some(name), _) => name.class,
        (None, Some(value)) => value.class,
        (None, None) => {
            let code = is_code_name(key) && TextProfile::of(&texts).looks_like_code();
            return code.then_some((None, Transform::Keep));
        }
    };
    if is_kept_class(class) && !TextProfile::of(&texts).looks_like_code() {
        return Some((Some(class), Transform::TextFill));
    }
    let transforms = remedies(class, key, &Kind::Text, None, &texts);
    // A JSON null in the place of a string may break its readers.
    let transform = transforms.into_iter().find(|transform| *transform != Transform::Null)?;
    // That is what `unknown: fill` does.
    (transform != Transform::TextFill).then_some((Some(class), transform))
}

#[cfg(test)]
mod tests {
    use super::{Class, Transform, classify_documents};

    #[test]
    fn every_path_gets_its_own_class() {
        let document = r#"{"ip": "10.0.0.1", "user": {"firstName": "Jane", "phone": "+1 555 010 4477"},
            "contacts": [{"email": "jane@corp.com", "note": "call"}], "age": 41, "n": 3,
            "jane@corp.com": {"email": "x@y.org"}}"#;
        let found = classify_documents("events", &[document, document, "{\"cut"]);
        let got: Vec<_> = found
            .paths
            .iter()
            .map(|(path, rule)| (path.as_str(), rule.transform.clone()))
            .collect();
        assert_eq!(
            got,
            [
                ("$.age", Transform::NumberBucket { width: 5 }),
                ("$.contacts[*].email", Transform::Email),
                ("$.ip", Transform::Ip),
                ("$.user.firstName", Transform::FirstName),
                ("$.user.phone", Transform::Phone),
            ]
        );
        assert_eq!(found.documents, 2);
        assert!(found.classes.contains(&Class::Email));
    }

    #[test]
    fn keys_that_are_data_become_no_path() {
        let found = classify_documents(
            "t",
            &[r#"{"jane@corp.com": "a@b.com", "4477123456": "c@d.org", "Alice": "e@f.org"}"#],
        );
        assert!(found.paths.is_empty() && found.keys_are_personal);
    }
}
