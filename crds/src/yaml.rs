//! YAML with positions. The only module that names serde-saphyr.
//!
//! A text becomes a tree of [`Node`]s with anchors, merge keys (`<<`) and scalars resolved as Compose reads them.
//! Every node knows where it is used and where it was defined, in bytes of the text.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Location, Options, Spanned, Tagged};

/// Longest text in bytes.
pub const MAX_TEXT: usize = 8 << 20;

/// One value of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Bytes where it was written: for an alias or a merged key, those of the anchored text.
    pub defined: Range<usize>,
    /// Bytes where it is used; the same as `defined`, unless it came through an alias or a merge.
    pub used: Range<usize>,
    /// What Compose's merge is told about it.
    pub tag: Tag,
}

/// The tags that mean something to Compose; all others are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tag {
    /// None, or one that means nothing here.
    #[default]
    None,
    /// `!reset`: what earlier files say is dropped, and so is this.
    Reset,
    /// `!override`: what earlier files say is dropped.
    Override,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `~`, `null`.
    Null,
    /// `true`, `false`; `yes` and `on` are text.
    Bool(bool),
    /// A whole number; `0440` is octal.
    Int(i64),
    /// Every other number.
    Float(f64),
    /// Text.
    Str(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the text; no key is there twice.
    Map(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key as text; `None` for a list or a mapping as key, which is what an unquoted `{{ … }}` looks like.
    pub key: Option<String>,
    /// Bytes of the key, where it was written.
    pub at: Range<usize>,
    /// The value.
    pub node: Node,
}

/// Why a text is not YAML. The message quotes nothing of the text but keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct YamlError {
    /// One lower-case clause.
    pub message: String,
    /// Bytes of the text.
    pub at: Range<usize>,
}

impl Node {
    /// Nothing, of no text.
    pub fn null() -> Self {
        null(0..0)
    }

    /// The value of a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|e| &e.node)
    }

    /// The same, to change it.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let Value::Map(entries) = &mut self.value else {
            return None;
        };
        let found = entries.iter_mut().find(|e| e.key.as_deref() == Some(key));
        found.map(|e| &mut e.node)
    }

    /// A key with its value, if this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        let Value::Map(entries) = &self.value else {
            return None;
        };
        entries.iter().find(|e| e.key.as_deref() == Some(key))
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads a text of exactly one document; an empty text is `Null`.
///
/// # Errors
/// The first problem; a second document is one.
pub fn document(text: &str) -> Result<Node, YamlError> {
    let mut all = documents(text)?;
    if all.len() > 1 {
        let at = all[1].defined.clone();
        let message = "there is more than one document".to_owned();
        return Err(YamlError { message, at });
    }
    Ok(all.pop().unwrap_or_else(|| null(0..0)))
}

/// Reads all documents of a text, empty ones left out.
///
/// # Errors
/// The first problem: syntax, a key that is there twice, or more than the limits allow.
pub fn documents(text: &str) -> Result<Vec<Node>, YamlError> {
    if text.len() > MAX_TEXT {
        let message = format!("the text has more than {} MiB", MAX_TEXT >> 20);
        return Err(YamlError { message, at: 0..0 });
    }
    serde_saphyr::from_multiple_with_options::<Raw>(text, options())
        .map(|all| all.into_iter().map(|raw| spelled(raw.0, text)).collect())
        .map_err(|e| error(text, &e))
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 500_000,
            max_nodes: 250_000,
            max_aliases: 10_000,
            max_anchors: 10_000,
            max_depth: 96,
            flow_nesting_limit: 96,
            max_documents: 64,
            max_total_scalar_bytes: MAX_TEXT,
            max_merge_keys: 5_000,
            // Hundreds of services may share the one anchor of a logging section. What all of them come to is limited below.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 200_000,
            max_replay_stack_depth: 16,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        legacy_octal_numbers: true,
        null_as_string: true,
        // `.inf` is a value that some key of the user's may have.
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    }
}

/// Gives keys that are not text (`NULL`, `1`, `on`) the name that they are written as.
fn spelled(mut node: Node, text: &str) -> Node {
    match &mut node.value {
        Value::List(all) => {
            *all = std::mem::take(all)
                .into_iter()
                .map(|n| spelled(n, text))
                .collect()
        }
        Value::Map(all) => {
            for e in all {
                let raw = text
                    .get(e.at.clone())
                    .filter(|raw| !raw.starts_with(['"', '\'']) && !raw.contains('\n'));
                if let (Some(key), Some(raw)) = (&mut e.key, raw) {
                    raw.clone_into(key);
                }
                e.node = spelled(std::mem::replace(&mut e.node, null(0..0)), text);
            }
        }
        _ => {}
    }
    node
}

fn null(at: Range<usize>) -> Node {
    Node {
        value: Value::Null,
        defined: at.clone(),
        used: at,
        tag: Tag::None,
    }
}

fn bytes(location: Location) -> Range<usize> {
    let span = location.span();
    let start = span.byte_offset().unwrap_or(0) as usize;
    start..start + span.byte_len().unwrap_or(0) as usize
}

/// Reads through the deserializer's own visitor calls: enums and `flatten` would lose the positions.
struct Raw(Node);

struct Key(Option<String>);

struct Inner(Value);

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let Spanned {
            value: Tagged(Inner(value), tag),
            referenced,
            defined,
        } = Spanned::deserialize(d)?;
        let tag = match tag.as_deref() {
            Some("!reset") => Tag::Reset,
            Some("!override") => Tag::Override,
            _ => Tag::None,
        };
        Ok(Self(Node {
            value,
            defined: bytes(defined),
            used: bytes(referenced),
            tag,
        }))
    }
}

impl<'de> Deserialize<'de> for Inner {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(InnerVisitor).map(Self)
    }
}

struct InnerVisitor;

impl<'de> Visitor<'de> for InnerVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        d.deserialize_any(self)
    }
    fn visit_bool<E>(self, it: bool) -> Result<Value, E> {
        Ok(Value::Bool(it))
    }
    fn visit_i64<E>(self, it: i64) -> Result<Value, E> {
        Ok(Value::Int(it))
    }
    fn visit_u64<E>(self, it: u64) -> Result<Value, E> {
        Ok(i64::try_from(it).map_or(Value::Float(it as f64), Value::Int))
    }
    fn visit_i128<E>(self, it: i128) -> Result<Value, E> {
        Ok(i64::try_from(it).map_or(Value::Float(it as f64), Value::Int))
    }
    fn visit_u128<E>(self, it: u128) -> Result<Value, E> {
        Ok(i64::try_from(it).map_or(Value::Float(it as f64), Value::Int))
    }
    fn visit_f64<E>(self, it: f64) -> Result<Value, E> {
        Ok(Value::Float(it))
    }
    fn visit_str<E>(self, it: &str) -> Result<Value, E> {
        Ok(Value::Str(it.to_owned()))
    }
    fn visit_string<E>(self, it: String) -> Result<Value, E> {
        Ok(Value::Str(it))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Raw(node)) = all.next_element()? {
            list.push(node);
        }
        Ok(Value::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(Spanned {
            value: Key(key),
            defined,
            ..
        }) = all.next_key()?
        {
            let Raw(node) = all.next_value()?;
            map.push(Entry {
                key,
                at: bytes(defined),
                node,
            });
        }
        Ok(Value::Map(map))
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        // Compose takes every scalar as a key by its text: 1, true, null.
        let Inner(value) = Inner::deserialize(d)?;
        Ok(Self(match value {
            Value::Str(text) => Some(text),
            // Its spelling is looked up at the end.
            Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Null => Some(String::new()),
            Value::List(_) | Value::Map(_) => None,
        }))
    }
}

/// The reader's error in our words: position in bytes, no advice about its own options, no values.
fn error(text: &str, e: &serde_saphyr::Error) -> YamlError {
    let e = e.without_snippet();
    let location = e.location().unwrap_or(Location::UNKNOWN);
    let start = match location.span().byte_offset() {
        Some(at) if location.span().byte_len().is_some_and(|len| len > 0) => at as usize,
        _ => offset(text, location.line() as usize, location.column() as usize),
    };
    let start = (0..=start.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    let rest = &text[start..];
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = e {
        let name = key.as_deref().unwrap_or("the same");
        // A key may be a text of many lines.
        let message = format!("the key {} is there twice", name.escape_debug());
        let end = start
            + if rest.starts_with(name) {
                name.len()
            } else {
                0
            };
        return YamlError {
            message,
            at: start..end,
        };
    }
    if let serde_saphyr::Error::Budget { breach, .. } = e {
        return YamlError {
            message: format!("{}, which is more than is read here", beyond(breach)),
            at: start..start,
        };
    }
    let mut message = e.render_with_formatter(&serde_saphyr::DefaultMessageFormatter);
    if message.starts_with("recursion limit") {
        message = "this is nested too deep".to_owned();
    }
    let end = message.rfind(" at line ").unwrap_or(message.len());
    let message = message[..end]
        .lines()
        .next()
        .unwrap_or("this is not YAML")
        .to_owned();
    YamlError {
        message,
        at: start..start + rest.chars().next().map_or(0, char::len_utf8),
    }
}

/// What a text has too much of.
fn beyond(breach: &BudgetBreach) -> String {
    match breach {
        BudgetBreach::Aliases { aliases } => format!("there are {aliases} aliases"),
        BudgetBreach::Anchors { anchors } => format!("there are {anchors} anchors"),
        BudgetBreach::Depth { depth } => format!("this is nested {depth} deep"),
        BudgetBreach::Documents { documents } => format!("there are {documents} documents"),
        BudgetBreach::MergeKeys { merge_keys } => format!("there are {merge_keys} merge keys"),
        _ => "there are too many values".to_owned(),
    }
}

/// The byte of a line and column, both from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let mut lines = text.split_inclusive('\n');
    let before: usize = lines
        .by_ref()
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let within = lines.next().unwrap_or_default();
    before
        + within
            .char_indices()
            .nth(column.saturating_sub(1))
            .map_or(within.trim_end().len(), |(at, _)| at)
}

#[cfg(test)]
mod tests;
