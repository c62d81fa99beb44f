mod bad;
mod good;

use super::*;
use crate::diag::{SourceMap, render_text};

/// Compiles files whose model is the last one's text with `${NAME}` replaced, as `docker compose config` would print it.
pub(super) fn compile_with(
    files: &[(&str, &str)],
    vars: &[(&str, &str)],
) -> (Option<ProjectSpec>, String) {
    let model = vars
        .iter()
        .fold(files.last().unwrap().1.to_owned(), |text, (name, value)| {
            text.replace(&format!("${{{name}}}"), value)
        });
    compile_model(&model, files)
}

pub(super) fn compile_model(model: &str, files: &[(&str, &str)]) -> (Option<ProjectSpec>, String) {
    let sources: Vec<Text> = files
        .iter()
        .map(|(name, text)| Text::new(*name, *text))
        .collect();
    let read_template = |path: &str| match path {
        "./app.toml.tpl" => Ok(vec![(
            String::new(),
            "# ü\nkey = {{ local:db | json_string }}\n".to_owned(),
        )]),
        "./bad.tpl" => Ok(vec![(String::new(), "ok\n  {{ db | bse64 }}\n".to_owned())]),
        "./conf.d/" => Ok(vec![
            ("a.conf".to_owned(), "a".to_owned()),
            ("sub/b.conf".to_owned(), "{{ local:db }}".to_owned()),
        ]),
        _ => Err("no such file".to_owned()),
    };
    let input = ModelInput {
        model_yaml: model,
        sources: &sources,
        working_dir: "/home/me/shop",
        read_template: &read_template,
    };
    let (spec, problems) = compile(&input);
    (
        spec,
        render_text(&problems, &sources.iter().collect::<SourceMap>(), false),
    )
}

/// The spec of a text that has no problem.
pub(super) fn good(text: &str) -> ProjectSpec {
    let (spec, problems) = compile_with(&[("compose.yaml", text)], &[]);
    assert_eq!(problems, "");
    spec.unwrap()
}

/// The problems of `x-locket` texts, each with a heading.
pub(super) fn bad(text: &str) -> String {
    let (spec, problems) = compile_with(&[("compose.yaml", text)], &[]);
    assert!(spec.is_none() || !problems.contains("error["), "{problems}");
    problems
}

/// What the reader takes, for whoever says the same elsewhere: the schema.
pub(crate) fn keys() -> [(&'static str, Vec<&'static str>); 7] {
    [
        ("Project", KEYS.to_vec()),
        ("Source", source::KEYS.to_vec()),
        ("Secret", catalogue::KEYS.to_vec()),
        ("Service", service::KEYS.to_vec()),
        ("OnChange", values::CHANGE_KEYS.to_vec()),
        ("Defaults", values::DEFAULT_KEYS.to_vec()),
        (
            "File",
            [&values::MODE_KEYS[..], &["source", "target"]].concat(),
        ),
    ]
}
