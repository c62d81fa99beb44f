//! The engine's timestamps: RFC 3339 on the wire, nanoseconds since 1970 in here.

/// A moment on the engine's clock: nanoseconds since 1970-01-01 UTC.
pub type Time = u64;

const NANOS: i64 = 1_000_000_000;

/// Reads an RFC 3339 timestamp such as `2026-11-24T15:04:56.185627148Z`.
///
/// The engine writes `0001-01-01T00:00:00Z` for "never"; that, anything before
/// 1970 and anything malformed is `None`.
pub(crate) fn parse_rfc3339(text: &str) -> Option<Time> {
    let (date, rest) = text.split_once(['T', 't'])?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    // Four digits of a year are all that RFC 3339 has.
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(2..=9999).contains(&year) {
        return None;
    }
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone_at);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..=60).contains(&second) {
        return None;
    }
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
        - offset_seconds(zone)?;
    let nanos = seconds
        .checked_mul(NANOS)?
        .checked_add(parse_fraction(fraction)?)?;
    u64::try_from(nanos).ok()
}

fn parse_fraction(digits: &str) -> Option<i64> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nine: String = digits.chars().chain("000000000".chars()).take(9).collect();
    nine.parse().ok()
}

fn offset_seconds(zone: &str) -> Option<i64> {
    let sign = match zone.chars().next()? {
        'Z' | 'z' => return (zone.len() == 1).then_some(0),
        '+' => 1,
        _ => -1,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
    let is_offset = (0..24).contains(&hours) && (0..60).contains(&minutes);
    is_offset.then(|| sign * (hours * 3600 + minutes * 60))
}

/// Days since 1970-01-01 of a date of the Gregorian calendar.
/// Years are counted from March, so that the leap day is the last day of a year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Writes a moment as the engine does, with nanoseconds; `None` becomes the engine's "never".
#[cfg(any(test, feature = "fake"))]
pub(crate) fn format_rfc3339(time: Option<Time>) -> String {
    let Some(time) = time else {
        return "0001-01-01T00:00:00Z".to_owned();
    };
    let time = i64::try_from(time).unwrap_or(i64::MAX);
    let (seconds, nanos) = (time.div_euclid(NANOS), time.rem_euclid(NANOS));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let day_of_era = (days + 719_468).rem_euclid(146_097);
    let era = (days + 719_468).div_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{nanos:09}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
    )
}

/// Writes a moment for the `since` filter of the event stream: seconds, a dot, nanoseconds.
pub(crate) fn format_since(time: Time) -> String {
    format!("{}.{:09}", time / 1_000_000_000, time % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_calendar_has_is_no_time() {
        for text in [
            "9223372036854775807-01-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "2026-01-01T00:00:00+9223372036854775807:00",
            "2026-01-01T00:00:00+00:9223372036854775807",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00+-1:00",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
    use proptest::prelude::*;

    #[test]
    fn reads_what_engines_write() {
        for (text, want) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T00:00:01.5Z", Some(1_500_000_000)),
            ("2024-02-29T12:00:00Z", Some(1_709_208_000_000_000_000)),
            (
                "2026-11-24T15:04:56.185627148Z",
                Some(1_795_532_696_185_627_148),
            ),
            (
                "2026-11-24T17:04:56.185627148+02:00",
                Some(1_795_532_696_185_627_148),
            ),
            ("0001-01-01T00:00:00Z", None),
            ("1969-12-31T23:59:59Z", None),
            ("", None),
            ("yesterday", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-11-24T15:04:56", None),
            ("2026-11-24T15:04:56.1x5Z", None),
        ] {
            assert_eq!(parse_rfc3339(text), want, "{text}");
        }
    }

    #[test]
    fn since_keeps_nanoseconds() {
        assert_eq!(format_since(1_500_000_007), "1.500000007");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(time in 0_u64..=(i64::MAX as u64)) {
            prop_assert_eq!(parse_rfc3339(&format_rfc3339(Some(time))), Some(time));
        }
    }
}
