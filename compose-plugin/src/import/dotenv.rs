//! Where variables are written in a `.env` file or an `env_file`. What they mean is compose's to say; here are only places.
//!
//! The grammar is that of compose: <https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax>.

use std::ops::Range;

/// One variable of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Bytes of the name.
    pub key: Range<usize>,
    /// Bytes of its lines, with the end of the last one.
    pub at: Range<usize>,
    /// Bytes of the value with its quotes, without a comment; empty where only a name is written.
    pub value: Range<usize>,
    /// Nothing but a name: the value is that of the environment.
    pub bare: bool,
    /// In single quotes: dollars are dollars.
    pub literal: bool,
}

/// All variables, in the order of the text. `raw`: quotes are part of the value (`format: raw`).
///
/// # Errors
/// The line, from 1, that is not understood.
pub fn settings(text: &str, raw: bool) -> Result<Vec<Setting>, usize> {
    let mut out = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let end = line_end(text, start);
        let line = text[start..end].trim_end_matches(['\n', '\r']);
        let bom = if start == 0 && line.starts_with('\u{feff}') {
            3
        } else {
            0
        };
        let content = line[bom..].trim_start();
        if content.is_empty() || content.starts_with('#') {
            start = end;
            continue;
        }
        let unknown = || text[..start].matches('\n').count() + 1;
        let it = setting(text, start, end, raw).ok_or_else(unknown)?;
        start = it.at.end;
        out.push(it);
    }
    Ok(out)
}

fn setting(text: &str, start: usize, end: usize, raw: bool) -> Option<Setting> {
    let line = text[start..end].trim_end_matches(['\n', '\r']);
    let bom = if start == 0 && line.starts_with('\u{feff}') {
        3
    } else {
        0
    };
    let mut key = start + bom + line[bom..].len() - line[bom..].trim_start().len();
    let rest = &text[key..start + line.len()];
    if let Some(after) = rest
        .strip_prefix("export")
        .filter(|it| it.starts_with([' ', '\t']))
    {
        key += rest.len() - after.trim_start().len();
    }
    let rest = &text[key..start + line.len()];
    let separators: &[char] = if raw { &['='] } else { &['=', ':'] };
    let sign = rest.find(separators);
    let name = rest[..sign.unwrap_or(rest.len())].trim_end();
    let is_name = |c: char| c.is_alphanumeric() || "_.-[]".contains(c);
    if name.is_empty() || !name.chars().all(is_name) {
        return None;
    }
    let mut it = Setting {
        name: name.to_owned(),
        key: key..key + name.len(),
        at: start..end,
        value: start + line.len()..start + line.len(),
        bare: sign.is_none(),
        literal: raw,
    };
    let Some(sign) = sign else { return Some(it) };
    let value = &rest[sign + 1..];
    let begins = if raw { value } else { value.trim_start() };
    let from = start + line.len() - begins.len();
    let quote = begins
        .chars()
        .next()
        .filter(|c| !raw && matches!(c, '"' | '\''));
    if let Some(quote) = quote {
        let close = closing(&text[from..], quote)?;
        let end = line_end(text, from + close);
        let behind = text[from + close..end].trim();
        if !(behind.is_empty() || behind.starts_with('#')) {
            return None;
        }
        it.literal = quote == '\'';
        it.at.end = end;
        it.value = from..from + close;
        return Some(it);
    }
    let comment = [" #", "\t#"].iter().filter_map(|c| begins.find(c)).min();
    let length = match comment.filter(|_| !raw) {
        Some(at) => begins[..at].trim_end().len(),
        // `A= # nothing`: the comment begins behind blanks that are trimmed already.
        None if !raw && begins.starts_with('#') && value != begins => 0,
        None => begins.trim_end_matches(['\r']).trim_end().len(),
    };
    it.value = from..from + length;
    Some(it)
}

/// Behind the quote that closes the one at the beginning; one behind a backslash does not.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return Some(at + 1);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |n| at + n + 1)
}

/// A text with one variable in it: what stands in front of it, its name, and what stands behind it.
///
/// Nothing where there is none, more than one, one with a default or the like, or a doubled dollar.
pub fn single(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('$')?;
    let (name, after) = match rest.strip_prefix('{') {
        Some(inside) => inside.split_once('}')?,
        None => {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()))
        }
    };
    let simple = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| !c.is_ascii_digit());
    (simple && !after.contains('$')).then_some((before, name, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn show(text: &str, raw: bool) -> String {
        match settings(text, raw) {
            Err(line) => format!("line {line}\n"),
            Ok(all) => all
                .iter()
                .map(|it| {
                    let (at, value) = (&text[it.at.clone()], &text[it.value.clone()]);
                    assert_eq!(text[it.key.clone()], it.name);
                    let bare = if it.bare { " bare" } else { "" };
                    let literal = if it.literal { " literal" } else { "" };
                    format!("{} = {value:?} in {at:?}{bare}{literal}\n", it.name)
                })
                .collect(),
        }
    }

    #[test]
    fn settings_have_their_places() {
        let text = "\u{feff}# c\nA=1\n\n  B = two words # c\r\nexport C='s $X #' # c\nD=\"x\\\"y\"\nE: colon\nF\nG=\nH= # c\nI=a#b\nJ=\"l1\nl2\n\"\nK='a\nb'\nL=end";
        expect![[r#"
            A = "1" in "A=1\n"
            B = "two words" in "  B = two words # c\r\n"
            C = "'s $X #'" in "export C='s $X #' # c\n" literal
            D = "\"x\\\"y\"" in "D=\"x\\\"y\"\n"
            E = "colon" in "E: colon\n"
            F = "" in "F\n" bare
            G = "" in "G=\n"
            H = "" in "H= # c\n"
            I = "a#b" in "I=a#b\n"
            J = "\"l1\nl2\n\"" in "J=\"l1\nl2\n\"\n"
            K = "'a\nb'" in "K='a\nb'\n" literal
            L = "end" in "L=end"
        "#]]
        .assert_eq(&show(text, false));
        expect![[r##"
            A = "\"q\" # c" in "A=\"q\" # c\n" literal
            C = "" in "C\n" bare literal
            D = "'x" in "D='x" literal
        "##]]
        .assert_eq(&show("A=\"q\" # c\n#B=1\nC\nD='x", true));
        for (text, line) in [
            ("A=1\nB=\"open\n", 2),
            ("A='x' y\n", 1),
            ("a b=1", 1),
            ("=x", 1),
        ] {
            assert_eq!(settings(text, false), Err(line), "{text:?}");
        }
        assert_eq!(show("", false), "");
    }

    #[test]
    fn variables_are_seen_in_texts() {
        for (text, expected) in [
            ("${A}", Some(("", "A", ""))),
            ("$A", Some(("", "A", ""))),
            ("pre-$A/x", Some(("pre-", "A", "/x"))),
            ("postgres://u:${A}@h", Some(("postgres://u:", "A", "@h"))),
            ("${A:-x}", None),
            ("${A}${B}", None),
            ("$$A", None),
            ("a", None),
            ("${A", None),
            ("a$", None),
        ] {
            assert_eq!(single(text), expected, "{text}");
        }
    }
}
