//! Compose's interpolation, for when compose itself is not asked. See <https://docs.docker.com/reference/compose-file/interpolation/>.

use std::collections::BTreeSet;

/// The value of a variable, if it is set.
pub type Variables<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A text after interpolation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Interpolated {
    pub text: String,
    /// Variables that are not set and have no default; compose puts nothing in their place.
    pub unset: Vec<String>,
}

/// Most variables within each other.
const DEPTH: usize = 16;

/// Puts the values of variables in their places, and makes one dollar of two.
pub(super) fn interpolate(text: &str, variables: &Variables<'_>) -> Interpolated {
    let mut out = Interpolated::default();
    into(text, variables, DEPTH, &mut out);
    out
}

fn into(text: &str, variables: &Variables<'_>, depth: usize, out: &mut Interpolated) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.text += before;
        if let Some(after) = after.strip_prefix('$') {
            out.text.push('$');
            rest = after;
        } else if let Some((inner, after)) = after.strip_prefix('{').and_then(braced) {
            if depth > 0 {
                expression(inner, variables, depth - 1, out);
            }
            rest = after;
        } else {
            let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
            match &after[..end] {
                "" => out.text.push('$'),
                name => plain(name, variables, out),
            }
            rest = &after[end..];
        }
    }
    out.text += rest;
}

/// The variables that a text refers to, as `$NAME` or `${NAME…}`; `$$` is a dollar.
pub fn variables_of(text: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('$') {
        if let Some(after) = after.strip_prefix('$') {
            rest = after;
            continue;
        }
        rest = after;
        let inside = rest.strip_prefix('{').unwrap_or(rest);
        let end = inside.find(|c| !is_name(c)).unwrap_or(inside.len());
        let name = &inside[..end];
        if name.starts_with(|c: char| !c.is_ascii_digit()) {
            out.insert(name.to_owned());
        }
    }
    out
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// What stands before the brace that closes, and what stands behind it.
fn braced(text: &str) -> Option<(&str, &str)> {
    let mut open = 1_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' if text[..at].ends_with('$') => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
    }
    None
}

/// `NAME`, `NAME:-default`, `NAME-default`, `NAME:+other`, `NAME+other`, `NAME:?message`, `NAME?message`.
fn expression(inner: &str, variables: &Variables<'_>, depth: usize, out: &mut Interpolated) {
    let end = inner.find(|c| !is_name(c)).unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    let (strict, rest) = match rest.strip_prefix(':') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let value = variables(name);
    let there = value.as_ref().is_some_and(|it| !(strict && it.is_empty()));
    match rest.chars().next() {
        Some('-') if !there => into(&rest[1..], variables, depth, out),
        Some('+') if there => into(&rest[1..], variables, depth, out),
        Some('+') => {}
        _ => plain(name, variables, out),
    }
}

fn plain(name: &str, variables: &Variables<'_>, out: &mut Interpolated) {
    match variables(name) {
        Some(value) => out.text += &value,
        None => out.unset.push(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_seen_in_texts() {
        let all = variables_of("$A ${B:-$C} $$D ${E?x} $1 ${F");
        assert_eq!(
            all.into_iter().collect::<Vec<_>>(),
            ["A", "B", "C", "E", "F"]
        );
    }

    #[test]
    fn every_form_of_a_variable() {
        let variables = |name: &str| match name {
            "A" => Some("a".to_owned()),
            "E" => Some(String::new()),
            _ => None,
        };
        for (text, expected) in [
            ("$A/${A}b", "a/ab"),
            ("$$A $${A} $", "$A ${A} $"),
            ("${E:-x}${E-x}${N:-y}${N-z}", "xyz"),
            ("${A:+1}${E:+2}${E+3}${N+4}", "13"),
            ("${N:-${A:-q}}-${N:-${M-m}}", "a-m"),
            ("${A?no}${A:?no}", "aa"),
            ("${A", "${A"),
            ("$A.$E.é", "a..é"),
        ] {
            let it = interpolate(text, &variables);
            assert_eq!((it.text.as_str(), it.unset.len()), (expected, 0), "{text}");
        }
        assert_eq!(interpolate("${N}/$M", &variables).unset, ["N", "M"]);
        let deep = "${N:-".repeat(50) + &"}".repeat(50);
        assert_eq!(interpolate(&deep, &variables), Interpolated::default());
    }
}
