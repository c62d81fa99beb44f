use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use locket_provider::{Capabilities, SecretValue};

use super::*;

/// Opens stores that say what they were opened as, and counts them.
#[derive(Default)]
struct Opener(AtomicUsize);

struct Named(String);

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
        Ok(Arc::new(Named(format!(
            "{} {project} {count}",
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
    assert_eq!(ask(&sources, &spec, "env:A").await, Ok("env a 1".into()));
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
