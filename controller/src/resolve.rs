//! From what must be rendered to what was: fetches values, renders, and keeps what was rendered until it is published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use locket_core::{DesiredService, Memory, ObservedService, Rendered, VersionSeen};
use locket_crds::id::{Fingerprint, ServiceName};
use locket_crds::item::{Item, Target};
use locket_crds::reference::SecretRef;
use locket_crds::spec::{ComposeService, Origin, ProjectSpec, Update};
use locket_delivery::generation::{self, GenFile, Generation};
use locket_delivery::log::Entry;
use locket_engine::Engine;
use locket_provider::{SecretValue, SecretVersion};
use locket_render::{Key, RenderOptions};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::owners::Owners;
use crate::sources::{Answers, Problem, Sources};
use crate::tracker::Tracker;

/// What one rendering was made from.
#[derive(Debug, Clone, PartialEq)]
struct Inputs {
    digest: u64,
    surroundings: String,
    versions: BTreeMap<SecretRef, VersionSeen>,
}

/// What came out of it.
enum Outcome {
    Ready {
        generation: Option<Generation>,
        fingerprint: Fingerprint,
        content: [u8; 32],
    },
    Failed {
        reason: String,
        message: String,
        /// The same inputs may give something else the next time.
        passing: bool,
    },
}

/// What was rendered and is not published yet, or cannot be rendered; so that no pass asks a backend for it again.
#[derive(Default)]
pub struct Workbench {
    kept: BTreeMap<ServiceName, (Inputs, Outcome)>,
    handles: BTreeMap<u64, ServiceName>,
    next: u64,
}

/// What resolving needs to know.
pub struct Order<'a> {
    /// The engine, for names of owners.
    pub engine: &'a Engine,
    /// Looks owners up.
    pub owners: &'a Owners,
    /// Where values come from.
    pub sources: &'a Sources,
    /// What was applied.
    pub spec: &'a ProjectSpec,
    /// What services want.
    pub desired: &'a Arc<locket_core::Desired>,
    /// What was remembered of earlier renderings.
    pub memory: &'a Memory,
    /// The project's key.
    pub key: &'a [u8; 32],
    /// What names of owners are looked up in, for services whose files name one.
    pub images: &'a BTreeMap<ServiceName, String>,
    /// The logs of the services.
    pub logs: &'a BTreeMap<ServiceName, Vec<Entry>>,
    /// Largest value, bytes.
    pub limit: u64,
    /// When the pass began: who wants to be left alone at that time is.
    pub now: Instant,
}

impl Workbench {
    /// Renders these services and puts what came out into `observed`.
    pub async fn resolve(
        &mut self,
        order: &Order<'_>,
        tracker: &mut Tracker,
        due: &BTreeSet<ServiceName>,
        observed: &mut BTreeMap<ServiceName, ObservedService>,
    ) {
        let worth_keeping = |outcome: &Outcome| match outcome {
            Outcome::Ready { generation, .. } => generation.is_some(),
            Outcome::Failed { passing, .. } => !passing,
        };
        self.kept
            .retain(|service, (_, outcome)| due.contains(service) && worth_keeping(outcome));
        self.handles.clear();
        let mut todo: Vec<(&ServiceName, &DesiredService)> = Vec::new();
        for name in due {
            let (Some(wanted), Some(seen)) =
                (order.desired.services.get(name), observed.get_mut(name))
            else {
                continue;
            };
            if let Some(problem) = wanted
                .references
                .iter()
                .find_map(|r| Some((r, tracker.seen().get(r)?.answer.as_ref().err()?)))
            {
                seen.rendered = failed(order.spec, wanted, problem.0, problem.1);
                // What was made of an earlier answer says nothing about this one.
                self.kept.remove(name);
                continue;
            }
            let inputs = inputs(wanted, seen, tracker);
            if self.kept.get(name).is_some_and(|(with, _)| *with == inputs) {
                continue;
            }
            // A source that wants to be left alone is not asked for values either.
            let held = |r: &SecretRef| tracker.held(r.source(), order.now).cloned();
            match wanted.references.iter().find_map(|r| Some((r, held(r)?))) {
                Some((reference, problem)) => {
                    seen.rendered = failed(order.spec, wanted, reference, &problem);
                    self.kept.remove(name);
                }
                None => todo.push((name, wanted)),
            }
        }
        let references: BTreeSet<SecretRef> = todo
            .iter()
            .flat_map(|(_, it)| it.references.iter().cloned())
            .collect();
        let answers = order.sources.fetch(order.spec, references).await;
        let mut values: BTreeMap<SecretRef, Arc<SecretValue>> = BTreeMap::new();
        let mut problems: BTreeMap<SecretRef, Problem> = BTreeMap::new();
        let mut versions: Answers<SecretVersion> = Answers::new();
        for (reference, answer) in answers {
            match answer {
                Ok(it) if it.value.len() as u64 > order.limit => {
                    let message = format!("the value is larger than {} bytes", order.limit);
                    problems.insert(
                        reference,
                        Problem {
                            reason: "Invalid",
                            message,
                            help: Some("raise limits.value in locket.yaml".into()),
                            retry_after: None,
                        },
                    );
                }
                Ok(it) => {
                    versions.insert(reference.clone(), Ok(it.version));
                    values.insert(reference, Arc::new(it.value));
                }
                Err(problem) => drop(problems.insert(reference, problem)),
            }
        }
        versions.extend(problems.iter().map(|(r, p)| (r.clone(), Err(p.clone()))));
        tracker.fetched(versions, Instant::now());
        for (name, wanted) in todo {
            let Some(seen) = observed.get(name) else {
                continue;
            };
            let inputs = inputs(wanted, seen, tracker);
            let outcome = match wanted
                .references
                .iter()
                .find_map(|r| Some((r, problems.get(r)?)))
            {
                Some((reference, problem)) => {
                    match failed(order.spec, wanted, reference, problem) {
                        Rendered::Failed { reason, message } => Outcome::Failed {
                            reason,
                            message,
                            passing: false,
                        },
                        _ => continue,
                    }
                }
                None => render(order, name, wanted, &values).await,
            };
            self.kept.insert(name.clone(), (inputs, outcome));
        }
        for name in due {
            let (Some((inputs, outcome)), Some(seen)) =
                (self.kept.get(name), observed.get_mut(name))
            else {
                continue;
            };
            match outcome {
                Outcome::Failed {
                    reason, message, ..
                } => {
                    seen.rendered = Rendered::Failed {
                        reason: reason.clone(),
                        message: message.clone(),
                    };
                }
                Outcome::Ready {
                    fingerprint,
                    content,
                    ..
                } => {
                    self.next += 1;
                    self.handles.insert(self.next, name.clone());
                    let last = order.logs.get(name).and_then(|log| log.last());
                    let before = order
                        .memory
                        .services
                        .get(name)
                        .and_then(|m| m.rendered.as_ref());
                    let changed = |r: &&SecretRef| {
                        before.is_some_and(|b| b.versions.get(*r) != inputs.versions.get(*r))
                    };
                    seen.rendered = Rendered::Ready {
                        fingerprint: *fingerprint,
                        handle: self.next,
                        metadata_only: last.is_some_and(|l| {
                            l.content_fingerprint == *content && l.fingerprint != fingerprint.0
                        }),
                        changed: inputs.versions.keys().filter(changed).cloned().collect(),
                        versions: inputs.versions.clone(),
                    };
                }
            }
        }
    }

    /// Takes the bytes of a rendering out, to publish them. What is not published is put back with [`Workbench::put_back`].
    pub fn take(&mut self, handle: u64) -> Option<Generation> {
        let service = self.handles.remove(&handle)?;
        match &mut self.kept.get_mut(&service)?.1 {
            Outcome::Ready { generation, .. } => generation.take(),
            Outcome::Failed { .. } => None,
        }
    }

    /// The anchor did not take it: no backend is asked again for what is here already.
    pub fn put_back(&mut self, service: &ServiceName, bytes: Generation) {
        if let Some((_, Outcome::Ready { generation, .. })) = self.kept.get_mut(service) {
            *generation = Some(bytes);
        }
    }

    /// A user wants everything to be tried again.
    pub fn clear(&mut self) {
        self.kept.clear();
        self.handles.clear();
    }
}

fn inputs(wanted: &DesiredService, seen: &ObservedService, tracker: &Tracker) -> Inputs {
    let version = |r: &SecretRef| {
        Some((
            r.clone(),
            VersionSeen(tracker.seen().get(r)?.answer.as_ref().ok()?.0.clone()),
        ))
    };
    Inputs {
        digest: wanted.digest,
        surroundings: seen.surroundings.clone(),
        versions: wanted.references.iter().filter_map(version).collect(),
    }
}

/// `file:line:column: `, when it is known.
fn place(origin: &Origin) -> String {
    match (origin.file.as_str(), origin.line) {
        ("", _) => String::new(),
        (file, 0) => format!("{file}: "),
        (file, line) => format!("{file}:{line}:{}: ", origin.column),
    }
}

/// Where a reference was written: in the catalogue, else at the item that uses it.
fn written(spec: &ProjectSpec, items: &[Item], reference: &SecretRef) -> String {
    let same = |r: &SecretRef| {
        (r.source(), r.path(), r.version())
            == (reference.source(), reference.path(), reference.version())
    };
    let named = spec.secrets.values().filter(|s| same(&s.reference));
    let named = named
        .min_by_key(|s| s.reference != *reference)
        .map(|s| &s.origin);
    let used = || {
        items
            .iter()
            .find(|it| it.content.references().contains(reference))
            .map(|it| &it.origin)
    };
    named.or_else(used).map(place).unwrap_or_default()
}

fn failed(
    spec: &ProjectSpec,
    wanted: &DesiredService,
    reference: &SecretRef,
    problem: &Problem,
) -> Rendered {
    Rendered::Failed {
        reason: problem.reason.to_owned(),
        message: explained(spec, &wanted.items, reference, problem),
    }
}

/// Why a reference of a service has no answer, with its place and what to do.
pub(crate) fn explained(
    spec: &ProjectSpec,
    items: &[Item],
    reference: &SecretRef,
    problem: &Problem,
) -> String {
    let origin = written(spec, items, reference);
    let help = problem
        .help
        .as_ref()
        .map(|h| format!("; {h}"))
        .unwrap_or_default();
    // It is named once.
    let name = reference.to_string();
    match problem.message.starts_with(&name) {
        true => format!("{origin}{}{help}", problem.message),
        false => format!("{origin}{name}: {}{help}", problem.message),
    }
}

async fn render(
    order: &Order<'_>,
    name: &ServiceName,
    wanted: &DesiredService,
    values: &BTreeMap<SecretRef, Arc<SecretValue>>,
) -> Outcome {
    let own: BTreeMap<SecretRef, Arc<SecretValue>> = wanted
        .references
        .iter()
        .filter_map(|r| Some((r.clone(), Arc::clone(values.get(r)?))))
        .collect();
    let (desired, service, key) = (
        Arc::clone(order.desired),
        name.clone(),
        Key::new(*order.key),
    );
    let is_slow = locket_render::is_slow(&wanted.items, &own);
    let rendering = move || {
        let items: &[Item] = desired.services.get(&service).map_or(&[], |s| &s.items);
        locket_render::render(items, &own, &key, RenderOptions::default())
    };
    let rendered = match is_slow {
        true => tokio::task::spawn_blocking(rendering).await,
        false => Ok(rendering()),
    };
    let rendered = match rendered {
        Ok(Ok(rendered)) => rendered,
        Ok(Err(problems)) => {
            let first = problems.first();
            let reason = first.map_or("Internal", |p| p.reason.as_str()).to_owned();
            let lines: Vec<String> = problems
                .iter()
                .map(|p| format!("{}{}", place(&p.origin), p.message))
                .collect();
            return Outcome::Failed {
                reason,
                message: lines.join("; "),
                passing: false,
            };
        }
        Err(_) => {
            return Outcome::Failed {
                reason: "Internal".into(),
                message: "rendering was cut off".into(),
                passing: true,
            };
        }
    };
    let nothing = ComposeService::default();
    let model = order.desired.model.get(name).unwrap_or(&nothing);
    let image = order.images.get(name).map_or("", String::as_str);
    let mut generation = Generation::default();
    for file in rendered.files {
        let (uid, gid, mode) = match order
            .owners
            .resolve(order.engine, image, model, &file.file)
            .await
        {
            Ok(owner) => owner,
            Err(e) => {
                let is_it = |it: &&Item| matches!(&it.target, Target::File { path, .. } if *path == file.path);
                let asked = wanted.items.iter().find(is_it).map(|it| place(&it.origin));
                return Outcome::Failed {
                    reason: "UnknownOwner".into(),
                    message: format!("{}{}: {}", asked.unwrap_or_default(), file.path, chain(&e)),
                    // The image may come, or be another one under the same name.
                    passing: true,
                };
            }
        };
        let update = match file.file.update {
            Update::Swap => generation::Update::Swap,
            Update::Rename => generation::Update::Rename,
            Update::Inplace => generation::Update::Inplace,
        };
        generation.files.push(GenFile {
            path: file.path,
            bytes: Zeroizing::new(file.bytes.expose().to_vec()),
            mode,
            uid,
            gid,
            update,
        });
    }
    generation.env = rendered
        .env
        .iter()
        .map(|(key, value)| (key.clone(), Zeroizing::new(value.expose().to_vec())))
        .collect();
    if let Err(message) = generation.check() {
        return Outcome::Failed {
            reason: "Invalid".into(),
            message,
            passing: false,
        };
    }
    Outcome::Ready {
        fingerprint: Fingerprint(generation::fingerprint(order.key, &generation)),
        content: generation::content_fingerprint(order.key, &generation),
        generation: Some(generation),
    }
}

/// An error and what lies behind it, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        line.push_str(": ");
        line.push_str(&it.to_string());
        cause = it.source();
    }
    line
}
