//! What services are given instead of what was taken out, and under which names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use locket_crds::likeness::{format, likeness};
use locket_crds::reference::SecretRef;

use super::{LEAST, Plan, Work, by_hand};
use crate::error::{CommandError, Result};
use crate::generate::scalar::escaped;
use crate::import::find::text;
use crate::import::grants::{Given, Grants};
use crate::import::model::{Grant, Origin};
use crate::import::names::{self, Content, Want};
use crate::import::reference::{Foreign, Piece, hint};
use crate::import::{dotenv, peer};

/// What is given, while names are not known yet.
#[derive(Default)]
struct Giving {
    wants: Vec<Want>,
    /// Service, variable, and how.
    ways: Vec<(String, String, Way)>,
    /// Service, secret of compose's, and which want.
    grants: Vec<(String, Grant, usize)>,
    /// Files whose value goes with their secret.
    removes: BTreeSet<PathBuf>,
}

impl Giving {
    fn want(&mut self, service: &str, variable: &str, content: Content) -> usize {
        self.wants.push(Want {
            service: service.to_owned(),
            variable: variable.to_owned(),
            content,
        });
        self.wants.len() - 1
    }
}

impl Work<'_> {
    pub(super) fn finish(self, mut notes: Vec<String>) -> Result<Plan> {
        let request = self.request;
        let mut giving = Giving::default();
        for (service, name) in &request.variables {
            let way = self.way(&mut giving, service, name);
            giving.ways.push((service.clone(), name.clone(), way));
        }
        for it in request.providers.values() {
            for service in &it.dependants {
                for (name, foreign) in &it.env {
                    let mut way = self.refer(&mut giving, service, foreign);
                    let mut name = name.as_str();
                    // Names of ours are closed to the shim, but compose's own prefix makes this one.
                    if let (true, Way::Text(all)) = (name.starts_with("LOCKET_"), &mut way) {
                        way = Way::Visible(std::mem::take(all));
                        name = name.strip_prefix(&it.prefix).unwrap_or(name);
                    }
                    giving.ways.push((service.clone(), name.to_owned(), way));
                }
            }
        }
        self.compose_secrets(&mut giving)?;
        let names = names::assign(&giving.wants, &request.taken);
        let (mut given, added) = self.given(&giving, &names);
        let (mut values, mut references, mut dso) =
            (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        for (want, name) in giving.wants.into_iter().zip(&names) {
            let local = format!("local:{name}");
            let reference = match (&want.content, &request.vault) {
                (Content::Reference(it), _) => it.clone(),
                (Content::Value(_), Some((folder, field))) => format!("{folder}/{name}#{field}"),
                _ => local,
            };
            given.secrets.insert(name.clone(), reference);
            match want.content {
                Content::Value(it) => drop(values.insert(name.clone(), it)),
                Content::Reference(_) => drop(references.insert(name.clone())),
                Content::Dso(it) => drop(dso.insert(name.clone(), it)),
            }
        }
        notes.extend(self.sources(&mut given));
        let mut texts = self.texts;
        let first = &mut texts.compose[0];
        first.now = given
            .write(&first.now)
            .map_err(|e| by_hand(&first.name, e))?;
        let (removes, left): (Vec<PathBuf>, Vec<PathBuf>) =
            giving.removes.into_iter().partition(|path| {
                let link = path.symlink_metadata().is_ok_and(|it| it.is_symlink());
                path.starts_with(&request.dir)
                    && !link
                    && !request.model.uses_path(&path.to_string_lossy())
            });
        notes.extend(self.notes);
        for (name, value) in &values {
            let one = Some(text(value)).filter(|it| it.len() >= LEAST && !it.contains('\n'));
            if let Some(place) = one.and_then(|it| texts.still(it)) {
                notes.push(format!("the value of {name} still stands at {place}"));
            }
        }
        let gone = texts.gone();
        for it in &texts.aside {
            for variable in it.needs(&gone) {
                notes.push(format!(
                    "{} uses {variable}, which compose does not find in the files with variables any more",
                    it.name
                ));
            }
        }
        notes.extend(left.iter().map(|path| {
            format!(
                "{} still holds a value, and is not only this project's: remove it yourself",
                path.display()
            )
        }));
        Ok(Plan {
            texts,
            values,
            references,
            dso,
            removes,
            moved: request.variables.clone(),
            added,
            secrets: request.secrets.clone(),
            gates: request.providers.keys().cloned().collect(),
            labels: request.labels,
            notes,
        })
    }

    /// Takes the secrets of compose's up.
    fn compose_secrets(&self, giving: &mut Giving) -> Result<()> {
        let request = self.request;
        for service in &request.secrets {
            for grant in &request.model.services[service].secrets {
                let value = match &request.model.secrets[&grant.source] {
                    Origin::File(path) => {
                        if self.undefined.contains(&grant.source) {
                            giving.removes.insert(path.clone());
                        }
                        request.files.get(path)
                    }
                    Origin::Variable(name) => request.model.variables.get(name),
                    Origin::Elsewhere => None,
                };
                let value = value.ok_or_else(|| {
                    CommandError::internal(format!("the secret {} has no value", grant.source))
                })?;
                let content = Content::Value(Arc::clone(value));
                let want = giving.want(service, &grant.source, content);
                giving.grants.push((service.clone(), grant.clone(), want));
            }
        }
        Ok(())
    }

    /// What services are given under these names, and the variables that they have instead of others.
    fn given(
        &self,
        giving: &Giving,
        names: &[String],
    ) -> (Grants, BTreeSet<(String, String, String)>) {
        let request = self.request;
        let mut given = Grants::default();
        let mut added = BTreeSet::new();
        for (service, name, way) in &giving.ways {
            let own = given.services.entry(service.clone()).or_default();
            match way {
                Way::Text(all) => drop(own.env.insert(name.clone(), filled(all, names))),
                Way::Visible(all) => drop(own.visible.insert(name.clone(), filled(all, names))),
                Way::File { want, first_start } => {
                    let variable = self.file_variable(&(service.clone(), name.clone()));
                    added.insert((service.clone(), variable, self.file_path(service, name)));
                    own.first_start |= first_start;
                    own.asks |= !first_start;
                    let it = Given {
                        source: names[*want].clone(),
                        target: self.file_target(service, name),
                        ..Given::default()
                    };
                    // Two variables may have the path of one file.
                    if !own.files.contains(&it) {
                        own.files.push(it);
                    }
                }
            }
        }
        for (service, grant, want) in &giving.grants {
            let own = given.services.entry(service.clone()).or_default();
            own.files.push(Given {
                source: names[*want].clone(),
                target: grant.below().unwrap_or(&grant.source).to_owned(),
                mode: grant.mode.clone(),
                uid: grant.uid.clone(),
                gid: grant.gid.clone(),
            });
            own.asks = true;
        }
        for (service, own) in &mut given.services {
            own.asks |= !own.env.is_empty() || !own.visible.is_empty();
            if self.path(service) != "/run/secrets" && !request.paths.contains_key(service) {
                own.path = Some(self.path(service).to_owned());
            }
            if request.labels {
                let said = peer::on_change(&request.model.services[service]);
                own.on_change = said.map(str::to_owned);
            }
        }
        (given, added)
    }

    /// Says where secrets live, if nobody does and it is known; a sentence for each that is not.
    fn sources(&self, given: &mut Grants) -> Vec<String> {
        let request = self.request;
        let mut notes = Vec::new();
        if given
            .services
            .values()
            .any(|it| it.on_change.as_deref() == Some("rollout"))
        {
            notes.push("DSO's rolling is `on_change: rollout`, which this version does not do yet: new values are delivered, and nothing restarts; write `on_change: restart` until then".to_owned());
        }
        for (name, it) in &request.providers {
            if it.env.keys().any(|it| it.starts_with("LOCKET_")) {
                notes.push(format!(
                    "the variables of {name} begin with LOCKET_, so compose hands them over as before (`via: compose`), and `docker inspect` shows them: give the service another name to be rid of that"
                ));
            }
        }
        let references = given
            .secrets
            .values()
            .filter_map(|it| it.parse::<SecretRef>().ok());
        let used: BTreeSet<String> = references.map(|it| it.source().to_string()).collect();
        for name in used
            .iter()
            .filter(|it| it.as_str() == "bao" && !request.sources.contains(*it))
        {
            let mut all = request.providers.values().map(|it| &it.source);
            match all.clone().find_map(|it| it.as_ref().ok()) {
                Some(it) => drop(given.sources.insert(name.clone(), it.clone())),
                None => {
                    let known = all.find_map(|it| it.as_ref().err());
                    notes.push(peer::unknown_source(name, known.map(String::as_str)));
                }
            }
        }
        notes
    }

    /// A reference of another tool, as we give it.
    fn refer(&self, giving: &mut Giving, service: &str, foreign: &Foreign) -> Way {
        match foreign {
            Foreign::Dso { path, file } => {
                let content = Content::Dso(self.dso_name(path));
                let want = giving.want(service, &self.dso_hint(path), content);
                if *file {
                    Way::File {
                        want,
                        first_start: false,
                    }
                } else {
                    Way::Text(vec![Fill::Secret(want)])
                }
            }
            Foreign::Text(all) => {
                let mut fill = |it: &Piece| match it {
                    Piece::Plain(text) => Fill::Plain(escaped(text)),
                    Piece::Secret(it) => {
                        let content = Content::Reference(it.to_string());
                        Fill::Secret(giving.want(service, &hint(it), content))
                    }
                };
                Way::Text(all.iter().map(&mut fill).collect())
            }
        }
    }

    /// How a variable is given.
    fn way(&self, giving: &mut Giving, service: &str, name: &str) -> Way {
        let it = &self.request.model.services[service];
        let variable = (service.to_owned(), name.to_owned());
        if let Some(foreign) = self.request.refers(&variable) {
            return self.refer(giving, service, &foreign);
        }
        let written = it.written.get(name).and_then(Option::as_deref);
        let single = written.and_then(dotenv::single);
        let whole = Content::Value(Arc::clone(&it.environment[name]));
        if self.files.contains_key(&variable) {
            let variable =
                single.filter(|(before, _, after)| before.is_empty() && after.is_empty());
            let variable = variable.map_or(name, |(_, it, _)| it);
            let want = giving.want(service, variable, whole);
            return Way::File {
                want,
                first_start: true,
            };
        }
        match single {
            Some(("", variable, "")) => {
                Way::Text(vec![Fill::Secret(giving.want(service, variable, whole))])
            }
            Some((before, variable, after)) => {
                let value = text(&it.environment[name]);
                let inner = value
                    .strip_prefix(before)
                    .and_then(|it| it.strip_suffix(after));
                let known = self.request.model.variables.get(variable);
                let plain = !before.contains("{{")
                    && !after.contains("{{")
                    && format(&format!("{before}{after}")).is_none();
                match (inner, known) {
                    (Some(inner), Some(known))
                        if plain
                            && !inner.is_empty()
                            && inner.as_bytes() == known.expose()
                            && self.is_part(variable, before, inner, after) =>
                    {
                        let content = Content::Value(Arc::clone(known));
                        let want = giving.want(service, variable, content);
                        let plain = |it: &str| Fill::Plain(it.to_owned());
                        // The next value may have characters that mean something in a URL; this one must stay what it is.
                        let secret = match before.contains("://") && is_unreserved(inner) {
                            true => Fill::Encoded(want),
                            false => Fill::Secret(want),
                        };
                        Way::Text(vec![plain(before), secret, plain(after)])
                    }
                    _ => Way::Text(vec![Fill::Secret(giving.want(service, name, whole))]),
                }
            }
            None => Way::Text(vec![Fill::Secret(giving.want(service, name, whole))]),
        }
    }

    /// Whether the part is the secret: by its own looks, or because without it the rest is none.
    fn is_part(&self, variable: &str, before: &str, inner: &str, after: &str) -> bool {
        let all = format!("{before}{inner}{after}");
        likeness(variable, inner).is_some() || format(&all).is_some()
    }
}

/// See [`Work::way`].
enum Way {
    /// A variable.
    Text(Vec<Fill>),
    /// A variable that compose hands over.
    Visible(Vec<Fill>),
    /// A file, whose path is in a variable.
    File {
        want: usize,
        /// It is read at the first start only.
        first_start: bool,
    },
}

/// A part of a variable.
enum Fill {
    Plain(String),
    /// The want with this number.
    Secret(usize),
    /// The same in a URL.
    Encoded(usize),
}

/// Whether a text is the same in a URL. See <https://www.rfc-editor.org/rfc/rfc3986#section-2.3>.
fn is_unreserved(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

/// A name, or a text with names in it.
fn filled(all: &[Fill], names: &[String]) -> String {
    if let [Fill::Secret(want)] = all {
        return names[*want].clone();
    }
    let one = |it: &Fill| match it {
        Fill::Plain(text) => text.clone(),
        Fill::Secret(want) => format!("{{{{ {} }}}}", names[*want]),
        Fill::Encoded(want) => format!("{{{{ {} | urlencode }}}}", names[*want]),
    };
    all.iter().map(one).collect()
}
