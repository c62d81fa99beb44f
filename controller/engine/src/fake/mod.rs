//! A model of an engine: its HTTP API over memory pipes, behind the real client.
//!
//! [`Fake`] holds containers, volumes, images and events, and behaves as Docker Engine 28 does
//! wherever this crate looks: the checks in `tests/it` run against both.
//! A container's process is a [`Program`], mostly an [`App`]; programs run by `exec` are a function
//! of the test's ([`Fake::on_exec`]). A volume is a directory on this machine; a tmpfs volume's is
//! emptied when the last container that uses it ends.
//!
//! It must be made and used inside a tokio runtime, whose clock it follows: under `start_paused`
//! a grace period of an hour passes at once.

#![allow(
    clippy::disallowed_methods,
    reason = "for tests: volumes are directories, and the clock has to begin somewhere"
)]

mod app;
mod events;
mod exec;
mod faults;
mod routes;
mod volumes;
mod wire;
mod world;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{AbortHandle, JoinHandle};

pub use app::{App, AppView, Boot, Check, Judge, Process, Program, Verdict};
pub use exec::{ExecCall, ExecHandler};
pub use faults::{EventFault, Fault, Faults};

use crate::connect::{Connector, Endpoint, Io};
use crate::containers::{Healthcheck, Status};
use crate::{Engine, Result};
use world::World;

/// Room in a pipe between client and fake: more than any answer of a test, so that neither side
/// waits for the other.
const PIPE: usize = 1 << 20;

/// A fake engine. Clones are the same engine.
#[derive(Clone)]
pub struct Fake {
    shared: Arc<Shared>,
    spared: bool,
}

pub(crate) struct Shared {
    world: Mutex<World>,
    faults: Faults,
    exec: Mutex<Option<ExecHandler>>,
    up: AtomicBool,
    connections: Mutex<Vec<AbortHandle>>,
    requests: Mutex<Vec<String>>,
    calls: AtomicUsize,
}

/// What [`Fake::glance`] finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// Its id.
    pub id: String,
    /// Its state.
    pub status: Status,
    /// What has stopped it was a delayed request, meant for an earlier run. Nobody can tell that from a user's stop.
    pub stopped_late: bool,
}

/// An image of the fake engine. `Default` is one without any settings.
#[derive(Debug, Clone, Default)]
pub struct FakeImage {
    /// `sha256:…`; empty: one layer named after the tag.
    pub layers: Vec<String>,
    /// `USER`.
    pub user: String,
    /// The entrypoint.
    pub entrypoint: Vec<String>,
    /// The command.
    pub cmd: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The healthcheck. Its program is not run: the container's [`Process::set_health`] decides.
    pub healthcheck: Option<Healthcheck>,
    /// The stop signal.
    pub stop_signal: Option<String>,
    /// What reading a file of a container finds, by absolute path.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Default for Fake {
    fn default() -> Self {
        Self::new()
    }
}

impl Fake {
    /// An empty engine. Its volumes live in a temporary directory that goes with it.
    pub fn new() -> Self {
        Fake {
            shared: Arc::new(Shared {
                world: Mutex::new(World::new()),
                faults: Faults::default(),
                exec: Mutex::new(None),
                up: AtomicBool::new(true),
                connections: Mutex::default(),
                requests: Mutex::default(),
                calls: AtomicUsize::new(0),
            }),
            spared: false,
        }
    }

    /// The same engine, for a client whose requests no fault meets: those of the test itself.
    pub fn spared(&self) -> Self {
        Self {
            spared: true,
            ..self.clone()
        }
    }

    /// Where it is, for [`Engine::connect`].
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::Custom(Arc::new(self.clone()))
    }

    /// A client for it.
    pub async fn connect(&self) -> Result<Engine> {
        Engine::connect(self.endpoint()).await
    }

    /// Puts an image there, as `name:tag` or `name` (`:latest`).
    pub fn add_image(&self, tag: &str, image: FakeImage) {
        self.shared.world().add_image(tag, image);
    }

    /// Says what containers of an image run from their next start on. Without one they run
    /// [`App::default`].
    pub fn set_program(&self, tag: &str, program: Program) {
        self.shared
            .world()
            .programs
            .insert(world::full_tag(tag), program);
    }

    /// Says what execs do. Without one every exec ends with 127, as if the program were missing.
    pub fn on_exec(&self, handler: ExecHandler) {
        *lock(&self.shared.exec) = Some(handler);
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Ends the engine: every container is killed, tmpfs volumes are emptied, connections break,
    /// and new ones are refused.
    pub fn go_down(&self) {
        self.shared.up.store(false, Ordering::SeqCst);
        self.break_connections();
        self.shared.world().power_off();
    }

    /// Starts the engine again, and with it the containers whose restart policy says so.
    pub fn come_up(&self) {
        self.shared.up.store(true, Ordering::SeqCst);
        // In a statement of its own: each start takes the lock.
        let to_boot = self.shared.world().to_boot();
        for id in to_boot {
            // A container that cannot be started stays as it is, as on a real engine.
            let _ = self.shared.start(&id);
        }
    }

    /// Ends and starts the engine.
    pub fn restart_engine(&self) {
        self.go_down();
        self.come_up();
    }

    /// `docker rmi --force`: the image is gone, and the containers that were made of it stay.
    pub fn lose_image(&self, tag: &str) {
        let mut world = self.shared.world();
        let id = world.image(tag).map(|it| it.id.clone());
        if let Some(id) = id {
            world.images.remove(&id);
        }
    }

    /// Breaks every open connection, event streams and execs included; new ones are served.
    pub fn break_connections(&self) {
        for connection in lock(&self.shared.connections).drain(..) {
            connection.abort();
        }
        self.shared.world().drop_listeners();
    }

    /// Breaks the open event streams only.
    pub fn break_event_streams(&self) {
        self.shared.world().drop_listeners();
    }

    /// Moves the engine's clock: so much ahead (or behind) of where it would be without.
    pub fn set_clock_offset(&self, nanos: i64) {
        self.shared.world().clock.set_offset(nanos);
    }

    /// The engine's clock.
    pub fn now(&self) -> crate::Time {
        self.shared.world().clock.now()
    }

    /// Time since the engine's machine was started, nanoseconds; the offset is not in it.
    pub fn uptime(&self) -> crate::Time {
        self.shared.world().clock.uptime()
    }

    /// The directory that is a volume's content.
    pub fn volume_dir(&self, name: &str) -> Option<PathBuf> {
        self.shared.world().volumes.get(name).map(|v| v.dir.clone())
    }

    /// Sends the process of a container a signal (`SIGHUP`) from inside of it: the engine hears nothing of that.
    pub fn signal_from_inside(&self, container: &str, signal: &str) -> bool {
        let mut world = self.shared.world();
        let id = world.find(container);
        id.is_some_and(|id| world.signal_from_inside(&id, signal))
    }

    /// What the [`App`] in a container has seen and done, by the container's name or id.
    pub fn view(&self, container: &str) -> Option<AppView> {
        let world = self.shared.world();
        let id = world.find(container)?;
        world.containers.get(&id).map(|c| c.view.clone())
    }

    /// A container's process ends by itself, now, with this code.
    pub fn crash(&self, container: &str, code: i64) {
        let id = self.shared.world().find(container);
        if let Some(id) = id {
            self.shared.end(&id, None, code);
        }
    }

    /// A request of another client, such as compose's, for what [`Engine`] does not do itself: `POST`, `containers/x/restart`.
    /// Answers the status.
    pub async fn request(&self, method: &str, path: &str) -> io::Result<u16> {
        let mut connection = Connector::connect(&self.spared()).await?;
        let head = format!(
            "{method} {}{path} HTTP/1.1\r\nhost: engine\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            routes::PREFIX
        );
        connection.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await?;
        let head = String::from_utf8_lossy(&answer);
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        status.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Every request so far, as `METHOD /path?query` without the version.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.shared.requests).clone()
    }

    /// What was asked that changes something, and what happened, in their order: seconds since the engine's first start, and
    /// the request or `> TYPE ACTION NAME`.
    pub fn journal(&self) -> Vec<String> {
        self.shared.world().journal.clone()
    }

    /// A container as the engine knows it, without a request.
    pub fn glance(&self, container: &str) -> Option<Glance> {
        self.shared.world().glance(container)
    }

    /// Writes into the journal what a test does.
    pub fn note(&self, what: &str) {
        self.shared.world().note(what);
    }

    /// Forgets both, so that a long run does not end in a long list.
    pub fn forget_requests(&self) {
        *lock(&self.shared.requests) = Vec::new();
        self.shared.world().journal = Vec::new();
    }

    /// How many requests there were, of all clients that faults can meet.
    pub fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// Tells listeners of a container's event, and nothing else has happened: what an engine says of an act that is none here.
    pub fn tell(&self, container: &str, action: &str) {
        let mut world = self.shared.world();
        if let Some(id) = world.find(container) {
            world.tell(&id, action, serde_json::json!({}));
        }
    }
}

impl Connector for Fake {
    fn connect(&self) -> BoxFuture<'static, io::Result<Box<dyn Io>>> {
        let (shared, spared) = (self.shared.clone(), self.spared);
        async move {
            if !shared.up.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (client, server) = tokio::io::duplex(PIPE);
            let served = shared.clone();
            drop(shared.spawn_connection(async move {
                let service =
                    service_fn(move |request| routes::serve(served.clone(), request, spared));
                // How a connection ends is the client's business.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(server), service)
                    .with_upgrades()
                    .await;
            }));
            Ok(Box::new(client) as Box<dyn Io>)
        }
        .boxed()
    }
}

impl Shared {
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// Serves a connection until it ends or is broken.
    fn spawn_connection(&self, serve: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let task = tokio::spawn(serve);
        let mut connections = lock(&self.connections);
        connections.retain(|connection| !connection.is_finished());
        connections.push(task.abort_handle());
        task
    }

    /// Starts a container and its process.
    fn start(self: &Arc<Self>, id: &str) -> std::result::Result<(), wire::Refusal> {
        let mut world = self.world();
        let (program, process, incarnation) = world.begin(id, self)?;
        let (shared, ended) = (self.clone(), id.to_owned());
        let task = tokio::spawn(async move {
            let code = program(process).await;
            shared.end(&ended, Some(incarnation), code);
        });
        world.attach(id, task.abort_handle());
        Ok(())
    }

    /// Ends a container's process (only that incarnation, if one is named), and starts it again
    /// later if its policy says so.
    fn end(self: &Arc<Self>, id: &str, incarnation: Option<u64>, code: i64) {
        let Some(again_in) = self.world().finish(id, incarnation, code) else {
            return;
        };
        let (shared, id) = (Arc::downgrade(self), id.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(again_in).await;
            let Some(shared) = shared.upgrade() else {
                return;
            };
            if shared.world().is_restarting(&id) {
                let _ = shared.start(&id);
            }
        });
    }

    /// Stops a container: its signal, then after the grace period the hard way.
    async fn stop(
        self: &Arc<Self>,
        id: &str,
        grace: Option<Duration>,
    ) -> std::result::Result<bool, wire::Refusal> {
        let Some((mut ended, signal, own_grace)) = self.world().ask_to_stop(id)? else {
            return Ok(false);
        };
        self.signal(id, &signal);
        let grace = grace.unwrap_or(own_grace);
        if tokio::time::timeout(grace, ended.changed()).await.is_err() {
            self.signal(id, "SIGKILL");
        }
        self.world().note_stopped(id);
        Ok(true)
    }

    /// Stops and starts a container; one that does not run is started.
    async fn restart(
        self: &Arc<Self>,
        id: &str,
        grace: Option<Duration>,
    ) -> std::result::Result<(), wire::Refusal> {
        self.stop(id, grace).await?;
        self.start(id)?;
        self.world().tell(id, "restart", serde_json::json!({}));
        Ok(())
    }

    /// Delivers a signal to a running process.
    fn signal(self: &Arc<Self>, id: &str, signal: &str) {
        self.world().note_signal(id, signal);
        if signal == "SIGKILL" {
            self.end(id, None, 137);
        }
    }
}

/// The path on this machine of a path in a container under one of these mounts.
fn path_in(mounts: &BTreeMap<String, PathBuf>, path: &str) -> Option<PathBuf> {
    let under = |target: &str| -> Option<String> {
        let rest = path.strip_prefix(target)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_start_matches('/').to_owned())
    };
    let mounts = mounts
        .iter()
        .filter_map(|(t, dir)| Some((t.len(), dir, under(t)?)));
    let (_, dir, rest) = mounts.max_by_key(|(len, ..)| *len)?;
    Some(if rest.is_empty() {
        dir.clone()
    } else {
        dir.join(rest)
    })
}

/// A lock whose data is whole between any two statements, so that a panic elsewhere is no harm.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
