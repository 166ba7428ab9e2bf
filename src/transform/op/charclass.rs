//! Which characters may stand in for each other: same script, same role, same UTF-8 length.
//!
//! A class is a contiguous range of letters (or digits), so a character is a class and an index,
//! and a fake is another index. Upper and lower case share the index, which keeps fakes of
//! values that differ in case alike, as citext needs.

/// The place of one character in its class.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    /// The first character of the class, in the case of the character that was looked up.
    first: u32,
    /// How many characters the class has; at least 10.
    pub(super) size: u32,
    /// Below `size`; the same for both cases.
    pub(super) index: u32,
    pub(super) is_digit: bool,
}

impl Slot {
    /// The character at another index of this class, in the same case.
    pub(super) fn at(self, index: u32) -> char {
        // Every code point of the classes below is assigned; the fallback cannot be reached.
        char::from_u32(self.first + index % self.size).unwrap_or('x')
    }
}

/// (first, last, digits): letters without case, and digits, of other scripts. Each range lies
/// within one UTF-8 length and holds assigned letters only.
const RANGES: &[(u32, u32, bool)] = &[
    (0x00c0, 0x00d6, false), // Latin-1 upper; 00d7 is ×
    (0x00e0, 0x00f6, false), // Latin-1 lower; 00f7 is ÷
    (0x0391, 0x03a1, false), // Greek upper up to rho; 03a2 is unassigned
    (0x03b1, 0x03c1, false), // Greek lower up to rho
    (0x03a3, 0x03ab, false), // Greek upper from sigma: shorter than ten is fine for fills
    (0x03c3, 0x03cb, false),
    (0x0410, 0x042f, false), // Cyrillic upper
    (0x0430, 0x044f, false), // Cyrillic lower
    (0x0400, 0x040f, false), // Cyrillic upper extensions
    (0x0450, 0x045f, false), // Cyrillic lower extensions
    (0x0531, 0x0556, false), // Armenian upper
    (0x0561, 0x0586, false), // Armenian lower
    (0x05d0, 0x05ea, false), // Hebrew
    (0x0620, 0x063f, false), // Arabic
    (0x0641, 0x064a, false),
    (0x0660, 0x0669, true),    // Arabic-Indic digits
    (0x06f0, 0x06f9, true),    // Persian digits
    (0x0915, 0x0939, false),   // Devanagari consonants
    (0x0966, 0x096f, true),    // Devanagari digits
    (0x0e01, 0x0e2e, false),   // Thai consonants
    (0x10d0, 0x10f0, false),   // Georgian
    (0x3041, 0x3096, false),   // Hiragana
    (0x30a1, 0x30fa, false),   // Katakana
    (0x4e00, 0x9fa5, false),   // CJK unified ideographs
    (0xac00, 0xd7a3, false),   // Hangul syllables
    (0xff10, 0xff19, true),    // full-width digits
    (0xff21, 0xff3a, false),   // full-width Latin upper
    (0xff41, 0xff5a, false),   // full-width Latin lower
    (0x20000, 0x2a6d6, false), // CJK extension B
];

/// The slot of a letter or digit of a known script.
pub(super) fn slot(character: char) -> Option<Slot> {
    let code = u32::from(character);
    let (first, size, is_digit) = match character {
        'a'..='z' => (u32::from('a'), 26, false),
        'A'..='Z' => (u32::from('A'), 26, false),
        '0'..='9' => (u32::from('0'), 10, true),
        '\0'..='\u{bf}' => return None,
        // Every other character is looked up.
        _ => {
            let (first, last, is_digit) =
                RANGES.iter().find(|(first, last, _)| (*first..=*last).contains(&code))?;
            (*first, last - first + 1, *is_digit)
        }
    };
    Some(Slot { first, size, index: code - first, is_digit })
}

/// How many code points a Unicode block walk looks at: the size of most blocks.
const BLOCK: u32 = 128;

/// For letters and digits of a script without a class: a character of the same role and UTF-8
/// length among the 128 code points around it, chosen by `pick`. `None` for anything that is
/// neither letter nor digit.
pub(super) fn neighbour(character: char, pick: u32) -> Option<char> {
    if character.is_ascii() || !character.is_alphanumeric() {
        return None;
    }
    let base = u32::from(character) & !(BLOCK - 1);
    let candidates = (0..BLOCK).filter_map(|step| char::from_u32(base + (pick + step) % BLOCK));
    let mut alike = candidates.filter(|other| {
        *other != character
            && other.len_utf8() == character.len_utf8()
            && other.is_alphabetic() == character.is_alphabetic()
            && other.is_numeric() == character.is_numeric()
            && other.is_uppercase() == character.is_uppercase()
            && slot(*other).is_none()
    });
    // A letter alone in its block becomes an x or a 0 of its own length, if there is one.
    alike.next().or_else(|| match character.len_utf8() {
        2 => Some('\u{101}'),
        3 => Some('\u{1e03}'),
        4 => Some('\u{10280}'),
        _ => None, // one byte is ASCII, which was answered above
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_assigned_characters_of_one_role_and_length() {
        for &(first, last, is_digit) in RANGES {
            let one = char::from_u32(first).unwrap();
            for code in first..=last {
                let character = char::from_u32(code).unwrap();
                assert_eq!(character.len_utf8(), one.len_utf8(), "{code:x}");
                assert!(character.is_alphanumeric(), "{code:x}");
                assert_eq!(character.is_numeric(), is_digit, "{code:x}");
            }
        }
    }

    #[test]
    fn both_cases_share_an_index() {
        for character in ('\0'..='\u{24ff}').filter(|character| character.is_uppercase()) {
            let mut lower = character.to_lowercase();
            let (Some(lower), None, Some(upper)) = (lower.next(), lower.next(), slot(character))
            else {
                continue;
            };
            let lower = slot(lower).unwrap();
            assert_eq!((lower.index, lower.size), (upper.index, upper.size), "{character}");
        }
    }

    #[test]
    fn a_neighbour_is_never_the_character_itself() {
        for character in ('\u{80}'..='\u{2ffff}').filter(|character| character.is_alphanumeric()) {
            if let Some(other) = neighbour(character, 7) {
                assert_ne!(other, character);
                assert_eq!(other.len_utf8(), character.len_utf8(), "{character}");
            }
        }
    }
}
