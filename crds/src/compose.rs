//! From compose files to a [`ProjectSpec`].
//!
//! Two inputs are walked at once: the model, as `docker compose config` prints it (YAML, because JSON drops nested
//! `x-…`), says what is meant; the user's own files say where it was written, and what it was before interpolation.
//! Of the model only what the spec has is ever read: environment, command and unknown keys are dropped with the tree.

mod catalogue;
mod interpolate;
mod merge;
mod model;
mod service;
mod source;
mod values;
mod written;

use std::collections::{BTreeMap, HashMap};

pub(crate) use catalogue::secret;
pub(crate) use service::{path as service_path, secrets, variable as env_variable};
pub(crate) use source::{KINDS, credential, only, path, source};
#[cfg(test)]
pub(crate) use tests::keys;
pub(crate) use values::{SIGNALS, Scope, defaults, on_change, source_name, template};

pub use interpolate::{Variables, variables_of};
pub(crate) use written::files;
pub use written::{check_sources, referenced_files};

use crate::config::is_redefined;
use crate::diag::{Code, Diagnostic, Place};
use crate::id::{ServiceName, SourceName};
use crate::labels;
use crate::names::{nearest, suggest};
use crate::read::{Cursor, Reading, Written, under, under_each};
use crate::reference::SecretRef;
use crate::resolve::resolve;
use crate::spec::{Defaults, Origin, ProjectSpec, SecretSpec, ServiceSpec, SourceSpec};
use crate::text::Text;
use crate::yaml::{self, Node, Value};

/// The keys of the top-level `x-locket`.
const KEYS: [&str; 4] = ["defaults", "secrets", "services", "sources"];

/// Where the user's own key is.
pub(crate) const X: &str = "x-locket";

/// A file of a template: its path, relative to what was asked for and empty if that is a file itself, and its text.
pub type TemplateFile = (String, String);

/// See [`ModelInput::read_template`].
pub type ReadTemplate<'a> = dyn Fn(&str) -> Result<Vec<TemplateFile>, String> + 'a;

/// What [`compile`] reads.
pub struct ModelInput<'a> {
    /// What `docker compose config` prints: YAML, interpolated, with every `$` doubled.
    pub model_yaml: &'a str,
    /// The user's compose files, in compose's order. Files that they include or extend come first, if they
    /// are at hand ([`referenced_files`]); what is written in no file that is here cannot be judged, and is refused where
    /// interpolation matters.
    pub sources: &'a [Text],
    /// The project directory, absolute.
    pub working_dir: &'a str,
    /// Reads a template, a file or all files of a directory, by its path as it was written. The error is one clause for people.
    pub read_template: &'a ReadTemplate<'a>,
}

/// Reads a project. The spec is `None` if there is an error among the diagnostics; they come in the order of the files.
///
/// Names are not looked up: that is [`crate::resolve::resolve`]'s.
pub fn compile(input: &ModelInput<'_>) -> (Option<ProjectSpec>, Vec<Diagnostic>) {
    let (files, mut problems) = written::files(input.sources);
    let Ok(mut model) = yaml::document(input.model_yaml) else {
        // The reader's own words might quote what was interpolated.
        problems.push(Diagnostic::new(
            Code::Syntax,
            nowhere(input.sources),
            "the output of `docker compose config` cannot be read",
        ));
        return (None, problems);
    };
    undouble(&mut model);
    of_model(&model, &files, problems, &[], input)
}

/// The place of what is in none of the files.
fn nowhere(sources: &[Text]) -> Place {
    let file = sources
        .last()
        .map_or("the compose model", Text::name)
        .to_owned();
    Place::from(Origin {
        file,
        ..Origin::default()
    })
}

/// What [`compile_files`] reads.
pub struct FilesInput<'a> {
    /// As in [`ModelInput`].
    pub sources: &'a [Text],
    /// The names of the project's own files among them, in compose's order: all others are included or extended.
    pub top: &'a [String],
    /// The project's name, where it is said outside of the files.
    pub named: Option<&'a str>,
    /// Its name where nobody says one.
    pub otherwise: &'a str,
    /// The variables that compose would interpolate.
    pub variables: &'a Variables<'a>,
    /// As in [`ModelInput`].
    pub working_dir: &'a str,
    /// As in [`ModelInput`].
    pub read_template: &'a ReadTemplate<'a>,
}

/// What the files alone say.
pub struct FromFiles {
    /// As [`compile`] gives it.
    pub spec: Option<ProjectSpec>,
    /// As [`compile`] gives them, without those about a text whose variables are not set: what it means is not known.
    pub diagnostics: Vec<Diagnostic>,
    /// The model, as far as it is needed here.
    pub model: Node,
    /// Variables that are not set and have no default.
    pub unset: Vec<String>,
    /// Files that are included or extended and not among the sources: what they bring is not known.
    pub absent: Vec<String>,
}

/// Reads a project as [`compile`] does, but makes the model itself instead of asking compose for it.
pub fn compile_files(input: &FilesInput<'_>) -> FromFiles {
    let (files, mut problems) = written::files(input.sources);
    problems.extend(written::alone(&files));
    let merge::Merged {
        mut model,
        unset,
        unsure,
        absent,
    } = merge::merge(&files, input.top, input.variables);
    merge::name(&mut model, input.named, input.otherwise);
    let rest = ModelInput {
        model_yaml: "",
        sources: input.sources,
        working_dir: input.working_dir,
        read_template: input.read_template,
    };
    let (spec, mut diagnostics) = of_model(&model, &files, problems, &unsure, &rest);
    if !absent.is_empty() {
        diagnostics.retain(|it| it.code != Code::UnknownService);
    }
    FromFiles {
        spec,
        diagnostics,
        model,
        unset: unset.into_iter().collect(),
        absent: absent.into_iter().collect(),
    }
}

/// Reads a model. Problems with what stands in places that are unsure are not told.
fn of_model(
    model: &Node,
    files: &[crate::read::File<'_>],
    mut problems: Vec<Diagnostic>,
    unsure: &[Place],
    input: &ModelInput<'_>,
) -> (Option<ProjectSpec>, Vec<Diagnostic>) {
    let reading = Reading::interpolated(files);
    let root = Cursor::new(&reading, model, reading.written(), nowhere(input.sources));
    let mut spec = project(&root, input);
    problems.extend(reading.problems());
    let told = problems.len();
    problems
        .retain(|it| it.code == Code::Interpolation || !unsure.iter().any(|at| at.has(&it.place)));
    if problems.len() < told {
        stand_in(model, &mut spec);
    }
    let failed = problems.iter().any(Diagnostic::is_error);
    if failed {
        // Whoever mends a file wants to know of everything at once. Who uses what is not known, as long as parts are missing.
        stand_in(model, &mut spec);
        let (_, more) = resolve(&spec);
        problems.extend(more.into_iter().filter(|it| it.code != Code::UnusedSecret));
    }
    problems.sort_by(|a, b| (&a.place.origin, a.code).cmp(&(&b.place.origin, b.code)));
    // An anchor that is used twice says everything twice.
    problems.dedup_by(|a, b| a.code == b.code && a.place == b.place && a.message == b.message);
    ((!failed).then_some(spec), problems)
}

/// Puts something in the place of sources and secrets that could not be read: who uses them has made no mistake.
fn stand_in(model: &Node, spec: &mut ProjectSpec) {
    let named = |section| {
        let all = model.get(X)?.get(section)?;
        match &all.value {
            Value::Map(all) => Some(all.iter().filter_map(|e| e.key.as_deref())),
            _ => None,
        }
    };
    for name in named("sources").into_iter().flatten() {
        let it = SourceSpec::of_kind("");
        spec.sources.entry(name.into()).or_insert(it);
    }
    let Ok(reference) = "local:x".parse::<SecretRef>() else {
        return;
    };
    for name in named("secrets").into_iter().flatten() {
        let it = SecretSpec {
            reference: reference.clone(),
            fields: BTreeMap::new(),
            allow_empty: false,
            refresh: None,
            origin: Origin::default(),
        };
        spec.secrets.entry(name.into()).or_insert(it);
    }
}

/// `docker compose config` doubles every dollar of its output.
fn undouble(node: &mut Node) {
    match &mut node.value {
        Value::Str(text) if text.contains("$$") => *text = text.replace("$$", "$"),
        Value::List(all) => all.iter_mut().for_each(undouble),
        Value::Map(all) => all.iter_mut().for_each(|e| {
            if let Some(key) = e.key.as_mut().filter(|k| k.contains("$$")) {
                *key = key.replace("$$", "$");
            }
            undouble(&mut e.node);
        }),
        _ => {}
    }
}

fn project(root: &Cursor<'_>, input: &ModelInput<'_>) -> ProjectSpec {
    let mut spec = ProjectSpec {
        version: 1,
        project: root
            .node
            .get("name")
            .and_then(Node::as_str)
            .unwrap_or_default()
            .into(),
        working_dir: input.working_dir.to_owned(),
        files: input
            .sources
            .iter()
            .map(|it| it.name().to_owned())
            .collect(),
        defaults: Defaults::default(),
        sources: BTreeMap::new(),
        secrets: BTreeMap::new(),
        services: BTreeMap::new(),
        model: BTreeMap::new(),
    };
    let top = root.get(X);
    written::dropped(root);
    misspelt(root);
    if let Some(top) = &top {
        top.known(&KEYS);
        let all = top
            .get("sources")
            .map(|all| all.entries())
            .unwrap_or_default();
        for (name, it) in all {
            let own = source(&it, Some(input.working_dir));
            if let Some(own) = &own
                && is_redefined(name, &own.kind)
            {
                it.say(
                    it.problem(
                        Code::Reserved,
                        format!("`{name}` is built in and cannot be of type {}", own.kind),
                    )
                    .help("give the source another name"),
                );
            }
            spec.sources.extend(values::source_name(&it, name).zip(own));
        }
    }
    let scope = Scope {
        sources: spec.sources.keys().map(SourceName::to_string).collect(),
        read_template: input.read_template,
    };
    if let Some(top) = &top {
        spec.secrets = top
            .get("secrets")
            .map(|all| catalogue::secrets(&all, &scope))
            .unwrap_or_default();
        spec.defaults = top
            .get("defaults")
            .map(|it| defaults(&it, &[]))
            .unwrap_or_default();
    }
    let asides: BTreeMap<&str, Cursor<'_>> = top
        .and_then(|t| t.get("services"))
        .map(|all| all.entries().into_iter().collect())
        .unwrap_or_default();
    let services = root.get("services");
    let written = services_of(&root.reading.written());
    for (name, it) in services.iter().flat_map(Cursor::entries) {
        let it = it.with_written(of_service(&written, name));
        spec.model.insert(name.into(), model::service(it.node));
        misspelt(&it);
        let own = it.get(X).map(|x| service::read(&x, &scope));
        let aside = asides.get(name).map(|x| service::read(x, &scope));
        if let Some(asked) = join(own, aside) {
            spec.services.insert(name.into(), asked);
        }
    }
    // One whose profile is off is in the files, and not in the model.
    let is_written = |name: &str| written.iter().any(|all| all.contains_key(name));
    let unknown = |name: &str| !spec.model.contains_key(name) && !is_written(name);
    for (name, it) in asides.iter().filter(|(name, _)| unknown(name)) {
        let help = suggest(name, spec.model.keys().map(ServiceName::as_str));
        it.say(
            it.problem(
                Code::UnknownService,
                format!("the model has no service {name}"),
            )
            .maybe_help(help),
        );
    }
    for (name, it) in services.iter().flat_map(Cursor::entries) {
        if let Some(all) = it.with_written(of_service(&written, name)).get("labels") {
            let found = labels::read_at(&all, &scope);
            for conflict in labels::merge(&mut spec, &name.into(), found) {
                all.say(Diagnostic::new(
                    Code::LabelConflict,
                    all.key_place(&conflict.label),
                    conflict.to_string(),
                ));
            }
        }
    }
    spec
}

/// Keys that were probably meant to be ours: whoever misspells it gets a service without its secrets, and not a word.
fn misspelt(at: &Cursor<'_>) {
    let own = X.trim_start_matches("x-");
    for (key, _) in at.entries() {
        let rest = key.strip_prefix("x-").filter(|it| it.starts_with('l'));
        if rest.is_some_and(|it| it != own && nearest(it, [own]).is_some()) {
            let message = format!("`{key}` is not read by locket");
            let problem = Diagnostic::new(Code::Misspelt, at.key_place(key), message);
            at.say(problem.help(format!("did you mean `{X}`?")));
        }
    }
}

/// A service's own words and those of the top level's `services`, which is how an override file spells them.
fn join(own: Option<ServiceSpec>, aside: Option<ServiceSpec>) -> Option<ServiceSpec> {
    let (mut own, aside) = match (own, aside) {
        (Some(own), Some(aside)) => (own, aside),
        (own, aside) => return own.or(aside),
    };
    own.secrets.extend(aside.secrets);
    own.templates.extend(aside.templates);
    own.env.extend(aside.env);
    own.on_change = aside.on_change.or(own.on_change);
    if aside.path != ServiceSpec::PATH {
        own.path = aside.path;
    }
    Some(own)
}

/// What one document says about each service.
pub(crate) type Services<'a> = HashMap<&'a str, Vec<Written<'a>>>;

/// The services of each document.
pub(crate) fn services_of<'a>(written: &[Written<'a>]) -> Vec<Services<'a>> {
    under(written, "services")
        .iter()
        .map(|all| under_each(std::slice::from_ref(all)))
        .collect()
}

/// Most services that are looked up for what one of them extends. Each is in any of the documents, and may extend others there:
/// without an end, a few documents are work without one. What is not found is only a place.
const EXTENDS: usize = 64;

/// What the files say about a service, with what it extends in front.
pub(crate) fn of_service<'a>(services: &[Services<'a>], name: &str) -> Vec<Written<'a>> {
    let mut left = EXTENDS;
    extended(services, name, &|_| true, &mut left)
}

/// `from` picks the files that the service itself is looked for in; what it extends may be in others.
fn extended<'a>(
    services: &[Services<'a>],
    name: &str,
    from: &dyn Fn(&Written<'a>) -> bool,
    left: &mut usize,
) -> Vec<Written<'a>> {
    let mut out = Vec::new();
    for document in services {
        let found = document.get(name).into_iter().flatten().copied();
        for service in found.filter(|w| from(w)) {
            let extends = service.node.get("extends").filter(|_| *left > 0);
            let (base, file) = match extends {
                Some(node) => (
                    node.as_str().or(node.get("service").and_then(Node::as_str)),
                    node.get("file").and_then(Node::as_str),
                ),
                None => (None, None),
            };
            if let Some(base) = base {
                let there = |w: &Written<'a>| match file {
                    Some(file) => w.file.name.ends_with(file.trim_start_matches("./")),
                    None => std::ptr::eq(w.file, service.file),
                };
                *left -= 1;
                out.extend(extended(services, base, &there, left));
            }
            out.push(service);
        }
    }
    out
}

#[cfg(test)]
mod tests;
