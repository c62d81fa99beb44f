//! One-time passwords, RFC 6238.

use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use crate::error::{Fault, Reason};
use crate::filter::Bytes;

/// What a code is made from.
struct Seed {
    secret: Bytes,
    algorithm: Algorithm,
    digits: u32,
    period: u64,
}

#[derive(Clone, Copy)]
enum Algorithm {
    Sha1,
    Sha256,
    Sha512,
}

/// The code of this moment, from a base32 secret (SHA-1, 6 digits, 30 s) or an `otpauth://totp/` URI,
/// <https://github.com/google/google-authenticator/wiki/Key-Uri-Format>.
pub(super) fn code(text: &str, now: Option<u64>) -> Result<Bytes, Fault> {
    let now = now.ok_or_else(|| {
        Fault::new(
            Reason::OneShotOnly,
            "totp changes all the time, so it works in one-shot commands only",
        )
        .help("let the service compute the code itself, or use `locket inject` or `locket exec`")
    })?;
    let seed = seed(text.trim()).ok_or_else(|| {
        Fault::failed("the value is neither a base32 secret nor an otpauth://totp/ URI")
    })?;
    let counter = (now / seed.period).to_be_bytes();
    let mac = match seed.algorithm {
        Algorithm::Sha1 => mac(Hmac::<Sha1>::new_from_slice(&seed.secret), &counter),
        Algorithm::Sha256 => mac(Hmac::<Sha256>::new_from_slice(&seed.secret), &counter),
        Algorithm::Sha512 => mac(Hmac::<Sha512>::new_from_slice(&seed.secret), &counter),
    };
    // RFC 4226, section 5.3: the last four bits say where the 31 bits of the code begin.
    let start = usize::from(mac.last().copied().unwrap_or(0) & 15);
    let bits = mac
        .iter()
        .skip(start)
        .take(4)
        .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
        & 0x7fff_ffff;
    let width = seed.digits as usize;
    Ok(Bytes::new(
        format!("{:0width$}", bits % 10_u32.pow(seed.digits)).into_bytes(),
    ))
}

fn mac<M: Mac>(keyed: Result<M, hmac::digest::InvalidLength>, counter: &[u8]) -> Bytes {
    // HMAC takes keys of any length, so there is always a code.
    Bytes::new(
        keyed
            .map(|mac| mac.chain_update(counter).finalize().into_bytes().to_vec())
            .unwrap_or_default(),
    )
}

fn seed(text: &str) -> Option<Seed> {
    let mut seed = Seed {
        secret: Bytes::default(),
        algorithm: Algorithm::Sha1,
        digits: 6,
        period: 30,
    };
    let Some(uri) = text.strip_prefix("otpauth://totp/") else {
        seed.secret = base32(text)?;
        return Some(seed);
    };
    let (_, query) = uri.split_once('?')?;
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match key {
            "secret" => seed.secret = base32(value)?,
            "algorithm" => {
                seed.algorithm = match value.to_ascii_uppercase().as_str() {
                    "SHA1" => Algorithm::Sha1,
                    "SHA256" => Algorithm::Sha256,
                    "SHA512" => Algorithm::Sha512,
                    _ => return None,
                }
            }
            "digits" => {
                seed.digits = value
                    .parse()
                    .ok()
                    .filter(|digits| (6..=8).contains(digits))?
            }
            "period" => {
                seed.period = value
                    .parse()
                    .ok()
                    .filter(|period| (1..=3600).contains(period))?
            }
            // Issuer and image are for people.
            _ => {}
        }
    }
    (!seed.secret.is_empty()).then_some(seed)
}

/// RFC 4648 base32 in either case; padding, spaces and dashes as people write them are skipped.
fn base32(text: &str) -> Option<Bytes> {
    let mut out = Bytes::new(Vec::with_capacity(text.len()));
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes().filter(|b| !matches!(b, b' ' | b'-' | b'=')) {
        let five = match byte.to_ascii_uppercase() {
            upper @ b'A'..=b'Z' => upper - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u32::from(five);
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    (!out.is_empty()).then_some(out)
}
