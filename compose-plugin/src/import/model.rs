//! What compose makes of a project, as far as values are concerned: the truth that an import must not change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use locket_crds::compose::variables_of;
use locket_crds::yaml::{self, Node, Value as Yaml};
use locket_provider::SecretValue;
use serde_json::Value as Json;

use super::dotenv;
use super::peer::{self, DSO};
use super::places::Texts;

/// A service that is put into the model to learn what variables mean; compose itself answers.
const PROBE: &str = "locket-import-probe";

/// How compose is asked for what it makes of a project.
pub const MODEL: &[&str] = &["--format", "json"];
/// How it is asked for what is written there.
pub const WRITTEN: &[&str] = &[
    "--no-interpolate",
    "--no-env-resolution",
    "--no-normalize",
    "--no-consistency",
];

/// A compose file with a service that has every variable that the files speak of, as compose understands it. `settings`: the text of
/// the project's `.env`.
pub fn probe(texts: &Texts, settings: &str) -> String {
    let mut names = BTreeSet::new();
    for it in &texts.compose {
        names.extend(variables_of(&it.now));
        // `environment: NAME` of a secret, and `- NAME`.
        let words = it
            .now
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let is_name = |it: &&str| it.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
        names.extend(words.filter(is_name).map(str::to_owned));
    }
    let settings = dotenv::settings(settings, false).unwrap_or_default();
    names.extend(settings.into_iter().map(|it| it.name));
    let plain = |it: &String| it.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    names.retain(plain);
    let list: Vec<String> = names.into_iter().map(|it| format!("\"{it}\"")).collect();
    format!(
        "services: {{ {PROBE}: {{ image: scratch, environment: [{}] }} }}\n",
        list.join(", ")
    )
}

/// A value, shared by everything that has the same.
pub type Value = Arc<SecretValue>;

/// A project.
#[derive(Default)]
pub struct Model {
    /// The services, without the probe.
    pub services: BTreeMap<String, Service>,
    /// Compose's own `secrets` at the top level.
    pub secrets: BTreeMap<String, Origin>,
    /// What the variables of interpolation mean; those that are not set are not here.
    pub variables: BTreeMap<String, Value>,
    /// Everything else, for [`Model::same_besides`].
    rest: Json,
}

/// One service.
#[derive(Default)]
pub struct Service {
    /// Its final environment; variables without a value are not here.
    pub environment: BTreeMap<String, Value>,
    /// `environment` alone, before interpolation; `None`: the value is that of the environment.
    pub written: BTreeMap<String, Option<String>>,
    /// Its env files, in order.
    pub env_files: Vec<EnvFile>,
    /// Compose's own secrets of it.
    pub secrets: Vec<Grant>,
    /// The image's name, empty without one.
    pub image: String,
    /// Variables of the container that commands and healthcheck speak of.
    pub speaks_of: BTreeSet<String>,
    /// A secret that its build uses.
    pub build_secrets: BTreeSet<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Services that it waits for.
    pub depends_on: BTreeSet<String>,
    /// The type of its provider, and the provider's options.
    pub provider: Option<(String, BTreeMap<String, Vec<String>>)>,
}

/// An env file of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvFile {
    /// Absolute.
    pub path: PathBuf,
    /// `format: raw`.
    pub raw: bool,
}

/// Where the value of a secret of compose's comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file, absolute.
    File(PathBuf),
    /// A variable.
    Variable(String),
    /// Somewhere else.
    Elsewhere,
}

/// A secret of compose's that a service has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its key at the top level.
    pub source: String,
    /// Where it is mounted, as compose says: absolute, or a name in `/run/secrets`.
    pub target: String,
    /// As it is written.
    pub mode: Option<String>,
    /// As it is written.
    pub uid: Option<String>,
    /// As it is written.
    pub gid: Option<String>,
}

impl Grant {
    /// The target below `/run/secrets`, if it lies there.
    pub fn below(&self) -> Option<&str> {
        let path = self
            .target
            .strip_prefix("/run/secrets/")
            .unwrap_or(&self.target);
        let inside =
            !path.is_empty() && !path.starts_with('/') && !path.split('/').any(|it| it == "..");
        inside.then_some(path)
    }
}

impl Model {
    /// Reads what `docker compose config` has printed: once as JSON, interpolated, with the probe; once as YAML, as written.
    ///
    /// Nothing where this is not what compose prints.
    pub fn read(resolved: &str, written: &str) -> Option<Self> {
        let mut all: Json = serde_json::from_str(resolved).ok()?;
        let written = yaml::document(written).ok()?;
        let mut out = Self::default();
        for (name, it) in all["services"].as_object()? {
            let environment = environment(&it["environment"]);
            if name == PROBE {
                out.variables = environment;
                continue;
            }
            let own = written.get("services").and_then(|all| all.get(name));
            out.services
                .insert(name.clone(), service(it, own, environment));
        }
        // Paths with variables need all of them, and the probe may come late.
        for (name, it) in &mut out.services {
            let own = written.get("services").and_then(|all| all.get(name));
            it.env_files = own.map_or_else(Vec::new, |own| env_files(own, &out.variables));
        }
        for (name, it) in all["secrets"].as_object().into_iter().flatten() {
            let origin = match (&it["file"], &it["environment"]) {
                (Json::String(path), _) => Origin::File(undoubled(path).into()),
                (_, Json::String(name)) => Origin::Variable(name.clone()),
                _ => Origin::Elsewhere,
            };
            out.secrets.insert(name.clone(), origin);
        }
        if let Some(services) = all["services"].as_object_mut() {
            services.remove(PROBE);
            for it in services.values_mut().filter_map(Json::as_object_mut) {
                it.remove("environment");
                it.remove("secrets");
            }
        }
        let all = all.as_object_mut()?;
        all.retain(|key, _| !key.starts_with("x-") && key != "secrets");
        out.rest = Json::Object(std::mem::take(all));
        Some(out)
    }

    /// Whether everything but environments and secrets is the same as in one that was before; `gates` have lost options of
    /// their provider, and with `labels` all services those of DSO.
    pub fn follows(&self, before: &Self, gates: &BTreeSet<String>, labels: bool) -> bool {
        let mut expected = before.rest.clone();
        for (name, it) in expected["services"].as_object_mut().into_iter().flatten() {
            if labels {
                let all = it["labels"].as_object_mut();
                all.into_iter()
                    .for_each(|all| all.retain(|key, _| !key.starts_with(DSO)));
            }
            if gates.contains(name) {
                let options = it["provider"]["options"].as_object_mut();
                options
                    .into_iter()
                    .for_each(|all| all.retain(|key, _| peer::OURS.contains(&key.as_str())));
            }
        }
        without_nothing(expected) == without_nothing(self.rest.clone())
    }

    /// Whether something other than environments and secrets has this path in it: a mount, a config.
    pub fn uses_path(&self, path: &str) -> bool {
        fn within(it: &Json, path: &str) -> bool {
            match it {
                Json::String(text) => text == path,
                Json::Array(all) => all.iter().any(|it| within(it, path)),
                Json::Object(all) => all.values().any(|it| within(it, path)),
                _ => false,
            }
        }
        within(&self.rest, path)
    }
}

/// The same without entries that say nothing: what is left of a collection whose last entry has gone.
fn without_nothing(mut it: Json) -> Json {
    for service in it["services"].as_object_mut().into_iter().flatten() {
        let Some(service) = service.1.as_object_mut() else {
            continue;
        };
        let empty =
            |it: &Json| it.is_null() || it.as_object().is_some_and(serde_json::Map::is_empty);
        service.retain(|key, it| key != "labels" || !empty(it));
        if let Some(provider) = service.get_mut("provider").and_then(Json::as_object_mut) {
            provider.retain(|key, it| key != "options" || !empty(it));
        }
    }
    it
}

fn service(it: &Json, own: Option<&Node>, environment: BTreeMap<String, Value>) -> Service {
    let grant = |it: &Json| Grant {
        source: text(&it["source"]),
        target: match &it["target"] {
            Json::String(target) => target.clone(),
            _ => text(&it["source"]),
        },
        mode: some(&it["mode"]),
        uid: some(&it["uid"]),
        gid: some(&it["gid"]),
    };
    let list = |it: &Json| it.as_array().cloned().unwrap_or_default();
    let mut speaks_of = BTreeSet::new();
    for words in [
        &it["command"],
        &it["entrypoint"],
        &it["healthcheck"]["test"],
    ] {
        for word in list(words).iter().chain(words.is_string().then_some(words)) {
            speaks_of.extend(variables_of(&undoubled(&text(word))));
        }
    }
    Service {
        environment,
        written: own
            .and_then(|own| own.get("environment"))
            .map_or_else(BTreeMap::new, as_written),
        env_files: Vec::new(),
        secrets: list(&it["secrets"]).iter().map(grant).collect(),
        image: text(&it["image"]),
        speaks_of,
        build_secrets: list(&it["build"]["secrets"])
            .iter()
            .map(|it| text(&it["source"]))
            .collect(),
        labels: entries(&it["labels"])
            .filter_map(|(name, it)| Some((name.clone(), undoubled(it.as_str()?))))
            .collect(),
        depends_on: entries(&it["depends_on"])
            .map(|(name, _)| name.clone())
            .collect(),
        provider: provider(&it["provider"]),
    }
}

fn entries(it: &Json) -> impl Iterator<Item = (&String, &Json)> {
    it.as_object().into_iter().flatten()
}

fn provider(it: &Json) -> Option<(String, BTreeMap<String, Vec<String>>)> {
    let words = |it: &Json| match it {
        Json::Array(all) => all
            .iter()
            .filter_map(some)
            .map(|it| undoubled(&it))
            .collect(),
        it => some(it).iter().map(|it| undoubled(it)).collect(),
    };
    let options = entries(&it["options"]).map(|(name, it)| (name.clone(), words(it)));
    Some((it["type"].as_str()?.to_owned(), options.collect()))
}

/// A final environment: compose doubles the dollars of what it prints.
fn environment(it: &Json) -> BTreeMap<String, Value> {
    let value = |(name, it): (&String, &Json)| {
        let text = it.as_str()?;
        Some((
            name.clone(),
            Arc::new(SecretValue::new(undoubled(text).into_bytes())),
        ))
    };
    it.as_object()
        .into_iter()
        .flatten()
        .filter_map(value)
        .collect()
}

/// `environment` as it is written, whatever its form.
fn as_written(node: &Node) -> BTreeMap<String, Option<String>> {
    match &node.value {
        Yaml::Map(all) => all
            .iter()
            .filter_map(|e| Some((e.key.clone()?, scalar(&e.node))))
            .collect(),
        Yaml::List(all) => all
            .iter()
            .filter_map(|it| {
                let text = it.as_str()?;
                Some(match text.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (text.to_owned(), None),
                })
            })
            .collect(),
        _ => BTreeMap::new(),
    }
}

/// The text of a scalar; nothing for null.
pub fn scalar(node: &Node) -> Option<String> {
    match &node.value {
        Yaml::Str(text) => Some(text.clone()),
        Yaml::Int(it) => Some(it.to_string()),
        Yaml::Float(it) => Some(it.to_string()),
        Yaml::Bool(it) => Some(it.to_string()),
        _ => None,
    }
}

fn env_files(own: &Node, variables: &BTreeMap<String, Value>) -> Vec<EnvFile> {
    let Some(Yaml::List(all)) = own.get("env_file").map(|it| &it.value) else {
        return Vec::new();
    };
    let one = |it: &Node| {
        let path = it.as_str().or_else(|| it.get("path")?.as_str())?;
        Some(EnvFile {
            path: interpolated(path, variables)?.into(),
            raw: it.get("format").and_then(Node::as_str) == Some("raw"),
        })
    };
    all.iter().filter_map(one).collect()
}

/// A path with simple variables in it; nothing if one of them is not known, or is not simple.
fn interpolated(path: &str, variables: &BTreeMap<String, Value>) -> Option<String> {
    if !path.contains('$') {
        return Some(path.to_owned());
    }
    let (before, name, after) = dotenv::single(path)?;
    let value = std::str::from_utf8(variables.get(name)?.expose()).ok()?;
    Some(format!("{before}{value}{after}"))
}

fn text(it: &Json) -> String {
    it.as_str().unwrap_or_default().to_owned()
}

fn some(it: &Json) -> Option<String> {
    match it {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn undoubled(text: &str) -> String {
    text.replace("$$", "$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_follows_another_only_where_the_rest_is_the_same() {
        let of = |services: &str| {
            Model::read(&format!("{{\"services\": {{{services}}}}}"), "services: {}").unwrap()
        };
        let gate = r#""g": {"provider": {"type": "locket", "options": {"env": ["A=b"], "timeout": ["2m"]}}}"#;
        let labels = r#""a": {"image": "x", "labels": {"dso.reloader": "true", "kept": "1"}}"#;
        let before = of(&format!("{gate}, {labels}"));
        let gates = BTreeSet::from(["g".to_owned()]);
        let none = BTreeSet::new();
        let left = r#""g": {"provider": {"type": "locket", "options": {"timeout": ["2m"]}}}"#;
        let kept = r#""a": {"image": "x", "labels": {"kept": "1"}}"#;
        let after = of(&format!("{left}, {kept}"));
        assert!(after.follows(&before, &gates, true));
        assert!(before.follows(&before, &none, false));
        // Each is asked for on its own.
        assert!(
            !after.follows(&before, &none, true),
            "a provider that should stay"
        );
        assert!(
            !after.follows(&before, &gates, false),
            "labels that should stay"
        );
        for other in [
            format!(
                "{left}, {}",
                r#""a": {"image": "y", "labels": {"kept": "1"}}"#
            ),
            format!("{left}, {}", r#""a": {"image": "x"}"#),
            format!("{gate}, {kept}"),
            format!(
                "{}, {kept}",
                r#""g": {"provider": {"type": "other", "options": {"timeout": ["2m"]}}}"#
            ),
            format!("{}, {kept}", r#""g": {"provider": {"type": "locket"}}"#),
        ] {
            assert!(!of(&other).follows(&before, &gates, true), "{other}");
        }
    }
}
