//! The listener: signed hints from outside, and metrics. It is off unless the host configuration asks for it.
//!
//! Whoever reaches it is a stranger. A connection has one request and ten seconds, there is a bounded number of them, and every
//! refusal of a push has the same answer. A push is a hint: its body is signed, so it is read, and then thrown away; all that it
//! can bring about is that a source is asked for versions, once a second at most.

mod guard;
mod serve;
pub(crate) mod signature;
mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use locket_crds::id::SourceName;
use locket_runtime::Trigger;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use self::guard::Guard;
use self::site::Site;
use crate::mutex::lock;
use crate::process::Configure;
use crate::service::Service;

/// Seconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The least time between two rounds of hints: what comes in between is one more.
const PACE: Duration = Duration::from_secs(1);

/// What all connections share.
pub struct Gatekeeper {
    service: Arc<Service>,
    clock: Clock,
    site: watch::Sender<Arc<Site>>,
    guards: Mutex<BTreeMap<SourceName, Guard>>,
    /// Sources that somebody has pushed for, since the last round.
    pushed: Mutex<BTreeSet<SourceName>>,
    news: Notify,
}

impl Gatekeeper {
    fn new(service: Arc<Service>, clock: Clock) -> Self {
        Self {
            service,
            clock,
            site: watch::Sender::default(),
            guards: Mutex::default(),
            pushed: Mutex::default(),
            news: Notify::new(),
        }
    }

    fn site(&self) -> Arc<Site> {
        Arc::clone(&self.site.borrow())
    }

    /// A source may have changed.
    fn push(&self, source: &SourceName) {
        lock(&self.pushed).insert(source.clone());
        self.news.notify_one();
    }

    /// Passes on what was pushed, in rounds: the first push at once, and the last one never lost.
    async fn pass_on(&self) {
        loop {
            self.news.notified().await;
            for source in std::mem::take(&mut *lock(&self.pushed)) {
                let trigger = Trigger::push("a hook was called");
                self.service.hint(None, Some(&source), &trigger);
            }
            tokio::time::sleep(PACE).await;
        }
    }
}

/// A task that ends with this value.
struct Task(JoinHandle<()>);

impl Task {
    fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// See the module.
pub struct Listener {
    gatekeeper: Arc<Gatekeeper>,
    configure: Arc<dyn Configure>,
    open: Option<(SocketAddr, Task)>,
    _rounds: Task,
}

impl Listener {
    /// Listens nowhere yet.
    pub fn new(service: Arc<Service>, configure: Arc<dyn Configure>, clock: Clock) -> Self {
        let gatekeeper = Arc::new(Gatekeeper::new(service, clock));
        let rounds = Arc::clone(&gatekeeper);
        Self {
            gatekeeper,
            configure,
            open: None,
            _rounds: Task::spawn(async move { rounds.pass_on().await }),
        }
    }

    /// Becomes what the host configuration in force asks for. Files are read again each time.
    ///
    /// # Errors
    /// What is wrong, as one clause; then everything stays as it was.
    pub async fn follow(&mut self) -> Result<(), String> {
        let config = self.gatekeeper.service.shared().sources.config();
        let Some(listen) = &config.listen else {
            if self.open.take().is_some() {
                tracing::info!("Does not listen any more");
            }
            return Ok(());
        };
        let site = Site::new(listen, &*self.configure).await?;
        let moves = self
            .open
            .as_ref()
            .is_none_or(|(at, _)| *at != listen.address);
        let bound = match moves {
            true => Some(self.bind(listen.address).await?),
            false => None,
        };
        if bound.is_some() {
            // Nobody is served at one address with what is meant for the other: one of them may be without TLS.
            self.close().await;
        }
        lock(&self.gatekeeper.guards).retain(|name, _| listen.hooks.contains_key(name));
        self.gatekeeper.site.send_replace(Arc::new(site));
        if let Some(bound) = bound {
            self.serve(listen.address, bound);
            tracing::info!(address = %listen.address, "Listens");
        }
        Ok(())
    }

    async fn bind(&mut self, address: SocketAddr) -> Result<TcpListener, String> {
        let failed = |e: std::io::Error| format!("{address} cannot be listened at: {e}");
        let bound = TcpListener::bind(address).await;
        let before = self.open.as_ref().map(|(before, _)| *before);
        // The port may be our own, at another address.
        let Some(before) = before.filter(|it| it.port() == address.port() && bound.is_err()) else {
            return bound.map_err(failed);
        };
        self.close().await;
        let bound = TcpListener::bind(address).await;
        if bound.is_err() {
            self.serve(before, TcpListener::bind(before).await.map_err(failed)?);
        }
        bound.map_err(failed)
    }

    async fn close(&mut self) {
        if let Some((_, mut task)) = self.open.take() {
            task.0.abort();
            // The socket is closed when the task has gone.
            let _ = (&mut task.0).await;
        }
    }

    fn serve(&mut self, address: SocketAddr, listener: TcpListener) {
        let task = Task::spawn(serve::accept(listener, Arc::clone(&self.gatekeeper)));
        self.open = Some((address, task));
    }
}

#[cfg(test)]
mod tests;
