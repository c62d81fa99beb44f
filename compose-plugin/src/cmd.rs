//! The commands, one file each. A command takes its arguments and the [`Context`](crate::context::Context) and returns
//! the exit code of the process.

pub mod apply;
pub mod check;
pub mod controller;
pub mod doctor;
pub mod events;
pub mod explain;
pub mod generate;
mod import;
pub mod init;
mod looks;
pub mod lsp;
pub mod pause;
pub mod plan;
pub mod refresh;
pub mod run_args;
pub mod schema;
pub mod secret;
pub mod status;
pub mod trust;
pub mod up;
pub mod wait;
