//! The client's end of the anchor session: one stream, one request at a time, answers in order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use locket_delivery::protocol::{self, Refusal, Request, Response};
use locket_engine::{Engine, ExecSpec, ExecStream, Failpoints};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::own::image::PROGRAM;

/// Longest time that one answer may take, beside the time for the way. Publishing the largest generation takes well under a second.
const ANSWER: Duration = Duration::from_secs(15);
/// Bytes a second that even a slow way to a remote engine carries.
const SLOWEST: usize = 64 << 10;
/// Well within [`locket_delivery::session::HOLDER_SILENCE`], and seldom: it is most of what a controller does while nothing
/// happens in fifty projects.
pub const PING_EVERY: Duration = Duration::from_secs(3);

/// Why a request to the anchor failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream is gone: the anchor was removed, the engine restarted, or the session ended itself.
    #[error("the session with the anchor was lost")]
    Lost(#[source] Option<std::io::Error>),
    /// No session could be opened.
    #[error("no session with the anchor could be opened")]
    Open(#[source] locket_engine::Error),
    /// The anchor speaks another protocol.
    #[error("the anchor speaks protocol {theirs}, this program {ours}")]
    Protocol {
        /// The anchor's.
        theirs: u16,
        /// Ours.
        ours: u16,
    },
    /// The anchor understood and said no.
    #[error("the anchor refused: {}", .0.message)]
    Refused(Refusal),
    /// An answer that does not belong to the question, or no answer that can be read.
    #[error("the anchor answered {0}")]
    Nonsense(&'static str),
}

/// An open session.
pub struct Session {
    /// The id of the anchor's container.
    pub anchor: String,
    failpoints: Failpoints,
    stream: Mutex<ExecStream>,
    lost: AtomicBool,
}

impl Session {
    /// Opens a session in an anchor and agrees on the protocol.
    ///
    /// # Errors
    /// When the engine refuses, or the anchor speaks another protocol.
    pub async fn open(engine: &Engine, anchor: &str) -> Result<Self, Error> {
        let spec = ExecSpec {
            argv: vec![PROGRAM.to_owned(), "anchor-session".to_owned()],
            ..ExecSpec::default()
        };
        let stream = engine.exec(anchor, &spec).await.map_err(Error::Open)?;
        let session = Self {
            anchor: anchor.to_owned(),
            failpoints: engine.failpoints().clone(),
            stream: Mutex::new(stream),
            lost: AtomicBool::new(false),
        };
        match session
            .call(&Request::Hello {
                protocol: protocol::VERSION,
            })
            .await?
        {
            Response::Hello {
                protocol: theirs, ..
            } if theirs == protocol::VERSION => Ok(session),
            Response::Hello {
                protocol: theirs, ..
            } => Err(Error::Protocol {
                theirs,
                ours: protocol::VERSION,
            }),
            _ => Err(Error::Nonsense("something else than hello")),
        }
    }

    /// True when the stream is gone; a lost session stays lost.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Asks and waits for the answer. A refusal is an error.
    ///
    /// # Cancel safety
    /// Not cancel safe: a call that is dropped half-way loses the session, so that no answer is taken for another's.
    ///
    /// # Errors
    /// `Lost` is worth a new session, `Refused` is the anchor's last word.
    pub async fn call(&self, request: &Request) -> Result<Response, Error> {
        let mut stream = self.stream.lock().await;
        if self.lost.swap(true, Ordering::Relaxed) {
            return Err(Error::Lost(None));
        }
        let frame = protocol::frame(&request.encode());
        let way = Duration::from_secs((frame.len() / SLOWEST) as u64);
        let exchange = timeout(ANSWER + way, exchange(&mut stream, &frame));
        let what = format!("anchor {}", request.name());
        let answer = self.failpoints.around(&what, exchange).await;
        let answer =
            answer.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut)));
        let bytes = answer.map_err(|e| Error::Lost(Some(e)))?;
        let response =
            Response::decode(&bytes).map_err(|_| Error::Nonsense("what cannot be read"))?;
        self.lost.store(false, Ordering::Relaxed);
        match response {
            Response::Refused(refusal) => Err(Error::Refused(refusal)),
            other => Ok(other),
        }
    }
}

async fn exchange(stream: &mut ExecStream, frame: &[u8]) -> std::io::Result<Zeroizing<Vec<u8>>> {
    stream.input.write_all(frame).await?;
    stream.input.flush().await?;
    let mut length = [0; 4];
    stream.output.read_exact(&mut length).await?;
    let length = protocol::frame_length(length)?;
    let mut payload = Zeroizing::new(vec![0; length]);
    stream.output.read_exact(&mut payload).await?;
    Ok(payload)
}
