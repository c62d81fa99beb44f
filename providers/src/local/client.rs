//! The client of a session: one connection, made when it is needed, shared by everybody in the process.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use locket_provider::{Error, ErrorKind, Fetched, SecretValue};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex as AsyncMutex, broadcast, oneshot};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::document::{Info, Listed};
use super::wire::{self, ConfigFile, Frame, Lock, PROTOCOL, Reply, Request, Wanted};

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// The same with a passphrase in it, which is slow on purpose, or with a container that is to be started first.
const SLOW: Duration = Duration::from_secs(60);
/// How often a session is begun that breaks off before its first word.
const TRIES: u32 = 3;
/// Secrets asked for in one frame, so that it stays below the limit of a frame.
const BATCH: usize = 128;

/// The two pipes of a session.
pub struct Pipes {
    /// To the session.
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    /// From the session.
    pub output: Box<dyn AsyncRead + Send + Unpin>,
}

/// Starts sessions: an exec in the store's container, or a pair of pipes in a test.
pub trait Connect: Send + Sync {
    /// Starts one.
    ///
    /// # Errors
    /// When there is none to be had now; the text is shown to the user.
    fn connect(&self) -> BoxFuture<'_, io::Result<Pipes>>;
}

/// Something beside the store, or in it, is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// It may have been the host configuration.
    pub configuration: bool,
}

impl Change {
    /// It is not known what.
    const ANY: Self = Self {
        configuration: true,
    };
}

/// A client of the store. Clones share one connection, which is made anew after it broke.
///
/// Every method fails with [`ErrorKind::Unavailable`] when the session cannot be reached or breaks off; a change
/// may then have been made or not. Dropping a future abandons its answer, not the connection.
#[derive(Clone)]
pub struct LocalClient {
    connect: Arc<dyn Connect>,
    line: Arc<AsyncMutex<Option<Arc<Line>>>>,
}

type Waiting = Mutex<Option<HashMap<u64, oneshot::Sender<Frame<Reply>>>>>;

/// One connection. It is over when `waiting` is `None`.
struct Line {
    input: AsyncMutex<(u64, Box<dyn AsyncWrite + Send + Unpin>)>,
    waiting: Arc<Waiting>,
    changes: broadcast::Sender<Change>,
    reader: tokio::task::JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl LocalClient {
    /// Connects when first asked.
    pub fn new(connect: Arc<dyn Connect>) -> Self {
        Self {
            connect,
            line: Arc::default(),
        }
    }

    /// Sets a value of at most 1 MiB under a full name. The value that is there already keeps its version.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a bad name or a value too large; [`ErrorKind::Unauthenticated`] when the key is not the store's.
    pub async fn set(&self, name: &str, value: &SecretValue) -> Result<Info, Error> {
        let request = Request::Set {
            name: name.to_owned(),
        };
        self.info(request, vec![Zeroizing::new(value.expose().to_vec())])
            .await
    }

    /// One value, the current or an older one.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn get(&self, name: &str, version: Option<u64>) -> Result<Fetched, Error> {
        let mut all = self.get_all(vec![(name.to_owned(), version)]).await?;
        all.pop().unwrap_or_else(|| Err(nonsense()))
    }

    /// Many values, in order.
    ///
    /// # Errors
    /// When nothing can be read at all.
    pub(super) async fn get_all(
        &self,
        wanted: Vec<Wanted>,
    ) -> Result<Vec<Result<Fetched, Error>>, Error> {
        let mut all = Vec::with_capacity(wanted.len());
        for wanted in wanted.chunks(BATCH) {
            let (reply, blobs) = self
                .call(
                    Request::Get {
                        wanted: wanted.to_vec(),
                    },
                    vec![],
                    DEADLINE,
                )
                .await?;
            let Reply::Versions { versions } = reply else {
                return Err(nonsense());
            };
            let mut blobs = blobs.into_iter();
            all.extend(versions.into_iter().map(|it| {
                let info = it.map_err(Error::from)?;
                let mut blob = blobs.next().ok_or_else(nonsense)?;
                Ok(Fetched {
                    value: SecretValue::new(std::mem::take(&mut *blob)),
                    version: info.mark(),
                })
            }));
        }
        Ok(all)
    }

    /// Many versions, in order, without values.
    ///
    /// # Errors
    /// When nothing can be read at all.
    pub(super) async fn versions(
        &self,
        wanted: Vec<Wanted>,
    ) -> Result<Vec<Result<Info, Error>>, Error> {
        match self
            .call(Request::Versions { wanted }, vec![], DEADLINE)
            .await?
            .0
        {
            Reply::Versions { versions } => Ok(versions
                .into_iter()
                .map(|v| v.map_err(Error::from))
                .collect()),
            _ => Err(nonsense()),
        }
    }

    /// Forgets all values of a secret.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        self.done(
            Request::Remove {
                name: name.to_owned(),
            },
            vec![],
        )
        .await
    }

    /// Secrets whose full name begins with `prefix` (`shop/`, `/`, or empty for all), sorted.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        match self
            .call(
                Request::List {
                    prefix: prefix.to_owned(),
                },
                vec![],
                DEADLINE,
            )
            .await?
            .0
        {
            Reply::List { list } => Ok(list),
            _ => Err(nonsense()),
        }
    }

    /// The versions that are kept, the newest first.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn history(&self, name: &str) -> Result<Vec<Info>, Error> {
        match self
            .call(
                Request::History {
                    name: name.to_owned(),
                },
                vec![],
                DEADLINE,
            )
            .await?
            .0
        {
            Reply::History { history } => Ok(history),
            _ => Err(nonsense()),
        }
    }

    /// Sets an older value again, by default the one before the current, as a new version.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when that version is not kept.
    pub async fn rollback(&self, name: &str, to: Option<u64>) -> Result<Info, Error> {
        self.info(
            Request::Rollback {
                name: name.to_owned(),
                to,
            },
            vec![],
        )
        .await
    }

    /// The whole store as an age file.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for what is no recipient.
    pub async fn export(&self, lock: &Lock) -> Result<Vec<u8>, Error> {
        let (passphrase, blobs) = key_blobs(lock);
        let bytes = self
            .bytes(Request::Export { passphrase }, blobs, SLOW)
            .await?;
        bytes
            .map(|mut b| std::mem::take(&mut *b))
            .ok_or_else(nonsense)
    }

    /// Merges an export in and gives the names that have another value now: unknown secrets come with their history,
    /// of known ones the current value becomes a new version, nothing is removed.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] for a wrong key or passphrase, [`ErrorKind::Unavailable`] for a damaged file.
    pub async fn import(&self, file: Vec<u8>, lock: &Lock) -> Result<Vec<String>, Error> {
        let (passphrase, keys) = key_blobs(lock);
        let blobs = std::iter::once(Zeroizing::new(file)).chain(keys).collect();
        match self
            .call(Request::Import { passphrase }, blobs, SLOW)
            .await?
            .0
        {
            Reply::Names { names } => Ok(names),
            _ => Err(nonsense()),
        }
    }

    /// A file of the host's configuration; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read_config(&self, file: ConfigFile) -> Result<Option<Vec<u8>>, Error> {
        let bytes = self
            .bytes(Request::ReadConfig { file }, vec![], DEADLINE)
            .await?;
        Ok(bytes.map(|mut b| std::mem::take(&mut *b)))
    }

    /// Replaces a file of the host's configuration; the last one wins.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn write_config(&self, file: ConfigFile, text: &[u8]) -> Result<(), Error> {
        let over = None;
        self.done(
            Request::WriteConfig { file, over },
            vec![Zeroizing::new(text.to_vec())],
        )
        .await
    }

    /// Replaces a file of the host's configuration if it is still the one that was `read`, and says whether it was. A file that
    /// is not there counts as an empty one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn replace_config(
        &self,
        file: ConfigFile,
        read: &[u8],
        text: &[u8],
    ) -> Result<bool, Error> {
        let over = Some(wire::digest(read));
        let request = Request::WriteConfig { file, over };
        let blobs = vec![Zeroizing::new(text.to_vec())];
        match self.call(request, blobs, DEADLINE).await?.0 {
            Reply::Done => Ok(true),
            Reply::Outdated => Ok(false),
            _ => Err(nonsense()),
        }
    }

    /// A credential file that was copied beside the store; `name` is of `[a-zA-Z0-9._-]`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a bad name.
    pub async fn read_file(&self, name: &str) -> Result<Option<SecretValue>, Error> {
        let bytes = self
            .bytes(
                Request::ReadFile {
                    name: name.to_owned(),
                },
                vec![],
                DEADLINE,
            )
            .await?;
        Ok(bytes.map(|mut b| SecretValue::new(std::mem::take(&mut *b))))
    }

    /// Copies a credential file (at most 1 MiB) beside the store, mode 0600.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a bad name or too many bytes.
    pub async fn write_file(&self, name: &str, bytes: &SecretValue) -> Result<(), Error> {
        self.done(
            Request::WriteFile {
                name: name.to_owned(),
            },
            vec![Zeroizing::new(bytes.expose().to_vec())],
        )
        .await
    }

    /// A change when the session is there (what happened before is to be looked up), then each as it comes; ends with the
    /// connection.
    pub fn watch(&self) -> BoxStream<'static, Change> {
        enum State {
            Start(LocalClient),
            On(broadcast::Receiver<Change>, Arc<Line>),
        }
        let next = |state| async move {
            match state {
                State::Start(client) => {
                    let line = timeout(SLOW, client.line()).await.ok()?.ok()?;
                    let changes = line.changes.subscribe();
                    line.waiting
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .as_ref()?;
                    Some((Change::ANY, State::On(changes, line)))
                }
                State::On(mut changes, line) => {
                    let change = match changes.recv().await {
                        Ok(change) => change,
                        Err(broadcast::error::RecvError::Lagged(_)) => Change::ANY,
                        Err(broadcast::error::RecvError::Closed) => return None,
                    };
                    // The reader's last word, so that the stream ends.
                    line.waiting
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .as_ref()?;
                    Some((change, State::On(changes, line)))
                }
            }
        };
        Box::pin(futures_util::stream::unfold(
            State::Start(self.clone()),
            next,
        ))
    }

    async fn info(&self, request: Request, blobs: Vec<Zeroizing<Vec<u8>>>) -> Result<Info, Error> {
        match self.call(request, blobs, DEADLINE).await?.0 {
            Reply::Info { info } => Ok(info),
            _ => Err(nonsense()),
        }
    }

    async fn done(&self, request: Request, blobs: Vec<Zeroizing<Vec<u8>>>) -> Result<(), Error> {
        match self.call(request, blobs, DEADLINE).await?.0 {
            Reply::Done => Ok(()),
            _ => Err(nonsense()),
        }
    }

    async fn bytes(
        &self,
        request: Request,
        blobs: Vec<Zeroizing<Vec<u8>>>,
        limit: Duration,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let (reply, blobs) = self.call(request, blobs, limit).await?;
        match (reply, blobs.into_iter().next()) {
            (Reply::Bytes { found: true }, Some(bytes)) => Ok(Some(bytes)),
            (Reply::Bytes { found: false }, None) => Ok(None),
            _ => Err(nonsense()),
        }
    }

    async fn call(
        &self,
        body: Request,
        blobs: Vec<Zeroizing<Vec<u8>>>,
        limit: Duration,
    ) -> Result<(Reply, Vec<Zeroizing<Vec<u8>>>), Error> {
        let line = timeout(SLOW, self.line())
            .await
            .map_err(|_| lost("cannot be reached in time"))??;
        let reply = match timeout(limit, line.call(body, blobs)).await {
            Ok(reply) => reply,
            Err(_) => Err(lost("gave no answer in time")),
        };
        match reply {
            Ok(Frame {
                body: Reply::Failed { fault },
                ..
            }) => Err(fault.into()),
            Ok(frame) => Ok((frame.body, frame.blobs)),
            Err(e) => {
                // The next call gets a new connection; nobody else's is taken away.
                let mut current = self.line.lock().await;
                if current.as_ref().is_some_and(|it| Arc::ptr_eq(it, &line)) {
                    *current = None;
                }
                Err(e)
            }
        }
    }

    async fn line(&self) -> Result<Arc<Line>, Error> {
        let mut current = self.line.lock().await;
        if let Some(line) = current.as_ref().filter(|it| !it.is_over()) {
            return Ok(line.clone());
        }
        let mut tries = TRIES;
        loop {
            let pipes = self.connect.connect().await.map_err(|e| {
                Error::new(
                    ErrorKind::Unavailable,
                    format!("cannot reach the local store: {e}"),
                )
            })?;
            tries -= 1;
            match Line::open(pipes).await {
                Ok(line) => {
                    let line = Arc::new(line);
                    *current = Some(Arc::clone(&line));
                    return Ok(line);
                }
                // Its container may have ended for want of sessions while this one began; nothing was asked yet.
                Err(e) if e.kind == ErrorKind::Unavailable && tries > 0 => {}
                Err(e) => return Err(e),
            }
        }
    }
}

impl Line {
    async fn open(pipes: Pipes) -> Result<Self, Error> {
        let Pipes { input, mut output } = pipes;
        match read(&mut output).await {
            Ok(Frame {
                body: Reply::Hello { protocol: PROTOCOL },
                ..
            }) => {}
            Ok(Frame {
                body: Reply::Hello { protocol },
                ..
            }) => {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    format!("the local store speaks protocol {protocol}, this program {PROTOCOL}"),
                ));
            }
            _ => return Err(lost("did not start")),
        }
        let waiting = Arc::new(Mutex::new(Some(HashMap::<
            u64,
            oneshot::Sender<Frame<Reply>>,
        >::new())));
        let (changes, _) = broadcast::channel(1);
        let reader = tokio::spawn({
            let (waiting, changes) = (waiting.clone(), changes.clone());
            async move {
                while let Ok(frame) = read(&mut output).await {
                    if let Reply::Changed { configuration } = frame.body {
                        // Without listeners there is nobody to tell.
                        let _ = changes.send(Change { configuration });
                    } else if let Some(to) = waiting
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .as_mut()
                        .and_then(|w| w.remove(&frame.id))
                    {
                        // Nobody there: the caller has gone.
                        let _ = to.send(frame);
                    }
                }
                waiting
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                let _ = changes.send(Change::ANY);
            }
        });
        Ok(Self {
            input: AsyncMutex::new((0, input)),
            waiting,
            changes,
            reader,
        })
    }

    fn is_over(&self) -> bool {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
    }

    fn expect(&self, id: u64, answer: oneshot::Sender<Frame<Reply>>) -> io::Result<()> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting
            .as_mut()
            .ok_or(io::ErrorKind::BrokenPipe)?
            .insert(id, answer);
        Ok(())
    }

    async fn call(
        self: &Arc<Self>,
        body: Request,
        blobs: Vec<Zeroizing<Vec<u8>>>,
    ) -> Result<Frame<Reply>, Error> {
        // Written in a task of its own: a caller that goes away never leaves half a frame behind.
        let line = self.clone();
        let sent = tokio::spawn(async move {
            let mut input = line.input.lock().await;
            input.0 += 1;
            let id = input.0;
            let bytes = Frame { id, body, blobs }.encode()?;
            let (answer, reply) = oneshot::channel();
            line.expect(id, answer)?;
            input.1.write_all(&bytes).await?;
            input.1.flush().await?;
            io::Result::Ok(reply)
        });
        let reply = sent
            .await
            .map_err(|_| lost("broke off"))?
            .map_err(|_| lost("broke off"))?;
        reply.await.map_err(|_| lost("broke off"))
    }
}

async fn read(output: &mut (impl AsyncRead + Unpin)) -> io::Result<Frame<Reply>> {
    let mut prefix = [0; 4];
    output.read_exact(&mut prefix).await?;
    let mut bytes = Zeroizing::new(vec![0; wire::length(prefix)?]);
    output.read_exact(&mut bytes).await?;
    Frame::decode(&bytes)
}

fn key_blobs(lock: &Lock) -> (bool, Vec<Zeroizing<Vec<u8>>>) {
    match lock {
        Lock::Passphrase(it) => (true, vec![Zeroizing::new(it.as_bytes().to_vec())]),
        Lock::Keys(lines) => (
            false,
            lines
                .iter()
                .map(|l| Zeroizing::new(l.as_bytes().to_vec()))
                .collect(),
        ),
    }
}

fn lost(what: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("the session with the local store {what}"),
    )
}

fn nonsense() -> Error {
    lost("gave an answer to another question")
}
