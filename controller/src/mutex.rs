//! One way to take a lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes it, also after a panic elsewhere: what is done under a lock in this crate is one change each, so none is left half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
