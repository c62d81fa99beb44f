//! Where a mount ends and the path of a secret begins, and which KV version it is.
//!
//! Asked of the server, as its own CLI does: <https://openbao.org/api-docs/system/internal-ui-mounts/>.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use locket_provider::{Error, ErrorKind};
use serde::Deserialize;

use super::api::{self, Api};

/// What serves a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    /// KV version 1.
    One,
    /// KV version 2.
    Two,
    /// We may not know.
    Unknown,
}

/// A secret's path, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Without slashes at its ends.
    pub(super) mount: String,
    pub(super) rest: String,
    pub(super) engine: Engine,
}

impl Place {
    /// The API path, with KV 2's infix.
    pub(super) fn path(&self, infix: Option<&str>) -> String {
        match infix {
            Some(infix) => format!("{}/{infix}/{}", self.mount, self.rest),
            None => format!("{}/{}", self.mount, self.rest),
        }
    }
}

/// Mounts as they were found. One mount never lies within another, so the first that fits is the one.
#[derive(Default)]
pub(super) struct Mounts(Mutex<BTreeMap<String, Engine>>);

#[derive(Deserialize)]
struct Mount {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    options: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
pub(super) struct Found {
    data: Mount,
}

impl Mounts {
    /// Takes a path apart, asking the server for a mount that is not known yet.
    pub(super) async fn find(&self, api: &Api, path: &str) -> Result<Place, Error> {
        if let Some(place) = self.known(path) {
            return Ok(place);
        }
        let invalid = |why: &str| Error::new(ErrorKind::Invalid, format!("{path} {why}"));
        let found = match api
            .get(&format!("sys/internal/ui/mounts/{path}"), &[], path)
            .await
        {
            Ok(body) => api::parse::<Found>(&body, path)?.data,
            Err(e) if matches!(e.kind, ErrorKind::Denied | ErrorKind::NotFound) => {
                let (mount, rest) = path
                    .split_once('/')
                    .ok_or_else(|| invalid("is no path: <mount>/<path> is"))?;
                return Ok(Place {
                    mount: mount.to_owned(),
                    rest: rest.to_owned(),
                    engine: Engine::Unknown,
                });
            }
            Err(e) => return Err(e),
        };
        let engine = match (
            found.kind.as_str(),
            found
                .options
                .as_ref()
                .and_then(|o| o.get("version"))
                .map(String::as_str),
        ) {
            ("kv" | "generic", Some("2")) => Engine::Two,
            ("kv" | "generic", _) => Engine::One,
            _ => return Err(invalid("is not in a KV engine")),
        };
        let mount = found.path.trim_matches('/').to_owned();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(mount, engine);
        self.known(path)
            .ok_or_else(|| invalid("names a mount and no secret in it"))
    }

    fn known(&self, path: &str) -> Option<Place> {
        let mounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mounts.iter().find_map(|(mount, engine)| {
            let rest = path.strip_prefix(mount.as_str())?.strip_prefix('/')?;
            Some(Place {
                mount: mount.clone(),
                rest: rest.to_owned(),
                engine: *engine,
            })
        })
    }

    /// The next look asks the server again.
    pub(super) fn forget(&self, place: &Place) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&place.mount);
    }
}
