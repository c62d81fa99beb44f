//! What other tools leave in a compose file besides references: provider services and sidecars of the other locket, labels of
//! DSO's.

use std::collections::{BTreeMap, BTreeSet};

use locket_crds::yaml::Node;

use super::model::{Model, Service};
use super::places::Texts;
use super::reference::{Foreign, foreign};
use crate::generate::PROVIDER;
use crate::generate::scalar::{map, quoted, scalar};

/// What the labels of DSO begin with.
pub const DSO: &str = "dso.";
/// Options of a gate of ours; what the other locket means by them is none of an import's business.
pub const OURS: [&str; 4] = ["file", "profile", "project-directory", "timeout"];
/// Where it is told what to do by hand.
const GUIDE: &str = "docs/guides/migrating.md";

/// A provider service of the other locket, whose variables can be given by ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Services that have its variables.
    pub dependants: BTreeSet<String>,
    /// The variables as these services have them.
    pub env: BTreeMap<String, Foreign>,
    /// What compose puts in front of their names.
    pub prefix: String,
    /// Where they are written.
    pub place: String,
    /// Where its secrets live, in flow style; or what is missing.
    pub source: Result<String, String>,
}

/// All provider services of the other locket that can be taken over, and what people should know of the rest.
pub fn providers(
    model: &Model,
    texts: &Texts,
    trees: &[Node],
) -> (BTreeMap<String, Provider>, Vec<String>) {
    let (mut out, mut notes) = (BTreeMap::new(), Vec::new());
    for (name, it) in &model.services {
        if is_sidecar(it) {
            notes.push(format!(
                "{name} looks like a container of the other locket: {GUIDE} tells what takes its place"
            ));
        }
        let Some(options) = options(it) else {
            continue;
        };
        match provider(model, texts, trees, name, options) {
            Ok(it) => drop(out.insert(name.clone(), it)),
            Err(why) => notes.push(format!(
                "the provider service {name} of the other locket stays: {why}; {GUIDE} tells more"
            )),
        }
    }
    (out, notes)
}

/// The options, if they are the other locket's.
fn options(it: &Service) -> Option<&BTreeMap<String, Vec<String>>> {
    const PREFIXES: [&str; 5] = ["bao-", "bws-", "connect-", "infisical-", "op-"];
    let (kind, options) = it.provider.as_ref()?;
    let theirs = |name: &String| {
        matches!(name.as_str(), "provider" | "env" | "raw")
            || PREFIXES.iter().any(|it| name.starts_with(it))
    };
    (kind == PROVIDER && options.keys().any(theirs)).then_some(options)
}

fn provider(
    model: &Model,
    texts: &Texts,
    trees: &[Node],
    name: &str,
    options: &BTreeMap<String, Vec<String>>,
) -> Result<Provider, String> {
    let written = texts.options(trees, name);
    let missing = |key: &&String| !written.iter().any(|(e, _)| e.key.as_ref() == Some(*key));
    if let Some(key) = options.keys().find(missing) {
        return Err(format!(
            "its option {key} is written in no file that is here"
        ));
    }
    if options.contains_key("env-file") {
        return Err("what is in its env-file is not at hand".to_owned());
    }
    let says = |key: &str| {
        options
            .get(key)
            .and_then(|it| it.first())
            .map(String::as_str)
    };
    let prefix = match says("raw") {
        Some("true") => String::new(),
        _ => format!("{}_", name.to_uppercase()),
    };
    let mut env = BTreeMap::new();
    // It splits at commas itself.
    let all = options.get("env").into_iter().flatten();
    for entry in all.flat_map(|it| it.split(',')) {
        let Some((variable, value)) = entry.split_once('=') else {
            return Err("an entry of its env is no NAME=reference".to_owned());
        };
        let it = match foreign(value) {
            Some(Ok(it @ Foreign::Text(_))) => it,
            Some(Err(why)) => return Err(format!("of {variable}, {why}")),
            _ => return Err(format!("{variable} is no reference of its")),
        };
        if let Some(kind) = it.unreadable() {
            return Err(format!("this version cannot read from {kind} yet"));
        }
        if prefix.is_empty() && variable.starts_with("LOCKET_") {
            return Err(format!("{variable} is a name that is ours"));
        }
        env.insert(format!("{prefix}{variable}"), it);
    }
    if env.is_empty() {
        return Err("it has no env".to_owned());
    }
    let interpolated = written.iter().any(|(e, place)| {
        let written = |it: &Node| it.as_str().is_some_and(|it| it.contains("${"));
        e.key.as_deref() == Some("env")
            && (place.written.as_ref().is_some_and(|it| it.contains("${"))
                || matches!(&e.node.value, locket_crds::yaml::Value::List(all) if all.iter().any(written)))
    });
    if interpolated {
        return Err("there are variables of compose's in its env".to_owned());
    }
    let of = |key: &str| {
        let mut all = written.iter().rev();
        let found = all.find(|(e, _)| e.key.as_deref() == Some(key));
        found.and_then(|(_, place)| place.written.clone())
    };
    let place = written
        .iter()
        .find(|(e, _)| e.key.as_deref() == Some("env"));
    let waits = model
        .services
        .iter()
        .filter(|(_, it)| it.depends_on.contains(name));
    Ok(Provider {
        dependants: waits.map(|(name, _)| name.clone()).collect(),
        env,
        prefix,
        place: place.map(|(_, it)| texts.shown(it)).unwrap_or_default(),
        source: source(of),
    })
}

/// The source `bao` as the options tell it; a credential that is written down is never copied.
fn source(of: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let url = of("bao-url");
    let role = of("bao-role-id");
    let secret = of("bao-secret-id");
    let file = secret.as_deref().and_then(|it| {
        let path = it.strip_prefix("file://").or(it.strip_prefix("file:"))?;
        (!path.contains('$')).then_some(path)
    });
    let plain = |it: &&String| !it.starts_with("file:") && !it.contains('$');
    let shown = |it: Option<&str>, instead: &str| it.map_or(instead.to_owned(), quoted);
    let near = ["http://localhost", "http://127.", "http://[::1]"];
    let safe = |it: &&String| {
        it.starts_with("https://")
            || near.iter().any(|near| it.starts_with(near))
            || it.starts_with('$')
    };
    let (url, role) = (url.as_ref().filter(safe), role.as_ref().filter(plain));
    let complete = url.is_some() && role.is_some() && file.is_some();
    let pair = |key: &str, value: String| (key.to_owned(), value);
    let mut approle = vec![
        pair("role_id", shown(role.map(String::as_str), "ID")),
        pair("secret_id", map([pair("file", shown(file, "PATH"))])),
    ];
    approle.extend(of("bao-auth-mount").map(|it| pair("mount", quoted(&it))));
    let mut all = vec![
        pair("type", scalar("openbao")),
        pair("url", shown(url.map(String::as_str), "URL")),
    ];
    all.extend(of("bao-namespace").map(|it| pair("namespace", quoted(&it))));
    all.push(pair("auth", map([pair("approle", map(approle))])));
    let text = map(all);
    if complete { Ok(text) } else { Err(text) }
}

/// What is missing where nobody says where a source is.
pub fn unknown_source(name: &str, text: Option<&str>) -> String {
    let text = text.unwrap_or(
        "{ type: openbao, url: URL, auth: { approle: { role_id: ID, secret_id: { file: PATH } } } }",
    );
    format!(
        "where {name} is has to be said, in `x-locket.sources` or in locket.yaml: `{name}: {text}`"
    )
}

/// Whether it is a container of the other locket's own image.
pub fn is_sidecar(it: &Service) -> bool {
    let name = it.image.rsplit('/').next().unwrap_or_default();
    it.provider.is_none() && name.split([':', '@']).next() == Some("locket")
}

/// What DSO would do with containers of a service, in our words; nothing where ours decides as well.
pub fn on_change(it: &Service) -> Option<&'static str> {
    match it.labels.get("dso.update.strategy").map(String::as_str) {
        Some("rolling") => Some("rollout"),
        Some("restart") => Some("restart"),
        Some("signal") => Some("signal:HUP"),
        Some("none") => Some("none"),
        _ => None,
    }
}

/// What DSO's own file gives to a service, which no compose file tells.
pub fn has_mappings(it: &Service) -> bool {
    it.labels.contains_key("dso.secrets")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(all: &[(&str, &str)]) -> Result<String, String> {
        source(|key| {
            let found = all.iter().find(|(name, _)| *name == key);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_source_is_what_the_options_say_but_never_a_credential() {
        let url = ("bao-url", "https://bao.internal:8200");
        let role = ("bao-role-id", "7f3c");
        let said = of(&[
            url,
            role,
            ("bao-secret-id", "file:/etc/locket/id"),
            ("bao-namespace", "team"),
            ("bao-auth-mount", "ci"),
        ]);
        assert_eq!(
            said.unwrap(),
            "{ type: openbao, url: \"https://bao.internal:8200\", namespace: \"team\", auth: { approle: { role_id: \"7f3c\", secret_id: { file: \"/etc/locket/id\" }, mount: \"ci\" } } }"
        );
        for secret in ["canary", "${SECRET_ID}", "file:/x/${Y}"] {
            let said = of(&[url, role, ("bao-secret-id", secret)]).unwrap_err();
            assert!(said.contains("secret_id: { file: PATH }"), "{said}");
            assert!(!said.contains("canary"));
        }
        assert!(
            of(&[("bao-url", "http://bao:8200"), role])
                .unwrap_err()
                .contains("url: URL")
        );
        assert!(of(&[]).is_err());
    }
}
