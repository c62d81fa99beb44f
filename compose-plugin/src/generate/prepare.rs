//! From the user's files to the changes that make a project complete. Nothing is written here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use locket_crds::id::ServiceName;
use locket_crds::labels;
use locket_crds::spec::{ProjectSpec, Via};

use super::{Additions, EditError, GATE, PROVIDER, Place, What};
use super::{
    additions, document, gate, images, inline, needs_volume, own, place, sufficient,
    with_compose_file,
};
use crate::compose::{self, ComposeFlags, Files, Loaded, Profiles, Raw, Request, files};
use crate::docker::Docker;
use crate::error::{CommandError, Result};
use crate::user_files::{self, Change};

/// What shall be made of a project.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Everything goes into the user's own file.
    pub inline: bool,
    /// A gate, also where no service uses a secret yet.
    pub always_gate: bool,
    /// Nothing is written: gate and `depends_on` are among the additions.
    pub in_memory: bool,
    /// No gate: what services ask for stands in labels.
    pub labels: bool,
}

/// The changes that a project needs.
pub struct Prepared {
    /// The project without what was generated before.
    pub loaded: Loaded,
    /// What is added.
    pub additions: Additions,
    /// The user's own files; only those that change.
    pub own: Vec<Change>,
    /// The generated file; `None` if there is none and need not be.
    pub generated: Option<Change>,
    /// What the user has to do besides, one sentence each.
    pub notes: Vec<String>,
    /// The generated file is one that compose has not been told of.
    pub unread: bool,
    /// Images that are not at hand, and might have a healthcheck to wrap.
    pub unknown_images: BTreeSet<String>,
}

/// Reads the user's files and works out what is missing.
///
/// # Errors
/// The user's problem: diagnostics, compose's own refusal, a name that is taken, a file that is not edited automatically.
pub async fn prepare(
    docker: &Docker,
    flags: &ComposeFlags,
    env: &BTreeMap<String, String>,
    dir: &Path,
    options: Options,
    color: bool,
) -> Result<Prepared> {
    docker.require_compose().await?;
    let all = files::find(flags, env, dir)?;
    let base = all.without_generated();
    if base.paths.is_empty() {
        return Err(CommandError::user("only generated files were named")
            .hint("name the project's own compose file too"));
    }
    let request = Request {
        flags,
        files: &base,
        profiles: Profiles::All,
    };
    let loaded = compose::load(docker, &request).await?;
    let spec = loaded.spec(color)?;
    let needs_raw = spec.services.values().any(needs_volume);
    let raw = if needs_raw {
        compose::raw(docker, &request).await?
    } else {
        Raw::default()
    };
    let images = images::wanted(spec, &raw);
    let checks = images::look_up(docker, &images).await;
    let missing = sufficient(spec, &loaded.extras);
    let mut wanted = additions(spec, &raw, &checks);
    // What the user's own file has in full, by hand or by an earlier `--inline`, is not written twice.
    let lacking: BTreeSet<&str> = missing
        .iter()
        .filter(|m| !matches!(m.what, What::Gate | What::DependsOn(_)))
        .filter_map(|m| m.service.as_ref().map(ServiceName::as_str))
        .collect();
    wanted
        .services
        .retain(|name, _| options.labels || lacking.contains(name.as_str()));
    let place = place(&all);
    let before = user_files::read(place.path())?;
    let unknown = keep_checks(&mut wanted, &images, &checks, before.as_deref());

    let mut texts = Texts::read(&base)?;
    let name = gate_name(spec, &base)?;
    let no_gate = !options.labels
        && (missing.iter().any(|m| m.what == What::Gate)
            || (options.always_gate && gate(spec).is_none()));
    if no_gate && options.in_memory {
        wanted.gate = Some(name.clone());
    } else if no_gate {
        texts.edit(&base, "the gate", own::has_services, |text| {
            own::with_gate(text, &name)
        })?;
    }
    let unordered = match options.labels {
        true => {
            label(spec, &mut wanted)?;
            BTreeSet::new()
        }
        false => early(spec, &missing),
    };
    for service in unordered {
        let defines = |text: &str| own::defines(text, service.as_str());
        if !options.in_memory && texts.any(defines) {
            let what = format!("`depends_on: [{name}]` of service {service}");
            texts.edit(&base, &what, defines, |text| {
                own::with_dependency(text, service.as_str(), &name)
            })?;
        } else {
            // It comes from an included file, which knows nothing of the gate and would be refused with it.
            wanted.depends_on.insert(service.to_string(), name.clone());
        }
    }
    if options.inline {
        for (service, it) in std::mem::take(&mut wanted.services) {
            let what = format!("the mounts of service {service}");
            let defines = |text: &str| own::defines(text, &service);
            texts.edit(&base, &what, defines, |text| {
                inline::with_service(text, &service, &it)
            })?;
        }
    }
    let mut out = Prepared {
        additions: wanted,
        own: Vec::new(),
        generated: None,
        notes: Vec::new(),
        unread: false,
        unknown_images: unknown,
        loaded,
    };
    let nothing = out.additions.services.is_empty()
        && out.additions.depends_on.is_empty()
        && before.is_none();
    if !options.in_memory && !nothing {
        let path = place.path();
        refuse_foreign(path, before.as_deref())?;
        out.generated = Some(Change {
            path: path.clone(),
            before,
            after: document::render(&out.additions),
        });
        out.unread = !all.paths.contains(path) && !matches!(place, Place::Read(_));
        if out.unread {
            tell(&place, &all, &mut texts, &mut out.notes)?;
        }
    }
    out.own = texts.changes();
    Ok(out)
}

/// The services that would start without waiting for the gate, also where it is yet to be made.
fn early<'a>(spec: &'a ProjectSpec, missing: &'a [super::Missing]) -> BTreeSet<&'a ServiceName> {
    if gate(spec).is_some() {
        let early = missing
            .iter()
            .filter(|m| matches!(m.what, What::DependsOn(_)));
        return early.filter_map(|m| m.service.as_ref()).collect();
    }
    let uses = spec
        .services
        .iter()
        .filter(|(_, asked)| needs_volume(asked) || !asked.env.is_empty());
    uses.map(|(name, _)| name).collect()
}

/// Puts into labels what a gate would hand over.
fn label(spec: &ProjectSpec, wanted: &mut Additions) -> Result<()> {
    if let Some(gate) = gate(spec) {
        return Err(CommandError::user(format!(
            "service {gate} is the gate, which compose calls only where the plugin is"
        ))
        .hint("without the plugin there is none: remove it, and the `depends_on` that name it"));
    }
    for (name, asked) in &spec.services {
        if let Some((key, _)) = asked.env.iter().find(|(_, it)| it.via == Via::Compose) {
            return Err(CommandError::user(format!(
                "{key} of service {name} has `via: compose`, and no gate is there to hand it over"
            ))
            .hint("leave `via` out: the shim sets the variable"));
        }
        if let Some(it) = wanted.services.get_mut(name.as_str()) {
            it.label = labels::write(spec, name);
        }
    }
    Ok(())
}

/// The name of the gate that is there, or of the one to be made.
fn gate_name(spec: &ProjectSpec, files: &Files) -> Result<String> {
    if let Some(name) = gate(spec) {
        return Ok(name.to_string());
    }
    if spec.model.contains_key(GATE) {
        return Err(CommandError::user(format!("a service is called `{GATE}` already, and it is not the gate")).hint(format!(
            "add the gate to {} under another name: `secrets: {{ provider: {{ type: {PROVIDER} }} }}`",
            files.name(&files.paths[0])
        )));
    }
    Ok(GATE.to_owned())
}

/// Where an image is not at hand, what an earlier run has found in it stays. Returns the images that nobody knows.
fn keep_checks(
    wanted: &mut Additions,
    images: &BTreeMap<String, String>,
    checks: &BTreeMap<String, images::ImageCheck>,
    before: Option<&str>,
) -> BTreeSet<String> {
    let mut unknown = BTreeSet::new();
    for (name, image) in images
        .iter()
        .filter(|(name, _)| !checks.contains_key(*name))
    {
        let Some(it) = wanted.services.get_mut(name) else {
            continue;
        };
        let kept = before.and_then(|text| document::kept_check(text, name));
        it.check = kept.filter(|c| c.image.as_ref().is_some_and(|(of, _)| of == image));
        if it.check.is_none() {
            unknown.insert(image.clone());
        }
    }
    unknown
}

fn refuse_foreign(path: &Path, before: Option<&str>) -> Result<()> {
    match before {
        Some(text) if !text.starts_with(compose::GENERATED) => Err(CommandError::user(format!(
            "{} is there already and was not made by `generate`",
            path.display()
        ))
        .hint("rename it, or add the lines to the compose file itself with `--inline`")),
        _ => Ok(()),
    }
}

/// Makes compose read the generated file, or says how.
fn tell(place: &Place, all: &Files, texts: &mut Texts, notes: &mut Vec<String>) -> Result<()> {
    let path = place.path();
    match place {
        Place::Read(_) => {}
        Place::DotEnv(_) => {
            let home = all.env_file.parent().unwrap_or(&all.project_dir);
            let relative = |p: &Path| p.strip_prefix(home).unwrap_or(p).display().to_string();
            let names: Vec<String> = all
                .paths
                .iter()
                .chain([path])
                .map(|p| relative(p))
                .collect();
            let before = user_files::read(&all.env_file)?;
            let after = with_compose_file(before.as_deref().unwrap_or_default(), &names);
            texts.others.push(Change {
                path: all.env_file.clone(),
                before,
                after,
            });
        }
        Place::Flag(_) => notes.push(format!(
            "give compose the generated file too: `-f {}`, after the others",
            all.name(path)
        )),
        Place::Environment(_) => notes.push(format!(
            "add {} to COMPOSE_FILE in the environment",
            path.display()
        )),
    }
    Ok(())
}

/// The user's compose files while they are being edited.
struct Texts {
    all: Vec<(PathBuf, String, String)>,
    others: Vec<Change>,
}

impl Texts {
    fn read(files: &Files) -> Result<Self> {
        let one = |path: &PathBuf| {
            let text = user_files::read(path)?.unwrap_or_default();
            Ok((path.clone(), text.clone(), text))
        };
        Ok(Self {
            all: files.paths.iter().map(one).collect::<Result<_>>()?,
            others: Vec::new(),
        })
    }

    fn any(&self, is_it: impl Fn(&str) -> bool) -> bool {
        self.all.iter().any(|(_, _, text)| is_it(text))
    }

    /// Edits the first file that is the right one.
    fn edit(
        &mut self,
        files: &Files,
        what: &str,
        is_it: impl Fn(&str) -> bool,
        edit: impl Fn(&str) -> std::result::Result<String, EditError>,
    ) -> Result<()> {
        let by_hand =
            |e: CommandError| e.hint("add it by hand; docs/guides/compose-file.md shows the forms");
        let Some((path, _, text)) = self.all.iter_mut().find(|(_, _, text)| is_it(text)) else {
            return Err(by_hand(CommandError::user(format!(
                "no compose file of the project is one that {what} can be added to"
            ))));
        };
        *text = edit(text).map_err(|e| {
            by_hand(
                CommandError::user(format!("{what} cannot be added to {}", files.name(path)))
                    .because(e),
            )
        })?;
        Ok(())
    }

    fn changes(self) -> Vec<Change> {
        let own = self.all.into_iter().map(|(path, before, after)| Change {
            path,
            before: Some(before),
            after,
        });
        own.chain(self.others).filter(|c| !c.is_empty()).collect()
    }
}
