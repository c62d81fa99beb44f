//! The small values that sources, catalogue and services share.

use std::collections::BTreeSet;

use super::ReadTemplate;
use crate::diag::{Code, Diagnostic, Place};
use crate::id::SourceName;
use crate::names::{nearest, suggest};
use crate::read::{Cursor, has_variable};
use crate::reference::{SCHEMES, SecretRef, source_of};
use crate::spec::{
    ChangeAction, Defaults, EnvValue, FileMode, OnChange, Operand, Origin, Owner, Update,
};
use crate::template::{Part, Template, is_name, position};
use crate::yaml::Value;

/// What the words of one project may mean.
pub(crate) struct Scope<'a> {
    /// The names of `x-locket.sources`.
    pub sources: BTreeSet<String>,
    /// As in [`super::ModelInput`].
    pub read_template: &'a ReadTemplate<'a>,
}

impl Scope<'_> {
    fn known(&self) -> impl Iterator<Item = &str> + Clone {
        self.sources
            .iter()
            .map(String::as_str)
            .chain(SCHEMES.iter().map(|s| s.0))
    }

    fn unknown(&self, source: &str, place: Place) -> Option<Diagnostic> {
        if self.known().any(|s| s == source) {
            return None;
        }
        let it = Diagnostic::new(
            Code::UnknownSource,
            place,
            format!("there is no source `{source}`"),
        )
        .mistyped(source, self.known());
        Some(match nearest(source, self.known()) {
            Some(near) => it.help(format!("did you mean `{near}`?")),
            // What looks like a URL may have a password in it.
            None => it
                .help("name it in `x-locket.sources` (one of locket.yaml with its type alone, as in `corp: openbao`), or refer to a secret: a value is never written down here")
                .mask(),
        })
    }
}

/// A name in `sources`.
pub(crate) fn source_name(at: &Cursor<'_>, name: &str) -> Option<SourceName> {
    if source_of(&format!("{name}:")).is_some() {
        return Some(name.into());
    }
    at.say(
        at.problem(
            Code::InvalidValue,
            format!("`{name}` cannot be the name of a source"),
        )
        .help("a name has letters, digits, `-` and `_`, and begins with a letter"),
    );
    None
}

/// A reference; a name of the catalogue is not one.
pub(super) fn reference(at: &Cursor<'_>, scope: &Scope<'_>) -> Option<SecretRef> {
    let text = at.text()?;
    let Some(source) = source_of(text) else {
        let it = at.problem(Code::Literal, format!("{} is not a reference", at.name));
        at.say(
            it.help("write `<source>:<path>#<field>`; a value is never written down here")
                .mask(),
        );
        return None;
    };
    if let Some(it) = scope.unknown(source, at.place()) {
        // What was interpolated is not repeated.
        let own = !at.reading.interpolated || at.raw().is_some_and(|raw| !has_variable(raw));
        at.say(if own {
            it
        } else {
            Diagnostic {
                message: "there is no such source".to_owned(),
                ..it
            }
        });
        return None;
    }
    text.parse::<SecretRef>()
        .map_err(|e| {
            at.say(
                Diagnostic::new(
                    Code::Reference,
                    at.place_within(text, &(e.at..text.len())),
                    e.message,
                )
                .maybe_help(e.help),
            )
        })
        .ok()
}

/// A name of the catalogue, or a reference.
pub(super) fn operand(at: &Cursor<'_>, scope: &Scope<'_>) -> Option<Operand> {
    let text = at.text()?;
    if text.contains("{{") {
        at.say(
            at.problem(
                Code::Template,
                format!("a template has no place in {}", at.name),
            )
            .help("templates stand in `env` and `templates`"),
        );
        return None;
    }
    if source_of(text).is_some() {
        return reference(at, scope).map(Operand::Ref);
    }
    if is_name(text) {
        return at.own_text().map(|name| Operand::Name(name.into()));
    }
    let it = at.problem(
        Code::Literal,
        "this is neither a name of the catalogue nor a reference",
    );
    at.say(it.help("write a name of `x-locket.secrets`, or `<source>:<path>#<field>`; a value is never written down here").mask());
    None
}

/// A secret, or a text with `{{ … }}` in it. Interpolation has no part in either.
pub(crate) fn env_value(at: &Cursor<'_>, scope: &Scope<'_>) -> Option<EnvValue> {
    let text = at.own_text()?;
    if text.contains("{{") {
        return template(at, text, scope).map(EnvValue::Template);
    }
    operand(at, scope).map(EnvValue::Secret)
}

/// A template that stands in the file.
pub(crate) fn template(at: &Cursor<'_>, text: &str, scope: &Scope<'_>) -> Option<Template> {
    parse_template(
        text,
        scope,
        |span| at.place_within(text, span),
        |it| at.say(it),
    )
}

/// A template that is a file of its own.
pub(super) fn template_file(
    at: &Cursor<'_>,
    name: &str,
    text: &str,
    scope: &Scope<'_>,
) -> Option<Template> {
    let place = |span: &std::ops::Range<usize>| {
        let (line, column) = position(text, span.start);
        let width = text.get(span.clone()).unwrap_or_default().chars().count() as u32;
        Place {
            origin: Origin {
                file: name.to_owned(),
                line,
                column,
            },
            width,
        }
    };
    parse_template(text, scope, place, |it| {
        at.say(it.label(at.place(), "the template is used here"))
    })
}

fn parse_template(
    text: &str,
    scope: &Scope<'_>,
    place: impl Fn(&std::ops::Range<usize>) -> Place,
    say: impl Fn(Diagnostic),
) -> Option<Template> {
    let parsed = match Template::parse(text) {
        Ok(parsed) => parsed,
        Err(all) => {
            all.into_iter().for_each(|e| {
                say(Diagnostic::new(Code::Template, place(&e.at), e.message).maybe_help(e.help))
            });
            return None;
        }
    };
    let unknown = parsed.parts().iter().filter_map(|part| match part {
        Part::Expr(e) => match &e.operand {
            Operand::Ref(r) => scope.unknown(r.source().as_str(), place(&e.at)),
            Operand::Name(_) => None,
        },
        Part::Text(_) => None,
    });
    let unknown: Vec<_> = unknown.collect();
    let fine = unknown.is_empty();
    unknown.into_iter().for_each(say);
    fine.then_some(parsed)
}

/// The keys of [`file_mode`].
pub(super) const MODE_KEYS: [&str; 4] = ["gid", "mode", "uid", "update"];

/// Owner, mode and update of a file.
pub(super) fn file_mode(at: &Cursor<'_>) -> FileMode {
    let update = at.get("update").and_then(|it| {
        let all = [
            ("swap", Update::Swap),
            ("rename", Update::Rename),
            ("inplace", Update::Inplace),
        ];
        choice(&it, all)
    });
    FileMode {
        uid: at.get("uid").and_then(|it| owner(&it)),
        gid: at.get("gid").and_then(|it| owner(&it)),
        mode: at.get("mode").and_then(|it| mode(&it)),
        update: update.unwrap_or_default(),
    }
}

/// One of a few words.
pub(crate) fn choice<T: Copy, const N: usize>(
    at: &Cursor<'_>,
    all: [(&'static str, T); N],
) -> Option<T> {
    let text = at.text()?;
    let found = all
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, it)| *it);
    if found.is_none() {
        let words = all.iter().map(|(word, _)| *word);
        at.say(
            at.problem(
                Code::InvalidValue,
                format!(
                    "{} is not one of {}",
                    at.shown(),
                    words.clone().collect::<Vec<_>>().join(", ")
                ),
            )
            .maybe_help(nearest(text, words).map(|w| format!("did you mean `{w}`?"))),
        );
    }
    found
}

fn owner(at: &Cursor<'_>) -> Option<Owner> {
    let found = match &at.node.value {
        Value::Int(id) => u32::try_from(*id).ok().map(Owner::Id),
        Value::Str(_) => match at.own_text()? {
            "service" => Some(Owner::Service),
            text if text.starts_with(|c: char| c.is_ascii_digit()) => {
                text.parse().ok().map(Owner::Id)
            }
            // https://systemd.io/USER_NAMES/: what images really have.
            text => (is_name(text) && text.len() <= 32).then(|| Owner::Name(text.to_owned())),
        },
        _ => None,
    };
    if found.is_none() {
        at.say(
            at.problem(
                Code::InvalidValue,
                format!("{} is not a user or group", at.shown()),
            )
            .help("write a number, a name, or `service` for the service's own user"),
        );
    }
    found
}

/// Permission bits. YAML reads `0440` as octal, and compose then prints 288; text is octal by itself.
fn mode(at: &Cursor<'_>) -> Option<u32> {
    let found = match &at.node.value {
        Value::Int(bits) => u32::try_from(*bits).ok(),
        Value::Str(text) => u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8).ok(),
        _ => None,
    };
    let decimal = matches!(at.node.value, Value::Int(_))
        && at
            .raw()
            .is_some_and(|raw| raw.starts_with(|c: char| ('1'..='9').contains(&c)));
    if decimal || found.is_none_or(|bits| bits > 0o777) {
        at.say(
            at.problem(Code::InvalidValue, format!("{} is not a mode", at.shown()))
                .help("write three octal digits with a zero in front: `0440`"),
        );
        return None;
    }
    found
}

/// The keys of [`defaults`].
pub(super) const DEFAULT_KEYS: [&str; 4] = ["on_change", "refresh", "restart_every", "settle"];

/// `defaults`; `others` are keys that somebody else reads.
pub(crate) fn defaults(at: &Cursor<'_>, others: &[&'static str]) -> Defaults {
    at.known(&[&DEFAULT_KEYS, others].concat());
    Defaults {
        on_change: at.get("on_change").and_then(|it| on_change(&it)),
        settle: at.get("settle").and_then(|it| it.duration()),
        restart_every: at.get("restart_every").and_then(|it| it.duration()),
        refresh: at.get("refresh").and_then(|it| it.duration()),
    }
}

/// Signals that a program can do something about, without `SIG`.
pub(crate) const SIGNALS: [&str; 12] = [
    "ABRT", "ALRM", "CONT", "HUP", "INT", "PIPE", "PWR", "QUIT", "TERM", "USR1", "USR2", "WINCH",
];

pub(super) const CHANGE_KEYS: [&str; 7] = [
    "action",
    "exec",
    "restart_every",
    "settle",
    "signal",
    "stable",
    "timeout",
];

/// `on_change`: a word, `signal:NAME`, or a mapping.
pub(crate) fn on_change(at: &Cursor<'_>) -> Option<OnChange> {
    let plain = |action| OnChange {
        action,
        timeout: None,
        stable: None,
        settle: None,
        restart_every: None,
    };
    if let Value::Str(text) = &at.node.value {
        return match text.strip_prefix("signal:") {
            Some(name) => signal(at, name).map(plain),
            None => action(at).map(plain),
        };
    }
    at.known(&CHANGE_KEYS);
    let of_signal = at
        .get("signal")
        .map(|it| it.own_text().and_then(|name| signal(&it, name)));
    let of_exec = at.get("exec").map(|it| exec(&it));
    // `action: signal` beside `signal: HUP` says the same twice, which is fine.
    let named = at.get("action").filter(|it| {
        let text = it.node.as_str();
        !(text == Some("signal") && of_signal.is_some()
            || text == Some("exec") && of_exec.is_some())
    });
    let mut all = [named.map(|it| action(&it)), of_signal, of_exec]
        .into_iter()
        .flatten();
    let (first, second) = (all.next(), all.next());
    if second.is_some() {
        at.say(
            at.problem(Code::InvalidValue, "`on_change` has two actions")
                .help("leave one of them out"),
        );
        return None;
    }
    let action = match first {
        Some(action) => action?,
        // Only timing is given: the action is the usual one.
        None => ChangeAction::Auto,
    };
    let duration = |key: &str| at.get(key).and_then(|it| it.duration());
    Some(OnChange {
        action,
        timeout: duration("timeout"),
        stable: duration("stable"),
        settle: duration("settle"),
        restart_every: duration("restart_every"),
    })
}

fn action(at: &Cursor<'_>) -> Option<ChangeAction> {
    const WORDS: [&str; 5] = ["auto", "none", "recreate", "restart", "rollout"];
    let found = match at.own_text()? {
        "auto" => Some(ChangeAction::Auto),
        "none" => Some(ChangeAction::None),
        "restart" => Some(ChangeAction::Restart),
        "recreate" => Some(ChangeAction::Recreate),
        "rollout" => Some(ChangeAction::Rollout),
        _ => None,
    };
    if found.is_none() {
        let help = match at.node.as_str() {
            Some("signal") => Some("write `signal:HUP`".to_owned()),
            Some("exec") => Some("write `{ exec: [command, argument] }`".to_owned()),
            text => suggest(text.unwrap_or_default(), WORDS)
                .map(|h| format!("{h}; also `signal:NAME` and `{{ exec: […] }}`")),
        };
        at.say(
            at.problem(Code::InvalidValue, format!("{} is no action", at.shown()))
                .maybe_help(help),
        );
    }
    found
}

fn signal(at: &Cursor<'_>, name: &str) -> Option<ChangeAction> {
    let upper = name.to_ascii_uppercase();
    let plain = upper.strip_prefix("SIG").unwrap_or(&upper);
    if SIGNALS.contains(&plain) {
        return Some(ChangeAction::Signal(plain.to_owned()));
    }
    at.say(
        at.problem(
            Code::InvalidValue,
            format!("{} names no signal that a program can act on", at.shown()),
        )
        .maybe_help(suggest(plain, SIGNALS)),
    );
    None
}

fn exec(at: &Cursor<'_>) -> Option<ChangeAction> {
    if let Value::Str(_) = at.node.value {
        at.say(at.problem(Code::WrongType, "`exec` is text, not a list").help("there is no shell: write `[command, argument]`, or `[sh, -c, \"…\"]` where the image has one"));
        return None;
    }
    let argv: Option<Vec<String>> = at
        .items()
        .iter()
        .map(|word| word.own_text().map(str::to_owned))
        .collect();
    if argv.as_ref().is_some_and(Vec::is_empty) {
        at.say(at.problem(Code::InvalidValue, "`exec` has no command"));
        return None;
    }
    argv.map(ChangeAction::Exec)
}
