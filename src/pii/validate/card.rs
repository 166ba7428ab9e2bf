//! Payment cards and other Luhn numbers.

use super::{digits, is_constant};

/// Luhn's check over all digits, the last being the check digit.
pub fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match (at % 2, digit * 2) {
            (0, _) => *digit,
            (_, doubled) if doubled > 9 => doubled - 9,
            (_, doubled) => doubled,
        })
        .sum();
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// Lengths that an issuer identification number allows; ISO/IEC 7812 and the brands' ranges.
fn lengths(first_six: u32) -> &'static [usize] {
    match first_six {
        400_000..=499_999 => &[13, 16, 19],
        510_000..=559_999 | 222_100..=272_099 => &[16],
        340_000..=349_999 | 370_000..=379_999 => &[15],
        300_000..=305_999 | 309_500..=309_599 | 360_000..=369_999 | 380_000..=399_999 => {
            &[14, 15, 16, 17, 18, 19]
        }
        601_100..=601_199
        | 644_000..=659_999
        | 352_800..=358_999
        | 620_000..=629_999
        | 220_000..=220_499 => &[16, 17, 18, 19],
        500_000..=509_999 | 560_000..=589_999 | 600_000..=699_999 => &[13, 14, 15, 16, 17, 18, 19],
        _ => &[],
    }
}

/// 13 to 19 digits, an issuer's range with its length, Luhn.
pub fn is_card(text: &str) -> bool {
    let Some(found) = digits(text, " -") else { return false };
    let head = found.iter().take(6).fold(0, |sum, digit| sum * 10 + digit);
    lengths(head).contains(&found.len()) && !is_constant(&found) && luhn(&found)
}

/// 15 digits with Luhn.
pub fn is_imei(text: &str) -> bool {
    digits(text, " -/")
        .is_some_and(|found| found.len() == 15 && !is_constant(&found) && luhn(&found))
}
