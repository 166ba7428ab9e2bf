//! Streets, cities, postal codes.

use crate::pii::words;

/// A house number and a word for a street, or a post box.
pub fn is_street(text: &str) -> bool {
    let folded = words::folded(text);
    let number = folded.bytes().any(|byte| byte.is_ascii_digit());
    let mut parts =
        folded.split(|letter: char| !letter.is_alphanumeric()).filter(|part| !part.is_empty());
    let street = parts.any(|part| {
        words::STREET_WORDS.contains(&part)
            || part.len() > 6
                && [
                    "strasse", "str", "gasse", "weg", "allee", "platz", "straat", "laan", "gatan",
                    "vagen",
                ]
                .iter()
                .any(|suffix| part.ends_with(suffix))
    });
    let words = folded.split_whitespace().count();
    text.chars().count() <= 120 && number && street && (2..=14).contains(&words)
        || folded.starts_with("po box ")
        || folded.starts_with("p.o. box ")
}

/// A place of the pinned list.
pub fn is_city(text: &str) -> bool {
    words::CITIES.contains(&words::folded(text.trim()).as_str())
}

/// US, UK, CA, DE/FR/ES/IT/US (5 digits), NL, JP, BR, PL, 4 digits are too common to count.
pub fn is_postal_code(text: &str) -> bool {
    let shape: String = text
        .trim()
        .chars()
        .map(|letter| match letter {
            '0'..='9' => '9',
            'A'..='Z' | 'a'..='z' => 'A',
            other => other,
        })
        .collect();
    [
        "99999",
        "99999-9999",
        "A9A 9A9",
        "A9A9A9",
        "A9 9AA",
        "A99 9AA",
        "AA9 9AA",
        "AA99 9AA",
        "A9A 9AA",
        "AA9A 9AA",
        "9999 AA",
        "9999AA",
        "999-9999",
        "99999-999",
        "99-999",
    ]
    .contains(&shape.as_str())
}
