//! What is added to each service.

use std::collections::BTreeMap;

use locket_crds::spec::{ProjectSpec, ServiceSpec, Via};

use super::images::ImageCheck;
use super::sufficient::needs_volume;
use super::{INIT, scalar};
use crate::compose::{Raw, RawService};

/// What is added to a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Additions {
    /// By service.
    pub services: BTreeMap<String, Service>,
    /// A gate of this name.
    pub gate: Option<String>,
    /// Services that shall depend on this gate and cannot say so in the user's own file.
    pub depends_on: BTreeMap<String, String>,
}

/// What is added to one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Where its volume is mounted.
    pub path: String,
    /// `LOCKET_SHIM`, where it differs from the shim's defaults.
    pub shim: Option<String>,
    /// Its healthcheck, with the shim's environment.
    pub check: Option<Check>,
    /// `locket.spec`, where no gate hands over what it asks for.
    pub label: Option<String>,
}

/// A wrapped healthcheck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// `healthcheck.test`, as compose reads it: with compose's own dollars.
    pub test: Vec<String>,
    /// The image that it comes from, and the image's id; `None`: from the compose file.
    pub image: Option<(String, String)>,
}

/// What the services need. `images` are healthchecks of images that are at hand.
pub fn additions(
    spec: &ProjectSpec,
    raw: &Raw,
    images: &BTreeMap<String, ImageCheck>,
) -> Additions {
    let mut out = Additions::default();
    for (name, asked) in spec
        .services
        .iter()
        .filter(|(_, asked)| needs_volume(asked))
    {
        let model = spec.model.get(name);
        let written = raw.services.get(name.as_str()).cloned().unwrap_or_default();
        // A service into which we were written by hand or with `--inline` says `init: true` on our behalf.
        let ours = model.is_some_and(|m| m.mounts.contains_key(INIT));
        let reap = if ours {
            written
                .shim
                .as_deref()
                .is_some_and(|s| s.split(';').any(|w| w == "init=reap"))
        } else {
            model.is_some_and(|m| m.init)
        };
        let it = Service {
            path: asked.path.clone(),
            shim: shim(asked, reap),
            check: uses_env(asked)
                .then(|| check(&written, images.get(name.as_str())))
                .flatten(),
            label: None,
        };
        out.services.insert(name.to_string(), it);
    }
    out
}

/// Whether the shim sets variables for it.
pub(super) fn uses_env(service: &ServiceSpec) -> bool {
    service.env.values().any(|e| e.via == Via::Shim)
}

pub(super) fn shim(service: &ServiceSpec, reap: bool) -> Option<String> {
    let path = (service.path != ServiceSpec::PATH).then(|| format!("path={}", service.path));
    let words: Vec<String> = path
        .into_iter()
        .chain(reap.then(|| "init=reap".to_owned()))
        .collect();
    (!words.is_empty()).then(|| words.join(";"))
}

fn check(written: &RawService, image: Option<&ImageCheck>) -> Option<Check> {
    if written.unchecked {
        return None;
    }
    if !written.test.is_empty() {
        return wrapped(&written.test).map(|test| Check { test, image: None });
    }
    let image = image?;
    let test: Vec<String> = image
        .test
        .iter()
        .map(|word| scalar::escaped(word))
        .collect();
    Some(Check {
        test: wrapped(&test)?,
        image: Some((image.name.clone(), image.id.clone())),
    })
}

/// The same check, run by the shim, which sets the variables first.
fn wrapped(test: &[String]) -> Option<Vec<String>> {
    let (kind, words) = test.split_first()?;
    let runner = ["CMD", INIT, "with-env", "--"].map(str::to_owned);
    match kind.as_str() {
        // A user who wraps it already knows why.
        "CMD" if words.first().is_some_and(|w| w == INIT) => None,
        "CMD" if !words.is_empty() => {
            Some(runner.into_iter().chain(words.iter().cloned()).collect())
        }
        "CMD-SHELL" => {
            let shell = ["/bin/sh", "-c"].map(str::to_owned);
            Some(
                runner
                    .into_iter()
                    .chain(shell)
                    .chain([words.join(" ")])
                    .collect(),
            )
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
