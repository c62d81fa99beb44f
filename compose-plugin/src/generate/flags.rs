//! What `docker run` is told so that a container is looked after: the same mounts as in the generated file, and labels.

use locket_controller::own::{anchor, shim};
use locket_crds::id::{ProjectName, ServiceName};
use locket_crds::labels;
use locket_crds::spec::ProjectSpec;
use locket_delivery::layout::SHIM_VARIABLE;

use super::additions::shim as shim_settings;
use super::{INIT, SHIM, TMPFS};

/// One word each, in which no shell finds a blank to split at; nothing if the project does not ask for anything.
pub fn flags(spec: &ProjectSpec, project: &ProjectName, name: &ServiceName) -> Vec<String> {
    let (Some(asked), Some(label)) = (spec.services.get(name), labels::write(spec, name)) else {
        return Vec::new();
    };
    let settings = shim_settings(asked, false);
    let program = [
        "type=volume".to_owned(),
        format!("source={}", shim::VOLUME),
        format!("target={INIT}"),
        "readonly".to_owned(),
        "volume-nocopy".to_owned(),
        format!("volume-subpath={SHIM}"),
    ];
    let secrets = [
        "type=volume".to_owned(),
        format!("source={}", anchor::volume_of(project, name)),
        format!("target={}", asked.path),
        "readonly".to_owned(),
        "volume-nocopy".to_owned(),
        "volume-driver=local".to_owned(),
        "volume-opt=type=tmpfs".to_owned(),
        "volume-opt=device=tmpfs".to_owned(),
        format!("volume-opt=o={TMPFS}"),
    ];
    let settings = settings.map(|it| format!("--env={SHIM_VARIABLE}={it}"));
    let rest = [
        format!("--mount={}", csv(&program)),
        format!("--mount={}", csv(&secrets)),
        format!("--label={}={name}", labels::NAME),
        format!("--label={}={}", labels::SPEC, unsplit(&label)),
    ];
    let init = ["--init".to_owned()];
    init.into_iter().chain(settings).chain(rest).collect()
}

/// A line of comma-separated values, which is how the docker CLI reads `--mount`.
fn csv(fields: &[String]) -> String {
    let field = |text: &String| match text.contains([',', '"']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.clone(),
    };
    fields.iter().map(field).collect::<Vec<_>>().join(",")
}

/// JSON in which a shell that expands `$(…)` finds nothing to split at and no pattern of file names but a list's brackets.
/// Blanks are in its strings only.
fn unsplit(json: &str) -> String {
    json.replace(' ', "\\u0020")
        .replace('*', "\\u002a")
        .replace('?', "\\u003f")
}

#[cfg(test)]
mod tests;
