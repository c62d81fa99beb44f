//! The difference of two texts, line by line. Our changes are few and small, so the plain algorithm is enough.

use std::fmt::Write;
use std::ops::Range;

/// Above so many pairs of lines, what lies between the common ends counts as replaced as a whole.
const MAX_PAIRS: usize = 4_000_000;

/// Lines of the old text that went and of the new text that came, in one place.
#[derive(Debug, PartialEq, Eq)]
struct Hunk {
    old: Range<usize>,
    new: Range<usize>,
}

/// What `diff -U0` prints, with `/dev/null` for a file that is new.
pub(super) fn unified(name: &str, before: Option<&str>, after: &str, color: bool) -> String {
    let (old, new) = (lines(before.unwrap_or_default()), lines(after));
    let hunks = hunks(&old, &new);
    if hunks.is_empty() {
        return String::new();
    }
    let paint = |code: &str, text: &str| {
        if color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    };
    let from = if before.is_some() { name } else { "/dev/null" };
    let mut out = format!(
        "{}\n{}\n",
        paint("1", &format!("--- {from}")),
        paint("1", &format!("+++ {name}"))
    );
    for hunk in hunks {
        let within = match hunk.new.is_empty() {
            true => within(&old, hunk.old.start),
            false => within(&new, hunk.new.start),
        };
        let head = format!("@@ -{} +{} @@{within}", range(&hunk.old), range(&hunk.new));
        let _ = writeln!(out, "{}", paint("36", &head));
        for (mark, code, lines) in [("-", "31", &old[hunk.old]), ("+", "32", &new[hunk.new])] {
            for line in lines {
                let line = visible(line.trim_end_matches(['\r', '\n']));
                let _ = writeln!(out, "{}", paint(code, &format!("{mark}{line}")));
            }
        }
    }
    out
}

/// The keys under which a line of YAML lies, such as ` services: api:`. Lines around it are not shown: they may be anything, values
/// among them.
fn within(lines: &[&str], at: usize) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut keys = Vec::new();
    let mut limit = lines.get(at).map_or(0, |line| indent(line));
    for line in lines.iter().take(at).rev() {
        let key = line.trim();
        if !key.is_empty() && !key.starts_with('#') && indent(line) < limit {
            limit = indent(line);
            // Only what is nothing but a key: a value might stand behind it.
            keys.push(
                key.strip_suffix(':')
                    .filter(|it| !it.contains([' ', '"', '\''])),
            );
        }
    }
    let keys = keys.into_iter().rev().flatten();
    keys.map(|key| format!(" {}:", visible(key))).collect()
}

/// Control characters could say something else to a terminal than to compose.
fn visible(line: &str) -> String {
    line.chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

fn range(lines: &Range<usize>) -> String {
    match lines.len() {
        // As in diff: of an empty range, the line before it.
        0 => format!("{},0", lines.start),
        1 => format!("{}", lines.start + 1),
        n => format!("{},{n}", lines.start + 1),
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn hunks(old: &[&str], new: &[&str]) -> Vec<Hunk> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let tail = old[head..]
        .iter()
        .rev()
        .zip(new[head..].iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (a, b) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    if a.is_empty() && b.is_empty() {
        return Vec::new();
    }
    if a.len().saturating_mul(b.len()) > MAX_PAIRS {
        return vec![Hunk {
            old: head..head + a.len(),
            new: head..head + b.len(),
        }];
    }
    // Length of the longest common subsequence of a[i..] and b[j..], row by row from the end.
    let width = b.len() + 1;
    let mut common = vec![0_u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i * width + j] = if a[i] == b[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let mut out: Vec<Hunk> = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            (i, j) = (i + 1, j + 1);
            continue;
        }
        let (from_i, from_j) = (i, j);
        while i < a.len() || j < b.len() {
            if i < a.len() && j < b.len() && a[i] == b[j] {
                break;
            }
            let drop_old = j == b.len()
                || (i < a.len() && common[(i + 1) * width + j] >= common[i * width + j + 1]);
            if drop_old { i += 1 } else { j += 1 }
        }
        out.push(Hunk {
            old: head + from_i..head + i,
            new: head + from_j..head + j,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn only_lines_that_change_are_shown() {
        let old = "a: 1\npassword: hunter2\nb: 2\nc: 3\n";
        let new = "a: 1\npassword: hunter2\nnew: 0\nb: 2\nc: 4\n";
        expect![[r#"
            --- f
            +++ f
            @@ -2,0 +3 @@
            +new: 0
            @@ -4 +5 @@
            -c: 3
            +c: 4
        "#]]
        .assert_eq(&unified("f", Some(old), new, false));
        assert_eq!(unified("f", Some(old), old, false), "");
        assert!(
            unified("f", None, "x\n", false)
                .starts_with("--- /dev/null\n+++ f\n@@ -0,0 +1 @@\n+x\n")
        );
    }

    #[test]
    fn a_change_says_where_it_lies_and_shows_no_value() {
        let old = "x: hunter2\nservices:\n  # api:\n  web:\n    environment:\n      PASSWORD: hunter2\n    image: y\n  api:\n    image: z\n";
        let new = old.replace("    image: z\n", "    image: z\n    depends_on: [locket]\n");
        expect![[r#"
            --- f
            +++ f
            @@ -9,0 +10 @@ services: api:
            +    depends_on: [locket]
        "#]]
        .assert_eq(&unified("f", Some(old), &new, false));
    }
}
