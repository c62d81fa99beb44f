//! Lines.

use crate::error::{Fault, Reason};
use crate::filter::Bytes;
use crate::limits::FILE_LIMIT;

/// Spaces before every line but the first, which stands where the expression does. Empty lines stay empty.
pub(super) fn indent(input: &[u8], spaces: usize) -> Result<Bytes, Fault> {
    let starts = |at: usize| {
        let next = input.get(at + 1).copied();
        input[at] == b'\n' && !matches!(next, None | Some(b'\n' | b'\r'))
    };
    // Counted first: a file of line feeds would otherwise grow 65,535 times.
    let lines = (0..input.len()).filter(|at| starts(*at)).count();
    let len = input.len().saturating_add(lines.saturating_mul(spaces));
    if len > FILE_LIMIT {
        return Err(Fault::new(Reason::TooLarge, "indent gives more than 8 MiB"));
    }
    let mut out = Bytes::new(Vec::with_capacity(len));
    for (at, byte) in input.iter().enumerate() {
        out.push(*byte);
        if starts(at) {
            out.extend(std::iter::repeat_n(b' ', spaces));
        }
    }
    Ok(out)
}

/// A text file as POSIX has it: every line ends with one line feed, also the last; CR LF and a lone CR become one.
pub(super) fn lines(input: &[u8]) -> Bytes {
    let mut out = Bytes::new(Vec::with_capacity(input.len() + 1));
    let mut bytes = input.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b'\r' {
            bytes.next_if_eq(&b'\n');
        }
        out.push(if byte == b'\r' { b'\n' } else { byte });
    }
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    out
}
