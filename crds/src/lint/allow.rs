//! `# locket: allow L045`: warnings that are meant so.

use std::collections::BTreeMap;

use crate::diag::{Code, Diagnostic};
use crate::text::Text;

const MARK: &str = "# locket: allow";

/// Takes out the warnings that a comment on their line, or on the line before, allows. Errors stay.
pub fn allowed(problems: Vec<Diagnostic>, sources: &[Text]) -> Vec<Diagnostic> {
    let all: BTreeMap<&str, BTreeMap<u32, Vec<Code>>> = sources
        .iter()
        .map(|it| (it.name(), comments(it.text())))
        .collect();
    let stays = |it: &Diagnostic| {
        let at = &it.place.origin;
        let codes = all
            .get(at.file.as_str())
            .and_then(|lines| lines.get(&at.line));
        it.is_error() || !codes.is_some_and(|codes| codes.contains(&it.code))
    };
    problems.into_iter().filter(stays).collect()
}

/// Line, from 1 → what is allowed there. A comment that has a line to itself speaks of the next line that is none.
fn comments(text: &str) -> BTreeMap<u32, Vec<Code>> {
    let mut out: BTreeMap<u32, Vec<Code>> = BTreeMap::new();
    if !text.contains(MARK) {
        return out;
    }
    let mut waiting = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let own = line.trim_start().starts_with('#');
        let found = line
            .find(MARK)
            .filter(|at| *at == 0 || line[..*at].ends_with([' ', '\t']));
        let codes = found.map(|at| codes(&line[at + MARK.len()..]));
        if own {
            waiting.extend(codes.into_iter().flatten());
        } else {
            let here = codes.into_iter().flatten().chain(waiting.drain(..));
            out.entry(number).or_default().extend(here);
        }
    }
    out
}

fn codes(text: &str) -> Vec<Code> {
    text.split([',', ' ', '\t'])
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map_while(Code::of_number)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_speaks_of_its_line_or_of_the_next_one() {
        let text = "a: 1 # locket: allow L045, L046 because\n\n# locket: allow L041\n# and more words\nb: 2\nc: \"x# locket: allow L040\"\nd: 3\n# locket: allow L999\ne: 4\n";
        let all = comments(text);
        assert_eq!(all[&1], [Code::PlainSecret, Code::PlainReference]);
        assert_eq!(all[&5], [Code::UnusedSecret]);
        for line in [6, 7, 9] {
            assert!(all.get(&line).is_none_or(Vec::is_empty), "{line}");
        }
    }
}
