//! Looking names up: from what a project asks for to the items that planner and renderer share.
//!
//! Everything that can be said without a backend and without the engine is said here, at once. `recreate` and `rollout`
//! are not problems: the planner answers them with a condition.

mod target;

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{Code, Diagnostic};
use crate::id::{SecretName, ServiceName};
use crate::item::{Content, Input, Item, Target};
use crate::names::{is_local, nearest, suggest};
use crate::reference::{SCHEMES, SecretRef};
use crate::spec::{
    EnvValue, FileGrant, Operand, Origin, ProjectSpec, SecretSpec, ServiceSpec, Via,
};
use crate::template::{Filter, Part, Template};

use target::Targets;

/// Looks every name of a project up. The diagnostics come in the order of the files.
///
/// A service with an error has no entry among the items: what is delivered is complete or stays as it was.
pub fn resolve(spec: &ProjectSpec) -> (BTreeMap<ServiceName, Vec<Item>>, Vec<Diagnostic>) {
    let mut it = Resolver {
        spec,
        problems: Vec::new(),
        used: BTreeSet::new(),
        handed: BTreeMap::new(),
    };
    let mut items = BTreeMap::new();
    for (name, service) in &spec.services {
        let before = it.errors();
        let found = it.service(name, service);
        if it.errors() == before {
            items.insert(name.clone(), found);
        }
    }
    it.catalogue();
    it.problems
        .sort_by(|a, b| (&a.place.origin, a.code).cmp(&(&b.place.origin, b.code)));
    // Two services that share their words through an anchor have one problem.
    it.problems.dedup();
    (items, it.problems)
}

struct Resolver<'a> {
    spec: &'a ProjectSpec,
    problems: Vec<Diagnostic>,
    used: BTreeSet<&'a SecretName>,
    /// Variables that compose is handed, and who asked first.
    handed: BTreeMap<&'a str, (Content, &'a Origin)>,
}

impl<'a> Resolver<'a> {
    fn say(&mut self, code: Code, origin: &Origin, message: impl Into<String>) -> &mut Diagnostic {
        self.problems
            .push(Diagnostic::new(code, origin.clone(), message));
        // It was just put there.
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    fn errors(&self) -> usize {
        self.problems.iter().filter(|d| d.is_error()).count()
    }

    fn service(&mut self, name: &ServiceName, service: &'a ServiceSpec) -> Vec<Item> {
        self.overlap(name, service);
        let mut items: Vec<Item> = service
            .secrets
            .iter()
            .flat_map(|grant| self.file(grant))
            .collect();
        for grant in &service.templates {
            if let Some(content) = self.template(&grant.content, &grant.origin) {
                let target = Target::File {
                    path: grant.target.clone(),
                    file: grant.file.clone(),
                };
                items.push(Item {
                    target,
                    content,
                    origin: grant.origin.clone(),
                });
            }
        }
        let mut targets = Targets::default();
        items.retain(|item| match &item.target {
            Target::File { path, .. } => targets.add(path, &item.origin, &mut self.problems),
            Target::Env { .. } | Target::ComposeEnv { .. } => true,
        });
        for (key, grant) in &service.env {
            let fine = self.env_name(key, &grant.origin);
            let content = match &grant.value {
                EnvValue::Secret(operand) => {
                    self.single(operand, &grant.origin).map(Content::Secret)
                }
                EnvValue::Template(template) => self.template(template, &grant.origin),
            };
            let target = match grant.via {
                Via::Shim => Target::Env { key: key.clone() },
                Via::Compose => {
                    self.handed(key, content.as_ref(), &grant.origin);
                    Target::ComposeEnv { key: key.clone() }
                }
            };
            items.extend(content.filter(|_| fine).map(|content| Item {
                target,
                content,
                origin: grant.origin.clone(),
            }));
        }
        items
    }

    /// A variable that compose is handed: all can see it, and there is one namespace for all services.
    fn handed(&mut self, key: &'a str, content: Option<&Content>, origin: &'a Origin) {
        let message = format!("{key} will be visible in `docker inspect`");
        self.say(Code::Visible, origin, message).help =
            Some("leave `via: compose` out if the shim can be used".to_owned());
        let Some(content) = content else { return };
        let hashes = |filter: &Filter| matches!(filter, Filter::Bcrypt | Filter::Htpasswd(_));
        let hashed = |part: &Part| matches!(part, Part::Expr(e) if e.filters.iter().any(hashes));
        if matches!(content, Content::Template { template, .. } if template.parts().iter().any(hashed))
        {
            let message = format!("{key} is a password hash, and its salt would be no secret");
            self.say(Code::VisibleHash, origin, message).help =
                Some("leave `via: compose` out, or deliver it as a file".to_owned());
        }
        match self.handed.get(key) {
            Some((other, first)) if other != content => {
                let first = (*first).clone();
                let message = format!("two services hand compose {key}, with different values");
                let problem = Diagnostic::new(Code::EnvConflict, origin.clone(), message);
                self.problems.push(
                    problem
                        .label(first, "the other one")
                        .help("give one of them another name"),
                );
            }
            Some(_) => {}
            None => drop(self.handed.insert(key, (content.clone(), origin))),
        }
    }

    /// Compose's own files must not lie in our mount, which would hide them.
    fn overlap(&mut self, name: &ServiceName, service: &ServiceSpec) {
        let inside = |file: &&String| {
            target::within(file, &service.path) || target::within(&service.path, file)
        };
        let own = self.spec.model.get(name).map_or(&[][..], |m| &m.own_files);
        if let Some(file) = own.iter().find(inside) {
            let message = format!(
                "compose's own {file} of service {name} would lie in {}",
                service.path
            );
            self.say(Code::Overlap, &service.origin, message).help =
                Some("give the service another `path`, for example `/run/locket`".to_owned());
        }
    }

    fn file(&mut self, grant: &'a FileGrant) -> Vec<Item> {
        let item = |path: String, reference: SecretRef, allow_empty| Item {
            target: Target::File {
                path,
                file: grant.file.clone(),
            },
            content: Content::Secret(Input {
                reference,
                allow_empty,
            }),
            origin: grant.origin.clone(),
        };
        match &grant.source {
            Operand::Ref(reference) => {
                self.reference(reference, &grant.origin);
                vec![item(grant.target.clone(), reference.clone(), false)]
            }
            Operand::Name(name) => match self.entry(name, &grant.origin) {
                None => Vec::new(),
                Some(entry) if entry.fields.is_empty() => vec![item(
                    grant.target.clone(),
                    entry.reference.clone(),
                    entry.allow_empty,
                )],
                Some(entry) => {
                    let path =
                        |file: &str| format!("{}/{file}", grant.target.trim_end_matches('/'));
                    entry
                        .fields
                        .iter()
                        .map(|(file, field)| {
                            item(
                                path(file),
                                entry.reference.with_field(field),
                                entry.allow_empty,
                            )
                        })
                        .collect()
                }
            },
        }
    }

    fn entry(&mut self, name: &'a SecretName, origin: &Origin) -> Option<&'a SecretSpec> {
        let catalogue = &self.spec.secrets;
        let found = catalogue.get_key_value(name);
        match found {
            Some((name, entry)) => {
                self.used.insert(name);
                Some(entry)
            }
            None => {
                let help = suggest(name.as_str(), catalogue.keys().map(SecretName::as_str));
                let help = help.unwrap_or_else(|| "`x-locket.secrets` names none; write `<source>:<path>#<field>` or add it there".to_owned());
                let message = format!("the catalogue has no secret `{name}`");
                let it = Diagnostic::new(Code::UnknownName, origin.clone(), message);
                self.problems.push(
                    it.help(help)
                        .mistyped(name.as_str(), catalogue.keys().map(SecretName::as_str)),
                );
                None
            }
        }
    }

    /// A secret that is one value.
    fn single(&mut self, operand: &'a Operand, origin: &Origin) -> Option<Input> {
        let name = match operand {
            Operand::Ref(reference) => {
                self.reference(reference, origin);
                return Some(Input {
                    reference: reference.clone(),
                    allow_empty: false,
                });
            }
            Operand::Name(name) => name,
        };
        let entry = self.entry(name, origin)?;
        if let Some(field) = entry.fields.values().next() {
            let help = format!("name one field: `{}`", entry.reference.with_field(field));
            self.say(
                Code::ManyFields,
                origin,
                format!("`{name}` is a directory of files, not one value"),
            )
            .help = Some(help);
            return None;
        }
        Some(Input {
            reference: entry.reference.clone(),
            allow_empty: entry.allow_empty,
        })
    }

    fn template(&mut self, template: &'a Template, origin: &Origin) -> Option<Content> {
        let before = self.errors();
        let mut names = BTreeMap::new();
        for operand in template.operands() {
            let input = self.single(operand, origin);
            if let (Operand::Name(name), Some(input)) = (operand, input) {
                names.insert(name.clone(), input);
            }
        }
        let totp = |part: &Part| matches!(part, Part::Expr(e) if e.filters.contains(&Filter::Totp));
        if template.parts().iter().any(totp) {
            let message = "`totp` changes all the time, and so would what is delivered";
            self.say(Code::Totp, origin, message).help =
                Some("use it in one-shot commands; a service gets the secret itself".to_owned());
        }
        (self.errors() == before).then(|| Content::Template {
            template: template.clone(),
            names,
        })
    }

    fn env_name(&mut self, key: &str, origin: &Origin) -> bool {
        if key.is_empty() || key.contains(['=', '\0']) || key.contains(char::is_control) {
            self.say(
                Code::EnvName,
                origin,
                format!("`{}` cannot be the name of a variable", key.escape_debug()),
            );
            return false;
        }
        if key.starts_with("LOCKET_") {
            self.say(
                Code::Reserved,
                origin,
                format!(
                    "{key} is not for others: variables that begin with LOCKET_ are locket's own"
                ),
            );
            return false;
        }
        if key.starts_with(|c: char| c.is_ascii_digit())
            || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            self.say(
                Code::UnportableEnvName,
                origin,
                format!("`{key}` is a name that shells cannot use"),
            )
            .help = Some("use letters, digits and `_`, and begin with a letter".to_owned());
        }
        true
    }

    /// The catalogue itself: its references, and who uses them.
    fn catalogue(&mut self) {
        for (name, entry) in &self.spec.secrets {
            self.reference(&entry.reference, &entry.origin);
            if !self.used.contains(name) {
                self.say(
                    Code::UnusedSecret,
                    &entry.origin,
                    format!("no service uses `{name}`"),
                );
            }
        }
    }

    /// What can be said of a reference once the type of its source is known.
    fn reference(&mut self, reference: &SecretRef, origin: &Origin) {
        let name = reference.source();
        let scheme = SCHEMES.iter().find(|s| s.0 == name.as_str()).map(|s| s.1);
        let own = self.spec.sources.get(name).map(|s| s.kind.as_str());
        let Some(kind) = own.or(scheme) else {
            let known = self
                .spec
                .sources
                .keys()
                .map(|s| s.as_str())
                .chain(SCHEMES.iter().map(|s| s.0));
            let help = suggest(name.as_str(), known);
            self.say(
                Code::UnknownSource,
                origin,
                format!("there is no source `{name}`"),
            )
            .help = help;
            return;
        };
        if matches!(kind, "env" | "file" | "local" | "openbao" | "vault")
            && let Some(key) = reference.query().keys().next()
        {
            let near = nearest(key, ["version"]).map(|near| format!("did you mean `{near}`?"));
            self.say(
                Code::Reference,
                origin,
                format!("a source of type {kind} knows no parameter `{key}`"),
            )
            .help = near;
        }
        if kind == "local" {
            let path = reference.path();
            let project = self.spec.project.as_str();
            let (owner, own) = path.split_once('/').unwrap_or((project, path));
            if !is_local(own) {
                self.say(
                    Code::Reference,
                    origin,
                    format!("`{}` is no name in the built-in store", path.escape_debug()),
                )
                .help = Some("a name has letters, digits, `.`, `_` and `-`".to_owned());
            } else if !owner.is_empty() && owner != project {
                self.say(
                    Code::Reference,
                    origin,
                    format!("`{}` belongs to another project", path.escape_debug()),
                )
                .help = Some(format!(
                    "write `local:{own}` for this project's own, `local:/{own}` for one that all may share"
                ));
            }
        }
        if kind == "bws" && !is_uuid(reference.path()) {
            self.say(Code::Reference, origin, "what follows `bws:` is not a UUID")
                .help = Some(
                "write the id of the secret: `bws:be8e0ad8-d545-4017-a55a-b02f014d4158`".to_owned(),
            );
        }
    }
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12])
        && groups
            .iter()
            .all(|g| g.chars().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests;
