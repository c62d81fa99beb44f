//! Password hashes whose salt is derived, so that rendering twice gives equal bytes.

use bcrypt::Version;

use crate::error::{Fault, Reason};
use crate::filter::{Bytes, Context};
use crate::limits::{BCRYPT_COST, BCRYPT_LIMIT};

/// A `$2b$` hash.
pub(super) fn bcrypt(input: &[u8], context: &mut Context<'_>) -> Result<Bytes, Fault> {
    hash(input, Version::TwoB, "", context)
}

/// A line of Apache's htpasswd without its line feed; Apache and nginx know bcrypt as `$2y$`.
pub(super) fn htpasswd(
    input: &[u8],
    user: &str,
    context: &mut Context<'_>,
) -> Result<Bytes, Fault> {
    if user.is_empty() || user.contains(|c: char| c == ':' || c.is_control()) {
        return Err(Fault::failed(
            "the user of htpasswd is empty, or has a colon or a control character",
        ));
    }
    let hash = hash(input, Version::TwoY, user, context)?;
    let mut line = Bytes::new(Vec::with_capacity(user.len() + 1 + hash.len()));
    line.extend_from_slice(user.as_bytes());
    line.push(b':');
    line.extend_from_slice(&hash);
    Ok(line)
}

fn hash(
    input: &[u8],
    version: Version,
    user: &str,
    context: &mut Context<'_>,
) -> Result<Bytes, Fault> {
    // bcrypt itself would cut both off without a word.
    if input.len() > 72 || input.contains(&0) {
        return Err(Fault::failed("bcrypt takes at most 72 bytes and no NUL")
            .help("use a shorter password"));
    }
    context.work.bcrypts += 1;
    if context.work.bcrypts > BCRYPT_LIMIT {
        let message =
            format!("the service has more than {BCRYPT_LIMIT} uses of bcrypt and htpasswd");
        return Err(Fault::new(Reason::TooMuchWork, message)
            .help("split it, or store the hash in the vault"));
    }
    let mac = context.key.mac(
        "bcrypt salt",
        &[context.target.as_bytes(), user.as_bytes(), input],
    );
    let mut salt = [0; 16];
    salt.copy_from_slice(&mac[..16]);
    let parts = bcrypt::hash_with_salt(input, BCRYPT_COST, salt)
        .map_err(|_| Fault::failed("bcrypt refused the value"))?;
    Ok(Bytes::new(parts.format_for_version(version).into_bytes()))
}
