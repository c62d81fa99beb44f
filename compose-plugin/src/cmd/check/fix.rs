//! What can be repaired without a doubt: templates without quotes, and names with one near match.
//!
//! A repair changes the bytes of one word. All of them together must leave fewer errors and no other ones, but for those that
//! stood in what could not be read before; else nothing is done.

use std::ops::Range;

use locket_crds::diag::{Code, Diagnostic, Place};
use locket_crds::text::Text;

use super::Loaded;
use crate::compose::GENERATED;
use crate::error::{CommandError, Result};
use crate::user_files::Change;

/// Repairs that only come to light through others.
const ROUNDS: usize = 4;

/// Bytes of a text and what comes in their place.
type Edit = (Range<usize>, String);

/// The repaired files. `again` tells what is wrong with other texts of the same project.
///
/// # Errors
/// The user's problem: the repairs would not have left what they should.
pub(super) fn changes(
    problems: &[Diagnostic],
    loaded: &Loaded,
    again: impl Fn(Vec<Text>) -> Vec<Diagnostic>,
) -> Result<Vec<Change>> {
    let mut texts = loaded.texts.clone();
    let mut found = problems.to_vec();
    for _ in 0..ROUNDS {
        if !repair(&found, &mut texts) {
            break;
        }
        // What could not be read has hidden the mistakes that are in it.
        found = again(texts.clone());
    }
    let both = loaded.texts.iter().zip(&texts);
    let differ = both.filter(|(before, after)| before.text() != after.text());
    let changes: Vec<Change> = differ
        .map(|(before, after)| Change {
            path: loaded.files.project_dir.join(before.name()),
            before: Some(before.text().to_owned()),
            after: after.text().to_owned(),
        })
        .collect();
    if changes.is_empty() {
        return Ok(changes);
    }
    let errors = |all: &[Diagnostic]| -> Vec<(Code, String)> {
        let errors = all.iter().filter(|it| it.is_error());
        errors.map(|it| (it.code, it.message.clone())).collect()
    };
    let (before, after) = (errors(&again(loaded.texts.clone())), errors(&found));
    let hides = |it: &(Code, String)| matches!(it.0, Code::UnquotedTemplate | Code::UnknownKey);
    let hidden = before.iter().any(hides);
    let syntax = after.iter().any(|it| it.0 == Code::Syntax);
    let fewer = after.len() < before.len() && after.iter().all(|it| before.contains(it));
    if syntax || !(fewer || hidden) {
        return Err(CommandError::user(
            "the repairs would not have left what they should, so nothing was written",
        )
        .hint("mend the files by hand"));
    }
    Ok(changes)
}

/// Repairs what can be; says whether that was anything.
fn repair(problems: &[Diagnostic], texts: &mut [Text]) -> bool {
    let mut any = false;
    for it in texts {
        if it.text().starts_with(GENERATED) {
            continue;
        }
        let (name, mut text) = (it.name().to_owned(), it.text().to_owned());
        let starts: Vec<usize> = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        let here = problems.iter().filter(|it| it.place.origin.file == name);
        let found = here.filter_map(|it| edit(it, &text, byte(&text, &starts, &it.place)?));
        let mut all: Vec<Edit> = found.collect();
        all.sort_by_key(|(at, _)| at.start);
        // What an anchor brings into two places is one word.
        all.dedup();
        if all.is_empty() {
            continue;
        }
        any = true;
        for (at, new) in all.into_iter().rev() {
            text.replace_range(at, &new);
        }
        *it = Text::new(name, text);
    }
    any
}

/// `at` is the byte of its place.
fn edit(it: &Diagnostic, text: &str, at: usize) -> Option<Edit> {
    if it.code == Code::UnquotedTemplate {
        return quoted(text, at);
    }
    let mistyped = it.mistyped.as_ref()?;
    let line = text[at..].split('\n').next().unwrap_or_default();
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let whole = |from: usize| {
        let (before, after) = (&line[..from], &line[from + mistyped.name.len()..]);
        !before.ends_with(word) && !after.starts_with(word)
    };
    let found: Vec<usize> = line
        .match_indices(&mistyped.name)
        .map(|(from, _)| from)
        .filter(|from| whole(*from))
        .collect();
    // What stands around a template is the user's own text, whatever it looks like.
    let in_template = |from: &usize| line[..*from].rfind("{{") > line[..*from].rfind("}}");
    let inner: Vec<usize> = found.iter().copied().filter(in_template).collect();
    let first = match (inner.as_slice(), found.as_slice()) {
        ([only], _) => *only,
        // At its place it is certain; further on, only if there is one.
        ([], [first, rest @ ..]) if *first <= 1 || rest.is_empty() => *first,
        _ => return None,
    };
    let from = at + first;
    Some((from..from + mistyped.name.len(), mistyped.near.clone()))
}

/// `{{ … }}` in quotes, if it is all of its value.
fn quoted(text: &str, at: usize) -> Option<Edit> {
    let rest = text.get(at..)?.split(['\n', '\r']).next()?;
    let inner = rest.strip_prefix("{{")?;
    let end = inner.find("}}")? + 4;
    let after = rest.get(end..)?.trim_start_matches(' ');
    let ends = after.is_empty() || after.starts_with([',', '}', ']', '#']);
    let template = rest.get(..end)?;
    let quote = match (template.contains('"'), template.contains('\'')) {
        (false, _) if !template.contains('\\') => '"',
        (_, false) => '\'',
        _ => return None,
    };
    ends.then(|| (at..at + end, format!("{quote}{template}{quote}")))
}

/// The byte of a place; `starts` are those of the lines.
fn byte(text: &str, starts: &[usize], place: &Place) -> Option<usize> {
    let at = &place.origin;
    let line = (at.line as usize).checked_sub(1)?;
    let start = *starts.get(line)?;
    let within = text.get(start..)?.split('\n').next()?;
    let column = (at.column as usize).checked_sub(1)?;
    let skip = within.char_indices().nth(column)?.0;
    Some(start + skip)
}
