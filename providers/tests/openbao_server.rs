//! The provider against a real OpenBao server. `make setup` installs it; `LOCKET_TEST_BAO` names another one.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use locket_crds::reference::SecretRef;
use locket_crds::spec::{AuthSpec, Credential, SourceSpec};
use locket_provider::{ErrorKind, SecretStore};
use locket_providers::open;
use support::context;
use tempfile::TempDir;

const ROOT: &str = "root-token";

/// A server of its own for one test, in memory, on a free loopback port.
struct Server {
    process: Child,
    binary: PathBuf,
    url: String,
    dir: TempDir,
}

impl Server {
    fn start() -> Self {
        let binary = std::env::var_os("LOCKET_TEST_BAO")
            .map_or_else(|| PathBuf::from("/var/cache/locket-e2e/bao"), PathBuf::from);
        assert!(
            binary.exists(),
            "no OpenBao server at {}: run `make setup`, or set LOCKET_TEST_BAO",
            binary.display()
        );
        let dir = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let process = Command::new(&binary)
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT}"))
            .arg(format!("-dev-listen-address={address}"))
            .env("HOME", dir.path())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let it = Self {
            process,
            binary,
            url: format!("http://{address}"),
            dir,
        };
        let begin = Instant::now();
        while !it.try_bao(&["status"]) {
            assert!(
                begin.elapsed() < Duration::from_secs(30),
                "{}",
                std::fs::read_to_string(it.dir.path().join("log")).unwrap()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        it
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(args)
            .env("BAO_ADDR", &self.url)
            .env("BAO_TOKEN", ROOT)
            .env("HOME", self.dir.path())
            .stdin(Stdio::null());
        command
    }

    fn try_bao(&self, args: &[&str]) -> bool {
        self.command(args).output().unwrap().status.success()
    }

    fn bao(&self, args: &[&str]) -> String {
        let out = self.command(args).output().unwrap();
        assert!(
            out.status.success(),
            "bao {args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    fn policy(&self, name: &str, rules: &str) {
        let file = self.write("policy.hcl", rules);
        self.bao(&["policy", "write", name, file.to_str().unwrap()]);
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn with_token(&self, token: &str) -> Arc<dyn SecretStore> {
        let file = self.write(&format!("token-{}", token.len()), &format!("{token}\n"));
        self.open(AuthSpec::Token(credential(&file)), None)
    }

    fn open(&self, auth: AuthSpec, namespace: Option<&str>) -> Arc<dyn SecretStore> {
        let source = SourceSpec {
            url: Some(self.url.clone()),
            auth: Some(auth),
            namespace: namespace.map(str::to_owned),
            ..SourceSpec::of_kind("openbao")
        };
        open(&source, &context()).unwrap_or_else(|e| panic!("{e}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn credential(path: &Path) -> Credential {
    Credential::File(path.to_str().unwrap().to_owned())
}

fn reference(text: &str) -> SecretRef {
    text.parse().unwrap()
}

async fn get(store: &dyn SecretStore, text: &str) -> Result<String, ErrorKind> {
    let mut got = store.fetch(&[reference(text)]).await;
    let got = got.remove(0).map_err(|e| e.kind)?;
    Ok(String::from_utf8(got.value.expose().to_vec()).unwrap())
}

async fn version(store: &dyn SecretStore, text: &str) -> Result<String, ErrorKind> {
    store
        .versions(&[reference(text)])
        .await
        .remove(0)
        .map(|v| v.0)
        .map_err(|e| e.kind)
}

#[tokio::test]
async fn both_versions_of_kv_are_found_at_any_depth() {
    let s = Server::start();
    s.bao(&["secrets", "enable", "-path=team/a/kv", "-version=2", "kv"]);
    s.bao(&["secrets", "enable", "-path=old", "-version=1", "kv"]);
    s.bao(&[
        "kv",
        "put",
        "-mount=team/a/kv",
        "shop/db",
        "password=p1",
        "user=app",
        "empty=",
    ]);
    s.bao(&["kv", "put", "-mount=old", "deep/er", "password=one"]);
    let store = s.with_token(ROOT);
    let two = "bao:team/a/kv/shop/db#password";
    assert_eq!(get(&*store, two).await.unwrap(), "p1");
    assert_eq!(
        get(&*store, "bao:team/a/kv/shop/db#empty").await.unwrap(),
        ""
    );
    assert_eq!(
        get(&*store, "bao:old/deep/er#password").await.unwrap(),
        "one"
    );
    for (text, kind) in [
        ("bao:team/a/kv/shop/db#nothing", ErrorKind::NotFound),
        ("bao:team/a/kv/shop/none#password", ErrorKind::NotFound),
        ("bao:old/none#password", ErrorKind::NotFound),
        ("bao:nomount/x#y", ErrorKind::NotFound),
        ("bao:team/a/kv/shop/db", ErrorKind::Invalid),
        ("bao:sys/health#x", ErrorKind::Invalid),
    ] {
        assert_eq!(get(&*store, text).await, Err(kind), "{text}");
    }
    let (v2, v1) = (
        version(&*store, two).await.unwrap(),
        version(&*store, "bao:old/deep/er#password").await.unwrap(),
    );
    assert!(v2.starts_with("1@"), "{v2}");
    s.bao(&["kv", "put", "-mount=team/a/kv", "shop/db", "password=p2"]);
    s.bao(&[
        "kv",
        "put",
        "-mount=old",
        "deep/er",
        "password=two",
        "other=x",
    ]);
    assert!(version(&*store, two).await.unwrap().starts_with("2@"));
    assert_ne!(
        version(&*store, "bao:old/deep/er#password").await.unwrap(),
        v1
    );
    let fetched = store.fetch(&[reference(two)]).await.remove(0).ok().unwrap();
    assert_eq!(
        version(&*store, two).await.unwrap(),
        fetched.version.0,
        "probe and fetch agree"
    );

    // Deleted is not found, however it is asked.
    s.bao(&["kv", "delete", "-mount=team/a/kv", "shop/db"]);
    assert_eq!(get(&*store, two).await, Err(ErrorKind::NotFound));
    assert_eq!(version(&*store, two).await, Err(ErrorKind::NotFound));
    s.bao(&["write", "team/a/kv/undelete/shop/db", "versions=2"]);
    assert_eq!(get(&*store, two).await.unwrap(), "p2");

    // A mount that is made anew as the other version is noticed.
    s.bao(&["secrets", "disable", "old"]);
    s.bao(&["secrets", "enable", "-path=old", "-version=2", "kv"]);
    s.bao(&["kv", "put", "-mount=old", "deep/er", "password=three"]);
    let _ = get(&*store, "bao:old/deep/er#password").await;
    assert_eq!(
        get(&*store, "bao:old/deep/er#password").await.unwrap(),
        "three"
    );
}

#[tokio::test]
async fn a_policy_for_the_data_alone_is_enough() {
    let s = Server::start();
    s.bao(&["kv", "put", "-mount=secret", "shop/db", "password=p"]);
    s.bao(&["kv", "put", "-mount=secret", "bank/db", "password=canary"]);
    s.policy(
        "shop",
        r#"path "secret/data/shop/*" { capabilities = ["read"] }"#,
    );
    let token = s.bao(&[
        "token",
        "create",
        "-policy=shop",
        "-no-default-policy",
        "-field=token",
    ]);
    let store = s.with_token(&token);
    assert_eq!(
        get(&*store, "bao:secret/shop/db#password").await.unwrap(),
        "p"
    );
    assert!(
        version(&*store, "bao:secret/shop/db#password")
            .await
            .unwrap()
            .starts_with("1@")
    );
    let e = store
        .fetch(&[reference("bao:secret/bank/db#password")])
        .await
        .remove(0)
        .err()
        .unwrap();
    assert_eq!(e.kind, ErrorKind::Denied);
    assert_eq!(e.message, "secret/bank/db: not allowed (403)");
}

#[tokio::test]
async fn an_approle_token_is_renewed_and_when_it_is_void_made_anew() {
    let s = Server::start();
    s.bao(&["kv", "put", "-mount=secret", "shop/db", "password=p"]);
    s.policy("shop", r#"path "secret/*" { capabilities = ["read"] }"#);
    s.bao(&["auth", "enable", "-path=machines", "approle"]);
    s.bao(&[
        "write",
        "auth/machines/role/shop",
        "token_policies=shop",
        "token_ttl=2s",
        "token_max_ttl=4s",
    ]);
    let role_id = s.bao(&["read", "-field=role_id", "auth/machines/role/shop/role-id"]);
    let secret_id = s.write(
        "secret_id",
        &s.bao(&[
            "write",
            "-f",
            "-field=secret_id",
            "auth/machines/role/shop/secret-id",
        ]),
    );
    let approle = |role_id: &str| AuthSpec::Approle {
        role_id: role_id.to_owned(),
        secret_id: credential(&secret_id),
        mount: Some("machines".to_owned()),
    };
    let store = s.open(approle(&role_id), None);
    // Past two renewals and the maximal age: the caller never notices.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(6) {
        assert_eq!(
            get(&*store, "bao:secret/shop/db#password").await.as_deref(),
            Ok("p")
        );
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    // Revoked under our hands.
    s.bao(&["token", "revoke", "-mode=path", "auth/machines"]);
    assert_eq!(
        get(&*store, "bao:secret/shop/db#password").await.as_deref(),
        Ok("p")
    );
    let e = s
        .open(approle("wrong"), None)
        .fetch(&[reference("bao:secret/shop/db#password")])
        .await
        .remove(0)
        .err()
        .unwrap();
    assert_eq!(
        (e.kind, e.message.as_str()),
        (
            ErrorKind::Unauthenticated,
            "the login at auth/machines/login was refused"
        )
    );
}

#[tokio::test]
async fn a_pinned_version_stays_while_others_come() {
    let s = Server::start();
    s.bao(&["kv", "put", "-mount=secret", "db", "p=one"]);
    s.bao(&["kv", "put", "-mount=secret", "db", "p=two"]);
    let store = s.with_token(ROOT);
    let pinned = "bao:secret/db#p?version=1";
    assert_eq!(
        reference(pinned).version(),
        Some("1"),
        "the parser knows versions"
    );
    assert_eq!(get(&*store, pinned).await.unwrap(), "one");
    assert_eq!(get(&*store, "bao:secret/db#p").await.unwrap(), "two");
    assert!(version(&*store, pinned).await.unwrap().starts_with("1@"));
    assert_eq!(
        get(&*store, "bao:secret/db#p?version=9").await,
        Err(ErrorKind::NotFound)
    );
    assert_eq!(
        get(&*store, "bao:secret/db#p?version=x").await,
        Err(ErrorKind::Invalid)
    );
}

#[tokio::test]
async fn a_namespace_is_another_world() {
    let s = Server::start();
    s.bao(&["namespace", "create", "team"]);
    s.bao(&[
        "secrets",
        "enable",
        "-namespace=team",
        "-path=kv",
        "-version=2",
        "kv",
    ]);
    s.bao(&[
        "kv",
        "put",
        "-namespace=team",
        "-mount=kv",
        "db",
        "p=theirs",
    ]);
    let token = s.write("token", ROOT);
    let store = s.open(AuthSpec::Token(credential(&token)), Some("team"));
    assert_eq!(get(&*store, "bao:kv/db#p").await.unwrap(), "theirs");
}

#[tokio::test]
async fn a_sealed_or_absent_server_is_unavailable() {
    let mut s = Server::start();
    s.bao(&["kv", "put", "-mount=secret", "db", "p=v"]);
    let store = s.with_token(ROOT);
    assert_eq!(get(&*store, "bao:secret/db#p").await.unwrap(), "v");
    s.bao(&["operator", "seal"]);
    assert_eq!(
        get(&*store, "bao:secret/db#p").await,
        Err(ErrorKind::Unavailable)
    );
    assert_eq!(
        version(&*store, "bao:secret/db#p").await,
        Err(ErrorKind::Unavailable)
    );
    s.process.kill().unwrap();
    s.process.wait().unwrap();
    let e = store
        .fetch(&[reference("bao:secret/db#p")])
        .await
        .remove(0)
        .err()
        .unwrap();
    assert_eq!(e.kind, ErrorKind::Unavailable);
    assert!(e.message.starts_with("127.0.0.1:"), "{e}");
}

#[tokio::test]
async fn a_bad_token_is_not_a_missing_right() {
    let s = Server::start();
    s.bao(&["kv", "put", "-mount=secret", "db", "p=v"]);
    assert_eq!(
        get(&*s.with_token("nonsense"), "bao:secret/db#p").await,
        Err(ErrorKind::Unauthenticated)
    );
}
