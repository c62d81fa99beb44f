//! Running programs in a container, with open pipes to them.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::client::Engine;
use crate::error::{Error, Kind, Result};
use crate::http::object;

/// Bytes of a program's stderr that are kept, the latest.
pub(crate) const STDERR_KEPT: usize = 8 << 10;

/// How long a program may take to end after it has closed its output.
const END_DEADLINE: Duration = Duration::from_secs(30);

/// A program to run in a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecSpec {
    /// Program and arguments; no shell.
    pub argv: Vec<String>,
    /// As this user instead of the container's own: `0:0`.
    pub user: Option<String>,
    /// Further `KEY=value`. The engine shows it to whoever asks: never a secret.
    pub env: Vec<String>,
    /// With all capabilities.
    pub privileged: bool,
}

/// What a program that has ended left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Its exit code.
    pub code: i64,
    /// All of its stdout.
    pub stdout: Vec<u8>,
    /// The last 8 KiB of its stderr.
    pub stderr: Vec<u8>,
}

/// A running program. Dropping it closes the connection, and so the program's stdin; the program
/// itself ends when it notices.
///
/// Nothing is buffered on the way in: a write is on the wire when it returns.
pub struct ExecStream {
    /// The program's stdin. Shutting it down is its end of file; stdout stays open.
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    /// The program's stdout; its end is the end of the program's output.
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    /// What remains when both pipes have been taken out.
    pub handle: ExecHandle,
}

/// A running program without its pipes.
#[derive(Clone)]
pub struct ExecHandle {
    engine: Engine,
    id: String,
    what: String,
    stderr: Arc<Mutex<Tail>>,
}

impl Engine {
    /// Runs a program in a running container, with its stdin and stdout open.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is no such container, [`Kind::Conflict`] if it does not run.
    /// A program that is not there is exit code 126 or 127 of [`ExecStream::wait`], or
    /// [`Kind::Engine`], depending on the engine.
    pub async fn exec(&self, id: &str, spec: &ExecSpec) -> Result<ExecStream> {
        self.start_exec(id, spec, true).await
    }

    /// Runs a program without input, until it ends.
    ///
    /// # Errors
    /// [`Kind::TooLarge`] if its stdout exceeds `limit` bytes, [`Kind::Timeout`] if it has not
    /// ended in time (it goes on running), and those of [`Engine::exec`].
    pub async fn exec_output(
        &self,
        id: &str,
        spec: &ExecSpec,
        limit: usize,
        timeout: Duration,
    ) -> Result<ExecOutput> {
        let what = describe(id, spec);
        crate::client::within(timeout, &what, async {
            let stream = self.start_exec(id, spec, false).await?;
            let mut stdout = Vec::new();
            let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
            (stream.output.take(most).read_to_end(&mut stdout).await)
                .map_err(|e| Error::new(Kind::Protocol, &what, e.to_string()))?;
            if stdout.len() > limit {
                let message = format!("it printed over {limit} bytes");
                return Err(Error::new(Kind::TooLarge, &what, message));
            }
            let code = stream.handle.wait().await?;
            Ok(ExecOutput {
                code,
                stdout,
                stderr: stream.handle.stderr(),
            })
        })
        .await
    }

    async fn start_exec(&self, id: &str, spec: &ExecSpec, stdin: bool) -> Result<ExecStream> {
        let what = describe(id, spec);
        let id = object(id, &what)?;
        let options = CreateExecOptions {
            attach_stdin: Some(stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(spec.argv.clone()),
            user: spec.user.clone(),
            env: (!spec.env.is_empty()).then(|| spec.env.clone()),
            privileged: Some(spec.privileged),
            ..CreateExecOptions::default()
        };
        let exec = self
            .call(&what, self.docker.create_exec(id, options))
            .await?;
        let start = self.docker.start_exec(&exec.id, None::<StartExecOptions>);
        let StartExecResults::Attached { output, input } = self.call(&what, start).await? else {
            return Err(Error::new(
                Kind::Protocol,
                what,
                "the engine detached from it",
            ));
        };
        let stderr = Arc::new(Mutex::new(Tail::default()));
        Ok(ExecStream {
            input: Box::new(input),
            output: Box::new(Stdout {
                frames: output,
                rest: Bytes::new(),
                stderr: stderr.clone(),
            }),
            handle: ExecHandle {
                engine: self.clone(),
                id: exec.id,
                what,
                stderr,
            },
        })
    }
}

fn describe(id: &str, spec: &ExecSpec) -> String {
    // Arguments may be long, and a hook's may be somebody's business; the program says enough.
    let program = spec.argv.first().map_or("nothing", String::as_str);
    format!("run {program} in container {id}")
}

impl ExecStream {
    /// Closes stdin, discards what is still printed, and returns the exit code.
    ///
    /// # Errors
    /// [`Kind::Protocol`] if the connection breaks. There is no deadline on the program's output:
    /// put one around this call. After the output's end it has 30 s to end.
    pub async fn wait(self) -> Result<i64> {
        let ExecStream {
            mut input,
            mut output,
            handle,
        } = self;
        // A program that has ended already has no stdin to close.
        let _ = input.shutdown().await;
        tokio::io::copy(&mut output, &mut tokio::io::sink())
            .await
            .map_err(|e| Error::new(Kind::Protocol, &handle.what, e.to_string()))?;
        handle.wait().await
    }
}

impl ExecHandle {
    /// Waits for the end of a program whose output has ended, and returns its exit code.
    ///
    /// # Errors
    /// [`Kind::Timeout`] if it runs on for 30 s after its output has ended.
    pub async fn wait(&self) -> Result<i64> {
        crate::client::within(END_DEADLINE, &self.what, async {
            let mut pause = Duration::from_millis(1);
            loop {
                let inspect = self.engine.docker.inspect_exec(&self.id);
                let state = self.engine.call(&self.what, inspect).await?;
                match (state.running, state.exit_code) {
                    (Some(false), Some(code)) => return Ok(code),
                    // The engine closes the stream a moment before it notes the end.
                    _ => tokio::time::sleep(pause).await,
                }
                pause = (pause * 2).min(Duration::from_millis(250));
            }
        })
        .await
    }

    /// The last 8 KiB of what the program has written to stderr, as far as stdout has been read.
    pub fn stderr(&self) -> Vec<u8> {
        let tail = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        tail.0.iter().copied().collect()
    }
}

impl std::fmt::Debug for ExecStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecStream")
            .field("what", &self.handle.what)
            .finish_non_exhaustive()
    }
}

/// The latest bytes of a stream.
#[derive(Default)]
pub(crate) struct Tail(pub(crate) VecDeque<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        self.0.drain(..self.0.len().saturating_sub(STDERR_KEPT));
    }
}

/// Takes stdout out of the engine's frames and puts stderr aside.
pub(crate) struct Stdout {
    pub(crate) frames:
        Pin<Box<dyn Stream<Item = std::result::Result<LogOutput, bollard::errors::Error>> + Send>>,
    pub(crate) rest: Bytes,
    pub(crate) stderr: Arc<Mutex<Tail>>,
}

impl AsyncRead for Stdout {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(self.frames.poll_next_unpin(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error.to_string()))),
                Some(Ok(LogOutput::StdErr { message })) => {
                    let mut tail = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
                    tail.push(&message);
                }
                Some(Ok(LogOutput::StdOut { message } | LogOutput::Console { message })) => {
                    self.rest = message;
                }
                Some(Ok(LogOutput::StdIn { .. })) => {}
            }
        }
        let n = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest[..n]);
        self.rest.advance(n);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_keeps_the_latest() {
        let mut tail = Tail::default();
        tail.push(&[b'a'; STDERR_KEPT]);
        tail.push(b"end");
        assert_eq!(tail.0.len(), STDERR_KEPT);
        assert!(tail.0.make_contiguous().ends_with(b"aend"));
    }
}
