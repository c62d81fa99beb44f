//! One pooled HTTP/1.1 client that serves bollard and the few calls that bollard cannot make.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bollard::BollardRequest;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::http::uri::{PathAndQuery, Uri};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::connect::{Endpoint, Io};
use crate::error::{Error, Kind};

/// The largest answer that is read whole: a list of ten thousand containers is some 20 MB.
const MAX_ANSWER: usize = 256 << 20;

/// Idle connections that are kept. A dialed endpoint pays a process for each.
const MAX_IDLE: usize = 4;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The client. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client<Dial, Body>,
    /// `/v1.45`: what goes before a path that has no version yet. Unset until it is negotiated.
    version: Arc<OnceLock<String>>,
}

impl Http {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(MAX_IDLE)
            .build(Dial(endpoint));
        Http {
            client,
            version: Arc::new(OnceLock::new()),
        }
    }

    /// Puts `/v{version}` before every path from now on. The first call counts.
    pub(crate) fn pin(&self, version: &str) {
        self.version.get_or_init(|| format!("/v{version}"));
    }

    /// Sends a request of bollard's.
    ///
    /// bollard 0.21 means to put the version into the path and loses it (it resolves an absolute
    /// path against the versioned one), so it is put there here.
    pub(crate) fn send(
        &self,
        request: BollardRequest,
    ) -> BoxFuture<'static, Result<Response<Incoming>, bollard::errors::Error>> {
        let (mut head, body) = request.into_parts();
        head.uri = self.versioned(head.uri);
        let request = Request::from_parts(head, body.map_err(io::Error::other).boxed_unsync());
        let response = self.client.request(request);
        async move { Ok(response.await?) }.boxed()
    }

    fn versioned(&self, uri: Uri) -> Uri {
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        match self.version.get() {
            Some(version) if !path.starts_with("/v1.") => {
                at(&format!("{version}{path}")).unwrap_or(uri)
            }
            _ => uri,
        }
    }

    /// GET of a JSON document. `what` names the operation in errors.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        what: &str,
    ) -> Result<T, Error> {
        let response = self.raw(Method::GET, path, what).await?;
        let bytes = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await
            .map_err(|e| Error::new(Kind::Protocol, what, e.to_string()))?
            .to_bytes();
        // serde's message may quote a value of the document; only the place is kept.
        serde_json::from_slice(&bytes).map_err(|e| {
            let place = format!("unexpected JSON at line {} column {}", e.line(), e.column());
            Error::new(Kind::Protocol, what, place)
        })
    }

    /// POST without a body; any 2xx is fine, 304 is [`Kind::NotModified`].
    pub(crate) async fn post(&self, path: &str, what: &str) -> Result<(), Error> {
        let response = self.raw(Method::POST, path, what).await?;
        // Read to the end, so that the connection goes back to the pool.
        let _ = response.into_body().collect().await;
        Ok(())
    }

    /// Boxed, so that what the pooled client is made of is compiled in this room and not in all that call it.
    fn raw<'a>(
        &'a self,
        method: Method,
        path: &'a str,
        what: &'a str,
    ) -> BoxFuture<'a, Result<Response<Incoming>, Error>> {
        let malformed =
            move |e: hyper::http::Error| Error::new(Kind::Protocol, what, e.to_string());
        async move {
            let uri = at(path).map_err(|e| malformed(e.into()))?;
            let request = Request::builder()
                .method(method)
                .uri(self.versioned(uri))
                .body(Empty::new().map_err(|never| match never {}).boxed_unsync())
                .map_err(malformed)?;
            let response = self
                .client
                .request(request)
                .await
                .map_err(|e| of_client(&e, what))?;
            match response.status() {
                status if status.is_success() => Ok(response),
                status => Err(refusal(status, response, what).await),
            }
        }
        .boxed()
    }
}

/// Authority is needed by the client, ignored by the engine.
fn at(path: &str) -> Result<Uri, hyper::http::uri::InvalidUri> {
    format!("http://engine{path}").parse()
}

/// The engine's own words for a status that is not a success.
async fn refusal(status: StatusCode, response: Response<Incoming>, what: &str) -> Error {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    const MAX_MESSAGE: usize = 64 << 10;
    let body = Limited::new(response.into_body(), MAX_MESSAGE)
        .collect()
        .await;
    let bytes = body.map(|b| b.to_bytes()).unwrap_or_default();
    let message = serde_json::from_slice::<Refusal>(&bytes)
        .map(|r| r.message)
        .unwrap_or_default();
    Error::new(Kind::of_status(status.as_u16()), what, message)
}

/// An error of the pooled client.
pub(crate) fn of_client(error: &hyper_util::client::legacy::Error, what: &str) -> Error {
    let root = root_of(error);
    // A dialer is a process: that it ended is noticed when the first answer is read.
    let refused = root
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused);
    let kind = if error.is_connect() || refused {
        Kind::Refused
    } else {
        Kind::Protocol
    };
    Error::new(kind, what, root.to_string())
}

/// The innermost cause: "connection refused" says more than "client error (Connect)".
fn root_of<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> &'a (dyn std::error::Error + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}

/// Lets through what can be the name or id of a container or volume. Names become parts of paths,
/// where `../volumes` would name something else; nothing on an engine is called so.
pub(crate) fn object<'a>(name: &'a str, what: &str) -> Result<&'a str, Error> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let starts = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    match starts && name.bytes().all(fits) {
        true => Ok(name),
        false => Err(Error::new(
            Kind::NotFound,
            what,
            "nothing can have this name",
        )),
    }
}

/// The same for the name or id of an image, which may have slashes, a tag and a digest.
pub(crate) fn image<'a>(name: &'a str, what: &str) -> Result<&'a str, Error> {
    for part in name.split(['/', ':', '@']) {
        object(part, what)?;
    }
    Ok(name)
}

/// The connector that the pooled client calls.
#[derive(Clone)]
struct Dial(Endpoint);

impl tower_service::Service<Uri> for Dial {
    type Response = Pipe;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Pipe>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connecting = self.0.connect();
        async move { Ok(Pipe(TokioIo::new(connecting.await?))) }.boxed()
    }
}

/// A connection as the pooled client wants it.
struct Pipe(TokioIo<Box<dyn Io>>);

impl Connection for Pipe {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl hyper::rt::Write for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place() {
        for good in ["shop-db-1", "a", "0b2.x_y"] {
            assert_eq!(object(good, "x"), Ok(good));
        }
        for bad in [
            "",
            ".",
            "..",
            "../volumes",
            "a/b",
            "a?b",
            "a#b",
            "a%2fb",
            "-a",
            "ä",
        ] {
            assert!(object(bad, "x").is_err_and(|e| e.is_not_found()), "{bad}");
        }
        for good in [
            "busybox",
            "host:5000/shop/api:2",
            "sha256:0b2",
            "a@sha256:0b2",
        ] {
            assert_eq!(image(good, "x"), Ok(good));
        }
        for bad in ["../containers/a", "a//b", "a/../b", "a?force=1", ""] {
            assert!(image(bad, "x").is_err_and(|e| e.is_not_found()), "{bad}");
        }
    }
}
