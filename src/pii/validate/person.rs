//! Names of people, by dictionary.

use crate::pii::words;

/// Words that companies and products have and people do not.
const NOT_PEOPLE: [&str; 24] = [
    "inc",
    "ltd",
    "llc",
    "gmbh",
    "corp",
    "co",
    "company",
    "group",
    "plan",
    "pro",
    "basic",
    "premium",
    "team",
    "server",
    "test",
    "system",
    "service",
    "services",
    "department",
    "street",
    "road",
    "sa",
    "sarl",
    "bv",
];

fn word(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(char::is_alphabetic)
        && text.chars().count() <= 30
        && letters.all(|letter| letter.is_alphabetic() || matches!(letter, '\'' | '’' | '-' | '.'))
}

fn in_set(set: &words::Words, text: &str) -> bool {
    let folded = words::folded(text.trim_end_matches('.'));
    set.contains(&folded)
        || folded.split('-').count() > 1 && folded.split('-').all(|part| set.contains(part))
}

/// One to three words, the first a known given name.
pub fn is_given_name(text: &str) -> bool {
    let parts: Vec<&str> = text.split_whitespace().collect();
    (1..=3).contains(&parts.len())
        && parts.iter().all(|part| word(part))
        && parts.first().is_some_and(|first| in_set(words::given_names(), first))
}

/// One to three words, one a known surname.
pub fn is_surname(text: &str) -> bool {
    let parts: Vec<&str> = text.split_whitespace().collect();
    (1..=3).contains(&parts.len())
        && parts.iter().all(|part| word(part))
        && parts.iter().any(|part| in_set(words::surnames(), part))
}

/// Two to four capitalised words (or `Last, First`) with a known given name at either end.
pub fn is_full_name(text: &str) -> bool {
    let text = text.replacen(", ", " ", 1);
    let titles = ["dr", "mr", "mrs", "ms", "prof", "herr", "frau", "m", "mme"];
    let parts: Vec<&str> = text
        .split_whitespace()
        .filter(|part| !titles.contains(&words::folded(part.trim_end_matches('.')).as_str()))
        .collect();
    let small = ["de", "da", "di", "van", "von", "der", "del", "la", "le", "bin", "al", "dos"];
    let capital =
        |part: &&&str| part.chars().next().is_some_and(char::is_uppercase) || small.contains(*part);
    (2..=5).contains(&parts.len())
        && parts.iter().all(|part| word(part))
        && parts.iter().filter(capital).count() == parts.len()
        && !parts.iter().any(|part| NOT_PEOPLE.contains(&words::folded(part).as_str()))
        && [parts.first(), parts.last()]
            .into_iter()
            .flatten()
            .any(|part| in_set(words::given_names(), part))
}
