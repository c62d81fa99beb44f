//! What a compose project lacks for its secrets to arrive, and how it gets there.
//!
//! - [`sufficient`] tells what is missing; the gate refuses only that, never a difference in text.
//! - [`Additions`] is what `generate` adds, [`document`] writes it as a file of its own, [`inline`] into the user's file.
//! - [`own`] adds the gate and `depends_on` to the user's file, as edits of its text.
//! - [`flags`] are the same for `docker run`.
//!
//! The bytes that [`document`] writes are frozen for v1: a change would recreate everybody's containers.

mod additions;
pub mod document;
pub(crate) mod edit;
pub mod flags;
pub mod images;
pub mod inline;
pub mod own;
mod place;
pub mod prepare;
pub(crate) mod scalar;
mod sufficient;

pub use additions::{Additions, Check, Service, additions};
pub use edit::EditError;
pub use place::{Place, place, with_compose_file};
pub use sufficient::{
    Missing, What, gate, is_gateless, needs_volume, problems, refusal, sufficient,
};

/// The project volume's key in the model.
pub const PROJECT_VOLUME: &str = "locket";
/// Where the engine looks for the program of `init: true`.
pub const INIT: &str = "/sbin/docker-init";
/// The shim in the project volume.
pub const SHIM: &str = "shim/docker-init";
/// The gate's name, where `generate` adds one.
pub const GATE: &str = "locket";
/// `provider.type` of a gate.
pub const PROVIDER: &str = "locket";

pub use locket_controller::own::anchor::TMPFS;

/// The key in the model of a service's volume.
pub fn volume_of(service: &str) -> String {
    format!("{PROJECT_VOLUME}-{service}")
}
