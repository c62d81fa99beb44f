//! Waiting for a state of the world, and only for that.

use std::thread::sleep;
use std::time::{Duration, Instant};

const BETWEEN: Duration = Duration::from_millis(50);

/// Looks again and again until `look` gives something, and gives that.
///
/// # Panics
/// When `seconds` have passed; the message names `what` was waited for.
pub fn eventually<T>(seconds: u64, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(seconds),
            "not within {seconds} s: {what}"
        );
        sleep(BETWEEN);
    }
}

/// Looks again and again for `seconds`: it must hold the whole time.
/// For what must *not* happen and leaves no trace by which one could tell that it will not.
///
/// # Panics
/// At the first look at which it does not hold.
pub fn holds(seconds: u64, what: &str, mut look: impl FnMut() -> bool) {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(seconds) {
        assert!(
            look(),
            "did not hold after {:.1} s: {what}",
            begin.elapsed().as_secs_f64()
        );
        sleep(BETWEEN * 4);
    }
}
