//! What an editor needs of a schema and a validator does not: text on every node, and unions whose messages name the
//! real mistake.
//!
//! Of `anyOf` an editor can only say that nothing fits, or guess which of the branches was meant. The branches of our
//! unions differ in their type, so each becomes the answer to an `if` on it. Editors also offer nothing from
//! within such branches; what they have to offer is said on the union as well, in `defaultSnippets`.

use serde_json::{Map, Value, json};

/// Stands between a text and its example.
const EXAMPLE: &str = "\n\nExample: `";

/// Makes a raw schema, as the types and [`super::compose`] give it, one for editors.
///
/// What it is and of which version is in `$comment`: editors would put a title in front of every text below it.
pub(super) fn finish(mut schema: Value, what: &str) -> Value {
    let definitions = schema["definitions"].clone();
    node(&mut schema, &definitions);
    prune(&mut schema);
    if let Value::Object(root) = &mut schema {
        root.remove("title");
    }
    schema["$comment"] = format!("{what}, locket {}", env!("CARGO_PKG_VERSION")).into();
    schema
}

fn node(value: &mut Value, definitions: &Value) {
    match value {
        Value::Object(all) => {
            // An empty key is allowed by the readers, but to whoever looks at it in an editor it is unfinished.
            if let Some(Value::Array(types)) = all.get_mut("type")
                && types.len() == 2
                && types[1] == "null"
            {
                let only = types.swap_remove(0);
                all.insert("type".to_owned(), only);
            }
            // Of Rust's integers; `minimum` says the same to everybody.
            if all.get("format").is_some_and(Value::is_string) {
                all.remove("format");
            }
            if let Some(Value::Array(branches)) = all.get_mut("anyOf") {
                branches.retain(|it| it["type"] != "null");
                if let [only] = branches.as_mut_slice() {
                    let only = only.take();
                    all.remove("anyOf");
                    // Whatever stands beside a `$ref` is not looked at.
                    all.insert("allOf".to_owned(), json!([only]));
                }
            }
            if let Some([only]) = all
                .get("allOf")
                .and_then(Value::as_array)
                .map(Vec::as_slice)
                && let Some(it) = here(only, definitions)
            {
                all.remove("allOf");
                for (key, it) in it {
                    all.entry(key).or_insert(it);
                }
            }
            if let Some(Value::Array(branches)) = all.remove("anyOf") {
                union(all, branches, definitions);
            }
            text(all);
            all.values_mut().for_each(|it| node(it, definitions));
        }
        Value::Array(all) => all.iter_mut().for_each(|it| node(it, definitions)),
        _ => {}
    }
}

/// A definition that is no mapping, to be put in the place of a reference to it, without its text: of several texts on
/// one node an editor shows the innermost, and what a key is for is said further out.
fn here(it: &Value, definitions: &Value) -> Option<Map<String, Value>> {
    it.get("$ref")?;
    let mut it = resolved(it, definitions).as_object()?.clone();
    it.remove("description");
    let mapping = it.contains_key("properties");
    (!mapping).then_some(it)
}

fn union(at: &mut Map<String, Value>, branches: Vec<Value>, definitions: &Value) {
    let mut all = Vec::new();
    let mut offered = Vec::new();
    let mut chain = None;
    for branch in branches.into_iter().rev() {
        let types = types(&branch, definitions);
        offered.splice(0..0, offers(&branch, definitions));
        all.splice(0..0, types.iter().cloned());
        let of_type = match types.as_slice() {
            [one] => one.clone(),
            _ => types.into(),
        };
        let branch = here(&branch, definitions).map_or(branch, Value::from);
        let mut it = json!({ "if": { "type": of_type }, "then": branch });
        if let Some(rest) = chain {
            it["else"] = rest;
        }
        chain = Some(it);
    }
    if let Some(Value::Object(chain)) = chain {
        at.extend(chain);
    }
    at.insert("type".to_owned(), all.into());
    if !offered.is_empty() {
        at.insert("defaultSnippets".to_owned(), offered.into());
    }
}

/// Takes definitions away that nothing refers to any more.
fn prune(schema: &mut Value) {
    loop {
        let text = schema.to_string();
        let Some(Value::Object(all)) = schema.get_mut("definitions") else {
            return;
        };
        let before = all.len();
        all.retain(|name, _| text.contains(&format!("\"#/definitions/{name}\"")));
        if all.len() == before {
            return;
        }
    }
}

fn resolved<'a>(it: &'a Value, definitions: &'a Value) -> &'a Value {
    let name = it["$ref"].as_str().and_then(|r| r.rsplit('/').next());
    name.map_or(it, |name| &definitions[name])
}

fn types(branch: &Value, definitions: &Value) -> Vec<Value> {
    match &resolved(branch, definitions)["type"] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    }
}

/// What a branch would have an editor offer.
fn offers(branch: &Value, definitions: &Value) -> Vec<Value> {
    let it = resolved(branch, definitions);
    if let Some(all) = it["defaultSnippets"].as_array() {
        return all.clone();
    }
    let words = it["enum"].as_array().into_iter().flatten();
    words
        .map(|word| json!({ "label": word, "body": word }))
        .collect()
}

/// Some editors show `description`, some `markdownDescription`; our text is both.
fn text(at: &mut Map<String, Value>) {
    let Some(Value::String(text)) = at.get("description") else {
        return;
    };
    let (plain, markdown) = match text.split_once(EXAMPLE) {
        Some((text, example)) => {
            let example = example.trim_end_matches('`');
            (
                format!("{text}\n\nExample: {example}"),
                format!("{text}\n\n```yaml\n{example}\n```"),
            )
        }
        None => (text.clone(), text.clone()),
    };
    at.insert("description".to_owned(), plain.into());
    at.insert("markdownDescription".to_owned(), markdown.into());
}
