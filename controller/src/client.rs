//! The other end of the API: HTTP over a Unix socket, or over an exec stream into the controller's container.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use locket_crds::api;
use locket_crds::id::{ProjectName, ServiceName, SourceName};
use locket_crds::spec::ProjectSpec;
use locket_engine::{ExecSpec, ExecStream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::Host;
use crate::access::Error;
pub use crate::api::Settings;
use crate::api::{ApplyQuery, EventsQuery, RefreshRequest, split_env};
use crate::own::controller;
use crate::own::image::PROGRAM;

/// How long an answer may take beyond what was asked for.
const ANSWER: Duration = Duration::from_secs(30);
/// How long the head of an answer may take: a pass that must end first, and more.
const HEAD: Duration = Duration::from_secs(90);
/// How long it may take to find out that nobody listens.
const CONNECT: Duration = Duration::from_secs(5);
/// Bytes of the largest answer.
const LIMIT: usize = 64 << 20;

/// Where a controller may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It listens on this machine.
    Socket(PathBuf),
    /// It runs in this container.
    Container(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "socket {}", path.display()),
            Self::Container(id) => write!(
                f,
                "container {} ({})",
                controller::NAME,
                id.get(..12).unwrap_or(id)
            ),
        }
    }
}

impl Place {
    /// Where one may be found, nearest first.
    pub async fn all(host: &Host, sockets: Vec<PathBuf>) -> Vec<Self> {
        let mut all = Vec::new();
        for socket in sockets {
            if UnixStream::connect(&socket).await.is_ok() {
                all.push(Self::Socket(socket));
            }
        }
        all.extend(
            controller::running(host)
                .await
                .ok()
                .flatten()
                .map(Self::Container),
        );
        all
    }
}

/// A client of one controller; a connection a request.
pub struct Client {
    place: Place,
    /// The engine on which the container of the place is.
    host: Option<Arc<Host>>,
}

/// Both pipes of an exec as one stream.
struct Joined(ExecStream);

impl AsyncRead for Joined {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0.output).poll_read(cx, buf)
    }
}

impl AsyncWrite for Joined {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0.input).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0.input).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0.input).poll_shutdown(cx)
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Client {
    /// Connects when asked something.
    pub fn new(place: Place, host: Arc<Host>) -> Self {
        Self {
            place,
            host: Some(host),
        }
    }

    /// One for the controller that listens on this machine, whatever engine it looks after.
    pub fn here(socket: PathBuf) -> Self {
        Self {
            place: Place::Socket(socket),
            host: None,
        }
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Error> {
        let failed = |e: Box<dyn std::error::Error + Send + Sync>| Error {
            source: Some(e),
            ..Error::new(
                "Unavailable",
                format!("the controller ({}) cannot be reached", self.place),
            )
        };
        match &self.place {
            Place::Socket(path) => Ok(Box::new(
                UnixStream::connect(path)
                    .await
                    .map_err(|e| failed(Box::new(e)))?,
            )),
            Place::Container(id) => {
                let spec = ExecSpec {
                    argv: vec![PROGRAM.to_owned(), "api".to_owned()],
                    ..ExecSpec::default()
                };
                let host = self.host.as_ref().ok_or_else(|| {
                    Error::new(
                        "Internal",
                        "no engine is known for the controller's container",
                    )
                })?;
                let stream = host
                    .engine
                    .exec(id, &spec)
                    .await
                    .map_err(|e| failed(Box::new(e)))?;
                Ok(Box::new(Joined(stream)))
            }
        }
    }

    /// The head of the answer comes within [`HEAD`], however long the rest takes.
    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Response<Incoming>, Error> {
        let answer = timeout(HEAD, self.try_send(method, path, body)).await;
        answer.map_err(|_| Error::new("Unavailable", "the controller does not answer"))?
    }

    async fn try_send(
        &self,
        method: &str,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Response<Incoming>, Error> {
        let lost = |e: hyper::Error| Error::unavailable("the controller has gone away", e);
        let stream = timeout(CONNECT, self.connect())
            .await
            .map_err(|_| Error::new("Unavailable", "the controller does not answer"))??;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        tokio::spawn(async move { drop(connection.await) });
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "locket")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| Error {
                source: Some(Box::new(e)),
                ..Error::new("Internal", "the request cannot be written")
            })?;
        let answer = sender.send_request(request).await.map_err(lost)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let bytes = whole(answer.into_body()).await?;
        Err(match serde_json::from_slice::<api::Failure>(&bytes) {
            Ok(it) => of_failure(it),
            Err(_) if status == StatusCode::NOT_FOUND => Error::not_found(
                "the controller is of another version and does not know this request",
            ),
            Err(_) => Error::new("Internal", format!("the controller answered {status}")),
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, patience: Duration) -> Result<T, Error> {
        let answer = async {
            let answer = self.send("GET", path, Vec::new()).await?;
            read(&whole(answer.into_body()).await?)
        };
        timeout(ANSWER + patience, answer)
            .await
            .map_err(|_| Error::new("Unavailable", "the controller does not answer"))?
    }

    /// Who answers.
    pub async fn answerer(&self) -> Result<api::Answerer, Error> {
        timeout(CONNECT, self.get("/v1/version", Duration::ZERO))
            .await
            .map_err(|_| Error::new("Unavailable", "the controller does not answer"))?
    }

    /// Who answers, if its engine answers it.
    ///
    /// # Errors
    /// When one of them does not answer.
    pub async fn health(&self) -> Result<api::Answerer, Error> {
        self.get("/v1/health", crate::service::HEALTH).await
    }

    /// What the controller says about itself; nothing is in it of what one of its version does not tell.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn settings(&self) -> Result<Settings, Error> {
        self.get("/v1/version", Duration::ZERO).await
    }

    pub(crate) async fn status(&self, project: Option<&ProjectName>) -> Result<api::Status, Error> {
        self.get(
            &project.map_or("/v1/status".to_owned(), |p| {
                format!("/v1/status?project={p}")
            }),
            Duration::ZERO,
        )
        .await
    }

    pub(crate) async fn explain(
        &self,
        project: &ProjectName,
        service: &ServiceName,
    ) -> Result<api::Explain, Error> {
        self.get(
            &format!("/v1/projects/{project}/explain/{service}"),
            Duration::ZERO,
        )
        .await
    }

    pub(crate) async fn events(
        &self,
        project: Option<&ProjectName>,
        after: u64,
        wait: Duration,
    ) -> Result<Vec<api::Event>, Error> {
        let query = EventsQuery {
            project: project.cloned(),
            after,
            wait: wait.as_secs(),
        };
        self.get(&format!("/v1/events?{}", query.text()), wait)
            .await
    }

    pub(crate) async fn plan(
        &self,
        project: &ProjectName,
        spec: Option<ProjectSpec>,
    ) -> Result<api::PlanView, Error> {
        let answer = self
            .send(
                "POST",
                &format!("/v1/projects/{project}/plan"),
                json(&spec)?,
            )
            .await?;
        read(&whole(answer.into_body()).await?)
    }

    pub(crate) async fn post(
        &self,
        project: &ProjectName,
        verb: &str,
        body: &impl Serialize,
    ) -> Result<(), Error> {
        self.send(
            "POST",
            &format!("/v1/projects/{project}/{verb}"),
            json(body)?,
        )
        .await
        .map(drop)
    }

    pub(crate) async fn refresh(
        &self,
        project: Option<&ProjectName>,
        source: Option<&SourceName>,
    ) -> Result<(), Error> {
        let request = RefreshRequest {
            project: project.cloned(),
            source: source.cloned(),
        };
        self.send("POST", "/v1/refresh", json(&request)?)
            .await
            .map(drop)
    }

    pub(crate) async fn compose_env(
        &self,
        project: &ProjectName,
        spec: &ProjectSpec,
    ) -> Result<Vec<(String, Zeroizing<Vec<u8>>)>, Error> {
        let answer = self
            .send(
                "POST",
                &format!("/v1/projects/{project}/compose-env"),
                json(spec)?,
            )
            .await?;
        Ok(split_env(&whole(answer.into_body()).await?))
    }

    pub(crate) async fn apply(
        &self,
        project: &ProjectName,
        request: &api::ApplyRequest,
        patience: Duration,
        told: &mut (dyn FnMut(api::Progress) + Send),
    ) -> Result<api::Applied, Error> {
        let query = ApplyQuery {
            timeout: patience.as_secs(),
        };
        let path = format!("/v1/projects/{project}/apply?timeout={}", query.timeout);
        let mut body = self.send("POST", &path, json(request)?).await?.into_body();
        let mut buffer = Vec::new();
        let broken = || {
            Error::new("Unavailable", "the controller has gone away")
                .hint("what it had begun, the next one goes on with")
        };
        loop {
            while let Some(end) = buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                match read::<api::Progress>(&line)? {
                    api::Progress::Done(applied) => return Ok(applied),
                    api::Progress::Failed(failure) => return Err(of_failure(failure)),
                    other => told(other),
                }
            }
            let frame = timeout(ANSWER + patience, body.frame())
                .await
                .map_err(|_| broken())?;
            let data = frame
                .ok_or_else(broken)?
                .map_err(|e| Error::unavailable("the controller has gone away", e))?;
            if let Ok(bytes) = data.into_data() {
                buffer.extend_from_slice(&bytes);
            }
            if buffer.len() > LIMIT {
                return Err(Error::new("Internal", "the controller's answer has no end"));
            }
        }
    }
}

fn of_failure(it: api::Failure) -> Error {
    Error {
        hints: it.hints,
        ..Error::new(it.reason, it.message)
    }
}

fn json(it: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(it).map_err(|e| Error {
        source: Some(Box::new(e)),
        ..Error::new("Internal", "the request cannot be written")
    })
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|e| Error {
        source: Some(Box::new(e)),
        ..Error::new("Internal", "the controller's answer cannot be read")
    })
}

async fn whole(body: Incoming) -> Result<Zeroizing<Vec<u8>>, Error> {
    let limited = http_body_util::Limited::new(body, LIMIT);
    let collected = limited.collect().await.map_err(|e| Error {
        source: Some(e),
        ..Error::new("Unavailable", "the controller has gone away")
    })?;
    Ok(Zeroizing::new(collected.to_bytes().to_vec()))
}
