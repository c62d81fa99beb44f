//! The project that an open file belongs to, as its files say it now: texts in editors count, not those on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use locket_crds::diag::Diagnostic;
use locket_crds::spec::ProjectSpec;
use locket_crds::text::Text;

use crate::cmd::check;
use crate::compose::{self, ComposeFlags, Files, Profiles, Request, files};

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
    /// Reads the project of a file. A file that compose would not find is a project of its own.
    pub fn of(
        file: &Path,
        open: &BTreeMap<PathBuf, String>,
        env: &BTreeMap<String, String>,
    ) -> Option<Self> {
        let dir = file.parent()?;
        let found = files::find(&ComposeFlags::default(), env, dir).ok();
        let (flags, files) = match found.filter(|it| it.paths.iter().any(|path| path == file)) {
            Some(files) => (ComposeFlags::default(), files),
            None => {
                let flags = ComposeFlags {
                    file: vec![file.display().to_string()],
                    ..ComposeFlags::default()
                };
                let files = files::find(&flags, env, dir).ok()?;
                (flags, files)
            }
        };
        let request = Request {
            flags: &flags,
            files: &files,
            profiles: Profiles::All,
        };
        let texts = compose::texts(&files, open).ok()?;
        let both = |it: &Text| (it.name().to_owned(), it.text().to_owned());
        let kept = texts.iter().map(both).collect();
        let (loaded, problems) = check::of_texts(compose::of_texts(texts, &request, env));
        Some(Self {
            spec: loaded.spec,
            problems,
            texts: kept,
            files,
        })
    }

    /// The path of a file by the name that problems have.
    pub fn path(&self, name: &str) -> PathBuf {
        self.files.project_dir.join(name)
    }
}
