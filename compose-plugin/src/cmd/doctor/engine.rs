//! The engine: whether it answers, whether our program runs there, and what of its settings makes a difference.

use std::path::Path;

use locket_crds::doctor::Finding;
use locket_engine::EngineInfo;

use super::finding::{Findings, Unseen, error, note, ok, warning};
use super::patient::Patient;

/// Where an engine looks for its init program, and where packages put it.
const INIT_FOLDERS: [&str; 7] = [
    "/usr/local/libexec/docker",
    "/usr/libexec/docker",
    "/usr/local/lib/docker",
    "/usr/lib/docker",
    "/usr/local/bin",
    "/usr/bin",
    "/usr/sbin",
];

/// The check `engine`. A version that is too old is refused where the engine is connected to.
pub async fn reach(it: &Patient<'_>) -> Findings {
    let place = match it.cx.endpoint() {
        Ok(endpoint) => format!("{endpoint:?}"),
        Err(e) => return Ok(vec![error(e.one_line(), e.hints.join("; "))]),
    };
    Ok(vec![match it.reach().await {
        Ok(engine) => ok(format!(
            "Docker Engine {} answers at {place} (API {})",
            engine.version.version, engine.version.api_version
        )),
        Err(e) => error(&e.message, &e.cure),
    }])
}

/// The check `platform`.
pub async fn platform(it: &Patient<'_>) -> Findings {
    let engine = it.engine().await?;
    let there = (engine.version.os.as_str(), engine.version.arch.as_str());
    Ok(vec![runs_on(there, engine.host.binary.arch())])
}

pub(super) fn runs_on((os, arch): (&str, &str), ours: &str) -> Finding {
    match (os, arch) {
        ("linux", arch) if arch == ours => {
            ok(format!("the engine is {os}/{arch}, as this program"))
        }
        ("linux", _) => error(
            format!("the engine is {os}/{arch}, this program is linux/{ours}"),
            format!(
                "give the program for {os}/{arch}: `--image FILE`, or the variable LOCKET_IMAGE"
            ),
        ),
        _ => error(
            format!("the engine runs {os} containers"),
            "switch it to Linux containers",
        ),
    }
}

/// The check `isolation`.
pub async fn isolation(it: &Patient<'_>) -> Findings {
    Ok(isolated(&it.engine().await?.info))
}

pub(super) fn isolated(info: &EngineInfo) -> Vec<Finding> {
    const LOOPBACK: &str = "give a backend on this machine an address that the engine's machine reaches, not `localhost`";
    let mut out = Vec::new();
    if info.operating_system.starts_with("Docker Desktop") {
        out.push(note(
            "the engine is Docker Desktop's: it runs in a virtual machine, and so does a controller in a container",
            LOOPBACK,
        ));
    }
    if info.rootless {
        out.push(note(
            "the engine is rootless: a controller in a container has the engine's network, not this machine's",
            LOOPBACK,
        ));
    }
    if info.remaps_users {
        out.push(note(
            "users are remapped (`userns-remap`): `uid` and `gid` of a secret are those inside of the container",
            "nothing, as long as no program outside of containers is to read them",
        ));
    }
    if out.is_empty() {
        out.push(ok("the engine runs as root on a machine of its own users"));
    }
    out
}

/// The check `settings`.
pub async fn settings(it: &Patient<'_>) -> Findings {
    Ok(vec![set(&it.engine().await?.info)])
}

pub(super) fn set(info: &EngineInfo) -> Finding {
    let restore = if info.live_restore { "on" } else { "off" };
    let found = format!(
        "storage {}, log driver {}, live-restore {restore}",
        info.storage_driver, info.log_driver
    );
    match info.log_driver.as_str() {
        "none" => note(
            format!("{found}: what the shim says of a container that waits is lost"),
            "`\"log-driver\": \"local\"` in the engine's daemon.json",
        ),
        _ => ok(found),
    }
}

/// The check `init`.
pub async fn init(it: &Patient<'_>) -> Findings {
    let engine = it.engine().await?;
    let program = engine.info.init_program.as_str();
    let is_seen = engine.is_here
        && match Path::new(program).is_absolute() {
            true => Path::new(program).exists(),
            false => INIT_FOLDERS
                .iter()
                .any(|dir| Path::new(dir).join(program).exists()),
        };
    has_init(&engine.info, is_seen).map(|it| vec![it])
}

pub(super) fn has_init(info: &EngineInfo, is_seen: bool) -> Result<Finding, Unseen> {
    let program = &info.init_program;
    match program.is_empty() {
        false if info.init_answers || is_seen => Ok(ok(format!("the engine's init is {program}"))),
        true => Ok(warning(
            "the engine names no program for `init: true`, so containers with secrets may not start",
            "install `docker-init`, which comes with Docker Engine, or set `init-path` in the engine's daemon.json",
        )),
        false => Err(Unseen::from_here(
            format!("the engine's init is {program}; whether it is there cannot be seen from here"),
            "`docker run --rm --init IMAGE true` works if it is; else install `docker-init`, or set `init-path` in the engine's daemon.json",
        )),
    }
}
