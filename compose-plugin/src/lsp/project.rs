//! The project that an open file belongs to, as its files say it now: texts in editors count, not those on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use locket_crds::diag::Diagnostic;
use locket_crds::spec::ProjectSpec;
use locket_crds::text::Text;

use crate::cmd::check;
use crate::compose::{self, ComposeFlags, Files, Profiles, Request, files};

/// So many projects above a file are looked through for one that includes or extends it.
const ABOVE: usize = 6;

/// What is known of a project.
pub struct Project {
    /// Its files.
    pub files: Files,
    /// What they ask for, as far as it can be read.
    pub spec: Option<ProjectSpec>,
    /// All problems.
    pub problems: Vec<Diagnostic>,
    /// The texts that they are about, by name.
    pub texts: BTreeMap<String, String>,
}

impl Project {
    /// Reads the project of a file: the nearest one above it that compose would read it for, itself or because another file names it.
    /// A compose file that is in none is a project of its own; any other file is none.
    pub fn of(
        file: &Path,
        open: &BTreeMap<PathBuf, String>,
        env: &BTreeMap<String, String>,
    ) -> Option<Self> {
        let flags = ComposeFlags::default();
        let mut dir = file.parent()?.to_owned();
        for _ in 0..ABOVE {
            let Ok(files) = files::find(&flags, env, &dir) else {
                break;
            };
            let texts = compose::texts(&files, open).unwrap_or_default();
            let is_it = |it: &Text| files::clean(&files.project_dir.join(it.name())) == file;
            if texts.iter().any(is_it) {
                return Some(Self::read(texts, &flags, files, env));
            }
            let Some(above) = files.project_dir.parent() else {
                break;
            };
            dir = above.to_owned();
        }
        let flags = ComposeFlags {
            file: vec![file.display().to_string()],
            ..ComposeFlags::default()
        };
        let files = files::find(&flags, env, file.parent()?).ok()?;
        let texts = compose::texts(&files, open).ok()?;
        is_compose(file, texts.last()?).then(|| Self::read(texts, &flags, files, env))
    }

    fn read(
        texts: Vec<Text>,
        flags: &ComposeFlags,
        files: Files,
        env: &BTreeMap<String, String>,
    ) -> Self {
        let request = Request {
            flags,
            files: &files,
            profiles: Profiles::All,
        };
        let both = |it: &Text| (it.name().to_owned(), it.text().to_owned());
        let kept = texts.iter().map(both).collect();
        let (loaded, problems) = check::of_texts(compose::of_texts(texts, &request, env));
        Self {
            spec: loaded.spec,
            problems,
            texts: kept,
            files,
        }
    }

    /// The path of a file by the name that problems have.
    pub fn path(&self, name: &str) -> PathBuf {
        files::clean(&self.files.project_dir.join(name))
    }

    /// What tells it from others: its first file.
    pub fn key(&self) -> &Path {
        &self.files.paths[0]
    }
}

/// Whether a YAML file is one of compose's: editors ask about all of them.
fn is_compose(file: &Path, text: &Text) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let key = |line: &str| line.starts_with("services:") || line.starts_with("x-locket:");
    name.contains("compose") || text.text().lines().any(key)
}
