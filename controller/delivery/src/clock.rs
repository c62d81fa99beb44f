//! The clocks of the machine that the engine runs on.

use rustix::time::{ClockId, clock_gettime};

/// One moment on two clocks, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// `CLOCK_REALTIME`, since the epoch; may be stepped.
    pub realtime: u64,
    /// `CLOCK_BOOTTIME`, since the machine booted; never steps, counts suspended time.
    pub boottime: u64,
}

impl Stamp {
    /// The moment so much later, by a clock that is not stepped.
    pub fn after(self, elapsed: std::time::Duration) -> Self {
        let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        Self {
            realtime: self.realtime.saturating_add(nanos),
            boottime: self.boottime.saturating_add(nanos),
        }
    }
}

/// What tells the time; tests bring their own.
pub type Clock<'a> = &'a dyn Fn() -> Stamp;

/// Reads both clocks.
pub fn now() -> Stamp {
    Stamp {
        realtime: nanos(ClockId::Realtime),
        boottime: nanos(ClockId::Boottime),
    }
}

fn nanos(id: ClockId) -> u64 {
    let time = clock_gettime(id);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}
