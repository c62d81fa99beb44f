//! From text to parts.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::CharIndices;

use super::{MAX_LENGTH, ReferenceError, SecretRef};

pub(super) fn is_source_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// A name as it is written between the slashes of `op://`.
pub(super) fn quoted(name: &str) -> String {
    if name.contains(['/', '?', '#', '"', '\\']) {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        name.to_owned()
    }
}

pub(super) fn reference(text: &str) -> Result<SecretRef, ReferenceError> {
    if text.len() > MAX_LENGTH {
        return Err(fail(
            text.floor_char_boundary(MAX_LENGTH),
            format!("the reference has more than {MAX_LENGTH} bytes"),
        ));
    }
    if let Some(at) = text.find(char::is_control) {
        return Err(fail(at, "the reference has a control character"));
    }
    let Some((source, rest)) = text.split_once(':') else {
        return Err(fail(0, "a reference has a colon after its source")
            .help("write `<source>:<path>#<field>`"));
    };
    if !is_source_name(source) {
        return Err(
            fail(0, "what stands before the colon is not a source's name")
                .help("a name has letters, digits, `-` and `_`, and begins with a letter"),
        );
    }
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let at = text.len() - rest.len();
    let raw = split(rest, at, source == "op")?;
    let mut query = raw.query;
    let version = query.remove("version");
    let mut it = SecretRef {
        source: source.into(),
        segments: Vec::new(),
        path: String::new(),
        field: None,
        version,
        query,
        text: text.to_owned(),
    };
    match source {
        "op" => op(&mut it, raw.segments, raw.field)?,
        _ => plain(&mut it, raw.segments, raw.field)?,
    }
    Ok(it)
}

/// A piece of text and the byte where it begins.
type Piece = (usize, String);

/// The text between the marks that mean something.
struct Raw {
    segments: Vec<Piece>,
    field: Option<Piece>,
    query: BTreeMap<String, String>,
}

/// Splits at `/`, `#` and `?`; with `quotes`, not in quotes.
fn split(text: &str, base: usize, quotes: bool) -> Result<Raw, ReferenceError> {
    let mut raw = Raw {
        segments: vec![(base, String::new())],
        field: None,
        query: BTreeMap::new(),
    };
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let in_path = raw.field.is_none();
        let slot = raw.field.as_mut().or(raw.segments.last_mut());
        match c {
            '/' if in_path => raw.segments.push((base + at + 1, String::new())),
            '#' if in_path => raw.field = Some((base + at + 1, String::new())),
            '#' => {
                return Err(fail(base + at, "there is a second `#`")
                    .help("write `%23` for a `#` in a name"));
            }
            '?' => {
                let (query, rest) = match text[at + 1..].split_once('#').filter(|_| in_path) {
                    Some((query, field)) => (query, Some((base + text.len() - field.len(), field))),
                    None => (&text[at + 1..], None),
                };
                raw.query = parameters(query, base + at + 1)?;
                if let Some((at, field)) = rest {
                    if let Some(more) = field.find(['#', '?']) {
                        return Err(fail(at + more, "there is more after the field"));
                    }
                    raw.field = Some((at, unescape(field)));
                }
                break;
            }
            '"' if quotes && slot.as_ref().is_some_and(|s| s.1.is_empty()) => {
                let name = string(&mut chars, base + at)?;
                slot.into_iter().for_each(|s| s.1 = name.clone());
                if let Some((at, _)) = chars.peek().filter(|(_, c)| !matches!(c, '/' | '#' | '?')) {
                    return Err(fail(base + at, "a quoted name is followed by more"));
                }
            }
            c => slot.into_iter().for_each(|s| s.1.push(c)),
        }
    }
    if !quotes {
        // Escapes are resolved last, so that what they stand for splits nothing.
        raw.segments
            .iter_mut()
            .chain(raw.field.as_mut())
            .for_each(|s| s.1 = unescape(&s.1));
    }
    Ok(raw)
}

/// The rest of a string in double quotes.
fn string(chars: &mut Peekable<CharIndices<'_>>, start: usize) -> Result<String, ReferenceError> {
    let mut out = String::new();
    loop {
        match chars.next() {
            Some((_, '"')) => return Ok(out),
            Some((_, '\\')) => out.extend(chars.next().map(|(_, c)| c)),
            Some((_, c)) => out.push(c),
            None => return Err(fail(start, "the quote is not closed")),
        }
    }
}

/// The reverse of [`unescape`].
pub(super) fn escaped(text: &str) -> String {
    let escape = |(at, c): (usize, char)| match c {
        '#' => "%23".to_owned(),
        '?' => "%3F".to_owned(),
        '%' if matches!(
            text.as_bytes().get(at + 1..at + 3),
            Some(b"23" | b"3F" | b"3f" | b"25")
        ) =>
        {
            "%25".to_owned()
        }
        c => c.to_string(),
    };
    text.char_indices().map(escape).collect()
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out += before;
        let (c, skip) = match after.as_bytes().get(..2) {
            Some(b"23") => ('#', 2),
            Some(b"3F" | b"3f") => ('?', 2),
            Some(b"25") => ('%', 2),
            _ => ('%', 0),
        };
        out.push(c);
        rest = &after[skip..];
    }
    out + rest
}

fn parameters(text: &str, base: usize) -> Result<BTreeMap<String, String>, ReferenceError> {
    let mut out = BTreeMap::new();
    let mut at = base;
    for pair in text.split('&') {
        let is_key = |k: &str| {
            k.starts_with(|c: char| c.is_ascii_lowercase())
                && k.chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
        };
        let (key, value) = pair
            .split_once('=')
            .filter(|(k, v)| is_key(k) && !v.is_empty())
            .ok_or_else(|| {
                fail(at, "what follows `?` is not `key=value`")
                    .help("write `?version=3`, or `%3F` for a `?` in a name")
            })?;
        if out.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(fail(at, format!("the parameter {key} is there twice")));
        }
        at += pair.len() + 1;
    }
    Ok(out)
}

/// The rules of every source but 1Password's.
fn plain(
    it: &mut SecretRef,
    mut segments: Vec<Piece>,
    field: Option<Piece>,
) -> Result<(), ReferenceError> {
    let rooted = segments.len() > 1 && segments[0].1.is_empty();
    if rooted {
        segments.remove(0);
    }
    if !rooted && segments.len() == 1 && segments[0].1.is_empty() {
        return Err(fail(segments[0].0, "the reference has no path")
            .help("write `<source>:<path>#<field>`"));
    }
    for (at, name) in &segments {
        names(*at, name)?;
        if name == "." || name == ".." {
            return Err(fail(*at, format!("`{name}` has no place in a path")));
        }
    }
    if let Some((at, name)) = &field {
        names(*at, name)?;
    }
    it.segments = segments.into_iter().map(|s| s.1).collect();
    it.path = format!("{}{}", if rooted { "/" } else { "" }, it.segments.join("/"));
    it.field = field.map(|f| f.1);
    Ok(())
}

/// `op://vault/item/[section/]field`; without a field for an entry with `fields`.
fn op(
    it: &mut SecretRef,
    segments: Vec<Piece>,
    field: Option<Piece>,
) -> Result<(), ReferenceError> {
    const FORM: &str = "write `op://vault/item/field` or `op://vault/item/section/field`";
    if let Some((at, _)) = field {
        return Err(fail(at - 1, "`#` has no place in an op reference").help(FORM));
    }
    for (at, name) in &segments {
        names(*at, name).map_err(|e| e.help(FORM))?;
    }
    if !(2..=4).contains(&segments.len()) {
        let at = segments.last().map_or(0, |s| s.0);
        return Err(fail(at, "an op reference has two to four names").help(FORM));
    }
    if let Some((at, _)) = segments[2..].iter().find(|s| s.1.contains('/')) {
        return Err(fail(
            *at,
            "a section or field with a slash in its name cannot be referred to",
        )
        .help("use its id"));
    }
    let mut all: Vec<String> = segments.into_iter().map(|s| s.1).collect();
    let rest = all.split_off(2);
    it.path = all.join("/");
    it.segments = all;
    it.field = (!rest.is_empty()).then(|| rest.join("/"));
    Ok(())
}

fn names(at: usize, name: &str) -> Result<(), ReferenceError> {
    if name.is_empty() {
        return Err(fail(at, "there is nothing where a name should be"));
    }
    if name.trim() != name {
        return Err(fail(at, "a name begins or ends with a space"));
    }
    Ok(())
}

fn fail(at: usize, message: impl Into<String>) -> ReferenceError {
    ReferenceError {
        message: message.into(),
        at,
        help: None,
    }
}

impl ReferenceError {
    fn help(mut self, help: &str) -> Self {
        self.help = Some(help.to_owned());
        self
    }
}
