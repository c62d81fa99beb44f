//! What is said over the exec stream: frames of a `u32` length (little endian) and a payload of a tag and fields.
//!
//! The client asks, the session answers in order, one answer to each question. The first question is [`Request::Hello`].

mod request;
mod response;

use std::io;

use zeroize::Zeroizing;

pub use crate::wire::Malformed;
pub use request::Request;
pub use response::{Key, Refusal, RefusalKind, Response, Verdict};

/// The version of this protocol.
pub const VERSION: u16 = 1;

/// Bytes of the largest payload.
pub const LIMIT: usize = 80 << 20;

/// Puts the length in front of a payload.
pub fn frame(payload: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(4 + payload.len()));
    // A length that does not fit is beyond the limit of whoever reads it.
    out.extend_from_slice(
        &u32::try_from(payload.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    out.extend_from_slice(payload);
    out
}

/// Reads the length in front of a payload, bytes.
///
/// # Errors
/// `InvalidData` beyond [`LIMIT`].
pub fn frame_length(prefix: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(prefix) as usize;
    if length > LIMIT {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a message is larger than 80 MiB",
        ));
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
