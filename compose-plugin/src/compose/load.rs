//! Reads a project: compose's model, the user's own texts, and what both say together.

use std::collections::BTreeMap;
use std::path::Path;

use locket_crds::compose::{FilesInput, ModelInput, check_sources, compile, compile_files};
use locket_crds::diag::{Code, Diagnostic, Place, SourceMap, measure};
use locket_crds::id::ServiceName;
use locket_crds::item::Item;
use locket_crds::lint::shown;
use locket_crds::resolve::resolve;
use locket_crds::spec::{Origin, ProjectSpec};
use locket_crds::text::Text;
use locket_crds::yaml::{self, Node, Value};

use super::ask::{Answer, ask};
use super::texts::{read_template, sources};
use super::{ComposeFlags, Files, refused};
use crate::docker::Docker;
use crate::error::{CommandError, Result};

/// What is to be read.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The flags that compose gets, besides the files.
    pub flags: &'a ComposeFlags,
    /// The files.
    pub files: &'a Files,
    /// Which services.
    pub profiles: Profiles<'a>,
}

/// Services of which profiles are read.
#[derive(Debug, Clone, Copy)]
pub enum Profiles<'a> {
    /// All.
    All,
    /// Those that the flags and the environment enable, and those of services that are among these words of a command line:
    /// compose enables them when it is told a service's name. See <https://docs.docker.com/compose/how-tos/profiles/>.
    Enabled(&'a [String]),
}

/// A project that was read.
pub struct Loaded {
    /// What it asks for; nothing if it cannot be read. Whoever acts on it takes [`Loaded::spec()`], which refuses errors.
    pub spec: Option<ProjectSpec>,
    /// The services' items, names looked up; a service with an error has none.
    pub items: BTreeMap<ServiceName, Vec<Item>>,
    /// All problems, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that they are about, as they may be shown.
    pub sources: SourceMap,
    /// The same as they are.
    pub texts: Vec<Text>,
    /// What else of the model matters.
    pub extras: ModelExtras,
    /// The files.
    pub files: Files,
}

/// What of the model matters to `generate` and to nobody else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelExtras {
    /// The volumes, by their key.
    pub volumes: BTreeMap<String, ModelVolume>,
    /// `LOCKET_SHIM` of the services that have it.
    pub shims: BTreeMap<String, String>,
}

/// What is read of a top-level volume.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelVolume {
    /// Its name on the engine.
    pub name: String,
    /// Its driver; empty for the engine's default, which is `local`.
    pub driver: String,
    /// `driver_opts.type`.
    pub kind: String,
    /// Made by somebody else.
    pub external: bool,
}

impl ModelVolume {
    /// Whether what is written there never reaches a disk.
    pub fn is_tmpfs(&self) -> bool {
        matches!(self.driver.as_str(), "" | "local") && self.kind == "tmpfs" && !self.external
    }
}

impl Loaded {
    /// One that only its problems are known of.
    fn unread(diagnostics: Vec<Diagnostic>, sources: Vec<Text>, files: &Files) -> Self {
        Self {
            spec: None,
            items: BTreeMap::new(),
            diagnostics,
            sources: shown(&sources),
            texts: sources,
            extras: ModelExtras::default(),
            files: files.clone(),
        }
    }

    /// Whether there is an error among the diagnostics.
    pub fn failed(&self) -> bool {
        self.spec.is_none() || self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// The spec, if nothing is wrong.
    ///
    /// # Errors
    /// All diagnostics, as text with the lines that they are about.
    pub fn spec(&self, color: bool) -> Result<&ProjectSpec> {
        match &self.spec {
            Some(spec) if !self.failed() => Ok(spec),
            _ => Err(CommandError::diagnostics(self.text(color))),
        }
    }

    /// All diagnostics, as text with the lines that they are about.
    pub fn text(&self, color: bool) -> String {
        locket_crds::diag::render_text(&self.diagnostics, &self.sources, color)
    }

    /// Proves that these are the files of the project and gate that compose speaks of.
    ///
    /// # Errors
    /// The user's problem: the files that were found are of another project.
    pub fn prove(&self, project: &str, gate: &str) -> Result<()> {
        let Some(spec) = &self.spec else {
            return Ok(());
        };
        let is_gate = spec.model.get(gate).is_some_and(|s| s.provider.is_some());
        if spec.project.as_str() == project && is_gate {
            return Ok(());
        }
        let files: Vec<String> = self
            .files
            .paths
            .iter()
            .map(|p| p.display().to_string())
            .collect();
        Err(CommandError::user(format!(
            "{} is not where project {project} with gate {gate} was defined",
            files.join(", ")
        ))
        .hint("name the compose files in the gate: `provider: { type: locket, options: { file: [compose.yaml] } }`"))
    }
}

/// Reads a project.
///
/// # Errors
/// Compose cannot be run, or refuses the files for a reason that is none of ours; then its own words are the message.
/// Problems that we can point at are diagnostics.
pub async fn load(docker: &Docker, request: &Request<'_>) -> Result<Loaded> {
    let sources = sources(request.files)?;
    let model = match ask(docker, request, &sources).await? {
        Answer::Model(output) => output,
        Answer::Refused(reason) => {
            let diagnostics = check_sources(&sources);
            if diagnostics.is_empty() {
                return Err(CommandError::user("compose refuses the project").because(reason));
            }
            return Ok(Loaded::unread(diagnostics, sources, request.files));
        }
    };
    of_model(model.text()?, sources, request)
}

/// Reads a project to tell all that is wrong with it: where compose refuses the files, what they say by themselves is told, and
/// compose's own words if that explains nothing.
///
/// # Errors
/// Compose or the files cannot be read at all.
pub async fn examine(
    docker: &Docker,
    request: &Request<'_>,
    env: &BTreeMap<String, String>,
) -> Result<Loaded> {
    let sources = sources(request.files)?;
    match ask(docker, request, &sources).await? {
        Answer::Model(output) => of_model(output.text()?, sources, request),
        Answer::Refused(reason) => {
            let mut loaded = of_texts(sources, request, env).loaded;
            // A name that locket does not know is nothing to compose.
            let explains = [Code::Syntax, Code::UnquotedTemplate, Code::WrongType];
            if !loaded
                .diagnostics
                .iter()
                .any(|it| explains.contains(&it.code))
            {
                let somewhere = || {
                    let (path, line) = refused::of_variables(&reason)
                        .unwrap_or((request.files.paths[0].as_path(), 0));
                    Place::from(Origin {
                        file: request.files.name(path),
                        line,
                        column: line.min(1),
                    })
                };
                let place = refused::place(&reason, &loaded.texts).unwrap_or_else(somewhere);
                let message = format!("compose refuses the project: {reason}");
                let it = Diagnostic::new(Code::Refused, place, message)
                    .help("mend it until `docker compose config` prints the project");
                loaded.diagnostics.push(match refused::is_hidden(&reason) {
                    true => it.mask(),
                    false => it,
                });
            }
            loaded.spec = None;
            Ok(loaded)
        }
    }
}

/// What the files alone say.
pub struct FromFiles {
    /// The project.
    pub loaded: Loaded,
    /// Variables that are not set and have no default.
    pub unset: Vec<String>,
    /// Files that are included or extended and cannot be read.
    pub absent: Vec<String>,
}

/// Reads a project without asking compose.
///
/// # Errors
/// A file cannot be read.
pub fn from_files(request: &Request<'_>, env: &BTreeMap<String, String>) -> Result<FromFiles> {
    Ok(of_texts(sources(request.files)?, request, env))
}

/// The same for texts that are at hand.
pub fn of_texts(
    sources: Vec<Text>,
    request: &Request<'_>,
    env: &BTreeMap<String, String>,
) -> FromFiles {
    let files = request.files;
    let written = super::files::variables(files);
    let variable = |name: &str| env.get(name).or_else(|| written.get(name)).cloned();
    let top: Vec<String> = files.paths.iter().map(|path| files.name(path)).collect();
    let named = request.flags.project_name.clone();
    let named = named.or_else(|| variable("COMPOSE_PROJECT_NAME").filter(|it| !it.is_empty()));
    let found = compile_files(&FilesInput {
        sources: &sources,
        top: &top,
        named: named.as_deref(),
        otherwise: &project_of(&files.project_dir),
        variables: &variable,
        working_dir: &files.project_dir.to_string_lossy(),
        read_template: &|path| read_template(&files.project_dir, path),
    });
    let mut loaded = finished(
        found.spec,
        found.diagnostics,
        &found.model,
        sources,
        request,
    );
    // What a file that is no YAML defines is not known either.
    if loaded.diagnostics.iter().any(|it| it.code == Code::Syntax) {
        let names = [Code::UnknownName, Code::UnknownService, Code::UnknownSource];
        loaded.diagnostics.retain(|it| !names.contains(&it.code));
    }
    // What is in a file that is not here may be the gate, or use a secret.
    if !found.absent.is_empty() {
        loaded
            .diagnostics
            .retain(|it| it.code != Code::UnusedSecret);
    }
    FromFiles {
        loaded,
        unset: found.unset,
        absent: found.absent,
    }
}

/// The name that compose gives to the project of a directory: its own, as far as a project may be called so.
fn project_of(dir: &Path) -> String {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let lower: String = name.to_lowercase().chars().filter(fits).collect();
    lower.trim_start_matches(['_', '-']).to_owned()
}

fn of_model(model: &str, sources: Vec<Text>, request: &Request<'_>) -> Result<Loaded> {
    let files = request.files;
    let (spec, diagnostics) = compile(&ModelInput {
        model_yaml: model,
        sources: &sources,
        working_dir: &files.project_dir.to_string_lossy(),
        read_template: &|path| read_template(&files.project_dir, path),
    });
    // What cannot be read is among the diagnostics.
    let model = yaml::document(model).unwrap_or_else(|_| Node::null());
    Ok(finished(spec, diagnostics, &model, sources, request))
}

/// Looks names up, and adds what only the whole project can say.
fn finished(
    spec: Option<ProjectSpec>,
    mut diagnostics: Vec<Diagnostic>,
    model: &Node,
    sources: Vec<Text>,
    request: &Request<'_>,
) -> Loaded {
    let mut items = BTreeMap::new();
    if let Some(spec) = &spec {
        let (found, more) = resolve(spec);
        items = found;
        // A service of a profile that was not read may use it.
        let all = matches!(request.profiles, Profiles::All);
        let counts = |it: &Diagnostic| all || it.code != Code::UnusedSecret;
        diagnostics.extend(more.into_iter().filter(counts));
        diagnostics.extend(super::overlap::overlaps(spec));
        diagnostics.sort_by(|a, b| (&a.place.origin, a.code).cmp(&(&b.place.origin, b.code)));
    }
    measure(&mut diagnostics, &sources);
    Loaded {
        spec,
        items,
        diagnostics,
        sources: shown(&sources),
        texts: sources,
        extras: extras(model),
        files: request.files.clone(),
    }
}

fn extras(model: &Node) -> ModelExtras {
    let text = |node: &Node, key: &str| {
        node.get(key)
            .and_then(Node::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let entries = |key: &str| match model.get(key).map(|n| &n.value) {
        Some(Value::Map(all)) => all.as_slice(),
        _ => &[],
    };
    let volume = |e: &yaml::Entry| {
        let it = ModelVolume {
            name: text(&e.node, "name"),
            driver: text(&e.node, "driver"),
            kind: e
                .node
                .get("driver_opts")
                .map(|o| text(o, "type"))
                .unwrap_or_default(),
            external: e
                .node
                .get("external")
                .is_some_and(|x| x.value == Value::Bool(true)),
        };
        Some((e.key.clone()?, it))
    };
    let shim = |e: &yaml::Entry| {
        let value = e.node.get("environment")?.get("LOCKET_SHIM")?.as_str()?;
        Some((e.key.clone()?, value.replace("$$", "$")))
    };
    ModelExtras {
        volumes: entries("volumes").iter().filter_map(volume).collect(),
        shims: entries("services").iter().filter_map(shim).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_of_the_model_are_told_apart() {
        let text = "services:\n  s: { environment: { LOCKET_SHIM: path=/a$$b } }\nvolumes:\n  a:\n    name: p_a\n    driver: local\n    driver_opts:\n      type: tmpfs\n  b:\n    name: p_b\n";
        let it = extras(&yaml::document(text).unwrap());
        assert!(it.volumes["a"].is_tmpfs());
        assert!(!it.volumes["b"].is_tmpfs());
        assert_eq!(it.volumes["b"].name, "p_b");
        assert_eq!(it.shims["s"], "path=/a$b");
        assert_eq!(extras(&Node::null()), ModelExtras::default());
    }
}
