//! The open texts, and the answers about them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use locket_controller::own::store::VOLUME;
use locket_crds::diag::{Diagnostic, Place, Severity};
use locket_crds::id::SecretName;
use locket_crds::reference::SecretRef;
use locket_crds::spec::{Origin, ProjectSpec, SecretSpec, SourceSpec};
use locket_crds::words::{actions, filters, kinds};
use locket_providers::local::Name;
use serde_json::{Value, json};
use url::Url;

use super::project::Project;
use super::spot::{self, Wanted};
use super::text;
use crate::cmd::secret::is_local;
use crate::context::{Context, VERSION};

/// How long an answer may wait for an engine that is away.
const PATIENCE: Duration = Duration::from_millis(700);
/// Error codes of the protocol. See <https://www.jsonrpc.org/specification#error_object>.
const NO_JSON: i32 = -32700;
const INVALID: i32 = -32600;
const NO_SUCH_METHOD: i32 = -32601;

/// What an editor has told so far.
pub struct Server<'a> {
    cx: &'a Context,
    open: BTreeMap<PathBuf, String>,
    /// The project that each open file belongs to, by its key.
    projects: BTreeMap<PathBuf, PathBuf>,
    /// What was last known to be right of a project; a text in the making often is not.
    known: BTreeMap<PathBuf, ProjectSpec>,
    /// Files that the editor was told of, by project.
    told: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    is_over: bool,
}

/// What is to be done with a message's answer.
pub enum Next {
    /// These are sent, in this order.
    Send(Vec<Value>),
    /// The editor has said goodbye; true if it has announced that.
    End(bool),
}

impl<'a> Server<'a> {
    /// Nothing is open.
    pub fn new(cx: &'a Context) -> Self {
        Self {
            cx,
            open: BTreeMap::new(),
            projects: BTreeMap::new(),
            known: BTreeMap::new(),
            told: BTreeMap::new(),
            is_over: false,
        }
    }

    /// Answers a message.
    pub async fn handle(&mut self, message: &Value) -> Next {
        if message.is_null() {
            return Next::Send(vec![refused(&Value::Null, NO_JSON, "this is no JSON")]);
        }
        let method = message["method"].as_str().unwrap_or_default();
        let params = &message["params"];
        if self.is_over && method != "exit" {
            let id = message.get("id");
            let said = id.map(|id| refused(id, INVALID, "the server has been shut down"));
            return Next::Send(said.into_iter().collect());
        }
        let result = match method {
            "exit" => return Next::End(self.is_over),
            "initialize" => capabilities(),
            "shutdown" => {
                self.is_over = true;
                Value::Null
            }
            "textDocument/didOpen" => {
                let document = &params["textDocument"];
                return Next::Send(self.changed(document, document["text"].as_str()));
            }
            "textDocument/didChange" => {
                let last = params["contentChanges"].as_array().and_then(|it| it.last());
                let text = last.and_then(|it| it["text"].as_str());
                return Next::Send(self.changed(&params["textDocument"], text));
            }
            // Other files of the project may have changed meanwhile.
            "textDocument/didSave" => {
                return Next::Send(self.changed(&params["textDocument"], None));
            }
            "textDocument/didClose" => return Next::Send(self.closed(&params["textDocument"])),
            "textDocument/completion" => self.completion(params).unwrap_or(Value::Null),
            "textDocument/definition" => self.definition(params).unwrap_or(Value::Null),
            "textDocument/hover" => self.hover(params).await.unwrap_or(Value::Null),
            _ => {
                let Some(id) = message.get("id").filter(|_| !method.is_empty()) else {
                    return Next::Send(Vec::new());
                };
                let why = format!("{method} is not known here");
                return Next::Send(vec![refused(id, NO_SUCH_METHOD, &why)]);
            }
        };
        Next::Send(match message.get("id") {
            Some(id) => vec![json!({ "jsonrpc": "2.0", "id": id, "result": result })],
            None => Vec::new(),
        })
    }

    /// Keeps a text, and tells the problems of its project.
    fn changed(&mut self, document: &Value, text: Option<&str>) -> Vec<Value> {
        let Some(path) = path_of(document) else {
            return Vec::new();
        };
        if let Some(text) = text {
            self.open.insert(path.clone(), text.to_owned());
        }
        self.tell(&path)
    }

    fn closed(&mut self, document: &Value) -> Vec<Value> {
        let Some(path) = path_of(document) else {
            return Vec::new();
        };
        self.open.remove(&path);
        self.left(&path)
    }

    /// A file belongs to its project no more: what was told of that is taken back, or told anew for another file of it that is open.
    fn left(&mut self, path: &Path) -> Vec<Value> {
        let Some(key) = self.projects.remove(path) else {
            return Vec::new();
        };
        let other = self.projects.iter().find(|(_, of)| **of == key);
        if let Some(other) = other.map(|(path, _)| path.clone()) {
            return self.tell(&other);
        }
        self.known.remove(&key);
        let gone = self.told.remove(&key).unwrap_or_default();
        gone.iter()
            .map(|path| published(path, Vec::new()))
            .collect()
    }

    /// Tells all problems of a file's project.
    fn tell(&mut self, path: &Path) -> Vec<Value> {
        let project = Project::of(path, &self.open, &self.cx.env);
        let key = project.as_ref().map(Project::key);
        let mut out = Vec::new();
        if self.projects.get(path).map(PathBuf::as_path) != key {
            out = self.left(path);
        }
        let Some(project) = project else {
            return out;
        };
        let key = project.key().to_owned();
        self.projects.insert(path.to_owned(), key.clone());
        let mut by_file: BTreeMap<PathBuf, Vec<Value>> = BTreeMap::new();
        // Also of those that have none any more.
        for path in self.told.remove(&key).unwrap_or_default() {
            by_file.insert(path, Vec::new());
        }
        by_file.entry(path.to_owned()).or_default();
        for it in &project.problems {
            let name = &it.place.origin.file;
            let file = project.path(name);
            if let Some(text) = project.texts.get(name) {
                by_file
                    .entry(file)
                    .or_default()
                    .push(problem(it, text, &project));
            }
        }
        self.told
            .insert(key.clone(), by_file.keys().cloned().collect());
        if let Some(spec) = project.spec {
            self.known.insert(key, spec);
        }
        let all = by_file.into_iter();
        out.extend(all.map(|(path, problems)| published(&path, problems)));
        out
    }

    /// The text, the line and the byte of a request, with what is known of the project.
    fn at(&self, params: &Value) -> Option<(PathBuf, &str, usize, usize)> {
        let path = path_of(&params["textDocument"])?;
        let text = self.open.get(&path)?;
        let number = |key: &str| usize::try_from(params["position"][key].as_u64()?).ok();
        let line = number("line")?;
        let byte = text::byte(text::line(text, line), number("character")?);
        Some((path, text, line, byte))
    }

    fn spec(&self, path: &Path) -> Option<&ProjectSpec> {
        self.known.get(self.projects.get(path)?)
    }

    fn completion(&self, params: &Value) -> Option<Value> {
        let (path, text, line, byte) = self.at(params)?;
        let wanted = spot::wanted(text, line, byte)?;
        let spec = self.spec(&path);
        let mut items = Vec::new();
        let mut add = |label: &str, kind: u8, detail: String| {
            items.push(json!({ "label": label, "kind": kind, "detail": detail }));
        };
        // Kinds of the protocol: 12 is a value, 9 a module, 3 a function, 20 a member of an enumeration.
        if wanted == Wanted::Secret {
            for (name, it) in spec.into_iter().flat_map(|it| &it.secrets) {
                add(name.as_str(), 12, it.reference.to_string());
            }
        }
        if matches!(wanted, Wanted::Secret | Wanted::Reference) {
            add("local:", 9, "the built-in encrypted store".to_owned());
            for (name, it) in spec.into_iter().flat_map(|it| &it.sources) {
                add(&format!("{name}:"), 9, source(it));
            }
        }
        match wanted {
            Wanted::Kind => kinds().for_each(|it| add(it, 20, String::new())),
            Wanted::Action => actions().iter().for_each(|it| add(it, 20, String::new())),
            Wanted::Filter => filters().for_each(|it| add(&it, 3, String::new())),
            Wanted::Secret | Wanted::Reference => {}
        }
        Some(json!({ "isIncomplete": false, "items": items }))
    }

    /// What the word at a place names.
    fn named<'s>(&'s self, params: &Value) -> Option<Named<'s>> {
        let (path, text, line, byte) = self.at(params)?;
        let wanted = spot::wanted(text, line, byte);
        let written = text::line(text, line);
        let range = text::word(written, byte);
        let word = &written[range.clone()];
        let spec = self.spec(&path)?;
        let place = json!({
            "start": { "line": line, "character": text::units(written, range.start) },
            "end": { "line": line, "character": text::units(written, range.end) },
        });
        let secret = || spec.secrets.get_key_value(&SecretName::from(word));
        let what = match wanted {
            Some(Wanted::Secret | Wanted::Reference) if word.contains(':') => {
                What::Reference(word.parse().ok()?)
            }
            Some(Wanted::Secret) => What::Secret(secret()?),
            // The name itself, in the catalogue.
            Some(Wanted::Reference) | None => {
                let it = secret()?;
                let is_here = it.1.origin.line as usize == line + 1;
                is_here.then_some(What::Secret(it))?
            }
            Some(_) => return None,
        };
        Some(Named { spec, what, place })
    }

    fn definition(&self, params: &Value) -> Option<Value> {
        let it = self.named(params)?;
        let origin = match &it.what {
            What::Secret((_, secret)) => &secret.origin,
            What::Reference(reference) => &it.spec.sources.get(reference.source())?.origin,
        };
        let path = Path::new(&it.spec.working_dir).join(&origin.file);
        let uri = uri_of(&path)?;
        let text = match self.open.get(&path) {
            Some(text) => text.clone(),
            None => std::fs::read_to_string(&path).ok()?,
        };
        let place = Place::from(Origin::clone(origin));
        Some(json!({ "uri": uri, "range": text::range(&text, &place) }))
    }

    async fn hover(&self, params: &Value) -> Option<Value> {
        let it = self.named(params)?;
        let (reference, mut lines) = match &it.what {
            What::Secret((name, secret)) => {
                let origin = &secret.origin;
                let defined = format!("Defined in `{}`, line {}.", origin.file, origin.line);
                (
                    &secret.reference,
                    vec![format!("**{name}** is `{}`", secret.reference), defined],
                )
            }
            What::Reference(reference) => (reference, vec![format!("`{reference}`")]),
        };
        let name = reference.source();
        lines.push(match it.spec.sources.get(name) {
            Some(spec) => format!("Source `{name}`: {}.", source(spec)),
            None if name.as_str() == "local" => "Source: the built-in encrypted store.".to_owned(),
            None => format!("Source `{name}`: of the host's locket.yaml."),
        });
        lines.extend(self.version(it.spec, reference).await);
        let value = lines.join("\n\n");
        Some(json!({ "contents": { "kind": "markdown", "value": value }, "range": it.place }))
    }

    /// The current version of a secret in the built-in store, if the engine answers soon.
    async fn version(&self, spec: &ProjectSpec, reference: &SecretRef) -> Option<String> {
        if !is_local(spec, reference) {
            return None;
        }
        let name = Name::in_project(spec.project.as_str(), reference.path()).ok()?;
        let asked = async {
            // Opening the store makes one where there is none, and a look at a word must not.
            let engine = &self.cx.host().await.ok()?.engine;
            engine.volume(VOLUME).await.ok()??;
            let store = self.cx.store().await.ok()?;
            store.history(name.as_str()).await.ok()
        };
        let history = tokio::time::timeout(PATIENCE, asked).await.ok()??;
        Some(match history.first() {
            Some(it) => format!("Version {}, set {}.", it.version, it.time),
            None => "It has no value yet.".to_owned(),
        })
    }
}

/// What a word names.
enum What<'a> {
    Secret((&'a SecretName, &'a SecretSpec)),
    Reference(SecretRef),
}

struct Named<'a> {
    spec: &'a ProjectSpec,
    what: What<'a>,
    /// Where the word stands.
    place: Value,
}

fn source(it: &SourceSpec) -> String {
    match &it.url {
        Some(url) => format!("{}, {url}", it.kind),
        None => it.kind.clone(),
    }
}

fn refused(id: &Value, code: i32, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

fn capabilities() -> Value {
    json!({
        "capabilities": {
            // Whole texts, at each change.
            "textDocumentSync": { "openClose": true, "change": 1, "save": true },
            "completionProvider": { "triggerCharacters": [" ", "[", "{", "|", ":"] },
            "definitionProvider": true,
            "hoverProvider": true,
        },
        "serverInfo": { "name": "locket", "version": VERSION },
    })
}

fn published(path: &Path, problems: Vec<Value>) -> Value {
    json!({
        "jsonrpc": "2.0",
        "method": "textDocument/publishDiagnostics",
        "params": { "uri": uri_of(path), "diagnostics": problems },
    })
}

fn problem(it: &Diagnostic, text: &str, project: &Project) -> Value {
    let mut message = it.message.clone();
    for more in it.help.iter().chain(&it.notes) {
        message.push('\n');
        message.push_str(more);
    }
    let related = it.labels.iter().filter_map(|(place, said)| {
        let text = project.texts.get(&place.origin.file)?;
        let uri = uri_of(&project.path(&place.origin.file))?;
        let location = json!({ "uri": uri, "range": text::range(text, place) });
        Some(json!({ "location": location, "message": said }))
    });
    json!({
        "range": text::range(text, &it.place),
        "severity": match it.severity { Severity::Error => 1, Severity::Warning => 2 },
        "code": it.code.number(),
        "source": "locket",
        "message": message,
        "relatedInformation": related.collect::<Vec<_>>(),
    })
}

/// The file that a document's URI names; nothing for one that is not on this machine's disk.
fn path_of(document: &Value) -> Option<PathBuf> {
    let uri = Url::parse(document["uri"].as_str()?).ok()?;
    uri.to_file_path().ok()
}

fn uri_of(path: &Path) -> Option<String> {
    Url::from_file_path(path).ok().map(String::from)
}
