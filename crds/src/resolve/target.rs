//! Where files may go, and that no two go to one place.

use std::collections::BTreeMap;

use crate::diag::{Code, Diagnostic};
use crate::spec::Origin;

/// The longest part of a path, <https://man7.org/linux/man-pages/man7/path_resolution.7.html>.
const MAX_PART: usize = 255;
/// The longest path that is delivered; what is left of 4096 is for the mount point and the directories around it.
const MAX_PATH: usize = 2048;

/// The files of one service, with the place that asked for each.
#[derive(Default)]
pub(super) struct Targets(BTreeMap<String, Origin>);

impl Targets {
    /// Takes a place; tells why it cannot be had.
    pub(super) fn add(
        &mut self,
        path: &str,
        origin: &Origin,
        problems: &mut Vec<Diagnostic>,
    ) -> bool {
        if let Some((code, message)) = wrong(path) {
            let shown: String = path
                .chars()
                .take(80)
                .collect::<String>()
                .escape_debug()
                .to_string();
            let help = "write a relative path, below the service's `path`";
            problems.push(
                Diagnostic::new(
                    code,
                    origin.clone(),
                    format!("the target `{shown}` {message}"),
                )
                .help(help),
            );
            return false;
        }
        let parents = path
            .match_indices('/')
            .filter_map(|(at, _)| self.0.get_key_value(&path[..at]));
        let below = format!("{path}/");
        let children = self
            .0
            .range(below.clone()..)
            .take_while(|(other, _)| other.starts_with(&below));
        if let Some((other, first)) = self
            .0
            .get_key_value(path)
            .into_iter()
            .chain(parents)
            .chain(children)
            .next()
        {
            let message = match other == path {
                true => format!("two files have the target `{path}`"),
                false => format!("one of the targets `{path}` and `{other}` lies in the other"),
            };
            problems.push(
                Diagnostic::new(Code::TargetConflict, origin.clone(), message)
                    .label(first.clone(), "the other one")
                    .help("give one of them another `target`"),
            );
            return false;
        }
        self.0.insert(path.to_owned(), origin.clone());
        true
    }
}

/// Why no file can be there.
fn wrong(path: &str) -> Option<(Code, &'static str)> {
    let mut parts = path.split('/');
    if path.is_empty() {
        return Some((Code::Target, "is empty"));
    }
    if path.starts_with('/') {
        return Some((Code::Target, "is absolute"));
    }
    if path.contains(char::is_control)
        || path.len() > MAX_PATH
        || parts.clone().any(|p| p.len() > MAX_PART)
    {
        return Some((Code::Target, "has a control character, or is too long"));
    }
    if matches!(parts.next(), Some(".locket" | "..data")) {
        return Some((Code::Reserved, "lies where locket keeps its own files"));
    }
    let odd = |part: &str| matches!(part, "" | "." | "..");
    path.split('/')
        .any(odd)
        .then_some((Code::Target, "has a part that is empty, `.` or `..`"))
}

/// Whether a path is another one, or lies below it; both absolute and plain.
pub(super) fn within(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
