//! Diagnostics as JSON, for programs. New fields may come; a field never changes its meaning.

use serde::Serialize;

use super::render::Texts;
use super::{Diagnostic, Place, Severity, SourceMap, clean};

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    errors: usize,
    warnings: usize,
    problems: Vec<Problem<'a>>,
}

#[derive(Serialize)]
struct Problem<'a> {
    code: &'a str,
    name: &'a str,
    severity: Severity,
    message: String,
    #[serde(flatten)]
    at: At<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snippet: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<Related<'a>>,
}

/// Line and column are from 1 and count characters; they are not there where only the file is known.
#[derive(Serialize)]
struct At<'a> {
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
}

#[derive(Serialize)]
struct Related<'a> {
    #[serde(flatten)]
    at: At<'a>,
    message: String,
}

impl<'a> At<'a> {
    fn new(place: &'a Place) -> Self {
        let at = &place.origin;
        let known = |n: u32| (at.line > 0 && n > 0).then_some(n);
        Self {
            file: &at.file,
            line: known(at.line),
            column: known(at.column),
            width: known(place.width),
        }
    }
}

/// All problems as one JSON object, with the lines that they are about; ends with a line feed.
pub fn render_json(all: &[Diagnostic], sources: &SourceMap) -> String {
    let texts = Texts::new(all, sources);
    let errors = all.iter().filter(|it| it.is_error()).count();
    let report = Report {
        version: 1,
        errors,
        warnings: all.len() - errors,
        problems: all.iter().map(|it| problem(it, &texts)).collect(),
    };
    super::pretty(&report)
}

fn problem<'a>(it: &'a Diagnostic, texts: &'a Texts<'_>) -> Problem<'a> {
    let related = |(place, text): &'a (Place, String)| Related {
        at: At::new(place),
        message: clean(text),
    };
    Problem {
        code: it.code.number(),
        name: it.code.slug(),
        severity: it.severity,
        message: clean(&it.message),
        at: At::new(&it.place),
        snippet: texts.line(&it.place),
        help: it.help.as_deref().map(clean),
        notes: it.notes.iter().map(|text| clean(text)).collect(),
        related: it.labels.iter().map(related).collect(),
    }
}
