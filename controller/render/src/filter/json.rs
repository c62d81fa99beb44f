//! JSON as text: nothing is turned into numbers or maps and back, so nothing is lost or reordered.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use zeroize::Zeroize as _;

use crate::error::Fault;
use crate::filter::{Bytes, utf8};

/// The document without the white space between its tokens; keys keep their order, numbers their digits.
pub(super) fn compact(input: &[u8]) -> Result<Bytes, Fault> {
    Ok(squeeze(document(utf8(input)?)?.get()))
}

/// What a path leads to: a string as its characters, everything else as compact JSON.
pub(super) fn path(input: &[u8], path: &str) -> Result<Bytes, Fault> {
    let steps = steps(path).ok_or_else(|| {
        Fault::failed("the path of jsonpath is not understood")
            .help("write it as `$.a.b[0]['c d']`")
    })?;
    let mut at = document(utf8(input)?)?;
    for (depth, step) in steps.iter().enumerate() {
        // The step comes from the template, so it may be named.
        let missing = || {
            Fault::failed(format!(
                "the value has nothing at step {} of the path, {}",
                depth + 1,
                step.show()
            ))
        };
        at = match step {
            Step::Member(name) => {
                let mut members: BTreeMap<String, &RawValue> =
                    serde_json::from_str(at.get()).map_err(|_| missing())?;
                let found = members.remove(*name);
                members.into_keys().for_each(|mut key| key.zeroize());
                found.ok_or_else(missing)?
            }
            Step::Index(index) => {
                let items: Vec<&RawValue> =
                    serde_json::from_str(at.get()).map_err(|_| missing())?;
                items.get(*index).copied().ok_or_else(missing)?
            }
        };
    }
    match at.get() {
        "null" => Ok(Bytes::default()),
        text if text.starts_with('"') => {
            let text: String = serde_json::from_str(text)
                .map_err(|_| Fault::failed("the value holds a broken string"))?;
            Ok(Bytes::new(text.into_bytes()))
        }
        text => Ok(squeeze(text)),
    }
}

fn document(text: &str) -> Result<&RawValue, Fault> {
    // The parser's own error is not passed on: it tells positions in the value.
    serde_json::from_str(text).map_err(|_| Fault::failed("the value is not JSON"))
}

/// Drops the white space between the tokens of valid JSON.
fn squeeze(text: &str) -> Bytes {
    let mut out = Bytes::new(Vec::with_capacity(text.len()));
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_string = byte == b'"';
        }
        out.push(byte);
    }
    out
}

#[derive(Debug, PartialEq)]
enum Step<'a> {
    Member(&'a str),
    Index(usize),
}

impl Step<'_> {
    fn show(&self) -> String {
        match self {
            Self::Member(name) => format!("`{name}`"),
            Self::Index(index) => format!("[{index}]"),
        }
    }
}

/// The steps of `$.a.b[0]['c']`: the part of RFC 9535 that leads to one value, without escapes in quoted names.
fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (name, after) = name.split_at(end);
            let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
            if name.is_empty() || !name.chars().all(plain) {
                return None;
            }
            steps.push(Step::Member(name));
            rest = after;
        } else {
            let inner = rest.strip_prefix('[')?;
            let quoted = ['\'', '"']
                .into_iter()
                .find(|quote| inner.starts_with(*quote));
            if let Some(quote) = quoted {
                let (name, after) = inner.get(1..)?.split_once(quote)?;
                steps.push(Step::Member(name));
                rest = after.strip_prefix(']')?;
            } else {
                let (digits, after) = inner.split_once(']')?;
                if !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return None;
                }
                steps.push(Step::Index(digits.parse().ok()?));
                rest = after;
            }
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_whole_or_not_at_all() {
        let member = Step::Member;
        let good = [
            ("$", vec![]),
            ("$.a.b-c", vec![member("a"), member("b-c")]),
            (
                "$[0]['c d'][\"e]\"].f",
                vec![Step::Index(0), member("c d"), member("e]"), member("f")],
            ),
        ];
        for (path, expected) in good {
            assert_eq!(steps(path), Some(expected), "{path}");
        }
        for bad in [
            "",
            "a",
            "$a",
            "$.",
            "$..a",
            "$.*",
            "$[",
            "$[]",
            "$[-1]",
            "$[+1]",
            "$[*]",
            "$['a'",
            "$['a]",
            "$.a b",
            "$[1",
            "$[99999999999999999999]",
        ] {
            assert_eq!(steps(bad), None, "{bad}");
        }
    }
}
