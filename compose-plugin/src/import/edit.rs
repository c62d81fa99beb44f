//! Entries of a YAML text go, or become others; every other byte stays.
//!
//! An entry is named by the byte where its key, or the item of a list, begins: an anchored one is written once, wherever
//! it is used. The result is read again, and must be the old tree without these entries.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use locket_crds::yaml::{Entry, Node, Value};

use crate::generate::EditError;
use crate::generate::edit::{Doc, alias, is_own};
use crate::generate::scalar::scalar;

type Result<T> = std::result::Result<T, EditError>;

/// Keys that go with their last entry.
const WITH_LAST: [&str; 4] = ["environment", "secrets", "labels", "options"];

/// What is to be done to a text; all places are bytes of it.
#[derive(Debug, Default)]
pub struct Edits {
    /// Keys of mappings that go, with their values.
    pub keys: BTreeSet<usize>,
    /// Items of lists that go.
    pub items: BTreeSet<usize>,
    /// Keys and items that become another variable with a value that is no secret.
    pub renamed: BTreeMap<usize, (String, String)>,
}

impl Edits {
    /// The text without them.
    ///
    /// # Errors
    /// It is written in an unusual way, or the result would be another than it should be.
    pub fn apply(&self, text: &str) -> Result<String> {
        let doc = Doc::new(text)?;
        let mut work = Work {
            doc: &doc,
            edits: self,
            ops: Vec::new(),
        };
        work.container(None, &doc.root)?;
        let mut ops = work.ops;
        ops.sort_by_key(|(at, _)| (at.start, at.end));
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for (at, new) in ops {
            if at.start < done {
                return Err(EditError::Failed);
            }
            out.push_str(&text[done..at.start]);
            out.push_str(&new);
            done = at.end;
        }
        out.push_str(&text[done..]);
        let after = Doc::new(&out).map_err(|_| EditError::Failed)?;
        if self.agrees(&doc.root, &after.root) {
            Ok(out)
        } else {
            Err(EditError::Failed)
        }
    }

    fn removes(&self, e: &Entry) -> bool {
        self.keys.contains(&e.at.start)
    }

    /// Whether one tree is the other without what goes.
    fn agrees(&self, before: &Node, after: &Node) -> bool {
        match (&before.value, &after.value) {
            (Value::Map(old), Value::Map(new)) => {
                let (gone, kept): (Vec<&Entry>, Vec<&Entry>) =
                    old.iter().partition(|e| self.removes(e));
                let mut names: BTreeSet<Option<&str>> =
                    gone.iter().map(|e| e.key.as_deref()).collect();
                for e in kept {
                    let renamed = self.renamed.get(&e.at.start);
                    let name = renamed.map_or(e.key.as_deref(), |(name, _)| Some(name));
                    names.insert(name);
                    let found = new.iter().find(|it| it.key.as_deref() == name);
                    let same = match (found, renamed) {
                        (Some(it), Some((_, value))) => it.node.as_str() == Some(value),
                        (Some(it), None) => self.agrees(&e.node, &it.node),
                        (None, _) => self.empties(&e.node),
                    };
                    if !same {
                        return false;
                    }
                }
                // What was overridden by an entry that goes is seen now; the next round takes it.
                new.iter().all(|it| names.contains(&it.key.as_deref()))
            }
            (Value::List(old), Value::List(new)) => {
                let stays = |it: &&Node| !self.items.contains(&it.defined.start);
                let kept: Vec<&Node> = old.iter().filter(stays).collect();
                let same = |(old, new): (&&Node, &Node)| match self.renamed.get(&old.defined.start)
                {
                    Some((name, value)) => new.as_str() == Some(&format!("{name}={value}")),
                    None => self.agrees(old, new),
                };
                kept.len() == new.len() && kept.iter().zip(new).all(same)
            }
            (old, new) => old == new && before.tag == after.tag,
        }
    }

    /// Whether nothing is left of a collection that had something.
    fn empties(&self, node: &Node) -> bool {
        match &node.value {
            Value::Map(all) => !all.is_empty() && all.iter().all(|e| self.removes(e)),
            Value::List(all) => {
                !all.is_empty() && all.iter().all(|it| self.items.contains(&it.defined.start))
            }
            _ => false,
        }
    }
}

struct Work<'d> {
    doc: &'d Doc<'d>,
    edits: &'d Edits,
    ops: Vec<(Range<usize>, String)>,
}

/// What became of an entry whose value lost something.
#[derive(PartialEq, Eq)]
enum Left {
    /// It stays.
    Stays,
    /// It goes as well, and is yet to be taken out.
    Goes,
    /// It has been taken out.
    Gone,
}

/// A piece of a collection.
struct Piece {
    /// From the key or the item to the end of the value.
    at: Range<usize>,
    left: Left,
}

impl Work<'_> {
    fn text(&self) -> &str {
        self.doc.text
    }

    fn container(&mut self, owner: Option<&Entry>, node: &Node) -> Result<Left> {
        if node.used != node.defined {
            return Ok(Left::Stays);
        }
        let mut pieces = Vec::new();
        match &node.value {
            Value::Map(all) => {
                for e in all.iter().filter(|e| {
                    is_own(node, e)
                        || (e.node.value == Value::Null && e.at.start >= node.defined.start)
                }) {
                    pieces.push(self.entry(node, e)?);
                }
            }
            Value::List(all) => {
                for it in all {
                    pieces.push(self.item(node, it)?);
                }
            }
            _ => return Ok(Left::Stays),
        }
        if pieces.iter().all(|it| it.left == Left::Stays) {
            return Ok(Left::Stays);
        }
        let empty = pieces.iter().all(|it| it.left != Left::Stays) && !self.merges(owner, node);
        let flow = is_flow(self.text(), node);
        if empty {
            let goes = owner.filter(|e| e.key.as_deref().is_some_and(|k| WITH_LAST.contains(&k)));
            match goes.filter(|e| !self.anchored(e)) {
                Some(_) if flow => return Ok(Left::Goes),
                Some(e) => {
                    self.lines(&pieces)?;
                    self.header(e)?;
                    return Ok(Left::Gone);
                }
                None => {}
            }
            let nothing = if matches!(node.value, Value::Map(_)) {
                "{}"
            } else {
                "[]"
            };
            if flow {
                let start = node.defined.start;
                let end = self
                    .doc
                    .flow_end(start)
                    .ok_or_else(|| self.doc.unusual(start))?;
                self.ops.push((start..end, nothing.to_owned()));
            } else {
                self.lines(&pieces)?;
                if let Some(e) = owner {
                    let at = self.header_end(e)?;
                    self.ops.push((at..at, format!(" {nothing}")));
                }
            }
            return Ok(Left::Stays);
        }
        if flow {
            self.take_from_flow(&pieces);
        } else {
            self.lines(&pieces)?;
        }
        Ok(Left::Stays)
    }

    fn entry(&mut self, of: &Node, e: &Entry) -> Result<Piece> {
        let flow = is_flow(self.text(), of);
        if let Some((name, value)) = self.edits.renamed.get(&e.at.start) {
            let at = e.at.start..self.end_of(e, flow)?;
            self.unanchored(&(e.at.end..at.end))?;
            let new = format!("{}: {}", scalar(name), scalar(value));
            self.ops.push((at.clone(), new));
            return Ok(Piece {
                at,
                left: Left::Stays,
            });
        }
        let left = if self.edits.removes(e) {
            Left::Goes
        } else {
            self.container(Some(e), &e.node)?
        };
        let end = match left {
            Left::Stays if !flow => e.at.end,
            _ => self.end_of(e, flow)?,
        };
        if self.edits.removes(e) {
            self.unanchored(&(e.at.end..end))?;
        }
        Ok(Piece {
            at: e.at.start..end,
            left,
        })
    }

    fn item(&mut self, of: &Node, it: &Node) -> Result<Piece> {
        let flow = is_flow(self.text(), of);
        let start = if it.used == it.defined {
            it.defined.start
        } else {
            it.used.start
        };
        let end = |work: &Self| match &it.value {
            _ if it.used != it.defined => Ok(it.used.end),
            Value::Map(_) | Value::List(_) if !is_flow(work.text(), it) => {
                Ok(work.block_end(start, work.column(start), false, false))
            }
            _ => work.doc.end(it),
        };
        if let Some((name, value)) = self.edits.renamed.get(&it.defined.start) {
            let at = start..end(self)?;
            self.ops
                .push((at.clone(), scalar(&format!("{name}={value}"))));
            return Ok(Piece {
                at,
                left: Left::Stays,
            });
        }
        if self.edits.items.contains(&it.defined.start) {
            let at = start..end(self)?;
            return Ok(Piece {
                at,
                left: Left::Goes,
            });
        }
        self.container(None, it)?;
        let at = start..if flow { end(self)? } else { start };
        Ok(Piece {
            at,
            left: Left::Stays,
        })
    }

    /// Where the value of an entry ends.
    fn end_of(&self, e: &Entry, flow: bool) -> Result<usize> {
        let (text, node) = (self.text(), &e.node);
        if let Some(at) = alias(e) {
            return Ok(at.end);
        }
        let behind = text[e.at.end..].trim_start_matches(' ');
        if node.value == Value::Null {
            let colon = behind.starts_with(':');
            let written = if node.defined.start > e.at.end {
                node.defined.end
            } else {
                0
            };
            let bare = e.at.end
                + if colon {
                    text[e.at.end..].len() - behind.len() + 1
                } else {
                    0
                };
            return Ok(bare.max(written));
        }
        if flow || is_flow(text, node) {
            return self.doc.end(node);
        }
        let value = behind
            .strip_prefix(':')
            .ok_or_else(|| self.doc.unusual(e.at.start))?;
        let value = value.trim_start_matches(' ');
        let literal = value.starts_with(['|', '>']);
        let list = matches!(node.value, Value::List(_));
        let end = self.block_end(e.at.start, self.column(e.at.start), literal, list);
        match node.value {
            Value::Map(_) | Value::List(_) => Ok(end),
            _ if literal => Ok(end),
            _ => self.doc.end(node),
        }
    }

    /// The end of the last line, from this place on, that belongs to it by its indentation.
    fn block_end(&self, start: usize, column: usize, literal: bool, list: bool) -> usize {
        let text = self.text();
        let mut at = self.doc.line_end(start);
        let mut end = at;
        while at < text.len() {
            let next = self.doc.line_end(at);
            let line = &text[at..next];
            let content = line.trim_start_matches(' ');
            let indent = line.len() - content.len();
            let blank = content.trim().is_empty();
            let comment = content.starts_with('#') && !literal;
            let dash = list && indent == column && content.starts_with('-');
            if !blank && indent <= column && !dash {
                if !comment {
                    break;
                }
            } else if !blank && !comment {
                end = next;
            }
            at = next;
        }
        let line = text[..end].trim_end_matches(['\n', '\r']);
        line.len().max(start)
    }

    fn column(&self, at: usize) -> usize {
        // The dash of an item stands in front of it.
        let line = &self.text()[self.doc.line_start(at)..at];
        line.len() - line.trim_start_matches(' ').len()
    }

    /// Whether something is merged into a mapping: then it is not empty without its own entries.
    fn merges(&self, owner: Option<&Entry>, node: &Node) -> bool {
        let start = node.defined.start;
        let end = if is_flow(self.text(), node) {
            self.doc.flow_end(start).unwrap_or(start)
        } else {
            owner.map_or(start, |e| {
                self.block_end(e.at.start, self.column(e.at.start), false, true)
            })
        };
        let inside = self.text().get(start..end).unwrap_or_default();
        matches!(node.value, Value::Map(_))
            && inside.lines().any(|l| {
                l.trim_start_matches(['{', ' ', '"', '\''])
                    .starts_with("<<")
                    || l.contains(", <<")
            })
    }

    fn anchored(&self, e: &Entry) -> bool {
        self.text()[e.at.end..e.node.defined.start.max(e.at.end)].contains('&')
    }

    /// An anchor within what goes may be used elsewhere.
    fn unanchored(&self, at: &Range<usize>) -> Result<()> {
        let value = self.text()[at.clone()].trim_start_matches([' ', ':']);
        if value.starts_with('&') {
            return Err(self.doc.unusual(at.start));
        }
        Ok(())
    }

    /// Takes the line of a key out whose block has gone.
    fn header(&mut self, e: &Entry) -> Result<()> {
        self.header_end(e)?;
        let at = self.doc.line_start(e.at.start)..self.doc.line_end(e.at.start);
        if !self.text()[at.start..e.at.start].trim().is_empty() {
            return Err(self.doc.unusual(e.at.start));
        }
        self.ops.push((at, String::new()));
        Ok(())
    }

    /// Behind the key, its colon and its anchor, where the block begins below.
    fn header_end(&self, e: &Entry) -> Result<usize> {
        let unusual = || self.doc.unusual(e.at.start);
        let line = &self.text()[e.at.end..self.doc.line_end(e.at.end)];
        let colon = line.find(':').ok_or_else(unusual)?;
        let rest = &line[colon + 1..];
        let content = rest.split(" #").next().unwrap_or_default().trim();
        let start = e.at.end + colon + 1;
        if content.is_empty() || content.starts_with('#') {
            return Ok(start);
        }
        if !content.starts_with('&') || content.contains(' ') {
            return Err(unusual());
        }
        let at = rest.find(content).ok_or_else(unusual)?;
        Ok(start + at + content.len())
    }

    /// Takes pieces out of a block, whole lines each.
    fn lines(&mut self, pieces: &[Piece]) -> Result<()> {
        for piece in pieces.iter().filter(|it| it.left == Left::Goes) {
            let start = self.doc.line_start(piece.at.start);
            let end = self.doc.line_end(piece.at.end.max(piece.at.start));
            let before = self.text()[start..piece.at.start].trim();
            let behind = self.text()[piece.at.end..end].trim();
            if !matches!(before, "" | "-") || !(behind.is_empty() || behind.starts_with('#')) {
                return Err(self.doc.unusual(piece.at.start));
            }
            self.ops.push((start..end, String::new()));
        }
        Ok(())
    }

    /// Takes pieces out of a flow collection, with a comma each.
    fn take_from_flow(&mut self, pieces: &[Piece]) {
        let mut groups: Vec<Range<usize>> = Vec::new();
        for piece in pieces.iter().filter(|it| it.left == Left::Goes) {
            let between = groups.last().map(|it| &self.text()[it.end..piece.at.start]);
            // A merge key between them is no piece.
            match (between, groups.last_mut()) {
                (Some(text), Some(last))
                    if text.trim_matches([',', ' ', '\n', '\r']).is_empty() =>
                {
                    last.end = piece.at.end;
                }
                _ => groups.push(piece.at.clone()),
            }
        }
        for at in groups {
            let range = self.with_comma(&at);
            self.ops.push((range, String::new()));
        }
    }

    /// The comma behind it, and its line if nothing else stands there; else the comma in front.
    fn with_comma(&self, at: &Range<usize>) -> Range<usize> {
        let text = self.text();
        let behind = text[at.end..].trim_start_matches(' ');
        let Some(rest) = behind.strip_prefix(',') else {
            let before = text[..at.start].trim_end();
            return before.strip_suffix(',').map_or(at.start, str::len)..at.end;
        };
        let next = rest.trim_start_matches(' ');
        let end = text.len() - next.len();
        let start = self.doc.line_start(at.start);
        let alone = text[start..at.start].trim().is_empty();
        if alone && next.starts_with(['\n', '\r', '#']) {
            return start..self.doc.line_end(end);
        }
        at.start..end
    }
}

fn is_flow(text: &str, node: &Node) -> bool {
    matches!(node.value, Value::Map(_) | Value::List(_))
        && text[node.defined.start..].starts_with(['{', '['])
}

#[cfg(test)]
mod tests;
