//! The generated file. Its bytes are frozen for v1: what changes a service's config hash recreates everybody's containers.

use std::fmt::Write;

use locket_controller::own::shim;
use locket_crds::labels;
use locket_crds::yaml::{self, Node, Value};

use super::scalar::{escaped, list, map, quoted, scalar};
use super::{Additions, Check, INIT, PROJECT_VOLUME, PROVIDER, SHIM, Service, TMPFS, volume_of};
use crate::compose::GENERATED;

/// The whole text.
pub fn render(additions: &Additions) -> String {
    let mut out = format!(
        "{GENERATED} from `x-locket`. Not to be edited: run it again, and keep this file with the compose file.\n"
    );
    let names: std::collections::BTreeSet<&String> = additions
        .services
        .keys()
        .chain(additions.depends_on.keys())
        .chain(additions.gate.as_ref())
        .collect();
    if names.is_empty() {
        out.push_str("services: {}\n");
        return out;
    }
    out.push_str("services:\n");
    for name in names {
        let _ = writeln!(out, "  {}:", scalar(name));
        if additions.gate.as_ref() == Some(name) {
            let _ = writeln!(out, "    provider: {{ type: {PROVIDER} }}");
        }
        if let Some(gate) = additions.depends_on.get(name) {
            let _ = writeln!(
                out,
                "    depends_on: {{ {}: {{ condition: service_started }} }}",
                scalar(gate)
            );
        }
        if let Some(it) = additions.services.get(name) {
            service(&mut out, name, it);
        }
    }
    if !additions.services.is_empty() {
        out.push_str("volumes:\n");
        let gateless = additions.services.values().any(|it| it.label.is_some());
        let program = match gateless {
            true => Program::OfEngine,
            false => Program::OfProject,
        };
        for (key, value) in volumes(additions.services.keys(), program) {
            let _ = writeln!(out, "  {key}: {value}");
        }
    }
    out
}

fn service(out: &mut String, name: &str, it: &Service) {
    out.push_str("    init: true\n");
    if let Some(label) = &it.label {
        let label = map([(labels::SPEC.to_owned(), quoted(&escaped(label)))]);
        let _ = writeln!(out, "    labels: {label}");
    }
    if let Some(shim) = &it.shim {
        let _ = writeln!(
            out,
            "    environment: {{ LOCKET_SHIM: {} }}",
            shim_value(shim)
        );
    }
    if let Some(check) = &it.check {
        out.push_str("    healthcheck:\n");
        if let Some((image, id)) = &check.image {
            let _ = writeln!(out, "      # The image's own: {image}, {id}");
        }
        let _ = writeln!(out, "      test: {}", test(check));
    }
    out.push_str("    volumes:\n");
    for mount in mounts(name, it) {
        let _ = writeln!(out, "      - {mount}");
    }
}

/// `healthcheck.test`.
pub(super) fn test(check: &Check) -> String {
    list(check.test.iter().map(|word| scalar(word)))
}

/// The value of `LOCKET_SHIM`.
pub(super) fn shim_value(shim: &str) -> String {
    quoted(&escaped(shim))
}

/// The two mounts of a service.
pub(super) fn mounts(name: &str, it: &Service) -> [String; 2] {
    let mount = |source: &str, target: &str, volume: Vec<(&str, &str)>| {
        let volume = map(volume
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned())));
        let all = [
            ("type", "volume".to_owned()),
            ("source", scalar(source)),
            ("target", scalar(&escaped(target))),
            ("read_only", "true".to_owned()),
            ("volume", volume),
        ];
        map(all.map(|(key, value)| (key.to_owned(), value)))
    };
    [
        mount(
            PROJECT_VOLUME,
            INIT,
            vec![("subpath", SHIM), ("nocopy", "true")],
        ),
        mount(&volume_of(name), &it.path, vec![("nocopy", "true")]),
    ]
}

/// Where the shim comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// The project's own volume, which the gate prepares.
    OfProject,
    /// The engine's: without a gate nobody prepares the project's own before it is mounted.
    OfEngine,
}

/// The top-level volumes: key and value.
pub(super) fn volumes<'a>(
    services: impl Iterator<Item = &'a String>,
    program: Program,
) -> Vec<(String, String)> {
    let tmpfs = format!(
        "{{ driver: local, driver_opts: {{ type: tmpfs, device: tmpfs, o: {} }} }}",
        quoted(TMPFS)
    );
    let own = services.map(|name| (scalar(&volume_of(name)), tmpfs.clone()));
    let project = match program {
        Program::OfEngine => format!("{{ external: true, name: {} }}", shim::VOLUME),
        Program::OfProject => "{}".to_owned(),
    };
    std::iter::once((PROJECT_VOLUME.to_owned(), project))
        .chain(own)
        .collect()
}

/// Whether two texts mean the same to compose: comments and spelling do not count.
pub fn same(a: &str, b: &str) -> bool {
    fn plain(node: &Node) -> String {
        super::scalar::flow(node)
    }
    match (yaml::document(a), yaml::document(b)) {
        (Ok(a), Ok(b)) => plain(&a) == plain(&b),
        _ => false,
    }
}

/// The healthcheck of an image that an earlier run has written for a service: for where the image is not at hand now.
pub fn kept_check(text: &str, service: &str) -> Option<Check> {
    let root = yaml::document(text).ok()?;
    let entry = root
        .get("services")?
        .get(service)?
        .get("healthcheck")?
        .entry("test")?;
    let Value::List(words) = &entry.node.value else {
        return None;
    };
    let above = text
        .get(..entry.at.start)?
        .lines()
        .rev()
        .map(str::trim)
        .find(|l| !l.is_empty())?;
    let (image, id) = above
        .strip_prefix("# The image's own: ")?
        .rsplit_once(", ")?;
    let test = words
        .iter()
        .filter_map(Node::as_str)
        .map(str::to_owned)
        .collect();
    Some(Check {
        test,
        image: Some((image.to_owned(), id.to_owned())),
    })
}

#[cfg(test)]
mod tests;
