//! Values as literals of other languages. Each gives the quotes too.

use crate::error::Fault;
use crate::filter::Bytes;

/// A JSON string, RFC 8259.
pub(super) fn json_string(text: &str) -> Bytes {
    escaped(text, |_| false)
}

/// A YAML double-quoted scalar in one line: a JSON string in which everything that YAML 1.1 or 1.2 treats specially is escaped too,
/// that is controls, line separators and what is not `c-printable`, <https://yaml.org/spec/1.2.2/#51-character-set>.
pub(super) fn yaml_string(text: &str) -> Bytes {
    escaped(text, |c| {
        matches!(
            c,
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
    })
}

/// The escapes that JSON and YAML share; `also` names more characters, of the basic plane, to escape.
fn escaped(text: &str, also: impl Fn(char) -> bool) -> Bytes {
    let mut out = literal(text, 6);
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if c < ' ' || also(c) => {
                out.extend_from_slice(b"\\u");
                let code = u32::from(c);
                out.extend([12, 8, 4, 0].map(|shift| digit(code >> shift, b'a')));
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
    out
}

/// RFC 3986: everything but unreserved characters as `%XX`.
pub(super) fn urlencode(input: &[u8]) -> Bytes {
    let mut out = Bytes::new(Vec::with_capacity(3 * input.len()));
    for byte in input {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(*byte),
            _ => out.extend([
                b'%',
                digit(u32::from(*byte >> 4), b'A'),
                digit(u32::from(*byte), b'A'),
            ]),
        }
    }
    out
}

/// One word of a POSIX shell, <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_02>.
pub(super) fn shell(input: &[u8]) -> Result<Bytes, Fault> {
    no_nul(input, "a shell word")?;
    let mut out = Bytes::new(Vec::with_capacity(4 * input.len() + 2));
    out.push(b'\'');
    for byte in input {
        match byte {
            b'\'' => out.extend_from_slice(b"'\\''"),
            _ => out.push(*byte),
        }
    }
    out.push(b'\'');
    Ok(out)
}

/// A string literal of standard SQL.
///
/// A backslash is an escape in MySQL, and in PostgreSQL if the server is set up so: plain doubling of quotes would let such a value end the literal.
/// So a text with one becomes PostgreSQL's `E'…'`, <https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-STRINGS-ESCAPE>,
/// which means the same under every setting there, and is a syntax error elsewhere rather than another value.
pub(super) fn sql(text: &str) -> Result<Bytes, Fault> {
    no_nul(text.as_bytes(), "a SQL literal")?;
    let mut out = literal(text, 2);
    if text.contains('\\') {
        out.push(b'E');
    }
    out.push(b'\'');
    for byte in text.bytes() {
        if matches!(byte, b'\'' | b'\\') {
            out.push(byte);
        }
        out.push(byte);
    }
    out.push(b'\'');
    Ok(out)
}

/// A value of a `.env` file as Compose reads it: between single quotes, where nothing is special, if the text has no single quote and no
/// backslash; else between double quotes, with escapes.
pub(super) fn dotenv(text: &str) -> Result<Bytes, Fault> {
    no_nul(text.as_bytes(), "a .env file")?;
    let mut out = literal(text, 2);
    let plain = !text.contains(['\'', '\\', '\r']);
    let quote = if plain { b'\'' } else { b'"' };
    out.push(quote);
    for byte in text.bytes() {
        match byte {
            _ if plain => out.push(byte),
            b'"' | b'\\' | b'$' => out.extend([b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => out.push(byte),
        }
    }
    out.push(quote);
    Ok(out)
}

/// Room for a literal whose characters take at most `most` bytes for each of theirs: growing would leave copies behind.
fn literal(text: &str, most: usize) -> Bytes {
    Bytes::new(Vec::with_capacity(most * text.len() + 3))
}

fn no_nul(input: &[u8], place: &str) -> Result<(), Fault> {
    if input.contains(&0) {
        return Err(
            Fault::failed(format!("the value has a NUL, which {place} cannot hold"))
                .help("encode it first, for example with `base64`"),
        );
    }
    Ok(())
}

/// The hex digit of the lowest four bits; `ten` is the digit for ten.
fn digit(nibble: u32, ten: u8) -> u8 {
    let nibble = (nibble & 15) as u8;
    if nibble < 10 {
        b'0' + nibble
    } else {
        ten + nibble - 10
    }
}
