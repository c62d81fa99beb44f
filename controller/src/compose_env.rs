//! Variables that are handed to compose itself (`via: compose`): rendered when the gate asks, and kept nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use locket_crds::item::Item;
use locket_crds::reference::SecretRef;
use locket_crds::spec::ProjectSpec;
use locket_provider::SecretValue;
use locket_render::{Key, RenderOptions};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::access::Error;
use crate::project::Shared;
use crate::resolve::explained;
use crate::spec::Compiled;

/// Name and value of each, sorted by name.
///
/// # Errors
/// When a value cannot be had, or is not text.
pub async fn values(
    shared: &Shared,
    spec: &ProjectSpec,
) -> Result<Vec<(String, Zeroizing<Vec<u8>>)>, Error> {
    let compiled = Compiled::new(spec, &shared.sources.config());
    let items: Vec<Item> = compiled.compose_env.into_values().flatten().collect();
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let references: BTreeSet<SecretRef> = items
        .iter()
        .flat_map(|it| it.content.references())
        .cloned()
        .collect();
    let mut values: BTreeMap<SecretRef, Arc<SecretValue>> = BTreeMap::new();
    for (reference, answer) in shared.sources.fetch(spec, references).await {
        match answer {
            Ok(it) => drop(values.insert(reference, Arc::new(it.value))),
            Err(problem) => {
                return Err(Error::new(
                    problem.reason,
                    explained(spec, &items, &reference, &problem),
                ));
            }
        }
    }
    // The project's own key lies in its volume, which such a project need not have. A key makes salts, and what is salted is
    // refused here: `locket_crds::resolve`.
    let key = Sha256::digest(spec.project.as_str()).into();
    let rendered = locket_render::render(&items, &values, &Key::new(key), RenderOptions::default());
    let rendered = rendered.map_err(|problems| {
        let first = problems.first();
        Error::new(
            first.map_or("Internal", |p| p.reason.as_str()),
            first.map(ToString::to_string).unwrap_or_default(),
        )
    })?;
    // Two services may ask for one variable; compose has one namespace for all that the gate sets.
    let all: BTreeMap<String, Zeroizing<Vec<u8>>> = rendered
        .compose_env
        .iter()
        .map(|(key, value)| (key.clone(), Zeroizing::new(value.expose().to_vec())))
        .collect();
    Ok(all.into_iter().collect())
}
