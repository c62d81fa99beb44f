//! How far a place reaches of which only the beginning is known.

use std::collections::HashMap;

use super::{Diagnostic, Place};
use crate::text::Text;

/// Gives each place without a width that of the word there, so that all of it is marked. What is hidden stays: there, no width means
/// the rest of the line.
pub fn measure(problems: &mut [Diagnostic], texts: &[Text]) {
    let lines: HashMap<&str, Vec<&str>> = texts
        .iter()
        .map(|it| (it.name(), it.text().lines().collect()))
        .collect();
    for it in problems {
        let labels = it.labels.iter_mut().map(|(place, _)| place);
        for place in labels.chain([&mut it.place]) {
            if place.width == 0
                && let Some(rest) = rest(place, &lines)
            {
                place.width = width(rest) as u32;
            }
        }
    }
}

fn rest<'a>(place: &Place, lines: &HashMap<&str, Vec<&'a str>>) -> Option<&'a str> {
    let at = &place.origin;
    let line = (at.line as usize).checked_sub(1)?;
    let column = (at.column as usize).checked_sub(1)?;
    let line = lines.get(at.file.as_str())?.get(line)?;
    let start = line.char_indices().nth(column)?.0;
    Some(&line[start..])
}

/// Characters of the scalar or key that a text begins with; 1 for what is neither.
fn width(text: &str) -> usize {
    let mut chars = text.chars();
    let quote = chars.next().filter(|c| matches!(c, '"' | '\''));
    let end = match quote {
        Some(quote) => chars.as_str().find(quote).map(|at| at + 2),
        None if text.starts_with("{{") => text.find("}}").map(|at| at + 2),
        None => Some(plain(text)),
    };
    let end = end.unwrap_or(text.trim_end().len());
    text.get(..end).map_or(1, |it| it.chars().count()).max(1)
}

fn plain(text: &str) -> usize {
    let ends = |(at, c): (usize, char)| {
        let rest = &text[at + c.len_utf8()..];
        let key = c == ':' && rest.chars().next().is_none_or(char::is_whitespace);
        c.is_whitespace() || key || matches!(c, ',' | ']' | '}' | '{' | '[')
    };
    let end = text.char_indices().find(|it| ends(*it));
    end.map_or(text.len(), |it| it.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_key_a_scalar_or_a_template() {
        for (text, expected) in [
            ("dbb, other]", 3),
            ("local:a#b }", 9),
            ("key: value", 3),
            ("key:", 3),
            ("\"a b\", c", 5),
            ("'ä'", 3),
            ("\"open", 5),
            ("{{ db | x }}/y", 12),
            ("{ a: b }", 1),
            ("[a]", 1),
            ("", 1),
        ] {
            assert_eq!(width(text), expected, "{text}");
        }
    }
}
