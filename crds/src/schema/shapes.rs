//! The shapes of what users write. Nothing is ever read into these types; their comments are what editors show.
//!
//! Every type and every field says what it is and ends in `Example:` with a line of YAML: for a field the key with its
//! value, for a type the value. A test reads each example and holds it against the schema.

#![allow(dead_code, reason = "only the shape of these types is used")]

mod host;
mod project;
mod source;

pub(super) use host::Config;
pub(super) use project::ComposeFile;
