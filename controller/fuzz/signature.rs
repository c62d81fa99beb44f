use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use locket_crds::config::Signature;
use sha2::Sha256;

use crate::listen::signature::Verifier;

const KEY: &[u8] = b"sixteen-bytes-or-more";
const AT: u64 = 1_700_000_000;

/// A signature's name, headers, an empty line, the body. A header's `SIG` stands for what a sender with the key would write
/// there, for the time `AT` and the id `id`.
fn verify(bytes: &[u8]) -> bool {
    let line = |bytes: &[u8]| bytes.iter().position(|b| *b == b'\n');
    let Some(end) = line(bytes) else { return false };
    let name = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let Some(signature) = Signature::named(&name) else {
        return false;
    };
    let mut rest = &bytes[end + 1..];
    let mut written = Vec::new();
    while let Some(end) = line(rest).filter(|end| *end > 0) {
        written.push(&rest[..end]);
        rest = &rest[end + 1..];
    }
    let body = rest.strip_prefix(b"\n").unwrap_or(rest);

    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).unwrap();
    match name.as_str() {
        "locket" => mac.update(format!("{AT}.").as_bytes()),
        "standard-webhooks" => mac.update(format!("id.{AT}.").as_bytes()),
        _ => {}
    }
    mac.update(body);
    let mac = mac.finalize().into_bytes();
    let right = match name.as_str() {
        "standard-webhooks" => STANDARD.encode(mac),
        _ => hex::encode(mac),
    };
    let mut headers = HeaderMap::new();
    let mut has_right = false;
    for header in written {
        let text = String::from_utf8_lossy(header);
        let Some((name, value)) = text.split_once(':') else {
            continue;
        };
        has_right |= value.contains("SIG");
        let value = value.trim_start().replace("SIG", &right);
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            headers.append(name, value);
        }
    }

    let by = |key: &[u8], body: &[u8], now| {
        let key = match signature.encoded_secret {
            true => STANDARD.encode(key).into_bytes(),
            false => key.to_vec(),
        };
        let verifier = Verifier::new(&key, signature.clone()).unwrap();
        verifier.verify(&headers, body, now)
    };
    let Some(mac_of_it) = by(KEY, body, AT) else {
        return false;
    };
    assert!(
        has_right,
        "{headers:?} was accepted, and nobody has signed it"
    );
    assert_eq!(by(KEY, body, AT), Some(mac_of_it));
    assert!(by(b"another-key-of-16-bytes", body, AT).is_none());
    assert!(by(KEY, &[body, b"x"].concat(), AT).is_none());
    if signature.timestamp.is_some() {
        let late = signature.tolerance.as_secs() + 1;
        assert!(by(KEY, body, AT + late).is_none());
        assert!(by(KEY, body, AT - late).is_none());
    }
    true
}

locket_fuzz::target!(signature, reach: 3, verify);
