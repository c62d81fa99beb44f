//! Programs that are run in a fake container by `exec`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::{Fake, Shared};

/// What a test's execs do: run the program, return its exit code. It gets the engine and must not keep it, which would keep the
/// engine's directory for ever.
pub type ExecHandler = Arc<dyn Fn(Fake, ExecCall) -> BoxFuture<'static, i64> + Send + Sync>;

/// A program that is run in a container.
pub struct ExecCall {
    /// The container's id.
    pub id: String,
    /// The container's name.
    pub container: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// `KEY=value`.
    pub env: Vec<String>,
    /// The user; empty is the container's own.
    pub user: String,
    /// Mount points and the directories of this machine that stand for them.
    pub mounts: BTreeMap<String, PathBuf>,
    /// Its stdin to read, its stdout to write. It must be dropped for the output to end, which it
    /// is at the latest when the handler's future is done.
    pub stream: DuplexStream,
    /// Its stderr.
    pub stderr: mpsc::UnboundedSender<Vec<u8>>,
}

impl ExecCall {
    /// The path on this machine of a path under one of the mounts.
    pub fn path(&self, path: &str) -> Option<PathBuf> {
        super::path_in(&self.mounts, path)
    }
}

/// An exec that was created, and how it ended.
pub(crate) struct Exec {
    pub(crate) container: String,
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) user: String,
    pub(crate) stdin: bool,
    /// `None` while it has not ended.
    pub(crate) code: Option<i64>,
}

/// Room in a program's pipes, as on Linux.
const PIPE: usize = 64 << 10;

/// The two streams of the engine's framing: the first byte of the eight before each piece.
const STDOUT: u8 = 1;
const STDERR: u8 = 2;

/// Runs an exec until its program or its container has ended and its output is through.
pub(crate) async fn run(
    shared: Arc<Shared>,
    exec: String,
    call: ExecCall,
    mut container_ended: watch::Receiver<u64>,
    pump: JoinHandle<()>,
) {
    let handler = super::lock(&shared.exec).clone();
    let fake = Fake {
        shared: shared.clone(),
        spared: false,
    };
    let program = async move {
        match handler {
            Some(handler) => handler(fake, call).await,
            None => 127,
        }
    };
    let code = tokio::select! {
        biased;
        code = program => code,
        _ = container_ended.changed() => 137,
    };
    // The program's ends of the pipes are gone now, so the pump runs dry and stops by itself.
    let _ = pump.await;
    if let Some(exec) = shared.world().execs.get_mut(&exec) {
        exec.code = Some(code);
    }
}

/// Carries bytes between a connection and a program, framing what the program writes.
pub(crate) async fn pump(
    connection: OnUpgrade,
    program: DuplexStream,
    mut stderr: mpsc::UnboundedReceiver<Vec<u8>>,
    has_stdin: bool,
) {
    let Ok(connection) = connection.await else {
        return;
    };
    let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(connection));
    let (mut from_program, mut to_program) = tokio::io::split(program);
    let input = async {
        if has_stdin {
            // An error is the client's or the program's end; either way there is no more input.
            let _ = tokio::io::copy(&mut from_client, &mut to_program).await;
        }
        let _ = to_program.shutdown().await;
        std::future::pending::<()>().await;
    };
    let output = async {
        let mut chunk = vec![0; 32 << 10];
        let (mut out_open, mut err_open) = (true, true);
        while out_open || err_open {
            let (stream, bytes) = tokio::select! {
                biased;
                read = from_program.read(&mut chunk), if out_open => match read {
                    Ok(n @ 1..) => (STDOUT, chunk[..n].to_vec()),
                    _ => {
                        out_open = false;
                        continue;
                    }
                },
                message = stderr.recv(), if err_open => match message {
                    Some(bytes) => (STDERR, bytes),
                    None => {
                        err_open = false;
                        continue;
                    }
                },
            };
            if frame(&mut to_client, stream, &bytes).await.is_err() {
                return;
            }
        }
        let _ = to_client.shutdown().await;
    };
    tokio::select! {
        biased;
        () = input => {}
        () = output => {}
    }
}

async fn frame(
    to: &mut (impl AsyncWriteExt + Unpin),
    stream: u8,
    bytes: &[u8],
) -> std::io::Result<()> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut framed = vec![stream, 0, 0, 0];
    framed.extend(length.to_be_bytes());
    framed.extend_from_slice(bytes);
    to.write_all(&framed).await?;
    to.flush().await
}

/// The two ends of a program's stdin and stdout.
pub(crate) fn pipes() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(PIPE)
}
