//! Whole projects, from their files to the masked difference. Each is a folder of `tests/import`.
//!
//! Where compose is, it is asked what it makes of it, before and after. Elsewhere `resolved.json` and `written.yaml` are what
//! Compose 2.40 has answered; `UPDATE_EXPECT=1` writes them anew, with `expected.txt`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use expect_test::expect_file;
use locket_crds::yaml::{Node, Value as Yaml};
use locket_provider::SecretValue;

use super::find::{Kind, find};
use super::model::{MODEL, Model, Origin, Value, WRITTEN, probe};
use super::names::Content;
use super::places::Texts;
use super::plan::{Plan, Request, plan};
use crate::compose::{Files, How};

/// Files of a project's folder that are not the project's.
const OURS: [&str; 6] = [
    "resolved.json",
    "written.yaml",
    "expected.txt",
    "skip",
    "store",
    "vault",
];
/// Where the golden answers say that the project is.
const PLACE: &str = "/project";

fn projects() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|e| (e.path(), e.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else if !OURS.iter().any(|it| name == *it) {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn config(dir: &Path, files: &[PathBuf], words: &[&str]) -> Option<String> {
    let list: Vec<String> = files.iter().map(|it| it.display().to_string()).collect();
    let output = Command::new("docker")
        .args(["compose", "--profile=*", "config"])
        .args(words)
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH")?)
        .env("HOME", "/nonexistent")
        .env("COMPOSE_FILE", list.join(":"))
        .output()
        .ok()?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).ok()
}

fn has_compose() -> bool {
    static FOUND: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *FOUND.get_or_init(|| {
        let output = Command::new("docker").args(["compose", "version"]).output();
        output.is_ok_and(|it| it.status.success())
    })
}

struct Project {
    dir: tempfile::TempDir,
    golden: PathBuf,
    files: Files,
}

impl Project {
    fn new(golden: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(golden, dir.path());
        let names = ["compose.yaml", "compose.override.yaml"];
        let paths = names
            .iter()
            .map(|it| dir.path().join(it))
            .filter(|it| it.exists());
        let files = Files {
            paths: paths.collect(),
            how: How::Search,
            project_dir: dir.path().to_owned(),
            env_file: dir.path().join(".env"),
            env_files: vec![dir.path().join(".env")],
        };
        Self {
            dir,
            golden: golden.to_owned(),
            files,
        }
    }

    /// Compose's answers; those that are kept, where it is not here.
    fn model(&self, texts: &Texts, keep: bool) -> Model {
        let here = self.dir.path().display().to_string();
        let mut answers = Vec::new();
        for (name, words) in [("resolved.json", MODEL), ("written.yaml", WRITTEN)] {
            let golden = self.golden.join(name);
            // Of the new files only the environments are looked at.
            let asks = has_compose() && (keep || words == MODEL);
            let said = asks.then(|| {
                let mut files = self.files.paths.clone();
                let private = tempfile::tempdir().unwrap();
                if words == MODEL {
                    let settings =
                        std::fs::read_to_string(&self.files.env_file).unwrap_or_default();
                    std::fs::write(private.path().join("p.yaml"), probe(texts, &settings)).unwrap();
                    files.push(private.path().join("p.yaml"));
                }
                config(self.dir.path(), &files, words).unwrap()
            });
            let updates = std::env::var_os("UPDATE_EXPECT").is_some();
            if let (Some(text), true) = (&said, keep && updates) {
                expect_file![&golden].assert_eq(&text.replace(&here, PLACE));
            }
            let kept = || {
                std::fs::read_to_string(&golden)
                    .unwrap()
                    .replace(PLACE, &here)
            };
            answers.push(said.unwrap_or_else(kept));
        }
        Model::read(&answers[0], &answers[1]).unwrap()
    }
}

fn lines_of(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn value(bytes: &[u8]) -> Value {
    Arc::new(SecretValue::new(bytes.to_vec()))
}

/// The sources that the first file defines.
fn sources(tree: &Node) -> BTreeSet<String> {
    let all = tree.get("x-locket").and_then(|it| it.get("sources"));
    match all.map(|it| &it.value) {
        Some(Yaml::Map(all)) => all.iter().filter_map(|e| e.key.clone()).collect(),
        _ => BTreeSet::new(),
    }
}

/// What is told of a project, and whether compose agrees with what becomes of it.
fn import(golden: &Path) -> String {
    let project = Project::new(golden);
    let mut texts = Texts::read(&project.files).unwrap();
    let model = project.model(&texts, true);
    texts.add_env(&project.files, &model).unwrap();
    let trees = texts.trees().unwrap();
    let found = find(&model, &texts, &trees, &|_, _| false);
    let mut out = String::new();
    for it in &found.candidates {
        out += &format!("{}.{} at {}: {}\n", it.service, it.name, it.place, it.why);
    }
    let skipped = lines_of(&golden.join("skip"));
    let skips = |it: &&super::find::Candidate| {
        skipped.contains(&it.name) || skipped.contains(&format!("{}.{}", it.service, it.name))
    };
    let all = |skip: bool| {
        let all = found.candidates.iter().filter(move |it| {
            matches!(it.kind, Kind::Value | Kind::Reference(_)) && skips(it) == skip
        });
        all.map(|it| (it.service.clone(), it.name.clone()))
            .collect::<BTreeSet<_>>()
    };
    let secrets: BTreeSet<String> = found
        .candidates
        .iter()
        .filter(|it| it.kind == Kind::Secret)
        .map(|it| it.service.clone())
        .collect();
    let mut files = BTreeMap::new();
    for origin in model.secrets.values() {
        if let Origin::File(path) = origin {
            files.insert(path.clone(), value(&std::fs::read(path).unwrap()));
        }
    }
    let store: BTreeMap<String, String> = lines_of(&golden.join("store"))
        .iter()
        .filter_map(|it| it.split_once(' '))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let known = texts.compose[0].before.contains("db-password: bao:");
    let mut notes = Vec::new();
    let indexes = found.candidates.iter().enumerate();
    let left_out: BTreeSet<usize> = indexes
        .filter(|(_, it)| skips(it))
        .map(|(n, _)| n)
        .collect();
    let request = Request {
        model: &model,
        texts: &texts,
        variables: all(false),
        secrets,
        skip: all(true),
        files,
        paths: BTreeMap::new(),
        taken: Box::new(|name: &str, content: &Content| {
            let other = |it: &String| match content {
                Content::Value(value) => it.as_bytes() != value.expose(),
                _ => false,
            };
            (known && name == "db-password") || store.get(name).is_some_and(other)
        }),
        providers: found.taken_over(&left_out, &mut notes),
        labels: found.frees_labels(&left_out, &mut notes),
        sources: sources(&trees[0]),
        dir: project.dir.path().to_owned(),
        project: "shop".to_owned(),
        vault: lines_of(&golden.join("vault"))
            .first()
            .map(|it| (it.clone(), "value".to_owned())),
    };
    let made = match plan(request) {
        Ok(it) => it,
        Err(e) => return out + &format!("error: {}\n", e.one_line()),
    };
    for note in found.notes.iter().chain(&notes).chain(&made.notes) {
        out += &format!(
            "note: {}\n",
            note.replace(&project.dir.path().display().to_string(), PLACE)
        );
    }
    let names: BTreeSet<&str> = found.candidates.iter().map(|it| it.name.as_str()).collect();
    let values: Vec<Value> = made.values.values().map(Arc::clone).collect();
    out += &made.masked(&names, &values, false);
    for path in &made.removes {
        out += &format!("removes {}\n", project.files.name(path));
    }
    for (name, path) in &made.dso {
        out += &format!("{name} is DSO's {path}\n");
    }
    agrees(&project, &model, &made);
    gone(&made);
    out
}

/// Compose makes of the new files what it made of the old ones.
fn agrees(project: &Project, model: &Model, made: &Plan) {
    if !has_compose() {
        return;
    }
    let env = made.texts.env.iter().map(|it| &it.text);
    for it in made.texts.compose.iter().chain(env) {
        std::fs::write(&it.path, &it.now).unwrap();
    }
    let after = project.model(&made.texts, false);
    made.check(model, &after).unwrap();
}

/// No value that was moved stands in a file that was changed, unless it was said.
fn gone(made: &Plan) {
    let env = made.texts.env.iter().map(|it| &it.text);
    for it in made.texts.compose.iter().chain(env) {
        for value in made.values.values() {
            let value = std::str::from_utf8(value.expose()).unwrap();
            let first = value
                .lines()
                .nth(usize::from(value.lines().count() > 1))
                .unwrap_or_default();
            let left = it.now.contains(first)
                && !made
                    .notes
                    .iter()
                    .any(|it| it.contains("stay") || it.contains("still stands"));
            assert!(!left, "{} still holds a value", it.name);
        }
    }
}

#[test]
fn projects_change_as_they_should() {
    let mut all: Vec<PathBuf> = std::fs::read_dir(projects())
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    all.sort();
    assert!(all.len() >= 15);
    let one = |golden: &PathBuf| {
        let out = import(golden);
        assert!(
            !out.contains("canary"),
            "a value was shown of {}:\n{out}",
            golden.display()
        );
        expect_file![golden.join("expected.txt")].assert_eq(&out);
    };
    // Most of the time compose is waited for.
    std::thread::scope(|scope| {
        for golden in &all {
            scope.spawn(move || one(golden));
        }
    });
}
