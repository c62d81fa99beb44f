//! JSON Schema (draft-07) of `x-locket` and of locket.yaml, for editors; committed in docs/schema.
//!
//! It is generated from types that only have the shape of what [`crate::compose`] and [`crate::config`] read. Tests hold
//! the two together: same keys, and what one takes, the other takes.

mod shapes;

use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The schema of a compose file's `x-locket` nodes; everything else in such a file is left to compose's own schema.
pub fn x_locket() -> Value {
    generate::<shapes::ComposeFile>()
}

/// The schema of locket.yaml.
pub fn config() -> Value {
    generate::<shapes::Config>()
}

fn generate<T: schemars::JsonSchema>() -> Value {
    let mut schema = SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    for_editors(&mut schema);
    schema
}

/// Some editors show `description`, some `markdownDescription`; our text is both.
fn for_editors(value: &mut Value) {
    match value {
        Value::Object(all) => {
            if let Some(text @ Value::String(_)) = all.get("description").cloned() {
                all.insert("markdownDescription".to_owned(), text);
            }
            all.values_mut().for_each(for_editors);
        }
        Value::Array(all) => all.iter_mut().for_each(for_editors),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
