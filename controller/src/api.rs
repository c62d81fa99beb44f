//! The API over HTTP, on a Unix socket: [`Service`] as it is, one route a question.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::StreamExt as _;
use locket_crds::api::{self, Progress};
use locket_crds::id::{ProjectName, ServiceName, SourceName};
use locket_crds::spec::ProjectSpec;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::access::Error;
use crate::service::Service;

/// The query of `GET /v1/events`.
#[derive(Debug, Deserialize)]
pub struct EventsQuery {
    /// Of one project.
    pub project: Option<ProjectName>,
    /// After this number.
    #[serde(default)]
    pub after: u64,
    /// Seconds to wait for one, at most a minute.
    #[serde(default)]
    pub wait: u64,
}

impl EventsQuery {
    /// As it is written in a URL; compose's names need no escape.
    pub fn text(&self) -> String {
        let project = self
            .project
            .as_ref()
            .map(|p| format!("project={p}&"))
            .unwrap_or_default();
        format!("{project}after={}&wait={}", self.after, self.wait)
    }
}

/// The query of `POST /v1/projects/<project>/apply`.
#[derive(Debug, Deserialize)]
pub struct ApplyQuery {
    /// Seconds.
    pub timeout: u64,
}

/// The body of `POST /v1/refresh`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RefreshRequest {
    /// `None`: all.
    pub project: Option<ProjectName>,
    /// `None`: all.
    pub source: Option<SourceName>,
}

#[derive(Debug, Deserialize)]
struct StatusQuery {
    project: Option<ProjectName>,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match self.reason.as_str() {
            "NotFound" => StatusCode::NOT_FOUND,
            "Conflict" => StatusCode::CONFLICT,
            "Internal" => StatusCode::INTERNAL_SERVER_ERROR,
            "Unavailable" | "Timeout" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        (status, Json(failure(self))).into_response()
    }
}

fn failure(e: Error) -> api::Failure {
    let cause = e
        .source
        .as_deref()
        .map(|s| format!(": {}", crate::resolve::chain(s)))
        .unwrap_or_default();
    api::Failure {
        reason: e.reason,
        message: format!("{}{cause}", e.message),
        hints: e.hints,
    }
}

/// Bytes of the largest request: a spec with all the templates that a project may have.
const BODY: usize = 64 << 20;

/// What `GET /v1/version` says besides who answers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Settings {
    /// Seconds that a gate waits when the compose file does not say.
    #[serde(default)]
    pub gate_timeout: Option<u64>,
    /// Why the listener is not as configured.
    #[serde(default)]
    pub listener_problem: Option<String>,
}

#[derive(Serialize)]
struct Version {
    #[serde(flatten)]
    answerer: api::Answerer,
    #[serde(flatten)]
    settings: Settings,
}

type Held = State<Arc<Service>>;

/// All routes.
pub fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route(
            "/v1/version",
            get(async |State(it): Held| Json(version(&it))),
        )
        .route(
            "/v1/health",
            get(async |State(it): Held| it.health().await.map(Json)),
        )
        .route("/v1/status", get(status))
        .route("/v1/events", get(events))
        .route("/v1/refresh", post(refresh))
        .route("/v1/projects/{project}/explain/{service}", get(explain))
        .route("/v1/projects/{project}/plan", post(plan))
        .route("/v1/projects/{project}/apply", post(apply))
        .route("/v1/projects/{project}/compose-env", post(compose_env))
        .route("/v1/projects/{project}/release", post(release))
        .route(
            "/v1/projects/{project}/pause",
            post(async |State(it): Held, Path(p): Path<ProjectName>| {
                it.pause(&p, true).await.map(Json)
            }),
        )
        .route(
            "/v1/projects/{project}/resume",
            post(async |State(it): Held, Path(p): Path<ProjectName>| {
                it.pause(&p, false).await.map(Json)
            }),
        )
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(service)
}

fn version(it: &Service) -> Version {
    let gate = it.shared().sources.config().timeouts.gate;
    Version {
        answerer: it.answerer(),
        settings: Settings {
            gate_timeout: Some(gate.as_secs()),
            listener_problem: it.listener_problem(),
        },
    }
}

async fn status(
    State(it): Held,
    Query(query): Query<StatusQuery>,
) -> Result<Json<api::Status>, Error> {
    it.status(query.project.as_ref()).await.map(Json)
}

async fn events(
    State(it): Held,
    Query(query): Query<EventsQuery>,
) -> Result<Json<Vec<api::Event>>, Error> {
    it.events(
        query.project.as_ref(),
        query.after,
        Duration::from_secs(query.wait.min(60)),
    )
    .await
    .map(Json)
}

async fn explain(
    State(it): Held,
    Path((project, service)): Path<(ProjectName, ServiceName)>,
) -> Result<Json<api::Explain>, Error> {
    it.explain(&project, &service).await.map(Json)
}

async fn plan(
    State(it): Held,
    Path(project): Path<ProjectName>,
    Json(spec): Json<Option<ProjectSpec>>,
) -> Result<Json<api::PlanView>, Error> {
    it.plan(&project, spec).await.map(Json)
}

async fn refresh(State(it): Held, Json(request): Json<RefreshRequest>) -> Result<Json<()>, Error> {
    it.refresh(request.project.as_ref(), request.source.as_ref())
        .await
        .map(Json)
}

async fn release(State(it): Held, Path(project): Path<ProjectName>) -> Result<Json<()>, Error> {
    it.release(&project).await.map(Json)
}

/// The whole answer is a stream of progress; the gate is open as long as somebody reads it.
async fn apply(
    State(it): Held,
    Path(project): Path<ProjectName>,
    Query(query): Query<ApplyQuery>,
    Json(request): Json<api::ApplyRequest>,
) -> Response {
    let (lines, read) = mpsc::unbounded_channel::<Progress>();
    let work = async move {
        let said = lines.clone();
        let mut told = move |progress| drop(said.send(progress));
        let end = it
            .apply(
                &project,
                request,
                Duration::from_secs(query.timeout),
                &mut told,
            )
            .await;
        let last = match end {
            Ok(applied) => Progress::Done(applied),
            Err(e) => Progress::Failed(failure(e)),
        };
        drop(lines.send(last));
    };
    let progress =
        futures_util::stream::unfold(read, async |mut read| Some((read.recv().await?, read)));
    // The work is part of the body: whoever stops reading ends it.
    let work = futures_util::stream::once(work).filter_map(async |()| None::<Progress>);
    let both = futures_util::stream::select(progress, work);
    let body = both.map(|line| {
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.push(b'\n');
        Ok::<_, std::convert::Infallible>(Bytes::from(bytes))
    });
    (
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(body),
    )
        .into_response()
}

/// `KEY=value` and a NUL, each: the only answer of the API with values in it, for `setenv`.
async fn compose_env(
    State(it): Held,
    Path(project): Path<ProjectName>,
    Json(spec): Json<ProjectSpec>,
) -> Result<Vec<u8>, Error> {
    // Grants are decided by the project's name, so it must be the one that is meant.
    if spec.project != project {
        return Err(Error::new("Invalid", "the spec is another project's"));
    }
    let mut out = Vec::new();
    for (key, value) in it.compose_env(spec).await? {
        out.extend_from_slice(key.as_bytes());
        out.push(b'=');
        out.extend_from_slice(&value);
        out.push(0);
    }
    Ok(out)
}

/// Reads what [`compose_env`] writes.
pub fn split_env(bytes: &[u8]) -> Vec<(String, Zeroizing<Vec<u8>>)> {
    let one = |entry: &[u8]| {
        let at = entry.iter().position(|b| *b == b'=')?;
        Some((
            String::from_utf8(entry[..at].to_vec()).ok()?,
            Zeroizing::new(entry[at + 1..].to_vec()),
        ))
    };
    bytes.split(|b| *b == 0).filter_map(one).collect()
}
