//! Edits of a YAML text that leave every other byte as it is: comments, order, quoting, line ends.
//!
//! Positions come from the reader's own tree. Whoever calls this looks at the result through the same reader; what
//! cannot be edited safely is refused, and the user does it.

use locket_crds::yaml::{self, Entry, Node, Value};

use super::scalar;

/// Why a text was not edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditError {
    /// It is not YAML of one document.
    Unreadable,
    /// The result was not what it should be, and was thrown away.
    Failed,
    /// The key is not in this text.
    Absent(String),
    /// It is written in a way that only its author should touch; line from 1.
    Unusual {
        /// Where.
        line: usize,
    },
}

impl std::fmt::Display for EditError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EditError::Unreadable => f.write_str("the text cannot be read"),
            EditError::Failed => f.write_str("the edit would have changed more than it should"),
            EditError::Absent(key) => write!(f, "{key} is not written there"),
            EditError::Unusual { line } => write!(
                f,
                "line {line} is written in a way that is not edited automatically"
            ),
        }
    }
}

impl std::error::Error for EditError {}

type Result<T> = std::result::Result<T, EditError>;

/// A text with its tree.
pub(crate) struct Doc<'a> {
    pub(crate) text: &'a str,
    pub(crate) root: Node,
}

impl<'a> Doc<'a> {
    pub(crate) fn new(text: &'a str) -> Result<Self> {
        let root = yaml::document(text).map_err(|_| EditError::Unreadable)?;
        Ok(Self { text, root })
    }

    /// A key of the document with its value.
    pub(crate) fn find(&self, path: &[&str]) -> Result<&Entry> {
        let absent = || EditError::Absent(path.join("."));
        let (last, above) = path.split_last().ok_or_else(absent)?;
        let node = above
            .iter()
            .try_fold(&self.root, |node, key| node.get(key))
            .ok_or_else(absent)?;
        node.entry(last).ok_or_else(absent)
    }

    pub(crate) fn unusual(&self, at: usize) -> EditError {
        let before = self.text.get(..at).unwrap_or_default();
        EditError::Unusual {
            line: before.matches('\n').count() + 1,
        }
    }

    pub(crate) fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |n| n + 1)
    }

    /// After the line feed of the line; the end of the text if it has none.
    pub(crate) fn line_end(&self, at: usize) -> usize {
        self.text[at..]
            .find('\n')
            .map_or(self.text.len(), |n| at + n + 1)
    }

    pub(crate) fn eol(&self, at: usize) -> &'static str {
        let end = self.line_end(at);
        if self.text[..end].ends_with("\r\n")
            || (!self.text[..end].ends_with('\n') && self.text.contains("\r\n"))
        {
            "\r\n"
        } else {
            "\n"
        }
    }

    /// What stands before this place on its line, if that is nothing but indentation.
    fn indent(&self, at: usize) -> Result<&str> {
        let indent = &self.text[self.line_start(at)..at];
        if indent.chars().all(|c| c == ' ') {
            Ok(indent)
        } else {
            Err(self.unusual(at))
        }
    }

    fn replaced(&self, at: std::ops::Range<usize>, new: &str) -> String {
        format!("{}{new}{}", &self.text[..at.start], &self.text[at.end..])
    }

    /// Adds a line after the one with this place.
    fn line_after(&self, at: usize, line: &str) -> String {
        let (end, eol) = (self.line_end(at), self.eol(at));
        if self.text[..end].ends_with('\n') {
            self.replaced(end..end, &format!("{line}{eol}"))
        } else {
            self.replaced(end..end, &format!("{eol}{line}"))
        }
    }

    /// Adds a list to the mapping that is the value of an entry: an item a line, if the mapping is in block style.
    pub(crate) fn add_list(
        &self,
        of: &Entry,
        key: &str,
        items: &[String],
        after: &[&str],
    ) -> Result<String> {
        let start = of.node.defined.start;
        let block = matches!(of.node.value, Value::Map(_)) && !self.text[start..].starts_with('{');
        if alias(of).is_some() || !block {
            return self.add_key(of, key, &scalar::list(items.iter().cloned()), after);
        }
        let (indent, eol) = (self.indent(start)?, self.eol(of.at.start));
        let lines: String = items
            .iter()
            .map(|item| format!("{eol}{indent}  - {item}"))
            .collect();
        self.add_line(of, &format!("{indent}{key}:{lines}"), after)
    }

    /// Adds `key: value` to the mapping that is the value of an entry; after one of these keys, if it can be.
    pub(crate) fn add_key(
        &self,
        of: &Entry,
        key: &str,
        value: &str,
        after: &[&str],
    ) -> Result<String> {
        let (node, line) = (&of.node, format!("{key}: {value}"));
        if let Some(alias) = alias(of) {
            let name = &self.text[alias.clone()];
            return Ok(self.replaced(alias, &format!("{{ <<: {name}, {line} }}")));
        }
        match &node.value {
            Value::Map(_) if self.text[node.defined.start..].starts_with('{') => {
                Ok(self.first_in_flow(node.defined.start, &line, '}'))
            }
            Value::Map(_) => {
                let indent = self.indent(node.defined.start)?;
                self.add_line(of, &format!("{indent}{line}"), after)
            }
            Value::Null
                if self.text[of.at.end..]
                    .trim_start_matches(' ')
                    .starts_with(':') =>
            {
                let indent = self.indent(of.at.start)?;
                let rest = &self.text[of.at.end..self.line_end(of.at.end)];
                let written = rest.trim_start_matches([' ', ':']).trim_end();
                // `null` and `~` would stand in the way.
                if !(written.is_empty() || written.starts_with('#')) {
                    return Err(self.unusual(of.at.start));
                }
                Ok(self.line_after(of.at.start, &format!("{indent}  {line}")))
            }
            _ => Err(self.unusual(of.at.start)),
        }
    }

    /// Adds a line to a mapping in block style: below one of these keys, if that is a line of its own, else on top.
    fn add_line(&self, of: &Entry, line: &str, after: &[&str]) -> Result<String> {
        let Value::Map(entries) = &of.node.value else {
            return Err(self.unusual(of.at.start));
        };
        let start = of.node.defined.start;
        let indent = self.indent(start)?;
        let own = |e: &&Entry| e.at.start >= start && self.indent(e.at.start).ok() == Some(indent);
        // On one line, with its value: what is put below it does not fall into it.
        let simple = |e: &&Entry| {
            let end = alias(e).map_or_else(|| self.end(&e.node).ok(), |at| Some(at.end));
            let line = e.at.start..=self.line_end(e.at.start);
            e.node.value != Value::Null
                && !self.is_block(e)
                && end.is_some_and(|end| line.contains(&end))
        };
        let mut found = after.iter().filter_map(|key| {
            let mut all = entries.iter().filter(own);
            all.find(|e| e.key.as_deref() == Some(*key)).filter(simple)
        });
        match found.next() {
            Some(it) => Ok(self.line_after(it.at.start, line)),
            None => self.first_line(of, line),
        }
    }

    /// Adds an item to the list that is the value of an entry.
    pub(crate) fn add_item(&self, of: &Entry, item: &str) -> Result<String> {
        let start = of.node.defined.start;
        match &of.node.value {
            Value::List(_) if self.text[start..].starts_with('[') => {
                Ok(self.first_in_flow(start, item, ']'))
            }
            Value::List(_) => {
                // A list at its key's own indentation begins, for the reader, behind its first dash.
                let line = &self.text[self.line_start(start)..start];
                let dash = if line.trim_start_matches(' ').starts_with('-') {
                    self.line_start(start) + line.len() - line.trim_start_matches(' ').len()
                } else {
                    start
                };
                let indent = self.indent(dash)?;
                self.first_line(of, &format!("{indent}- {item}"))
            }
            _ => Err(self.unusual(of.at.start)),
        }
    }

    /// Puts something else where the value of an entry is written.
    pub(crate) fn set(&self, of: &Entry, value: &str) -> Result<String> {
        let at = match alias(of) {
            Some(at) => at,
            None => of.node.defined.start..self.end(&of.node)?,
        };
        let between = &self.text[of.at.end..at.start];
        if of.at.end > at.start || at.is_empty() {
            return Err(self.unusual(of.at.start));
        }
        // A value that begins below its key moves up to it; a comment between them would be lost.
        match between.contains('\n') {
            true if between.contains('#') => Err(self.unusual(of.at.start)),
            true => {
                let gap = of.at.end + between.find(':').map_or(0, |n| n + 1);
                Ok(self.replaced(gap..at.end, &format!(" {value}")))
            }
            false => Ok(self.replaced(at, value)),
        }
    }

    /// The line below the key, above the first line of its block.
    fn first_line(&self, of: &Entry, line: &str) -> Result<String> {
        let first = of.node.defined.start;
        // The block must begin on a line of its own.
        if self.line_start(first) < of.at.end {
            return Err(self.unusual(first));
        }
        Ok(self.line_after(of.at.start, line))
    }

    /// Puts something first into a flow collection that begins here.
    fn first_in_flow(&self, start: usize, new: &str, close: char) -> String {
        let inside = start + 1;
        let rest = &self.text[inside..];
        let content = rest.trim_start_matches(' ');
        let at = inside + rest.len() - content.len();
        if content.starts_with(close) {
            let padded = if close == '}' {
                format!(" {new} ")
            } else {
                new.to_owned()
            };
            return self.replaced(inside..at, &padded);
        }
        if content.starts_with(['\n', '\r', '#']) {
            return self.replaced(inside..inside, &format!(" {new},"));
        }
        self.replaced(at..at, &format!("{new}, "))
    }

    fn is_block(&self, e: &Entry) -> bool {
        let rest = self.text[e.at.end..].trim_start_matches([' ', ':']);
        rest.starts_with(['|', '>'])
    }

    /// Where the text of a node ends.
    pub(crate) fn end(&self, node: &Node) -> Result<usize> {
        let start = node.defined.start;
        match (&node.value, self.text[start..].chars().next()) {
            (Value::List(_) | Value::Map(_), Some('[' | '{')) => {
                self.flow_end(start).ok_or_else(|| self.unusual(start))
            }
            (Value::List(all), _) => match all.last() {
                Some(last) if last.defined == last.used => self.end(last),
                Some(last) => Ok(last.used.end),
                None => Err(self.unusual(start)),
            },
            (Value::Map(_), _) => Err(self.unusual(start)),
            (Value::Str(_), Some('|' | '>')) => Err(self.unusual(start)),
            _ => Ok(start + self.text[node.defined.clone()].trim_end().len()),
        }
    }

    /// After the bracket that closes the one here; quotes and comments are stepped over.
    pub(crate) fn flow_end(&self, start: usize) -> Option<usize> {
        let mut depth = 0_usize;
        let mut chars = self.text[start..].char_indices().peekable();
        let mut before = ' ';
        while let Some((n, c)) = chars.next() {
            match c {
                '[' | '{' => depth += 1,
                ']' | '}' => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(start + n + 1);
                    }
                }
                // A quote opens a scalar only where one may begin.
                '\'' | '"' if before.is_whitespace() || "[{,:".contains(before) => {
                    while let Some((_, inner)) = chars.next() {
                        if inner == '\\' && c == '"' {
                            chars.next();
                        } else if inner == c {
                            if c == '\'' && chars.peek().is_some_and(|(_, next)| *next == '\'') {
                                chars.next();
                                continue;
                            }
                            break;
                        }
                    }
                }
                '#' if before.is_whitespace() => {
                    while chars.next_if(|(_, c)| *c != '\n').is_some() {}
                }
                _ => {}
            }
            before = c;
        }
        None
    }
}

/// The bytes of an alias that is the value of an entry.
pub(crate) fn alias(of: &Entry) -> Option<std::ops::Range<usize>> {
    let node = &of.node;
    (node.used != node.defined && node.used.start > of.at.start).then(|| node.used.clone())
}

/// Whether a key is written in the mapping itself, and did not come into it by a merge.
pub(crate) fn is_own(map: &Node, e: &Entry) -> bool {
    e.at.start >= map.defined.start && e.node.used.start > e.at.start
}

/// A list with one more item in front, or a mapping with one more key, in flow style on one line.
pub(crate) fn flow_with(node: &Node, item: &str, entry: (&str, &str)) -> Option<String> {
    match &node.value {
        Value::List(all) => Some(scalar::list(
            std::iter::once(item.to_owned()).chain(all.iter().map(scalar::flow)),
        )),
        Value::Map(all) => {
            let own = (entry.0.to_owned(), entry.1.to_owned());
            let others = all
                .iter()
                .filter_map(|e| Some((scalar::scalar(e.key.as_deref()?), scalar::flow(&e.node))));
            Some(scalar::map(std::iter::once(own).chain(others)))
        }
        Value::Null => Some(scalar::list([item.to_owned()])),
        _ => None,
    }
}
