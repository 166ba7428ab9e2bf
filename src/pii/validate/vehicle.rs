//! Vehicle identification numbers.

/// 17 characters without I, O and Q whose ninth is the check (49 CFR 565.15).
pub fn is_vin(text: &str) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let text = text.trim().to_ascii_uppercase();
    if text.len() != WEIGHTS.len() {
        return false;
    }
    let mut sum = 0;
    for (letter, weight) in text.chars().zip(WEIGHTS) {
        let value = match letter {
            '0'..='9' => letter.to_digit(10).unwrap_or(0),
            'A'..='H' => u32::from(letter) - u32::from('A') + 1,
            'J'..='N' => u32::from(letter) - u32::from('J') + 1,
            'P' => 7,
            'R' => 9,
            'S'..='Z' => u32::from(letter) - u32::from('S') + 2,
            _ => return false,
        };
        sum += value * weight;
    }
    let check = match sum % 11 {
        10 => Some('X'),
        digit => char::from_digit(digit, 10),
    };
    text.chars().nth(8) == check
}
