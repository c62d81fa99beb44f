//! Reads the files of a project: those that compose is told of, those that they name, and templates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use locket_crds::compose::{TemplateFile, referenced_files};
use locket_crds::text::Text;

use super::Files;
use crate::error::{CommandError, Result};

/// Longest text of a template file, in bytes.
const MAX_TEMPLATE: u64 = 1 << 20;
/// Most files that one entry of `templates` may bring along, and most files that compose files may refer to.
const MAX_FILES: usize = 256;

/// The user's texts, those that they include or extend in front of them.
pub(super) fn sources(files: &Files) -> Result<Vec<Text>> {
    texts(files, &BTreeMap::new())
}

/// The same, where some texts are newer in an editor than on the disk: by path.
///
/// # Errors
/// A file cannot be read.
pub fn texts(files: &Files, open: &BTreeMap<PathBuf, String>) -> Result<Vec<Text>> {
    let read = |path: &Path| match open.get(path) {
        Some(text) => Ok(text.clone()),
        None => std::fs::read_to_string(path),
    };
    let mut out = Vec::new();
    let mut seen: BTreeSet<PathBuf> = files.paths.iter().cloned().collect();
    for path in &files.paths {
        let text = read(path).map_err(|e| {
            CommandError::user(format!("{} cannot be read", path.display())).because(e)
        })?;
        let text = Text::new(files.name(path), text);
        referenced(files, path, &text, &read, &mut seen, &mut out);
        out.push(text);
    }
    Ok(out)
}

fn referenced(
    files: &Files,
    from: &Path,
    text: &Text,
    read: &impl Fn(&Path) -> std::io::Result<String>,
    seen: &mut BTreeSet<PathBuf>,
    out: &mut Vec<Text>,
) {
    for name in referenced_files(text) {
        let path = from
            .parent()
            .unwrap_or(Path::new("/"))
            .join(name.trim_start_matches("./"));
        if seen.len() >= MAX_FILES || !seen.insert(path.clone()) {
            continue;
        }
        // What is remote or named by a variable is not at hand; the reader can do without it.
        let Ok(text) = read(&path) else {
            continue;
        };
        let text = Text::new(files.name(&path), text);
        referenced(files, &path, &text, read, seen, out);
        out.push(text);
    }
}

/// A template file, or all files under a directory, sorted.
pub(super) fn read_template(base: &Path, name: &str) -> Result<Vec<TemplateFile>, String> {
    let root = base.join(name);
    let mut out = Vec::new();
    let mut left = vec![(root, String::new())];
    while let Some((path, shown)) = left.pop() {
        let meta = std::fs::metadata(&path).map_err(|e| clause(&e))?;
        if meta.is_dir() {
            for entry in std::fs::read_dir(&path).map_err(|e| clause(&e))? {
                let entry = entry.map_err(|e| clause(&e))?;
                let name = entry
                    .file_name()
                    .into_string()
                    .map_err(|_| "a file's name is not UTF-8".to_owned())?;
                let shown = if shown.is_empty() {
                    name
                } else {
                    format!("{shown}/{name}")
                };
                left.push((entry.path(), shown));
            }
            continue;
        }
        if !meta.is_file() {
            return Err("it is no regular file".to_owned());
        }
        if meta.len() > MAX_TEMPLATE {
            return Err(format!("it has more than {} KiB", MAX_TEMPLATE >> 10));
        }
        if out.len() + left.len() >= MAX_FILES {
            return Err(format!("it has more than {MAX_FILES} files"));
        }
        let bytes = std::fs::read(&path).map_err(|e| clause(&e))?;
        out.push((
            shown,
            String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?,
        ));
    }
    out.sort();
    Ok(out)
}

fn clause(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound => "it is not there".to_owned(),
        std::io::ErrorKind::PermissionDenied => "it may not be read".to_owned(),
        _ => "it cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_templates_is_read_in_order_with_relative_names() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("t/sub")).unwrap();
        std::fs::write(dir.path().join("t/b"), "B").unwrap();
        std::fs::write(dir.path().join("t/sub/a"), "A").unwrap();
        let all = read_template(dir.path(), "./t").unwrap();
        assert_eq!(
            all,
            [
                ("b".to_owned(), "B".to_owned()),
                ("sub/a".to_owned(), "A".to_owned())
            ]
        );
        assert_eq!(
            read_template(dir.path(), "t/b").unwrap(),
            [(String::new(), "B".to_owned())]
        );
        assert_eq!(
            read_template(dir.path(), "nothing").unwrap_err(),
            "it is not there"
        );
    }
}
