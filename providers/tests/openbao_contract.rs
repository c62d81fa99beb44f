//! The contract suite over OpenBao's provider, against a server that misbehaves on demand.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/fake_bao.rs"]
mod fake_bao;
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use fake_bao::FakeBao;
use futures_util::future::{BoxFuture, FutureExt};
use locket_crds::reference::SecretRef;
use locket_crds::spec::{AuthSpec, Credential, SourceSpec};
use locket_provider::contract::{CANARY, Case, Fault, Features, Fixture, check};
use locket_provider::{ErrorKind, SecretStore};
use locket_providers::open;
use support::context;
use tempfile::TempDir;

struct Bao {
    fake: FakeBao,
    address: SocketAddr,
    dir: TempDir,
}

impl Bao {
    async fn new() -> Self {
        let (fake, address) = FakeBao::start().await;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret_id"), "sid\n").unwrap();
        Self { fake, address, dir }
    }

    fn source(&self, url: String) -> SourceSpec {
        let secret_id = Credential::File(
            self.dir
                .path()
                .join("secret_id")
                .to_str()
                .unwrap()
                .to_owned(),
        );
        SourceSpec {
            url: Some(url),
            auth: Some(AuthSpec::Approle {
                role_id: "role".to_owned(),
                secret_id,
                mount: None,
            }),
            timeout: Some(Duration::from_millis(800)),
            ..SourceSpec::of_kind("openbao")
        }
    }

    fn open(&self, source: &SourceSpec) -> Arc<dyn SecretStore> {
        open(source, &context()).unwrap_or_else(|e| panic!("{e}"))
    }

    fn set(&self, name: &str, fields: &[(&str, &str)]) -> Vec<SecretRef> {
        let mut world = self.fake.world();
        let secret = world.secrets.entry(format!("shop/{name}")).or_default();
        secret.0 += 1;
        secret.1 = fields
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        fields
            .iter()
            .map(|(field, _)| format!("bao:kv/shop/{name}#{field}").parse().unwrap())
            .collect()
    }
}

impl Fixture for Bao {
    fn features(&self) -> Features {
        // KV holds JSON: bytes that are no text cannot be put there.
        Features {
            binary: false,
            large: true,
            fields: true,
            denies: true,
            changes: true,
            logs_in: true,
            http: true,
        }
    }
    fn cases(&self) -> Vec<Case> {
        use Case::*;
        vec![
            Found,
            NotFound,
            EmptyValue,
            LargeValue,
            Batch,
            SharedRead,
            VersionChanges,
            Denied,
            ExpiredAuth,
            Throttled,
            Timeout,
            EndlessBody,
            PrivateCa,
            Redirect,
            NoValueInErrors,
            ControlCharacters,
        ]
    }
    fn store(&self) -> BoxFuture<'_, Arc<dyn SecretStore>> {
        async { self.open(&self.source(format!("http://{}", self.address))) }.boxed()
    }
    fn put<'a>(&'a self, name: &'a str, value: &'a [u8]) -> BoxFuture<'a, SecretRef> {
        let text = std::str::from_utf8(value).unwrap();
        async move { self.set(name, &[("value", text)]).remove(0) }.boxed()
    }
    fn absent(&self) -> SecretRef {
        "bao:kv/shop/absent#value".parse().unwrap()
    }
    fn denied(&self) -> BoxFuture<'_, SecretRef> {
        self.fake.world().secrets.insert(
            "others/x".to_owned(),
            (1, [("value".to_owned(), CANARY.to_owned())].into()),
        );
        async { "bao:kv/others/x#value".parse().unwrap() }.boxed()
    }
    fn put_fields<'a>(&'a self, fields: &'a [(&'a str, &'a str)]) -> BoxFuture<'a, Vec<SecretRef>> {
        async move { self.set("fields", fields) }.boxed()
    }
    fn reads(&self) -> usize {
        self.fake.world().reads
    }
    fn logins(&self) -> usize {
        self.fake.world().logins
    }
    fn fault(&self, fault: Fault) {
        let mut world = self.fake.world();
        match fault {
            Fault::ExpireAuth => world.tokens.clear(),
            other => world.fault = Some(other),
        }
    }
    fn strayed(&self) -> String {
        self.fake.world().strayed.clone()
    }
    fn token(&self) -> String {
        self.fake.world().tokens.last().cloned().unwrap_or_default()
    }
    fn tls(&self) -> BoxFuture<'_, [Arc<dyn SecretStore>; 2]> {
        async {
            let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            let path = self.dir.path().join("ca.pem");
            std::fs::write(&path, key.cert.pem()).unwrap();
            let config = rustls::ServerConfig::builder_with_provider(
                rustls::crypto::ring::default_provider().into(),
            )
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![key.cert.der().clone()],
                rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der())
                    .unwrap(),
            )
            .unwrap();
            let address = self.fake.start_tls(Arc::new(config)).await;
            let without = self.source(format!("https://localhost:{}", address.port()));
            let with = SourceSpec {
                ca: Some(path.to_str().unwrap().to_owned()),
                ..without.clone()
            };
            [self.open(&with), self.open(&without)]
        }
        .boxed()
    }
}

#[tokio::test]
async fn openbao_keeps_the_contract() {
    check(Bao::new).await;
}

#[tokio::test]
async fn a_missing_right_costs_no_login() {
    let bao = Bao::new().await;
    let refs = [bao.denied().await];
    let store = bao.store().await;
    for _ in 0..3 {
        assert!(store.fetch(&refs).await[0].is_err());
    }
    assert_eq!(bao.logins(), 1);
}

#[tokio::test]
async fn many_callers_log_in_once() {
    let bao = Bao::new().await;
    let refs = bao.set("one", &[("value", "v")]);
    let store = bao.store().await;
    let fetches = (0..20).map(|_| store.fetch(&refs));
    assert!(
        futures_util::future::join_all(fetches)
            .await
            .iter()
            .all(|got| got[0].is_ok())
    );
    bao.fault(Fault::ExpireAuth);
    let fetches = (0..20).map(|_| store.fetch(&refs));
    assert!(
        futures_util::future::join_all(fetches)
            .await
            .iter()
            .all(|got| got[0].is_ok())
    );
    assert_eq!(bao.logins(), 2);
}

/// Accepts, reads and never answers; counts the connections.
async fn black_hole() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, count) = (
        listener.local_addr().unwrap(),
        Arc::<AtomicUsize>::default(),
    );
    let seen = count.clone();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((it, _)) = listener.accept().await {
            seen.fetch_add(1, SeqCst);
            held.push(it);
        }
    });
    (address, count)
}

#[tokio::test]
async fn a_server_that_never_answers_costs_one_timeout_whatever_is_asked() {
    let bao = Bao::new().await;
    let (address, connections) = black_hole().await;
    let store = bao.open(&bao.source(format!("http://{address}")));
    let refs: Vec<SecretRef> = (0..30)
        .map(|n| format!("bao:kv/shop/{n}#value").parse().unwrap())
        .collect();
    let begin = Instant::now();
    let (versions, values, more) = futures_util::join!(
        store.versions(&refs),
        store.fetch(&refs),
        // Another project, which comes while the login is under way.
        async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            store.versions(&refs[..1]).await
        },
    );
    let took = begin.elapsed();
    assert!(took < Duration::from_millis(1200), "{took:?}");
    let kinds = values
        .into_iter()
        .map(|v| v.map(drop))
        .chain(versions.into_iter().chain(more).map(|v| v.map(drop)));
    for answer in kinds {
        assert_eq!(answer.unwrap_err().kind, ErrorKind::Unavailable);
    }
    // For a moment nobody tries again.
    let begin = Instant::now();
    assert!(store.versions(&refs).await.iter().all(Result::is_err));
    assert!(begin.elapsed() < Duration::from_millis(100));
    assert_eq!(connections.load(SeqCst), 1, "one login");
}

#[tokio::test]
async fn a_token_is_renewed_also_after_its_server_was_not_well() {
    let bao = Bao::new().await;
    let refs = bao.set("s", &[("value", "v")]);
    let file = bao.dir.path().join("token");
    std::fs::write(&file, "hvs.fixed\n").unwrap();
    bao.fake.world().tokens.insert("hvs.fixed".to_owned());
    let token = Credential::File(file.to_str().unwrap().to_owned());
    let source = SourceSpec {
        auth: Some(AuthSpec::Token(token)),
        ..bao.source(format!("http://{}", bao.address))
    };
    let store = bao.open(&source);
    let read = async || store.fetch(&refs).await.remove(0).map(drop);
    let renewals = || bao.fake.world().renewals;
    // Sealed as we start: nothing is known of the token, and that is not the same as nothing to know.
    bao.fake.world().about_tokens = Some((503, 3));
    assert_eq!(read().await.unwrap_err().kind, ErrorKind::Unavailable);
    tokio::time::sleep(Duration::from_millis(250)).await;
    bao.fake.world().about_tokens = Some((200, 3));
    read().await.unwrap();
    assert_eq!(renewals(), 0);
    // Not well when it is to be renewed: the token serves as long as it lives.
    bao.fake.world().about_tokens = Some((503, 3));
    tokio::time::sleep(Duration::from_millis(2100)).await;
    read().await.unwrap();
    assert_eq!(renewals(), 1);
    read().await.unwrap();
    assert_eq!(renewals(), 1, "it is not asked each time");
    bao.fake.world().about_tokens = Some((200, 60));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    read().await.unwrap();
    assert_eq!(renewals(), 2);
}

#[tokio::test]
async fn all_projects_together_ask_a_server_for_so_much_at_once_and_no_more() {
    let bao = Bao::new().await;
    let refs: Vec<SecretRef> = (0..20)
        .flat_map(|n| bao.set(&format!("s{n}"), &[("value", "v")]))
        .collect();
    // Each with a login of its own.
    let (one, context) = (bao.source(format!("http://{}", bao.address)), context());
    let stores: Vec<_> = (0..5).map(|_| open(&one, &context).unwrap()).collect();
    for store in &stores {
        assert!(store.fetch(&refs).await.iter().all(Result::is_ok));
    }
    bao.fake.world().takes = Duration::from_millis(5);
    let projects = stores
        .iter()
        .flat_map(|it| [it.fetch(&refs), it.fetch(&refs)]);
    let all = futures_util::future::join_all(projects).await;
    assert!(all.iter().flatten().all(Result::is_ok));
    let most = bao.fake.world().busy[1];
    assert!((8..=16).contains(&most), "{most} at once");
}

#[tokio::test]
async fn who_puts_a_login_right_need_not_wait() {
    let bao = Bao::new().await;
    let refs: Vec<SecretRef> = bao.set("s", &[("value", "v")]);
    let store = bao.store().await;
    let file = bao.dir.path().join("secret_id");
    std::fs::remove_file(&file).unwrap();
    assert!(store.fetch(&refs).await.iter().all(Result::is_err));
    std::fs::write(file, "sid\n").unwrap();
    // As fast as somebody can say `up` again.
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert!(store.fetch(&refs).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn reads_that_hang_cost_one_timeout_and_spoil_no_others() {
    let bao = Bao::new().await;
    let refs: Vec<SecretRef> = (0..30)
        .flat_map(|n| bao.set(&format!("s{n}"), &[("value", "v")]))
        .collect();
    let store = bao.store().await;
    assert!(store.fetch(&refs).await.iter().all(Result::is_ok));
    bao.fault(Fault::Hang);
    let begin = Instant::now();
    assert!(store.versions(&refs).await.iter().all(Result::is_err));
    let took = begin.elapsed();
    assert!(took < Duration::from_millis(1200), "{took:?}");
    bao.fake.world().fault = None;
    assert!(store.fetch(&refs).await.iter().all(Result::is_ok));
    assert_eq!(bao.logins(), 1);
}

#[tokio::test]
async fn a_server_that_wants_to_be_left_alone_is_asked_nothing_more_by_anybody() {
    let bao = Bao::new().await;
    let refs: Vec<SecretRef> = (0..40)
        .flat_map(|n| bao.set(&format!("s{n}"), &[("value", "v")]))
        .collect();
    let store = bao.store().await;
    assert!(store.fetch(&refs).await.iter().all(Result::is_ok));
    let wish = Duration::from_secs(2);
    bao.fault(Fault::Throttle(wish));
    let before = bao.fake.world().requests;
    let begin = Instant::now();
    let throttled =
        |e: &ErrorKind| matches!(e, ErrorKind::Throttled { after: Some(after) } if *after <= wish);
    for _ in 0..3 {
        let versions = store.versions(&refs).await;
        let kinds = versions.into_iter().map(|v| v.unwrap_err().kind);
        assert!(kinds.into_iter().all(|kind| throttled(&kind)));
        let values = store.fetch(&refs).await;
        let kinds = values.into_iter().map(|v| v.map(drop).unwrap_err().kind);
        assert!(kinds.into_iter().all(|kind| throttled(&kind)));
    }
    let asked = bao.fake.world().requests - before;
    assert!(
        asked <= 8,
        "{asked} requests, where only those that were under way may be"
    );
    bao.fake.world().fault = None;
    while store.fetch(&refs[..1]).await[0].is_err() {
        assert!(begin.elapsed() < wish + Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begin.elapsed() >= wish, "it was asked too early");
}

#[tokio::test]
async fn a_login_that_failed_is_tried_again_a_moment_later() {
    let bao = Bao::new().await;
    let refs = bao.set("one", &[("value", "v")]);
    let secret_id = bao.dir.path().join("secret_id");
    std::fs::remove_file(&secret_id).unwrap();
    let store = bao.store().await;
    assert_eq!(
        store.fetch(&refs).await.remove(0).err().unwrap().kind,
        ErrorKind::Unauthenticated
    );
    std::fs::write(&secret_id, "sid").unwrap();
    let begin = Instant::now();
    while store.fetch(&refs).await[0].is_err() {
        assert!(begin.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
