//! Which generation a container started with, from the log and `StartedAt` alone where possible.
//!
//! The engine stamps `StartedAt` before the program reads anything, so a publish at or before it is in it.
//! A later one may be: then the process is asked. What stays unknown costs one restart, never a lost change.

use std::time::Duration;

use crate::memory::Own;
use crate::model::{ObservedContainer, Probed, Published, Time};

/// A publish this soon after a start may have been read by it.
const MAYBE_READ: Duration = Duration::from_secs(10);
/// A second publish this soon after the first may have been what a waiting container took.
const GATE_RACE: Duration = Duration::from_secs(1);
/// A process is asked only after it has had this long to read.
const TIME_TO_READ: Duration = Duration::from_secs(1);
/// Two readings of a pair of clocks never lie this far apart without a step.
const CLOCK_STEP: u64 = 50_000_000;

/// What is known about the start of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// It has this generation.
    Known(Own),
    /// There was none yet: it waits in the boot gate.
    Waiting,
    /// Only the process knows; to be asked not before.
    Ask(Time),
    /// Nobody knows.
    Unknown,
}

/// Finds the generation that a running container started with.
///
/// `now` and `boot` are one reading of the engine machine's CLOCK_REALTIME and CLOCK_BOOTTIME.
pub(crate) fn started_with(
    log: &[Published],
    container: &ObservedContainer,
    now: Time,
    boot: u64,
) -> Start {
    let (Some(first), Some(started)) = (log.first(), container.started_at) else {
        return Start::Waiting;
    };
    match container.probed {
        Some(Probed::Seq(seq)) => {
            return log
                .iter()
                .find(|p| p.seq == seq)
                .map_or(Start::Unknown, known);
        }
        Some(Probed::Unknown) => return Start::Unknown,
        None => {}
    }
    let ask = |last: Time| {
        if container.has_shim {
            Start::Ask(last.after(TIME_TO_READ))
        } else {
            Start::Unknown
        }
    };
    if log.iter().any(|p| has_stepped(p, now, boot)) {
        return ask(started.min(now));
    }
    let later = log.partition_point(|p| p.at <= started);
    // The candidates lie side by side: what was there at the start, then what may have come in time.
    let (certain, until) = match later.checked_sub(1) {
        Some(before) => (before, started.after(MAYBE_READ)),
        // No shim, no boot gate: it has read whatever was there, whenever that was.
        None if !container.has_shim => return Start::Unknown,
        None => (0, first.at.after(GATE_RACE)),
    };
    let maybe = log[certain..]
        .iter()
        .take_while(|p| p.at <= until || p.seq == log[certain].seq);
    match maybe
        .clone()
        .find(|p| p.fingerprint != log[certain].fingerprint)
    {
        None => known(&log[certain]),
        Some(_) => ask(maybe.last().map_or(started, |p| p.at)),
    }
}

fn known(entry: &Published) -> Start {
    Start::Known(Own {
        seq: entry.seq,
        fingerprint: entry.fingerprint,
    })
}

/// True if the realtime clock was set between the publish and now. (Slewing moves both clocks alike.)
fn has_stepped(entry: &Published, now: Time, boot: u64) -> bool {
    let then = i128::from(entry.at.0) - i128::from(entry.boot);
    let today = i128::from(now.0) - i128::from(boot);
    then.abs_diff(today) > u128::from(CLOCK_STEP)
}
