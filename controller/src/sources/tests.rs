use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use locket_provider::{Capabilities, Hint, SecretValue};

use super::*;

/// Opens stores that say what they were opened as, and counts them.
#[derive(Default)]
struct Opener(AtomicUsize);

struct Named(String);

/// A store whose subscriptions the test holds the other ends of.
type Subscriptions = Arc<Mutex<Vec<tokio::sync::mpsc::UnboundedSender<()>>>>;

struct Pushes(Subscriptions);

impl SecretStore for Pushes {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            versions: true,
            watch: true,
        }
    }
    fn versions<'a>(
        &'a self,
        _: &'a [SecretRef],
    ) -> BoxFuture<'a, Vec<Result<SecretVersion, Error>>> {
        async { Vec::new() }.boxed()
    }
    fn fetch<'a>(&'a self, _: &'a [SecretRef]) -> BoxFuture<'a, Vec<Result<Fetched, Error>>> {
        async { Vec::new() }.boxed()
    }
    fn watch(&self) -> Option<BoxStream<'static, Hint>> {
        let (tell, told) = tokio::sync::mpsc::unbounded_channel();
        self.0.lock().unwrap().push(tell);
        let next = |mut told: tokio::sync::mpsc::UnboundedReceiver<()>| async move {
            told.recv().await.map(|()| (Hint, told))
        };
        // As those of the real stores, it panics when it is asked again after its end.
        Some(futures_util::stream::unfold(told, next).boxed())
    }
}

#[derive(Default)]
struct PushOpener(Subscriptions);

impl OpenStore for PushOpener {
    fn open(
        &self,
        _: &ProjectName,
        _: &SourceName,
        _: &SourceSpec,
    ) -> Result<Arc<dyn SecretStore>, Error> {
        Ok(Arc::new(Pushes(Arc::clone(&self.0))))
    }
}

impl SecretStore for Named {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            versions: true,
            watch: true,
        }
    }
    fn versions<'a>(
        &'a self,
        refs: &'a [SecretRef],
    ) -> BoxFuture<'a, Vec<Result<SecretVersion, Error>>> {
        let one = |_| Ok(SecretVersion(self.0.clone()));
        async move { refs.iter().map(one).collect() }.boxed()
    }
    fn fetch<'a>(&'a self, refs: &'a [SecretRef]) -> BoxFuture<'a, Vec<Result<Fetched, Error>>> {
        let one = |_| {
            Ok(Fetched {
                value: SecretValue::new(Vec::new()),
                version: SecretVersion(self.0.clone()),
            })
        };
        async move { refs.iter().map(one).collect() }.boxed()
    }
}

impl OpenStore for Opener {
    fn open(
        &self,
        project: &ProjectName,
        _: &SourceName,
        source: &SourceSpec,
    ) -> Result<Arc<dyn SecretStore>, Error> {
        let count = self.0.fetch_add(1, Relaxed) + 1;
        let seconds = source.timeout.unwrap_or_default().as_secs();
        Ok(Arc::new(Named(format!(
            "{} {project} {count} {seconds}s",
            source.kind
        ))))
    }
}

fn config(text: &str) -> Arc<HostConfig> {
    Arc::new(HostConfig::parse("locket.yaml", text).unwrap())
}

fn sources(text: &str) -> (Arc<Opener>, Sources) {
    let opener = Arc::new(Opener::default());
    let authority = Authority::Host(config(text));
    (Arc::clone(&opener), Sources::new(opener, authority))
}

/// As it comes over the wire: nothing has been checked.
fn spec(project: &str, own: &[(&str, SourceSpec)]) -> ProjectSpec {
    let own = own.iter().map(|(n, s)| (SourceName::from(*n), s.clone()));
    ProjectSpec {
        version: 1,
        project: project.into(),
        working_dir: String::new(),
        files: Vec::new(),
        defaults: Default::default(),
        sources: own.collect(),
        secrets: BTreeMap::new(),
        services: BTreeMap::new(),
        model: BTreeMap::new(),
    }
}

async fn ask(sources: &Sources, spec: &ProjectSpec, reference: &str) -> Result<String, String> {
    let reference: SecretRef = reference.parse().unwrap();
    let mut both = Vec::new();
    let answers = sources.versions(spec, [reference.clone()]).await;
    both.push(answers[&reference].clone().map(|v| v.0));
    let mut answers = sources.fetch(spec, [reference.clone()]).await;
    both.push(answers.remove(&reference).unwrap().map(|f| f.version.0));
    assert_eq!(both[0], both[1]);
    both.remove(0).map_err(|p| p.reason.to_owned())
}

#[tokio::test]
async fn a_compose_file_opens_nothing_by_giving_a_name_another_type() {
    let kind = SourceSpec::of_kind;
    let (opener, sources) = sources(
        "sources: { env: env, bao: { type: openbao, url: 'https://bao' } }\n\
         grants: [{ project: a, references: ['env:*'] }, { project: b, references: ['mine:*'], sources: [mine] }]",
    );
    for (name, it, reference, expected) in [
        ("local", kind("env"), "local:BAO_TOKEN", "Invalid"),
        ("local", kind("file"), "local:etc/shadow", "Invalid"),
        ("env", kind("file"), "env:PATH", "Invalid"),
        ("file", kind("env"), "file:PATH", "Invalid"),
        ("local", kind("vault"), "local:kv/a#b", "Invalid"),
        ("bao", kind("bao"), "bao:kv/a#b", "Invalid"),
        ("bao", kind("env"), "bao:PATH", "Invalid"),
        ("mine", kind("env"), "mine:BAO_TOKEN", "NotGranted"),
        ("mine", kind("file"), "mine:etc/shadow", "NotGranted"),
        ("mine", kind("local"), "mine:/smtp", "NotGranted"),
        ("other", kind("openbao"), "other:a/b#c", "NotGranted"),
        ("other", kind("local"), "env:PATH", "NotGranted"),
        ("other", kind("local"), "bao:kv/a#b", "NotGranted"),
    ] {
        let spec = spec("b", &[(name, it)]);
        assert_eq!(
            ask(&sources, &spec, reference).await,
            Err(expected.to_owned()),
            "{reference}"
        );
    }
    let rooted = SourceSpec {
        root: Some("/".into()),
        ..kind("file")
    };
    let spec = spec("b", &[("file", rooted)]);
    assert_eq!(
        ask(&sources, &spec, "file:etc/shadow").await,
        Err("NotGranted".into())
    );
    assert_eq!(opener.0.load(Relaxed), 0, "nothing was even opened");
}

#[tokio::test]
async fn an_open_store_is_of_no_use_when_the_grant_is_gone() {
    let with = "sources: { env: env }\ngrants: [{ project: a, references: ['env:*'] }]";
    let (_, sources) = sources(with);
    let spec = spec("a", &[]);
    assert_eq!(
        ask(&sources, &spec, "env:A").await,
        Ok("env a 1 10s".into())
    );
    for without in [
        "sources: { env: env }",
        "grants: [{ project: a, references: ['env:*'] }]",
        "sources: { env: env }\ngrants: [{ project: a, references: ['env:B*'] }]",
        "sources: { env: env }\ngrants: [{ project: b, references: ['env:*'] }]",
    ] {
        sources.reconfigure(config(without));
        assert_eq!(
            ask(&sources, &spec, "env:A").await,
            Err("NotGranted".into()),
            "{without}"
        );
    }
    sources.reconfigure(config(with));
    assert!(ask(&sources, &spec, "env:A").await.is_ok());
}

#[tokio::test]
async fn equal_sources_share_one_store() {
    let host = "sources: { bao: { type: openbao, url: 'https://bao' }, env: env }\n\
                defaults: { backend_timeout: 3s }\n\
                grants: [{ project: '*', sources: [bao, { type: openbao, url: 'https://bao' }, { type: openbao, url: 'https://bao', namespace: n }] }]";
    let (opener, sources) = sources(host);
    let own = |namespace: Option<&str>, line| SourceSpec {
        url: Some("https://bao".into()),
        namespace: namespace.map(str::to_owned),
        refresh: Some(Duration::from_secs(u64::from(line))),
        origin: Origin {
            file: "compose.yaml".into(),
            line,
            column: 1,
        },
        ..SourceSpec::of_kind("openbao")
    };
    let (a, b) = (spec("a", &[]), spec("b", &[("own", own(None, 1))]));
    let c = spec("c", &[("own", own(Some("n"), 2))]);
    let first = Ok("openbao a 1 3s".to_owned());
    assert_eq!(ask(&sources, &a, "bao:kv/a#b").await, first);
    assert_eq!(ask(&sources, &b, "bao:kv/a#b").await, first);
    assert_eq!(ask(&sources, &b, "own:kv/a#b").await, first);
    assert_eq!(
        ask(&sources, &c, "own:kv/a#b").await,
        Ok("openbao c 2 3s".into())
    );
    // The built-in store is another one in each project, and one in each.
    let alias = spec("a", &[("mine", SourceSpec::of_kind("local"))]);
    for (spec, reference, expected) in [
        (&a, "local:x", "local a 3 3s"),
        (&b, "local:x", "local b 4 3s"),
        (&alias, "mine:x", "local a 3 3s"),
    ] {
        assert_eq!(ask(&sources, spec, reference).await, Ok(expected.into()));
    }
    assert_eq!(opener.0.load(Relaxed), 4);

    // Hints are for all users.
    let watched: Vec<StoreId> = sources.watchable().into_keys().collect();
    assert_eq!(watched.len(), 3, "bao, c's own, and the store as `mine`");
    let mut users = sources.users(watched[0]);
    users.sort();
    let user = |p: &str, s: &str| (ProjectName::from(p), SourceName::from(s));
    assert_eq!(
        users,
        [user("a", "bao"), user("b", "bao"), user("b", "own")]
    );

    // One who goes leaves it to the others; the last one closes it.
    sources.forget(&"a".into());
    assert_eq!(sources.users(watched[0]).len(), 2);
    assert_eq!(ask(&sources, &a, "bao:kv/a#b").await, first);
    sources.forget(&"a".into());
    sources.forget(&"b".into());
    assert!(sources.users(watched[0]).is_empty());
    assert_eq!(
        ask(&sources, &a, "bao:kv/a#b").await,
        Ok("openbao a 5 3s".into())
    );
    // Another time-out is another store, and whom it is granted is asked each time.
    let other = "sources: { bao: { type: openbao, url: 'https://bao' } }\ngrants: [{ project: a, sources: [bao] }]";
    sources.reconfigure(config(other));
    assert_eq!(
        ask(&sources, &a, "bao:kv/a#b").await,
        Ok("openbao a 6 10s".into())
    );
    assert_eq!(
        ask(&sources, &b, "bao:kv/a#b").await,
        Err("NotGranted".into())
    );
}

fn rooted(project: &str, root: &str) -> ProjectSpec {
    let source = SourceSpec {
        root: Some(root.into()),
        ..SourceSpec::of_kind("file")
    };
    spec(project, &[("own", source)])
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_ends_takes_no_other_along_and_none_outlives_its_use() {
    let told: Subscriptions = Arc::default();
    let opener = Arc::new(PushOpener(Arc::clone(&told)));
    let sources = Sources::new(opener, Authority::User(Arc::default()));
    let reference: SecretRef = "own:x".parse().unwrap();
    let open = |project: &str, root: &str| drop(sources.store(&rooted(project, root), &reference));
    let say = |n: usize| told.lock().unwrap()[n].send(()).is_ok();
    let count = || told.lock().unwrap().len();
    let mut watches = Watches::default();
    let second = Duration::from_secs(1);
    // What comes within a second.
    let mut heard = async || {
        let next = watches.next(&sources);
        let users = tokio::time::timeout(second, next).await.unwrap_or_default();
        let mut users: Vec<String> = users.into_iter().map(|(p, _)| p.to_string()).collect();
        users.sort();
        users.join(" ")
    };
    open("a", "/one");
    open("b", "/two");
    assert_eq!((heard().await.as_str(), count()), ("", 2));
    // Which subscription is whose.
    let (one, two) = {
        assert!(say(0));
        match heard().await.as_str() {
            "a" => (0, 1),
            "b" => (1, 0),
            other => panic!("{other:?}"),
        }
    };
    // A user who comes later is told, too.
    open("c", "/one");
    assert!(say(one));
    assert_eq!((heard().await.as_str(), count()), ("a c", 2));
    assert_eq!(heard().await, "");
    // One is lost while the other lives.
    let (gone, _) = tokio::sync::mpsc::unbounded_channel();
    drop(std::mem::replace(&mut told.lock().unwrap()[one], gone));
    assert_eq!(heard().await, "");
    assert!(say(two));
    assert_eq!(heard().await, "b");
    assert_eq!(count(), 2, "not at once");
    open("d", "/three");
    assert_eq!(
        (heard().await.as_str(), count()),
        ("", 4),
        "with the next that is opened"
    );
    // Lost with nothing opened afterwards: some time later.
    drop(std::mem::replace(
        &mut told.lock().unwrap()[two],
        tokio::sync::mpsc::unbounded_channel().0,
    ));
    for _ in 0..AGAIN_SECONDS {
        assert_eq!(heard().await, "");
    }
    assert_eq!(count(), 5);
    assert!(say(4));
    assert_eq!(heard().await, "b");
    // Another root: the old one is let go.
    open("b", "/four");
    assert_eq!((heard().await.as_str(), count()), ("", 6));
    assert!(!say(4), "nobody listens there any more");
    assert!(say(5));
    assert_eq!(heard().await, "b");
    sources.forget(&"b".into());
    assert_eq!(heard().await, "");
    assert!(!say(5));
    for project in ["a", "c", "d"] {
        sources.forget(&project.into());
    }
    assert_eq!(heard().await, "");
    open("e", "/five");
    assert_eq!((heard().await.as_str(), count()), ("", 7));
    assert!(say(6));
    assert_eq!(heard().await, "e");
}

/// More than it takes until a lost subscription is tried again.
const AGAIN_SECONDS: u32 = 40;
