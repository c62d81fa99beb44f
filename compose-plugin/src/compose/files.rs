//! Which compose files are meant, in compose's own order of precedence: `-f`, `COMPOSE_FILE`, then the search upwards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::GENERATED;
use crate::error::{CommandError, Result};

/// What compose looks for in a directory.
const NAMES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];
/// What it takes along from the same directory; the first one only.
const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// Compose's flags that say which project is meant; the same on our command line and on compose's.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct ComposeFlags {
    /// Compose file; may be given several times
    #[arg(short, long, value_name = "FILE")]
    pub file: Vec<String>,
    /// Project name
    #[arg(short, long, value_name = "NAME")]
    pub project_name: Option<String>,
    /// Project directory, where relative paths begin
    #[arg(long, value_name = "DIR")]
    pub project_directory: Option<String>,
    /// File with variables, instead of `.env`; may be given several times
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<String>,
    /// Profile to enable; may be given several times
    #[arg(long, value_name = "NAME")]
    pub profile: Vec<String>,
}

impl ComposeFlags {
    /// Reads one flag of a command line; returns how many words it took, or nothing if it is none of these.
    pub fn one(&mut self, word: &str, next: Option<&String>) -> Option<usize> {
        let (name, value) = match (word.strip_prefix("--"), word.strip_prefix('-')) {
            (Some(long), _) => match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            },
            (None, Some(short)) => {
                let name = match short.chars().next()? {
                    'f' => "file",
                    'p' => "project-name",
                    _ => return None,
                };
                let attached = short[1..].strip_prefix('=').unwrap_or(&short[1..]);
                (name, (!attached.is_empty()).then(|| attached.to_owned()))
            }
            (None, None) => return None,
        };
        let used = if value.is_some() { 1 } else { 2 };
        let value = value.or(next.cloned());
        match name {
            "file" => self.file.extend(value),
            "project-name" => self.project_name = value,
            // `--workdir` is its old name.
            "project-directory" | "workdir" => self.project_directory = value,
            "env-file" => self.env_file.extend(value),
            "profile" => self.profile.extend(value),
            _ => return None,
        }
        Some(used)
    }

    /// The same flags for a run of compose, with other files.
    pub fn args(&self, files: &[PathBuf]) -> Vec<String> {
        let mut out = Vec::new();
        out.extend(files.iter().map(|f| format!("--file={}", f.display())));
        out.extend(
            self.project_name
                .iter()
                .map(|v| format!("--project-name={v}")),
        );
        out.extend(
            self.project_directory
                .iter()
                .map(|v| format!("--project-directory={v}")),
        );
        out.extend(self.env_file.iter().map(|v| format!("--env-file={v}")));
        out.extend(self.profile.iter().map(|v| format!("--profile={v}")));
        out
    }
}

/// How the files were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// By `-f`.
    Flags,
    /// By `COMPOSE_FILE` in the environment.
    Environment,
    /// By `COMPOSE_FILE` in a `.env` file.
    DotEnv,
    /// By compose's own search.
    Search,
}

/// The files of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Absolute, in compose's order; at least one.
    pub paths: Vec<PathBuf>,
    /// How they were found.
    pub how: How,
    /// Absolute; where relative paths in them begin.
    pub project_dir: PathBuf,
    /// The file in which `COMPOSE_FILE` names them, or could: paths in it are relative to its directory.
    pub env_file: PathBuf,
    /// The files with variables for interpolation, absolute; what a later one says counts.
    pub env_files: Vec<PathBuf>,
}

impl Files {
    /// How a file is named in messages and in the spec: relative to the project directory if it lies there.
    pub fn name(&self, path: &Path) -> String {
        path.strip_prefix(&self.project_dir)
            .unwrap_or(path)
            .display()
            .to_string()
    }

    /// The same without the files that `generate` has written: what the user says.
    #[must_use]
    pub fn without_generated(&self) -> Self {
        let paths = self
            .paths
            .iter()
            .filter(|p| !is_generated(p))
            .cloned()
            .collect();
        Self {
            paths,
            ..self.clone()
        }
    }

    /// The one that `generate` has written, if it is among them.
    pub fn generated(&self) -> Option<&Path> {
        self.paths
            .iter()
            .map(PathBuf::as_path)
            .find(|p| is_generated(p))
    }

    /// One that `generate` has written beside the compose file, and that compose was not told of.
    pub fn left_out(&self) -> Option<PathBuf> {
        if self.generated().is_some() {
            return None;
        }
        let names = OVERRIDES.iter().chain(&["compose.locket.yaml"]);
        let mut found = names.map(|name| self.project_dir.join(name));
        found.find(|path| is_generated(path))
    }

    /// The user's own override beside the compose file, in the way of ours: compose takes one only.
    pub fn foreign_override(&self) -> Option<PathBuf> {
        let mut found = OVERRIDES.iter().map(|name| self.project_dir.join(name));
        found.find(|p| p.exists() && !is_generated(p))
    }
}

/// Whether a file is one that `generate` has written.
pub fn is_generated(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|text| text.starts_with(GENERATED.as_bytes()))
}

/// Finds the files that compose would read with these flags, in this environment and (absolute) directory.
///
/// # Errors
/// The user's problem: no file, one that is not there, or `-f -`, which can be read only once and not by us.
pub fn find(flags: &ComposeFlags, env: &BTreeMap<String, String>, dir: &Path) -> Result<Files> {
    let given = flags
        .project_directory
        .as_ref()
        .map(|d| clean(&dir.join(d)));
    // Where compose looks before it knows the files.
    let first = match (&given, flags.file.first()) {
        (Some(given), _) => given.clone(),
        (None, Some(file)) => parent(&clean(&dir.join(file))),
        (None, None) => dir.to_owned(),
    };
    let env_files = |project_dir: &Path| match explicit(flags, env, dir) {
        Some(all) => all,
        None if is_disabled(env) => Vec::new(),
        None => vec![project_dir.join(".env"), first.join(".env")],
    };
    let (names, how) = if flags.file.is_empty() {
        match variable(env, &env_files(&first)) {
            Some(found) => found,
            None => {
                let paths = search(&first)?;
                let project_dir = given.unwrap_or_else(|| parent(&paths[0]));
                return Ok(Files {
                    paths,
                    how: How::Search,
                    env_file: project_dir.join(".env"),
                    env_files: env_files(&project_dir),
                    project_dir,
                });
            }
        }
    } else {
        (flags.file.clone(), How::Flags)
    };
    if names.iter().any(|name| name == "-") {
        return Err(CommandError::user(
            "the compose file comes from standard input, which locket cannot read again",
        )
        .hint("write it to a file and name that with `-f`"));
    }
    let paths: Vec<PathBuf> = names.iter().map(|name| clean(&dir.join(name))).collect();
    if let Some(missing) = paths.iter().find(|p| !p.exists()) {
        return Err(CommandError::user(format!(
            "there is no compose file {}",
            missing.display()
        )));
    }
    let project_dir = given.unwrap_or_else(|| parent(&paths[0]));
    let env_files = env_files(&project_dir);
    Ok(Files {
        paths,
        how,
        env_file: env_files.last().cloned().unwrap_or(first.join(".env")),
        env_files,
        project_dir,
    })
}

/// The files with variables that somebody has named; they stand where compose was called.
fn explicit(
    flags: &ComposeFlags,
    env: &BTreeMap<String, String>,
    dir: &Path,
) -> Option<Vec<PathBuf>> {
    let listed = env.get("COMPOSE_ENV_FILES").filter(|v| !v.is_empty());
    let names: Vec<&str> = match (flags.env_file.is_empty(), listed) {
        (false, _) => flags.env_file.iter().map(String::as_str).collect(),
        (true, Some(list)) => list.split(',').collect(),
        (true, None) => return None,
    };
    Some(names.iter().map(|name| clean(&dir.join(name))).collect())
}

/// Whether `.env` is not read. See <https://docs.docker.com/compose/how-tos/environment-variables/envvars/>.
fn is_disabled(env: &BTreeMap<String, String>) -> bool {
    let said = env.get("COMPOSE_DISABLE_ENV_FILE").map(String::as_str);
    matches!(said, Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
}

/// `COMPOSE_FILE`, from the environment or else from the files with variables.
fn variable(env: &BTreeMap<String, String>, files: &[PathBuf]) -> Option<(Vec<String>, How)> {
    let written: BTreeMap<String, String> = read(files).collect();
    let look = |name: &str| {
        env.get(name)
            .or_else(|| written.get(name))
            .filter(|v| !v.is_empty())
    };
    let list = look("COMPOSE_FILE")?;
    let separator = look("COMPOSE_PATH_SEPARATOR").map_or(":", String::as_str);
    let how = if env.get("COMPOSE_FILE").is_some_and(|v| !v.is_empty()) {
        How::Environment
    } else {
        How::DotEnv
    };
    Some((list.split(separator).map(str::to_owned).collect(), how))
}

/// All variables that files set for a project, for interpolation.
pub fn variables(files: &Files) -> BTreeMap<String, String> {
    said(files).collect()
}

/// The same, each as often as it is set.
pub fn said(files: &Files) -> impl Iterator<Item = (String, String)> {
    read(&files.env_files)
}

fn read(files: &[PathBuf]) -> impl Iterator<Item = (String, String)> {
    let texts = files
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok());
    texts.flat_map(|text| settings(&text))
}

/// `NAME=value` lines; a value may stand in quotes.
fn settings(text: &str) -> Vec<(String, String)> {
    let one = |line: &str| {
        let line = line.trim();
        let (name, value) = line
            .strip_prefix("export ")
            .unwrap_or(line)
            .split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        if name.starts_with('#') {
            return None;
        }
        let bare = |q: char| {
            value
                .strip_prefix(q)
                .and_then(|v| v.split_once(q))
                .map(|v| v.0)
        };
        let value = bare('"')
            .or_else(|| bare('\''))
            .unwrap_or_else(|| value.split(" #").next().unwrap_or(value).trim_end());
        Some((name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(one).collect()
}

/// Whether compose would find a file of its own in this directory.
pub fn has_one(dir: &Path) -> bool {
    in_dir(dir, &NAMES).is_some()
}

fn in_dir(dir: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| dir.join(name)).find(|p| p.exists())
}

/// Looks in a directory, then in its parents.
fn search(dir: &Path) -> Result<Vec<PathBuf>> {
    for dir in dir.ancestors() {
        if let Some(first) = in_dir(dir, &NAMES) {
            return Ok(std::iter::once(first)
                .chain(in_dir(dir, &OVERRIDES))
                .collect());
        }
    }
    Err(CommandError::user(format!(
        "there is no compose file in {} or above it",
        dir.display()
    ))
    .hint("name it with `-f`, or run this in the project's folder"))
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("/")).to_owned()
}

/// Without `.` and `..`, as compose cleans paths: by their text.
pub fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => drop(out.pop()),
            it => out.push(it),
        }
    }
    out
}

#[cfg(test)]
mod tests;
