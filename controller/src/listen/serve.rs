//! Connections: a request each, within bounds.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Body;
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::Gatekeeper;
use super::guard::{Guard, Verdict};
use crate::metrics::{HookOutcome, scrape};
use crate::mutex::lock;

/// Connections at once; more wait in the kernel.
const CONNECTIONS: usize = 128;
/// A connection's whole life: handshake, request and answer. Who sends slowly is gone after it.
const LIFE: Duration = Duration::from_secs(10);
/// Bytes of the largest head of a request.
const HEAD: usize = 16 << 10;
/// Bytes of the largest body.
const BODY: usize = 64 << 10;
/// Before the next try, when the machine has no room for a connection.
const PAUSE: Duration = Duration::from_millis(200);

type Answer = Response<Full<Bytes>>;

/// Takes connections for ever.
pub async fn accept(listener: TcpListener, gatekeeper: Arc<Gatekeeper>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    // The semaphore is never closed.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(e) => {
                tracing::warn!(
                    error = &e as &dyn std::error::Error,
                    "A connection cannot be taken"
                );
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let gatekeeper = Arc::clone(&gatekeeper);
        connections.spawn(async move {
            let _slot = slot;
            connection(stream, &gatekeeper).await;
        });
    }
}

/// Serves one request, or none. Who it is with, and what goes wrong, is not logged: it would be a stranger's to fill our disk.
pub async fn connection<S>(stream: S, gatekeeper: &Arc<Gatekeeper>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let _counted = gatekeeper.service.shared().metrics.connected();
    let tls = gatekeeper.site().tls.clone();
    let served = async {
        match tls {
            Some(tls) => {
                if let Ok(stream) = tls.accept(stream).await {
                    serve(stream, gatekeeper).await;
                }
            }
            None => serve(stream, gatekeeper).await,
        }
    };
    let _ = timeout(LIFE, served).await;
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, gatekeeper: &Arc<Gatekeeper>) {
    let handle =
        service_fn(|request| async { Ok::<_, Infallible>(answer(request, gatekeeper).await) });
    // The stranger's errors are theirs.
    let _ = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), handle)
        .await;
}

fn status(status: StatusCode) -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = status;
    answer
}

fn with(mut answer: Answer, header: hyper::header::HeaderName, value: &'static str) -> Answer {
    let value = hyper::header::HeaderValue::from_static(value);
    answer.headers_mut().insert(header, value);
    answer
}

async fn answer<B>(request: Request<B>, gatekeeper: &Arc<Gatekeeper>) -> Answer
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let path = request.uri().path();
    if let Some(name) = path.strip_prefix("/v1/hooks/") {
        if request.method() != Method::POST {
            return with(status(StatusCode::METHOD_NOT_ALLOWED), ALLOW, "POST");
        }
        let name = name.to_owned();
        let (head, body) = request.into_parts();
        return match Limited::new(body, BODY).collect().await {
            Ok(body) => push(&name, &head.headers, &body.to_bytes(), gatekeeper),
            Err(_) => status(StatusCode::PAYLOAD_TOO_LARGE),
        };
    }
    if path == "/metrics" && gatekeeper.site().has_metrics() {
        if request.method() != Method::GET {
            return with(status(StatusCode::METHOD_NOT_ALLOWED), ALLOW, "GET");
        }
        return metrics(request.headers(), gatekeeper);
    }
    status(StatusCode::NOT_FOUND)
}

fn metrics(headers: &HeaderMap, gatekeeper: &Gatekeeper) -> Answer {
    let token = headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok());
    let token = token.and_then(|it| it.strip_prefix("Bearer "));
    if !gatekeeper.site().shows_metrics(token) {
        return status(StatusCode::UNAUTHORIZED);
    }
    let text = scrape::text(&gatekeeper.service);
    let answer = Answer::new(Full::from(text));
    with(answer, CONTENT_TYPE, scrape::CONTENT_TYPE)
}

/// Judges a push. Of its body nothing but the signature is of interest.
fn push(name: &str, headers: &HeaderMap, body: &[u8], gatekeeper: &Arc<Gatekeeper>) -> Answer {
    let metrics = &gatekeeper.service.shared().metrics;
    let now = (gatekeeper.clock)();
    let site = gatekeeper.site();
    let (source, verifier) = match site.verifier(name) {
        Ok(it) => it,
        Err(nobody) => {
            let _ = nobody.map(|it| it.verify(headers, body, now));
            metrics.pushed(None, HookOutcome::Refused);
            return status(StatusCode::UNAUTHORIZED);
        }
    };
    let Some(mac) = verifier.verify(headers, body, now) else {
        metrics.pushed(Some(source), HookOutcome::Refused);
        return status(StatusCode::UNAUTHORIZED);
    };
    let now = Instant::now();
    let verdict = {
        let mut guards = lock(&gatekeeper.guards);
        let guard = guards
            .entry(source.clone())
            .or_insert_with(|| Guard::new(now));
        guard.admit(mac, verifier.keep(), now)
    };
    match verdict {
        Verdict::Fresh => {
            metrics.pushed(Some(source), HookOutcome::Accepted);
            gatekeeper.push(source);
            status(StatusCode::ACCEPTED)
        }
        // Whoever has recorded it learns nothing.
        Verdict::Repeated(counts) => {
            metrics.pushed(Some(source), HookOutcome::Repeated);
            if let Some(at) = counts {
                let (gatekeeper, source) = (Arc::clone(gatekeeper), source.clone());
                tokio::spawn(async move {
                    sleep_until(at).await;
                    gatekeeper.push(&source);
                });
            }
            status(StatusCode::ACCEPTED)
        }
        // The hint is kept: a sender may not come again, and one more costs nothing.
        Verdict::Limited => {
            metrics.pushed(Some(source), HookOutcome::Limited);
            gatekeeper.push(source);
            with(status(StatusCode::TOO_MANY_REQUESTS), RETRY_AFTER, "1")
        }
    }
}
