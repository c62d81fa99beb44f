//! A keyed reconcile runtime: many hints in, one pass of a key at a time out.
//!
//! It knows keys, time and outcomes, and nothing of what a pass does.
//! Start with [`Controller`]: give it a [`Reconciler`] and a [`Config`], run it, and enqueue keys through its [`Handle`].
//!
//! # Guarantees
//! - A key waits at most once: requests for a waiting key are merged (highest priority, shortest delay).
//! - No two passes of one key ever overlap. A request that comes during a pass leads to exactly one more pass after it.
//! - Every request is followed by a pass that *starts* after it, unless the key is forgotten or the controller stops.
//! - At most [`Config::concurrency`] passes run at once; among due keys the highest priority goes first, then the longest waiting.
//!
//! # Assumptions
//! Passes are level-triggered: each reads everything afresh and says again when it wants to be woken.
//! A request is only a hint, so one that is merged into an earlier one is not remembered on its own.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod backoff;
mod controller;
mod queue;
mod reconciler;

pub use backoff::{Backoff, Rng};
pub use controller::{Config, Controller, Handle, Stopped};
pub use queue::Stats;
pub use reconciler::{Outcome, Priority, Reconciler, Request, Requeue, Retry, Trigger};
