//! The way to the engine: the socket's rights, and what docker contexts say.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use locket_crds::doctor::Finding;
use locket_engine::Endpoint;
use rustix::fs::{Access, access};

use super::finding::{Findings, error, note, ok, warning};
use super::patient::Patient;
use crate::endpoint;

/// What a socket's file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Socket {
    pub is_socket: bool,
    /// This user may read and write it.
    pub is_usable: bool,
    /// Permission bits.
    pub mode: u32,
    /// Name of its group, or the number.
    pub group: String,
}

/// The check `socket`.
pub async fn socket(it: &Patient<'_>) -> Findings {
    let path = match it.cx.endpoint()? {
        Endpoint::Unix(path) => path,
        _ => {
            return Ok(vec![ok(
                "the engine is reached through the docker CLI, not over a socket of this machine",
            )]);
        }
    };
    let look = |meta: &Metadata| Socket {
        is_socket: meta.file_type().is_socket(),
        is_usable: access(&path, Access::READ_OK | Access::WRITE_OK).is_ok(),
        mode: meta.mode() & 0o777,
        group: group(meta.gid()),
    };
    // Of a folder that may not be entered no file can be seen.
    let found = std::fs::metadata(&path).map(|meta| look(&meta));
    Ok(vec![rights(&path, found.map_err(|e| e.kind()))])
}

pub(super) fn rights(path: &Path, found: Result<Socket, std::io::ErrorKind>) -> Finding {
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    let named = path.display();
    match found {
        Err(PermissionDenied) => error(
            format!("this user may not see {named}"),
            "it belongs to another user's engine: name your own with `docker context use NAME` or DOCKER_HOST",
        ),
        Err(NotFound) => error(
            format!("there is no socket {named}"),
            "start the engine (`systemctl start docker`), or name another one: `docker context use NAME`, `--context`, DOCKER_HOST",
        ),
        Err(e) => error(
            format!("{named} cannot be looked at: {e}"),
            "see what is in its place",
        ),
        Ok(it) if !it.is_socket => error(
            format!("{named} is no socket"),
            "see what is in its place: a container that mounted it before the engine ran may have made a folder",
        ),
        Ok(it) if !it.is_usable => error(
            format!("this user may not use {named}, which belongs to group {}", it.group),
            match it.group.as_str() {
                // Whoever is in that group can do far more than use the engine.
                "root" => "`\"group\": \"docker\"` in the engine's daemon.json, `sudo usermod -aG docker $USER` and a new login; or rootless Docker".to_owned(),
                group => format!("`sudo usermod -aG {group} $USER` and a new login, or rootless Docker"),
            },
        ),
        Ok(it) if it.mode & 0o006 != 0 => warning(
            format!(
                "everybody on this machine may use {named}, and so be root on the engine's machine"
            ),
            format!("`chmod o= {named}`"),
        ),
        Ok(it) => ok(format!(
            "this user may use {named} (group {}, mode {:04o})",
            it.group, it.mode
        )),
    }
}

/// A group's name, from /etc/group; its number where it has none there.
fn group(gid: u32) -> String {
    let text = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let named = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        (fields.nth(1)? == gid.to_string()).then_some(name)
    };
    text.lines()
        .find_map(named)
        .unwrap_or_else(|| gid.to_string())
}

/// The check `context`.
pub async fn context(it: &Patient<'_>) -> Findings {
    let other = endpoint::overridden(&it.cx.globals, &it.cx.env);
    let host = it.cx.env.get("DOCKER_HOST").map_or("", String::as_str);
    Ok(vec![agree(host, other)])
}

pub(super) fn agree(host: &str, other: Option<(String, String)>) -> Finding {
    match other {
        None => ok("flags, environment and docker contexts mean one engine"),
        Some((name, there)) => note(
            format!("DOCKER_HOST={host} counts, the current context `{name}` ({there}) does not"),
            "`unset DOCKER_HOST`, or `docker context use default`, so that shells without it do not speak to another engine",
        ),
    }
}
