//! The listener in front of a controller in a fake world.

mod follow;
mod page;
mod push;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use hmac::{Hmac, Mac as _};
use locket_crds::config::HostConfig;
use locket_crds::spec::Credential;
use locket_engine::fake::App;
use locket_provider::SecretValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::{Instant, sleep};

use super::*;
use crate::fake::World;
use crate::metrics::scrape;

const COMPOSE: &str = r#"
x-locket:
  defaults: { settle: 0s, restart_every: 0s, refresh: 6h }
  secrets: { key: local:key, other: local:other }
services:
  locket: { provider: { type: locket } }
  api: { image: app, depends_on: [locket], x-locket: [key, other] }
"#;
const LISTEN: &str = "listen: { address: '127.0.0.1:9480', metrics: true, hooks: { local: { secret: { file: /hook } }, gh: { secret: { file: /hook }, signature: github } } }";
const SECRET: &[u8] = b"sixteen-bytes-or-more";
const NOW: u64 = 1_700_000_000;

/// Files that a configuration names.
#[derive(Default)]
struct Files(Mutex<BTreeMap<String, Vec<u8>>>);

impl Configure for Files {
    fn load(&self) -> BoxFuture<'_, Result<HostConfig, String>> {
        async { Err("nothing is loaded here".to_owned()) }.boxed()
    }
    fn read<'a>(
        &'a self,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<SecretValue, String>> {
        async move {
            let Credential::File(path) = credential else {
                return Err("no variables here".to_owned());
            };
            let bytes = lock(&self.0).get(path).cloned();
            bytes
                .map(SecretValue::new)
                .ok_or("there is no such file".to_owned())
        }
        .boxed()
    }
    fn changes(&self) -> BoxStream<'static, bool> {
        // Somebody sets secrets all the time.
        let change = async |()| {
            sleep(Duration::from_secs(5)).await;
            Some((false, ()))
        };
        futures_util::stream::unfold((), change).boxed()
    }
}

/// A world with a listener, which is reached without a network.
struct Desk {
    world: World,
    files: Arc<Files>,
    clock: Arc<AtomicU64>,
    listener: Listener,
}

impl Desk {
    async fn new(config: &str) -> Self {
        let world = World::new(COMPOSE).await;
        let files = Arc::new(Files::default());
        lock(&files.0).insert("/hook".into(), [SECRET, b"\n"].concat());
        let clock = Arc::new(AtomicU64::new(NOW));
        let now = Arc::clone(&clock);
        let listener = Listener::new(
            world.service(),
            Arc::clone(&files) as _,
            Arc::new(move || now.load(Relaxed)),
        );
        let it = Self {
            world,
            files,
            clock,
            listener,
        };
        it.configure(config);
        let config = it.world.service().shared().sources.config();
        if let Some(listen) = &config.listen {
            let site = Site::new(listen, &*it.files).await.unwrap();
            it.listener.gatekeeper.site.send_replace(Arc::new(site));
        }
        it
    }

    async fn up() -> Self {
        let it = Self::new(LISTEN).await;
        it.world.backend.set("key", "one");
        it.world.backend.set("other", "o");
        it.world.app(&["key", "other"], App::default());
        it.world.up().await.unwrap();
        it.world.ready().await;
        it
    }

    fn configure(&self, text: &str) {
        let config = HostConfig::parse("locket.yaml", text).unwrap();
        let service = self.world.service();
        service.shared().sources.reconfigure(Arc::new(config));
    }

    fn connect(&self) -> DuplexStream {
        let (near, far) = duplex(256 << 10);
        let gatekeeper = Arc::clone(&self.listener.gatekeeper);
        tokio::spawn(async move { serve::connection(far, &gatekeeper).await });
        near
    }

    /// Sends bytes, and gives all of the answer.
    async fn ask(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// The status of a push.
    async fn post(&self, source: &str, header: &str, body: &str) -> u16 {
        let length = body.len();
        let request = format!(
            "POST /v1/hooks/{source} HTTP/1.1\r\nhost: x\r\n{header}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        status(&self.ask(request.as_bytes()).await)
    }

    async fn get(&self, path: &str, header: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{header}\r\n");
        self.ask(request.as_bytes()).await
    }

    /// A metric, summed over all series with this text in them.
    fn sum(&self, name: &str, with: &str) -> f64 {
        let text = scrape::text(&self.world.service());
        let series = text
            .lines()
            .filter(|l| l.starts_with(name) && l.contains(with));
        series
            .map(|l| l.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
            .sum()
    }

    /// Versions that the backend was asked for.
    fn asked(&self) -> f64 {
        self.sum("locket_versions_total", "from=\"backend\"")
    }

    fn pushes(&self, outcome: &str) -> f64 {
        self.sum("locket_hooks_total", &format!("outcome=\"{outcome}\""))
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn sign(content: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET).unwrap();
    mac.update(content.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn signed(at: u64, body: &str) -> String {
    format!(
        "x-locket-signature: t={at},v1={}",
        sign(&format!("{at}.{body}"))
    )
}
