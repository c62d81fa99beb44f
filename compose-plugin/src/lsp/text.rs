//! Places in a text, as editors count them: lines from 0, and UTF-16 code units.
//! <https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/#position>

use locket_crds::diag::Place;
use serde_json::{Value, json};

/// A line of a text, without its end; empty beyond the last one.
pub fn line(text: &str, number: usize) -> &str {
    let line = text.split('\n').nth(number).unwrap_or_default();
    line.strip_suffix('\r').unwrap_or(line)
}

/// The byte of a line that this many code units lie before; its end, if it is shorter.
pub fn byte(line: &str, units: usize) -> usize {
    let mut left = units;
    for (at, c) in line.char_indices() {
        if left == 0 {
            return at;
        }
        left = left.saturating_sub(c.len_utf16());
    }
    line.len()
}

/// The code units before a byte of a line.
pub fn units(line: &str, byte: usize) -> usize {
    line[..byte].encode_utf16().count()
}

/// Some characters of a text; where only the file is known, its first line.
pub fn range(text: &str, place: &Place) -> Value {
    let number = (place.origin.line as usize).saturating_sub(1);
    let line = line(text, number);
    let at = |column: usize| {
        let byte = line.char_indices().nth(column).map_or(line.len(), |c| c.0);
        units(line, byte)
    };
    let first = (place.origin.column as usize).saturating_sub(1);
    let (start, end) = match place.origin.column {
        0 => (0, at(usize::MAX)),
        _ => (at(first), at(first + (place.width as usize).max(1))),
    };
    json!({
        "start": { "line": number, "character": start },
        "end": { "line": number, "character": end },
    })
}

/// The word around a byte of a line: a name, a reference, a path. Bytes of the line.
pub fn word(line: &str, byte: usize) -> std::ops::Range<usize> {
    let part = |c: char| c.is_alphanumeric() || "_.-/:#?=".contains(c);
    let start = line[..byte]
        .char_indices()
        .rev()
        .take_while(|(_, c)| part(*c))
        .last()
        .map_or(byte, |(at, _)| at);
    let end = byte + line[byte..].find(|c| !part(c)).unwrap_or(line.len() - byte);
    // The colon of a key is none of its.
    let word = line[start..end].trim_end_matches(':');
    start..start + word.len()
}

#[cfg(test)]
mod tests {
    use locket_crds::spec::Origin;

    use super::*;

    #[test]
    fn places_are_counted_as_editors_do() {
        let text = "a\r\nä😀b: x\n";
        assert_eq!(
            (line(text, 0), line(text, 1), line(text, 7)),
            ("a", "ä😀b: x", "")
        );
        let it = line(text, 1);
        assert_eq!((byte(it, 1), byte(it, 3), byte(it, 99)), (2, 6, it.len()));
        assert_eq!(units(it, 6), 3);
        let place = |line, column, width| Place {
            origin: Origin {
                file: "f".into(),
                line,
                column,
            },
            width,
        };
        let of = |line, column, width| {
            let it = range(text, &place(line, column, width));
            (
                it["start"]["character"].clone(),
                it["end"]["character"].clone(),
            )
        };
        assert_eq!(of(2, 3, 1), (3.into(), 4.into()));
        assert_eq!(of(2, 6, 0), (6.into(), 7.into()));
        assert_eq!(of(2, 0, 0), (0.into(), 7.into()));
        assert_eq!(of(0, 0, 0), (0.into(), 1.into()));
    }

    #[test]
    fn words() {
        let at = |line: &str, byte: usize| line[word(line, byte)].to_owned();
        assert_eq!(at("  KEY: db-password # x", 8), "db-password");
        assert_eq!(at("  KEY: db-password # x", 3), "KEY");
        assert_eq!(at("[a, op:x/y#z]", 6), "op:x/y#z");
        assert_eq!(at("{{ db | trim }}", 4), "db");
        assert_eq!(at("a  b", 2), "");
    }
}
