//! National identifiers with their check digits.

use super::{digits, is_constant, luhn, weighted};

/// US social security number: nine digits, areas and groups that were issued, no known dummy.
pub fn is_ssn(text: &str) -> bool {
    let Some(found) = digits(text, "- ") else { return false };
    let number = |from: usize, len: usize| {
        found.iter().skip(from).take(len).fold(0, |sum, digit| sum * 10 + digit)
    };
    let (area, group, serial) = (number(0, 3), number(3, 2), number(5, 4));
    let dummy = matches!((area, group, serial), (78, 5, 1120) | (219, 9, 9999));
    found.len() == 9
        && !matches!(area, 0 | 666 | 900..)
        && group != 0
        && serial != 0
        && !dummy
        && !is_constant(&found)
}

/// An SSN spelled `ddd-dd-dddd`.
pub fn is_ssn_dashed(text: &str) -> bool {
    let text = text.trim();
    let dashes: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
    text.len() == 11 && dashes == [3, 6] && is_ssn(text)
}

/// UK: ten digits, mod 11.
pub fn is_nhs(text: &str) -> bool {
    let Some(found) = digits(text, " -") else { return false };
    let rest = 11 - weighted(&found, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if rest == 11 { 0 } else { rest };
    found.len() == 10 && !is_constant(&found) && found.last() == Some(&check)
}

/// FR company: nine digits with Luhn.
pub fn is_siren(text: &str) -> bool {
    digits(text, " ").is_some_and(|found| found.len() == 9 && !is_constant(&found) && luhn(&found))
}

/// FR establishment: fourteen digits with Luhn.
pub fn is_siret(text: &str) -> bool {
    digits(text, " ").is_some_and(|found| found.len() == 14 && !is_constant(&found) && luhn(&found))
}

/// ES: eight digits (DNI) or X/Y/Z and seven (NIE), and the letter mod 23.
pub fn is_dni(text: &str) -> bool {
    let text = text.trim().replace(['-', ' '], "").to_ascii_uppercase();
    if text.len() != 9 || !text.is_ascii() {
        return false;
    }
    let (Some(body), Some(letter)) = (text.get(..8), text.chars().last()) else { return false };
    let body = match body.chars().next() {
        Some('X') => body.replacen('X', "0", 1),
        Some('Y') => body.replacen('Y', "1", 1),
        Some('Z') => body.replacen('Z', "2", 1),
        _ => body.to_owned(),
    };
    let Ok(number) = body.parse::<usize>() else { return false };
    "TRWAGMYFPDXBNJZSQVHLCKE".chars().nth(number % 23) == Some(letter)
}

/// PL: eleven digits, weights 1-3-7-9, a month that encodes the century.
pub fn is_pesel(text: &str) -> bool {
    let Some(found) = digits(text, "") else { return false };
    let month = found.iter().skip(2).take(2).fold(0, |sum, digit| sum * 10 + digit) % 20;
    let sum = weighted(&found, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
    found.len() == 11 && (1..=12).contains(&month) && found.last() == Some(&((10 - sum % 10) % 10))
}

/// NL: nine digits, the 11-test.
pub fn is_bsn(text: &str) -> bool {
    let Some(found) = digits(text, ". ") else { return false };
    let (sum, last) = (weighted(&found, &[9, 8, 7, 6, 5, 4, 3, 2]), found.last().copied());
    found.len() == 9
        && !is_constant(&found)
        && last.is_some_and(|last| sum >= last && (sum - last).is_multiple_of(11))
}

/// BR: eleven digits, two check digits mod 11.
pub fn is_cpf(text: &str) -> bool {
    let Some(found) = digits(text, ".-") else { return false };
    let check = |sum: u32| match sum * 10 % 11 {
        10 => 0,
        digit => digit,
    };
    let first = check(weighted(&found, &[10, 9, 8, 7, 6, 5, 4, 3, 2]));
    let second = check(weighted(&found, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]));
    found.len() == 11
        && !is_constant(&found)
        && found.get(9) == Some(&first)
        && found.get(10) == Some(&second)
}

/// IN: twelve digits, not led by 0 or 1, Verhoeff.
pub fn is_aadhaar(text: &str) -> bool {
    const PERMUTED: [[u32; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let Some(found) = digits(text, " -") else { return false };
    let mut sum = 0;
    for (at, digit) in found.iter().rev().enumerate() {
        let row = PERMUTED.get(at % 8);
        let value = row.and_then(|row| row.get(usize::try_from(*digit).ok()?)).copied();
        sum = dihedral(sum, value.unwrap_or(0));
    }
    found.len() == 12 && found.first().is_some_and(|first| *first > 1) && sum == 0
}

/// Multiplication in the dihedral group of order ten.
fn dihedral(left: u32, right: u32) -> u32 {
    match (left < 5, right < 5) {
        (true, true) => (left + right) % 5,
        (true, false) => 5 + (left + right - 5) % 5,
        (false, true) => 5 + (left - 5 + 5 - right) % 5,
        (false, false) => (left + 5 - right) % 5,
    }
}

/// FR: thirteen digits (2A and 2B for Corsica) and the key 97 − n mod 97.
pub fn is_nir(text: &str) -> bool {
    let text = text.trim().replace(' ', "").to_ascii_uppercase();
    let (Some(body), Some(key)) = (text.get(..13), text.get(13..)) else { return false };
    let body = body.replacen("2A", "19", 1).replacen("2B", "18", 1);
    let (Ok(number), Ok(key)) = (body.parse::<u64>(), key.parse::<u64>()) else { return false };
    text.len() == 15 && text.starts_with(['1', '2']) && key == 97 - number % 97
}

/// US provider: ten digits from 1 or 2, Luhn over 80840‖n.
pub fn is_npi(text: &str) -> bool {
    let Some(found) = digits(text, "") else { return false };
    let prefixed: Vec<u32> = [8, 0, 8, 4, 0].into_iter().chain(found.iter().copied()).collect();
    found.len() == 10
        && found.first().is_some_and(|first| matches!(first, 1 | 2))
        && !is_constant(&found)
        && luhn(&prefixed)
}

/// US prescriber: two letters, seven digits, (d1+d3+d5)+2(d2+d4+d6) mod 10 = d7.
pub fn is_dea(text: &str) -> bool {
    let text = text.trim();
    let (Some(letters), Some(rest)) = (text.get(..2), text.get(2..)) else { return false };
    let Some(found) = digits(rest, "") else { return false };
    let sum = weighted(&found, &[1, 2, 1, 2, 1, 2]);
    letters.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'9')
        && letters.starts_with(|first: char| first.is_ascii_uppercase())
        && found.len() == 7
        && found.last() == Some(&(sum % 10))
}
