//! Runs the steps of a plan. What goes to the anchor goes in batches: one way there and back for a whole run of steps.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use locket_core::memory::{EventKind, Memory};
use locket_core::{Action, ContainerId, Observed, Step, StepResult, Time};
use locket_crds::id::ServiceName;
use locket_delivery::layout::SHIM_PATH;
use locket_delivery::log::Entry;
use locket_delivery::protocol::{RefusalKind, Request, Response};
use locket_engine::ExecSpec;

use super::{Error, Look, Project, SIGNAL, Shared};
use crate::background::Hands;
use crate::observe;
use crate::resolve::chain;
use crate::session;
use crate::view::word;

/// Bytes of values after which a batch is sent: what a session holds in memory at once.
const BATCH: usize = 8 << 20;

impl Project {
    pub(super) async fn apply(
        &mut self,
        shared: &Shared,
        look: &mut Look,
        observed: &Observed,
    ) -> Result<(), Error> {
        if self.link.is_none() {
            return Ok(());
        }
        // Results are forgotten when what follows from them is written down; nothing may follow from them.
        let mut results = observed.results.len();
        let durable = !delivers_only(&look.planned.now) || results > 0;
        let steps = std::mem::take(&mut look.planned.now);
        for run in steps.chunk_by(|a, b| is_written(a) && is_written(b)) {
            if run.iter().all(is_written) {
                let remembers = run.iter().any(|it| it.action == Action::Remember);
                self.write(look, run, durable).await?;
                if remembers {
                    self.background.forget_results(std::mem::take(&mut results));
                }
                continue;
            }
            for step in run {
                let failed = self.act(shared, look, observed, step).await;
                if failed.is_none() {
                    self.tally.step(step);
                }
                look.note(step, failed);
            }
        }
        look.planned.now = steps;
        self.background.forget_results(results);
        // What was refused has been noted since the plan was made.
        if (!durable || self.memory != look.planned.memory)
            && let Some(link) = &self.link
        {
            link.write_memory(&self.memory, true).await?;
        }
        let living = |id: &ContainerId| observed.containers.iter().any(|c| c.id == *id);
        self.background.retain(living);
        self.touched.retain(|id, _| living(id));
        Ok(())
    }

    /// Writes a run of steps through the anchor, in order. One that is refused does not hold up the rest, but for a memory that
    /// cannot be written: nothing may follow it.
    async fn write(&mut self, look: &mut Look, run: &[Step], durable: bool) -> Result<(), Error> {
        let Some(link) = &self.link else {
            return Ok(());
        };
        let term = link.term().unwrap_or(0);
        let mut todo = VecDeque::new();
        for step in run {
            let request = match &step.action {
                Action::Remember => link.memory_request(&look.planned.memory, durable)?,
                Action::Publish {
                    service,
                    handle,
                    expect,
                    fingerprint,
                } => match self.workbench.take(*handle) {
                    Some(generation) => Request::Publish {
                        service: service.to_string(),
                        term,
                        expect: *expect,
                        generation,
                        fingerprint: fingerprint.0,
                    },
                    None => {
                        look.note(step, Some("what was rendered is gone".to_owned()));
                        continue;
                    }
                },
                Action::Restore {
                    service,
                    seq,
                    expect,
                    ..
                } => Request::Restore {
                    service: service.to_string(),
                    term,
                    seq: *seq,
                    expect: *expect,
                },
                _ => continue,
            };
            todo.push_back((step, request));
        }
        while !todo.is_empty() {
            let mut bytes = 0;
            let fits = todo.iter().take_while(|(_, request)| {
                bytes += size(request);
                bytes <= BATCH
            });
            let count = fits.count().max(1);
            let (steps, requests): (Vec<&Step>, Vec<Request>) = todo.drain(..count).unzip();
            let (requests, answers) = link.batch(requests).await?;
            let tried = answers.len();
            let mut rest = steps.into_iter().zip(requests);
            for ((step, request), answer) in rest.by_ref().take(tried).zip(answers) {
                let refused = match (answer, &step.action) {
                    (Response::Refused(it), action)
                        if it.kind == RefusalKind::OldTerm || *action == Action::Remember =>
                    {
                        return Err(link.lost(session::Error::Refused(it)).into());
                    }
                    (Response::Refused(it), _) => Some(it.message),
                    (Response::Done, Action::Remember) => {
                        self.memory = look.planned.memory.clone();
                        tell_events(&self.memory, look.now);
                        continue;
                    }
                    (Response::Published(_), _) => None,
                    _ => return Err(link.nonsense("something else than a generation").into()),
                };
                let Some(service) = &step.service else {
                    continue;
                };
                match &refused {
                    None => {
                        self.refused.remove(service);
                        self.drifted.remove(service);
                    }
                    Some(why) => {
                        if matches!(step.action, Action::Publish { .. }) {
                            self.memory.not_delivered(service, why);
                        }
                        self.refused.insert(service.clone(), why.clone());
                        if let Request::Publish { generation, .. } = request {
                            self.workbench.put_back(service, generation);
                        }
                    }
                }
                if refused.is_none() {
                    self.tally.step(step);
                }
                look.note(step, refused);
            }
            rest.rev().for_each(|untried| todo.push_front(untried));
        }
        Ok(())
    }

    /// Does one thing to a container; why not, if it was not done. What takes its time is only begun.
    async fn act(
        &self,
        shared: &Shared,
        look: &Look,
        observed: &Observed,
        step: &Step,
    ) -> Option<String> {
        let hands = || Hands {
            engine: shared.host.engine.clone(),
            cache: Arc::clone(&shared.cache),
            background: Arc::clone(&self.background),
            wake: Arc::clone(&self.wake),
            now: look.now,
        };
        let seen = |id: &ContainerId| observed.containers.iter().find(|c| c.id == *id);
        match &step.action {
            Action::Probe { container } => {
                let run = seen(container).and_then(|c| c.started_at);
                hands().probe(container.clone(), run);
            }
            Action::Stop { container, grace } => {
                let run = seen(container).and_then(|c| c.started_at);
                hands().stop(container.clone(), run, *grace);
            }
            Action::Start { container } => hands().start(container.clone()),
            Action::Exec {
                container,
                argv,
                content,
                timeout,
            } => hands().hook(container.clone(), argv.clone(), *content, *timeout),
            Action::Signal {
                container,
                signal,
                content,
            } => {
                let has_shim = seen(container).is_some_and(|c| c.has_shim);
                let failed = send_signal(shared, container, signal, has_shim).await;
                if failed.is_none() {
                    self.background.add_result(StepResult::Signalled {
                        container: container.clone(),
                        content: *content,
                    });
                }
                return failed;
            }
            Action::Remember | Action::Publish { .. } | Action::Restore { .. } => {}
        }
        None
    }

    /// Removes generations that nobody can have started with any more.
    pub(super) async fn prune(
        &self,
        look: &Look,
        logs: &BTreeMap<ServiceName, Vec<Entry>>,
    ) -> Result<(), Error> {
        let Some((link, term)) = self.link.as_ref().and_then(|l| Some((l, l.term()?))) else {
            return Ok(());
        };
        for (service, keep) in &look.planned.report.keep {
            // What was published in this very pass is current, and stays in any case.
            if logs
                .get(service)
                .is_some_and(|log| log.iter().any(|e| !keep.contains(&e.seq)))
            {
                let prune = Request::Prune {
                    service: service.to_string(),
                    term,
                    keep: keep.clone(),
                };
                if let Err(e) = link.call(&prune).await {
                    let why = observe::of_volume(e)?;
                    tracing::warn!(service = %service, error = why, "Old generations stay");
                }
            }
        }
        Ok(())
    }
}

impl Look {
    fn note(&mut self, step: &Step, failed: Option<String>) {
        match failed {
            None => {
                tracing::info!(step = %step, "Step");
                self.done.push(step.to_string());
            }
            Some(why) => {
                tracing::warn!(step = %step, error = why, "Step failed");
                self.failed.push((step.service.clone(), why));
            }
        }
    }
}

/// Logs what this pass has found out. What it is about to deliver is logged as a step.
fn tell_events(memory: &Memory, now: Time) {
    let news = memory
        .events
        .iter()
        .filter(|e| e.last == now && e.kind != EventKind::Delivered);
    for it in news {
        let about = it.container.as_deref().unwrap_or(it.service.as_str());
        match word(it.kind) {
            (kind, true) => {
                tracing::info!(about, kind, cause = it.cause, result = it.result, "Event")
            }
            (kind, false) => {
                tracing::warn!(about, kind, cause = it.cause, result = it.result, "Event")
            }
        }
    }
}

/// True for steps that go to the anchor.
fn is_written(step: &Step) -> bool {
    matches!(
        step.action,
        Action::Remember | Action::Publish { .. } | Action::Restore { .. }
    )
}

/// True for a plan that remembers something and then does nothing but publish. What loses its memory, a machine that stops, loses
/// the generation too, so this memory need not be on a disk before the bytes are readable: it is written again afterwards.
fn delivers_only(steps: &[Step]) -> bool {
    let [first, rest @ ..] = steps else {
        return false;
    };
    first.action == Action::Remember
        && !rest.is_empty()
        && rest
            .iter()
            .all(|it| it.action != Action::Remember && is_written(it))
}

/// Bytes of values in a request, about.
fn size(request: &Request) -> usize {
    match request {
        Request::Publish { generation, .. } => generation.size(),
        Request::WriteState { bytes, .. } => bytes.len(),
        _ => 0,
    }
}

/// Sends PID 1 a signal; why not, if it was not sent. Through the shim where there is one: the engine's own call makes the
/// engine forget the restart policy at the container's next end, unless the image names a stop signal.
async fn send_signal(
    shared: &Shared,
    container: &ContainerId,
    signal: &str,
    has_shim: bool,
) -> Option<String> {
    if has_shim {
        let spec = ExecSpec {
            argv: [SHIM_PATH, "signal", signal].map(str::to_owned).to_vec(),
            user: Some("0:0".to_owned()),
            privileged: true,
            ..ExecSpec::default()
        };
        let sent = shared
            .host
            .engine
            .exec_output(&container.0, &spec, 1 << 10, SIGNAL)
            .await;
        match sent {
            Ok(out) if out.code == 0 => return None,
            // The program that is mounted there does not know how.
            Ok(_) => {}
            Err(e) => return Some(chain(&e)),
        }
    }
    let sent = shared.host.engine.kill(&container.0, signal).await;
    sent.err().map(|e| chain(&e))
}
