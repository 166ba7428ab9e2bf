//! Dates and timestamps: shifts and buckets, inside the server's ranges.
//!
//! `date_shift` moves by whole days, the same number for every value of one subject (so
//! intervals within a subject stay), or, without a subject, by a number keyed by the day; never
//! by 0. What would leave the type's range is shifted the other way. `date_bucket` floors to the
//! first day of its unit; years before Christ count astronomically.
//! Infinities stay. Texts that begin with an ISO date are read too; others are filled.

use super::canonical::{TAG_DAY, TAG_SUBJECT};
use super::fill::fallback;
use super::integer::push_decimal;
use crate::transform::key::DomainKey;
use crate::transform::{DateUnit, Fault, Output, Value};

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// 4714-11-24 BC, Julian day 0 (timestamp.h `DATETIME_MIN_JULIAN`).
const FIRST_DAY: i64 = -2_451_545;
/// 5874897-12-31 (timestamp.h `DATE_END_JULIAN`, exclusive there).
const LAST_DAY: i64 = 2_147_483_494 - 2_451_545 - 1;
/// timestamp.h `END_TIMESTAMP`, exclusive.
const END_MICROS: i64 = 9_223_371_331_200_000_000;
/// 2000-01-01 in days since 1970-01-01.
const EPOCH_DAYS: i64 = 10_957;
/// About 2700 years: beyond it a shift could leave both ends of the range.
pub(super) const MAX_SHIFT_DAYS: u32 = 1_000_000;

pub(super) enum Change {
    Shift { max_days: u32 },
    Bucket(DateUnit),
}

pub(super) struct Date {
    pub(super) key: DomainKey,
    pub(super) change: Change,
    pub(super) max_chars: Option<u32>,
}

impl Date {
    pub(super) fn apply(
        &self,
        value: Value<'_>,
        subject: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Output, Fault> {
        match value {
            Value::Date(i32::MIN | i32::MAX) | Value::Timestamp(i64::MIN | i64::MAX) => {
                Ok(Output::Same)
            }
            Value::Date(day) => {
                let day = self.day(day.into(), subject, FIRST_DAY, LAST_DAY);
                i32::try_from(day).map(Output::Date).map_err(|_| Fault::OutOfRange)
            }
            Value::Timestamp(micros) => {
                let (day, time) =
                    (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY));
                let last = END_MICROS.div_euclid(MICROS_PER_DAY) - 1;
                let day = self.day(day, subject, FIRST_DAY, last);
                let time = match self.change {
                    Change::Shift { .. } => time,
                    Change::Bucket(_) => 0,
                };
                let micros = day.checked_mul(MICROS_PER_DAY).and_then(|day| day.checked_add(time));
                micros.map(Output::Timestamp).ok_or(Fault::OutOfRange)
            }
            Value::Text("") => Ok(Output::Same),
            Value::Text(text) => Ok(self.text(text, subject, out)),
            Value::Int(_)
            | Value::Numeric(_)
            | Value::Float(_)
            | Value::Bool(_)
            | Value::Uuid(_)
            | Value::Bytes(_)
            | Value::Inet(..)
            | Value::Mac(_)
            | Value::Json(_) => Err(Fault::WrongKind),
        }
    }

    fn day(&self, day: i64, subject: Option<&[u8]>, first: i64, last: i64) -> i64 {
        match self.change {
            Change::Bucket(unit) => floor(day, unit).max(first),
            Change::Shift { max_days } => {
                let bound = max_days.saturating_mul(2);
                let draw = match subject {
                    Some(subject) => self.key.stream(TAG_SUBJECT, subject).below(bound),
                    None => self.key.below(TAG_DAY, day.cast_unsigned(), bound),
                };
                let distance = i64::from(draw / 2) + 1;
                let shift = if draw % 2 == 0 { distance } else { -distance };
                if (first..=last).contains(&(day + shift)) { day + shift } else { day - shift }
            }
        }
    }

    /// `YYYY-MM-DD` and what follows it: a time of day stays under a shift and becomes zeros
    /// in a bucket.
    fn text(&self, text: &str, subject: Option<&[u8]>, out: &mut Vec<u8>) -> Output {
        let parsed = text.split_at_checked(10).and_then(|(date, rest)| {
            let begins_time = rest.is_empty() || rest.starts_with(['T', 't', ' ']);
            let is_time =
                rest.bytes().all(|byte| byte.is_ascii_digit() || b"Tt :.+-Zz".contains(&byte));
            (begins_time && is_time).then_some((parse_iso(date)?, rest))
        });
        let Some((day, rest)) = parsed else {
            return fallback(&self.key, text, self.max_chars, out);
        };
        // Four-digit years are all that the form can spell.
        let day = self.day(day, subject, days(1, 1, 1), days(9999, 12, 31));
        push_iso(day, out);
        match self.change {
            Change::Shift { .. } => out.extend_from_slice(rest.as_bytes()),
            Change::Bucket(_) => {
                out.extend(
                    rest.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte }),
                );
            }
        }
        Output::Text
    }
}

/// Days since 2000-01-01 of an ISO date, if it is one.
pub(super) fn parse_iso(text: &str) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else { return None };
    let number = |digits: &[&u8]| {
        digits.iter().try_fold(0_i64, |sum, byte| {
            byte.is_ascii_digit().then(|| sum * 10 + i64::from(**byte - b'0'))
        })
    };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
    let count = days(year, month, day);
    ((1..=12).contains(&month) && year >= 1 && civil(count) == (year, month, day)).then_some(count)
}

fn push_iso(day: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(day);
    for (number, width, separator) in [(year, 4, "-"), (month, 2, "-"), (day, 2, "")] {
        push_decimal(out, u128::try_from(number).unwrap_or(0), width);
        out.extend_from_slice(separator.as_bytes());
    }
}

fn floor(day: i64, unit: DateUnit) -> i64 {
    let (year, month, _) = civil(day);
    match unit {
        DateUnit::Month => days(year, month, 1),
        DateUnit::Quarter => days(year, month - (month - 1) % 3, 1),
        DateUnit::Year => days(year, 1, 1),
        DateUnit::Decade => days(year.div_euclid(10) * 10, 1, 1),
    }
}

/// Days since 2000-01-01 in the proleptic Gregorian calendar (Hinnant, "chrono-compatible
/// low-level date algorithms", `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468 - EPOCH_DAYS
}

/// Year, month and day (`civil_from_days`).
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + EPOCH_DAYS + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_days_agree_with_postgres() {
        for (day, date) in [
            (0, (2000, 1, 1)),
            (-1, (1999, 12, 31)),
            (59, (2000, 2, 29)),
            (FIRST_DAY, (-4713, 11, 24)),
            (LAST_DAY, (5_874_897, 12, 31)),
            (-10_957, (1970, 1, 1)),
        ] {
            assert_eq!(civil(day), date);
            assert_eq!(days(date.0, date.1, date.2), day);
        }
    }

    #[test]
    fn buckets_floor_before_christ_too() {
        let day = days(-43, 3, 15);
        assert_eq!(civil(floor(day, DateUnit::Month)), (-43, 3, 1));
        assert_eq!(civil(floor(day, DateUnit::Quarter)), (-43, 1, 1));
        assert_eq!(civil(floor(day, DateUnit::Decade)), (-50, 1, 1));
    }
}
