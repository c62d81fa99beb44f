//! The plan as text: one line for each step. Tests compare it, people read it.

use std::fmt;

use crate::model::Action;
use crate::plan::{Later, Planned, Reason, Step};
use crate::report::{Condition, ConditionKind};

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for ConditionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = if self.status { "True" } else { "False" };
        write!(f, "{}={status}/{}", self.kind, self.reason)?;
        if self.message.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.message)
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.container.as_deref().unwrap_or_default();
        match &self.action {
            Action::Remember => return f.write_str("remember"),
            Action::Publish {
                service,
                expect,
                fingerprint,
                ..
            } => {
                write!(
                    f,
                    "publish {service} {fingerprint} after generation {expect}"
                )?;
            }
            Action::Restore {
                service,
                seq,
                fingerprint,
                expect,
            } => {
                write!(
                    f,
                    "restore {service} {fingerprint} of generation {seq} after generation {expect}"
                )?;
            }
            Action::Probe { .. } => write!(f, "probe {name}")?,
            Action::Stop { .. } => write!(f, "stop {name}")?,
            Action::Start { .. } => write!(f, "start {name}")?,
            Action::Signal { signal, .. } => write!(f, "signal {signal} to {name}")?,
            Action::Exec { argv, .. } => write!(f, "exec in {name} {argv:?}")?,
        }
        write!(f, ", {} [{}]", self.cause.text, self.cause.reason)
    }
}

impl fmt::Display for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}, {} [{}]",
            self.service, self.what, self.cause.text, self.cause.reason
        )
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.now.iter().try_for_each(|s| writeln!(f, "{s}"))?;
        self.later
            .iter()
            .try_for_each(|l| writeln!(f, "later: {l}"))
    }
}
