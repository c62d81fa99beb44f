//! How long to wait after the n-th failure in a row. Pure: the randomness is an argument.

use std::time::Duration;

/// Exponential backoff with full jitter: a uniform share of a ceiling that doubles with every failure.
///
/// Full jitter spreads the retries of many keys that failed together (a backend went down) better than a jittered fixed step:
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Ceiling after the first failure.
    pub base: Duration,
    /// Ceiling that is never exceeded.
    pub cap: Duration,
}

impl Default for Backoff {
    /// From 1 s to 5 min.
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(300),
        }
    }
}

impl Backoff {
    /// The longest wait after this many failures in a row; zero after none.
    pub fn ceiling(&self, failures: u32) -> Duration {
        match failures.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => {
                let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
                self.base.saturating_mul(factor).min(self.cap)
            }
        }
    }

    /// The wait after this many failures in a row: between zero and [`Self::ceiling`], in whole milliseconds.
    pub fn delay(&self, failures: u32, rng: &mut Rng) -> Duration {
        let ceiling = u64::try_from(self.ceiling(failures).as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(rng.up_to(ceiling))
    }
}

/// A seeded source of jitter (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>). Not for cryptography.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// The same seed gives the same sequence.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, any of 2⁶⁴.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number from 0 to `max`, both included.
    pub fn up_to(&mut self, max: u64) -> u64 {
        // The high half of the product is uniform enough for jitter and needs no loop.
        let wide = u128::from(self.next_u64()) * (u128::from(max) + 1);
        u64::try_from(wide >> 64).unwrap_or(max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_from_one_second_to_five_minutes() {
        let seconds: Vec<u64> = (0..=12)
            .map(|n| Backoff::default().ceiling(n).as_secs())
            .collect();
        assert_eq!(
            seconds,
            [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
        );
        assert_eq!(
            Backoff::default().ceiling(u32::MAX),
            Duration::from_secs(300)
        );
    }

    #[test]
    fn a_delay_uses_the_whole_range_below_the_ceiling_and_nothing_above() {
        let (backoff, mut rng) = (Backoff::default(), Rng::new(7));
        for failures in 1..=12 {
            let ceiling = backoff.ceiling(failures);
            let delays: Vec<_> = (0..400)
                .map(|_| backoff.delay(failures, &mut rng))
                .collect();
            assert!(delays.iter().all(|d| *d <= ceiling));
            assert!(
                delays.iter().any(|d| *d < ceiling / 10),
                "no short delay below {ceiling:?}"
            );
            assert!(
                delays.iter().any(|d| *d > ceiling * 9 / 10),
                "no long delay near {ceiling:?}"
            );
        }
        assert_eq!(backoff.delay(0, &mut rng), Duration::ZERO);
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let sequence = |seed| {
            let mut rng = Rng::new(seed);
            (0..8).map(|_| rng.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(sequence(1), sequence(1));
        assert_ne!(sequence(1), sequence(2));
        assert_eq!(Rng::new(3).up_to(0), 0);
        assert!(Rng::new(3).up_to(u64::MAX) > 0);
    }
}
