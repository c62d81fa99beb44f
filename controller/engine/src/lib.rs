//! The port to Docker: everything that locket asks of a container engine, and nothing more.
//!
//! Start at [`Engine`]: it is one client for one engine, cheap to clone.
//! [`watcher`] turns the engine's event stream into hints, [`InspectCache`] keeps one inspect for
//! each container incarnation, and [`fake`](crate::fake) (feature `fake`) is a model of an engine
//! that answers the same client over memory pipes.
//!
//! # Guarantees
//! - One API version for the life of an [`Engine`], chosen once in [`Engine::connect`].
//! - Every call has a deadline (30 s unless its documentation says otherwise) and is counted
//!   ([`Engine::calls`]).
//! - The environment of a container (`Config.Env`) is never read into memory that outlives the
//!   parse of a response: [`Container`] has no field for it.
//! - Nothing is written through the archive API: it would reach the disk under a tmpfs mount. There
//!   is no call for it.
//!
//! This is the only crate that names bollard. API reference:
//! <https://docs.docker.com/reference/api/engine/version/v1.45/>.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod cache;
mod client;
mod connect;
mod containers;
mod create;
mod error;
mod exec;
mod failpoint;
mod files;
#[cfg(test)]
#[path = "../fuzz/mod.rs"]
mod fuzz;
mod http;
mod images;
mod time;
mod volumes;

#[cfg(feature = "fake")]
pub mod fake;
pub mod watcher;

pub use cache::{CacheStats, InspectCache};
pub use client::{Engine, EngineInfo, EngineVersion};
pub use connect::{Connector, Endpoint, Io};
pub use containers::{
    Container, ContainerState, ContainerSummary, Health, Healthcheck, Mount, RestartPolicy, Status,
    StopOutcome,
};
pub use create::{CreateContainer, NewMount};
pub use error::{Error, Kind, Result};
pub use exec::{ExecHandle, ExecOutput, ExecSpec, ExecStream};
pub use failpoint::Failpoints;
pub use images::Image;
pub use time::Time;
pub use volumes::Volume;
