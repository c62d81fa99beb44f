//! What the user's files say by themselves, without the model.

use std::collections::BTreeSet;

use super::X;
use crate::diag::{Code, Diagnostic, Lines, Place};
use crate::read::{Cursor, File, Reading, Written, under};
use crate::text::Text;
use crate::yaml::{Node, Value};

/// What can be said of the user's files alone, for when compose itself refuses them: syntax, and unquoted templates.
pub fn check_sources(sources: &[Text]) -> Vec<Diagnostic> {
    let (files, mut problems) = files(sources);
    problems.extend(alone(&files));
    problems
}

/// The same for files that are YAML.
pub(super) fn alone(files: &[File<'_>]) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for file in files {
        let reading = Reading::plain(&[]);
        let mut look = vec![];
        for document in file.documents {
            let root = Written {
                file,
                node: document,
            };
            look.extend(under(&[root], X));
            for (name, _) in entries(document.get("services")) {
                look.extend(under(&under(&under(&[root], "services"), name), X));
            }
        }
        while let Some(it) = look.pop() {
            match &it.node.value {
                Value::Map(all) if all.iter().any(|e| e.key.is_none()) => {
                    Cursor::new(&reading, it.node, vec![it], Place::default()).wrong("text");
                }
                Value::Map(all) => look.extend(all.iter().rev().map(|e| Written {
                    node: &e.node,
                    ..it
                })),
                Value::List(all) => {
                    look.extend(all.iter().rev().map(|node| Written { node, ..it }))
                }
                _ => {}
            }
        }
        problems.extend(reading.problems());
    }
    problems.extend(mixed(files));
    problems
}

/// Compose cannot merge a list with a mapping: a service has one form of `x-locket` in all files.
fn mixed(files: &[File<'_>]) -> Vec<Diagnostic> {
    let reading = Reading::plain(files);
    let services = under(&reading.written(), "services");
    let names: BTreeSet<&str> = services
        .iter()
        .flat_map(|w| entries(Some(w.node)))
        .map(|e| e.0)
        .collect();
    for name in names {
        let all = under(&under(&services, name), X);
        let form = |w: &Written<'_>| matches!(w.node.value, Value::List(_));
        if let [first, .., last] = all.as_slice()
            && form(first) != form(last)
        {
            let at = Cursor::new(&reading, last.node, vec![*last], Place::default());
            let it = at.problem(
                Code::WrongType,
                format!("`x-locket` of {name} is a list in one file and a mapping in another"),
            );
            let other = Cursor::new(&reading, first.node, vec![*first], Place::default()).place();
            at.say(
                it.label(other, "the other form")
                    .help("write the long form in all files: `{ secrets: […] }`"),
            );
        }
    }
    reading.problems()
}

/// Tells of what compose leaves out: the top-level `x-locket` of a file that is included.
pub(super) fn dropped(root: &Cursor<'_>) {
    for key in ["sources", "secrets"] {
        let section = under(&under(&root.reading.written(), X), key);
        // Forms that cannot be merged are another mistake, and are told as one.
        if !section
            .iter()
            .all(|w| matches!(w.node.value, Value::Map(_)))
        {
            continue;
        }
        let meant = root.node.get(X).and_then(|x| x.get(key));
        let names: BTreeSet<&str> = section
            .iter()
            .flat_map(|w| entries(Some(w.node)))
            .map(|e| e.0)
            .collect();
        let meant: BTreeSet<&str> = entries(meant).map(|e| e.0).collect();
        for name in names.difference(&meant) {
            // One that a later file resets is not there on purpose.
            if let Some(w) = under(&section, name).pop() {
                let at = Cursor::new(root.reading, w.node, vec![w], Place::default());
                let it = at.problem(Code::Dropped, format!("compose drops `{name}`: `x-locket` at the top of an included file is not read"));
                at.say(it.help("move it to the file that includes this one, or write references in the service itself"));
            }
        }
    }
}

/// The files that a compose file includes or extends, as they are written there: relative to it, maybe with variables.
pub fn referenced_files(text: &Text) -> Vec<String> {
    let mut out = BTreeSet::new();
    for document in text.documents() {
        if let Some(Value::List(all)) = document.get("include").map(|n| &n.value) {
            for it in all {
                match it.get("path").unwrap_or(it) {
                    Node {
                        value: Value::Str(path),
                        ..
                    } => drop(out.insert(path.clone())),
                    Node {
                        value: Value::List(paths),
                        ..
                    } => out.extend(paths.iter().filter_map(Node::as_str).map(str::to_owned)),
                    _ => {}
                }
            }
        }
        let file = |service: &Node| Some(service.get("extends")?.get("file")?.as_str()?.to_owned());
        out.extend(entries(document.get("services")).filter_map(|(_, service)| file(service)));
    }
    out.into_iter().collect()
}

/// The user's files as trees; those that are not YAML are told and left out.
pub(crate) fn files(sources: &[Text]) -> (Vec<File<'_>>, Vec<Diagnostic>) {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    for it in sources {
        let lines = Lines::new(it.text());
        let Some(e) = it.error() else {
            files.push(File {
                name: it.name(),
                text: it.text(),
                lines,
                documents: it.documents(),
            });
            continue;
        };
        let at = lines.place(it.name(), &e.at);
        let nth = at.origin.line.saturating_sub(1) as usize;
        let line = it.text().lines().nth(nth).unwrap_or_default();
        let quote = line
            .contains("{{")
            .then(|| "write templates in quotes: `\"{{ … }}\"`".to_owned());
        let problem = Diagnostic::new(Code::Syntax, at, e.message.clone());
        problems.push(problem.maybe_help(quote));
    }
    (files, problems)
}

fn entries(node: Option<&Node>) -> impl Iterator<Item = (&str, &Node)> {
    let all = match node.map(|n| &n.value) {
        Some(Value::Map(all)) => all.as_slice(),
        _ => &[],
    };
    all.iter()
        .filter_map(|e| Some((e.key.as_deref()?, &e.node)))
}
