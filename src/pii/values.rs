//! What values say: shares of samples that are of a class's shape.

use super::class::{Class, Finding};
use super::entity::count_entities;
use super::shape::{TextProfile, percent};
use super::validate as is;
use crate::pg::Kind;
use crate::transform::plan::Confidence;
use std::collections::BTreeSet;

/// Share of values in percent that makes a column one of a class.
const MOST: usize = 80;
/// Share that makes it so if the shape needs check digits: dummies are fewer there.
const MOST_CHECKED: usize = 90;
/// Fewer distinct values prove no check digit and no dictionary.
const CHECKED_MIN_DISTINCT: usize = 8;
const FREE_TEXT_CHARS: usize = 60;
/// One mention in so many values makes a text free.
const MENTION_EVERY: usize = 50;

struct Probe {
    class: Class,
    check: fn(&str) -> bool,
    least: usize,
    min_distinct: usize,
    /// The shape is so particular that a name cannot argue against it.
    strict: bool,
}

const fn strict(class: Class, check: fn(&str) -> bool) -> Probe {
    Probe { class, check, least: MOST, min_distinct: 1, strict: true }
}

const fn checked(class: Class, check: fn(&str) -> bool) -> Probe {
    let (least, min_distinct) = (MOST_CHECKED, CHECKED_MIN_DISTINCT);
    Probe { class, check, least, min_distinct, strict: true }
}

const fn loose(class: Class, check: fn(&str) -> bool, least: usize) -> Probe {
    Probe { class, check, least, min_distinct: CHECKED_MIN_DISTINCT, strict: false }
}

/// In the order in which they are tried: the most particular shape first.
const PROBES: [Probe; 27] = [
    strict(Class::Email, is::is_email),
    strict(Class::Bank, is::is_iban),
    strict(Class::MacDevice, is::is_mac),
    strict(Class::Ip, is::is_ip),
    strict(Class::CryptoWallet, is::is_wallet),
    strict(Class::UserAgent, is::is_user_agent),
    strict(Class::SsnUs, is::is_ssn_dashed),
    strict(Class::Secret, is::is_secret),
    strict(Class::Url, is::is_url),
    checked(Class::Card, is::is_card),
    checked(Class::MacDevice, is::is_imei),
    checked(Class::VinPlate, is::is_vin),
    checked(Class::NationalId, is::is_nir),
    checked(Class::NationalId, is::is_dni),
    checked(Class::NationalId, is::is_pesel),
    checked(Class::NationalId, is::is_cpf),
    checked(Class::NationalId, is::is_aadhaar),
    checked(Class::TaxId, is::is_siret),
    checked(Class::Licence, is::is_dea),
    checked(Class::NationalId, is::is_nhs),
    checked(Class::Licence, is::is_npi),
    checked(Class::NationalId, is::is_bsn),
    loose(Class::Phone, is::is_phone_like, MOST),
    loose(Class::FullName, is::is_full_name, 50),
    loose(Class::Street, is::is_street, 60),
    loose(Class::FirstName, is::is_given_name, 60),
    loose(Class::LastName, is::is_surname, 40),
];

/// The shape of a class where its name has spoken already: wider than the probe of values alone.
fn shape(class: Class) -> Option<fn(&str) -> bool> {
    Some(match class {
        Class::Email => is::is_email,
        Class::Ip => is::is_ip,
        Class::Card => is::is_card,
        Class::Phone => is::is_phone,
        Class::SsnUs => is::is_ssn,
        Class::VinPlate => is::is_vin,
        Class::CryptoWallet => is::is_wallet,
        Class::Url => is::is_url,
        Class::UserAgent => is::is_user_agent,
        Class::Dob => is::is_date,
        Class::FirstName => is::is_given_name,
        Class::LastName => is::is_surname,
        Class::FullName => is::is_full_name,
        Class::Street => is::is_street,
        Class::City => is::is_city,
        Class::Postal => is::is_postal_code,
        Class::MacDevice => |text| is::is_mac(text) || is::is_imei(text) || is::is_uuid(text),
        Class::Bank => |text| is::is_iban(text) || is::is_bic(text) || is::is_aba(text),
        Class::TaxId => |text| is::is_siren(text) || is::is_siret(text) || is::is_ssn(text),
        Class::NationalId => |text| {
            is::is_nir(text)
                || is::is_dni(text)
                || is::is_pesel(text)
                || is::is_cpf(text)
                || is::is_aadhaar(text)
                || is::is_nhs(text)
                || is::is_bsn(text)
                || is::is_ssn(text)
        },
        Class::Licence => |text| is::is_npi(text) || is::is_dea(text),
        Class::Secret => |text| is::is_secret(text) || is::is_digest(text),
        Class::CardSecret
        | Class::Passport
        | Class::Mrn
        | Class::HealthPlan
        | Class::BiometricImage
        | Class::Age
        | Class::EventDate
        | Class::Username
        | Class::Geo
        | Class::SpecialCategory
        | Class::Health
        | Class::Demographic
        | Class::Company
        | Class::Finance
        | Class::ExternalId
        | Class::FreeText
        | Class::SearchCopy
        | Class::Embedding
        | Class::ChangeCopy => return None,
    })
}

/// True for classes whose shape is so particular that values without it refute the name.
pub fn is_strict(class: Class) -> bool {
    matches!(
        class,
        Class::Email
            | Class::Ip
            | Class::Url
            | Class::UserAgent
            | Class::CryptoWallet
            | Class::Card
    )
}

/// Percent of the samples (empty ones left out) that have the shape of the class; `None` if
/// there are none, or the class has no shape.
pub fn support(class: Class, samples: &[&str]) -> Option<usize> {
    let check = shape(class)?;
    let filled: Vec<&&str> = samples.iter().filter(|value| !value.trim().is_empty()).collect();
    let hits = filled.iter().filter(|value| check(value)).count();
    (!filled.is_empty()).then(|| percent(hits, filled.len()))
}

/// The class that the values themselves are of.
///
/// Numbers are only tried for card numbers and device identifiers: every other shape of plain
/// digits is met by chance.
pub fn classify_values(samples: &[&str], kind: &Kind) -> Option<Finding> {
    let filled: Vec<&str> =
        samples.iter().copied().filter(|value| !value.trim().is_empty()).collect();
    let distinct: Vec<&str> =
        filled.iter().copied().collect::<BTreeSet<&str>>().into_iter().collect();
    let kind = kind.element();
    let numbers = kind.is_integer() || *kind == Kind::Numeric;
    if !(numbers || kind.is_text()) {
        return None;
    }
    for probe in &PROBES {
        let possible = !numbers || probe.class == Class::Card;
        if !possible || distinct.len() < probe.min_distinct {
            continue;
        }
        let hits = distinct.iter().filter(|value| (probe.check)(value)).count();
        if percent(hits, distinct.len()) >= probe.least {
            return Some(of_share(probe, hits, &distinct, filled.len()));
        }
    }
    if numbers { None } else { free_text(&filled) }
}

fn of_share(probe: &Probe, hits: usize, distinct: &[&str], rows: usize) -> Finding {
    let share = percent(hits, distinct.len());
    let confidence = if probe.strict { Confidence::Likely } else { Confidence::Weak };
    let evidence = format!("{share} % of {rows} values are {}", probe.class.plural());
    Finding { class: probe.class, confidence, evidence }
}

fn free_text(filled: &[&str]) -> Option<Finding> {
    let profile = TextProfile::of(filled);
    let mentions = count_entities(filled);
    let evidence = if mentions * MENTION_EVERY >= filled.len() && mentions > 0 {
        let rows = filled.len();
        format!("{mentions} of {rows} values mention an address or a number of somebody")
    } else if profile.average_chars > FREE_TEXT_CHARS {
        format!("long text ({} characters on average)", profile.average_chars)
    } else {
        return None;
    };
    Some(Finding { class: Class::FreeText, confidence: Confidence::Likely, evidence })
}

#[cfg(test)]
mod tests {
    use super::{Class, Kind, classify_values, support};

    fn class(samples: &[&str]) -> Option<Class> {
        classify_values(samples, &Kind::Text).map(|found| found.class)
    }

    #[test]
    fn values_speak_for_themselves() {
        assert_eq!(class(&["a@b.com", "c@d.org", ""]), Some(Class::Email));
        assert_eq!(class(&["10.0.0.1", "2001:db8::1"]), Some(Class::Ip));
        assert_eq!(class(&["123-45-6789", "536-90-4399"]), Some(Class::SsnUs));
        assert_eq!(class(&["https://a.b/c", "http://d.e"]), Some(Class::Url));
        assert_eq!(class(&["ring me: 555-010-4477 ext 3, please"]), Some(Class::FreeText));
        assert_eq!(class(&["active", "inactive"]), None);
        assert_eq!(class(&[]), None);
        let people = [
            "John Smith",
            "Mary Jones",
            "Olga Petrova",
            "Wei Zhang",
            "Ana Silva",
            "Lars Olsen",
            "Emma Brown",
            "Paul Weber",
        ];
        assert_eq!(class(&people), Some(Class::FullName));
    }

    #[test]
    fn numbers_are_cards_only_with_issuer_and_luhn() {
        let cards = [
            "4111111111111111",
            "4012888888881881",
            "5555555555554444",
            "5105105105105100",
            "378282246310005",
            "371449635398431",
            "6011111111111117",
            "4222222222222220",
        ];
        let found = classify_values(&cards[..7], &Kind::Int8);
        assert_eq!(found, None, "too few to tell");
        let ids: Vec<String> =
            (0..50).map(|id| (7_000_000_000_000_000_i64 + id).to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        assert_eq!(classify_values(&ids, &Kind::Int8), None);
    }

    #[test]
    fn evidence_never_quotes_a_value() {
        let found = classify_values(&["jane@corp.com", "joe@corp.com"], &Kind::Text).unwrap();
        assert_eq!(found.evidence, "100 % of 2 values are e-mail addresses");
        assert!(!format!("{found:?}").contains("jane"));
        assert_eq!(support(Class::Email, &["x", "y@z.io"]), Some(50));
    }
}
