//! Runs the docker CLI. The one place of the plugin that starts processes.
//!
//! What the CLI prints may hold interpolated values (`docker compose config`): it is kept in a buffer that is wiped, is
//! never logged, and of a failure only compose's own words on stderr are told.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use crate::compose::{ComposeFlags, Files, How};
use crate::endpoint::GlobalFlags;
use crate::error::{CommandError, Result};

/// The first Compose with provider services.
const MIN_COMPOSE: (u32, u32) = (2, 36);

/// How the docker CLI is called here.
#[derive(Debug, Clone)]
pub struct Docker {
    globals: GlobalFlags,
    env: BTreeMap<String, String>,
    dir: PathBuf,
}

/// What a run has said.
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output; wiped when dropped.
    pub stdout: Zeroizing<Vec<u8>>,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output as text.
    ///
    /// # Errors
    /// Ours: the docker CLI prints UTF-8.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.stdout).map_err(|_| {
            CommandError::internal("the docker CLI has printed something that is not UTF-8")
        })
    }

    /// The reason of a failure in the CLI's own words, on one line: the last line that is not a log line, and if that is indented,
    /// the lines that it belongs to.
    pub fn reason(&self) -> String {
        let said = |l: &&str| !l.trim().is_empty() && !l.starts_with("time=");
        // Compose goes on with the value itself, over as many lines as that has.
        if let Some(at) = self.stderr.find(UNREADABLE) {
            let lines = self.stderr[at..].lines().map(str::trim).take(2);
            return lines.collect::<Vec<_>>().join(" ");
        }
        // Of a file with variables it quotes what it could not read, and that may be a value.
        if let Some(line) = self.stderr.lines().find(|it| it.starts_with(UNPARSED)) {
            return unquoted(line);
        }
        let mut found: Vec<&str> = Vec::new();
        for line in self.stderr.lines().rev().filter(said) {
            found.insert(0, line.trim());
            if !line.starts_with(' ') {
                break;
            }
        }
        match found.as_slice() {
            [] => "it says nothing".to_owned(),
            [only] => (*only).to_owned(),
            [head, rest @ ..] => format!("{head} {}", rest.join(", ")),
        }
    }
}

/// The program: as the docker CLI that started us was called, else `docker`.
pub fn program(env: &BTreeMap<String, String>) -> OsString {
    env.get("DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND")
        .filter(|p| !p.is_empty())
        .map_or_else(|| "docker".into(), OsString::from)
}

/// How compose begins where it cannot read a variable.
const UNREADABLE: &str = "invalid interpolation format for ";

/// The same for a file of variables.
pub const UNPARSED: &str = "failed to read ";

/// A line without what is in quotes, whether they are closed or not.
fn unquoted(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(at) = rest.find(['"', '\'']) {
        let (before, quoted) = rest.split_at(at);
        let (quote, inside) = quoted.split_at(1);
        out.push_str(before);
        out.push_str("********");
        rest = inside.split_once(quote).map_or("", |it| it.1);
    }
    out + rest
}

impl Docker {
    /// The environment that it runs in.
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// A CLI with these global flags, in this environment and directory.
    pub fn new(globals: &GlobalFlags, env: &BTreeMap<String, String>, dir: &Path) -> Self {
        Self {
            globals: globals.clone(),
            env: env.clone(),
            dir: dir.to_owned(),
        }
    }

    /// `docker compose` for these files: a CLI, and the words up to the command.
    ///
    /// Files that compose has found by itself are not named by `-f`: then it would read the variables of another `.env`,
    /// that of the first file's directory only. `COMPOSE_FILE` in the environment says the same without that.
    pub fn compose(&self, flags: &ComposeFlags, files: &Files) -> (Self, Vec<String>) {
        let mut docker = self.clone();
        let mut words = vec!["compose".to_owned()];
        if files.how == How::Flags {
            words.extend(flags.args(&files.paths));
        } else {
            let names: Vec<String> = files
                .paths
                .iter()
                .map(|p| p.display().to_string())
                .collect();
            let free = |s: &&str| !names.iter().any(|name| name.contains(*s));
            let separator = [":", ";", "|", ",", "\n"]
                .into_iter()
                .find(free)
                .unwrap_or(":");
            let list = names.join(separator);
            docker.env.insert("COMPOSE_FILE".to_owned(), list);
            docker
                .env
                .insert("COMPOSE_PATH_SEPARATOR".to_owned(), separator.to_owned());
            words.extend(flags.args(&[]));
        }
        (docker, words)
    }

    /// Runs `docker <globals> <args>` to its end. Standard input is empty.
    ///
    /// # Errors
    /// It cannot be started. A bad end is no error here; see [`Output::status`].
    ///
    /// # Cancel safety
    /// The process is killed when the future is dropped.
    pub async fn output<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Output> {
        let mut child = self
            .command(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| self.unstartable(e))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let complaint = async {
            let mut text = Vec::new();
            if let Some(mut stderr) = stderr {
                stderr.read_to_end(&mut text).await?;
            }
            Ok::<_, std::io::Error>(text)
        };
        let (stdout, stderr, status) = tokio::try_join!(read(stdout), complaint, child.wait())
            .map_err(|e| {
                CommandError::internal("the docker CLI's output cannot be read").because(e)
            })?;
        Ok(Output {
            status,
            stdout,
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }

    /// Runs `docker <globals> <args>` with our own standard streams and returns its exit code.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn attached<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<u8> {
        let mut child = self
            .command(args)
            .spawn()
            .map_err(|e| self.unstartable(e))?;
        // Ctrl-C goes to the whole foreground group, SIGTERM only to us: compose stops its containers, and we wait for that.
        let unlistenable = |e| CommandError::internal("signals cannot be received").because(e);
        let mut terminate = signal(SignalKind::terminate()).map_err(unlistenable)?;
        loop {
            tokio::select! {
                status = child.wait() => {
                    let status = status.map_err(|e| CommandError::internal("the docker CLI cannot be waited for").because(e))?;
                    return Ok(status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(1));
                }
                _ = tokio::signal::ctrl_c() => {}
                Some(()) = terminate.recv() => {
                    let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
                    if let Some(pid) = pid {
                        // It may have ended a moment ago.
                        let _ = kill_process(pid, Signal::TERM);
                    }
                }
            }
        }
    }

    /// Refuses a compose that is too old to know providers, or that is not there; answers its version.
    ///
    /// # Errors
    /// The user's problem, in one line.
    pub async fn require_compose(&self) -> Result<String> {
        let output = self.output(["compose", "version", "--short"]).await?;
        let text = output.text().unwrap_or_default().trim().to_owned();
        let (major, minor) = MIN_COMPOSE;
        if !output.status.success() {
            return Err(CommandError::user(format!(
                "`docker compose` does not work here: {}",
                output.reason()
            ))
            .hint(format!("install Docker Compose {major}.{minor} or newer")));
        }
        match version(&text) {
            Some(found) if found < MIN_COMPOSE => Err(CommandError::user(format!(
                "Docker Compose {text} does not know provider services; {major}.{minor} or newer is needed"
            ))),
            // A development build may call itself anything.
            _ => Ok(text),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the plugin's one place that starts processes"
    )]
    fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(program(&self.env));
        // What the docker CLI tells its plugin is not meant for a docker CLI that the plugin starts.
        let env = self
            .env
            .iter()
            .filter(|(name, _)| !name.starts_with("DOCKER_CLI_PLUGIN_"));
        command
            .env_clear()
            .envs(env)
            .current_dir(&self.dir)
            .args(self.globals.args())
            .args(args);
        command
    }

    fn unstartable(&self, e: std::io::Error) -> CommandError {
        CommandError::user(format!(
            "`{}` cannot be started",
            program(&self.env).to_string_lossy()
        ))
        .because(e)
    }
}

/// Reads to the end without leaving copies behind: a buffer that grows is wiped.
async fn read(from: Option<tokio::process::ChildStdout>) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut all = Zeroizing::new(Vec::with_capacity(64 << 10));
    let Some(mut from) = from else { return Ok(all) };
    loop {
        if all.len() == all.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(all.capacity() * 2));
            larger.extend_from_slice(&all);
            all = larger;
        }
        if from.read_buf(&mut *all).await? == 0 {
            return Ok(all);
        }
    }
}

/// `2.40.3-3`, `v2.36.0-desktop.1`: the first two numbers.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim_start_matches('v').split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests;
