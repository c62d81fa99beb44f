//! Healthchecks and hooks: the engine runs them beside the program, without the variables that the shim sets.

use super::{Service, X, place, words};
use crate::diag::{Code, Diagnostic};
use crate::read::Written;
use crate::spec::Via;
use crate::yaml::Value;

/// The end of the runner's path, wherever it is mounted.
const RUNNER: &str = "/docker-init";

pub(super) fn look(service: &Service<'_>, out: &mut Vec<Diagnostic>) {
    let shim = |it: &(&String, &crate::spec::EnvGrant)| it.1.via == Via::Shim;
    let names: Vec<&str> = service
        .asked
        .env
        .iter()
        .filter(shim)
        .map(|(name, _)| name.as_str())
        .collect();
    if names.is_empty() {
        return;
    }
    let mut commands: Vec<(&str, Written<'_>)> = Vec::new();
    commands.extend(
        service
            .last(&["healthcheck", "test"])
            .map(|it| ("the healthcheck", it)),
    );
    commands.extend(
        service
            .last(&[X, "on_change", "exec"])
            .map(|it| ("the hook of `on_change`", it)),
    );
    for (key, called) in [
        ("post_start", "the hook `post_start`"),
        ("pre_stop", "the hook `pre_stop`"),
    ] {
        let all = service.last(&[key]);
        if let Some((w, Value::List(items))) = all.map(|w| (w, &w.node.value)) {
            let command = |it| Some((called, Written { node: it, ..w }));
            commands.extend(
                items
                    .iter()
                    .filter_map(|it| it.get("command"))
                    .filter_map(command),
            );
        }
    }
    for (called, w) in commands {
        let all = words(w.node);
        if all.iter().take(2).any(|word| word.ends_with(RUNNER)) {
            continue;
        }
        if let Some(name) = names.iter().find(|name| uses(&all, name)) {
            let message = format!(
                "{called} of service {} uses `{name}`, which only the program itself has",
                service.name
            );
            let it = Diagnostic::new(Code::Unwrapped, place(&w, &w.node.defined), message);
            out.push(it.help(match called {
                "the healthcheck" => {
                    "run it by `/sbin/docker-init with-env --`: `docker locket generate` does"
                }
                _ => "run it by the shim: `[/sbin/docker-init, with-env, --, …]`",
            }));
        }
    }
}

/// Whether a shell in the container would look a variable up. Its `$` is doubled, else compose has replaced it before.
fn uses(words: &[&str], name: &str) -> bool {
    words.iter().any(|word| {
        word.match_indices("$$").any(|(at, mark)| {
            let rest = &word[at + mark.len()..];
            let rest = rest.strip_prefix('{').unwrap_or(rest);
            rest.strip_prefix(name)
                .is_some_and(|it| !it.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
        })
    })
}
