//! Tokens: <https://openbao.org/docs/concepts/tokens/>, and AppRole <https://openbao.org/api-docs/auth/approle/>.

use std::time::Duration;

use locket_crds::spec::AuthSpec;
use locket_provider::{Error, ErrorKind, SecretValue};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// A token in use.
pub(super) struct Token {
    pub(super) value: SecretValue,
    /// Counts logins, so that a caller can say which token it was refused with.
    pub(super) login: u64,
    /// When to renew it: after two thirds of its life. `None`: it does not end, or cannot be renewed.
    pub(super) renew_at: Option<Instant>,
}

impl Token {
    /// The same one, to be renewed then.
    pub(super) fn until(&self, renew_at: Option<Instant>) -> Self {
        Self {
            value: SecretValue::new(self.value.expose().to_vec()),
            login: self.login,
            renew_at,
        }
    }
}

/// The body of an AppRole login.
#[derive(Serialize)]
pub(super) struct AppRoleLogin<'a> {
    pub(super) role_id: &'a str,
    pub(super) secret_id: &'a str,
}

/// The answer to a login or renewal.
#[derive(Deserialize)]
pub(super) struct LoggedIn {
    pub(super) auth: Lease,
}

/// A token's life.
#[derive(Deserialize)]
pub(super) struct Lease {
    pub(super) client_token: Zeroizing<String>,
    pub(super) lease_duration: u64,
    pub(super) renewable: bool,
}

/// The answer about the token that asks.
#[derive(Deserialize)]
pub(super) struct Looked {
    pub(super) data: SelfToken,
}

#[derive(Deserialize)]
pub(super) struct SelfToken {
    pub(super) ttl: u64,
    #[serde(default)]
    pub(super) renewable: bool,
}

/// Longest life that is believed, in seconds: ten years.
const LONGEST: u64 = 315_360_000;

/// Two thirds of `seconds` from now, for a token that can be renewed.
pub(super) fn renew_at(seconds: u64, renewable: bool) -> Option<Instant> {
    let life = Duration::from_secs(seconds.min(LONGEST));
    (renewable && seconds > 0).then(|| Instant::now() + life * 2 / 3)
}

/// Where to log in with an AppRole.
pub(super) fn login_path(mount: Option<&str>) -> String {
    format!(
        "auth/{}/login",
        mount.unwrap_or("approle").trim_matches('/')
    )
}

/// A credential file's text without the newline that editors put at its end.
pub(super) fn text(credential: &SecretValue) -> Result<Zeroizing<String>, Error> {
    let text = std::str::from_utf8(credential.expose())
        .map_err(|_| Error::new(ErrorKind::Unauthenticated, "the credential is not text"))?;
    let text = text
        .strip_suffix('\n')
        .map_or(text, |t| t.strip_suffix('\r').unwrap_or(t));
    match text.is_empty() {
        true => Err(Error::new(
            ErrorKind::Unauthenticated,
            "the credential is empty",
        )),
        false => Ok(Zeroizing::new(text.to_owned())),
    }
}

/// True if a new login could give a new token: an AppRole always, a token if its file was replaced.
pub(super) fn can_log_in_again(auth: &AuthSpec) -> bool {
    matches!(
        auth,
        AuthSpec::Approle { .. } | AuthSpec::Token(locket_crds::spec::Credential::File(_))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_without_end_is_no_panic() {
        assert!(renew_at(u64::MAX, true).is_some());
        assert!(renew_at(0, true).is_none() && renew_at(9, false).is_none());
    }
}
