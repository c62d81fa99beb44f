//! The one program in all its roles: docker CLI plugin, compose's provider, command line, controller; and, inside
//! containers, anchor, store and shim.
//!
//! Start with [`roles::dispatch`]: it decides by name and first argument, before anything else is set up.
//!
//! Invariant: only `secret get` and `secret export` put a value on standard output, only the gate's `setenv` hands one
//! to compose.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod cli;
mod cmd;
mod compose;
mod config;
mod context;
mod credentials;
mod docker;
mod endpoint;
mod error;
mod gate;
mod generate;
mod heap;
mod import;
mod lsp;
mod opener;
mod output;
mod project;
mod roles;
mod signals;
mod twin;
mod user_files;

fn main() -> std::process::ExitCode {
    roles::dispatch(std::env::args_os().collect())
}
