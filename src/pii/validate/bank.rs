//! IBAN, BIC, ABA routing numbers and wallet addresses.

use super::{digits, is_constant, weighted};

/// Lengths by country, IBAN registry (ISO 13616).
const IBAN_LENGTHS: [(&str, usize); 78] = [
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("XK", 20),
];

/// Country and length of the registry, mod 97 = 1 (ISO 7064).
pub fn is_iban(text: &str) -> bool {
    let compact: String = text.chars().filter(|letter| !matches!(letter, ' ' | '-')).collect();
    let compact = compact.to_ascii_uppercase();
    let Some((country, rest)) = compact.split_at_checked(2) else { return false };
    if !IBAN_LENGTHS.contains(&(country, compact.len())) {
        return false;
    }
    let Some((check, account)) = rest.split_at_checked(2) else { return false };
    if !check.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let letters = account.chars().chain(country.chars()).chain(check.chars());
    let mut remainder = 0_u32;
    for letter in letters {
        let Some(value) = letter.to_digit(36) else { return false };
        let shift = if value > 9 { 100 } else { 10 };
        remainder = (remainder * shift + value) % 97;
    }
    remainder == 1
}

/// Four letters, a country, a location, perhaps a branch (ISO 9362).
pub fn is_bic(text: &str) -> bool {
    let text = text.trim();
    let bytes = text.as_bytes();
    matches!(bytes.len(), 8 | 11)
        && bytes.iter().take(6).all(u8::is_ascii_uppercase)
        && bytes.iter().skip(6).all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && text.get(4..6).is_some_and(|country| {
            country == "US"
                || country == "CA"
                || country == "JP"
                || country == "CN"
                || country == "AU"
                || country == "IN"
                || IBAN_LENGTHS.iter().any(|(known, _)| *known == country)
        })
}

/// Nine digits with weights 3-7-1 and a Federal Reserve prefix.
pub fn is_aba(text: &str) -> bool {
    let Some(found) = digits(text, "") else { return false };
    let prefix = found.iter().take(2).fold(0, |sum, digit| sum * 10 + digit);
    found.len() == 9
        && !is_constant(&found)
        && matches!(prefix, 0..=12 | 21..=32 | 61..=72 | 80)
        && weighted(&found, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
}

/// The shapes of Bitcoin (base58, bech32) and Ethereum addresses.
pub fn is_wallet(text: &str) -> bool {
    let text = text.trim();
    let base58 =
        |byte: u8| byte.is_ascii_alphanumeric() && !matches!(byte, b'0' | b'O' | b'I' | b'l');
    let bech32 = |byte: u8| b"qpzry9x8gf2tvdw0s3jn54khce6mua7l".contains(&byte);
    if let Some(hex) = text.strip_prefix("0x") {
        return hex.len() == 40 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    if let Some(data) = text.strip_prefix("bc1") {
        return (39..=59).contains(&data.len()) && data.bytes().all(bech32);
    }
    text.starts_with(['1', '3'])
        && (26..=35).contains(&text.len())
        && text.bytes().all(base58)
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
        && text.bytes().any(|byte| byte.is_ascii_uppercase())
}
