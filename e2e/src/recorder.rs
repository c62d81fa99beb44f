//! What programs ask of the engine, written down.

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::tap::{Ear, Requests, Tap};

/// A socket that leads to the engine. Nobody new finds it once this is dropped.
pub struct Recorder {
    tap: Tap,
    requests: Arc<Mutex<Vec<String>>>,
}

struct Connection {
    parts: Mutex<Requests>,
    kept: Arc<Mutex<Vec<String>>>,
}

impl Ear for Connection {
    fn asked(&self, bytes: &[u8]) -> bool {
        let found = self.parts.lock().unwrap().read(bytes);
        self.kept.lock().unwrap().extend(found);
        true
    }
}

impl Recorder {
    /// Listens in a directory.
    ///
    /// # Panics
    /// When the engine is not reached by a Unix socket.
    pub fn start(dir: &Path) -> Self {
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&requests);
        let tap = Tap::start(dir, "recorder.sock", move || {
            Arc::new(Connection {
                parts: Mutex::default(),
                kept: Arc::clone(&kept),
            })
        });
        Self { tap, requests }
    }

    /// For `DOCKER_HOST`.
    pub fn host(&self) -> String {
        self.tap.host()
    }

    /// The requests so far, as `METHOD /path?query`.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}
