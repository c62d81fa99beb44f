mod editor;

use expect_test::expect_file;
use serde_json::Value;

use super::*;
use crate::yaml::{self, Node};

/// A tree as JSON, as an editor's schema check sees it.
fn json(node: &Node) -> Value {
    match &node.value {
        yaml::Value::Null => Value::Null,
        yaml::Value::Bool(it) => (*it).into(),
        yaml::Value::Int(it) => (*it).into(),
        yaml::Value::Float(it) => (*it).into(),
        yaml::Value::Str(it) => it.as_str().into(),
        yaml::Value::List(all) => all.iter().map(json).collect(),
        yaml::Value::Map(all) => Value::Object(
            all.iter()
                .filter_map(|e| Some((e.key.clone()?, json(&e.node))))
                .collect(),
        ),
    }
}

fn takes(schema: &Value, text: &str) -> bool {
    let validator = jsonschema::validator_for(schema).unwrap();
    validator.is_valid(&json(&yaml::document(text).unwrap()))
}

fn written(schema: &Value) -> String {
    serde_json::to_string_pretty(schema).unwrap() + "\n"
}

#[test]
fn what_is_committed_is_what_the_types_say() {
    // UPDATE_EXPECT=1 writes the files anew.
    expect_file!["../../../docs/schema/x-locket.json"].assert_eq(&written(&x_locket()));
    expect_file!["../../../docs/schema/compose.json"].assert_eq(&written(&compose()));
    expect_file!["../../../docs/schema/config.json"].assert_eq(&written(&config()));
}

#[test]
fn all_are_schemas_of_draft_07() {
    for schema in [x_locket(), compose(), config()] {
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
        assert!(jsonschema::draft7::meta::is_valid(&schema));
    }
}

/// Calls with each property and each definition: where it is, its key (none for a definition) and its schema.
fn each_node<'a>(schema: &'a Value, visit: &mut dyn FnMut(&str, Option<&str>, &'a Value)) {
    fn properties<'a>(
        at: &str,
        it: &'a Value,
        visit: &mut dyn FnMut(&str, Option<&str>, &'a Value),
    ) {
        for (key, it) in it["properties"].as_object().into_iter().flatten() {
            visit(&format!("{at}.{key}"), Some(key), it);
        }
    }
    properties("root", schema, visit);
    for (name, it) in schema["definitions"].as_object().unwrap() {
        visit(name, None, it);
        properties(name, it, visit);
    }
}

#[test]
fn every_node_has_a_text_with_an_example_that_it_takes() {
    for (own, schema) in [(true, x_locket()), (true, config()), (false, compose())] {
        each_node(&schema, &mut |at, key, it| {
            let plain = it["description"].as_str().unwrap_or_else(|| panic!("{at}"));
            let markdown = it["markdownDescription"].as_str().unwrap();
            // The mappings of compose only have examples where they are used.
            if key.is_none() && !own {
                return;
            }
            let (text, example) = plain.split_once("\n\nExample: ").expect(at);
            assert_eq!(markdown, format!("{text}\n\n```yaml\n{example}\n```"));
            let node = yaml::document(example).expect(at);
            let value = match key {
                Some(key) => json(node.get(key).expect(at)),
                None => json(&node),
            };
            let mut alone = it.clone();
            alone["definitions"] = schema["definitions"].clone();
            let validator = jsonschema::draft7::new(&alone).unwrap();
            assert!(validator.is_valid(&value), "{at}: {example}");
        });
    }
}

#[test]
fn an_editor_can_tell_which_branch_was_meant() {
    fn look(at: &Value) {
        match at {
            Value::Object(all) => {
                assert!(
                    !all.contains_key("anyOf") && !all.contains_key("oneOf"),
                    "{at}"
                );
                if all.contains_key("$ref") {
                    assert_eq!(
                        all.len(),
                        1,
                        "what stands beside a $ref is not looked at: {at}"
                    );
                }
                all.values().for_each(look);
            }
            Value::Array(all) => all.iter().for_each(look),
            _ => {}
        }
    }
    [x_locket(), compose(), config()].iter().for_each(look);
}

#[test]
fn no_word_of_the_tables_is_one_that_nothing_knows() {
    let schema = compose();
    each_node(&schema, &mut |_, _, _| {});
    let text = schema.to_string();
    for (at, _) in text.match_indices("#/definitions/") {
        let name = &text[at + "#/definitions/".len()..];
        let name = &name[..name.find('"').unwrap()];
        assert!(schema["definitions"].get(name).is_some(), "{name}");
    }
}

#[test]
fn schema_and_reader_know_the_same_keys() {
    let schema = x_locket();
    for (name, mut expected) in crate::compose::keys() {
        let properties = schema["definitions"][name]["properties"]
            .as_object()
            .unwrap_or_else(|| panic!("{name}"));
        let mut found: Vec<_> = properties.keys().map(String::as_str).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn the_schema_takes_what_the_reader_takes() {
    let schema = x_locket();
    for text in [
        "{}",
        "services: { api: { image: x, x-locket: [a, { source: 'local:a', mode: 0440, uid: service, gid: 5 }] } }",
        "x-locket: { sources: { op: 1password, bao: { type: bao, url: 'https://x:1/v', auth: { approle: { role_id: r, secret_id: { file: /x } } }, timeout: 5s } } }",
        "x-locket: { secrets: { a: 'local:a', b: { ref: 'op://a b/c', fields: { x: y }, allow_empty: true, refresh: 1m30s } }, defaults: { on_change: restart, settle: 500ms }, services: { api: [a] } }",
        "services: { api: { x-locket: { path: /etc/app, env: { A: a, B: '{{ a }}', C: { secret: a, via: compose } }, templates: [{ content: x, target: y, mode: '0400' }], on_change: 'signal:HUP' } } }",
        "services: { api: { x-locket: { on_change: { exec: [a], timeout: 1s } } } }",
    ] {
        assert!(takes(&schema, text), "{text}");
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let schema = x_locket();
    for text in [
        "x-locket: { source: {} }",
        "x-locket: { sources: { a: opnebao } }",
        "x-locket: { sources: { a: { url: 'https://x' } } }",
        "x-locket: { sources: { a: { type: vault, url: 'https://u:p@x' } } }",
        "x-locket: { sources: { a: { type: vault, auth: { token: hunter2 } } } }",
        "x-locket: { sources: { a: { type: vault, auth: {} } } }",
        "x-locket: { secrets: [a] }",
        "x-locket: { secrets: { a: hunter2 } }",
        "x-locket: { defaults: { settle: soon } }",
        "services: { api: { x-locket: text } }",
        "services: { api: { x-locket: { secrets: [{ target: x }] } } }",
        "services: { api: { x-locket: { secrets: [{ source: x, update: move }] } } }",
        "services: { api: { x-locket: { env: [A] } } }",
        "services: { api: { x-locket: { path: run } } }",
        "services: { api: { x-locket: { on_change: explode } } }",
        "services: { api: { x-locket: { on_change: { exec: 'a b' } } } }",
    ] {
        assert!(!takes(&schema, text), "{text}");
    }
}

#[test]
fn the_schema_of_locket_yaml_agrees_with_its_reader() {
    let schema = config();
    let good = "sources: { env: env }\ndefaults: { on_change: none, quiet: 1s }\nlimits: { value: 64KiB }\ngrants: [{ project: '*', references: ['bao:kv/'], sources: [a, { type: vault, url: 'https://x' }] }]";
    let listen = "listen: { address: '[::1]:9480', tls: { cert: /c, key: /k }, metrics: { token: { file: /t } }, hooks: { a: { secret: { env: A } }, b: { secret: { file: /b }, signature: github }, c: { secret: { file: /c }, signature: { header: X-S, prefix: 'v1=', encoding: base64, timestamp: { part: 't=' }, content: '{timestamp}:{x-id}:{body}', tolerance: 1m } } } }";
    for good in [good, listen] {
        assert!(takes(&schema, good), "{good}");
        assert!(
            crate::config::HostConfig::parse("f", good).is_ok(),
            "{good}"
        );
    }
    for bad in [
        "source: {}",
        "defaults: { settle: x }",
        "limits: { value: 1GB }",
        "grants: [{ sources: [a] }]",
        "grants: [{ project: p, references: [a] }]",
        "listen: { metrics: true }",
        "listen: { address: localhost }",
        "listen: { address: '127.0.0.1:1', hooks: { a: {} } }",
        "listen: { address: '127.0.0.1:1', hooks: { a: { secret: text } } }",
        "listen: { address: '127.0.0.1:1', hooks: { a: { secret: { file: /a }, signature: gitlab } } }",
        "listen: { address: '127.0.0.1:1', tls: { cert: /c } }",
        "listen: { address: '127.0.0.1:1', metrics: { token: text } }",
    ] {
        assert!(!takes(&schema, bad), "{bad}");
        assert!(crate::config::HostConfig::parse("f", bad).is_err(), "{bad}");
    }
}
