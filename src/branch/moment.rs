//! A time of day as the catalog writes it: `2026-11-25T20:34:19Z`.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Seconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

const DAY: u64 = 86_400;
/// `9999-12-31T23:59:59Z`: a later one could not be read again.
const LAST: u64 = 253_402_300_799;

impl Moment {
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time.as_secs()).min(LAST))
    }

    fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        let numbers = |text: &str, mark: char| -> Option<[u64; 3]> {
            let parsed = text.split(mark).map(|part| part.parse().ok());
            parsed.collect::<Option<Vec<u64>>>()?.try_into().ok()
        };
        let ([year, month, day], [hour, minute, second]) =
            (numbers(date, '-')?, numbers(time, ':')?);
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day)
        {
            return None;
        }
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let days = days_of(year, month, day);
        Some(Self(days * DAY + hour * 3600 + minute * 60 + second))
    }
}

/// Days since 1970-01-01, for years from 1970 on. Years begin in March here, so that the leap
/// day is the last one. <https://howardhinnant.github.io/date_algorithms.html>
fn days_of(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let shifted = (month + 9) % 12;
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date_of(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.min(LAST);
        let ((year, month, day), second) = (date_of(seconds / DAY), seconds % DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("no time as 2026-11-25T20:34:19Z"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Moment};

    #[test]
    fn a_moment_is_read_as_it_was_written() {
        let known = [(0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z")];
        for (seconds, text) in known {
            assert_eq!(Moment(seconds).to_string(), text);
        }
        for seconds in (0..4_000_000_000).step_by(12_345_678) {
            assert_eq!(Moment::parse(&Moment(seconds).to_string()), Some(Moment(seconds)));
        }
        assert_eq!(Moment::parse("yesterday"), None);
        assert_eq!(Moment::parse("2026-01-01T24:00:00Z"), None);
    }

    #[test]
    fn the_last_moment_is_that_of_the_year_9999() {
        let last = Moment(1_700_000_000).after(Duration::from_secs(u64::MAX));
        assert_eq!(last.to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(Moment::parse(&last.to_string()), Some(last));
        assert_eq!(Moment(u64::MAX).to_string(), last.to_string());
    }
}
