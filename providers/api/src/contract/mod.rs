//! What every backend must do, as a suite that its tests run.
//!
//! A provider's test implements [`Fixture`] and calls [`check`]. What a backend cannot be asked at all (a local file
//! sends no `Retry-After`) follows from its [`Features`]; the fixture lists its cases itself, and a list that is not
//! exactly what its features ask for fails the suite.

mod cases;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use locket_crds::reference::SecretRef;

use crate::SecretStore;

/// What stands in every value that must not leak.
pub const CANARY: &str = "canary-7Qx2";

/// One thing that a backend must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Case {
    /// What was put is fetched, byte for byte, in the order of the batch.
    Found,
    /// What is not there is `NotFound`, for itself alone, and is not an empty value.
    NotFound,
    /// No bytes are a value.
    EmptyValue,
    /// Bytes that are not UTF-8.
    BinaryValue,
    /// 1 MiB.
    LargeValue,
    /// Many references in one batch.
    Batch,
    /// References to one path cost one read.
    SharedRead,
    /// A new value has a new version; an old value keeps its own; `versions` and `fetch` agree.
    VersionChanges,
    /// What may not be read is `Denied`.
    Denied,
    /// A login that has expired is renewed once, and the caller does not notice.
    ExpiredAuth,
    /// 429 is `Throttled` with the backend's own wait.
    Throttled,
    /// A backend that does not answer is `Unavailable` within the deadline.
    Timeout,
    /// A body without an end is `Unavailable`, soon and with bounded memory.
    EndlessBody,
    /// TLS with a private CA works with that CA and not without it.
    PrivateCa,
    /// A redirect to another host is not followed, at least not with the token.
    Redirect,
    /// No value is in any error.
    NoValueInErrors,
    /// Control characters of a backend are in no error.
    ControlCharacters,
}

/// What a backend is, from which follows what it must do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Features {
    /// A value can be any bytes; otherwise it is text.
    pub binary: bool,
    /// A value can have 1 MiB.
    pub large: bool,
    /// A path can have several fields.
    pub fields: bool,
    /// There are secrets that exist and may not be read.
    pub denies: bool,
    /// A value can change while the store is open.
    pub changes: bool,
    /// It is logged into, for a time.
    pub logs_in: bool,
    /// It is reached over HTTP.
    pub http: bool,
}

impl Features {
    /// All cases that apply, in order.
    pub fn cases(self) -> Vec<Case> {
        let mut cases = vec![
            Case::Found,
            Case::NotFound,
            Case::EmptyValue,
            Case::Batch,
            Case::NoValueInErrors,
        ];
        let groups: [(bool, &[Case]); 7] = [
            (self.binary, &[Case::BinaryValue]),
            (self.large, &[Case::LargeValue]),
            (self.fields, &[Case::SharedRead]),
            (self.denies, &[Case::Denied]),
            (self.changes, &[Case::VersionChanges]),
            (self.logs_in, &[Case::ExpiredAuth]),
            (
                self.http,
                &[
                    Case::Throttled,
                    Case::Timeout,
                    Case::EndlessBody,
                    Case::PrivateCa,
                    Case::Redirect,
                    Case::ControlCharacters,
                ],
            ),
        ];
        cases.extend(
            groups
                .iter()
                .filter(|(applies, _)| *applies)
                .flat_map(|(_, cases)| *cases),
        );
        cases.sort();
        cases
    }
}

/// What a backend is made to do from now on, at every request for a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The login that is in use is void; a new one works.
    ExpireAuth,
    /// 429 with `Retry-After`, and a body with [`CANARY`] in it.
    Throttle(Duration),
    /// The connection is taken and nothing comes.
    Hang,
    /// 200 and a body without an end.
    Endless,
    /// 307 to another host that takes everything down.
    Redirect,
    /// 400 whose body and headers are full of control characters and [`CANARY`].
    Garbage,
}

/// A backend under test. Each case gets a fresh one.
pub trait Fixture: Send + Sync {
    /// What it is.
    fn features(&self) -> Features;
    /// The cases that its author means to run: must be `features().cases()`.
    fn cases(&self) -> Vec<Case>;
    /// The store under test. Its deadline for one call is at most a second.
    fn store(&self) -> BoxFuture<'_, Arc<dyn SecretStore>>;
    /// Puts a value, new or instead of an older one, and gives its reference.
    fn put<'a>(&'a self, name: &'a str, value: &'a [u8]) -> BoxFuture<'a, SecretRef>;
    /// A reference to nothing.
    fn absent(&self) -> SecretRef;
    /// A reference to what exists and may not be read; its value has [`CANARY`] in it. With [`Features::denies`].
    fn denied(&self) -> BoxFuture<'_, SecretRef> {
        unreachable!("the fixture says that it denies, and has no such secret")
    }
    /// Puts several fields (name, value) at one path and gives their references. With [`Features::fields`].
    fn put_fields<'a>(
        &'a self,
        _fields: &'a [(&'a str, &'a str)],
    ) -> BoxFuture<'a, Vec<SecretRef>> {
        unreachable!("the fixture says that it has fields, and takes none")
    }
    /// Reads of secrets that the backend has seen. With [`Features::fields`].
    fn reads(&self) -> usize {
        unreachable!("the fixture says that it has fields, and does not count")
    }
    /// Logins that the backend has seen. With [`Features::logs_in`].
    fn logins(&self) -> usize {
        unreachable!("the fixture says that it logs in, and does not count")
    }
    /// Makes the backend misbehave. With [`Features::logs_in`] or [`Features::http`].
    fn fault(&self, _fault: Fault) {
        unreachable!("the fixture cannot misbehave")
    }
    /// Everything that the other host of [`Fault::Redirect`] was sent, headers included. With [`Features::http`].
    fn strayed(&self) -> String {
        unreachable!("the fixture has no other host")
    }
    /// What no other host may see: the token in use. With [`Features::http`].
    fn token(&self) -> String {
        unreachable!("the fixture has no token")
    }
    /// Stores that reach the same backend over TLS: with its private CA, and without. With [`Features::http`].
    fn tls(&self) -> BoxFuture<'_, [Arc<dyn SecretStore>; 2]> {
        unreachable!("the fixture has no TLS")
    }
}

/// Runs every case against a fresh fixture of `make`.
///
/// # Panics
/// When a case fails, or the fixture leaves one out.
pub async fn check<F: Fixture>(make: impl AsyncFn() -> F) {
    let fixture = make().await;
    let mut listed = fixture.cases();
    listed.sort();
    assert_eq!(
        listed,
        fixture.features().cases(),
        "the fixture's own list (left) is not what its features ask for (right)"
    );
    for case in listed {
        // The name of the case that a panic belongs to.
        eprintln!("contract case {case:?}");
        cases::run(case, &make().await).await;
    }
}
