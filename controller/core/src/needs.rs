//! What must be fetched and rendered in this pass. Unchanged spec, versions and intact generations need nothing.

use std::collections::{BTreeMap, BTreeSet};

use locket_crds::id::ServiceName;
use locket_crds::reference::SecretRef;

use crate::memory::{Memory, ServiceMemory};
use crate::model::{Desired, DesiredService, ObservedService, VersionSeen};

/// What the planner cannot do without.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Services to render.
    pub services: BTreeSet<ServiceName>,
    /// Everything that those services refer to.
    pub references: BTreeSet<SecretRef>,
}

/// Says what must be fetched and rendered before [`plan`](crate::plan()).
///
/// `versions` holds the last known version of every reference; one that is missing counts as changed.
/// A service without a mounted volume needs nothing: there is nowhere to put it.
pub fn needs(
    desired: &Desired,
    memory: &Memory,
    observed: &BTreeMap<ServiceName, ObservedService>,
    versions: &BTreeMap<SecretRef, VersionSeen>,
) -> Needs {
    let mut out = Needs::default();
    for (name, service) in &desired.services {
        let Some(seen) = observed.get(name).filter(|o| o.mounted) else {
            continue;
        };
        if is_due(service, memory.services.get(name), seen, versions) {
            out.services.insert(name.clone());
            out.references.extend(service.references.iter().cloned());
        }
    }
    out
}

fn is_due(
    service: &DesiredService,
    memory: Option<&ServiceMemory>,
    seen: &ObservedService,
    versions: &BTreeMap<SecretRef, VersionSeen>,
) -> bool {
    let Some(memory) = memory else { return true };
    let (Some(inputs), Some(current), true) = (&memory.rendered, seen.current(), seen.intact)
    else {
        return true;
    };
    // What came out last time is neither there nor refused: the publish is still to be done.
    let published =
        inputs.fingerprint == current.fingerprint || memory.is_rejected(inputs.fingerprint);
    let same = |r: &SecretRef| {
        versions
            .get(r)
            .is_some_and(|v| inputs.versions.get(r) == Some(v))
    };
    !published
        || inputs.digest != service.digest
        || inputs.surroundings != seen.surroundings
        || !service.references.iter().all(same)
}
