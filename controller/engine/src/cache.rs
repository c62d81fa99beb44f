//! One inspect for each container incarnation.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::client::Engine;
use crate::containers::{Container, ContainerSummary};
use crate::error::Result;
use crate::watcher::Event;

/// Inspects that are still good. Feed it every event ([`InspectCache::observe`]), and tell it of
/// your own steps ([`InspectCache::forget`]), whose events may come after the next look.
#[derive(Default)]
pub struct InspectCache {
    entries: Mutex<Entries>,
    remembered: AtomicU64,
    asked: AtomicU64,
}

/// How looks at containers were answered since the start; for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// From memory.
    pub remembered: u64,
    /// By the engine.
    pub asked: u64,
}

#[derive(Default)]
struct Entries {
    by_id: HashMap<String, Entry>,
    /// Names inspects, so that one that was overtaken by an event is not kept.
    next_ticket: u64,
    /// Nobody hears what happens: nothing is answered from memory.
    is_deaf: bool,
}

enum Entry {
    Asking(u64),
    Known(Arc<Container>),
}

impl InspectCache {
    /// Looks at a container of a fresh list: from memory, if nothing has happened to it since and
    /// the list agrees with what is remembered on name and state. `None` if it is gone by now.
    pub async fn inspect(
        &self,
        engine: &Engine,
        summary: &ContainerSummary,
    ) -> Result<Option<Arc<Container>>> {
        let ticket = {
            let mut entries = self.lock();
            if !entries.is_deaf
                && let Some(Entry::Known(known)) = entries.by_id.get(&summary.id)
                && known.state.status == summary.state
                && known.name == summary.name
            {
                self.remembered.fetch_add(1, Relaxed);
                return Ok(Some(known.clone()));
            }
            entries.next_ticket += 1;
            let ticket = entries.next_ticket;
            entries
                .by_id
                .insert(summary.id.clone(), Entry::Asking(ticket));
            ticket
        };
        self.asked.fetch_add(1, Relaxed);
        let answer = engine.inspect(&summary.id).await;
        let mut entries = self.lock();
        let overtaken = !matches!(
            entries.by_id.get(&summary.id),
            Some(Entry::Asking(latest)) if *latest == ticket
        );
        let found = answer?.map(Arc::new);
        match &found {
            _ if overtaken => {}
            Some(container) => {
                entries
                    .by_id
                    .insert(summary.id.clone(), Entry::Known(container.clone()));
            }
            None => drop(entries.by_id.remove(&summary.id)),
        }
        Ok(found)
    }

    /// Drops what an event puts in doubt.
    pub fn observe(&self, event: &Event) {
        match event {
            Event::Init | Event::Lost => {
                let mut entries = self.lock();
                entries.by_id.clear();
                entries.is_deaf = *event == Event::Lost;
            }
            Event::Container(event) => self.forget(&event.id),
            Event::InitApply(_) | Event::InitDone | Event::Volume(_) => {}
        }
    }

    /// How looks were answered.
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            remembered: self.remembered.load(Relaxed),
            asked: self.asked.load(Relaxed),
        }
    }

    /// Drops everything.
    pub fn clear(&self) {
        self.lock().by_id.clear();
    }

    /// Drops one container, by its full id.
    pub fn forget(&self, id: &str) {
        self.lock().by_id.remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Each change is one insert or remove, so a panic elsewhere leaves nothing half done.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
