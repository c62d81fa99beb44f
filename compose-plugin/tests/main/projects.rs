//! The corpus: projects as people write them, each in one file, `# file: NAME` before each part. Read from here by the tests of the
//! crate, too.

use std::path::Path;

/// The files of a project: name and text.
pub type Files = Vec<(String, String)>;

/// All projects by name.
pub fn all() -> Vec<(String, Files)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut out: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|it| it.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, parts(&std::fs::read_to_string(path).unwrap()))
        })
        .collect();
    out.sort();
    assert!(out.len() >= 30);
    out
}

/// The files in a text; without a name it is a `compose.yaml`.
pub fn parts(text: &str) -> Files {
    let mut out: Files = Vec::new();
    for line in text.split_inclusive('\n') {
        match line.trim_end().strip_prefix("# file: ") {
            Some(name) => out.push((name.to_owned(), String::new())),
            None => {
                if out.is_empty() {
                    out.push(("compose.yaml".to_owned(), String::new()));
                }
                let last = out.len() - 1;
                out[last].1.push_str(line);
            }
        }
    }
    out
}

/// Writes them.
pub fn write(dir: &Path, files: &[(String, String)]) {
    for (name, text) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}
