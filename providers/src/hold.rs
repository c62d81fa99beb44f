//! A server's wish to be left alone: how it says so, and until when it is obeyed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

/// The longest that a server can make us stay away.
const LONGEST: Duration = Duration::from_secs(3600);

/// Until when a server wants to be left alone, if it does.
#[derive(Default)]
pub(crate) struct Hold(Mutex<Option<Instant>>);

impl Hold {
    /// How long it is still to be left alone.
    pub(crate) fn left(&self, now: Instant) -> Option<Duration> {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until?
            .checked_duration_since(now)
            .filter(|left| !left.is_zero())
    }

    /// Takes a wish. Of several answers that were under way at once the longest wish counts.
    pub(crate) fn obey(&self, after: Duration, now: Instant) {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *until = (*until).max(Some(now + after.min(LONGEST)));
    }
}

/// For how long the server wants to be left alone, see <https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let wish = text(RETRY_AFTER)?;
    if let Ok(seconds) = wish.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(wish).ok()?;
    let now = httpdate::parse_http_date(text(DATE)?).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn the_wish_to_be_left_alone_is_understood_in_both_its_forms() {
        let wish = |pairs: &[(HeaderName, &'static str)]| {
            let pairs = pairs.iter().cloned();
            retry_after(
                &pairs
                    .map(|(k, v)| (k, HeaderValue::from_static(v)))
                    .collect(),
            )
        };
        let date = (DATE, "Wed, 25 Nov 2026 09:00:00 GMT");
        let later = (RETRY_AFTER, "Wed, 25 Nov 2026 09:02:00 GMT");
        assert_eq!(
            wish(&[(RETRY_AFTER, " 17 ")]),
            Some(Duration::from_secs(17))
        );
        assert_eq!(
            wish(&[later.clone(), date.clone()]),
            Some(Duration::from_secs(120))
        );
        let past = (RETRY_AFTER, "Wed, 25 Nov 2026 08:00:00 GMT");
        assert_eq!(wish(&[past, date.clone()]), Some(Duration::ZERO));
        for none in [vec![], vec![date], vec![later], vec![(RETRY_AFTER, "soon")]] {
            assert_eq!(wish(&none), None, "{none:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_wish_counts_and_none_is_for_ever() {
        let (hold, start) = (Hold::default(), Instant::now());
        let second = Duration::from_secs(1);
        assert_eq!(hold.left(start), None);
        hold.obey(5 * second, start);
        hold.obey(2 * second, start);
        assert_eq!(hold.left(start + second), Some(4 * second));
        assert_eq!(hold.left(start + 5 * second), None);
        hold.obey(Duration::MAX, start);
        assert_eq!(hold.left(start), Some(LONGEST));
    }
}
