//! Where the renderer gets values from.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use locket_crds::reference::SecretRef;
use locket_provider::SecretValue;

/// The fetched values of a service.
pub trait Values {
    /// The value of a reference, complete with its field; `None` if it was not fetched, which is an error of every item that uses it.
    fn get(&self, reference: &SecretRef) -> Option<&SecretValue>;
}

/// Maps of values and of shared values (`Arc<SecretValue>`).
impl<V: Borrow<SecretValue>> Values for BTreeMap<SecretRef, V> {
    fn get(&self, reference: &SecretRef) -> Option<&SecretValue> {
        BTreeMap::get(self, reference).map(Borrow::borrow)
    }
}
