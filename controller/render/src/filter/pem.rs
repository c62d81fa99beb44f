//! PEM as RFC 7468 has it, whatever a vault's web form made of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::Fault;
use crate::filter::Bytes;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Every block with lines of 64 characters, one line feed each; what stands outside of blocks is dropped.
///
/// Blocks may come in one line, with spaces or the two characters `\n` for line feeds, with CR LF, or indented.
pub(super) fn normalize(text: &str) -> Result<Bytes, Fault> {
    let mut out = Bytes::new(Vec::with_capacity(2 * text.len()));
    let mut rest = text;
    while let Some((_, block)) = rest.split_once(BEGIN) {
        let (label, body) = block.split_once(DASHES).ok_or_else(broken)?;
        let (body, after) = body.split_once(END).ok_or_else(broken)?;
        rest = after
            .strip_prefix(label)
            .and_then(|r| r.strip_prefix(DASHES))
            .ok_or_else(broken)?;
        let word = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ';
        if label.is_empty() || !label.bytes().all(word) {
            return Err(broken());
        }
        if body.contains(':') {
            return Err(Fault::failed(
                "the PEM block has headers (an encrypted key of the old kind, or PGP)",
            )
            .help("convert the key with `openssl pkcs8 -topk8`"));
        }
        write_block(&mut out, label, &base64_of(body)?);
    }
    if out.is_empty() {
        return Err(Fault::failed("the value has no PEM block"));
    }
    Ok(out)
}

/// The base64 text of a block without what separates its lines.
fn base64_of(body: &str) -> Result<Bytes, Fault> {
    let mut dense = Bytes::new(Vec::with_capacity(body.len()));
    // Base64 has no backslash, so these two characters can only stand for line ends.
    let pieces = body.split("\\r").flat_map(|piece| piece.split("\\n"));
    pieces.for_each(|piece| dense.extend(piece.bytes().filter(|b| !b.is_ascii_whitespace())));
    let mut der = Bytes::new(vec![0; base64::decoded_len_estimate(dense.len())]);
    match STANDARD.decode_slice(&dense, &mut der) {
        Ok(1..) => Ok(dense),
        _ => Err(broken()),
    }
}

fn write_block(out: &mut Bytes, label: &str, base64: &[u8]) {
    let mut line = |parts: &[&[u8]]| {
        parts.iter().for_each(|part| out.extend_from_slice(part));
        out.push(b'\n');
    };
    line(&[BEGIN.as_bytes(), label.as_bytes(), DASHES.as_bytes()]);
    base64.chunks(64).for_each(|chunk| line(&[chunk]));
    line(&[END.as_bytes(), label.as_bytes(), DASHES.as_bytes()]);
}

fn broken() -> Fault {
    Fault::failed("the value has a broken PEM block")
}
