//! What compose itself reads, so that one schema checks a whole compose file.
//!
//! It is written from the reference of the Compose file format, has text and examples of its own, and is exact about
//! keys: a misspelt one is a mistake. Values are judged by their type only; compose knows the rest better.
//! A key is a [`Row`], and what it takes is a word of the small language of [`shape`].

mod file;
mod parts;
mod service;

use serde_json::{Map, Value, json};

/// A key: its name, its shape, what it is, and the value of an example.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// A mapping of compose: its name among the definitions, what it is, keys that must be there, and all of them.
struct Part {
    name: &'static str,
    text: &'static str,
    required: &'static [&'static str],
    rows: &'static [Row],
    /// Whether nothing at all may stand in its place.
    null: bool,
}

/// Puts everything of compose around the raw schema of `x-locket`.
pub(super) fn with(mut x_locket: Value) -> Value {
    let mut definitions = match x_locket["definitions"].take() {
        Value::Object(all) => all,
        _ => Map::new(),
    };
    let of_service = definitions.remove("ComposeService").unwrap_or_default();
    let parts = file::PARTS.iter().chain(parts::PARTS);
    let parts = parts.chain([&service::SERVICE]);
    definitions.extend(parts.map(|it| (it.name.to_owned(), it.schema())));
    definitions["service"]["properties"]["x-locket"] = of_service["properties"]["x-locket"].clone();
    let mut root = file::FILE.schema();
    root["properties"]["x-locket"] = x_locket["properties"]["x-locket"].take();
    root["$schema"] = x_locket["$schema"].take();
    root["definitions"] = definitions.into();
    root
}

impl Part {
    fn schema(&self) -> Value {
        let properties: Map<_, _> = self.rows.iter().map(property).collect();
        let mut it = json!({
            "type": "object",
            "properties": properties,
            "patternProperties": { "^x-": {} },
            "additionalProperties": false,
        });
        if self.null {
            it["type"] = json!(["null", "object"]);
        }
        if !self.required.is_empty() {
            it["required"] = json!(self.required);
        }
        it["description"] = self.text.into();
        it
    }
}

fn property((name, takes, text, example): &Row) -> (String, Value) {
    let mut it = shape(takes);
    it["description"] = format!("{text}\n\nExample: `{name}: {example}`").into();
    ((*name).to_owned(), it)
}

/// Reads a shape: alternatives with `|` between them.
///
/// | word | what it takes |
/// |---|---|
/// | `text`, `bool`, `int`, `number`, `null` | one of these types |
/// | `flag`, `count`, `amount` | a boolean, an integer or a number; or text, for compose's variables |
/// | `any` | anything |
/// | `[…]`, `{…}` | a list or a mapping of what stands inside |
/// | `pairs` | a mapping of scalars, or a list of `NAME=value` |
/// | `=a,b` | one of these words |
/// | `~a,b` | text; an editor offers these words |
/// | `#name` | that definition |
fn shape(text: &str) -> Value {
    let mut types = Vec::new();
    let mut scalar = Map::new();
    let mut branches = Vec::new();
    for word in alternatives(text) {
        let (first, rest) = word.split_at(1);
        match (first, word) {
            (_, "any") => return json!({}),
            (_, "pairs") => {
                branches.push(shape("[text]"));
                branches.push(shape("{text|number|bool|null}"));
            }
            (_, "flag") => types.extend(["boolean", "string"]),
            (_, "count") => types.extend(["integer", "string"]),
            (_, "amount") => types.extend(["number", "string"]),
            (_, "text") => types.push("string"),
            (_, "bool") => types.push("boolean"),
            (_, "int") => types.push("integer"),
            (_, "number") => types.push("number"),
            // In front: behind another type it would be what schemars makes of an `Option`, which editors::finish drops.
            (_, "null") => types.insert(0, "null"),
            ("[", _) => branches.push(json!({ "type": "array", "items": shape(inner(word)) })),
            ("{", _) => {
                branches
                    .push(json!({ "type": "object", "additionalProperties": shape(inner(word)) }));
            }
            ("#", _) => branches.push(json!({ "$ref": format!("#/definitions/{rest}") })),
            ("=", _) => {
                types.push("string");
                scalar.insert("enum".to_owned(), rest.split(',').collect());
            }
            _ => {
                types.push("string");
                let offers = word.trim_start_matches('~').split(',');
                let offers = offers
                    .map(|it| json!({ "label": it, "body": it }))
                    .collect();
                scalar.insert("defaultSnippets".to_owned(), offers);
            }
        }
    }
    if !types.is_empty() {
        let types = match types.as_slice() {
            [one] => json!(one),
            all => json!(all),
        };
        scalar.insert("type".to_owned(), types);
        branches.insert(0, scalar.into());
    }
    match branches.as_slice() {
        [one] if one.get("$ref").is_none() => one.clone(),
        _ => json!({ "anyOf": branches }),
    }
}

fn inner(word: &str) -> &str {
    word.get(1..word.len() - 1).unwrap_or_default()
}

/// Splits at each `|` that is in no bracket.
fn alternatives(text: &str) -> Vec<&str> {
    let mut depth = 0;
    text.split(|c: char| {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        c == '|' && depth == 0
    })
    .collect()
}
