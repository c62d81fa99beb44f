//! Where in a compose file somebody writes. The text is in the making, so it is looked at line by line, and need not be YAML.

/// What is wanted at the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A secret of the catalogue, or a reference.
    Secret,
    /// A reference; it begins with a source's name.
    Reference,
    /// The type of a source.
    Kind,
    /// What a service does when a value changes.
    Action,
    /// A filter of a template.
    Filter,
}

/// What is wanted at a byte of a line of a text, if that is known.
pub fn wanted(text: &str, line: usize, byte: usize) -> Option<Wanted> {
    let path = path(text, line, byte);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let inside = match path.as_slice() {
        ["x-locket", "services", _, rest @ ..] | ["services", _, "x-locket", rest @ ..] => {
            Inside::Service(rest)
        }
        ["x-locket", rest @ ..] => Inside::Project(rest),
        _ => return None,
    };
    let before = super::text::line(text, line).get(..byte)?;
    if let Some((_, expression)) = before.rsplit_once("{{")
        && !expression.contains("}}")
    {
        return Some(match expression.contains('|') {
            true => Wanted::Filter,
            false => Wanted::Secret,
        });
    }
    match inside {
        Inside::Project(["secrets", _] | ["secrets", _, "ref"]) => Some(Wanted::Reference),
        Inside::Project(["sources", _] | ["sources", _, "type"]) => Some(Wanted::Kind),
        Inside::Project(["defaults", "on_change"] | ["defaults", "on_change", "action"])
        | Inside::Service(["on_change"] | ["on_change", "action"]) => Some(Wanted::Action),
        Inside::Service([] | ["secrets"] | ["secrets", "source"])
        | Inside::Service(["env", _] | ["env", _, "secret" | "value"]) => Some(Wanted::Secret),
        _ => None,
    }
}

enum Inside<'a> {
    Project(&'a [&'a str]),
    Service(&'a [&'a str]),
}

/// The keys that lead to a place; items of lists count as the list.
fn path(text: &str, number: usize, byte: usize) -> Vec<String> {
    let lines: Vec<&str> = text.split('\n').take(number + 1).collect();
    let current = super::text::line(text, number);
    let before = current.get(..byte).unwrap_or(current);
    let mut keys = Vec::new();
    let (mut indent, mut is_item) = measure(before, &mut keys);
    if before.trim().is_empty() {
        indent = byte;
    }
    let mut above = Vec::new();
    for line in lines.iter().rev().skip(1) {
        let line = line.trim_end();
        let content = line.trim_start_matches(' ');
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let at = line.len() - content.len();
        let is_dash = content == "-" || content.starts_with("- ");
        // The items of a list may stand below their key's first letter.
        let is_above = at < indent || (at == indent && is_item && !is_dash);
        if !is_above {
            continue;
        }
        let mut found = Vec::new();
        let (first, dash) = measure(line, &mut found);
        // `- source: a` above `target:` of the same item: only its dash leads further up.
        let key = found.into_iter().next().filter(|_| !dash || first < indent);
        above.extend(key.filter(|_| !dash || line_key_column(line) < indent));
        (indent, is_item) = (at, is_dash);
        if at == 0 && !is_dash {
            break;
        }
    }
    above.reverse();
    above.extend(keys);
    above
}

/// The column of the first key of a line, behind its dashes.
fn line_key_column(line: &str) -> usize {
    line.find(|c| c != ' ' && c != '-').unwrap_or(line.len())
}

/// The indentation of a line, whether it is an item of a list, and the keys that are open at its end.
fn measure(line: &str, keys: &mut Vec<String>) -> (usize, bool) {
    let content = line.trim_start_matches(' ');
    let indent = line.len() - content.len();
    let is_item = content == "-" || content.starts_with("- ");
    let mut rest = content;
    while let Some(inner) = rest
        .strip_prefix('-')
        .filter(|it| it.starts_with(' ') || it.is_empty())
    {
        rest = inner.trim_start_matches(' ');
    }
    keys.extend(open(rest));
    (indent, is_item)
}

/// The keys that are open at the end of a line's content: its own, and those of the flow collections that it opens.
fn open(content: &str) -> Vec<String> {
    // The key at each depth; nothing in a list, and before a key is read.
    let mut stack: Vec<Option<String>> = vec![None];
    let mut word = String::new();
    let mut chars = content.chars().peekable();
    let mut quote = None;
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), _) if c == q => quote = None,
            (Some(_), _) => word.push(c),
            (None, '"' | '\'') if word.trim().is_empty() => quote = Some(c),
            (None, '#') if word.is_empty() || word.ends_with(' ') => break,
            (None, '{' | '[') if word.trim().is_empty() => {
                stack.push(None);
                word.clear();
            }
            (None, '}' | ']') if stack.len() > 1 => {
                stack.pop();
                word.clear();
            }
            (None, ',') if stack.len() > 1 => {
                if let Some(last) = stack.last_mut() {
                    *last = None;
                }
                word.clear();
            }
            (None, ':') if chars.peek().is_none_or(|next| *next == ' ') => {
                if let Some(last) = stack.last_mut().filter(|it| it.is_none()) {
                    *last = Some(std::mem::take(&mut word).trim().to_owned());
                } else {
                    word.push(c);
                }
            }
            _ => word.push(c),
        }
    }
    stack.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wanted at the `^`.
    fn at(text: &str) -> Option<Wanted> {
        let place = text.find('^').unwrap();
        let line = text[..place].matches('\n').count();
        let start = text[..place].rfind('\n').map_or(0, |n| n + 1);
        wanted(&text.replace('^', ""), line, place - start)
    }

    #[test]
    fn block_style() {
        use Wanted::{Action, Filter, Kind, Reference, Secret};
        let head = "x-locket:\n  sources:\n    bao:\n      type: openbao\n  secrets:\n    db: local:db\nservices:\n  api:\n    image: x\n";
        for (tail, expected) in [
            ("    x-locket:\n      secrets:\n        - ^", Some(Secret)),
            ("    x-locket:\n      secrets:\n      - d^", Some(Secret)),
            ("    x-locket:\n      - ^", Some(Secret)),
            (
                "    x-locket:\n      secrets:\n        - source: d^",
                Some(Secret),
            ),
            (
                "    x-locket:\n      secrets:\n        - source: db\n          target: ^",
                None,
            ),
            (
                "    x-locket:\n      secrets:\n        - target: a\n          source: ^",
                Some(Secret),
            ),
            (
                "    x-locket:\n      env:\n        # why\n\n        A: d^",
                Some(Secret),
            ),
            (
                "    x-locket:\n      env:\n        A:\n          secret: ^",
                Some(Secret),
            ),
            (
                "    x-locket:\n      env:\n        A: \"{{ d^\"",
                Some(Secret),
            ),
            (
                "    x-locket:\n      env:\n        A: \"{{ db | t^ }}\"",
                Some(Filter),
            ),
            (
                "    x-locket:\n      env:\n        A: \"{{ db }} ^\"",
                Some(Secret),
            ),
            (
                "    x-locket:\n      templates:\n        - target: a\n          content: |\n            x = {{ ^",
                Some(Secret),
            ),
            ("    x-locket:\n      on_change: ^", Some(Action)),
            (
                "    x-locket:\n      on_change:\n        action: re^",
                Some(Action),
            ),
            ("    environment:\n      A: ^", None),
            ("    image: ^", None),
            ("", None),
        ] {
            if tail.is_empty() {
                continue;
            }
            assert_eq!(at(&format!("{head}{tail}")), expected, "{tail}");
        }
        assert_eq!(at("x-locket:\n  secrets:\n    db: ^"), Some(Reference));
        assert_eq!(
            at("x-locket:\n  secrets:\n    db:\n      ref: ^"),
            Some(Reference)
        );
        assert_eq!(at("x-locket:\n  sources:\n    bao: ^"), Some(Kind));
        assert_eq!(
            at("x-locket:\n  sources:\n    bao:\n      type: ^"),
            Some(Kind)
        );
        assert_eq!(
            at("x-locket:\n  services:\n    api:\n      env:\n        A: ^"),
            Some(Secret)
        );
        assert_eq!(at("x-locket:\n  defaults:\n    on_change: ^"), Some(Action));
    }

    #[test]
    fn flow_style() {
        use Wanted::{Action, Reference, Secret};
        let head = "services:\n  api:\n    image: x\n";
        for (tail, expected) in [
            ("    x-locket: [^]", Some(Secret)),
            ("    x-locket: [db, ^]", Some(Secret)),
            (
                "    x-locket: { secrets: [db, { source: ^ } ] }",
                Some(Secret),
            ),
            ("    x-locket: { env: { A: db, B: ^ } }", Some(Secret)),
            (
                "    x-locket: { env: { A: db }, on_change: ^ }",
                Some(Action),
            ),
            ("    x-locket: { secrets: [db], path: ^ }", None),
        ] {
            assert_eq!(at(&format!("{head}{tail}")), expected, "{tail}");
        }
        assert_eq!(at("x-locket: { secrets: { db: ^ } }"), Some(Reference));
        assert_eq!(
            at("x-locket:\n  secrets: { db: local:db, key: ^ }"),
            Some(Reference)
        );
    }
}
