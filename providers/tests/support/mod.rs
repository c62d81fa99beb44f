//! What several tests need: contexts, and sessions with the built-in store over socket pairs.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::{BoxFuture, FutureExt};
use locket_provider::SecretValue;
use locket_providers::local::{Connect, LocalClient, Pipes, session};
use locket_providers::{Context, MarkKey, Servers, Surroundings};

/// Sessions on threads, each over a socket pair, as an exec in the container would be.
pub struct Sessions {
    root: PathBuf,
    /// How many were started.
    pub started: AtomicUsize,
    last: std::sync::Mutex<Option<UnixStream>>,
}

impl Sessions {
    pub fn new(root: &Path) -> Arc<Self> {
        Arc::new(Self {
            root: root.to_owned(),
            started: AtomicUsize::new(0),
            last: Default::default(),
        })
    }

    pub fn client(self: &Arc<Self>) -> LocalClient {
        LocalClient::new(self.clone())
    }

    /// Breaks the newest connection, as a removed container would.
    pub fn cut(&self) {
        self.last
            .lock()
            .unwrap()
            .take()
            .unwrap()
            .shutdown(std::net::Shutdown::Both)
            .unwrap();
    }
}

impl Connect for Sessions {
    fn connect(&self) -> BoxFuture<'_, io::Result<Pipes>> {
        async {
            self.started.fetch_add(1, Ordering::SeqCst);
            let (ours, theirs) = UnixStream::pair()?;
            *self.last.lock().unwrap() = Some(theirs.try_clone()?);
            let root = self.root.clone();
            std::thread::spawn(move || {
                // How it ends is the client's to see.
                let _ = session::serve(&root, None, theirs.try_clone().unwrap(), &theirs);
                let _ = theirs.shutdown(std::net::Shutdown::Both);
            });
            ours.set_nonblocking(true)?;
            let (output, input) = tokio::net::UnixStream::from_std(ours)?.into_split();
            Ok(Pipes {
                input: Box::new(input),
                output: Box::new(output),
            })
        }
        .boxed()
    }
}

/// Sessions of a container that ends while they begin, so many times; then others.
pub struct Ending(pub AtomicUsize, pub Arc<Sessions>);

impl Connect for Ending {
    fn connect(&self) -> BoxFuture<'_, io::Result<Pipes>> {
        let less = |left: usize| left.checked_sub(1);
        if self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
            .is_err()
        {
            return self.1.connect();
        }
        async {
            Ok(Pipes {
                input: Box::new(tokio::io::sink()),
                output: Box::new(tokio::io::empty()),
            })
        }
        .boxed()
    }
}

/// No engine there.
pub struct Nobody;

impl Connect for Nobody {
    fn connect(&self) -> BoxFuture<'_, io::Result<Pipes>> {
        async { Err(io::Error::other("no engine\u{1b}[31m")) }.boxed()
    }
}

pub fn value(bytes: &[u8]) -> SecretValue {
    SecretValue::new(bytes.to_vec())
}

/// A context of project `shop` whose credentials are files, and nothing else is there.
pub fn context() -> Context {
    Context {
        project: "shop".into(),
        local: LocalClient::new(Arc::new(Nobody)),
        env: None,
        roots: vec![],
        credentials: Arc::new(Surroundings(Default::default())),
        mark_key: MarkKey::new([7; 32]),
        servers: Servers::default(),
    }
}
