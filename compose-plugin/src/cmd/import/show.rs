//! What people see of an import, and are asked. Never a value.

use std::collections::BTreeSet;

use crate::compose::Files;
use crate::context::Context;
use crate::error::{CommandError, Result};
use crate::import::find::Candidate;
use crate::import::model::Value;
use crate::import::plan::Plan;
use crate::output::{lines, table};

pub(super) fn show(candidates: &[Candidate], skipped: &BTreeSet<usize>, cx: &Context) {
    let row = |(n, it): (usize, &Candidate)| {
        let why = if skipped.contains(&n) {
            format!("{}; left out", it.why)
        } else {
            it.why.clone()
        };
        vec![
            (n + 1).to_string(),
            it.service.clone(),
            it.name.clone(),
            it.place.clone(),
            why,
        ]
    };
    let rows: Vec<Vec<String>> = candidates.iter().enumerate().map(row).collect();
    cx.term
        .info(table(&["", "SERVICE", "NAME", "WHERE", "WHY"], &rows));
}

/// Asks which ones stay.
pub(super) fn leave_out(all: usize, skipped: &mut BTreeSet<usize>, cx: &Context) -> Result<()> {
    let answer = cx
        .term
        .ask("Leave some out? Their numbers, or nothing for none: ");
    for word in answer.split([' ', ',']).filter(|it| !it.is_empty()) {
        match word.parse::<usize>() {
            Ok(n) if (1..=all).contains(&n) => drop(skipped.insert(n - 1)),
            _ => {
                return Err(CommandError::user(format!(
                    "{} is none of the numbers; nothing was written",
                    lines(word)
                )));
            }
        }
    }
    Ok(())
}

pub(super) fn many(n: usize) -> String {
    if n == 1 {
        "one value".to_owned()
    } else {
        format!("{n} values")
    }
}

/// What moves, in words.
pub(super) fn what(plan: &Plan) -> String {
    let references = plan.references.len() + plan.dso.len();
    let references = match references {
        0 => None,
        1 => Some("one reference".to_owned()),
        n => Some(format!("{n} references")),
    };
    let values = (!plan.values.is_empty()).then(|| many(plan.values.len()));
    let all: Vec<String> = values.into_iter().chain(references).collect();
    all.join(" and ")
}

/// How the values come into the store that only DSO has: one command each, which shows none. `there`: names that have one.
pub(super) fn show_commands(plan: &Plan, there: &dyn Fn(&str) -> bool, cx: &Context) {
    let (known, left): (Vec<_>, Vec<_>) = plan.dso.iter().partition(|(name, _)| there(name));
    for (name, path) in known {
        cx.term.warn(lines(&format!(
            "{name} is in the store already: see that its value is that of {path} in DSO"
        )));
    }
    if left.is_empty() {
        return;
    }
    cx.term
        .info("the values are still with DSO alone; run this before `docker compose up -d`:");
    for (name, path) in left {
        cx.term.out(format!(
            "docker dso secret get {} | docker locket secret set {name}",
            word(path)
        ));
    }
}

/// A word of a shell.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

pub(super) fn show_plan(
    files: &Files,
    plan: &Plan,
    names: &BTreeSet<&str>,
    values: &[Value],
    cx: &Context,
) {
    let diff = plan.masked(names, values, cx.term.color());
    cx.term.info(diff.trim_end());
    for path in &plan.removes {
        cx.term.info(format!(
            "{} is removed at the end: its value is elsewhere then",
            files.name(path)
        ));
    }
    for note in &plan.notes {
        cx.term.warn(lines(note));
    }
}
