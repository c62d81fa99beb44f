//! The plan: what to do now, what is to be expected, when to look again, and why.

use locket_crds::id::ServiceName;

use crate::memory::Memory;
use crate::model::{Action, Desired, Observed, Policy, Time};
use crate::pass::Pass;
use crate::report::Report;
use crate::{accept, act, deliver, report, sight};

/// What one pass decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// What is to be remembered from now on. Written by the first step, [`Action::Remember`], if it has changed.
    pub memory: Memory,
    /// Steps to run, in this order. If `Remember` fails, nothing after it may be run;
    /// if another step fails, those of other containers and services still may.
    pub now: Vec<Step>,
    /// A forecast for people; never executed.
    pub later: Vec<Later>,
    /// When to plan again if nothing happens before.
    pub wake_at: Option<Time>,
    /// What is and why.
    pub report: Report,
}

/// One step; its `Display` is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What to do.
    pub action: Action,
    /// For which service; `None` for `Remember`.
    pub service: Option<ServiceName>,
    /// The container's name, for people.
    pub container: Option<String>,
    /// Why.
    pub cause: Cause,
}

/// Why something is done, or is not done yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// A bounded word: metric label, condition reason.
    pub reason: Reason,
    /// One clause for people.
    pub text: String,
}

impl Cause {
    pub(crate) fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self {
            reason,
            text: text.into(),
        }
    }
}

/// Why, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the words are shown as they are")]
pub enum Reason {
    MemoryChanged,
    FirstDelivery,
    ValueChanged,
    MetadataChanged,
    FilesDrifted,
    DependencyRestarted,
    StartUnknown,
    StartAmbiguous,
    RestartUnderWay,
    StopFailed,
    StartFailed,
    BadValue,
    HookDue,
    // Why not yet.
    Paused,
    GateOpen,
    ComposeBusy,
    StoppedByUser,
    Settling,
    RestartEvery,
    WaitsForReplica,
    WaitsForDependency,
    DependencyFailed,
    HookPending,
    HookFailed,
    HookRunning,
    NoRunningContainer,
    JustStarted,
    NotMounted,
    Rejected,
    NotSupportedYet,
    NoController,
    Verifying,
}

/// Something that is expected to follow, or that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Later {
    /// Whose.
    pub service: ServiceName,
    /// What will be done: `publish`, `restart api-1`, `signal HUP to api-1`, `hook`.
    pub what: String,
    /// What it waits for.
    pub cause: Cause,
    /// When at the earliest, if that is known.
    pub at: Option<Time>,
}

/// Decides what to do now. Never fails, never waits, and touches nothing.
///
/// `now` is the engine machine's CLOCK_REALTIME, read together with [`Observed::boot`].
///
/// Guarantees (each is checked by [`lint`](crate::lint()) or by a law in the tests):
/// - `Remember` is first, and is there exactly if the memory has changed;
/// - only running containers that mount our volume (or are tied to such by `restart: true` or a joined namespace) are
///   stopped, only what an open intent of ours has stopped is started;
/// - nothing is stopped whose start fingerprint is as it should be; of one service, one container at a time;
/// - a rejected content is not published.
pub fn plan(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    policy: &Policy,
    now: Time,
) -> Planned {
    let mut pass = Pass::new(desired, observed, memory, policy, now);
    pass.forget_what_is_gone();
    pass.take_results();
    sight::sight(&mut pass);
    accept::accept(&mut pass);
    deliver::deliver(&mut pass);
    act::act(&mut pass);
    let report = report::report(&pass);
    let Pass {
        memory: after,
        mut steps,
        later,
        wake,
        ..
    } = pass;
    if after != *memory {
        let cause = Cause::new(Reason::MemoryChanged, "written before everything else");
        steps.insert(
            0,
            Step {
                action: Action::Remember,
                service: None,
                container: None,
                cause,
            },
        );
    }
    Planned {
        memory: after,
        now: steps,
        later,
        wake_at: wake,
        report,
    }
}
