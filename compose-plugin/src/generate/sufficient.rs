//! What a project lacks. The gate asks this before it delivers anything: an app must never start bare.

use std::collections::BTreeSet;
use std::fmt;

use locket_controller::own::shim;
use locket_crds::diag::{Code, Diagnostic};
use locket_crds::id::ServiceName;
use locket_crds::spec::{ProjectSpec, ServiceSpec, Via};

use super::{INIT, PROJECT_VOLUME, PROVIDER, SHIM, volume_of};
use crate::compose::ModelExtras;
use crate::error::CommandError;

/// Something that is missing, or not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// The service; `None`: the project.
    pub service: Option<ServiceName>,
    /// What.
    pub what: What,
}

/// See [`Missing`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// No service is the gate.
    Gate,
    /// The service's volume, mounted read-only at this path.
    Volume(String),
    /// The service's volume is there, but would be written to a disk.
    Tmpfs(String),
    /// The shim, mounted read-only over [`INIT`].
    Shim,
    /// `init: true`.
    Init,
    /// `LOCKET_SHIM` with the service's path.
    Path(String),
    /// The service does not wait for this gate.
    DependsOn(ServiceName),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(service) = &self.service {
            write!(f, "service {service} ")?;
        }
        match &self.what {
            What::Gate => f.write_str("no service has `provider: { type: locket }`"),
            What::Volume(path) => write!(f, "has no secrets volume at {path}"),
            What::Tmpfs(name) => write!(f, "has volume {name} that is not a tmpfs"),
            What::Shim => write!(f, "has no shim at {INIT}"),
            What::Init => f.write_str("has no `init: true`"),
            What::Path(path) => write!(f, "does not tell its shim of {path} in LOCKET_SHIM"),
            What::DependsOn(gate) => write!(f, "does not depend on {gate}"),
        }
    }
}

/// Whether a service needs a volume: env through compose's provider protocol does not.
pub fn needs_volume(service: &ServiceSpec) -> bool {
    !service.secrets.is_empty()
        || !service.templates.is_empty()
        || service.env.values().any(|e| e.via == Via::Shim)
}

/// The project's gate.
pub fn gate(spec: &ProjectSpec) -> Option<&ServiceName> {
    spec.model
        .iter()
        .find(|(_, it)| it.provider.as_deref() == Some(PROVIDER))
        .map(|(name, _)| name)
}

/// Whether labels do what the gate does: then the shim comes from the engine's own volume.
pub fn is_gateless(extras: &ModelExtras) -> bool {
    let volume = extras.volumes.get(PROJECT_VOLUME);
    volume.is_some_and(|it| it.external && it.name == shim::VOLUME)
}

/// What is missing, services in the order of their names. Text is never compared, only what it means.
pub fn sufficient(spec: &ProjectSpec, extras: &ModelExtras) -> Vec<Missing> {
    let mut out = Vec::new();
    let using: Vec<_> = spec
        .services
        .iter()
        .filter(|(_, asked)| needs_volume(asked) || !asked.env.is_empty())
        .collect();
    let gate = gate(spec);
    if gate.is_none() && !using.is_empty() && !is_gateless(extras) {
        out.push(Missing {
            service: None,
            what: What::Gate,
        });
    }
    for (name, asked) in using {
        let mut say = |what| {
            out.push(Missing {
                service: Some(name.clone()),
                what,
            })
        };
        if needs_volume(asked) {
            volume(spec, extras, name, asked, &mut say);
        }
        if let Some(gate) = gate.filter(|gate| !waits(spec, name, gate)) {
            say(What::DependsOn(gate.clone()));
        }
    }
    out
}

fn volume(
    spec: &ProjectSpec,
    extras: &ModelExtras,
    name: &ServiceName,
    asked: &ServiceSpec,
    say: &mut impl FnMut(What),
) {
    let model = spec.model.get(name);
    let mount = |target: &str| {
        model
            .and_then(|m| m.mounts.get(target))
            .filter(|m| m.kind == "volume" && m.read_only)
    };
    let own = volume_of(name.as_str());
    match mount(&asked.path).filter(|m| m.source == own && m.subpath.is_none()) {
        None => say(What::Volume(asked.path.clone())),
        Some(_) if !extras.volumes.get(&own).is_some_and(|v| v.is_tmpfs()) => say(What::Tmpfs(own)),
        Some(_) => {}
    }
    let shim =
        mount(INIT).filter(|m| m.source == PROJECT_VOLUME && m.subpath.as_deref() == Some(SHIM));
    if shim.is_none() {
        say(What::Shim);
    }
    if !model.is_some_and(|m| m.init) {
        say(What::Init);
    }
    let told = extras.shims.get(name.as_str()).map_or("", String::as_str);
    let path = told
        .split(';')
        .find_map(|w| w.strip_prefix("path="))
        .unwrap_or(ServiceSpec::PATH);
    if path != asked.path {
        say(What::Path(asked.path.clone()));
    }
}

/// Whether a service starts after the gate: by its own `depends_on`, or by that of one that it waits for.
pub(super) fn waits(spec: &ProjectSpec, service: &ServiceName, gate: &ServiceName) -> bool {
    let mut seen = BTreeSet::new();
    let mut left = vec![service];
    while let Some(name) = left.pop() {
        let Some(model) = spec.model.get(name).filter(|_| seen.insert(name)) else {
            continue;
        };
        if model.depends_on.contains_key(gate) {
            return true;
        }
        left.extend(model.depends_on.keys());
    }
    false
}

/// The same for people who look at their files: one problem for each service, in its place. `left_out` is as in [`refusal`].
pub fn problems(
    missing: &[Missing],
    spec: &ProjectSpec,
    left_out: Option<&str>,
) -> Vec<Diagnostic> {
    let uses = |it: &&ServiceSpec| needs_volume(it) || !it.env.is_empty();
    let origin = |service: &Option<ServiceName>| {
        let named = service.as_ref().and_then(|name| spec.services.get(name));
        let any = named.or_else(|| spec.services.values().find(uses));
        any.map(|asked| asked.origin.clone()).unwrap_or_default()
    };
    let mut out: Vec<Diagnostic> = Vec::new();
    for same in missing.chunk_by(|a, b| a.service == b.service) {
        let (order, mounts): (Vec<&Missing>, Vec<&Missing>) = same
            .iter()
            .partition(|it| matches!(it.what, What::Gate | What::DependsOn(_)));
        for it in order {
            let code = match it.what {
                What::Gate => Code::NoGate,
                _ => Code::NotOrdered,
            };
            let help = match it.what {
                What::Gate => {
                    "run `docker locket init`, or add a service `locket: { provider: { type: locket } }`"
                }
                _ => "run `docker locket generate`, or add it to the service's `depends_on`",
            };
            let found = Diagnostic::new(code, origin(&it.service), it.to_string());
            out.push(found.help(help));
        }
        if let Some((first, more)) = mounts.split_first() {
            let found =
                Diagnostic::new(Code::Incomplete, origin(&first.service), first.to_string());
            let found = more
                .iter()
                .fold(found, |found, it| found.note(it.to_string()));
            out.push(found.help(cure(left_out)));
        }
    }
    out
}

/// The gate's refusal, in one line. `left_out` is a generated file that compose was not told of.
pub fn refusal(missing: &[Missing], left_out: Option<&str>) -> Option<CommandError> {
    let first = missing.first()?;
    let more = match missing.len() - 1 {
        0 => String::new(),
        n => format!(" (and {n} more)"),
    };
    Some(CommandError::user(format!(
        "{first}{more}: {}",
        cure(left_out)
    )))
}

fn cure(left_out: Option<&str>) -> String {
    match left_out {
        Some(file) => format!(
            "{file} has it, and compose was not told of it: add `-f {file}`, or leave out `-f`"
        ),
        None => "run `docker locket generate`".to_owned(),
    }
}

#[cfg(test)]
mod tests;
