//! Reads a project: compose's model, the user's own texts, and what both say together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use locket_crds::compose::{
    FilesInput, ModelInput, TemplateFile, check_sources, compile, compile_files, referenced_files,
};
use locket_crds::diag::{Code, Diagnostic, SourceMap};
use locket_crds::id::ServiceName;
use locket_crds::item::Item;
use locket_crds::lint::shown;
use locket_crds::resolve::resolve;
use locket_crds::spec::{Origin, ProjectSpec};
use locket_crds::text::Text;
use locket_crds::yaml::{self, Node, Value};

use super::{ComposeFlags, Files};
use crate::docker::{Docker, Output};
use crate::error::{CommandError, Result};

/// Longest text of a template file, in bytes.
const MAX_TEMPLATE: u64 = 1 << 20;
/// Most files that one entry of `templates` may bring along, and most files that compose files may refer to.
const MAX_FILES: usize = 256;

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
            if !loaded.diagnostics.iter().any(Diagnostic::is_error) {
                let place = Origin {
                    file: request.files.name(&request.files.paths[0]),
                    ..Origin::default()
                };
                let message = format!("compose refuses the project: {reason}");
                let it = Diagnostic::new(Code::Refused, place, message);
                loaded
                    .diagnostics
                    .push(it.help("mend it until `docker compose config` prints the project"));
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
    let written = super::files::variables(request.flags, env, files);
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

/// What compose says of files.
enum Answer {
    /// The model.
    Model(Output),
    /// Its reason to refuse them.
    Refused(String),
}

async fn ask(docker: &Docker, request: &Request<'_>, sources: &[Text]) -> Result<Answer> {
    let (docker, mut args) = docker.compose(request.flags, request.files);
    args.extend(profiles(request.profiles, sources));
    args.extend(["config", "--no-env-resolution"].map(str::to_owned));
    let output = docker.output(&args).await?;
    Ok(match output.status.success() {
        true => Answer::Model(output),
        false => Answer::Refused(output.reason().to_owned()),
    })
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

/// The flags that have compose read these services too.
fn profiles(wanted: Profiles<'_>, sources: &[Text]) -> Vec<String> {
    let names = match wanted {
        Profiles::All => return vec!["--profile=*".to_owned()],
        Profiles::Enabled(names) => names,
    };
    let mut found = BTreeSet::new();
    for document in sources.iter().flat_map(Text::documents) {
        let of = |name: &String| {
            document
                .get("services")?
                .get(name)?
                .get("profiles")
                .cloned()
        };
        for profiles in names.iter().filter_map(of) {
            if let Value::List(all) = profiles.value {
                found.extend(all.into_iter().filter_map(|it| match it.value {
                    Value::Str(name) => Some(name),
                    _ => None,
                }));
            }
        }
    }
    let flag = |name: &String| format!("--profile={name}");
    found.iter().map(flag).collect()
}

/// The user's texts, those that they include or extend in front of them.
fn sources(files: &Files) -> Result<Vec<Text>> {
    texts(files, &BTreeMap::new())
}

/// The same, where some texts are newer in an editor than on the disk: by path.
///
/// # Errors
/// A file cannot be read.
pub fn texts(files: &Files, open: &BTreeMap<PathBuf, String>) -> Result<Vec<Text>> {
    let read = |path: &Path| match open.get(path) {
        Some(text) => Ok(text.clone()),
        None => std::fs::read_to_string(path),
    };
    let mut out = Vec::new();
    let mut seen: BTreeSet<PathBuf> = files.paths.iter().cloned().collect();
    for path in &files.paths {
        let text = read(path).map_err(|e| {
            CommandError::user(format!("{} cannot be read", path.display())).because(e)
        })?;
        let text = Text::new(files.name(path), text);
        referenced(files, path, &text, &read, &mut seen, &mut out);
        out.push(text);
    }
    Ok(out)
}

fn referenced(
    files: &Files,
    from: &Path,
    text: &Text,
    read: &impl Fn(&Path) -> std::io::Result<String>,
    seen: &mut BTreeSet<PathBuf>,
    out: &mut Vec<Text>,
) {
    for name in referenced_files(text) {
        let path = from
            .parent()
            .unwrap_or(Path::new("/"))
            .join(name.trim_start_matches("./"));
        if seen.len() >= MAX_FILES || !seen.insert(path.clone()) {
            continue;
        }
        // What is remote or named by a variable is not at hand; the reader can do without it.
        let Ok(text) = read(&path) else {
            continue;
        };
        let text = Text::new(files.name(&path), text);
        referenced(files, &path, &text, read, seen, out);
        out.push(text);
    }
}

/// A template file, or all files under a directory, sorted.
fn read_template(base: &Path, name: &str) -> Result<Vec<TemplateFile>, String> {
    let root = base.join(name);
    let mut out = Vec::new();
    let mut left = vec![(root, String::new())];
    while let Some((path, shown)) = left.pop() {
        let meta = std::fs::metadata(&path).map_err(|e| clause(&e))?;
        if meta.is_dir() {
            for entry in std::fs::read_dir(&path).map_err(|e| clause(&e))? {
                let entry = entry.map_err(|e| clause(&e))?;
                let name = entry
                    .file_name()
                    .into_string()
                    .map_err(|_| "a file's name is not UTF-8".to_owned())?;
                let shown = if shown.is_empty() {
                    name
                } else {
                    format!("{shown}/{name}")
                };
                left.push((entry.path(), shown));
            }
            continue;
        }
        if !meta.is_file() {
            return Err("it is no regular file".to_owned());
        }
        if meta.len() > MAX_TEMPLATE {
            return Err(format!("it has more than {} KiB", MAX_TEMPLATE >> 10));
        }
        if out.len() + left.len() >= MAX_FILES {
            return Err(format!("it has more than {MAX_FILES} files"));
        }
        let bytes = std::fs::read(&path).map_err(|e| clause(&e))?;
        out.push((
            shown,
            String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?,
        ));
    }
    out.sort();
    Ok(out)
}

fn clause(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound => "it is not there".to_owned(),
        std::io::ErrorKind::PermissionDenied => "it may not be read".to_owned(),
        _ => "it cannot be read".to_owned(),
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
    fn a_directory_of_templates_is_read_in_order_with_relative_names() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("t/sub")).unwrap();
        std::fs::write(dir.path().join("t/b"), "B").unwrap();
        std::fs::write(dir.path().join("t/sub/a"), "A").unwrap();
        let all = read_template(dir.path(), "./t").unwrap();
        assert_eq!(
            all,
            [
                ("b".to_owned(), "B".to_owned()),
                ("sub/a".to_owned(), "A".to_owned())
            ]
        );
        assert_eq!(
            read_template(dir.path(), "t/b").unwrap(),
            [(String::new(), "B".to_owned())]
        );
        assert_eq!(
            read_template(dir.path(), "nothing").unwrap_err(),
            "it is not there"
        );
    }

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
