//! Ways to an engine: a Unix socket, a process that dials, or a connector of the caller's.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

/// Bytes of a dialer's stderr that an error message may draw on.
const STDERR_KEPT: usize = 2048;

/// A byte stream to an engine, both ways. Shutting its writing side down closes that side only.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Makes connections to one engine.
pub trait Connector: Send + Sync + 'static {
    /// Opens one more connection.
    ///
    /// # Errors
    /// Whatever kept it from being made; the call that needed it fails as [`Kind::Refused`].
    ///
    /// [`Kind::Refused`]: crate::Kind::Refused
    fn connect(&self) -> BoxFuture<'static, io::Result<Box<dyn Io>>>;
}

/// Where an engine is.
#[derive(Clone)]
pub enum Endpoint {
    /// A Unix socket, such as `/var/run/docker.sock`.
    Unix(PathBuf),
    /// A process for each connection that speaks HTTP on its stdin and stdout, such as
    /// `docker --context X system dial-stdio`. This is how every endpoint that is not a local
    /// socket is reached: the docker CLI knows contexts, ssh and TLS already.
    DialStdio {
        /// Program and arguments; at least the program.
        command: Vec<OsString>,
    },
    /// Anything else, such as the fake engine.
    Custom(Arc<dyn Connector>),
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix://{}", path.display()),
            Endpoint::DialStdio { command } => write!(f, "dial-stdio {command:?}"),
            Endpoint::Custom(_) => f.write_str("custom"),
        }
    }
}

impl Endpoint {
    pub(crate) fn connect(&self) -> BoxFuture<'static, io::Result<Box<dyn Io>>> {
        match self {
            Endpoint::Unix(path) => {
                let path = path.clone();
                async move { Ok(Box::new(UnixStream::connect(path).await?) as Box<dyn Io>) }.boxed()
            }
            Endpoint::DialStdio { command } => {
                let dialed = Dialed::spawn(command);
                async move { Ok(Box::new(dialed?) as Box<dyn Io>) }.boxed()
            }
            Endpoint::Custom(connector) => connector.connect(),
        }
    }
}

/// A connection through the stdin and stdout of a child, which is killed when this is dropped.
struct Dialed {
    /// Held for `kill_on_drop`.
    _child: Child,
    /// `None` once shut down: closing the pipe is the only way to tell a child "no more input".
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    /// Until the first byte of an answer: why there may be none.
    complaint: Option<JoinHandle<String>>,
}

impl Dialed {
    #[expect(
        clippy::disallowed_methods,
        reason = "the docker CLI dials every endpoint that is not a local socket"
    )]
    fn spawn(command: &[OsString]) -> io::Result<Self> {
        let (program, args) = command.split_first().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "no program to dial with")
        })?;
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
            (Some(stdin), Some(stdout), Some(stderr)) => Ok(Dialed {
                _child: child,
                stdin: Some(stdin),
                stdout,
                complaint: Some(tokio::spawn(tail_of(stderr))),
            }),
            _ => Err(io::Error::other("the dialer has no pipes")),
        }
    }
}

/// Reads a child's stderr to its end, so that it never blocks on it, and keeps the tail.
async fn tail_of(mut stderr: ChildStderr) -> String {
    let mut tail = VecDeque::with_capacity(STDERR_KEPT);
    let mut chunk = [0; 512];
    while let Ok(n @ 1..) = stderr.read(&mut chunk).await {
        tail.extend(&chunk[..n]);
        tail.drain(..tail.len().saturating_sub(STDERR_KEPT));
    }
    String::from_utf8_lossy(tail.make_contiguous()).into_owned()
}

impl AsyncRead for Dialed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stdout).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            // It got through; a stderr that is read on in the background is all that is needed.
            self.complaint = None;
            return Poll::Ready(Ok(()));
        }
        let Some(complaint) = &mut self.complaint else {
            return Poll::Ready(Ok(()));
        };
        let text = ready!(complaint.poll_unpin(cx)).unwrap_or_default();
        self.complaint = None;
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::ConnectionRefused,
            format!("the dialer ended: {}", crate::error::one_line(&text)),
        )))
    }
}

impl AsyncWrite for Dialed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let said_nothing_yet = self.complaint.is_some();
        match &mut self.stdin {
            Some(stdin) => match ready!(Pin::new(stdin).poll_write(cx, data)) {
                // It has ended before it heard of anything: the reading side tells why.
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe && said_nothing_yet => {
                    Poll::Ready(Ok(data.len()))
                }
                other => Poll::Ready(other),
            },
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(stdin) = &mut self.stdin {
            ready!(Pin::new(stdin).poll_flush(cx))?;
        }
        self.stdin = None;
        Poll::Ready(Ok(()))
    }
}
