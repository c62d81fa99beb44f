//! What is wrong with a file, for people: code, place, snippet, help.
//!
//! A [`Diagnostic`] carries its place as line and column, so that it can be shown where the file is not at hand:
//! [`one_line`] needs nothing else. [`render_text`] shows the source's own line, before interpolation.
//! Neither ever shows a literal that stands where a credential was expected.

mod code;
mod explain;
mod extent;
mod github;
mod json;
mod render;
mod sarif;

use serde::{Deserialize, Serialize};

pub use code::Code;
pub use explain::{Explanation, page};
pub use extent::measure;
pub use github::render_github;
pub use json::render_json;
pub use render::render_text;
pub use sarif::render_sarif;

use crate::names::only_near;
use crate::spec::Origin;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing is delivered.
    Error,
    /// It works, but probably not as meant.
    Warning,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// What kind of problem.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// One lower-case clause; never a value.
    pub message: String,
    /// Where.
    pub place: Place,
    /// Other places that have to do with it.
    pub labels: Vec<(Place, String)>,
    /// What to do.
    pub help: Option<String>,
    /// More to know.
    pub notes: Vec<String>,
    /// Characters that may be a secret that somebody wrote there: no snippet shows them.
    pub masks: Vec<Place>,
    /// A mistyped name at the place or behind it on its line, and the only name that is near.
    #[serde(default)]
    pub mistyped: Option<Mistyped>,
}

/// See [`Diagnostic::mistyped`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistyped {
    /// What is written there.
    pub name: String,
    /// What was probably meant.
    pub near: String,
}

/// Some characters of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Place {
    /// The first one.
    pub origin: Origin,
    /// How many; 0 when unknown.
    pub width: u32,
}

impl Place {
    /// Whether another place begins within this one; this one is on one line.
    pub(crate) fn has(&self, other: &Place) -> bool {
        let (at, it) = (&self.origin, &other.origin);
        let end = at.column + self.width.max(1);
        at.file == it.file && at.line == it.line && (at.column..end).contains(&it.column)
    }
}

impl From<Origin> for Place {
    fn from(origin: Origin) -> Self {
        Self { origin, width: 0 }
    }
}

impl Diagnostic {
    /// A problem of the code's usual severity.
    pub fn new(code: Code, place: impl Into<Place>, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: message.into(),
            place: place.into(),
            labels: Vec::new(),
            help: None,
            notes: Vec::new(),
            masks: Vec::new(),
            mistyped: None,
        }
    }

    /// Says that a name is mistyped, if exactly one of those that could stand there is near.
    #[must_use]
    pub(crate) fn mistyped<'a>(
        mut self,
        name: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        self.mistyped = only_near(name, candidates).map(|near| Mistyped {
            name: name.to_owned(),
            near: near.to_owned(),
        });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        self.maybe_help(Some(help.into()))
    }

    /// Says what to do, if that is known.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Adds something to know.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn label(mut self, place: impl Into<Place>, text: impl Into<String>) -> Self {
        self.labels.push((place.into(), text.into()));
        self
    }

    /// Hides the characters at its place.
    #[must_use]
    pub fn mask(self) -> Self {
        let place = self.place.clone();
        self.mask_all([place])
    }

    /// Hides the characters at other places.
    #[must_use]
    pub fn mask_all(mut self, places: impl IntoIterator<Item = Place>) -> Self {
        self.masks.extend(places);
        self
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The files that diagnostics are about: name, as in [`Origin::file`], and text.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    texts: std::collections::BTreeMap<String, String>,
    /// What is never shown, whatever a problem is about.
    masks: Vec<Place>,
}

impl SourceMap {
    /// The text of a file.
    pub fn text(&self, file: &str) -> Option<&str> {
        self.texts.get(file).map(String::as_str)
    }

    /// Hides characters in everything that is shown.
    #[must_use]
    pub(crate) fn masking(mut self, masks: Vec<Place>) -> Self {
        self.masks.extend(masks);
        self
    }

    /// The text of a file as it may be shown: line by line the same, with `*` for what is hidden.
    pub fn shown(&self, file: &str) -> Option<String> {
        render::shown(self, file)
    }
}

impl FromIterator<(String, String)> for SourceMap {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(all: I) -> Self {
        Self {
            texts: all.into_iter().collect(),
            masks: Vec::new(),
        }
    }
}

/// Everything in one line: `compose.yaml:12:7: message (help)`. For the gate, whose messages have one line.
pub fn one_line(it: &Diagnostic) -> String {
    let mut out = format!("{}: {}", it.place.origin, it.message);
    if let Some(help) = &it.help {
        out += &format!(" ({help})");
    }
    clean(&out.replace('\n', " "))
}

/// Whether a text can be used.
///
/// # Errors
/// The first problem that keeps it from that, on one line.
pub fn refused(problems: &[Diagnostic]) -> Result<(), String> {
    match problems.iter().find(|it| it.is_error()) {
        Some(it) => Err(one_line(it)),
        None => Ok(()),
    }
}

/// A value as JSON that people can read too; ends with a line feed.
fn pretty(it: &impl Serialize) -> String {
    // Only maps with keys that are no text, and writers, can fail.
    serde_json::to_string_pretty(it).unwrap_or_default() + "\n"
}

/// Text without control characters and without those that turn the direction of writing: safe on a terminal, one character for one.
fn clean(text: &str) -> String {
    let harmless = |c: char| match c {
        '\n' | '\t' => c,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(harmless).collect()
}

impl std::fmt::Display for Origin {
    /// `compose.yaml:12:7`, or only the file when the line is unknown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.line, self.column) {
            (0, _) => f.write_str(&self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

/// Where the lines of a text begin, to turn bytes into lines and columns.
#[derive(Debug, Clone)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
    /// Characters before every block of bytes: a line may be as long as a file, and have a place for each of its words.
    before: Vec<usize>,
}

/// Bytes of a block.
const BLOCK: usize = 1024;

/// How many characters begin in some bytes of a text.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|b| **b & 0xc0 != 0x80).count()
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let after = |(at, _): (usize, &str)| at + 1;
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(after))
            .collect();
        let mut before = vec![0];
        for block in text.as_bytes().chunks(BLOCK) {
            before.push(before.last().unwrap_or(&0) + characters(block));
        }
        Self {
            text,
            starts,
            before,
        }
    }

    /// Characters before a byte.
    fn characters_before(&self, at: usize) -> usize {
        let block = at / BLOCK;
        let rest = self.text.as_bytes().get(block * BLOCK..at);
        self.before.get(block).unwrap_or(&0) + characters(rest.unwrap_or_default())
    }

    /// Line and column of a byte, both from 1; columns are characters.
    pub(crate) fn position(&self, at: usize) -> (u32, u32) {
        let line = self.starts.partition_point(|start| *start <= at).max(1);
        let start = self.starts[line - 1];
        let at = if self.text.is_char_boundary(at) {
            at
        } else {
            start
        };
        let column = self.characters_before(at) - self.characters_before(start);
        (line as u32, column as u32 + 1)
    }

    /// The place of some bytes of this text in a file of this name.
    pub(crate) fn place(&self, file: &str, at: &std::ops::Range<usize>) -> Place {
        let (line, column) = self.position(at.start);
        let width = self
            .text
            .get(at.clone())
            .unwrap_or_default()
            .trim_end()
            .chars()
            .count() as u32;
        Place {
            origin: Origin {
                file: file.to_owned(),
                line,
                column,
            },
            width,
        }
    }
}

#[cfg(test)]
mod tests;
