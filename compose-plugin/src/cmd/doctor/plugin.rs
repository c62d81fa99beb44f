//! The docker CLI: compose, and `docker locket` itself.

use std::path::{Path, PathBuf};

use locket_crds::doctor::Finding;
use rustix::fs::{Access, access};
use serde::Deserialize;

use super::finding::{Findings, error, note, ok, warning};
use super::patient::Patient;
use crate::context::VERSION;
use crate::endpoint::config_dir;

/// Where the docker CLI looks for plugins after the user's own folder:
/// <https://github.com/docker/cli/blob/master/cli-plugins/manager/manager_unix.go>.
const FOLDERS: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];
/// The plugin's file.
const NAME: &str = "docker-locket";

/// The check `compose`.
pub async fn compose(it: &Patient<'_>) -> Findings {
    let said = it.cx.docker().require_compose().await;
    Ok(vec![match said {
        Ok(version) => ok(format!("Docker Compose {version} knows provider services")),
        Err(e) => error(
            e.one_line(),
            match e.hints.is_empty() {
                true => "update Docker Compose: the package `docker-compose-plugin`, or its file in ~/.docker/cli-plugins".to_owned(),
                false => e.hints.join("; "),
            },
        ),
    }])
}

/// A file of the plugin's name in one of the folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copy {
    pub path: PathBuf,
    pub is_executable: bool,
    /// The program that runs now.
    pub is_this: bool,
}

/// The check `plugin`.
pub async fn plugin(it: &Patient<'_>) -> Findings {
    let own = std::fs::canonicalize("/proc/self/exe").ok();
    let config = config_dir(&it.cx.globals, &it.cx.env);
    let folders = extra_folders(&config)
        .into_iter()
        .chain([config.join("cli-plugins")])
        .chain(FOLDERS.map(PathBuf::from));
    let copies: Vec<Copy> = folders
        .map(|folder| folder.join(NAME))
        // What a dangling link names is not there for the docker CLI, too.
        .filter(|path| path.exists())
        .map(|path| Copy {
            is_executable: access(&path, Access::EXEC_OK).is_ok(),
            is_this: own.is_some() && std::fs::canonicalize(&path).ok() == own,
            path,
        })
        .collect();
    let said = match copies.is_empty() {
        true => None,
        false => version(it).await,
    };
    Ok(vec![installed(&copies, said.as_deref(), &config)])
}

/// What `docker locket --version` says; nothing if docker cannot run it.
async fn version(it: &Patient<'_>) -> Option<String> {
    let output = it.cx.docker().output(["locket", "--version"]).await.ok()?;
    let text = output.text().ok().filter(|_| output.status.success())?;
    text.split_whitespace().last().map(str::to_owned)
}

/// `cliPluginsExtraDirs` of the docker CLI's configuration, which come first.
fn extra_folders(config: &Path) -> Vec<PathBuf> {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct Config {
        cli_plugins_extra_dirs: Vec<PathBuf>,
    }
    let text = std::fs::read(config.join("config.json")).unwrap_or_default();
    let config: Config = serde_json::from_slice(&text).unwrap_or_default();
    config.cli_plugins_extra_dirs
}

/// `copies` in the order in which the docker CLI looks; `said`: the version of the one that it runs.
pub(super) fn installed(copies: &[Copy], said: Option<&str>, config: &Path) -> Finding {
    let Some((first, others)) = copies.split_first() else {
        return error(
            "the docker CLI has no plugin `locket`, so `docker compose up` finds no gate",
            format!(
                "`make install`, or put this program as {NAME} into {}",
                config.join("cli-plugins").display()
            ),
        );
    };
    let path = first.path.display();
    let shadowed = others.iter().find(|it| it.is_this && !first.is_this);
    match said {
        _ if !first.is_executable => error(
            format!("{path} is not executable, so the docker CLI does not run it"),
            format!("`chmod +x {path}`"),
        ),
        None => error(
            format!("`docker locket --version` does not work, though {path} is there"),
            format!("run `{path} --version` to see why; `make install` puts it there anew"),
        ),
        Some(said) if said != VERSION => match shadowed {
            Some(it) => warning(
                format!(
                    "{path} is version {said} and hides this program ({VERSION}) in {}",
                    it.path.display()
                ),
                format!("`rm {path}`"),
            ),
            None => warning(
                format!("`docker locket` is version {said} ({path}), this program is {VERSION}"),
                "install one of them: `make install`",
            ),
        },
        Some(said) if others.iter().any(|it| !it.is_this) => note(
            format!(
                "`docker locket` is {path}, version {said}; there are more copies: {}",
                paths(others)
            ),
            "remove those that are not needed: the first one counts, and an update of another has no effect",
        ),
        Some(said) => ok(format!("`docker locket` is {path}, version {said}")),
    }
}

fn paths(all: &[Copy]) -> String {
    let all = all.iter().map(|it| it.path.display().to_string());
    all.collect::<Vec<_>>().join(", ")
}
