//! Mentions of people inside longer text: e-mail addresses, numbers, addresses.

use super::class::Class;
use super::validate;
use regex::Regex;
use std::sync::OnceLock;

struct Finders {
    email: Regex,
    digits: Regex,
    iban: Regex,
    ip: Regex,
    ip6: Regex,
}

fn finders() -> &'static Finders {
    static FINDERS: OnceLock<Finders> = OnceLock::new();
    let regex = |text: &str| Regex::new(text).expect("a constant pattern");
    FINDERS.get_or_init(|| Finders {
        email: regex(r"[\w.+%'-]+@[\w-]+(?:\.[\w-]+)+"),
        digits: regex(r"\+?\(?[0-9][0-9 ().\-/]{5,22}[0-9]"),
        iban: regex(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{2,4}){3,8}"),
        ip: regex(r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b"),
        ip6: regex(r"\b[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{0,4}){3,7}"),
    })
}

/// The first thing in the text that points at somebody.
pub(super) fn first_entity(text: &str) -> Option<Class> {
    let find = finders();
    if text.contains('@') && find.email.find_iter(text).any(|hit| validate::is_email(hit.as_str()))
    {
        return Some(Class::Email);
    }
    if find.iban.find_iter(text).any(|hit| iban_within(hit.as_str())) {
        return Some(Class::Bank);
    }
    for hit in find.digits.find_iter(text) {
        // A number that goes on as a word is part of an identifier.
        let joined = |letter: char| letter.is_alphanumeric() || letter == '_';
        let before = text.get(..hit.start()).and_then(|text| text.chars().next_back());
        let after = text.get(hit.end()..).and_then(|text| text.chars().next());
        if before.is_some_and(joined) || after.is_some_and(joined) {
            continue;
        }
        if let Some(class) = number(hit.as_str()) {
            return Some(class);
        }
    }
    let address = find.ip.find_iter(text).chain(find.ip6.find_iter(text));
    address.into_iter().any(|hit| validate::is_ip(hit.as_str())).then_some(Class::Ip)
}

fn number(text: &str) -> Option<Class> {
    let text = text.trim_matches([' ', '.', '-', '/']);
    if validate::is_ssn_dashed(text) {
        Some(Class::SsnUs)
    } else if validate::is_card(text) {
        Some(Class::Card)
    } else if validate::is_phone_like(text) {
        Some(Class::Phone)
    } else {
        None
    }
}

/// The pattern may have swallowed words after the IBAN: try the shorter ends too.
fn iban_within(text: &str) -> bool {
    let ends = text.char_indices().map(|(at, _)| at).filter(|at| *at >= 15).chain([text.len()]);
    ends.into_iter().any(|end| text.get(..end).is_some_and(validate::is_iban))
}

pub fn has_entity(text: &str) -> bool {
    first_entity(text).is_some()
}

/// How many of the samples mention somebody.
pub fn count_entities(samples: &[&str]) -> usize {
    samples.iter().filter(|text| has_entity(text)).count()
}
