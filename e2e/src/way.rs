//! How programs are told which engine to speak to.

use crate::command::{Run, Transcript};

/// What the docker CLI is given. The default is what the machine has: its environment, and nothing of ours.
#[derive(Debug, Clone, Default)]
pub struct Way {
    flags: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Way {
    /// Flags that come before the command: `--context far`.
    pub fn flags<F: Into<String>>(flags: impl IntoIterator<Item = F>) -> Self {
        Self {
            flags: flags.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Adds an environment variable: `DOCKER_HOST`.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Whether this is the engine of whoever says nothing about it.
    pub(crate) fn is_usual(&self) -> bool {
        self.flags.is_empty() && self.environment.is_empty()
    }

    /// `docker` on this way.
    pub(crate) fn docker(&self, transcript: &Transcript) -> Run {
        let run = Run::new("docker", transcript).args(&self.flags);
        let all = self.environment.iter();
        all.fold(run, |run, (name, value)| run.env(name, value))
    }

    pub(crate) fn words(&self) -> &[String] {
        &self.flags
    }

    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.environment
    }
}
