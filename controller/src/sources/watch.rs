//! Hints of sources that push, for all who use them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{AbortHandle, BoxStream, SelectAll, abortable, once};
use locket_crds::id::{ProjectName, SourceName};
use tokio::time::{Instant, sleep_until};

use super::{Sources, StoreId};

/// How soon a subscription that was lost, or could not be had, is tried again without a reason.
const AGAIN: Duration = Duration::from_secs(30);

/// What one subscription says: a hint, or that it has ended.
type Said = (StoreId, bool);

/// One subscription for each open store that pushes. None outlives its store's last user.
#[derive(Default)]
pub struct Watches {
    running: BTreeMap<StoreId, AbortHandle>,
    all: SelectAll<BoxStream<'static, Said>>,
    /// What is open was looked at, and nothing has been opened or let go since.
    looked: bool,
    /// When to look again anyway, because a subscription is missing.
    again: Option<Instant>,
}

impl Watches {
    /// Waits for the next hint, and tells for whom it is. Meanwhile follows which stores are open.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self, sources: &Sources) -> Vec<(ProjectName, SourceName)> {
        loop {
            if !self.looked {
                self.look(sources);
            }
            let again = self.again;
            tokio::select! {
                biased;
                said = self.all.next(), if !self.all.is_empty() => match said {
                    Some((id, true)) => {
                        let users = sources.users(id);
                        if !users.is_empty() {
                            return users;
                        }
                    }
                    // Lost. What ends at once each time must not keep us busy, so it is not opened anew here.
                    Some((id, false)) => {
                        self.running.remove(&id);
                        self.again.get_or_insert(Instant::now() + AGAIN);
                    }
                    // The last one was let go.
                    None => {}
                },
                () = sources.opened() => self.looked = false,
                () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => self.looked = false,
            }
        }
    }

    /// Subscribes to what is open and lets the rest go.
    fn look(&mut self, sources: &Sources) {
        (self.looked, self.again) = (true, None);
        let open = sources.watchable();
        self.running.retain(|id, handle| {
            let stays = open.contains_key(id);
            if !stays {
                handle.abort();
            }
            stays
        });
        for (id, store) in open {
            if self.running.contains_key(&id) {
                continue;
            }
            let Some(hints) = store.watch() else {
                self.again = Some(Instant::now() + AGAIN);
                continue;
            };
            let said = hints
                .map(move |_| (id, true))
                .chain(once(async move { (id, false) }));
            let (said, handle) = abortable(said);
            self.all.push(said.boxed());
            self.running.insert(id, handle);
        }
    }
}
