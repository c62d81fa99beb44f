//! The fake's routes: each a few lines from a request to the world and back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::events;
use super::exec::{self, Exec, ExecCall};
use super::faults::Fault;
use super::wire::{Answer, Query, Refusal, answer, decode, document, empty};
use super::world::{self, list, string_map, text};
use super::{FakeImage, Shared, lock};
use crate::time::{Time, format_rfc3339};

/// The API versions that the fake speaks, and the one that paths must name.
const API: (&str, &str) = ("1.51", "1.24");
pub(crate) const PREFIX: &str = "/v1.45/";

/// The connection is closed without an answer.
#[derive(Debug)]
pub(crate) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken on purpose")
    }
}

impl std::error::Error for Broken {}

/// Answers one request, as far as faults allow.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    spared: bool,
) -> Result<Answer, Broken> {
    let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
    let Some(path) = path
        .strip_prefix(PREFIX)
        .or((path == "/version").then_some("version"))
    else {
        let message = format!("client version in {path} is not supported");
        return Ok(Refusal(400, message).into());
    };
    let path = path.to_owned();
    let subject = format!("{} /{path}", request.method());
    lock(&shared.requests).push(subject.clone());
    if request.method() != Method::GET {
        shared.world().note(&subject);
    }
    let fault = match spared {
        true => None,
        false => {
            shared.calls.fetch_add(1, Ordering::Relaxed);
            shared.faults.for_request(&subject)
        }
    };
    match fault {
        Some(Fault::Break) => return Err(Broken),
        Some(Fault::Status(status)) => {
            return Ok(Refusal(status, "injected".to_owned()).into());
        }
        Some(Fault::Delay(pause)) => {
            let run = shared.world().run_to_stop(&subject);
            tokio::time::sleep(pause).await;
            if let Some((id, run)) = run {
                shared.world().note_late_stop(&id, run);
            }
        }
        Some(Fault::LoseAnswer | Fault::HalfBody) | None => {}
    }
    let answer = route(&shared, &path, request)
        .await
        .unwrap_or_else(Answer::from);
    match fault {
        Some(Fault::LoseAnswer) => Err(Broken),
        Some(Fault::HalfBody) => halved(answer).await,
        _ => Ok(answer),
    }
}

/// The first half of an answer's body under the length of the whole.
async fn halved(answer: Answer) -> Result<Answer, Broken> {
    let (mut head, body) = answer.into_parts();
    let whole = body.collect().await.map_err(|_| Broken)?.to_bytes();
    head.headers
        .insert(header::CONTENT_LENGTH, whole.len().into());
    let half = whole.slice(..whole.len() / 2);
    let frames = stream::iter([Ok(Frame::data(half)), Err(io::Error::other(Broken))]);
    Ok(Response::from_parts(
        head,
        StreamBody::new(frames).boxed_unsync(),
    ))
}

async fn route(
    shared: &Arc<Shared>,
    path: &str,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let query = Query::parse(query);
    let parts: Vec<String> = path.split('/').map(decode).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let method = request.method().clone();
    match (&method, parts.as_slice()) {
        (&Method::GET, ["version"]) => Ok(document(200, &version())),
        (&Method::GET, ["info"]) => Ok(document(200, &info(shared))),
        (&Method::GET, ["events"]) => Ok(events(shared, &query)),

        (&Method::GET, ["containers", "json"]) => Ok(document(200, &containers(shared, &query))),
        (&Method::POST, ["containers", "create"]) => {
            let asked = body_json(request).await?;
            let name = query.get("name").unwrap_or_default().to_owned();
            let id = shared.world().create(&name, asked)?;
            Ok(document(201, &json!({ "Id": id, "Warnings": [] })))
        }
        (&Method::GET, ["containers", key, "json"]) => {
            let mut world = shared.world();
            let id = world.named(key)?.id.clone();
            Ok(document(
                200,
                &world.container_json(&id).unwrap_or_default(),
            ))
        }
        (&Method::POST, ["containers", key, "start"]) => {
            let id = shared.world().named(key)?.id.clone();
            shared.start(&id)?;
            Ok(empty(204))
        }
        (&Method::POST, ["containers", key, "stop"]) => {
            let id = shared.world().named(key)?.id.clone();
            let stopped = shared.stop(&id, query.seconds("t")).await?;
            Ok(empty(if stopped { 204 } else { 304 }))
        }
        (&Method::POST, ["containers", key, "restart"]) => {
            let id = shared.world().named(key)?.id.clone();
            shared.restart(&id, query.seconds("t")).await?;
            Ok(empty(204))
        }
        (&Method::POST, ["containers", key, "kill"]) => {
            let signal = world::signal_name(query.get("signal").unwrap_or("KILL"));
            let id = running(shared, key, "cannot kill container: ")?;
            shared.signal(&id, &signal);
            Ok(empty(204))
        }
        (&Method::POST, ["containers", key, "rename"]) => {
            shared
                .world()
                .rename(key, query.get("name").unwrap_or_default())?;
            Ok(empty(204))
        }
        (&Method::POST, ["containers", key, "update"]) => {
            let asked = body_json(request).await?;
            let mut world = shared.world();
            let container = world.named(key)?;
            container.policy = world::policy_of(asked.pointer("/RestartPolicy"));
            let id = container.id.clone();
            world.tell(&id, "update", json!({}));
            Ok(document(200, &json!({ "Warnings": [] })))
        }
        (&Method::DELETE, ["containers", key]) => {
            let (id, runs) = shared
                .world()
                .named(key)
                .map(|c| (c.id.clone(), c.runs()))?;
            if runs && !query.is_true("force") {
                let message = format!("cannot remove container \"{key}\": container is running");
                return Err(Refusal(409, message));
            }
            if runs {
                shared.signal(&id, "SIGKILL");
            }
            shared.world().destroy(&id);
            Ok(empty(204))
        }
        (&Method::GET, ["containers", key, "archive"]) => {
            archive(shared, key, query.get("path").unwrap_or_default())
        }
        (&Method::POST, ["containers", key, "exec"]) => create_exec(shared, key, request).await,
        (&Method::POST, ["exec", id, "start"]) => start_exec(shared, id, request).await,
        (&Method::GET, ["exec", id, "json"]) => {
            let world = shared.world();
            let exec = world
                .execs
                .get(*id)
                .ok_or_else(|| Refusal::not_found("exec instance", id))?;
            Ok(document(
                200,
                &json!({ "ID": id, "Running": exec.code.is_none(), "ExitCode": exec.code }),
            ))
        }

        (&Method::GET, ["volumes"]) => {
            let volumes = shared.world().list_volumes(|labels| query.selects(labels));
            Ok(document(
                200,
                &json!({ "Volumes": volumes, "Warnings": null }),
            ))
        }
        (&Method::POST, ["volumes", "create"]) => {
            let asked = body_json(request).await?;
            let name = text(&asked, "/Name");
            let options = string_map(asked.pointer("/DriverOpts"));
            let labels = string_map(asked.pointer("/Labels"));
            let volume = shared.world().create_volume(&name, options, labels);
            let volume = volume.map_err(|e| Refusal(500, e.to_string()))?;
            Ok(document(201, &volume))
        }
        (&Method::GET, ["volumes", name]) => match shared.world().volume(name) {
            Some(volume) => Ok(document(200, &volume)),
            None => Err(Refusal(404, format!("get {name}: no such volume"))),
        },
        (&Method::DELETE, ["volumes", name]) => {
            shared.world().remove_volume(name)?;
            Ok(empty(204))
        }

        (&Method::POST, ["images", "create"]) => import(shared, &query, request).await,
        (&Method::GET, ["images", "json"]) => Ok(document(200, &images(shared, &query))),
        (&Method::GET, ["images", name @ .., "json"]) => image(shared, &name.join("/")),
        (&Method::DELETE, ["images", name @ ..]) => remove_image(shared, &name.join("/")),
        _ => Err(Refusal(404, "page not found".to_owned())),
    }
}

fn version() -> Value {
    json!({
        "Version": "28.5.2-fake", "ApiVersion": API.0, "MinAPIVersion": API.1,
        "Os": "linux", "Arch": "amd64",
    })
}

fn info(shared: &Shared) -> Value {
    let now = shared.world().clock.now();
    json!({
        "ID": "fake", "Name": "fake", "OSType": "linux", "Architecture": "x86_64",
        "DockerRootDir": "/var/lib/docker", "LiveRestoreEnabled": false,
        "SecurityOptions": ["name=seccomp,profile=builtin"],
        "SystemTime": format_rfc3339(Some(now)),
    })
}

fn containers(shared: &Shared, query: &Query) -> Value {
    let world = shared.world();
    let selected = world
        .containers
        .values()
        .filter(|c| query.selects(&c.labels));
    let selected = selected.filter(|c| query.is_true("all") || c.runs());
    selected
        .map(|c| {
            json!({
                "Id": c.id, "Names": [format!("/{}", c.name)], "Image": c.asked["Image"],
                "ImageID": c.image_id, "Labels": c.labels, "State": world::status_word(c.status),
            })
        })
        .collect()
}

fn running(shared: &Shared, key: &str, prefix: &str) -> Result<String, Refusal> {
    let mut world = shared.world();
    let container = world.named(key)?;
    match container.runs() {
        true => Ok(container.id.clone()),
        false => Err(Refusal(
            409,
            format!("{prefix}container {} is not running", container.id),
        )),
    }
}

fn events(shared: &Arc<Shared>, query: &Query) -> Answer {
    let since = query.get("since").and_then(parse_since);
    let (kinds, actions) = (query.filter("type"), query.filter("event"));
    let wanted = move |event: &Value| {
        let (kind, action) = (text(event, "/Type"), text(event, "/Action"));
        // With one of the words that have an outcome behind a colon the engine compares beginnings.
        (kinds.is_empty() || kinds.contains(&kind))
            && (actions.is_empty() || actions.iter().any(|wanted| action.starts_with(wanted)))
    };
    let (remembered, live) = shared.world().listen(since);
    let live = stream::unfold(live, |mut live| async { Some((live.recv().await?, live)) });
    let shared = shared.clone();
    let frames = stream::iter(remembered)
        .chain(live)
        .filter(move |e| std::future::ready(wanted(e)));
    let frames = frames.then(move |event| {
        let fault = shared.faults.for_event(&events::event_subject(&event));
        let (copies, pause) = events::copies(fault);
        async move {
            tokio::time::sleep(pause).await;
            let line = Bytes::from(format!("{event}\n").repeat(copies));
            Ok::<_, io::Error>(Frame::data(line))
        }
    });
    let body = StreamBody::new(frames).boxed_unsync();
    let mut answer = Response::new(body);
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    answer
}

/// Seconds, a dot, nanoseconds.
fn parse_since(text: &str) -> Option<Time> {
    let (seconds, nanos) = text.split_once('.').unwrap_or((text, "0"));
    Some(seconds.parse::<Time>().ok()? * 1_000_000_000 + nanos.parse::<Time>().ok()?)
}

fn archive(shared: &Shared, key: &str, path: &str) -> Result<Answer, Refusal> {
    let mut world = shared.world();
    let container = world.named(key)?;
    let (id, image_id) = (container.id.clone(), container.image_id.clone());
    let file = world
        .images
        .get(&image_id)
        .and_then(|i| i.image.files.get(path).cloned());
    let Some(bytes) = file else {
        let message = format!("Could not find the file {path} in container {id}");
        return Err(Refusal(404, message));
    };
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut tar = tar::Builder::new(Vec::new());
    let tar = tar
        .append_data(&mut header, name, bytes.as_slice())
        .and_then(|()| tar.into_inner());
    let tar = tar.map_err(|e| Refusal(500, e.to_string()))?;
    Ok(answer(200, "application/x-tar", Bytes::from(tar)))
}

async fn create_exec(
    shared: &Arc<Shared>,
    key: &str,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let asked = body_json(request).await?;
    let container = running(shared, key, "")?;
    let mut world = shared.world();
    let id = world.next_id("exec");
    let exec = Exec {
        container: container.clone(),
        argv: list(&asked, "/Cmd").unwrap_or_default(),
        env: list(&asked, "/Env").unwrap_or_default(),
        user: text(&asked, "/User"),
        stdin: asked["AttachStdin"] == Value::Bool(true),
        code: None,
    };
    let action = format!("exec_create: {}", exec.argv.join(" "));
    world.execs.insert(id.clone(), exec);
    world.tell(&container, &action, json!({}));
    Ok(document(201, &json!({ "Id": id })))
}

async fn start_exec(
    shared: &Arc<Shared>,
    id: &str,
    mut request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let connection = hyper::upgrade::on(&mut request);
    // The connection changes hands only once the request has been read to its end.
    body_json(request).await?;
    let (program_side, stream) = exec::pipes();
    let (stderr, stderr_out) = tokio::sync::mpsc::unbounded_channel();
    let (call, ended, has_stdin) = {
        let world = shared.world();
        let missing = || Refusal::not_found("exec instance", id);
        let exec = world.execs.get(id).ok_or_else(missing)?;
        let container = world.containers.get(&exec.container).ok_or_else(missing)?;
        let call = ExecCall {
            id: container.id.clone(),
            container: container.name.clone(),
            argv: exec.argv.clone(),
            env: exec.env.clone(),
            user: exec.user.clone(),
            mounts: container.dirs(),
            stream,
            stderr,
        };
        (call, container.on_end(), exec.stdin)
    };
    let pump = exec::pump(connection, program_side, stderr_out, has_stdin);
    tokio::spawn(exec::run(
        shared.clone(),
        id.to_owned(),
        call,
        ended,
        shared.spawn_connection(pump),
    ));
    let mut answer = empty(101);
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in [(header::CONNECTION, "Upgrade"), (header::UPGRADE, "tcp")] {
        answer
            .headers_mut()
            .insert(name, header::HeaderValue::from_static(value));
    }
    Ok(answer)
}

async fn import(
    shared: &Shared,
    query: &Query,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    if query.get("fromSrc") != Some("-") {
        return Err(Refusal(500, "nothing can be pulled here".to_owned()));
    }
    let tag = format!(
        "{}:{}",
        query.get("repo").unwrap_or_default(),
        query.get("tag").unwrap_or("latest")
    );
    let changes = query.get("changes").unwrap_or_default().to_owned();
    let tar = body(request).await?;
    let mut image = FakeImage {
        // As on a real engine: the digest of the archive as it is.
        layers: vec![format!("sha256:{:x}", Sha256::digest(&tar))],
        ..FakeImage::default()
    };
    for line in changes.lines() {
        change(&mut image, line).ok_or_else(|| Refusal(400, format!("unknown change: {line}")))?;
    }
    let id = shared.world().add_image(&tag, image);
    Ok(document(200, &json!({ "status": id })))
}

/// Applies one line of a Dockerfile.
fn change(image: &mut FakeImage, line: &str) -> Option<()> {
    let (word, rest) = line.split_once(' ')?;
    match word.to_ascii_uppercase().as_str() {
        "ENTRYPOINT" => image.entrypoint = serde_json::from_str(rest).ok()?,
        "CMD" => image.cmd = serde_json::from_str(rest).ok()?,
        "USER" => image.user = rest.to_owned(),
        "STOPSIGNAL" => image.stop_signal = Some(rest.to_owned()),
        "LABEL" => {
            let (key, value) = rest.split_once('=')?;
            image
                .labels
                .insert(key.to_owned(), value.trim_matches('"').to_owned());
        }
        "ENV" | "WORKDIR" | "HEALTHCHECK" => {}
        _ => return None,
    }
    Some(())
}

fn images(shared: &Shared, query: &Query) -> Value {
    let world = shared.world();
    let wanted = query.filter("reference");
    let named = |tag: &String| {
        let name = tag.rsplit_once(':').map_or(tag.as_str(), |(name, _)| name);
        wanted.iter().any(|it| it == name)
    };
    let selected = world.images.values();
    let selected = selected.filter(|i| wanted.is_empty() || i.tags.iter().any(named));
    selected
        .map(|i| {
            json!({
                "Id": i.id, "RepoTags": i.tags, "ParentId": "", "RepoDigests": [], "Created": 0,
                "Size": 0, "SharedSize": -1, "Labels": {}, "Containers": -1,
            })
        })
        .collect()
}

fn image(shared: &Shared, name: &str) -> Result<Answer, Refusal> {
    let world = shared.world();
    let missing = || Refusal(404, format!("No such image: {}", world::full_tag(name)));
    let found = world.image(name).ok_or_else(missing)?;
    let image = &found.image;
    let healthcheck = image.healthcheck.as_ref().map(|h| {
        json!({ "Test": h.test, "Interval": world::nanos(h.interval), "StartPeriod": world::nanos(h.start_period) })
    });
    Ok(document(
        200,
        &json!({
            "Id": found.id, "RepoTags": found.tags, "Os": "linux", "Architecture": "amd64",
            "RootFS": { "Type": "layers", "Layers": image.layers },
            "Config": {
                "User": image.user, "Entrypoint": image.entrypoint, "Cmd": image.cmd,
                "Labels": image.labels, "Healthcheck": healthcheck,
            },
        }),
    ))
}

fn remove_image(shared: &Shared, name: &str) -> Result<Answer, Refusal> {
    let mut world = shared.world();
    let missing = || Refusal(404, format!("No such image: {}", world::full_tag(name)));
    let (id, tags) = world
        .image(name)
        .map(|i| (i.id.clone(), i.tags.len()))
        .ok_or_else(missing)?;
    let by_id = name == id;
    if world.containers.values().any(|c| c.image_id == id) && (by_id || tags <= 1) {
        let message = format!("conflict: unable to remove {name}: it is in use by a container");
        return Err(Refusal(409, message));
    }
    world.untag(&world::full_tag(name));
    if by_id || tags <= 1 {
        world.images.remove(&id);
    }
    Ok(document(200, &json!([{ "Untagged": name }])))
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Refusal> {
    let body = request.into_body().collect().await;
    Ok(body.map_err(|e| Refusal(400, e.to_string()))?.to_bytes())
}

async fn body_json(request: Request<Incoming>) -> Result<Value, Refusal> {
    let bytes = body(request).await?;
    serde_json::from_slice(&bytes).map_err(|e| Refusal(400, e.to_string()))
}
