//! Files beside the project's own, which an import reads and never changes: env files of an `include`, and compose files of the
//! folder that compose was not told of this time, such as `compose.prod.yaml`.

use std::collections::BTreeSet;
use std::path::Path;

use locket_crds::compose::variables_of;
use locket_crds::yaml::{Node, Value as Yaml};

use crate::compose::files::clean;
use crate::compose::{Files, GENERATED};
use crate::user_files;

/// One of them.
#[derive(Clone)]
pub struct Aside {
    /// How it is named to people.
    pub name: String,
    /// What it says.
    pub text: String,
    kind: Kind,
}

/// What kind of file it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Env,
    Compose,
}

impl Aside {
    /// The env files that the includes of a compose file name; `dir` is that of the file.
    pub fn of_includes(files: &Files, root: &Node, dir: &Path) -> Vec<Self> {
        let Some(Yaml::List(all)) = root.get("include").map(|it| &it.value) else {
            return Vec::new();
        };
        let named = |it: &Node| match it.get("env_file").map(|it| &it.value) {
            Some(Yaml::Str(path)) => vec![path.clone()],
            Some(Yaml::List(all)) => all
                .iter()
                .filter_map(|it| it.as_str().map(str::to_owned))
                .collect(),
            _ => Vec::new(),
        };
        let paths = all.iter().flat_map(named);
        let read = |path: String| Self::read(files, &clean(&dir.join(path)), Kind::Env);
        paths.filter_map(read).collect()
    }

    /// Compose files in the project's folder that are none of the project's, as it was read this time.
    pub fn in_folder(files: &Files) -> Vec<Self> {
        let entries = std::fs::read_dir(&files.project_dir).into_iter().flatten();
        let mut paths: Vec<_> = entries.filter_map(|it| Some(it.ok()?.path())).collect();
        paths.sort();
        let other = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let yaml = name.ends_with(".yaml") || name.ends_with(".yml");
            yaml && name.contains("compose") && !files.paths.iter().any(|it| it == path)
        };
        let all = paths.iter().filter(|path| other(path));
        all.filter_map(|path| Self::read(files, path, Kind::Compose))
            .filter(|it| !it.text.starts_with(GENERATED))
            .collect()
    }

    fn read(files: &Files, path: &Path, kind: Kind) -> Option<Self> {
        Some(Self {
            name: files.name(path),
            text: user_files::read(path).ok()??,
            kind,
        })
    }

    /// Which of these variables compose would put into it.
    pub fn needs<'a>(&self, variables: &'a BTreeSet<String>) -> Vec<&'a str> {
        if self.kind != Kind::Compose {
            return Vec::new();
        }
        let used = variables_of(&self.text);
        let needed = variables.iter().filter(|it| used.contains(*it));
        needed.map(String::as_str).collect()
    }
}
