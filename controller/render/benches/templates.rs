//! How long one service with 1,000 templates takes, on secrets that they share and on secrets of their own.
//!
//! `cargo bench -p locket-render`; prints the best of five runs, because the machine is shared.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a benchmark measures and prints"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use locket_crds::item::{Content, Input, Item, Target};
use locket_crds::reference::SecretRef;
use locket_crds::spec::{FileMode, Origin};
use locket_crds::template::Template;
use locket_provider::SecretValue;
use locket_render::{Key, RenderOptions, render};

const TEMPLATES: usize = 1_000;

fn main() {
    let small = br#"{"host":"db","user":"app","password":"p@ss w/rd"}"#.to_vec();
    let large = [
        br#"{"password":"p@ss w/rd","padding":""#.as_slice(),
        &vec![b'x'; 1 << 20],
        br#""}"#,
    ]
    .concat();
    let plain = "password={{ secret }}\n";
    let decoded = "url=postgres://app:{{ secret | jsonpath(\"$.password\") | urlencode }}@db/app\n";
    for (name, text, value, secrets) in [
        ("plain, one shared secret", plain, &small, 1),
        ("plain, 1,000 secrets", plain, &small, TEMPLATES),
        ("jsonpath, one shared secret", decoded, &small, 1),
        ("jsonpath, 1,000 secrets", decoded, &small, TEMPLATES),
        ("jsonpath, one shared secret of 1 MiB", decoded, &large, 1),
    ] {
        let best = (0..5).map(|_| run(text, value, secrets)).min().unwrap();
        println!("{TEMPLATES} templates, {name}: {best:.1?}");
    }
}

fn run(text: &str, value: &[u8], secrets: usize) -> std::time::Duration {
    let reference = |i: usize| -> SecretRef { format!("local:{}", i % secrets).parse().unwrap() };
    let values: BTreeMap<_, _> = (0..secrets)
        .map(|i| (reference(i), Arc::new(SecretValue::new(value.to_vec()))))
        .collect();
    let template = Template::parse(text).unwrap();
    let items: Vec<_> = (0..TEMPLATES)
        .map(|i| Item {
            target: Target::File {
                path: format!("{i}.conf"),
                file: FileMode::default(),
            },
            content: Content::Template {
                template: template.clone(),
                names: BTreeMap::from([(
                    "secret".into(),
                    Input {
                        reference: reference(i),
                        allow_empty: false,
                    },
                )]),
            },
            origin: Origin::default(),
        })
        .collect();
    let start = Instant::now();
    let rendered = render(
        &items,
        &values,
        &Key::new([7; 32]),
        RenderOptions::default(),
    );
    let took = start.elapsed();
    assert_eq!(rendered.ok().unwrap().files.len(), TEMPLATES);
    took
}
