//! Dates in text.

/// Year, month and day in one of the usual orders and separators.
fn parts(text: &str) -> Option<(u32, u32, u32)> {
    let text = text.trim();
    let day = text.split_once(['T', ' ']).map_or(text, |(day, _)| day);
    let separator = day.chars().find(|letter| matches!(letter, '-' | '/' | '.'))?;
    let numbers: Vec<&str> = day.split(separator).collect();
    let [first, second, third] = numbers.as_slice() else { return None };
    let number = |text: &str| {
        let plain = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if plain { text.parse::<u32>().ok() } else { None }
    };
    let (one, two, three) = (number(first)?, number(second)?, number(third)?);
    if first.len() == 4 {
        Some((one, two, three))
    } else if third.len() == 4 {
        // 31/12/1999 and 12/31/1999.
        Some(if two > 12 { (three, one, two) } else { (three, two, one) })
    } else {
        None
    }
}

/// A calendar date, perhaps with a time.
pub fn is_date(text: &str) -> bool {
    parts(text).is_some_and(|(year, month, day)| {
        (1..=9999).contains(&year)
            && ((1..=12).contains(&month) && (1..=31).contains(&day)
                || (1..=12).contains(&day) && (1..=31).contains(&month))
    })
}

/// A date on which somebody alive can be born: 1900 to now (the clock is not asked: 2100).
pub fn is_birth_date(text: &str) -> bool {
    is_date(text) && parts(text).is_some_and(|(year, _, _)| (1900..2100).contains(&year))
}
