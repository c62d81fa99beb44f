//! The contract suite over the built-in store, files and variables. OpenBao's is in `openbao_contract.rs`.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use locket_crds::reference::SecretRef;
use locket_crds::spec::SourceSpec;
use locket_provider::contract::{CANARY, Case, Features, Fixture, check};
use locket_provider::{ErrorKind, SecretStore};
use locket_providers::{Context, open};
use support::{Sessions, context, value};
use tempfile::TempDir;

fn reference(text: &str) -> SecretRef {
    text.parse().unwrap()
}

fn opened(source: &SourceSpec, context: &Context) -> Arc<dyn SecretStore> {
    open(source, context).unwrap_or_else(|e| panic!("{e}"))
}

struct Local {
    _dir: TempDir,
    context: Context,
}

impl Local {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let local = Sessions::new(dir.path()).client();
        Self {
            _dir: dir,
            context: Context { local, ..context() },
        }
    }
}

impl Fixture for Local {
    fn features(&self) -> Features {
        Features {
            binary: true,
            large: true,
            denies: true,
            changes: true,
            ..Features::default()
        }
    }
    fn cases(&self) -> Vec<Case> {
        use Case::*;
        vec![
            Found,
            NotFound,
            EmptyValue,
            BinaryValue,
            LargeValue,
            Batch,
            VersionChanges,
            Denied,
            NoValueInErrors,
        ]
    }
    fn store(&self) -> BoxFuture<'_, Arc<dyn SecretStore>> {
        async { opened(&SourceSpec::of_kind("local"), &self.context) }.boxed()
    }
    fn put<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, SecretRef> {
        async move {
            self.context
                .local
                .set(&format!("shop/{name}"), &value(bytes))
                .await
                .unwrap();
            reference(&format!("local:{name}"))
        }
        .boxed()
    }
    fn absent(&self) -> SecretRef {
        reference("local:absent")
    }
    fn denied(&self) -> BoxFuture<'_, SecretRef> {
        async {
            self.context
                .local
                .set("bank/vault", &value(CANARY.as_bytes()))
                .await
                .unwrap();
            reference("local:bank/vault")
        }
        .boxed()
    }
}

struct Files {
    dir: TempDir,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        Self { dir }
    }
    fn context(&self) -> Context {
        Context {
            roots: vec![self.dir.path().join("root")],
            ..context()
        }
    }
}

impl Fixture for Files {
    fn features(&self) -> Features {
        // Fields there are, in .json files; reads of files cannot be counted from outside.
        Features {
            binary: true,
            large: true,
            denies: true,
            changes: true,
            ..Features::default()
        }
    }
    fn cases(&self) -> Vec<Case> {
        use Case::*;
        vec![
            Found,
            NotFound,
            EmptyValue,
            BinaryValue,
            LargeValue,
            Batch,
            VersionChanges,
            Denied,
            NoValueInErrors,
        ]
    }
    fn store(&self) -> BoxFuture<'_, Arc<dyn SecretStore>> {
        async { opened(&SourceSpec::of_kind("file"), &self.context()) }.boxed()
    }
    fn put<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, SecretRef> {
        async move {
            fs::write(self.dir.path().join("root").join(name), bytes).unwrap();
            reference(&format!("file:{name}"))
        }
        .boxed()
    }
    fn absent(&self) -> SecretRef {
        reference("file:absent")
    }
    fn denied(&self) -> BoxFuture<'_, SecretRef> {
        async {
            fs::write(self.dir.path().join("outside"), CANARY).unwrap();
            symlink("../outside", self.dir.path().join("root/way-out")).unwrap();
            reference("file:way-out")
        }
        .boxed()
    }
}

#[derive(Default)]
struct Env(Mutex<BTreeMap<String, Vec<u8>>>);

impl Fixture for Env {
    fn features(&self) -> Features {
        // What the process was started with: nothing changes, and nothing is denied one by one.
        Features {
            binary: true,
            large: true,
            ..Features::default()
        }
    }
    fn cases(&self) -> Vec<Case> {
        use Case::*;
        vec![
            Found,
            NotFound,
            EmptyValue,
            BinaryValue,
            LargeValue,
            Batch,
            NoValueInErrors,
        ]
    }
    fn store(&self) -> BoxFuture<'_, Arc<dyn SecretStore>> {
        let env = self
            .0
            .lock()
            .unwrap()
            .iter()
            .map(|(k, v)| (k.clone(), value(v)))
            .collect();
        let context = Context {
            env: Some(Arc::new(env)),
            ..context()
        };
        async move { opened(&SourceSpec::of_kind("env"), &context) }.boxed()
    }
    fn put<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, SecretRef> {
        self.0
            .lock()
            .unwrap()
            .insert(name.to_owned(), bytes.to_vec());
        async move { reference(&format!("env:{name}")) }.boxed()
    }
    fn absent(&self) -> SecretRef {
        reference("env:ABSENT")
    }
}

#[tokio::test]
async fn the_local_store_keeps_the_contract() {
    check(async || Local::new()).await;
}

#[tokio::test]
async fn files_keep_the_contract() {
    check(async || Files::new()).await;
}

#[tokio::test]
async fn variables_keep_the_contract() {
    check(async || Env::default()).await;
}

#[tokio::test]
async fn no_path_leads_out_of_a_root() {
    let files = Files::new();
    files.denied().await;
    let root = files.dir.path().join("root");
    symlink(files.dir.path().join("outside"), root.join("absolute")).unwrap();
    symlink("..", root.join("up")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    fs::create_dir_all(root.join("..data")).unwrap();
    fs::write(root.join("..data/inner"), "inner").unwrap();
    symlink("..data/inner", root.join("link")).unwrap();
    let store = files.store().await;
    // This one does not even get to the store.
    assert!("file:../outside".parse::<SecretRef>().is_err());
    let absolute = format!("file:{}", root.join("link").display());
    for (text, kind) in [
        ("file:way-out", Some(ErrorKind::Denied)),
        ("file:absolute", Some(ErrorKind::Denied)),
        ("file:up/outside", Some(ErrorKind::Denied)),
        ("file:loop", Some(ErrorKind::Denied)),
        ("file:/etc/passwd", Some(ErrorKind::Denied)),
        ("file:link", None),
        (absolute.as_str(), None),
        ("file:..data", Some(ErrorKind::Invalid)),
        ("file:link#field", Some(ErrorKind::Invalid)),
    ] {
        let refs = [reference(text)];
        assert_eq!(
            store.fetch(&refs).await[0].as_ref().err().map(|e| e.kind),
            kind,
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_field_of_a_json_file_is_a_secret() {
    let files = Files::new();
    files
        .put("db.json", br#"{"user":"app","password":"p"}"#)
        .await;
    let store = files.store().await;
    let got = store
        .fetch(&[
            reference("file:db.json#password"),
            reference("file:db.json#x"),
        ])
        .await;
    assert_eq!(got[0].as_ref().ok().unwrap().value.expose(), b"p");
    let e = got[1].as_ref().err().unwrap();
    assert_eq!(
        (e.kind, e.help.as_deref()),
        (
            ErrorKind::NotFound,
            Some("it has the fields password, user")
        )
    );
}

#[tokio::test]
async fn a_replaced_file_is_a_hint() {
    let files = Files::new();
    files.put("db", b"1").await;
    let mut hints = files.store().await.watch().unwrap();
    fs::write(files.dir.path().join("root/.db.new"), "2").unwrap();
    fs::rename(
        files.dir.path().join("root/.db.new"),
        files.dir.path().join("root/db"),
    )
    .unwrap();
    hints.next().await.unwrap();
}

#[tokio::test]
async fn references_of_the_local_store_stay_in_their_project() {
    let it = Local::new();
    it.put("a", b"1").await;
    it.put("a", b"2").await;
    it.context.local.set("/a", &value(b"global")).await.unwrap();
    let store = it.store().await;
    let refs = [
        "local:/a",
        "local:shop/a",
        "local:a#f",
        "local:bank/a",
        "local:a b",
    ]
    .map(reference);
    let got = store.fetch(&refs).await;
    assert_eq!(got[0].as_ref().ok().unwrap().value.expose(), b"global");
    assert_eq!(got[1].as_ref().ok().unwrap().value.expose(), b"2");
    let kinds: Vec<_> = got[2..]
        .iter()
        .map(|g| g.as_ref().err().unwrap().kind)
        .collect();
    assert_eq!(
        kinds,
        [ErrorKind::Invalid, ErrorKind::Denied, ErrorKind::Invalid]
    );
}

#[test]
fn the_factory_knows_what_there_is() {
    let kind = |kind: &str| {
        open(&SourceSpec::of_kind(kind), &context())
            .err()
            .map(|e| (e.kind, e.message))
    };
    assert_eq!(kind("local"), None);
    assert_eq!(kind("env").unwrap().0, ErrorKind::Denied);
    assert_eq!(
        kind("file").unwrap().1,
        "no directory is configured for file references"
    );
    assert_eq!(
        kind("openbao").unwrap().1,
        "the source of type openbao has no auth"
    );
    assert_eq!(
        kind("1password").unwrap().1,
        "sources of type 1password are not in this version yet"
    );
    assert_eq!(
        kind("onepasword").unwrap().1,
        "there is no source type onepasword"
    );
}
