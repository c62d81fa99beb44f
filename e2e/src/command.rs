//! Running programs, with everything that they say kept for the canary search and for a failure's report.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// What programs have said in one scenario: shown on failure, and searched for values.
#[derive(Clone, Default)]
pub(crate) struct Transcript(Arc<Mutex<Vec<u8>>>);

impl Transcript {
    fn add(&self, command: &Command, output: &Output) {
        let mut text = self.0.lock().unwrap();
        let words: Vec<_> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(OsStr::to_string_lossy)
            .collect();
        let _ = writeln!(text, "$ {}", words.join(" "));
        text.extend_from_slice(&output.stdout);
        text.extend_from_slice(output.stderr.as_bytes());
        let _ = writeln!(text, "→ {}", output.code);
    }

    /// What the engine has answered without a program in between.
    pub(crate) fn note(&self, asked: &str, answer: &[u8]) {
        let mut text = self.0.lock().unwrap();
        let _ = writeln!(text, "GET {asked}");
        text.extend_from_slice(answer);
        let _ = writeln!(text);
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

/// What a program has said.
#[derive(Debug)]
pub struct Output {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output, byte for byte.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output as text, without the newline at its end.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout)
            .trim_end_matches('\n')
            .to_owned()
    }

    /// Both streams, for looking for a message wherever it was said.
    pub fn all(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.stdout), self.stderr)
    }
}

/// A program that is about to be run.
pub struct Run {
    command: Command,
    stdin: Vec<u8>,
    /// `None`: what it says is a value on purpose, so it is not kept.
    transcript: Option<Transcript>,
}

impl Run {
    pub(crate) fn new(program: impl AsRef<OsStr>, transcript: &Transcript) -> Self {
        Self {
            command: Command::new(program),
            stdin: Vec::new(),
            transcript: Some(transcript.clone()),
        }
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it there.
    pub fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Gives it this on standard input.
    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = bytes.as_ref().to_vec();
        self
    }

    /// What it says is a value on purpose: the canary search does not look at it.
    pub fn says_values(mut self) -> Self {
        self.transcript = None;
        self
    }

    /// Runs it to its end.
    pub fn any(mut self) -> Output {
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{:?} cannot be run: {e}", self.command));
        let mut stdin = child.stdin.take().unwrap();
        let bytes = std::mem::take(&mut self.stdin);
        // A program that ends without reading its input is no failure of ours.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
        let out = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let output = Output {
            code: out.status.code().unwrap_or(-1),
            stdout: out.stdout,
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
        };
        if let Some(transcript) = &self.transcript {
            transcript.add(&self.command, &output);
        }
        output
    }

    /// Runs it to its end, which must be a good one.
    ///
    /// # Panics
    /// When it ends with another code than 0.
    pub fn ok(self) -> Output {
        let named = format!("{:?}", self.command);
        let output = self.any();
        assert_eq!(output.code, 0, "{named}\n{}", output.all());
        output
    }

    /// Runs it to its end, which must be a bad one.
    ///
    /// # Panics
    /// When it ends with code 0.
    pub fn fails(self) -> Output {
        let named = format!("{:?}", self.command);
        let output = self.any();
        assert_ne!(output.code, 0, "{named}\n{}", output.all());
        output
    }
}
