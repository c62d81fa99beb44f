//! A server that speaks as much of OpenBao's API as the provider uses, and misbehaves when told to.
//! What the real one does is the matter of `openbao_server.rs`.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use locket_provider::contract::{CANARY, Fault};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

#[derive(Default)]
pub struct World {
    /// Path → (version, fields).
    pub secrets: BTreeMap<String, (u64, BTreeMap<String, String>)>,
    pub tokens: BTreeSet<String>,
    pub logins: usize,
    pub reads: usize,
    /// All requests, of whatever kind.
    pub requests: usize,
    /// How long each takes; requests under way now, and at most so far.
    pub takes: std::time::Duration,
    pub busy: [usize; 2],
    pub fault: Option<Fault>,
    /// What is said about a token and its renewal, and for how many seconds; by default nobody may know.
    pub about_tokens: Option<(u16, u64)>,
    /// Renewals that were asked for.
    pub renewals: usize,
    pub strayed: String,
    /// Where [`Fault::Redirect`] leads.
    pub elsewhere: String,
}

#[derive(Clone, Default)]
pub struct FakeBao(Arc<Mutex<World>>);

impl FakeBao {
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// Serves on a free loopback port, and the other host of a redirect on another one.
    pub async fn start() -> (Self, SocketAddr) {
        let it = Self::default();
        let elsewhere = listen().await;
        it.world().elsewhere = format!(
            "http://localhost:{}",
            elsewhere.local_addr().unwrap().port()
        );
        tokio::spawn(
            axum::serve(
                elsewhere,
                Router::new().fallback(stray).with_state(it.clone()),
            )
            .into_future(),
        );
        let listener = listen().await;
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, it.router()).into_future());
        (it, address)
    }

    /// The same world over TLS.
    pub async fn start_tls(&self, config: Arc<rustls::ServerConfig>) -> SocketAddr {
        let listener = listen().await;
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(Tls(listener, config.into()), self.router()).into_future());
        address
    }

    fn router(&self) -> Router {
        Router::new().fallback(counted).with_state(self.clone())
    }
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

struct Tls(TcpListener, TlsAcceptor);

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;
    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok((stream, from)) = self.0.accept().await else {
                continue;
            };
            // A client that does not like the certificate goes away here.
            if let Ok(stream) = self.1.accept(stream).await {
                return (stream, from);
            }
        }
    }
    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

async fn stray(State(fake): State<FakeBao>, request: Request) -> Response {
    let seen = format!("{} {:?}\n", request.uri(), request.headers());
    fake.world().strayed.push_str(&seen);
    json_answer(
        200,
        json!({"data": {"data": {"value": "stolen"}, "metadata": {"version": 1, "created_time": "t"}}}),
    )
}

fn json_answer(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
}

async fn counted(state: State<FakeBao>, request: Request) -> Response {
    let (fake, takes) = (state.0.clone(), state.0.world().takes);
    {
        let [now, most] = &mut fake.world().busy;
        *now += 1;
        *most = (*most).max(*now);
    }
    tokio::time::sleep(takes).await;
    let answer = answer(state, request).await;
    fake.world().busy[0] -= 1;
    answer
}

async fn answer(State(fake): State<FakeBao>, request: Request) -> Response {
    fake.world().requests += 1;
    let path = request.uri().path().trim_start_matches("/v1/").to_owned();
    let token = request
        .headers()
        .get("x-vault-token")
        .map(|t| t.to_str().unwrap().to_owned());
    if path.starts_with("auth/approle/login") {
        let mut world = fake.world();
        world.logins += 1;
        let token = format!("hvs.token-{}", world.logins);
        world.tokens.insert(token.clone());
        return json_answer(
            200,
            json!({"auth": {"client_token": token, "lease_duration": 3600, "renewable": true}}),
        );
    }
    let denied = || {
        json_answer(
            403,
            json!({"errors": [format!("permission denied {CANARY}")]}),
        )
    };
    let fault = {
        let world = fake.world();
        match token {
            Some(token) if world.tokens.contains(&token) => world.fault,
            _ => return denied(),
        }
    };
    let about = fake.world().about_tokens;
    if let Some((status, ttl)) = about {
        let token = json!({"client_token": "the-same", "lease_duration": ttl, "renewable": true});
        match path.as_str() {
            "auth/token/lookup-self" => {
                return json_answer(status, json!({"data": {"ttl": ttl, "renewable": true}}));
            }
            "auth/token/renew-self" => {
                fake.world().renewals += 1;
                return json_answer(status, json!({ "auth": token }));
            }
            _ => {}
        }
    }
    let (kind, name) = match path.strip_prefix("kv/").and_then(|p| p.split_once('/')) {
        Some((kind, name)) => (kind, name.to_owned()),
        None if path == "sys/internal/ui/mounts" => {
            return json_answer(200, json!({"data": {"secret": {}}}));
        }
        None if path.starts_with("sys/internal/ui/mounts/kv/") => {
            return json_answer(
                200,
                json!({"data": {"path": "kv/", "type": "kv", "options": {"version": "2"}}}),
            );
        }
        None => return denied(),
    };
    match fault {
        Some(Fault::Throttle(after)) => {
            let wait = [("retry-after", after.as_secs().to_string())];
            return (StatusCode::TOO_MANY_REQUESTS, wait, CANARY).into_response();
        }
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::Endless) => {
            let chunk = format!("{CANARY}{}", "x".repeat(1 << 16));
            let body =
                futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
            return Body::from_stream(body).into_response();
        }
        Some(Fault::Redirect) => {
            let to = [("location", format!("{}/v1/{path}", fake.world().elsewhere))];
            return (StatusCode::TEMPORARY_REDIRECT, to).into_response();
        }
        Some(Fault::Garbage) => {
            return (
                StatusCode::BAD_REQUEST,
                format!("\u{1b}]0;{CANARY}\u{7}\r\n\u{9b}2J"),
            )
                .into_response();
        }
        Some(Fault::ExpireAuth) | None => {}
    }
    if name.starts_with("others/") {
        return denied();
    }
    let mut world = fake.world();
    let Some((version, fields)) = world.secrets.get(&name).cloned() else {
        return json_answer(404, json!({"errors": []}));
    };
    let time = format!("2026-11-24T15:00:{version:02}Z");
    match kind {
        "data" => {
            world.reads += 1;
            json_answer(
                200,
                json!({"data": {"data": fields, "metadata": {"version": version, "created_time": time}}}),
            )
        }
        _ => json_answer(
            200,
            json!({"data": {"current_version": version, "versions": {version.to_string(): {"created_time": time, "deletion_time": "", "destroyed": false}}}}),
        ),
    }
}
