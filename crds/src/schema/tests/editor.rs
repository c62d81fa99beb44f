//! The files of `crds/tests/editor`: what a validator and our own reader say of them. What a YAML language server says
//! of the same files is in the e2e crate.
//!
//! | folder | editor and validator | reader |
//! |---|---|---|
//! | `good` | nothing | nothing |
//! | `bad` | a mistake | a mistake, on the same line |
//! | `reader-only` | nothing | a mistake: it knows more than a schema can |
//! | `editor-only` | a mistake | nothing: it is compose's to judge, or only unfinished |
//!
//! `# expect: LINE: WORDS` names the mistake, and what is said of it by whoever finds it (the editor, where both do).
//! A name that begins with `locket-yaml` is one of a locket.yaml.

use super::{json, takes};
use crate::compose::{ModelInput, compile};
use crate::config::HostConfig;
use crate::diag::Diagnostic;
use crate::schema::{compose, config};
use crate::text::Text;
use crate::yaml;

struct Case {
    name: String,
    text: String,
    /// Line and words.
    expected: Option<(u32, String)>,
}

fn cases(folder: &str) -> Vec<Case> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/editor/");
    let files = std::fs::read_dir(dir.to_owned() + folder).unwrap();
    let one = |file: std::io::Result<std::fs::DirEntry>| {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let expected = text.lines().find_map(|l| l.strip_prefix("# expect: "));
        let expected = expected.map(|it| {
            let (line, words) = it.split_once(':').unwrap();
            (line.parse().unwrap(), words.trim().to_owned())
        });
        Case {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            text,
            expected,
        }
    };
    let mut all: Vec<_> = files.map(one).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

impl Case {
    fn is_config(&self) -> bool {
        self.name.starts_with("locket-yaml")
    }

    fn fits_the_schema(&self) -> bool {
        let schema = if self.is_config() {
            config()
        } else {
            compose()
        };
        takes(&schema, &self.text)
    }

    /// The errors of our own reader, line and message.
    fn read(&self) -> Vec<(u32, String)> {
        let errors = if self.is_config() {
            HostConfig::parse("locket.yaml", &self.text)
                .err()
                .unwrap_or_default()
        } else {
            let input = ModelInput {
                model_yaml: &self.text,
                sources: &[Text::new("compose.yaml", self.text.as_str())],
                working_dir: "/home/me/shop",
                read_template: &|_| Ok(vec![(String::new(), "text".to_owned())]),
            };
            compile(&input).1
        };
        // A key that is not ours may only be a warning, and is a mistake all the same.
        let line = |it: &Diagnostic| (it.place.origin.line, it.message.clone());
        errors.iter().map(line).collect()
    }
}

#[test]
fn good_files() {
    let all = cases("good");
    assert!(all.len() >= 20);
    for case in all {
        assert!(case.fits_the_schema(), "{}", case.name);
        assert_eq!(case.read(), [], "{}", case.name);
    }
}

#[test]
fn bad_files() {
    let all = cases("bad");
    assert!(all.len() >= 30);
    let wrong = all.iter().filter_map(|case| {
        let found = case.read();
        let lines: Vec<_> = found.iter().map(|it| it.0).collect();
        let (line, _) = case.expected.clone().unwrap();
        let seen = !lines.is_empty() && lines.iter().all(|it| *it == line);
        (case.fits_the_schema() || !seen).then_some((&case.name, found))
    });
    assert_eq!(wrong.collect::<Vec<_>>(), []);
}

#[test]
fn mistakes_that_only_the_reader_can_see() {
    let all = cases("reader-only");
    let wrong = all.iter().filter_map(|case| {
        assert!(case.text.contains("# why: "), "{}", case.name);
        let found = case.read();
        let (line, words) = case.expected.clone().expect(&case.name);
        let as_expected =
            matches!(found.as_slice(), [(at, it)] if *at == line && it.contains(&words));
        (!case.fits_the_schema() || !as_expected).then_some((&case.name, found))
    });
    assert_eq!(wrong.collect::<Vec<_>>(), []);
}

#[test]
fn mistakes_that_only_a_schema_sees() {
    for case in cases("editor-only") {
        assert!(!case.fits_the_schema(), "{}", case.name);
        assert_eq!(case.read(), [], "{}", case.name);
        assert!(case.text.contains("# why: "), "{}", case.name);
    }
}

/// The reader's tree is what the validator looks at, so a merge key must mean to it what it means to an editor.
#[test]
fn a_merge_key_is_resolved_before_anybody_judges() {
    let tree = yaml::document("a: &a { b: 1 }\nc: { <<: *a }").unwrap();
    assert_eq!(json(&tree)["c"], serde_json::json!({ "b": 1 }));
}
