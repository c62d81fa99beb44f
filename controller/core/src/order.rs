//! Who comes before whom: `depends_on` and joined namespaces, dependencies first.

use std::collections::{BTreeMap, BTreeSet};

use locket_crds::id::ServiceName;
use locket_crds::spec::ComposeService;

/// The services of a model in dependency order.
#[derive(Debug, Default)]
pub(crate) struct Order<'a> {
    /// Every service, dependencies first; services on a cycle come last, by name.
    pub sequence: Vec<&'a ServiceName>,
    edges: BTreeMap<&'a ServiceName, Vec<&'a ServiceName>>,
    /// Services on a cycle, or behind one.
    pub cycle: BTreeSet<&'a ServiceName>,
}

/// How a dependency's restart reaches the dependant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tie {
    /// `depends_on` with `restart: true`.
    Restart,
    /// It joins the dependency's namespace, which is gone after every restart.
    Joins,
}

/// The dependencies whose start is part of this service's start fingerprint.
pub(crate) fn ties(service: &ComposeService) -> impl Iterator<Item = (&ServiceName, Tie)> {
    let restart = service
        .depends_on
        .iter()
        .filter(|(name, d)| d.restart && !service.joins.contains(name));
    restart
        .map(|(name, _)| (name, Tie::Restart))
        .chain(service.joins.iter().map(|name| (name, Tie::Joins)))
}

impl<'a> Order<'a> {
    pub fn new(model: &'a BTreeMap<ServiceName, ComposeService>) -> Self {
        let mut edges: BTreeMap<&ServiceName, Vec<&ServiceName>> = BTreeMap::new();
        let mut dependants: BTreeMap<&ServiceName, Vec<&ServiceName>> = BTreeMap::new();
        for (name, service) in model {
            let to: BTreeSet<_> = service
                .depends_on
                .keys()
                .chain(&service.joins)
                .filter(|d| model.contains_key(*d))
                .collect();
            to.iter()
                .for_each(|d| dependants.entry(d).or_default().push(name));
            edges.insert(name, to.into_iter().collect());
        }
        let mut open: BTreeMap<&ServiceName, usize> =
            edges.iter().map(|(name, to)| (*name, to.len())).collect();
        let mut ready: BTreeSet<&ServiceName> = open
            .iter()
            .filter(|(_, n)| **n == 0)
            .map(|(name, _)| *name)
            .collect();
        let mut sequence = Vec::with_capacity(edges.len());
        while let Some(name) = ready.pop_first() {
            open.remove(name);
            sequence.push(name);
            for dependant in dependants.get(name).into_iter().flatten() {
                if let Some(n) = open.get_mut(dependant) {
                    *n -= 1;
                    if *n == 0 {
                        ready.insert(dependant);
                    }
                }
            }
        }
        let cycle: BTreeSet<_> = open.into_keys().collect();
        sequence.extend(&cycle);
        Self {
            sequence,
            edges,
            cycle,
        }
    }

    /// The direct dependencies of a service.
    pub fn direct(&self, service: &ServiceName) -> &[&'a ServiceName] {
        self.edges.get(service).map_or(&[], Vec::as_slice)
    }

    /// Everything that a service depends on, at any distance, without itself.
    pub fn all(&self, service: &ServiceName) -> BTreeSet<&'a ServiceName> {
        let mut found = BTreeSet::new();
        let mut todo: Vec<_> = self.direct(service).to_vec();
        while let Some(name) = todo.pop() {
            if name != service && found.insert(name) {
                todo.extend(self.direct(name));
            }
        }
        found
    }
}
