//! A socket in front of the engine's own, for whoever wants to know what passes.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Who listens to one connection. `false` ends it, and what was just told goes no further.
pub(crate) trait Ear: Send + Sync + 'static {
    /// Bytes on their way to the engine.
    fn asked(&self, bytes: &[u8]) -> bool;
    /// Bytes on their way back; as many go on, changed or not.
    fn answered(&self, _: &mut [u8]) -> bool {
        true
    }
}

/// A socket that leads to the engine. Nobody new finds it once this is dropped.
pub(crate) struct Tap {
    socket: PathBuf,
}

impl Tap {
    /// Listens in a directory; `ear` makes who listens to a new connection.
    ///
    /// # Panics
    /// When the engine is not reached by a Unix socket.
    pub(crate) fn start(
        dir: &Path,
        name: &str,
        ear: impl Fn() -> Arc<dyn Ear> + Send + 'static,
    ) -> Self {
        let engine = std::env::var("DOCKER_HOST");
        let engine = engine.unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        let engine = engine
            .strip_prefix("unix://")
            .expect("the engine of the tests has a Unix socket")
            .to_owned();
        let socket = dir.join(name);
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // One that restarts has no socket for a moment; its clients see the same as without us.
                let Ok(engine) = UnixStream::connect(&engine) else {
                    continue;
                };
                let (from_engine, to_client) = (engine.try_clone(), client.try_clone());
                let (from_engine, to_client) = (from_engine.unwrap(), to_client.unwrap());
                let (asks, answers) = {
                    let ear = ear();
                    (Arc::clone(&ear), ear)
                };
                std::thread::spawn(move || carry(client, engine, |bytes| asks.asked(bytes)));
                std::thread::spawn(move || {
                    carry(from_engine, to_client, |bytes| answers.answered(bytes));
                });
            }
        });
        Self { socket }
    }

    /// For `DOCKER_HOST`.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// Carries bytes until one of the two, or who listens, has enough.
fn carry(mut from: UnixStream, mut to: UnixStream, tell: impl Fn(&mut [u8]) -> bool) {
    let mut chunk = vec![0; 64 << 10];
    let mut carries = true;
    while carries {
        carries = match from.read(&mut chunk) {
            Ok(0) | Err(_) => false,
            Ok(n) => tell(&mut chunk[..n]) && to.write_all(&chunk[..n]).is_ok(),
        };
    }
    let _ = to.shutdown(Shutdown::Write);
}

const METHODS: [&str; 5] = ["GET /", "HEAD /", "POST /", "PUT /", "DELETE /"];

/// The requests in bytes that come in pieces. A line that looks like the start of a request is one: no body that is sent here has
/// such a line.
#[derive(Default)]
pub(crate) struct Requests {
    line: Vec<u8>,
}

impl Requests {
    /// `METHOD /path?query` of each that begins in these bytes.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let text = String::from_utf8_lossy(&self.line).into_owned();
            if let Some(request) = text.trim_end().strip_suffix(" HTTP/1.1") {
                // The body before it may have had no line end.
                let begins = METHODS.iter().filter_map(|it| request.rfind(it)).max();
                found.push(request[begins.unwrap_or(0)..].to_owned());
            }
            self.line.clear();
        }
        found
    }
}
