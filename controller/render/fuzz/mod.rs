//! Filters and values: every answer keeps the promise of its last filter, and no refusal says a word of the value.

mod growth;

use std::collections::BTreeMap;

use locket_crds::item::{Content, Item, Target};
use locket_crds::reference::SecretRef;
use locket_crds::spec::{FileMode, Origin};
use locket_crds::template::{Part, Template};
use locket_provider::SecretValue;

use crate::{FILE_LIMIT, Key, RenderError, RenderOptions, render};

/// A part of the corpus's values.
const CANARY: &str = "hunter2";

/// A value through filters, as a file.
fn through(filters: &str, value: &[u8]) -> Option<Result<Vec<u8>, Vec<RenderError>>> {
    let template = Template::parse(&format!("{{{{ local:x{filters} }}}}")).ok()?;
    // Filters that end the expression, so that the rest is text.
    let [Part::Expr(_)] = template.parts() else {
        return None;
    };
    let item = Item {
        target: Target::File {
            path: "a".into(),
            file: FileMode::default(),
        },
        content: Content::Template {
            template,
            names: BTreeMap::new(),
        },
        origin: Origin::default(),
    };
    let reference: SecretRef = "local:x".parse().unwrap();
    let values = BTreeMap::from([(reference, SecretValue::new(value.to_vec()))]);
    let options = RenderOptions {
        now: Some(1_700_000_000),
    };
    let all = render(&[item], &values, &Key::new([7; 32]), options);
    Some(all.map(|it| it.files[0].bytes.expose().to_vec()))
}

/// Filters in the first line, as they are written behind an operand; the value is the rest.
fn expression(bytes: &[u8]) -> bool {
    let at = bytes
        .iter()
        .position(|b| *b == b'\n')
        .unwrap_or(bytes.len());
    let (filters, value) = (
        String::from_utf8_lossy(&bytes[..at]),
        bytes.get(at + 1..).unwrap_or_default(),
    );
    // Their work is bounded by a test of its own; here it would be all the work.
    if ["bcrypt", "htpasswd"].iter().any(|it| filters.contains(it)) {
        return false;
    }
    let (before, last) = filters.rsplit_once('|').unwrap_or(("", ""));
    match through(&filters, value) {
        None => false,
        Some(Ok(out)) => {
            assert!(out.len() <= FILE_LIMIT);
            if let Some(Ok(input)) =
                through(before, value).filter(|it| it.as_ref().is_ok_and(|it| !it.is_empty()))
            {
                promise(last.trim(), &input, &out);
            }
            true
        }
        Some(Err(problems)) => {
            for it in problems {
                let text = format!("{} {:?}", it.message, it.help);
                let told = text.contains(CANARY) && !filters.contains(CANARY);
                assert!(!told, "{text}");
            }
            false
        }
    }
}

fn promise(filter: &str, input: &[u8], out: &[u8]) {
    let text = || String::from_utf8_lossy(input).into_owned();
    let back = |with: &str| through(with, out).unwrap().unwrap();
    match filter {
        "json_string" => assert_eq!(serde_json::from_slice::<String>(out).unwrap(), text()),
        "yaml_string" => {
            let document = format!("k: {} # comment\n", String::from_utf8_lossy(out));
            let read: BTreeMap<String, String> = serde_saphyr::from_str(&document).unwrap();
            assert_eq!(read["k"], text());
        }
        "base64" => assert_eq!(back(" | base64d"), input),
        "hex" => assert_eq!(hex::decode(out).unwrap(), input),
        "json" => {
            // Not as a value: JSON has numbers that no type of ours holds.
            serde_json::from_slice::<&serde_json::value::RawValue>(out).unwrap();
            assert_eq!(back(" | json"), out);
        }
        // A filter that makes something regular leaves it as it is the second time.
        "trim" if !out.is_empty() => assert_eq!(back(" | trim"), out),
        "lines" | "upper" | "lower" | "pem_normalize" => {
            assert_eq!(back(&format!(" | {filter}")), out)
        }
        "sql_quote" | "shell_quote" | "dotenv_quote" => {
            assert!(!out.contains(&0) && out.len() >= 2)
        }
        "urlencode" => assert!(
            out.iter()
                .all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(b))
        ),
        _ => {}
    }
}

locket_fuzz::target!(filters, reach: 5, expression);
