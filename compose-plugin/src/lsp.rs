//! `docker locket lsp`: what `check` knows, in an editor: problems, names, places, hover. Never a value.
//!
//! It adds to what a YAML server does with the schema: only it knows which secrets and sources this project has.
//! Flow: [`wire`] reads messages, [`server`] keeps the open texts and answers, [`spot`] tells where in a file somebody writes.
//! Protocol: <https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/>.

mod project;
pub mod server;
mod spot;
mod text;
pub mod wire;
