//! Diagnostics as workflow commands of GitHub Actions: a problem becomes an annotation of its line.
//! See <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>.

use std::fmt::Write;

use super::{Diagnostic, Severity, clean};

/// One `::error …::…` or `::warning …::…` a problem, each a line; help and notes are further lines of its text.
///
/// Files are as in the places: GitHub wants them relative to the root of the repository.
pub fn render_github(all: &[Diagnostic]) -> String {
    let mut out = String::new();
    for it in all {
        let command = match it.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let at = &it.place.origin;
        let _ = write!(out, "::{command} file={}", property(&at.file));
        if at.line > 0 {
            let _ = write!(out, ",line={},col={}", at.line, at.column);
            if it.place.width > 0 {
                let _ = write!(out, ",endColumn={}", at.column + it.place.width);
            }
        }
        let _ = write!(out, ",title={}", property(&it.code.to_string()));
        let labels = it
            .labels
            .iter()
            .map(|(place, text)| format!("{}: {text}", place.origin));
        let help = it.help.iter().map(|text| format!("help: {text}"));
        let notes = it.notes.iter().map(|text| format!("note: {text}"));
        let text: Vec<String> = std::iter::once(it.message.clone())
            .chain(labels)
            .chain(help)
            .chain(notes)
            .collect();
        let _ = writeln!(out, "::{}", data(&text.join("\n")));
    }
    out
}

/// The text of a command, which is one line.
fn data(text: &str) -> String {
    clean(text)
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A property, which ends at a comma or a colon.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
