use std::collections::BTreeMap;

use crate::labels::{merge, read};
use crate::spec::ProjectSpec;

/// A label a line: `name=value`.
fn service(bytes: &[u8]) -> bool {
    let text = super::text(bytes);
    let all: BTreeMap<&str, &str> = text
        .lines()
        .map(|line| line.split_once('=').unwrap_or((line, "")))
        .collect();
    let ask = || read(all.iter().map(|(k, v)| (*k, *v)), &["bao"]);
    let (labels, problems) = ask();
    for it in &problems {
        assert_eq!(it.place.origin.line, 0, "a label has no line: {it:?}");
    }
    super::shown(&problems, &[]);
    // The labels of others are passed over.
    let own = all.keys().any(|name| name.starts_with("locket."));
    if !own {
        assert!(problems.is_empty(), "{problems:?}");
    }
    // What a service's labels say once, they say twice.
    let mut spec: ProjectSpec = serde_json::from_str(NOTHING).unwrap();
    let first = merge(&mut spec, &"api".into(), labels);
    let before = spec.clone();
    let second = merge(&mut spec, &"api".into(), ask().0);
    assert_eq!((spec, &second), (before, &first));
    own && problems.is_empty()
}

const NOTHING: &str = r#"{"version":1,"project":"shop","working_dir":"/","files":[],"defaults":{},"sources":{},"secrets":{},"services":{},"model":{}}"#;

locket_fuzz::target!(labels, reach: 5, service);
