//! Copies of the user's files that may be shown: every value of an environment is eight stars.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use locket_crds::likeness::{format, likeness};
use locket_crds::yaml::{self, Node, Value as Yaml};

use super::dotenv;
use super::model::{Value, scalar};
use super::reference::foreign;
use crate::user_files::Change;

/// What stands in the place of a value.
pub const STARS: &str = "********";
/// Shorter values are everywhere by chance.
const LEAST: usize = 6;

/// A compose file. One that cannot be read is stars as a whole. `names`: variables whose values go.
pub fn compose(text: &str, names: &BTreeSet<&str>, values: &[Value]) -> String {
    let Ok(root) = yaml::document(text) else {
        return STARS.to_owned();
    };
    let mut places = Vec::new();
    let services = match root.get("services").map(|it| &it.value) {
        Some(Yaml::Map(all)) => all.as_slice(),
        _ => &[],
    };
    for node in services.iter().filter_map(|e| e.node.get("environment")) {
        walk(text, node, &|_, _| true, &mut places);
    }
    for options in services
        .iter()
        .filter_map(|e| e.node.get("provider")?.get("options"))
    {
        walk(
            text,
            options,
            &|name, value| !is_setting(name, value),
            &mut places,
        );
    }
    // An entry that is overridden is seen only where it is anchored.
    let looks = |name: &str, value: &str| names.contains(name) || likeness(name, value).is_some();
    for e in root_entries(&root).filter(|e| e.key.as_deref() != Some("x-locket")) {
        walk(text, &e.node, &looks, &mut places);
    }
    known(replaced(text, places), values)
}

fn root_entries(root: &Node) -> impl Iterator<Item = &yaml::Entry> {
    let all = match &root.value {
        Yaml::Map(all) => all.as_slice(),
        _ => &[],
    };
    all.iter()
}

/// A change of a file as it may be shown; `env_file` is the one that is no YAML.
pub fn change(it: &Change, env_file: &Path, names: &BTreeSet<&str>, values: &[Value]) -> Change {
    let masked = |text: &str| match it.path == env_file {
        true => env(text, false, values),
        false => compose(text, names, values),
    };
    Change {
        path: it.path.clone(),
        before: it.before.as_deref().map(masked),
        after: masked(&it.after),
    }
}

/// Finds variables, as entries or as `NAME=value`, at any depth.
fn walk(
    text: &str,
    node: &Node,
    is_it: &dyn Fn(&str, &str) -> bool,
    places: &mut Vec<Range<usize>>,
) {
    match &node.value {
        Yaml::Map(all) => {
            for e in all {
                let name = e.key.as_deref().unwrap_or_default();
                match scalar(&e.node) {
                    Some(value) if !harmless(name, &value) && is_it(name, &value) => {
                        places.push(of_entry(text, e));
                    }
                    _ => walk(text, &e.node, is_it, places),
                }
            }
        }
        Yaml::List(all) => {
            for it in all {
                match it.as_str().and_then(|it| it.split_once('=')) {
                    Some((name, value)) if !harmless(name, value) && is_it(name, value) => {
                        places.extend(of_item(text, it));
                    }
                    _ => walk(text, it, is_it, places),
                }
            }
        }
        _ => {}
    }
}

/// An env file.
pub fn env(text: &str, raw: bool, values: &[Value]) -> String {
    let Ok(all) = dotenv::settings(text, raw) else {
        return STARS.to_owned();
    };
    // Compose's own settings are what people must see.
    let places = all
        .into_iter()
        .filter(|it| !it.name.starts_with("COMPOSE_"))
        .map(|it| it.value)
        .filter(|it| !it.is_empty());
    known(replaced(text, places.collect()), values)
}

/// What is no value: a variable of compose's alone, the path of a file, or a reference.
fn harmless(name: &str, value: &str) -> bool {
    name.ends_with("_FILE")
        || value.starts_with("/run/")
        || matches!(dotenv::single(value), Some(("", _, "")))
        || matches!(foreign(value), Some(Ok(it)) if it.is_whole())
}

/// An option of a provider that is no credential.
fn is_setting(name: &str, value: &str) -> bool {
    let words = ["-url", "-namespace", "-mount", "-host", "-concurrent"];
    let known = matches!(name, "provider" | "raw" | "timeout" | "file" | "profile");
    let plain = known || words.iter().any(|it| name.ends_with(it));
    (plain && format(value).is_none()) || value.starts_with("file:")
}

/// The value of an entry: up to the next line that is not indented more, if it has several.
fn of_entry(text: &str, e: &yaml::Entry) -> Range<usize> {
    let node = &e.node;
    let start = node.defined.start;
    let block = text[e.at.end.min(start)..start].contains(['|', '>']);
    let line = text[..e.at.start].rfind('\n').map_or(0, |n| n + 1);
    let indent =
        text[line..e.at.start].len() - text[line..e.at.start].trim_start_matches(' ').len();
    if !block {
        let written = &text[node.defined.clone()];
        return start..start + written.trim_end().len();
    }
    let header = text[e.at.end..]
        .find(['|', '>'])
        .map_or(start, |n| e.at.end + n);
    let mut end = text[header..].find('\n').map_or(text.len(), |n| header + n);
    for line in text[end..].split_inclusive('\n').skip(1) {
        let deeper = line.len() - line.trim_start_matches(' ').len() > indent;
        if !(deeper || line.trim().is_empty()) {
            break;
        }
        end += line.len();
    }
    header..end
}

/// The value within `NAME=value`.
fn of_item(text: &str, it: &Node) -> Option<Range<usize>> {
    let written = text.get(it.defined.clone())?.trim_end();
    let sign = written.find('=')?;
    let quote = written.starts_with(['"', '\'']);
    Some(it.defined.start + sign + 1..it.defined.start + written.len() - usize::from(quote))
}

fn replaced(text: &str, mut places: Vec<Range<usize>>) -> String {
    // An anchored one is met at every use.
    places.sort_by_key(|it| (it.start, it.end));
    places.dedup();
    let mut out = String::new();
    let mut done = 0;
    for at in places {
        if at.start >= done && at.end >= at.start {
            out.push_str(&text[done..at.start]);
            out.push_str(STARS);
            done = at.end;
        }
    }
    out.push_str(&text[done..]);
    out
}

/// The same without values that are known, wherever they stand.
fn known(mut text: String, values: &[Value]) -> String {
    for value in values {
        let lines = std::str::from_utf8(value.expose())
            .unwrap_or_default()
            .lines();
        for line in lines.map(str::trim).filter(|it| it.len() >= LEAST) {
            text = text.replace(line, STARS);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use locket_provider::SecretValue;

    use super::*;

    #[test]
    fn no_value_is_left_in_a_copy() {
        let text = "x-env: &env\n  PASSWORD: canary-1\nservices:\n  a:\n    environment:\n      <<: *env\n      PASSWORD: 'canary-2'\n      KEY: |\n        canary-3\n        canary-4\n      X: ${X}\n      A_FILE: /run/a\n  b: { environment: [A=canary-5, \"B=canary 6\", C], command: canary-7 }\n";
        let values = [Arc::new(SecretValue::new(b"canary-7".to_vec()))];
        let shown = compose(text, &BTreeSet::from(["PASSWORD"]), &values);
        expect_test::expect![[r#"
            x-env: &env
              PASSWORD: ********
            services:
              a:
                environment:
                  <<: *env
                  PASSWORD: ********
                  KEY: ********
                  X: ${X}
                  A_FILE: /run/a
              b: { environment: [A=********, "B=********", C], command: ******** }
        "#]]
        .assert_eq(&shown);
        assert_eq!(compose("a: [", &BTreeSet::new(), &[]), STARS);
        let shown = env("A=canary # c\nB='x\ny'\nC\nCOMPOSE_FILE=a\n", false, &[]);
        assert_eq!(shown, "A=******** # c\nB=********\nC\nCOMPOSE_FILE=a\n");
    }
}
