//! What keeps one sender within bounds, however well it signs: there are so many a second, and far fewer of those that repeat
//! themselves.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// The signature itself, whatever it was written like.
pub type Mac = [u8; 32];

/// Pushes that may come at once.
const BURST: u32 = 100;
/// How long until there may be one more.
const REFILL: Duration = Duration::from_millis(100);
/// A repetition counts so much later, and not again before that.
const LATER: Duration = Duration::from_secs(1);
/// The pause between two repetitions that count.
const BETWEEN: Duration = Duration::from_secs(10);

/// The state of one sender. What is kept is bounded by what is let in: about ten a second, for twice the tolerance.
#[derive(Debug)]
pub struct Guard {
    seen: HashSet<Mac>,
    /// The same, in the order in which they are forgotten.
    order: VecDeque<(Instant, Mac)>,
    /// When the bucket would be full again.
    full_at: Instant,
    /// When the last repetition counts.
    repeated: Option<Instant>,
}

/// Whether a push counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Fresh,
    /// It has been here before. Senders repeat what they believe was lost; but two changes in one second may be signed alike, so
    /// that it counts then, or not at all because one that does is still to come.
    Repeated(Option<Instant>),
    /// There are too many.
    Limited,
}

impl Guard {
    /// Nothing has come yet.
    pub fn new(now: Instant) -> Self {
        Self {
            seen: HashSet::new(),
            order: VecDeque::new(),
            full_at: now,
            repeated: None,
        }
    }

    /// Judges a push whose signature is right, and remembers it so long.
    pub fn admit(&mut self, mac: Mac, keep: Duration, now: Instant) -> Verdict {
        while let Some((_, old)) = self.order.pop_front_if(|(until, _)| *until <= now) {
            self.seen.remove(&old);
        }
        if self.seen.contains(&mac) {
            let last = self.repeated;
            if last.is_some_and(|at| now < at) {
                return Verdict::Repeated(None);
            }
            let at = last.map_or(now, |at| at + BETWEEN).max(now + LATER);
            self.repeated = Some(at);
            return Verdict::Repeated(Some(at));
        }
        let full_at = self.full_at.max(now) + REFILL;
        if full_at > now + REFILL * BURST {
            return Verdict::Limited;
        }
        self.full_at = full_at;
        self.seen.insert(mac);
        self.order.push_back((now + keep, mac));
        Verdict::Fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_secs(600);

    fn mac(n: u64) -> Mac {
        let mut mac = Mac::default();
        mac[..8].copy_from_slice(&n.to_le_bytes());
        mac
    }

    #[tokio::test(start_paused = true)]
    async fn a_signature_is_fresh_once_as_long_as_it_could_be_believed() {
        let now = Instant::now();
        let mut guard = Guard::new(now);
        assert_eq!(guard.admit(mac(1), KEEP, now), Verdict::Fresh);
        let later = now + KEEP - REFILL;
        let again = guard.admit(mac(1), KEEP, later);
        assert_eq!(again, Verdict::Repeated(Some(later + LATER)));
        assert_eq!(guard.admit(mac(1), KEEP, now + KEEP), Verdict::Fresh);
    }

    #[tokio::test(start_paused = true)]
    async fn repetitions_count_seldom_and_the_last_one_does() {
        let begin = Instant::now();
        let mut guard = Guard::new(begin);
        guard.admit(mac(1), KEEP, begin);
        guard.admit(mac(2), KEEP, begin);
        let (mut counted, mut last) = (Vec::new(), begin);
        for n in 0..250 {
            last = begin + REFILL * n;
            if let Verdict::Repeated(Some(at)) = guard.admit(mac(u64::from(n % 2) + 1), KEEP, last)
            {
                counted.push(at - begin);
            }
        }
        assert_eq!(counted, [1, 11, 21, 31].map(Duration::from_secs));
        assert!(last - begin < counted[3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_limited_and_what_is_kept_is_bounded() {
        let now = Instant::now();
        let mut guard = Guard::new(now);
        let fresh = |guard: &mut Guard, from: u64, now| {
            let all = (from..from + 1000).map(|n| guard.admit(mac(n), KEEP, now));
            all.filter(|it| *it == Verdict::Fresh).count()
        };
        assert_eq!(fresh(&mut guard, 0, now), BURST as usize);
        assert_eq!(fresh(&mut guard, 2000, now + REFILL * 3), 3);
        for n in 0..36_000 {
            // Twenty a second for half an hour.
            guard.admit(
                mac(10_000 + n),
                KEEP,
                now + REFILL * u32::try_from(n / 2).unwrap(),
            );
        }
        assert!(guard.order.len() <= 6_100, "{}", guard.order.len());
        assert_eq!(guard.order.len(), guard.seen.len());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_limited_may_come_again() {
        let now = Instant::now();
        let mut guard = Guard::new(now);
        for n in 0..u64::from(BURST) {
            guard.admit(mac(n), KEEP, now);
        }
        assert_eq!(guard.admit(mac(1000), KEEP, now), Verdict::Limited);
        assert_eq!(guard.admit(mac(1000), KEEP, now + REFILL), Verdict::Fresh);
    }
}
