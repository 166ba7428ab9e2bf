//! E-mail addresses and telephone numbers.

/// Longest address (RFC 5321, 4.5.3.1.3), in bytes.
const EMAIL_MAX_BYTES: usize = 254;

/// One `@`, a dotted domain, no spaces.
pub fn is_email(text: &str) -> bool {
    let text = text.trim();
    let Some((local, domain)) = text.split_once('@') else { return false };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-')
    };
    let odd = |letter: char| {
        letter.is_whitespace() || letter.is_control() || "<>(),;:\"[]".contains(letter)
    };
    text.len() <= EMAIL_MAX_BYTES
        && !local.is_empty()
        && local.len() <= 64
        && !local.contains(odd)
        && domain.contains('.')
        && domain.split('.').all(label)
        && domain
            .rsplit('.')
            .next()
            .is_some_and(|top| top.len() > 1 && !top.bytes().all(|byte| byte.is_ascii_digit()))
}

struct Digits {
    count: usize,
    constant: bool,
    separated: bool,
    plus: bool,
}

/// Splits a text into what telephone numbers are made of; `None` if it has anything else.
fn dial(text: &str) -> Option<Digits> {
    let text = text.trim();
    let (body, plus) = match text.strip_prefix('+') {
        Some(body) => (body, true),
        None => (text, false),
    };
    let lower = body.to_ascii_lowercase();
    let body = ["ext.", "ext", "x", "#"]
        .iter()
        .find_map(|mark| lower.split_once(mark))
        .map_or(lower.as_str(), |(number, _)| number);
    let mut found = String::new();
    let mut separated = false;
    for letter in body.chars() {
        match letter {
            '0'..='9' => found.push(letter),
            ' ' | '-' | '(' | ')' | '.' | '/' | '\u{a0}' => separated = true,
            _ => return None,
        }
    }
    let first = found.chars().next()?;
    let constant = found.chars().all(|digit| digit == first);
    Some(Digits { count: found.len(), constant, separated, plus })
}

/// 7 to 15 digits (E.164) after stripping separators; not all equal, not a date.
pub fn is_phone(text: &str) -> bool {
    dial(text).is_some_and(|found| (7..=15).contains(&found.count) && !found.constant)
        && !super::is_date(text)
}

/// Like [`is_phone`], and spelled as people spell telephone numbers: with a plus, or grouped.
pub fn is_phone_like(text: &str) -> bool {
    is_phone(text)
        && dial(text)
            .is_some_and(|found| found.plus || (found.separated && (9..=15).contains(&found.count)))
        && !super::is_ip(text)
        && !super::is_card(text)
        && !super::is_ssn_dashed(text)
        && text.matches('.').count() != 1
}
