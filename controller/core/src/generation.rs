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

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use locket_crds::id::Fingerprint;

    use super::*;
    use crate::model::{ContainerId, ContainerState, Health};

    const SECOND: u64 = 1_000_000_000;

    /// A log from (second of the publish, content), a start, and how far the clock was set since.
    fn check(
        log: &[(f64, u8)],
        started: f64,
        probed: Option<Probed>,
        shim: bool,
        step: u64,
    ) -> String {
        let time = |s: f64| Time((1000.0 + s) as u64 * SECOND + ((s.fract() * 1e9) as u64));
        let entry = |(i, (at, content)): (usize, &(f64, u8))| Published {
            seq: i as u64 + 1,
            fingerprint: Fingerprint([*content; 32]),
            at: time(*at),
            boot: time(*at).0,
        };
        let log: Vec<_> = log.iter().enumerate().map(entry).collect();
        let container = ObservedContainer {
            id: ContainerId("c".into()),
            name: "c".into(),
            service: "s".into(),
            number: 1,
            oneoff: false,
            has_volume: true,
            has_shim: shim,
            state: ContainerState::Running,
            started_at: Some(time(started)),
            finished_at: None,
            health: Health::None,
            restart_count: 0,
            exit_code: 0,
            probed,
            operation: None,
            probing: false,
            touched: None,
            checked_within: None,
            kept_up: false,
            stop_grace: None,
        };
        let now = time(100.0);
        match started_with(&log, &container, now, now.0 - step) {
            Start::Known(own) => format!("generation {}", own.seq),
            Start::Ask(at) => format!("ask at {:.1}", (at.0 - 1000 * SECOND) as f64 / 1e9),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn table() {
        let mut out = String::new();
        let mut row = |what: &str, got: String| out += &format!("{what}: {got}\n");
        row("nothing published", check(&[], 5.0, None, true, 0));
        row(
            "before the start",
            check(&[(1.0, 1), (2.0, 2)], 5.0, None, true, 0),
        );
        row(
            "at the start",
            check(&[(1.0, 1), (5.0, 2)], 5.0, None, true, 0),
        );
        row(
            "just after the start",
            check(&[(1.0, 1), (7.0, 2)], 5.0, None, true, 0),
        );
        row(
            "just after, same content",
            check(&[(1.0, 1), (7.0, 1)], 5.0, None, true, 0),
        );
        row(
            "long after",
            check(&[(1.0, 1), (16.0, 2)], 5.0, None, true, 0),
        );
        row(
            "waited in the gate",
            check(&[(9.0, 1), (20.0, 2)], 5.0, None, true, 0),
        );
        row(
            "waited, two at once",
            check(&[(9.0, 1), (9.5, 2)], 5.0, None, true, 0),
        );
        row(
            "no gate without a shim",
            check(&[(9.0, 1)], 5.0, None, false, 0),
        );
        row(
            "nobody to ask",
            check(&[(1.0, 1), (7.0, 2)], 5.0, None, false, 0),
        );
        row(
            "the process said",
            check(&[(1.0, 1), (7.0, 2)], 5.0, Some(Probed::Seq(2)), true, 0),
        );
        row(
            "it said something unheard of",
            check(&[(1.0, 1)], 5.0, Some(Probed::Seq(9)), true, 0),
        );
        row(
            "it could not be read",
            check(&[(1.0, 1)], 5.0, Some(Probed::Unknown), true, 0),
        );
        row(
            "the clock was set",
            check(&[(1.0, 1)], 5.0, None, true, SECOND),
        );
        expect![[r#"
            nothing published: Waiting
            before the start: generation 2
            at the start: generation 2
            just after the start: ask at 8.0
            just after, same content: generation 1
            long after: generation 1
            waited in the gate: generation 1
            waited, two at once: ask at 10.5
            no gate without a shim: Unknown
            nobody to ask: Unknown
            the process said: generation 2
            it said something unheard of: Unknown
            it could not be read: Unknown
            the clock was set: ask at 6.0
        "#]]
        .assert_eq(&out);
    }
}
