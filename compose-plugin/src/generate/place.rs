//! Where the generated file goes, so that plain `docker compose` reads it.

use std::path::PathBuf;

use crate::compose::{Files, How};

/// Where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Compose reads it by itself, or has been told to already.
    Read(PathBuf),
    /// `COMPOSE_FILE` in the `.env` of the project directory must name it.
    DotEnv(PathBuf),
    /// The user must name it: by `-f`.
    Flag(PathBuf),
    /// The user must name it: in the environment's `COMPOSE_FILE`.
    Environment(PathBuf),
}

impl Place {
    /// The file.
    pub fn path(&self) -> &PathBuf {
        match self {
            Place::Read(path)
            | Place::DotEnv(path)
            | Place::Flag(path)
            | Place::Environment(path) => path,
        }
    }
}

/// Chooses the place for a project whose files were found like this.
pub fn place(files: &Files) -> Place {
    if let Some(path) = files.generated() {
        return Place::Read(path.to_owned());
    }
    let beside = |name: &str| files.project_dir.join(name);
    match files.how {
        How::Flags => Place::Flag(beside("compose.locket.yaml")),
        How::Environment => Place::Environment(beside("compose.locket.yaml")),
        How::DotEnv => Place::DotEnv(beside("compose.locket.yaml")),
        How::Search if files.foreign_override().is_some() => {
            Place::DotEnv(beside("compose.locket.yaml"))
        }
        How::Search => Place::Read(beside("compose.override.yaml")),
    }
}

/// The `.env` text in which `COMPOSE_FILE` names all of these files; everything else in it stays as it is.
pub fn with_compose_file(text: &str, names: &[String]) -> String {
    let is_it = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line);
        line.split_once('=')
            .is_some_and(|(name, _)| name.trim() == "COMPOSE_FILE")
    };
    let separator = separator(text);
    let eol = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let setting = format!("COMPOSE_FILE={}", names.join(&separator));
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    match lines.iter().rposition(|line| is_it(line)) {
        Some(at) => lines[at] = format!("{}{setting}{}", start(&lines[at]), end(&lines[at])),
        None => {
            if let Some(last) = lines.last_mut().filter(|l| !l.ends_with('\n')) {
                last.push_str(eol);
            }
            lines.push(setting + eol);
        }
    }
    lines.concat()
}

/// What stands before the name in a line that sets a variable.
fn start(line: &str) -> &str {
    line.find("COMPOSE_FILE").map_or("", |at| &line[..at])
}

/// What stands behind the value: the comment, which begins after a blank, and the line's end.
fn end(line: &str) -> &str {
    let value = line.find('=').map_or(line, |at| &line[at + 1..]);
    let value = value.trim_start_matches([' ', '\t']);
    // In quotes a `#` is a part of the value.
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let closed = quote.and_then(|quote| {
        let at = value[1..].find(quote)?;
        Some(&value[at + 2..])
    });
    let behind = closed.unwrap_or(value);
    let comment = [" #", "\t#"].iter().filter_map(|c| behind.find(c)).min();
    let at = comment.unwrap_or_else(|| behind.trim_end().len());
    // The blanks before a comment belong to it.
    &behind[behind[..at].trim_end().len()..]
}

fn separator(text: &str) -> String {
    let mut found = text
        .lines()
        .filter_map(|l| l.trim().strip_prefix("COMPOSE_PATH_SEPARATOR="));
    found
        .next_back()
        .map(|v| v.trim().trim_matches(['"', '\'']))
        .filter(|v| !v.is_empty())
        .unwrap_or(":")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_line_of_the_env_file_changes() {
        let names = ["a.yaml".to_owned(), "compose.locket.yaml".to_owned()];
        let to = |text: &str| with_compose_file(text, &names);
        assert_eq!(to(""), "COMPOSE_FILE=a.yaml:compose.locket.yaml\n");
        assert_eq!(to("X=1"), "X=1\nCOMPOSE_FILE=a.yaml:compose.locket.yaml\n");
        assert_eq!(
            to("A=1\r\nCOMPOSE_FILE=a.yaml\r\nB=2\r\n"),
            "A=1\r\nCOMPOSE_FILE=a.yaml:compose.locket.yaml\r\nB=2\r\n"
        );
        assert_eq!(
            to("COMPOSE_PATH_SEPARATOR=,\nCOMPOSE_FILE=a.yaml\n"),
            "COMPOSE_PATH_SEPARATOR=,\nCOMPOSE_FILE=a.yaml,compose.locket.yaml\n"
        );
        assert_eq!(to(&to("X=1\n")), to("X=1\n"));
        for (line, start, end) in [
            ("COMPOSE_FILE=a.yaml # both\n", "", " # both\n"),
            ("COMPOSE_FILE=\"a.yaml\"  # both", "", "  # both"),
            (
                "export COMPOSE_FILE='a #1.yaml'\t# x\r\n",
                "export ",
                "\t# x\r\n",
            ),
            ("  COMPOSE_FILE=a#b.yaml\n", "  ", "\n"),
            ("COMPOSE_FILE=", "", ""),
        ] {
            let set = format!("{start}COMPOSE_FILE=a.yaml:compose.locket.yaml{end}");
            assert_eq!(to(line), set, "{line:?}");
            assert_eq!(to(&set), set, "{line:?}");
        }
    }
}
