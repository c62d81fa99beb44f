//! How much is asked of one server at once, whoever asks and with which login.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;

/// Requests that are under way at one server.
const OF_ALL: usize = 16;

/// The servers in use, by scheme, host and port. Cheap to clone: all clones are the same.
#[derive(Clone, Default)]
pub struct Servers(Arc<Mutex<BTreeMap<String, Weak<Semaphore>>>>);

impl Servers {
    /// The slots of a server, the same for all who use it. It is forgotten when nobody does.
    pub(crate) fn slots(&self, origin: &str) -> Arc<Semaphore> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, slots| slots.strong_count() > 0);
        if let Some(known) = all.get(origin).and_then(Weak::upgrade) {
            return known;
        }
        let new = Arc::new(Semaphore::new(OF_ALL));
        all.insert(origin.to_owned(), Arc::downgrade(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_its_slots_once_and_as_long_as_it_is_used() {
        let servers = Servers::default();
        let (one, same) = (
            servers.slots("https://a"),
            servers.clone().slots("https://a"),
        );
        assert!(Arc::ptr_eq(&one, &same));
        assert!(!Arc::ptr_eq(&one, &servers.slots("https://b")));
        drop((one, same));
        let _new = servers.slots("https://c");
        assert_eq!(servers.0.lock().unwrap().len(), 1);
    }
}
