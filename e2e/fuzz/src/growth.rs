//! Work must grow as its input does.

use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How much smaller the small input is.
const TIMES: usize = 8;
/// [`TIMES`] for work that grows as its input does, 64 for its square; this is beyond all noise of the one, and far below the other.
const MOST: f64 = 28.0;
/// Below it there is nothing to measure, nor to fear.
const LITTLE: Duration = Duration::from_millis(2);

/// Compares the processor time for an input with that for one of an eighth of its size; the best of some runs of each, because other
/// programs only ever make it longer.
///
/// # Panics
/// If it grows much faster than the input.
pub fn linear<T>(what: &str, size: usize, make: impl Fn(usize) -> T, work: impl Fn(&T)) {
    let (small, large) = (make(size / TIMES), make(size));
    let mut best = [Duration::MAX; 2];
    let mut grown = 0.0;
    for _ in 0..6 {
        for (best, input) in best.iter_mut().zip([&small, &large]) {
            *best = (*best).min(cpu_time(|| work(black_box(input))));
        }
        grown = best[1].as_secs_f64() / best[0].as_secs_f64().max(1e-6);
        if best[1] < LITTLE || grown < MOST {
            return;
        }
    }
    panic!("{what}: {TIMES} times the input is {grown:.0} times the work, {best:?}");
}

/// What this thread has used up for it.
fn cpu_time(work: impl FnOnce()) -> Duration {
    let now = || {
        let it = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(it.tv_sec.unsigned_abs(), it.tv_nsec as u32)
    };
    let start = now();
    work();
    now().saturating_sub(start)
}

#[cfg(test)]
mod tests {
    use super::linear;

    fn pairs(all: &[u32]) -> usize {
        all.iter()
            .map(|a| all.iter().filter(|b| a < b).count())
            .sum()
    }

    #[test]
    fn what_grows_as_its_input_passes() {
        let make = |n| vec![7_u32; n];
        linear("a sum", 1 << 22, make, |all| {
            std::hint::black_box(all.iter().sum::<u32>());
        });
    }

    #[test]
    fn a_square_is_told() {
        let make = |n: usize| (0..n as u32).collect::<Vec<_>>();
        let it = std::panic::catch_unwind(|| {
            linear("pairs", 1 << 13, make, |all| {
                std::hint::black_box(pairs(all));
            });
        });
        let message = *it.unwrap_err().downcast::<String>().unwrap();
        assert!(message.starts_with("pairs: 8 times the input"), "{message}");
    }
}
