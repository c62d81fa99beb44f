//! The command line of the `docker compose` that started us as a provider: it knows what the protocol does not tell.

use super::GlobalFlags;
use crate::compose::ComposeFlags;

/// How many ancestors are looked at.
const GENERATIONS: usize = 8;

/// A `docker compose …` command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The docker CLI's own flags.
    pub globals: GlobalFlags,
    /// Which files, which project.
    pub compose: ComposeFlags,
    /// Compose's command and its arguments: `up -d`.
    pub command: Vec<String>,
}

impl Parent {
    /// The nearest of these command lines that is one of compose; see [`ancestors`].
    pub fn nearest(lines: &[Vec<String>]) -> Option<Self> {
        lines.iter().find_map(|argv| Self::of(argv))
    }

    /// Reads `docker-compose [globals] compose [flags] …`, `docker [globals] compose …` or `docker-compose [flags] …`.
    pub fn of(argv: &[String]) -> Option<Self> {
        let (program, args) = argv.split_first()?;
        let name = program.rsplit('/').next()?.trim_end_matches(".exe");
        let (globals, rest) = GlobalFlags::take(args);
        let rest = match (name, rest.split_first()) {
            // The docker CLI runs its plugin with all of its own arguments.
            ("docker" | "docker-compose", Some((word, rest))) if word == "compose" => rest,
            ("docker-compose", _) => rest,
            _ => return None,
        };
        let (compose, globals, command) = flags(globals, rest);
        Some(Self {
            globals,
            compose,
            command: command.to_vec(),
        })
    }
}

/// Compose's own flags, among which the docker CLI's may stand too.
fn flags(mut globals: GlobalFlags, mut rest: &[String]) -> (ComposeFlags, GlobalFlags, &[String]) {
    let mut compose = ComposeFlags::default();
    while let Some((word, after)) = rest.split_first() {
        if !word.starts_with('-') {
            break;
        }
        let used = compose
            .one(word, after.first())
            .or_else(|| globals.one(word, after.first()))
            // Flags of compose that are of no interest here; those with a value take the next word along.
            .unwrap_or(match word.as_str() {
                "--ansi" | "--progress" | "--parallel" => 2,
                _ => 1,
            });
        rest = &rest[used.min(rest.len())..];
    }
    (compose, globals, rest)
}

/// The command lines of our ancestors, the parent's first. Empty where the system does not tell.
pub fn ancestors() -> Vec<Vec<String>> {
    let mut out = Vec::new();
    let mut pid = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    while pid > 1 && out.len() < GENERATIONS {
        let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else {
            break;
        };
        let words = line.strip_suffix(b"\0").unwrap_or(&line).split(|b| *b == 0);
        out.push(
            words
                .map(|w| String::from_utf8_lossy(w).into_owned())
                .collect(),
        );
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let parent = status.lines().find_map(|l| l.strip_prefix("PPid:"));
        pid = parent.and_then(|p| p.trim().parse().ok()).unwrap_or(0);
    }
    out
}
