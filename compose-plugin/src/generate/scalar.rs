//! YAML scalars as we write them: plain where nobody could read something else into them, else in double quotes.

use std::fmt::Write;

use locket_crds::yaml::{Node, Value};

/// Words that some reader of YAML takes for something else than text.
const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];

/// A text, fit for a flow collection.
pub(crate) fn scalar(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.' | '-');
    let begins = |c: char| c.is_ascii_alphabetic() || c == '/' || c == '_';
    let word = WORDS.iter().any(|w| text.eq_ignore_ascii_case(w));
    // `-x` and `--x` are text, `-1` and `- x` are not.
    let rest = text.trim_start_matches('-');
    let dashes = text.len() - rest.len();
    let option =
        text == "--" || (dashes <= 2 && rest.starts_with(|c: char| c.is_ascii_alphabetic()));
    if (option || text.starts_with(begins)) && text.chars().all(harmless) && !word {
        return text.to_owned();
    }
    quoted(text)
}

/// A text in double quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\U{:08x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A text whose dollars compose must not take for variables.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

/// A tree in flow style, on one line.
pub(crate) fn flow(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(it) => it.to_string(),
        Value::Int(it) => it.to_string(),
        Value::Float(it) => it.to_string(),
        Value::Str(text) => scalar(text),
        Value::List(all) => list(all.iter().map(flow)),
        Value::Map(all) => map(all
            .iter()
            .filter_map(|e| Some((scalar(e.key.as_deref()?), flow(&e.node))))),
    }
}

/// `[a, b]` of texts that are YAML already.
pub(crate) fn list(all: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", all.into_iter().collect::<Vec<_>>().join(", "))
}

/// `{ a: b }` of texts that are YAML already.
pub(crate) fn map(all: impl IntoIterator<Item = (String, String)>) -> String {
    let all: Vec<_> = all
        .into_iter()
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    if all.is_empty() {
        "{}".to_owned()
    } else {
        format!("{{ {} }}", all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use locket_crds::yaml;

    #[test]
    fn every_text_comes_back_as_it_was() {
        let all = [
            "a",
            "/run/secrets",
            "--",
            "-x",
            "true",
            "ON",
            "null",
            "1",
            "1e3",
            "0x1f",
            "~",
            "",
            " a",
            "a: b",
            "a #b",
            "[x]",
            "{{ a }}",
            "*a",
            "&a",
            "!t",
            "%x",
            "@x",
            "`x`",
            "a\nb\n",
            "\"q\"",
            "'q'",
            "\\",
            "é\u{2028}\u{7f}\u{1}",
            "a,b",
            "$$X ${Y}",
            "?",
            "- a",
            "<<",
            "=",
            "2001-01-01",
            "y",
            "N",
        ];
        for text in all {
            for written in [
                format!("[{}]", scalar(text)),
                format!("[{}, {}]", quoted(text), scalar(text)),
            ] {
                let Value::List(back) = yaml::document(&written).unwrap().value else {
                    panic!("{written}")
                };
                assert!(
                    back.iter().all(|n| n.as_str() == Some(text)),
                    "{text:?}: {written}"
                );
            }
        }
    }

    #[test]
    fn a_tree_in_flow_style_is_the_same_tree() {
        let text = "db:\n  condition: service_healthy\n  restart: true\nc: [1, \"2\", null]\n";
        let it = yaml::document(text).unwrap();
        assert_eq!(
            flow(&it),
            r#"{ db: { condition: service_healthy, restart: true }, c: [1, "2", null] }"#
        );
    }
}
