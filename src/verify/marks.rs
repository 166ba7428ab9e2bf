//! What in a text tells whose it is: e-mail addresses, long numbers, and whole values that are no
//! plain word.

use crate::transform::{Found, Transform};

/// Shorter texts are found everywhere by chance.
const MIN_BYTES: usize = 6;
/// Longer ones are looked through, not looked up.
const MAX_BYTES: usize = 256;
/// Digits in a row that are looked for inside of texts: SSNs have 9, phone numbers 10, cards 16.
const DIGITS: std::ops::RangeInclusive<usize> = 9..=19;
/// A text of an unknown class is its person's own from this length on.
const OWN_BYTES: usize = 24;
/// A token of letters and digits is so from this length on.
const OWN_TOKEN_BYTES: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A text as a whole, trimmed.
    Whole,
    /// An address in it.
    Email,
    /// A number of so many digits in it, or all of it without its separators.
    Digits(u8),
}

/// Calls `each` for every mark, in lower case.
pub(super) fn each_mark(found: Found<'_>, lower: &mut String, each: &mut dyn FnMut(Mark, &str)) {
    let (text, is_whole) = match found {
        Found::Whole(text) => (text.trim(), true),
        Found::Part(text) => (text, false),
    };
    if text.len() < MIN_BYTES {
        return;
    }
    lower.clear();
    lower.push_str(text);
    lower.make_ascii_lowercase();
    let text = lower.as_str();
    if is_number(text) {
        let digits = text.bytes().filter(u8::is_ascii_digit).map(char::from).collect::<String>();
        return number(&digits, each);
    }
    let emails = emails(text, each);
    numbers(text, each);
    let is_telling = text.len() >= OWN_BYTES
        || text.bytes().any(|byte| byte.is_ascii_digit() || byte == b'@' || byte == b' ');
    if is_whole && !emails && is_telling && text.len() <= MAX_BYTES {
        each(Mark::Whole, text);
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || b" -+()./".contains(&byte))
}

fn number(digits: &str, each: &mut dyn FnMut(Mark, &str)) {
    if DIGITS.contains(&digits.len()) {
        each(Mark::Digits(u8::try_from(digits.len()).unwrap_or(u8::MAX)), digits);
    }
}

fn numbers(text: &str, each: &mut dyn FnMut(Mark, &str)) {
    for run in text.split(|c: char| !c.is_ascii_digit()) {
        number(run, each);
    }
}

/// True if the text is nothing but an address.
fn emails(text: &str, each: &mut dyn FnMut(Mark, &str)) -> bool {
    let is_local = |byte: &u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
    let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    let bytes = text.as_bytes();
    let mut is_all = false;
    for at in memchr::memchr_iter(b'@', bytes) {
        let (before, after) = (bytes.get(..at), bytes.get(at + 1..));
        let left = before.unwrap_or_default().iter().rev().take_while(|b| is_local(b)).count();
        let right = after.unwrap_or_default().iter().take_while(|b| is_host(b)).count();
        let found = text.get(at - left..=at + right).unwrap_or_default();
        // The end of a sentence is not of the address.
        let found = found.trim_end_matches(['.', '-']);
        let host = found.split_once('@').map_or("", |(_, host)| host);
        if left > 0 && host.contains('.') && found.len() >= MIN_BYTES {
            each(Mark::Email, found);
            is_all |= found.len() == text.len();
        }
    }
    is_all
}

/// True if a mark of an original of such a column is somebody's own, so that it cannot stand
/// elsewhere by chance. Words of the dictionaries, labels and short numbers are not.
pub(super) fn is_own(mark: Mark, text: &str, rule: &Transform) -> bool {
    if mark != Mark::Whole {
        return true;
    }
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    let is_token = !text.contains(char::is_whitespace);
    match rule {
        Transform::Email
        | Transform::Username
        | Transform::Phone
        | Transform::Ssn
        | Transform::Digits
        | Transform::Card
        | Transform::Iban
        | Transform::Alnum
        | Transform::Uuid
        | Transform::Url
        | Transform::Mac
        | Transform::HashToken { .. } => has_digit || text.contains('@'),
        Transform::FullName => !is_token,
        Transform::Street => has_digit && !is_token,
        Transform::FirstName
        | Transform::LastName
        | Transform::City
        | Transform::Postal
        | Transform::Company
        | Transform::Ip
        | Transform::Integer
        | Transform::DateShift { .. }
        | Transform::DateBucket { .. }
        | Transform::NumberBucket { .. }
        | Transform::NumberNoise { .. } => false,
        Transform::Keep
        | Transform::Null
        | Transform::Constant { .. }
        | Transform::TextFill
        | Transform::Code
        | Transform::Json { .. } => {
            let is_code = has_digit && text.bytes().any(|byte| byte.is_ascii_alphabetic());
            text.len() >= OWN_BYTES || (is_token && is_code && text.len() >= OWN_TOKEN_BYTES)
        }
    }
}

/// Transforms whose fakes come from a space that no original is in: an original among them is
/// none of theirs.
pub(super) fn fakes_are_apart(rule: &Transform) -> bool {
    matches!(
        rule,
        Transform::Email | Transform::Username | Transform::HashToken { .. } | Transform::Null
    )
}

/// Transforms that draw from a dictionary or a few numbers: their fakes are somebody's originals.
pub(super) fn fakes_are_common(rule: &Transform) -> bool {
    matches!(
        rule,
        Transform::FirstName
            | Transform::LastName
            | Transform::City
            | Transform::Company
            | Transform::Constant { .. }
            | Transform::DateShift { .. }
            | Transform::DateBucket { .. }
            | Transform::NumberBucket { .. }
            | Transform::NumberNoise { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::{Mark, each_mark, is_own};
    use crate::transform::{Found, Transform};

    fn marks(found: Found<'_>) -> Vec<(Mark, String)> {
        let mut marks = Vec::new();
        each_mark(found, &mut String::new(), &mut |mark, text| marks.push((mark, text.to_owned())));
        marks
    }

    fn whole(text: &str) -> Vec<(Mark, String)> {
        marks(Found::Whole(text))
    }

    #[test]
    fn addresses_and_long_numbers_are_found_in_the_middle_of_a_text() {
        let found = marks(Found::Part("mail Ada.L@Example.org. or 123456789, not 12345678"));
        let email = (Mark::Email, "ada.l@example.org".to_owned());
        assert_eq!(found, [email, (Mark::Digits(9), "123456789".to_owned())]);
    }

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        let number = [(Mark::Digits(11), "12025550123".to_owned())];
        assert_eq!(whole("+1 (202) 555-0123"), number);
        assert_eq!(whole("12025550123"), number);
        assert_eq!(whole("2024-01-15"), []);
    }

    #[test]
    fn plain_words_and_short_texts_have_no_mark() {
        assert_eq!(whole("standard"), []);
        assert_eq!(whole("a1@b"), []);
        assert_eq!(whole(" Ada Lovelace "), [(Mark::Whole, "ada lovelace".to_owned())]);
        assert_eq!(whole("x@y.org"), [(Mark::Email, "x@y.org".to_owned())]);
    }

    #[test]
    fn names_of_two_words_are_somebodys_own_and_labels_are_not() {
        assert!(is_own(Mark::Whole, "ada lovelace", &Transform::FullName));
        assert!(!is_own(Mark::Whole, "in progress", &Transform::TextFill));
        assert!(!is_own(Mark::Whole, "new york", &Transform::City));
        assert!(is_own(Mark::Whole, "tok_9f8a7d6e5", &Transform::Null));
    }
}
