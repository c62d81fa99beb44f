//! Lets a test stop the machine, or fail once, before any change to a file. Outside of tests nothing stops us.

#[cfg(test)]
pub(crate) use on::{after, once};
#[cfg(test)]
pub(super) use on::{is_on, step};

#[cfg(not(test))]
pub(super) fn is_on() -> bool {
    false
}

#[cfg(not(test))]
#[allow(clippy::unnecessary_wraps, reason = "the test's twin fails")]
pub(super) fn step() -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod on {
    use std::cell::Cell;
    use std::io;

    #[derive(Clone, Copy)]
    enum Plan {
        Off,
        /// So many steps to live.
        Stop(u32),
        /// So many steps until one fails.
        Once(u32),
        /// It has failed, and goes on.
        Failed,
    }

    thread_local! {
        static PLAN: Cell<Plan> = const { Cell::new(Plan::Off) };
    }

    /// Runs `work` with this many steps to live; true when it ran out of them. Everything after the last one fails, as it would
    /// for a dead process.
    pub(crate) fn after<T>(steps: u32, work: impl FnOnce() -> T) -> (T, bool) {
        PLAN.set(Plan::Stop(steps));
        let result = work();
        (result, matches!(PLAN.replace(Plan::Off), Plan::Stop(0)))
    }

    /// Runs `work` and lets the step after so many find the volume full, and only that; true when there was such a step.
    pub(crate) fn once<T>(steps: u32, work: impl FnOnce() -> T) -> (T, bool) {
        PLAN.set(Plan::Once(steps));
        let result = work();
        (result, matches!(PLAN.replace(Plan::Off), Plan::Failed))
    }

    pub(crate) fn is_on() -> bool {
        !matches!(PLAN.get(), Plan::Off)
    }

    pub(crate) fn step() -> io::Result<()> {
        match PLAN.get() {
            Plan::Off | Plan::Failed => Ok(()),
            Plan::Stop(0) => Err(io::Error::other("the machine has stopped")),
            Plan::Once(0) => {
                PLAN.set(Plan::Failed);
                Err(io::ErrorKind::StorageFull.into())
            }
            Plan::Stop(n) => {
                PLAN.set(Plan::Stop(n - 1));
                Ok(())
            }
            Plan::Once(n) => {
                PLAN.set(Plan::Once(n - 1));
                Ok(())
            }
        }
    }
}
