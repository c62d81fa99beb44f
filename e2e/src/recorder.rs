//! What programs ask of the engine, written down; and, where it matters, what it answers, with another architecture in it.

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
    is_disguised: bool,
}

impl Ear for Connection {
    fn asked(&self, bytes: &[u8]) -> bool {
        let found = self.parts.lock().unwrap().read(bytes);
        self.kept.lock().unwrap().extend(found);
        true
    }

    fn answered(&self, bytes: &mut [u8]) -> bool {
        if self.is_disguised {
            disguise(bytes);
        }
        true
    }
}

/// Swaps the two architectures in the answer to `GET /version`. Their names are equally long, so nobody sees it from the frame.
fn disguise(bytes: &mut [u8]) {
    let [amd, arm] = ["\"Arch\":\"amd64\"", "\"Arch\":\"arm64\""].map(str::as_bytes);
    for at in 0..bytes.len().saturating_sub(amd.len() - 1) {
        let here = &mut bytes[at..at + amd.len()];
        if here == amd {
            here.copy_from_slice(arm);
        } else if here == arm {
            here.copy_from_slice(amd);
        }
    }
}

impl Recorder {
    /// Listens in a directory.
    ///
    /// # Panics
    /// When the engine is not reached by a Unix socket.
    pub fn start(dir: &Path) -> Self {
        Self::listen(dir, false)
    }

    /// The same, and the engine passes for one of the other architecture that locket knows.
    pub(crate) fn disguised(dir: &Path) -> Self {
        Self::listen(dir, true)
    }

    fn listen(dir: &Path, is_disguised: bool) -> Self {
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&requests);
        let tap = Tap::start(dir, "recorder.sock", move || {
            Arc::new(Connection {
                parts: Mutex::default(),
                kept: Arc::clone(&kept),
                is_disguised,
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
