//! What services are given instead: the block `x-locket`, or more keys of the one that is there.

use std::collections::BTreeMap;

use locket_crds::yaml::{Node, Value as Yaml};

use crate::generate::EditError;
use crate::generate::edit::Doc;
use crate::generate::own::proven;
use crate::generate::scalar::{escaped, list, map, quoted, scalar};

type Result<T> = std::result::Result<T, EditError>;

const X: &str = "x-locket";

/// What is given, and under which names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Sources that are not there yet: name and YAML in flow style.
    pub sources: BTreeMap<String, String>,
    /// Names of the catalogue, with their references.
    pub secrets: BTreeMap<String, String>,
    /// The services.
    pub services: BTreeMap<String, Own>,
}

/// What one service is given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Variable → a name, or a text with one in it.
    pub env: BTreeMap<String, String>,
    /// The same, handed over by compose: without the prefix that compose puts in front.
    pub visible: BTreeMap<String, String>,
    /// Files.
    pub files: Vec<Given>,
    /// Where they are, if not at the usual place.
    pub path: Option<String>,
    /// Among them is one that is read at the first start only.
    pub first_start: bool,
    /// Among them is one that is read at every start.
    pub asks: bool,
    /// What was said elsewhere of a changed value.
    pub on_change: Option<String>,
}

/// One file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// The name of the secret.
    pub source: String,
    /// The file's name.
    pub target: String,
    /// As compose's own.
    pub mode: Option<String>,
    /// As compose's own.
    pub uid: Option<String>,
    /// As compose's own.
    pub gid: Option<String>,
}

impl Given {
    fn text(&self) -> String {
        if self.target == self.source
            && self.mode.is_none()
            && self.uid.is_none()
            && self.gid.is_none()
        {
            return scalar(&self.source);
        }
        let field = |name: &str, value: &str| (name.to_owned(), scalar(value));
        let mut all = vec![field("source", &self.source), field("target", &self.target)];
        let more = [("mode", &self.mode), ("uid", &self.uid), ("gid", &self.gid)];
        all.extend(
            more.into_iter()
                .filter_map(|(name, it)| Some(field(name, it.as_deref()?))),
        );
        map(all)
    }
}

impl Own {
    /// Each key with its value in flow style.
    fn keys(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        if let Some(path) = &self.path {
            out.push(("path", scalar(path)));
        }
        let env = self.variables();
        if !env.is_empty() {
            let all = env.into_iter().map(|(name, value)| (scalar(name), value));
            out.push(("env", map(all)));
        }
        if !self.files.is_empty() {
            out.push(("secrets", list(self.files.iter().map(Given::text))));
        }
        if let Some(on_change) = self.on_change() {
            out.push(("on_change", on_change.to_owned()));
        }
        out
    }

    /// All variables, with YAML of each.
    fn variables(&self) -> Vec<(&str, String)> {
        let given = self
            .env
            .iter()
            .map(|(name, it)| (name.as_str(), variable(it)));
        let visible = self.visible.iter().map(|(name, it)| {
            let key = visible_key(it);
            let field = |name: &str, value: String| (name.to_owned(), value);
            let all = [field(key, variable(it)), field("via", scalar("compose"))];
            (name.as_str(), map(all))
        });
        given.chain(visible).collect()
    }

    fn on_change(&self) -> Option<&str> {
        let never = (self.first_start && !self.asks).then_some("none");
        self.on_change.as_deref().or(never)
    }

    fn flow(&self) -> String {
        map(self
            .keys()
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value)))
    }
}

/// A name, or a text: braces are read by YAML where they are not quoted.
fn variable(value: &str) -> String {
    if value.contains("{{") {
        quoted(value)
    } else {
        scalar(value)
    }
}

/// Which key of a variable's long form says this: a text with templates, or a name.
fn visible_key(value: &str) -> &'static str {
    if value.contains("{{") {
        "value"
    } else {
        "secret"
    }
}

/// Plain YAML also in flow style, where it can be: no blank stands behind the colon.
fn reference(text: &str) -> String {
    let text = escaped(text);
    let plain = |c: char| c.is_ascii_alphanumeric() || ":/._-#%=".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        quoted(&text)
    }
}

impl Grants {
    /// The text of a compose file with all of this in it.
    ///
    /// # Errors
    /// Its `x-locket` is written in an unusual way.
    pub fn write(&self, text: &str) -> Result<String> {
        if self.services.is_empty() {
            return Ok(text.to_owned());
        }
        let after = match Doc::new(text)?.root.entry(X) {
            None => self.appended(text),
            Some(_) => self.added(text.to_owned())?,
        };
        proven(text, after, X, |root| self.there(root.get(X)?))
    }

    /// The block on its own, at the end.
    fn appended(&self, text: &str) -> String {
        let eol = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let mut out = text.to_owned();
        if !out.is_empty() && !out.ends_with('\n') {
            out.push_str(eol);
        }
        let mut line = |indent: usize, text: &str| {
            out.push_str(&" ".repeat(indent));
            out.push_str(text);
            out.push_str(eol);
        };
        line(0, "");
        line(0, "x-locket:");
        if !self.sources.is_empty() {
            line(2, "sources:");
        }
        for (name, source) in &self.sources {
            line(4, &format!("{}: {source}", scalar(name)));
        }
        line(2, "secrets:");
        for (name, it) in &self.secrets {
            line(4, &format!("{}: {}", scalar(name), reference(it)));
        }
        line(2, "services:");
        for (service, own) in &self.services {
            line(4, &format!("{}:", scalar(service)));
            for (key, value) in own.keys() {
                match key {
                    "env" => {
                        line(6, "env:");
                        for (name, value) in own.variables() {
                            line(8, &format!("{}: {value}", scalar(name)));
                        }
                    }
                    _ => line(6, &format!("{key}: {value}")),
                }
            }
        }
        out
    }

    /// Key by key into the one that is there.
    fn added(&self, mut text: String) -> Result<String> {
        for (name, source) in self.sources.iter().rev() {
            text = with(text, &[X, "sources"], &scalar(name), name, source)?;
        }
        for (name, it) in self.secrets.iter().rev() {
            text = with(text, &[X, "secrets"], &scalar(name), name, &reference(it))?;
        }
        for (service, own) in self.services.iter().rev() {
            let there = {
                let doc = Doc::new(&text)?;
                doc.find(&[X, "services", service]).is_ok()
            };
            if !there {
                text = with(
                    text,
                    &[X, "services"],
                    &scalar(service),
                    service,
                    &own.flow(),
                )?;
                continue;
            }
            let at = [X, "services", service.as_str()];
            for (name, value) in own.variables().into_iter().rev() {
                let env = [X, "services", service, "env"];
                text = with(text, &env, &scalar(name), name, &value)?;
            }
            for file in own.files.iter().rev() {
                let doc = Doc::new(&text)?;
                text = match doc.find(&[X, "services", service, "secrets"]) {
                    Ok(all) => doc.add_item(all, &file.text())?,
                    Err(_) => doc.add_key(doc.find(&at)?, "secrets", &list([file.text()]), &[])?,
                };
            }
            if let Some(on_change) = &own.on_change {
                text = with(text, &at, "on_change", "on_change", on_change)?;
            }
        }
        Ok(text)
    }

    /// Whether everything stands there now.
    fn there(&self, x: &Node) -> Option<()> {
        for name in self.sources.keys() {
            x.get("sources")?.get(name)?;
        }
        for (name, it) in &self.secrets {
            let said = x.get("secrets")?.get(name)?;
            let said = said.get("ref").unwrap_or(said).as_str()?;
            (said == escaped(it)).then_some(())?;
        }
        for (service, own) in &self.services {
            let it = x.get("services")?.get(service)?;
            for (name, value) in &own.env {
                (it.get("env")?.get(name)?.as_str()? == value).then_some(())?;
            }
            for (name, value) in &own.visible {
                let said = it.get("env")?.get(name)?;
                let key = visible_key(value);
                (said.get(key)?.as_str()? == value && said.get("via").is_some()).then_some(())?;
            }
            let files = it.get("secrets").map(|it| &it.value);
            let many = match files {
                Some(Yaml::List(all)) => all.len(),
                _ => 0,
            };
            (many >= own.files.len()).then_some(())?;
        }
        Some(())
    }
}

/// Adds a key to a mapping that may not be there yet.
fn with(text: String, path: &[&str], key: &str, name: &str, value: &str) -> Result<String> {
    let doc = Doc::new(&text)?;
    if let Ok(of) = doc.find(path) {
        return match of.node.get(name) {
            Some(_) => Ok(text.clone()),
            None => doc.add_key(of, key, value, &[]),
        };
    }
    let (last, above) = path.split_last().ok_or(EditError::Failed)?;
    let of = doc.find(above)?;
    doc.add_key(of, last, &format!("{{ {key}: {value} }}"), &[])
}
