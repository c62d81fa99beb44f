//! Who may read what.

use std::fmt;

use super::meaning::{DefinedBy, Meaning};
use crate::compose::source;
use crate::diag::Code;
use crate::id::{ProjectName, SourceName};
use crate::read::Cursor;
use crate::reference::{SecretRef, source_of};
use crate::spec::{AuthSpec, Credential, SourceSpec};
use crate::yaml::Value;

/// One entry of `grants`.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// The project; `None`: all.
    pub project: Option<ProjectName>,
    /// Whole sources.
    pub sources: Vec<Allowed>,
    /// Secrets of the host's sources.
    pub references: Vec<Pattern>,
}

/// A source that may be used.
#[derive(Debug, Clone, PartialEq)]
pub enum Allowed {
    /// The host's source of this name.
    Named(SourceName),
    /// A source that a compose file defines: exactly so, whatever its name.
    Own(Box<SourceSpec>),
}

/// References: one path, with all fields or one; or everything that begins so, when it ends in `/` or `*`.
/// A `*` of a name is written `%2A`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    /// Whatever follows is covered, too.
    open: bool,
}

impl Pattern {
    /// Reads one; the two slashes of vendors' strings are dropped.
    fn new(text: &str) -> Option<Self> {
        let (source, rest) = text.split_once(':').filter(|_| source_of(text).is_some())?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (rest, star) = rest
            .strip_suffix('*')
            .map_or((rest, false), |rest| (rest, true));
        let sensible =
            (star || !rest.is_empty()) && !rest.contains(|c: char| c == '*' || c.is_control());
        sensible.then(|| Self {
            text: format!("{source}:{}", rest.replace("%2A", "*")),
            open: star || rest.ends_with('/'),
        })
    }

    fn covers(&self, reference: &SecretRef) -> bool {
        // References have one canonical spelling and no `..`, so a prefix of the text is a prefix of the tree.
        // Of the two slashes only those of `op://` are in it; others are somebody's field.
        let text = reference.canonical();
        let text = match text.strip_prefix("op://") {
            Some(rest) => format!("op:{rest}"),
            None => text,
        };
        match text.strip_prefix(&self.text) {
            Some(rest) => {
                self.open
                    || rest.is_empty()
                    || rest.starts_with('?')
                    || (rest.starts_with('#') && !self.text.contains('#'))
            }
            None => false,
        }
    }
}

impl Grant {
    pub(super) fn covers(
        &self,
        project: &ProjectName,
        reference: &SecretRef,
        meaning: &Meaning,
    ) -> bool {
        if self.project.as_ref().is_some_and(|p| p != project) {
            return false;
        }
        match meaning.by {
            DefinedBy::Project => self
                .sources
                .iter()
                .any(|s| matches!(s, Allowed::Own(allowed) if is_same(allowed, &meaning.source))),
            DefinedBy::Host | DefinedBy::Scheme => {
                let named =
                    |s: &Allowed| matches!(s, Allowed::Named(name) if name == reference.source());
                self.sources.iter().any(named)
                    || self.references.iter().any(|p| p.covers(reference))
            }
        }
    }
}

/// Where it is asked, as whom, and what for; how often makes no difference.
fn is_same(a: &SourceSpec, b: &SourceSpec) -> bool {
    (&a.kind, &a.url, &a.namespace, &a.auth, &a.ca, &a.root)
        == (&b.kind, &b.url, &b.namespace, &b.auth, &b.ca, &b.root)
}

pub(super) fn read(at: &Cursor<'_>) -> Option<Grant> {
    at.known(&["project", "references", "sources"]);
    let project = at.need("project")?.text()?;
    let sources = at
        .get("sources")
        .iter()
        .flat_map(Cursor::items)
        .filter_map(|it| allowed(&it))
        .collect();
    let pattern = |it: Cursor<'_>| {
        let found = it.text().map(Pattern::new)?;
        if found.is_none() {
            it.say(
                it.problem(
                    Code::InvalidValue,
                    format!(
                        "{} is neither a reference nor the beginning of one",
                        it.shown()
                    ),
                )
                .help("write `bao:kv/shop/db`, `bao:kv/shop/` or `env:SHOP_*`"),
            );
        }
        found
    };
    let references = at
        .get("references")
        .iter()
        .flat_map(Cursor::items)
        .filter_map(pattern)
        .collect();
    if at.get("sources").is_none() && at.get("references").is_none() {
        at.say(
            at.problem(Code::MissingKey, "the grant grants nothing")
                .help("name `sources` or `references`"),
        );
    }
    Some(Grant {
        project: (project != "*").then(|| project.into()),
        sources,
        references,
    })
}

fn allowed(at: &Cursor<'_>) -> Option<Allowed> {
    match &at.node.value {
        Value::Str(name) => Some(Allowed::Named(name.as_str().into())),
        _ => source(at, None).map(|s| Allowed::Own(Box::new(s))),
    }
}

/// What a project may not read. Its text has the lines that would grant it.
#[derive(Debug, Clone, PartialEq)]
pub struct MissingGrant {
    /// Who asks.
    pub project: ProjectName,
    /// What for.
    pub reference: SecretRef,
    /// The source as the project defines it, if it does.
    pub own: Option<Box<SourceSpec>>,
    /// The controller's environment is not open to anybody.
    pub closed: bool,
    /// There is a grant, only the environment is closed.
    pub allowed: bool,
}

impl fmt::Display for MissingGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`docker locket trust` grants it, or add to locket.yaml:\n")?;
        if self.closed {
            f.write_str("\nsources:\n  env: env\n")?;
        }
        if self.allowed {
            return Ok(());
        }
        write!(
            f,
            "\ngrants:\n  - project: {}\n",
            quote(self.project.as_str())
        )?;
        match &self.own {
            Some(own) => writeln!(f, "    sources: [{}]", flow(own)),
            None => {
                let text = self.reference.widened().to_string().replace('*', "%2A");
                writeln!(f, "    references: [{}]", quote(&text))
            }
        }
    }
}

impl std::error::Error for MissingGrant {}

/// A source as a YAML mapping in one line.
fn flow(it: &SourceSpec) -> String {
    let credential = |c: &Credential| match c {
        Credential::File(path) => format!("{{ file: {} }}", quote(path)),
        Credential::Env(name) => format!("{{ env: {} }}", quote(name)),
    };
    let auth = it.auth.as_ref().map(|auth| match auth {
        AuthSpec::Token(token) => format!("{{ token: {} }}", credential(token)),
        AuthSpec::Approle {
            role_id,
            secret_id,
            mount,
        } => {
            let mount = mount
                .as_ref()
                .map(|m| format!(", mount: {}", quote(m)))
                .unwrap_or_default();
            format!(
                "{{ approle: {{ role_id: {}, secret_id: {}{mount} }} }}",
                quote(role_id),
                credential(secret_id)
            )
        }
    });
    let text =
        |key: &str, value: &Option<String>| value.as_ref().map(|v| format!("{key}: {}", quote(v)));
    let all = [
        Some(format!("type: {}", it.kind)),
        text("url", &it.url),
        text("namespace", &it.namespace),
        auth.map(|a| format!("auth: {a}")),
        text("ca", &it.ca),
        text("root", &it.root),
    ];
    format!(
        "{{ {} }}",
        all.into_iter().flatten().collect::<Vec<_>>().join(", ")
    )
}

/// Text in YAML's double quotes; those of JSON are among them.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
