//! Validators: is this one value of that shape, with its check digits?
//!
//! Each is a pure predicate over one value. None keeps what it reads.

mod bank;
mod card;
mod contact;
mod date;
mod national;
mod network;
mod person;
mod place;
mod secret;
#[cfg(test)]
mod tests;
mod vehicle;

pub use bank::{is_aba, is_bic, is_iban, is_wallet};
pub use card::{is_card, is_imei, luhn};
pub use contact::{is_email, is_phone, is_phone_like};
pub use date::{is_birth_date, is_date};
pub use national::{
    is_aadhaar, is_bsn, is_cpf, is_dea, is_dni, is_nhs, is_nir, is_npi, is_pesel, is_siren,
    is_siret, is_ssn, is_ssn_dashed,
};
pub use network::{is_ip, is_mac, is_url, is_user_agent, is_uuid};
pub use person::{is_full_name, is_given_name, is_surname};
pub use place::{is_city, is_postal_code, is_street};
pub use secret::{entropy_bits, is_digest, is_secret};
pub use vehicle::is_vin;

/// The decimal digits of a text, with separators that people put between them left out; `None`
/// if it holds anything else.
pub(super) fn digits(text: &str, separators: &str) -> Option<Vec<u32>> {
    let mut found = Vec::with_capacity(text.len());
    for letter in text.trim().chars() {
        match letter.to_digit(10) {
            Some(digit) if letter.is_ascii() => found.push(digit),
            _ if separators.contains(letter) => {}
            _ => return None,
        }
    }
    Some(found)
}

/// Σ digit × weight over equally long slices.
pub(super) fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// True if all digits are equal: placeholders such as 000000000.
pub(super) fn is_constant(digits: &[u32]) -> bool {
    digits.windows(2).all(|pair| pair.first() == pair.last())
}
