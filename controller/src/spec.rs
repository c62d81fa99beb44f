//! What was applied: kept on the engine, and what the planner makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use locket_core::{Asked, Desired, assemble};
use locket_crds::config::HostConfig;
use locket_crds::diag;
use locket_crds::id::{ServiceName, SourceName};
use locket_crds::item::{Item, Target};
use locket_crds::reference::SecretRef;
use locket_crds::resolve::resolve;
use locket_crds::spec::ProjectSpec;
use serde::{Deserialize, Serialize};

/// How often a secret is asked for where nobody says otherwise.
const REFRESH: Duration = Duration::from_secs(60);

/// A spec and when it was applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// What is wanted.
    pub spec: ProjectSpec,
    /// When, on the engine's clock, nanoseconds since 1970.
    pub at: u64,
    /// Services that the last spec left out; they stay while they have containers.
    #[serde(default)]
    pub kept: BTreeSet<ServiceName>,
    /// It comes from the labels of containers, and these are broken, by service; `None`: somebody handed it over.
    #[serde(default)]
    pub labels: Option<BTreeMap<ServiceName, String>>,
}

/// A spec, ready for planning.
pub struct Compiled {
    /// What the planner wants to know.
    pub desired: Arc<Desired>,
    /// Variables that compose is handed by the gate, by service.
    pub compose_env: BTreeMap<ServiceName, Vec<Item>>,
    /// What is wrong, one line each.
    pub problems: Vec<String>,
    /// Services with errors; they get nothing.
    pub broken: BTreeMap<ServiceName, String>,
    /// How often each secret is asked for.
    refresh: BTreeMap<SecretRef, Duration>,
    /// The type of each source that is asked.
    types: BTreeMap<SourceName, String>,
}

impl Compiled {
    /// The same of what was applied: services whose labels are broken get nothing.
    pub fn of(applied: &Applied, config: &HostConfig) -> Self {
        let mut it = Self::new(&applied.spec, config);
        for (service, why) in applied.labels.iter().flatten() {
            it.problems.push(format!("{service}: {why}"));
            it.broken.insert(service.clone(), why.clone());
        }
        it
    }

    /// Looks names up and applies the host's defaults.
    pub fn new(spec: &ProjectSpec, config: &HostConfig) -> Self {
        let (mut items, diagnostics) = resolve(spec);
        let mut problems: Vec<String> = diagnostics.iter().map(diag::one_line).collect();
        let mut broken = BTreeMap::new();
        let mut compose_env: BTreeMap<ServiceName, Vec<Item>> = BTreeMap::new();
        for (service, all) in &mut items {
            let via_compose = all
                .extract_if(.., |it| matches!(it.target, Target::ComposeEnv { .. }))
                .collect::<Vec<_>>();
            if !via_compose.is_empty() {
                compose_env.insert(service.clone(), via_compose);
            }
        }
        let mut asked = BTreeMap::new();
        for (service, it) in &spec.services {
            let Some(items) = items.remove(service) else {
                let errors = || diagnostics.iter().filter(|d| d.is_error());
                let own = errors().find(|d| it.origins().any(|o| *o == d.place.origin));
                let why = own.or(errors().next()).map(diag::one_line);
                broken.insert(service.clone(), why.unwrap_or_default());
                continue;
            };
            // Nothing but variables for compose.
            if items.is_empty() && compose_env.contains_key(service) {
                continue;
            }
            asked.insert(
                service.clone(),
                Asked {
                    path: it.path.clone(),
                    items,
                    on_change: it.on_change.clone(),
                },
            );
        }
        let defaults = config.complete(&spec.defaults);
        let (desired, more) = assemble(spec.project.clone(), spec.model.clone(), asked, &defaults);
        problems.extend(more.iter().map(|p| format!("{}: {}", p.service, p.message)));
        let usual = defaults.refresh.unwrap_or(REFRESH);
        let mut named: BTreeMap<_, Duration> = BTreeMap::new();
        for secret in spec.secrets.values() {
            if let Some(own) = secret.refresh {
                let least = named.entry((secret.reference.source(), secret.reference.path()));
                least.and_modify(|it| *it = own.min(*it)).or_insert(own);
            }
        }
        let (mut refresh, mut types) = (BTreeMap::new(), BTreeMap::new());
        for reference in desired.services.values().flat_map(|s| &s.references) {
            let own = named.get(&(reference.source(), reference.path())).copied();
            let source = spec
                .sources
                .get(reference.source())
                .or(config.sources.get(reference.source()));
            refresh.insert(
                reference.clone(),
                own.or(source.and_then(|s| s.refresh)).unwrap_or(usual),
            );
            if let Ok(meaning) = config.meaning(&spec.sources, reference.source()) {
                types.insert(reference.source().clone(), meaning.source.kind);
            }
        }
        Self {
            desired: Arc::new(desired),
            compose_env,
            problems,
            broken,
            refresh,
            types,
        }
    }

    /// `openbao`; the name itself where nobody says what it is.
    pub fn type_of(&self, source: &SourceName) -> String {
        let known = self.types.get(source).cloned();
        known.unwrap_or_else(|| source.to_string())
    }

    /// Everything that the project refers to.
    pub fn references(&self) -> BTreeSet<SecretRef> {
        self.refresh.keys().cloned().collect()
    }

    /// How often a secret is asked for.
    pub fn refresh_of(&self, reference: &SecretRef) -> Duration {
        self.refresh.get(reference).copied().unwrap_or(REFRESH)
    }
}

/// A new spec over an old one: a service that the new one leaves out (`-f`, profiles) keeps its entry while it has containers.
/// Says which ones those are.
pub fn merge(
    old: &ProjectSpec,
    mut new: ProjectSpec,
    has_containers: impl Fn(&ServiceName) -> bool,
) -> (ProjectSpec, BTreeSet<ServiceName>) {
    let mut kept = BTreeSet::new();
    for (name, service) in &old.model {
        if new.model.contains_key(name) || !has_containers(name) {
            continue;
        }
        kept.insert(name.clone());
        new.model.insert(name.clone(), service.clone());
        if let Some(asked) = old.services.get(name) {
            new.services.insert(name.clone(), asked.clone());
        }
    }
    if !kept.is_empty() {
        for (name, secret) in &old.secrets {
            new.secrets
                .entry(name.clone())
                .or_insert_with(|| secret.clone());
        }
        for (name, source) in &old.sources {
            new.sources
                .entry(name.clone())
                .or_insert_with(|| source.clone());
        }
    }
    (new, kept)
}

#[cfg(test)]
mod tests {
    use locket_crds::spec::{
        ComposeService, Defaults, EnvGrant, EnvValue, Operand, Origin, ServiceSpec, Via,
    };

    use super::*;

    fn spec(services: &[&str]) -> ProjectSpec {
        ProjectSpec {
            version: 1,
            project: "p".into(),
            working_dir: "/p".into(),
            files: vec![],
            defaults: Defaults::default(),
            sources: BTreeMap::new(),
            secrets: BTreeMap::new(),
            services: services
                .iter()
                .map(|s| ((*s).into(), ServiceSpec::empty()))
                .collect(),
            model: services
                .iter()
                .map(|s| ((*s).into(), ComposeService::default()))
                .collect(),
        }
    }

    #[test]
    fn a_service_with_an_error_is_told_and_the_others_are_served() {
        let mut spec = spec(&["bad", "good"]);
        let env = |line| EnvGrant {
            value: EnvValue::Secret(Operand::Name("nowhere".into())),
            via: Via::Shim,
            origin: Origin {
                file: "compose.yaml".into(),
                line,
                column: 3,
            },
        };
        let bad = spec.services.get_mut("bad").unwrap();
        bad.env.insert("KEY".into(), env(7));
        let compiled = Compiled::new(&spec, &HostConfig::default());
        let served: Vec<&str> = compiled
            .desired
            .services
            .keys()
            .map(|s| s.as_str())
            .collect();
        assert_eq!(served, ["good"]);
        let (name, why) = compiled.broken.first_key_value().unwrap();
        assert_eq!(name.as_str(), "bad");
        assert!(why.contains("compose.yaml:7:3"), "{why}");
        assert_eq!(compiled.broken.len(), 1);
    }

    #[test]
    fn a_partial_spec_keeps_services_that_have_containers() {
        let (merged, kept) = merge(&spec(&["api", "old", "debug"]), spec(&["api"]), |name| {
            name.as_str() == "debug"
        });
        assert_eq!(
            merged
                .services
                .keys()
                .map(ServiceName::as_str)
                .collect::<Vec<_>>(),
            ["api", "debug"]
        );
        assert_eq!(merged.model.len(), 2);
        assert_eq!(kept, BTreeSet::from(["debug".into()]));
    }
}
