//! What is asked of an engine, in words that are the same in both worlds.

use std::collections::BTreeMap;

/// The requests that change something of a project, one line each: `create first`, `stop first`, `remove volume locket`.
/// Of what the gate does only the anchor's coming and going is told. `names` has the name of every container by its id.
pub fn changes(
    requests: &[String],
    names: &BTreeMap<String, String>,
    project: &str,
) -> Vec<String> {
    let mut all: Vec<String> = requests
        .iter()
        .filter_map(|request| change(request, names, project))
        .collect();
    // Compose makes and removes volumes in no order.
    for same in all.chunk_by_mut(|a, b| a.contains("volume") && b.contains("volume")) {
        same.sort();
    }
    all
}

fn change(request: &str, names: &BTreeMap<String, String>, project: &str) -> Option<String> {
    let (method, path) = request.split_once(' ')?;
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut words = path.trim_start_matches('/').split('/').peekable();
    words.next_if(|word| word.starts_with("v1."));
    let words: Vec<&str> = words.collect();
    let container = |key: &str| {
        let name = names.get(key).map_or(key, String::as_str);
        match name.strip_prefix("locket-anchor-") {
            Some(of) => of.starts_with(project).then(|| "the anchor".to_owned()),
            None => {
                let service = name.strip_prefix(project)?.trim_start_matches('-');
                Some(service.trim_end_matches("-1").to_owned())
            }
        }
    };
    match (method, words.as_slice()) {
        ("POST", ["containers", "create"]) => {
            let mut parts = query.split('&');
            let name = parts.find_map(|part| part.strip_prefix("name="))?;
            Some(format!("create {}", container(name)?))
        }
        (
            "POST",
            [
                "containers",
                key,
                verb @ ("start" | "stop" | "restart" | "kill"),
            ],
        ) => {
            let name = container(key)?;
            (name != "the anchor").then(|| format!("{verb} {name}"))
        }
        ("DELETE", ["containers", key]) => Some(format!("remove {}", container(key)?)),
        ("POST", ["volumes", "create"]) => Some("create a volume".to_owned()),
        ("DELETE", ["volumes", name]) => {
            let name = name.strip_prefix(project)?.trim_start_matches('_');
            Some(format!("remove volume {name}"))
        }
        _ => None,
    }
}
