//! `x-locket.secrets`: the catalogue.

use std::collections::BTreeMap;

use super::values::{Scope, reference};
use crate::diag::Code;
use crate::id::SecretName;
use crate::read::Cursor;
use crate::reference::SecretRef;
use crate::spec::SecretSpec;
use crate::template::is_name;
use crate::yaml::Value;

pub(super) const KEYS: [&str; 4] = ["allow_empty", "fields", "ref", "refresh"];

pub(super) fn secrets(all: &Cursor<'_>, scope: &Scope<'_>) -> BTreeMap<SecretName, SecretSpec> {
    let one = |(name, it): (&str, Cursor<'_>)| {
        let found = secret(&it, scope);
        if !is_name(name) {
            it.say(
                it.problem(
                    Code::InvalidValue,
                    format!("`{name}` cannot be the name of a secret"),
                )
                .help("a name has letters, digits, `.`, `-` and `_`"),
            );
            return None;
        }
        Some((name.into(), found?))
    };
    all.entries().into_iter().filter_map(one).collect()
}

/// One entry: a reference, or a mapping.
pub(crate) fn secret(at: &Cursor<'_>, scope: &Scope<'_>) -> Option<SecretSpec> {
    if !matches!(at.node.value, Value::Map(_)) {
        let reference = reference(at, scope)?;
        return Some(SecretSpec {
            reference,
            fields: BTreeMap::new(),
            allow_empty: false,
            refresh: None,
            origin: at.origin(),
        });
    }
    at.known(&KEYS);
    let allow_empty = at
        .get("allow_empty")
        .and_then(|it| it.bool())
        .unwrap_or(false);
    let refresh = at.get("refresh").and_then(|it| it.duration());
    let reference = reference(&at.need("ref")?, scope)?;
    let fields = at
        .get("fields")
        .map(|it| fields(&it, &reference))
        .unwrap_or_default();
    Some(SecretSpec {
        reference,
        fields,
        allow_empty,
        refresh,
        origin: at.origin(),
    })
}

/// File name → field of the secret.
fn fields(at: &Cursor<'_>, reference: &SecretRef) -> BTreeMap<String, String> {
    if reference.field().is_some() {
        at.say(
            at.problem(
                Code::InvalidValue,
                "the reference names a field, and so does `fields`",
            )
            .help("leave the field of `ref` out"),
        );
    }
    let one = |(file, it): (&str, Cursor<'_>)| {
        let field = it.own_text()?;
        if reference
            .with_field(field)
            .to_string()
            .parse::<SecretRef>()
            .is_err()
        {
            it.say(it.problem(
                Code::InvalidValue,
                format!("{} cannot be the name of a field", it.shown()),
            ));
            return None;
        }
        Some((file.to_owned(), field.to_owned()))
    };
    at.entries().into_iter().filter_map(one).collect()
}
