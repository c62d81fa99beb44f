//! What programs ask of the engine: a socket in front of the engine's own that writes the requests down.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A socket that leads to the engine. Nobody new finds it once this is dropped.
pub struct Recorder {
    socket: PathBuf,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    /// Listens in a directory.
    ///
    /// # Panics
    /// When the engine is not reached by a Unix socket.
    pub fn start(dir: &Path) -> Self {
        let engine = std::env::var("DOCKER_HOST");
        let engine = engine.unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        let engine = engine
            .strip_prefix("unix://")
            .expect("the engine of the tests has a Unix socket")
            .to_owned();
        let socket = dir.join("recorder.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let engine = UnixStream::connect(&engine).unwrap();
                let (from_engine, to_client) = (engine.try_clone(), client.try_clone());
                let (mut from_engine, mut to_client) = (from_engine.unwrap(), to_client.unwrap());
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || carry(client, engine, &kept));
                std::thread::spawn(move || {
                    // How it ends is the business of the two that talk.
                    let _ = std::io::copy(&mut from_engine, &mut to_client);
                    let _ = to_client.shutdown(Shutdown::Write);
                });
            }
        });
        Self { socket, requests }
    }

    /// For `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// The requests so far, as `METHOD /path?query`.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// Carries bytes to the engine. A line that looks like the start of a request is one: no body that is sent here has such a line.
fn carry(mut client: UnixStream, mut engine: UnixStream, kept: &Mutex<Vec<String>>) {
    let (mut chunk, mut line) = (vec![0; 64 << 10], Vec::new());
    loop {
        let n = match client.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(n) => n,
        };
        for byte in &chunk[..n] {
            if *byte != b'\n' {
                line.push(*byte);
                continue;
            }
            let text = String::from_utf8_lossy(&line).into_owned();
            if let Some(request) = text.trim_end().strip_suffix(" HTTP/1.1") {
                kept.lock().unwrap().push(request.to_owned());
            }
            line.clear();
        }
        if engine.write_all(&chunk[..n]).is_err() {
            break;
        }
    }
    let _ = engine.shutdown(Shutdown::Write);
}
