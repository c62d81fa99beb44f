//! Points in time and lengths of time, as they are written.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: milliseconds since 1970 in UTC. Its text, also in JSON, is RFC 3339: `2026-11-24T16:20:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

const DAY: u64 = 86_400_000;
/// The first millisecond of the year 10000, which has no RFC 3339 form.
const END: u64 = 253_402_300_800_000;

impl fmt::Display for Timestamp {
    /// The calendar counts days from 1 March of year 0, so that a leap day is the last day of its year:
    /// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, ms) = (self.0.min(END - 1) / DAY, self.0.min(END - 1) % DAY);
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 {
            from_march + 3
        } else {
            from_march - 9
        };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z",
            ms % 1000
        )
    }
}

impl std::str::FromStr for Timestamp {
    type Err = NotATime;

    /// Reads exactly what `Display` writes.
    fn from_str(text: &str) -> Result<Self, NotATime> {
        let number = |at: std::ops::Range<usize>| text.get(at)?.parse::<u64>().ok();
        let found = (|| {
            let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
            // Days from 1 March of year 0, the reverse of what `Display` does.
            let shifted = year.checked_sub(u64::from(month <= 2))?;
            let from_march = (month + 9) % 12;
            let of_year = (153 * from_march + 2) / 5 + day.checked_sub(1)?;
            let (era, year_of_era) = (shifted / 400, shifted % 400);
            let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
            let days = (era * 146_097 + of_era).checked_sub(719_468)?;
            let clock =
                number(11..13)? * 3_600_000 + number(14..16)? * 60_000 + number(17..19)? * 1000;
            Some(Self(days * DAY + clock + number(20..23)?))
        })();
        found.filter(|it| it.to_string() == text).ok_or(NotATime)
    }
}

/// The text is not a time as [`Timestamp`] writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time in UTC like 2026-11-24T16:20:00.000Z")]
pub struct NotATime;

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Reads a duration as compose does: numbers with units `h`, `m`, `s`, `ms`, `us`, largest first: `1m30s`, `500ms`, `1.5s`, `0`.
///
/// `None` for anything else, and for more than a year.
pub fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    const UNITS: [(&str, u64); 5] = [
        ("h", 3_600_000_000),
        ("ms", 1000),
        ("m", 60_000_000),
        ("us", 1),
        ("s", 1_000_000),
    ];
    let (mut rest, mut micros, mut last) = (text, 0_u64, u64::MAX);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(end);
        let (unit, size) = UNITS.into_iter().find(|(unit, _)| tail.starts_with(unit))?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if whole.len() > 12 || fraction.is_empty() || fraction.len() > 9 || size >= last {
            return None;
        }
        let part =
            fraction.parse::<u64>().ok()?.checked_mul(size)? / 10_u64.pow(fraction.len() as u32);
        micros = micros
            .checked_add(whole.parse::<u64>().ok()?.checked_mul(size)?)?
            .checked_add(part)?;
        (rest, last) = (&tail[unit.len()..], size);
    }
    let year = 366 * 24 * 3_600_000_000;
    (!text.is_empty() && micros <= year).then(|| Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_are_where_the_calendar_has_them() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_000, "2024-02-29T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp(ms).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp(ms)));
        }
        for text in [
            "",
            "2000-02-30T00:00:00.000Z",
            "2000-13-01T00:00:00.000Z",
            "2000-01-00T00:00:00.000Z",
            "1969-12-31T00:00:00.000Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(NotATime), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_time_is_read_as_it_was_written(ms in 0..END) {
            prop_assert_eq!(Timestamp(ms).to_string().parse(), Ok(Timestamp(ms)));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}", digits in "[0-9.hmsu]{0,40}") {
            let _ = (text.parse::<Timestamp>(), parse_duration(&text), parse_duration(&digits));
        }
    }

    #[test]
    fn durations_are_those_of_compose() {
        let ms = |n| Some(Duration::from_millis(n));
        for (text, expected) in [
            ("0", ms(0)),
            ("0s", ms(0)),
            ("2s", ms(2000)),
            ("1m30s", ms(90_000)),
            ("500ms", ms(500)),
            ("1.5s", ms(1500)),
            ("1h0m0s", ms(3_600_000)),
            ("100us", Some(Duration::from_micros(100))),
            ("", None),
            ("2", None),
            ("s", None),
            ("2 s", None),
            ("-2s", None),
            ("2d", None),
            ("1s1m", None),
            ("1s1s", None),
            ("9000h", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }
}
