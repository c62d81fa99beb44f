//! Messages on a stream: a header with the length, then JSON.
//! <https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/#baseProtocol>

use std::io::{self, BufRead, Write};

use serde_json::Value;

/// Most bytes of a message; an editor sends whole files.
const MAX: usize = 32 << 20;

/// The next message; `None` at the end of the stream, and `null` for one that is no JSON: the stream goes on behind it.
///
/// # Errors
/// The stream breaks, or what comes has no length.
pub fn read(from: &mut impl BufRead) -> io::Result<Option<Value>> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut length = None;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return match length {
                None => Ok(None),
                Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else {
            return Err(wrong("a header without a colon"));
        };
        if name.eq_ignore_ascii_case("content-length") {
            let value = value.trim().parse().ok().filter(|n| *n <= MAX);
            length = Some(value.ok_or_else(|| wrong("a length that cannot be"))?);
        }
    }
    let mut body = vec![0; length.ok_or_else(|| wrong("a message without a length"))?];
    from.read_exact(&mut body)?;
    Ok(Some(serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

/// Sends a message.
///
/// # Errors
/// The stream breaks.
pub fn write(to: &mut impl Write, message: &Value) -> io::Result<()> {
    let body = message.to_string();
    write!(to, "Content-Length: {}\r\n\r\n{body}", body.len())?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_broken_is_told() {
        let mut bytes = Vec::new();
        for message in [json!({"ä": 1}), json!([])] {
            write(&mut bytes, &message).unwrap();
        }
        let mut from = bytes.as_slice();
        assert_eq!(read(&mut from).unwrap(), Some(json!({"ä": 1})));
        assert_eq!(read(&mut from).unwrap(), Some(json!([])));
        assert_eq!(read(&mut from).unwrap(), None);
        let lower = b"content-type: x\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(read(&mut lower.as_slice()).unwrap(), Some(json!({})));
        let no_json = b"Content-Length: 2\r\n\r\n{]";
        assert_eq!(read(&mut no_json.as_slice()).unwrap(), Some(Value::Null));
        for broken in [
            "Content-Length: 3\r\n\r\n{}",
            "Content-Length: 99999999999\r\n\r\n",
            "Content-Length: -1\r\n\r\n",
            "Content-Length: 2\r\n",
            "\r\n{}",
            "{}\n",
        ] {
            assert!(read(&mut broken.as_bytes()).is_err(), "{broken:?}");
        }
    }
}
