//! Reading a tree with problems collected: every wrong thing is told with its place, and reading goes on.
//!
//! What a value *means* and where it was *written* may come from different texts: meaning from `docker compose config`,
//! after interpolation and merges, places and the spelling before interpolation from the user's own files.
//! A [`Cursor`] walks both at once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use crate::diag::{Code, Diagnostic, Lines, Place};
use crate::names::suggest;
use crate::spec::Origin;
use crate::time::parse_duration;
use crate::yaml::{Entry, Node, Tag, Value};

/// A file that a user wrote.
pub(crate) struct File<'a> {
    pub name: &'a str,
    pub text: &'a str,
    pub lines: Lines<'a>,
    pub documents: &'a [Node],
}

/// What all cursors of one reading share.
pub(crate) struct Reading<'a> {
    pub files: &'a [File<'a>],
    /// Whether what is meant went through compose's interpolation, so that it must be judged by what was written.
    pub interpolated: bool,
    problems: RefCell<Vec<Diagnostic>>,
}

impl<'a> Reading<'a> {
    /// Of texts that mean what they say.
    pub fn plain(files: &'a [File<'a>]) -> Self {
        Self {
            files,
            interpolated: false,
            problems: RefCell::default(),
        }
    }

    /// Of the model that compose made of these files.
    pub fn interpolated(files: &'a [File<'a>]) -> Self {
        Self {
            interpolated: true,
            ..Self::plain(files)
        }
    }

    pub fn say(&self, it: Diagnostic) {
        self.problems.borrow_mut().push(it);
    }

    pub fn problems(self) -> Vec<Diagnostic> {
        self.problems.into_inner()
    }

    /// The root of what the files themselves say.
    pub fn written(&'a self) -> Vec<Written<'a>> {
        let one = |file: &'a File<'a>| {
            file.documents
                .iter()
                .map(move |node| Written { file, node })
        };
        self.files.iter().flat_map(one).collect()
    }
}

/// One file's word on something.
#[derive(Clone, Copy)]
pub(crate) struct Written<'a> {
    pub file: &'a File<'a>,
    pub node: &'a Node,
}

impl Written<'_> {
    fn place(&self) -> Place {
        self.file.lines.place(self.file.name, &self.node.defined)
    }
}

/// What the files say about a key of something, in Compose's order; the last one wins, mappings and lists add up.
pub(crate) fn under<'a>(written: &[Written<'a>], key: &str) -> Vec<Written<'a>> {
    let found = |w: &Written<'a>| w.node.get(key).map(|node| Written { node, ..*w });
    merged(written.iter().filter_map(found))
}

/// The same for every key at once, which for a large mapping is much faster than one by one.
pub(crate) fn under_each<'a>(written: &[Written<'a>]) -> HashMap<&'a str, Vec<Written<'a>>> {
    let mut out: HashMap<&str, Vec<Written<'a>>> = HashMap::new();
    for w in written {
        if let Value::Map(all) = &w.node.value {
            for e in all {
                let Some(key) = e.key.as_deref() else {
                    continue;
                };
                out.entry(key).or_default().push(Written {
                    node: &e.node,
                    ..*w
                });
            }
        }
    }
    out.values_mut()
        .for_each(|all| *all = merged(all.drain(..)));
    out
}

/// Obeys the tags: `!override` and `!reset` drop what earlier files say.
fn merged<'a>(all: impl Iterator<Item = Written<'a>>) -> Vec<Written<'a>> {
    let mut out = Vec::new();
    for w in all {
        if w.node.tag != Tag::None {
            out.clear();
        }
        if w.node.tag != Tag::Reset {
            out.push(w);
        }
    }
    out
}

fn item<'a>(written: &[Written<'a>], index: usize) -> Vec<Written<'a>> {
    let all = written.iter().filter_map(|w| match &w.node.value {
        Value::List(list) => Some(list.iter().map(move |node| Written { node, ..*w })),
        _ => None,
    });
    all.flatten().nth(index).into_iter().collect()
}

/// A value in its place.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    pub reading: &'a Reading<'a>,
    /// What it means.
    pub node: &'a Node,
    /// What it is called in messages: its key, or the list that it is in.
    pub name: String,
    written: Vec<Written<'a>>,
    /// Where it was written, or else the nearest thing around it whose place is known.
    place: Place,
}

impl<'a> Cursor<'a> {
    pub fn new(
        reading: &'a Reading<'a>,
        node: &'a Node,
        written: Vec<Written<'a>>,
        place: Place,
    ) -> Self {
        let mut it = Self {
            reading,
            node,
            name: "this file".to_owned(),
            written: Vec::new(),
            place,
        };
        it.go(written);
        it
    }

    fn go(&mut self, written: Vec<Written<'a>>) {
        self.place = match written.last() {
            Some(w) => w.place(),
            None => Place {
                width: 0,
                ..self.place.clone()
            },
        };
        self.written = written;
    }

    fn step(&self, node: &'a Node, name: String, written: Vec<Written<'a>>) -> Self {
        let mut it = Self {
            node,
            name,
            written: Vec::new(),
            ..self.clone()
        };
        it.go(written);
        it
    }

    /// The same value with other words of the files on it; without any, only the file is known.
    pub fn with_written(&self, written: Vec<Written<'a>>) -> Self {
        let mut it = self.clone();
        let file = std::mem::take(&mut it.place.origin.file);
        it.place = Place::from(Origin {
            file,
            ..Origin::default()
        });
        it.go(written);
        it
    }

    /// The value of a label: messages call it so, and where there is no file the label is the place.
    pub fn named_by_label(mut self, label: &str) -> Self {
        self.name = format!("`{label}`");
        if self.place.origin.file == "label" {
            self.place.origin.file = format!("label {label}");
        }
        self
    }

    pub fn place(&self) -> Place {
        self.place.clone()
    }

    pub fn origin(&self) -> Origin {
        self.place.origin.clone()
    }

    /// Where a key of this mapping was written.
    pub fn key_place(&self, key: &str) -> Place {
        let at = |w: &Written<'_>| Some(w.file.lines.place(w.file.name, &w.node.entry(key)?.at));
        self.written
            .iter()
            .rev()
            .find_map(at)
            .unwrap_or_else(|| self.place())
    }

    /// The place of some bytes of this text, as far as they can be found in the file: escapes and folding hide them.
    pub fn place_within(&self, text: &str, at: &Range<usize>) -> Place {
        let found = self.written.last().and_then(|w| {
            let raw = w.file.text.get(w.node.defined.clone())?;
            let start = w.node.defined.start;
            if let Some(skip) = raw.find(text).filter(|skip| *skip <= 1) {
                return Some((w, start + skip + at.start..start + skip + at.end));
            }
            // A block scalar: the same line, further to the right.
            let (line, column) = Lines::new(text).position(at.start);
            let line = text
                .split('\n')
                .nth(line as usize - 1)?
                .get(..)
                .map(|l| (line, l))?;
            let raw_start: usize = raw
                .split_inclusive('\n')
                .take(line.0 as usize - 1)
                .map(str::len)
                .sum();
            let raw_line = raw.get(raw_start..)?.split('\n').next()?;
            let indent = raw_line
                .len()
                .checked_sub(line.1.len())
                .filter(|n| raw_line.get(*n..) == Some(line.1))?;
            let before = line
                .1
                .char_indices()
                .nth(column as usize - 1)
                .map_or(line.1.len(), |(at, _)| at);
            let byte = start + raw_start + indent + before;
            Some((w, byte..byte + at.len().min(line.1.len() - before)))
        });
        found.map_or_else(
            || self.place(),
            |(w, at)| w.file.lines.place(w.file.name, &at),
        )
    }

    /// A problem with this value; it is told once it is given to [`Cursor::say`].
    pub fn problem(&self, code: Code, message: impl Into<String>) -> Diagnostic {
        let mut it = Diagnostic::new(code, self.place(), message);
        if let Some(w) = self
            .written
            .last()
            .filter(|w| w.node.used != w.node.defined)
        {
            it = it.label(
                w.file.lines.place(w.file.name, &w.node.used),
                "it is used here",
            );
        }
        it
    }

    pub fn say(&self, it: Diagnostic) {
        self.reading.say(it);
    }

    /// The value of a key; nothing and `null` are the same.
    pub fn get(&self, key: &str) -> Option<Self> {
        let node = self.node.get(key).filter(|n| n.value != Value::Null)?;
        Some(self.step(node, format!("`{key}`"), under(&self.written, key)))
    }

    /// The same, and a problem if it is not there.
    pub fn need(&self, key: &str) -> Option<Self> {
        let found = self.get(key);
        // A template without quotes is a mapping whose key is one, and is told as that.
        let unquoted = |all: &[Entry]| all.iter().any(|e| e.key.is_none());
        let template = matches!(&self.node.value, Value::Map(all) if unquoted(all));
        if found.is_none() && !template {
            self.say(self.problem(Code::MissingKey, format!("{} has no `{key}`", self.name)));
        }
        found
    }

    /// All entries of a mapping; `null` has none.
    pub fn entries(&self) -> Vec<(&'a str, Self)> {
        match &self.node.value {
            Value::Null => Vec::new(),
            Value::Map(all) if all.iter().all(|e| e.key.is_some()) => {
                let mut written = under_each(&self.written);
                let one = |e: &'a crate::yaml::Entry| {
                    let key = e.key.as_deref()?;
                    let words = written.remove(key).unwrap_or_default();
                    Some((key, self.step(&e.node, format!("`{key}`"), words)))
                };
                all.iter().filter_map(one).collect()
            }
            _ => {
                self.wrong("a mapping");
                Vec::new()
            }
        }
    }

    /// All items of a list; `null` has none.
    pub fn items(&self) -> Vec<Self> {
        match &self.node.value {
            Value::Null => Vec::new(),
            Value::List(all) => all
                .iter()
                .enumerate()
                .map(|(i, node)| {
                    self.step(
                        node,
                        format!("an entry of {}", self.name),
                        item(&self.written, i),
                    )
                })
                .collect(),
            _ => {
                self.wrong("a list");
                Vec::new()
            }
        }
    }

    /// Tells of keys that do not exist.
    pub fn known(&self, keys: &[&'static str]) {
        for (key, it) in self.entries() {
            if !keys.contains(&key) {
                let help = suggest(key, keys.iter().copied());
                it.say(
                    Diagnostic::new(
                        Code::UnknownKey,
                        self.key_place(key),
                        format!("{} has no key `{key}`", self.name),
                    )
                    .maybe_help(help)
                    .mistyped(key, keys.iter().copied()),
                );
            }
        }
    }

    /// Text.
    pub fn text(&self) -> Option<&'a str> {
        if let Value::Str(text) = &self.node.value {
            return Some(text);
        }
        self.wrong("text");
        None
    }

    /// Text that compose's interpolation has no part in, judged on what the user wrote.
    pub fn own_text(&self) -> Option<&'a str> {
        let text = self.text()?;
        self.judge(text).then_some(text)
    }

    /// Whether nothing was interpolated into this text; tells of it otherwise.
    ///
    /// Fails closed: text whose place is not known, or that differs from what is written there, cannot be judged.
    pub fn judge(&self, text: &str) -> bool {
        if !self.reading.interpolated {
            return true;
        }
        let Some(written) = self.written.last().and_then(|w| w.node.as_str()) else {
            let it = self.problem(Code::Interpolation, format!("it cannot be seen where {} was written, so whether something was interpolated into it", self.name));
            self.say(it.help("write it in one of the project's own compose files"));
            return false;
        };
        if has_variable(written) {
            let it = self.problem(
                Code::Interpolation,
                format!("compose's variables have no place in {}", self.name),
            );
            let it = it.help("refer to a secret instead; a literal `$` is written `$$`");
            // A password beside the variable, as in a URL.
            self.say(match crate::likeness::format(written) {
                Some(_) => it.mask(),
                None => it,
            });
            return false;
        }
        if written.replace("$$", "$") != text {
            let it = self.problem(Code::Interpolation, format!("{} is not what this file says, so it cannot be seen whether something was interpolated into it", self.name));
            self.say(it.help("write it in one of the project's own compose files"));
            return false;
        }
        true
    }

    /// The text as the user wrote it, for messages: the meaning may hold what was interpolated.
    pub fn shown(&self) -> String {
        let written = self
            .written
            .last()
            .filter(|w| !matches!(w.node.value, Value::List(_) | Value::Map(_)));
        let raw = written.and_then(|w| w.file.text.get(w.node.defined.clone()));
        let short = |text: &str| text.trim().chars().take(60).collect::<String>();
        raw.map_or_else(|| "this".to_owned(), |raw| format!("`{}`", short(raw)))
    }

    /// The places of all scalars that were written in it.
    pub fn scalars(&self) -> Vec<Place> {
        let mut look = self.written.clone();
        let mut out = Vec::new();
        while let Some(w) = look.pop() {
            match &w.node.value {
                Value::List(all) => look.extend(all.iter().map(|node| Written { node, ..w })),
                Value::Map(all) => look.extend(all.iter().map(|e| Written { node: &e.node, ..w })),
                Value::Null => {}
                _ => out.push(w.place()),
            }
        }
        out
    }

    /// The bytes of the file where this was written.
    pub fn raw(&self) -> Option<&'a str> {
        let w = self.written.last()?;
        w.file.text.get(w.node.defined.clone())
    }

    pub fn bool(&self) -> Option<bool> {
        if let Value::Bool(it) = self.node.value {
            return Some(it);
        }
        self.wrong("`true` or `false`");
        None
    }

    pub fn duration(&self) -> Option<Duration> {
        let found = match &self.node.value {
            Value::Str(text) => parse_duration(text),
            Value::Int(0) => Some(Duration::ZERO),
            _ => None,
        };
        if found.is_none() {
            self.say(
                self.problem(
                    Code::InvalidValue,
                    format!("{} is not a duration", self.shown()),
                )
                .help("write a number with its unit: `500ms`, `30s`, `1m30s`"),
            );
        }
        found
    }

    pub fn wrong(&self, wanted: &str) {
        if let Value::Map(all) = &self.node.value
            && all.iter().any(|e| e.key.is_none())
        {
            let it = self.problem(
                Code::UnquotedTemplate,
                "an unquoted `{{ … }}` is a YAML mapping",
            );
            return self.say(it.help("write it in quotes: `\"{{ … }}\"`"));
        }
        let found = match &self.node.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Str(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        };
        let it = self.problem(
            Code::WrongType,
            format!("{} is {found}, not {wanted}", self.name),
        );
        let quote = wanted == "text"
            && matches!(
                self.node.value,
                Value::Bool(_) | Value::Int(_) | Value::Float(_)
            );
        self.say(it.maybe_help(quote.then(|| "write it in quotes".to_owned())));
    }
}

/// Whether compose would interpolate something into a text: a `$` that is not doubled.
pub(crate) fn has_variable(text: &str) -> bool {
    text.replace("$$", "").contains('$')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_dollar_is_one_and_no_variable() {
        for (text, expected) in [
            ("a", false),
            ("$$", false),
            ("$${A}", false),
            ("$A", true),
            ("${A}", true),
            ("$$$A", true),
            ("a$$b$$", false),
        ] {
            assert_eq!(has_variable(text), expected, "{text}");
        }
    }
}
