//! What compose files say that is probably not meant: heuristics, so everything here is a warning and can be allowed.
//!
//! Read from the user's own files, where places and spelling are; the spec says what locket makes of them.
//! No message and no place that is not masked ever shows a value.

mod allow;
mod change;
mod commands;
mod environment;
mod looks;

use crate::compose::{X, files, of_service, services_of};
use crate::diag::{Diagnostic, Place, SourceMap};
use crate::read::{Reading, Written, under};
use crate::spec::{Origin, ProjectSpec};
use crate::text::Text;
use crate::yaml::{Node, Value};

pub use allow::allowed;

/// The texts as they may be shown: values that look like secrets are masked, whether or not that is a problem there.
pub fn shown(sources: &[Text]) -> SourceMap {
    let (files, _) = files(sources);
    let reading = Reading::plain(&files);
    let mut masks: Vec<Place> = environment::hidden(&reading.written())
        .map(|it| it.place)
        .collect();
    // What cannot be read has no variables.
    for it in sources.iter().filter(|it| it.error().is_some()) {
        masks.extend(looks::lines(it.text()).map(|(line, column)| {
            Place::from(Origin {
                file: it.name().to_owned(),
                line,
                column,
            })
        }));
    }
    sources.iter().collect::<SourceMap>().masking(masks)
}

/// Values that look like secrets, as they are written: what another program's words about these files may quote.
pub fn hidden_values(sources: &[Text]) -> Vec<String> {
    let (files, _) = files(sources);
    let reading = Reading::plain(&files);
    environment::hidden(&reading.written())
        .map(|it| it.literal().to_owned())
        .collect()
}

/// All warnings, in the order of the files. Without a spec, which a project with errors does not have, those that need none.
pub fn lint(sources: &[Text], spec: Option<&ProjectSpec>) -> Vec<Diagnostic> {
    let (files, _) = files(sources);
    let reading = Reading::plain(&files);
    let written = reading.written();
    let mut out: Vec<Diagnostic> = environment::all(&written)
        .iter()
        .filter_map(|it| it.problem(spec))
        .collect();
    if let Some(spec) = spec {
        let services = services_of(&written);
        for (name, asked) in &spec.services {
            let service = Service {
                name: name.as_str(),
                written: of_service(&services, name.as_str()),
                asked,
                spec,
            };
            commands::look(&service, &mut out);
            change::look(&service, &mut out);
        }
    }
    out.sort_by(|a, b| (&a.place.origin, a.code).cmp(&(&b.place.origin, b.code)));
    // What an anchor brings into several services is one problem.
    out.dedup_by(|a, b| a.place == b.place && a.code == b.code);
    out
}

/// A service that uses secrets.
struct Service<'a> {
    name: &'a str,
    /// What the files say about it, what it extends in front.
    written: Vec<Written<'a>>,
    asked: &'a crate::spec::ServiceSpec,
    spec: &'a ProjectSpec,
}

impl<'a> Service<'a> {
    /// The last word of the files on something; the keys lead there.
    fn last(&self, path: &[&str]) -> Option<Written<'a>> {
        let step = |all: Vec<Written<'a>>, key: &&str| under(&all, key);
        path.iter().fold(self.written.clone(), step).pop()
    }
}

/// The place of some bytes of a file.
fn place(w: &Written<'_>, at: &std::ops::Range<usize>) -> Place {
    w.file.lines.place(w.file.name, at)
}

/// The words of a list, or a text as the only one.
fn words(node: &Node) -> Vec<&str> {
    match &node.value {
        Value::Str(text) => vec![text],
        Value::List(all) => all.iter().filter_map(Node::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
