//! What lies on a project's volume outlives the program that wrote it, and so does a spec on its way between two of them. The files
//! in `written` are never changed: a new version adds its own.

use locket_core::memory::Memory;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::spec::Applied;

/// The first thing that an older text says and a newer one does not.
fn lost(old: &Value, new: Option<&Value>, at: &str) -> Option<String> {
    match (old, new) {
        (Value::Object(old), Some(Value::Object(new))) => old
            .iter()
            .find_map(|(key, it)| lost(it, new.get(key), &format!("{at}/{key}"))),
        (Value::Array(old), Some(Value::Array(new))) if old.len() == new.len() => old
            .iter()
            .zip(new)
            .enumerate()
            .find_map(|(n, (old, new))| lost(old, Some(new), &format!("{at}/{n}"))),
        (old, new) => (new != Some(old)).then(|| format!("{at}: {old} became {new:?}")),
    }
}

fn is_read<T: Serialize + DeserializeOwned>(text: &str) {
    let old: Value = serde_json::from_str(text).unwrap();
    let it: T = serde_json::from_str(text).unwrap();
    let new = serde_json::to_value(&it).unwrap();
    assert_eq!(lost(&old, Some(&new), ""), None);
}

#[test]
fn what_version_0_1_has_written_is_read() {
    is_read::<Memory>(include_str!("written/memory-0.1.json"));
    is_read::<Applied>(include_str!("written/spec-0.1.json"));
}
