//! Dates and timestamps: PostgreSQL's day and microsecond counts and their ISO text.
//! Source: `date2j`, `EncodeDateOnly`, `EncodeDateTime` (datetime.c), with `DateStyle` ISO and
//! `TimeZone` UTC.

use crate::transform::Fault;
use std::io::Write;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
const DAY_US: i64 = 86_400_000_000;

/// Days since 2000-01-01 of a proleptic Gregorian date; year 0 is 1 BC.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468 - EPOCH_DAYS
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn number(text: &str) -> Result<i64, Fault> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::Malformed);
    }
    text.parse().map_err(|_| Fault::Malformed)
}

/// Splits off a trailing ` BC` and reads `YYYY-MM-DD` of the rest up to `end`.
fn civil(date: &str, before_christ: bool) -> Result<i64, Fault> {
    let mut parts = date.split('-');
    let (Some(year), Some(month), Some(day), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fault::Malformed);
    };
    let year = number(year)?;
    let year = if before_christ { 1 - year } else { year };
    let (month, day) = (number(month)?, number(day)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return Err(Fault::Malformed);
    }
    Ok(days_from_civil(year, month, day))
}

pub(super) fn parse_date(text: &str) -> Result<i32, Fault> {
    match text {
        "infinity" => return Ok(i32::MAX),
        "-infinity" => return Ok(i32::MIN),
        _ => {}
    }
    let (date, before_christ) = text.strip_suffix(" BC").map_or((text, false), |date| (date, true));
    i32::try_from(civil(date, before_christ)?).map_err(|_| Fault::OutOfRange)
}

pub(super) fn parse_timestamp(text: &str) -> Result<i64, Fault> {
    match text {
        "infinity" => return Ok(i64::MAX),
        "-infinity" => return Ok(i64::MIN),
        _ => {}
    }
    let (rest, before_christ) = text.strip_suffix(" BC").map_or((text, false), |rest| (rest, true));
    let (date, time) = rest.split_once(' ').ok_or(Fault::Malformed)?;
    let time = time.strip_suffix("+00").unwrap_or(time);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = clock.split(':');
    let (Some(hour), Some(minute), Some(second), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fault::Malformed);
    };
    if fraction.len() > 6 {
        return Err(Fault::Malformed);
    }
    let mut micros = if fraction.is_empty() { 0 } else { number(fraction)? };
    for _ in fraction.len()..6 {
        micros *= 10;
    }
    let seconds = number(hour)? * 3600 + number(minute)? * 60 + number(second)?;
    civil(date, before_christ)?
        .checked_mul(DAY_US)
        .and_then(|days| days.checked_add(seconds * 1_000_000 + micros))
        .ok_or(Fault::OutOfRange)
}

fn write_civil(days: i64, out: &mut Vec<u8>) -> bool {
    let (year, month, day) = civil_from_days(days);
    let before_christ = year <= 0;
    let shown = if before_christ { 1 - year } else { year };
    // Writing to a Vec cannot fail.
    drop(write!(out, "{shown:04}-{month:02}-{day:02}"));
    before_christ
}

pub(super) fn write_date(date: i32, out: &mut Vec<u8>) {
    match date {
        i32::MAX => out.extend_from_slice(b"infinity"),
        i32::MIN => out.extend_from_slice(b"-infinity"),
        days => {
            if write_civil(i64::from(days), out) {
                out.extend_from_slice(b" BC");
            }
        }
    }
}

pub(super) fn write_timestamp(timestamp: i64, with_zone: bool, out: &mut Vec<u8>) {
    match timestamp {
        i64::MAX => return out.extend_from_slice(b"infinity"),
        i64::MIN => return out.extend_from_slice(b"-infinity"),
        _ => {}
    }
    let before_christ = write_civil(timestamp.div_euclid(DAY_US), out);
    let micros = timestamp.rem_euclid(DAY_US);
    let seconds = micros / 1_000_000;
    // Writing to a Vec cannot fail.
    drop(write!(out, " {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
    let fraction = micros % 1_000_000;
    if fraction != 0 {
        let start = out.len();
        drop(write!(out, ".{fraction:06}"));
        while out.len() > start && out.last() == Some(&b'0') {
            out.pop();
        }
    }
    if with_zone {
        out.extend_from_slice(b"+00");
    }
    if before_christ {
        out.extend_from_slice(b" BC");
    }
}
