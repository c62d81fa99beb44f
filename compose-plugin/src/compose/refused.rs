//! Where in the user's files compose's reason to refuse them is about: compose tells a path, a service or a word, and no line.

use std::ops::Range;
use std::path::Path;

use locket_crds::diag::Place;
use locket_crds::text::Text;
use locket_crds::yaml::{Entry, Node, Value};

use crate::docker::UNPARSED;

/// The top-level sections that compose's paths begin with.
const SECTIONS: [&str; 5] = ["services", "networks", "volumes", "secrets", "configs"];

/// What a service refers to, in compose's word, and the key where it does.
const REFERRED: [(&str, &str); 6] = [
    ("undefined service", "depends_on"),
    ("undefined volume", "volumes"),
    ("undefined network", "networks"),
    ("undefined secret", "secrets"),
    ("undefined config", "configs"),
    ("cannot extend service", "extends"),
];

/// A shorter word is somewhere in a file by chance.
const SHORT: usize = 5;

/// Where values are that nobody should see.
const HIDDEN: [&str; 3] = [".environment", ".labels", ".args"];

/// Whether the reason is about a value that nobody should see.
pub(super) fn is_hidden(reason: &str) -> bool {
    path(reason).is_some_and(|path| HIDDEN.iter().any(|it| path.contains(it)))
}

/// The last place of the files that the reason speaks of: later files have the last word. Nothing if it speaks of none. Of what is
/// hidden it is that of the value.
pub(super) fn place(reason: &str, texts: &[Text]) -> Option<Place> {
    if reason.starts_with("empty compose file") {
        let empty = |it: &&Text| it.documents().iter().all(|it| it.value == Value::Null);
        return texts.iter().find(empty).map(|it| it.place(&(0..0)));
    }
    let path = path(reason).or_else(|| service(reason));
    let by_path = path.and_then(|path| {
        let found = each(texts).filter_map(|(text, root)| {
            let (length, key, value) = walk(root, &path)?;
            Some((length, text, if is_hidden(reason) { value } else { key }))
        });
        // The longest, and of equal ones the last.
        found.max_by_key(|it| it.0)
    });
    let (text, at) = match by_path {
        Some((_, text, at)) => (text, at),
        None => word(reason, texts)?,
    };
    Some(text.place(&at))
}

/// The file of variables that the reason speaks of, and the line in it.
pub(super) fn of_variables(reason: &str) -> Option<(&Path, u32)> {
    let (path, rest) = reason.strip_prefix(UNPARSED)?.split_once(": line ")?;
    let (line, _) = rest.split_once(':')?;
    Some((Path::new(path), line.parse().ok()?))
}

fn each(texts: &[Text]) -> impl Iterator<Item = (&Text, &Node)> {
    let roots = |text| Text::documents(text).iter().map(move |root| (text, root));
    texts.iter().flat_map(roots)
}

/// `services.web additional properties 'prots' not allowed`, `'services[web].mem_limit' invalid size`: the path, and the key that
/// is too many there.
fn path(reason: &str) -> Option<String> {
    let begins = |word: &str| {
        SECTIONS.iter().any(|section| {
            let rest = word.strip_prefix(section);
            rest.is_some_and(|rest| rest.starts_with(['.', '[']))
        })
    };
    // `services must be a mapping`.
    let whole =
        |word: &str| SECTIONS.contains(&word) && reason.contains(&format!("{word} must be"));
    let mut words = reason.split_whitespace().map(|it| it.trim_matches('\''));
    let path = words.find(|it| begins(it) || whole(it))?;
    let mut path = path
        .trim_end_matches(['.', ':', '\''])
        .replace(['[', ']'], ".")
        .replace("..", ".");
    if let Some((_, after)) = reason.split_once("additional properties '")
        && let Some((key, _)) = after.split_once('\'')
    {
        path = format!("{path}.{key}");
    }
    Some(path)
}

/// `service "web" depends on undefined service "db"`, `dependency cycle detected: web -> db -> web`.
fn service(reason: &str) -> Option<String> {
    if let Some((_, cycle)) = reason.split_once("dependency cycle detected: ") {
        let (name, _) = cycle.split_once(" -> ")?;
        return Some(format!("services.{name}.depends_on"));
    }
    let (_, after) = reason.split_once("service \"")?;
    let (name, _) = after.split_once('"')?;
    let key = REFERRED.iter().find(|it| reason.contains(it.0));
    let key = key.map(|it| format!(".{}", it.1)).unwrap_or_default();
    Some(format!("services.{name}{key}"))
}

/// As far as the path leads: how much of it that is, where its last key stands, and where what it leads to. A key may have dots.
fn walk(root: &Node, path: &str) -> Option<(usize, Range<usize>, Range<usize>)> {
    let (mut node, mut rest, mut found) = (root, path, None);
    while !rest.is_empty() {
        let (at, next, after) = match &node.value {
            Value::Map(all) => {
                let fits = all
                    .iter()
                    .filter_map(|it| Some((it, after_key(rest, it.key.as_deref()?)?)));
                let Some((entry, after)) =
                    fits.max_by_key(|it: &(&Entry, &str)| rest.len() - it.1.len())
                else {
                    break;
                };
                (entry.at.clone(), &entry.node, after)
            }
            Value::List(all) => {
                let (index, after) = rest.split_once('.').unwrap_or((rest, ""));
                let Some(item) = index.parse::<usize>().ok().and_then(|it| all.get(it)) else {
                    break;
                };
                (item.defined.clone(), item, after)
            }
            _ => break,
        };
        (found, node, rest) = (Some(at), next, after);
    }
    Some((path.len() - rest.len(), found?, node.defined.clone()))
}

/// What of a path follows a key that it begins with.
fn after_key<'a>(path: &'a str, key: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(key)?;
    match rest.is_empty() {
        true => Some(rest),
        false => rest.strip_prefix('.'),
    }
}

/// `Invalid hostPort: 999999`, `env file /srv/shop/app.env not found`: the only text of the files that has such a word, or that a
/// path ends with.
fn word<'a>(reason: &str, texts: &'a [Text]) -> Option<(&'a Text, Range<usize>)> {
    let long = |it: &&str| {
        it.len() >= SHORT && it.contains(|c: char| c.is_ascii_digit() || matches!(c, '/' | '.'))
    };
    let words = reason
        .split_whitespace()
        .map(|it| it.trim_matches(|c: char| matches!(c, ':' | '"' | '\'' | ',')));
    words.filter(long).find_map(|word| {
        let mut found = Vec::new();
        for (text, root) in each(texts) {
            scalars(root, &mut |value, at| {
                if fits(value, word) {
                    found.push((text, at.clone()));
                }
            });
        }
        let first = found.pop()?;
        found.is_empty().then_some(first)
    })
}

fn fits(value: &str, word: &str) -> bool {
    let named = value.trim_start_matches("./");
    let path = named.len() >= SHORT && word.strip_suffix(named).is_some_and(|it| it.ends_with('/'));
    path || value.split([':', '=']).any(|it| it == word)
}

/// Every text of a tree.
fn scalars<'a>(node: &'a Node, told: &mut impl FnMut(&'a str, &Range<usize>)) {
    match &node.value {
        Value::Str(text) => told(text, &node.defined),
        Value::List(all) => all.iter().for_each(|it| scalars(it, told)),
        Value::Map(all) => all.iter().for_each(|it| scalars(&it.node, told)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
services:
  web.site:
    image: x
  web:
    image: x
    prots: [1]
    env_file: [./app.env, ./other.env]
    ports:
      - 80:80
      - 999999:80
    depends_on: [db]
    network_mode: service:nope
    mem_limit: abc
";

    /// The reasons are those that compose 2.40 gave for such files.
    #[test]
    fn a_file_of_variables_has_lines_too() {
        let of = |reason| of_variables(reason).map(|it| (it.0.to_str().unwrap(), it.1));
        assert_eq!(
            of("failed to read /srv/.env: line 12: key cannot contain a space"),
            Some(("/srv/.env", 12))
        );
        assert_eq!(of("failed to read /srv/.env: Invalid template: x"), None);
    }

    #[test]
    fn an_empty_file_is_the_place() {
        let texts = [
            Text::new("compose.yaml", FILE),
            Text::new("compose.override.yaml", "# nothing\n"),
        ];
        let place = place("empty compose file", &texts).unwrap();
        assert_eq!(place.origin.to_string(), "compose.override.yaml:1:1");
    }

    #[test]
    fn composes_reasons_have_a_line() {
        let texts = [
            Text::new("compose.yaml", FILE),
            Text::new(
                "compose.override.yaml",
                "services:\n  web: { init: true }\n",
            ),
        ];
        let line = |reason: &str| place(reason, &texts).map(|it| it.origin.to_string());
        let told = [
            "validating /srv/compose.yaml: services.web additional properties 'prots' not allowed",
            "validating /srv/compose.yaml: services.web.ports must be a array",
            "validating /srv/compose.yaml: services.web.ports.1.target must be a integer",
            "validating /srv/compose.yaml: services.web.site.image must be a string",
            "service \"web\" depends on undefined service \"db\": invalid compose project",
            "service \"web.site\" has neither an image nor a build context specified: invalid compose project",
            "env file /srv/shop/app.env not found: stat /srv/shop/app.env: no such file or directory",
            "'services[web].mem_limit' invalid size: 'abc'",
            "invalid interpolation format for services.web.mem_limit.\nYou may need to escape any $ with another $.",
            "Invalid hostPort: 999999",
            "dependency cycle detected: web -> web",
            "dependency cycle detected: db -> web -> db",
            "services must be a mapping",
            "open /srv/shop/nope.yaml: no such file or directory",
        ];
        let lines: Vec<String> = told
            .iter()
            .map(|it| format!("{} <- {it}", line(it).unwrap_or_default()))
            .collect();
        expect_test::expect![[r#"
            compose.yaml:6:5 <- validating /srv/compose.yaml: services.web additional properties 'prots' not allowed
            compose.yaml:8:5 <- validating /srv/compose.yaml: services.web.ports must be a array
            compose.yaml:10:9 <- validating /srv/compose.yaml: services.web.ports.1.target must be a integer
            compose.yaml:3:5 <- validating /srv/compose.yaml: services.web.site.image must be a string
            compose.yaml:11:5 <- service "web" depends on undefined service "db": invalid compose project
            compose.yaml:2:3 <- service "web.site" has neither an image nor a build context specified: invalid compose project
            compose.yaml:7:16 <- env file /srv/shop/app.env not found: stat /srv/shop/app.env: no such file or directory
            compose.yaml:13:5 <- 'services[web].mem_limit' invalid size: 'abc'
            compose.yaml:13:5 <- invalid interpolation format for services.web.mem_limit.
            You may need to escape any $ with another $.
            compose.yaml:10:9 <- Invalid hostPort: 999999
            compose.yaml:11:5 <- dependency cycle detected: web -> web
            compose.override.yaml:1:1 <- dependency cycle detected: db -> web -> db
            compose.override.yaml:1:1 <- services must be a mapping
             <- open /srv/shop/nope.yaml: no such file or directory"#]].assert_eq(&lines.join("\n"));
    }
}
