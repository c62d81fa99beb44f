//! Whether a request was signed by who it says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use hyper::HeaderMap;
use locket_crds::config::{Encoding, Piece, Signature, Timestamp};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::guard::Mac;

/// Fewer bytes can be guessed.
const SHORTEST: usize = 16;
/// Signatures that are looked at in one header: a sender that changes its secret signs with both.
const CANDIDATES: usize = 8;

/// Checks the requests of one sender.
pub struct Verifier {
    key: Zeroizing<Vec<u8>>,
    signature: Signature,
}

impl Verifier {
    /// `secret` is as it was read.
    ///
    /// # Errors
    /// When it makes no key; one clause.
    pub fn new(secret: &[u8], signature: Signature) -> Result<Self, String> {
        let key = match signature.encoded_secret {
            false => secret.to_vec(),
            true => {
                let text = secret.strip_prefix(b"whsec_").unwrap_or(secret);
                let decoded = STANDARD.decode(text);
                decoded.map_err(|_| "is not `whsec_` and base64".to_owned())?
            }
        };
        if key.len() < SHORTEST {
            return Err(format!("is shorter than {SHORTEST} bytes"));
        }
        let key = Zeroizing::new(key);
        Ok(Self { key, signature })
    }

    /// How long a signature is remembered: as long as it would be believed.
    pub fn keep(&self) -> std::time::Duration {
        self.signature.tolerance * 2
    }

    /// The signature, if it is one of this sender for just this request, and not too old. `now` in seconds since 1970.
    ///
    /// Compares in constant time.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], now: u64) -> Option<Mac> {
        let it = &self.signature;
        let header = text(headers, &it.header)?;
        let timestamp = match &it.timestamp {
            None => "",
            Some(Timestamp::Header(name)) => text(headers, name)?,
            Some(Timestamp::Part(prefix)) => values(header, prefix).next()?,
        };
        if it.timestamp.is_some()
            && timestamp.parse::<u64>().ok()?.abs_diff(now) > it.tolerance.as_secs()
        {
            return None;
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        for piece in &it.content {
            match piece {
                Piece::Text(text) => mac.update(text.as_bytes()),
                Piece::Timestamp => mac.update(timestamp.as_bytes()),
                Piece::Header(name) => mac.update(text(headers, name)?.as_bytes()),
                Piece::Body => mac.update(body),
            }
        }
        let claimed = candidates(header, &it.prefix, it.encoding).take(CANDIDATES);
        let right = claimed
            .filter(|it| mac.clone().verify_slice(it).is_ok())
            .count()
            > 0;
        right.then(|| mac.finalize().into_bytes().into())
    }
}

/// A header that is there once, as text.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let one = all.next()?;
    all.next().is_none().then(|| one.to_str().ok())?
}

/// What stands behind a prefix in a header, up to the next separator. The prefix itself may have one in it: `v1,`.
fn values<'a>(header: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    const SEPARATORS: [char; 3] = [',', ';', ' '];
    let begins = header.match_indices(SEPARATORS).map(|(at, _)| at + 1);
    std::iter::once(0).chain(begins).filter_map(move |at| {
        let value = header.get(at..)?.strip_prefix(prefix)?;
        value.split(SEPARATORS).next()
    })
}

/// What may be signatures in a header.
fn candidates<'a>(
    header: &'a str,
    prefix: &'a str,
    encoding: Encoding,
) -> impl Iterator<Item = Vec<u8>> + 'a {
    values(header, prefix).filter_map(move |written| {
        let bytes = match encoding {
            Encoding::Hex => hex::decode(written).ok()?,
            Encoding::Base64 => STANDARD.decode(written).ok()?,
        };
        (bytes.len() == 32).then_some(bytes)
    })
}

#[cfg(test)]
mod tests;
