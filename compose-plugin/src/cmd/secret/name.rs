//! What a name means: in a project's folder the catalogue decides, elsewhere it is written in full.

use std::collections::BTreeSet;

use locket_crds::id::{ProjectName, SecretName};
use locket_crds::names::nearest;
use locket_crds::reference::SecretRef;
use locket_crds::spec::ProjectSpec;
use locket_providers::local::{self, Name};

use crate::compose::ComposeFlags;
use crate::context::Context;
use crate::error::{CommandError, Result};
use crate::project;

/// What is known of the current folder.
#[derive(Default)]
pub struct Folder {
    project: Option<ProjectName>,
    spec: Option<ProjectSpec>,
    used: BTreeSet<SecretRef>,
}

/// A name in the store.
#[derive(Debug, PartialEq, Eq)]
pub struct Resolved {
    /// In full.
    pub name: Name,
    /// What the user should know before it is set.
    pub warning: Option<String>,
}

impl Folder {
    /// Whether a service of the project here is given it, as far as that is known.
    pub fn uses(&self, name: &Name) -> bool {
        let spec = self.spec.as_ref();
        spec.is_some_and(|spec| self.used.iter().any(|it| means(spec, it, name)))
    }

    /// Reads the folder, as far as it matters for this name. A project that cannot be read is told at another time.
    ///
    /// # Errors
    /// Compose files were named and are not there.
    pub async fn read(cx: &Context, flags: &ComposeFlags, given: &str) -> Result<Self> {
        if given.contains('/') {
            return Ok(Self::default());
        }
        if project::files(cx, flags)?.is_none() {
            return Ok(Self {
                project: project::name(cx, flags).await?,
                ..Self::default()
            });
        }
        match project::load(cx, flags).await {
            Ok(loaded) if loaded.spec.is_some() => {
                let used = project::references(&loaded.items);
                Ok(Self {
                    project: loaded.spec.as_ref().map(|s| s.project.clone()),
                    spec: loaded.spec,
                    used,
                })
            }
            _ => Ok(Self {
                project: project::name(cx, flags).await?,
                ..Self::default()
            }),
        }
    }

    /// The name in full.
    ///
    /// # Errors
    /// It is no name, has no project, or belongs to another source.
    pub fn resolve(&self, given: &str) -> Result<Resolved> {
        let plain = |name: Result<Name, local::Error>| {
            Ok(Resolved {
                name: name.map_err(of_name)?,
                warning: None,
            })
        };
        if given.contains('/') {
            return plain(Name::parse(given));
        }
        let Some(project) = self.project.as_ref().map(ProjectName::as_str) else {
            return Err(CommandError::user(format!(
                "{given} belongs to no project, because none is here"
            ))
            .hint("write PROJECT/NAME, or /NAME for a secret of all projects"));
        };
        let Some(spec) = &self.spec else {
            // No compose project has a dot in its name: this one stands for a container of `docker run`.
            if project.contains('.') {
                return plain(Name::in_project(project, given));
            }
            let warning = format!(
                "the compose files cannot be read, so {given} was not looked up in x-locket.secrets"
            );
            return Ok(Resolved {
                name: Name::in_project(project, given).map_err(of_name)?,
                warning: Some(warning),
            });
        };
        match spec.secrets.get(given) {
            Some(entry) if is_local(spec, &entry.reference) => {
                plain(Name::in_project(project, entry.reference.path()))
            }
            Some(entry) => {
                let source = entry.reference.source();
                Err(CommandError::user(format!(
                    "{given} comes from {source} ({}), not from the built-in store",
                    entry.reference
                ))
                .hint(format!(
                    "change it in {source}; the built-in store's own is `{project}/{given}` in full"
                )))
            }
            None => {
                let name = Name::in_project(project, given).map_err(of_name)?;
                let catalogue = spec.secrets.values().map(|s| &s.reference);
                let known = catalogue.chain(&self.used).any(|it| means(spec, it, &name));
                let near = nearest(given, spec.secrets.keys().map(SecretName::as_str));
                let near = near.map_or_else(String::new, |it| format!(" (did you mean `{it}`?)"));
                let warning = format!(
                    "x-locket.secrets has no {given}{near}; services use it as `local:{given}`"
                );
                Ok(Resolved {
                    name,
                    warning: (!known).then_some(warning),
                })
            }
        }
    }
}

/// Whether a reference of this project means a name of the built-in store.
fn means(spec: &ProjectSpec, reference: &SecretRef, name: &Name) -> bool {
    is_local(spec, reference)
        && Name::in_project(spec.project.as_str(), reference.path()).is_ok_and(|it| it == *name)
}

/// Whether a reference of the project means the built-in store.
pub fn is_local(spec: &ProjectSpec, reference: &SecretRef) -> bool {
    let name = reference.source();
    spec.sources
        .get(name)
        .map_or(name.as_str() == "local", |source| source.kind == "local")
}

fn of_name(e: local::Error) -> CommandError {
    let help = e.help();
    help.into_iter()
        .fold(CommandError::user(e.to_string()), CommandError::hint)
}

#[cfg(test)]
mod tests {
    use locket_crds::compose::{ModelInput, compile};
    use locket_crds::resolve::resolve;
    use locket_crds::text::Text;

    use super::*;

    const SHOP: &str = r#"
name: shop
x-locket:
  sources: { mine: local, bao: { type: openbao, url: "https://bao.test", auth: { token: { file: /t } } } }
  secrets: { db: local:database, smtp: local:smtp, all: local:/shared, other: mine:elsewhere, key: "bao:kv/shop#key" }
services:
  app: { image: x, x-locket: { secrets: [{ source: "local:inline", target: inline }], env: { A: "{{ local:deep }}" } } }
"#;

    fn shop() -> Folder {
        let sources = [Text::new("compose.yaml", SHOP)];
        let read_template = |_: &str| Err("none".to_owned());
        let input = ModelInput {
            model_yaml: SHOP,
            sources: &sources,
            working_dir: "/srv/shop",
            read_template: &read_template,
        };
        let (spec, problems) = compile(&input);
        let spec = spec.unwrap_or_else(|| panic!("{problems:?}"));
        let used = project::references(&resolve(&spec).0);
        Folder {
            project: Some("shop".into()),
            spec: Some(spec),
            used,
        }
    }

    fn name(folder: &Folder, given: &str) -> String {
        match folder.resolve(given) {
            Ok(it) => format!(
                "{}{}",
                it.name,
                it.warning.map(|w| format!(" [{w}]")).unwrap_or_default()
            ),
            Err(e) => format!("{} [{}]", e.message, e.hints.join("; ")),
        }
    }

    #[test]
    fn what_services_are_given_is_known() {
        let shop = shop();
        let uses = |given: &str| shop.uses(&shop.resolve(given).unwrap().name);
        assert!(uses("inline") && uses("deep"));
        assert!(!uses("db"), "it is in the catalogue, and nobody has it");
        assert!(!Folder::default().uses(&Name::parse("shop/inline").unwrap()));
    }

    #[test]
    fn in_a_projects_folder_the_catalogue_decides() {
        let shop = shop();
        for (given, expected) in [
            ("db", "shop/database"),
            ("smtp", "shop/smtp"),
            ("all", "/shared"),
            ("other", "shop/elsewhere"),
            ("database", "shop/database"),
            ("inline", "shop/inline"),
            ("deep", "shop/deep"),
            (
                "new",
                "shop/new [x-locket.secrets has no new; services use it as `local:new`]",
            ),
            (
                "smpt",
                "shop/smpt [x-locket.secrets has no smpt (did you mean `smtp`?); services use it as `local:smpt`]",
            ),
            ("bank/x", "bank/x"),
            ("/x", "/x"),
            (
                "key",
                "key comes from bao (bao:kv/shop#key), not from the built-in store [change it in bao; the built-in store's own is `shop/key` in full]",
            ),
            ("a b", "\"a b\" is not a name of the local store"),
        ] {
            let found = name(&shop, given);
            assert!(
                found == expected || (given == "a b" && found.contains("is not a name")),
                "{given}: {found}"
            );
        }
    }

    #[test]
    fn elsewhere_a_name_is_written_in_full() {
        let nowhere = Folder::default();
        assert_eq!(name(&nowhere, "bank/x"), "bank/x");
        assert!(name(&nowhere, "x").contains("belongs to no project"));
        let unreadable = Folder {
            project: Some("shop".into()),
            ..Folder::default()
        };
        assert!(name(&unreadable, "x").starts_with("shop/x [the compose files cannot be read"));
    }
}
