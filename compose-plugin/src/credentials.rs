//! Credential files that the host configuration names, copied beside the store: a controller in a container sees no
//! others.

use std::collections::BTreeSet;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use locket_crds::spec::{AuthSpec, Credential, SourceSpec};
use locket_provider::{Error, SecretValue};
use locket_providers::local::LocalClient;
use locket_providers::{ReadCredential, Surroundings};

use crate::error::{CommandError, Result};

/// Bytes of a credential file, at most.
const LARGEST: u64 = 1 << 20;

/// Reads credentials of the process's own surroundings, else those that were copied beside the store.
///
/// The file itself comes first: where it can be seen at all, it is newer than its copy.
pub struct Beside {
    here: Surroundings,
    store: LocalClient,
}

impl Beside {
    /// Both places.
    pub fn new(here: Surroundings, store: LocalClient) -> Self {
        Self { here, store }
    }
}

impl ReadCredential for Beside {
    fn read<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<SecretValue, Error>> {
        async move {
            let missing = match (self.here.read(credential).await, credential) {
                (Err(e), Credential::File(_)) => e,
                (answer, _) => return answer,
            };
            let Credential::File(path) = credential else { return Err(missing) };
            match self.store.read_file(&name_of(path)).await? {
                Some(copy) => Ok(copy),
                None => Err(missing.help("`docker locket controller install` and `docker locket trust` take credential files along")),
            }
        }
        .boxed()
    }
}

/// The files that sources log in with, or know their server by.
pub fn files<'a>(sources: impl IntoIterator<Item = &'a SourceSpec>) -> BTreeSet<&'a str> {
    let of = |source: &'a SourceSpec| {
        let credential = source.auth.as_ref().map(|auth| match auth {
            AuthSpec::Token(it) | AuthSpec::Approle { secret_id: it, .. } => it,
        });
        let file = credential.and_then(|it| match it {
            Credential::File(path) => Some(path.as_str()),
            Credential::Env(_) => None,
        });
        file.into_iter().chain(source.ca.as_deref())
    };
    sources.into_iter().flat_map(of).collect()
}

/// Copies files beside the store. Answers those that are not here.
///
/// # Errors
/// The store refuses.
pub async fn copy<'a>(
    store: &LocalClient,
    files: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for path in files {
        match read(path) {
            Ok(bytes) => {
                let written = store
                    .write_file(&name_of(path), &SecretValue::new(bytes))
                    .await;
                written.map_err(|e| {
                    CommandError::user(format!("{path} cannot be copied to the engine")).because(e)
                })?;
            }
            Err(_) => missing.push(path.to_owned()),
        }
    }
    Ok(missing)
}

/// A file as far as it can be a credential: whatever a compose file names, this ends.
fn read(path: &str) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let invalid = |why| std::io::Error::new(std::io::ErrorKind::InvalidData, why);
    if !std::fs::metadata(path)?.is_file() {
        return Err(invalid("it is no file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LARGEST {
        true => Err(invalid("it is too large for a credential")),
        false => Ok(bytes),
    }
}

/// The name of a copy: the path, with everything that may not stand in a name spelled out. No two paths have one name.
fn name_of(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 8);
    for byte in path.trim_start_matches('/').bytes() {
        match byte {
            b'/' => out.push_str("__"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' => out.push(char::from(byte)),
            other => out.push_str(&format!("_{other:02x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_a_name_of_its_own() {
        assert_eq!(name_of("/etc/locket/secret_id"), "etc__locket__secret_5fid");
        let all = ["/a/b", "/a_b", "/a__b", "/a_2fb", "/a b", "/a.b", "/ä"];
        let names: BTreeSet<String> = all.iter().map(|p| name_of(p)).collect();
        assert_eq!(names.len(), all.len(), "{names:?}");
    }

    #[test]
    fn what_has_no_end_or_is_no_file_is_not_copied() {
        for path in ["/dev/zero", "/dev/stdin", "/proc", "/nowhere"] {
            assert!(read(path).is_err(), "{path}");
        }
        assert!(read("/proc/self/comm").is_ok());
    }

    #[test]
    fn files_are_those_of_logins_and_authorities() {
        let mut a = SourceSpec::of_kind("openbao");
        a.auth = Some(AuthSpec::Token(Credential::File("/t".into())));
        a.ca = Some("/ca".into());
        let mut b = SourceSpec::of_kind("openbao");
        b.auth = Some(AuthSpec::Token(Credential::Env("T".into())));
        assert_eq!(files([&a, &b]), ["/ca", "/t"].into());
    }
}
