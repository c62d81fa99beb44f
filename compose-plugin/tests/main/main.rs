//! The program from outside, as far as that needs no engine; scenarios on a real one are in e2e.
#![allow(clippy::unwrap_used, reason = "tests")]

mod docs;
mod init;
mod lsp;
mod projects;
mod protocol;
mod roles;
mod text;
