//! `check` on files alone. Projects are texts in which a line `# file: NAME` begins a file.

mod corpus;
mod fixes;
mod formats;
mod mutations;
#[path = "../../../tests/main/projects.rs"]
mod projects;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use locket_crds::diag::Diagnostic;

use super::*;
use crate::compose::{GENERATED, Raw};
use crate::generate::{additions, document};

/// The codes of what a project lacks that `generate` has not seen.
const LACKS: [Code; 3] = [Code::NoGate, Code::Incomplete, Code::NotOrdered];

/// Where `generate` would write: as `.env` says, else beside the compose file.
fn generated(files: &[(String, String)]) -> &'static str {
    let listed = files
        .iter()
        .any(|it| it.0 == ".env" && it.1.contains("compose.locket.yaml"));
    if listed {
        "compose.locket.yaml"
    } else {
        "compose.override.yaml"
    }
}

/// The project in a directory, with what `generate` would add.
fn complete(files: &[(String, String)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    projects::write(dir.path(), files);
    let place = dir.path().join(generated(files));
    std::fs::write(&place, format!("{GENERATED}\nservices: {{}}\n")).unwrap();
    let found = offline(dir.path(), &BTreeMap::new()).unwrap();
    if let Some(spec) = &found.loaded.spec {
        let more = additions(spec, &Raw::default(), &BTreeMap::new());
        if !more.services.is_empty() {
            std::fs::write(&place, document::render(&more)).unwrap();
        }
    }
    dir
}

/// The files alone, in a directory.
fn offline(dir: &Path, env: &BTreeMap<String, String>) -> Result<Found> {
    let flags = ComposeFlags::default();
    let files = files::find(&flags, env, dir)?;
    let request = Request {
        flags: &flags,
        files: &files,
        profiles: Profiles::All,
    };
    compose::from_files(&request, env).map(of_files)
}

fn examined(dir: &Path) -> Found {
    offline(dir, &BTreeMap::new()).unwrap()
}

fn text(found: &Found) -> String {
    render_text(&found.problems, &found.loaded.sources, false)
}

#[test]
fn each_example_of_the_reference_has_its_problem_and_no_other() {
    for code in Code::ALL {
        let doc = code.explanation();
        assert!(!doc.cause.is_empty() && !doc.cure.is_empty(), "{code}");
        // What only compose finds.
        if *code == Code::Refused {
            continue;
        }
        let codes = |text: &str| {
            let dir = tempfile::tempdir().unwrap();
            projects::write(dir.path(), &projects::parts(text));
            let found = examined(dir.path());
            let counts = |it: &&Diagnostic| LACKS.contains(code) || !LACKS.contains(&it.code);
            let all: BTreeSet<Code> = found
                .problems
                .iter()
                .filter(counts)
                .map(|it| it.code)
                .collect();
            (all, super::tests::text(&found))
        };
        let (found, said) = codes(doc.bad);
        let mut expected = BTreeSet::from([*code]);
        // A service that waits for no gate has no volume either.
        if LACKS.contains(code) {
            expected.insert(Code::Incomplete);
        }
        assert_eq!(found, expected, "{code}: {}\n{said}", doc.bad);
        let (mut found, said) = codes(doc.good);
        if matches!(code, Code::NoGate | Code::NotOrdered) {
            found.remove(&Code::Incomplete);
        }
        assert!(found.is_empty(), "{code}: {}\n{said}", doc.good);
    }
}
