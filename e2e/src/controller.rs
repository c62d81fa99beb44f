//! A controller on the host, as a child process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::wait::eventually;
use crate::way::Way;

/// `locket controller run`; it ends with this value.
pub struct Controller {
    process: Child,
    log: PathBuf,
}

impl Controller {
    /// Starts it with a log of its own.
    pub(crate) fn start(
        dir: &Path,
        way: &Way,
        args: &[&str],
        environment: &[(String, String)],
    ) -> Self {
        let log = dir.join("controller.log");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let process = Command::new(crate::binary())
            .args(way.words())
            .args(["controller", "run"])
            .args(args)
            .envs(way.variables().iter().cloned())
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { process, log }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it as an operator would, and waits until it is gone.
    pub fn stop(mut self) {
        let _ = Command::new("kill").arg(self.pid().to_string()).status();
        eventually(20, "the controller ends after SIGTERM", || {
            self.process.try_wait().unwrap().map(drop)
        });
    }

    /// Ends it as a crash would.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.end();
    }
}
