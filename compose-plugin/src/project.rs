//! Which project a command is about, and what its compose files say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use locket_crds::api::Status;
use locket_crds::id::{ProjectName, ServiceName};
use locket_crds::item::Item;
use locket_crds::labels;
use locket_crds::reference::SecretRef;
use serde::Deserialize;

use crate::compose::{self, ComposeFlags, Files, Loaded, Profiles, Request, files};
use crate::context::Context;
use crate::error::{CommandError, Result};

/// `-p`, for commands that need nothing else of the compose files.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ProjectFlag {
    /// Project name, instead of the current folder's
    #[arg(short, long = "project-name", value_name = "NAME", global = true)]
    pub project: Option<String>,
}

impl ProjectFlag {
    /// As compose's own flags.
    pub fn compose(&self) -> ComposeFlags {
        ComposeFlags {
            project_name: self.project.clone(),
            ..ComposeFlags::default()
        }
    }
}

/// The project of a container that compose did not make, if one is named: no compose file belongs to it.
pub fn container(flags: &ComposeFlags) -> Option<ProjectName> {
    let name = ProjectName::from(flags.project_name.as_deref()?);
    labels::name_of(&name).is_some().then_some(name)
}

/// The files of the project that is meant; nothing where there is none.
///
/// # Errors
/// Files were named and are not there.
pub fn files(cx: &Context, flags: &ComposeFlags) -> Result<Option<Files>> {
    if container(flags).is_some() {
        return Ok(None);
    }
    match files::find(flags, &cx.env, &cx.dir) {
        Ok(found) => Ok(Some(found)),
        Err(e)
            if !flags.file.is_empty()
                || cx.env.get("COMPOSE_FILE").is_some_and(|f| !f.is_empty()) =>
        {
            Err(e)
        }
        Err(_) => Ok(None),
    }
}

/// The name of the project that is meant, in compose's order: `-p`, `COMPOSE_PROJECT_NAME`, what compose makes of the files.
///
/// # Errors
/// Files were named and are not there. That there is no project is none.
pub async fn name(cx: &Context, flags: &ComposeFlags) -> Result<Option<ProjectName>> {
    let said = flags
        .project_name
        .as_ref()
        .or_else(|| cx.env.get("COMPOSE_PROJECT_NAME"));
    if let Some(name) = said.filter(|name| !name.is_empty()) {
        return Ok(Some(name.as_str().into()));
    }
    let Some(files) = files(cx, flags)? else {
        return Ok(None);
    };
    Ok(Some(name_of(cx, flags, &files).await))
}

async fn name_of(cx: &Context, flags: &ComposeFlags, files: &Files) -> ProjectName {
    #[derive(Deserialize)]
    struct Model {
        name: String,
    }
    let (docker, mut args) = cx.docker().compose(flags, files);
    args.extend(["config", "--no-env-resolution", "--format", "json"].map(str::to_owned));
    let model = match docker.output(&args).await {
        Ok(output) if output.status.success() => {
            serde_json::from_slice::<Model>(&output.stdout).ok()
        }
        _ => None,
    };
    model
        .map_or_else(|| folder_name(&files.project_dir), |model| model.name)
        .into()
}

/// The same, and there must be one.
///
/// # Errors
/// There is none here.
pub async fn needed(cx: &Context, flags: &ComposeFlags) -> Result<ProjectName> {
    name(cx, flags).await?.ok_or_else(|| {
        CommandError::user("no compose project is here")
            .hint("name one with `-p NAME`, or run this in the project's folder")
    })
}

/// As compose names a project after its folder.
fn folder_name(dir: &Path) -> String {
    let name = dir
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let kept: String = name
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
        .collect();
    kept.trim_start_matches(['-', '_']).to_owned()
}

/// Reads the project of the current folder.
///
/// # Errors
/// There is none, or compose refuses it.
pub async fn load(cx: &Context, flags: &ComposeFlags) -> Result<Loaded> {
    let files = files::find(flags, &cx.env, &cx.dir)?;
    compose::load(
        &cx.docker(),
        &Request {
            flags,
            files: &files,
            profiles: Profiles::All,
        },
    )
    .await
}

/// Whoever names a project with `-p` means one that is there.
///
/// # Errors
/// One was named, and locket does not know it.
pub fn named(flags: &ComposeFlags, status: &Status) -> Result<()> {
    match &flags.project_name {
        Some(name) if status.projects.is_empty() => Err(CommandError::user(format!(
            "project {name} is not known to locket"
        ))
        .hint("`docker locket status --all` shows those that are")),
        _ => Ok(()),
    }
}

/// Where relative paths of the project begin; the current folder if there is no project.
pub fn base(cx: &Context, flags: &ComposeFlags) -> PathBuf {
    files(cx, flags)
        .ok()
        .flatten()
        .map_or_else(|| cx.dir.clone(), |files| files.project_dir)
}

/// Every reference that services use.
pub fn references(items: &BTreeMap<ServiceName, Vec<Item>>) -> BTreeSet<SecretRef> {
    let all = items.values().flatten();
    all.flat_map(|it| it.content.references())
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_was_typed_must_be_known() {
        let none = Status {
            version: locket_crds::api::VERSION,
            locket: String::new(),
            projects: Vec::new(),
        };
        let flags = |name: Option<&str>| ComposeFlags {
            project_name: name.map(str::to_owned),
            ..ComposeFlags::default()
        };
        let e = named(&flags(Some("shp")), &none).unwrap_err().to_string();
        assert!(e.contains("shp is not known"), "{e}");
        assert!(named(&flags(None), &none).is_ok());
    }

    #[test]
    fn a_folder_is_named_as_compose_names_it() {
        for (dir, name) in [
            ("/srv/My Shop", "myshop"),
            ("/a/_x-1", "x-1"),
            ("/a/b.c", "bc"),
            ("/", ""),
        ] {
            assert_eq!(folder_name(Path::new(dir)), name, "{dir}");
        }
    }
}
