//! JSON Schema (draft-07) of `x-locket`, of whole compose files and of locket.yaml, for editors; committed in docs/schema.
//!
//! Ours is generated from types that only have the shape of what [`crate::compose`] and [`crate::config`] read. Tests hold
//! the two together: same keys, and what one takes, the other takes. What compose itself reads is a table of keys.

mod compose;
mod editors;
mod shapes;

use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The schema of a compose file's `x-locket` nodes; everything else in such a file is left to compose's own schema.
pub fn x_locket() -> Value {
    editors::finish(raw::<shapes::ComposeFile>(), "x-locket of a compose file")
}

/// The schema of a compose file, `x-locket` included: an editor takes only one for a file.
pub fn compose() -> Value {
    let schema = compose::with(raw::<shapes::ComposeFile>());
    editors::finish(schema, "A compose file with x-locket")
}

/// The schema of locket.yaml.
pub fn config() -> Value {
    editors::finish(raw::<shapes::Config>(), "locket.yaml")
}

fn raw<T: schemars::JsonSchema>() -> Value {
    SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

#[cfg(test)]
mod tests;
