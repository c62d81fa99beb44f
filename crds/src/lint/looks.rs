//! What of a text as it is written may be a secret: before interpolation, and where it is no YAML.

use crate::likeness::{self, URL, named};

/// Values that are nobody's secret.
const WORDS: [&str; 12] = [
    "0", "1", "default", "false", "no", "none", "null", "off", "on", "true", "yes", "~",
];

/// Whether a value could be one: not a switch, a path, a number behind a `KEY`, or something that is put in elsewhere.
pub(super) fn is_literal(name: &str, value: &str) -> bool {
    let value = value.trim();
    let upper = name.to_ascii_uppercase();
    let counted = value.chars().all(|c| c.is_ascii_digit()) && !upper.contains("PASS");
    let path = value.starts_with(['/', '.']) && value.contains('/') && !value.contains(['=', '+']);
    let elsewhere = value.contains('$') || value.contains("{{") || value.starts_with('<');
    let link = value.starts_with("http://") || value.starts_with("https://");
    !(value.is_empty()
        || counted
        || path
        || elsewhere
        || link
        || WORDS.contains(&value.to_ascii_lowercase().as_str()))
}

/// What compose puts in if the variable that is all of a value is not set: `${NAME:-this}`.
pub(super) fn default(value: &str) -> Option<&str> {
    let inner = value.trim().strip_prefix("${")?.strip_suffix('}')?;
    let name = inner.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
    let rest = &inner[name..];
    let default = rest.strip_prefix(":-").or(rest.strip_prefix('-'))?;
    (!default.contains('$')).then_some(default)
}

/// Whether somebody has thought about it: no single word.
pub(super) fn is_chosen(value: &str) -> bool {
    let has = |of: fn(&char) -> bool| value.chars().any(|c| of(&c));
    value.len() >= 8 && has(char::is_ascii_digit) && has(char::is_ascii_alphabetic)
}

/// The form of a value as it is written: the password of a URL may be a variable, which compose puts in.
pub(super) fn format(value: &str) -> Option<&'static str> {
    likeness::format(value).filter(|it| *it != URL || !value.contains('$'))
}

/// Where lines of a text that is not YAML may hold a secret: line and column, from 1, of what goes to the end of the line.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (u32, u32)> {
    text.lines().zip(1..).filter_map(|(line, number)| {
        let named = line
            .char_indices()
            .filter(|(_, c)| matches!(c, ':' | '='))
            .find(|(at, _)| {
                let before = line[..*at].trim_end_matches([' ', '"', '\'']);
                let begin = before
                    .rfind(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c)))
                    .map_or(0, |n| {
                        n + before[n..].chars().next().map_or(0, char::len_utf8)
                    });
                named(&before[begin..]).is_some()
            })
            .map(|(at, _)| at + 1);
        let by_form = || line.split([' ', '=']).find(|word| format(word).is_some());
        let form = || by_form().and_then(|word| line.find(word));
        let at = named.or_else(form)?;
        Some((number, line[..at].chars().count() as u32 + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_no_secret_are_left_alone() {
        for value in [
            "",
            "true",
            "off",
            "/run/secrets/db",
            "./key.pem",
            "${X}",
            "${X:-y}",
            "{{ x }}",
            "<token>",
            "https://auth.example/token",
        ] {
            assert!(!is_literal("DB_PASSWORD", value), "{value}");
        }
        assert!(!is_literal("API_KEY", "42") && is_literal("PASSWORD", "1234"));
        assert!(is_literal("PASSWORD", "hunter2") && is_literal("KEY", "/a+b/c=="));
    }

    #[test]
    fn a_default_is_what_stands_there() {
        assert_eq!(default("${A:-b}"), Some("b"));
        assert_eq!(default(" ${A_1-}"), Some(""));
        for none in [
            "b",
            "${A}",
            "${A:?no}",
            "${A:+b}",
            "x${A:-b}",
            "${A:-${B}}",
            "${A:-b}${C}",
        ] {
            assert_eq!(default(none), None, "{none}");
        }
        assert!(is_chosen("hunter2hunter2") && !is_chosen("postgres") && !is_chosen("12345678"));
    }

    #[test]
    fn lines_that_cannot_be_read_are_masked_by_their_names() {
        let found: Vec<_> =
            lines("a: [\n  DB_PASSWORD: x\n  - \"TOKEN=y\"\n  b: postgres://a:b@c\nd: e\n")
                .collect();
        assert_eq!(found, [(2, 15), (3, 12), (4, 6)]);
    }
}
