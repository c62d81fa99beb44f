//! References that other tools put into a project's files, and what they are in our own words.
//!
//! DSO has `dso://[project/]path` and `dsofile://[project/]path`, whose values only DSO can tell. The other program that is
//! called locket has `bao://mount/path/field`, `op://…` and `infisical:///…`, alone or within `{{ … }}`.

use std::borrow::Cow;

use locket_crds::likeness::format;
use locket_crds::reference::{SCHEMES, SecretRef};
use percent_encoding::percent_decode_str;

use super::names::kebab;

/// Whose references they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// docker-secret-operator.
    Dso,
    /// The other locket.
    Locket,
}

impl std::fmt::Display for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Tool::Dso => "DSO",
            Tool::Locket => "the other locket",
        })
    }
}

/// What a value refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// A secret of DSO's.
    Dso {
        /// What stands behind the scheme.
        path: String,
        /// The variable is the path of a file with it.
        file: bool,
    },
    /// A text with secrets in it, or one secret alone.
    Text(Vec<Piece>),
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it is.
    Plain(String),
    /// A value.
    Secret(SecretRef),
}

/// What begins a reference in a text of the other locket's.
const BEGINNINGS: [&str; 3] = ["bao://", "op://", "infisical://"];

impl Foreign {
    /// Whose it is.
    pub fn tool(&self) -> Tool {
        match self {
            Foreign::Dso { .. } => Tool::Dso,
            Foreign::Text(_) => Tool::Locket,
        }
    }

    /// All of it are references: nothing else is written there.
    pub fn is_whole(&self) -> bool {
        match self {
            Foreign::Dso { .. } => true,
            Foreign::Text(all) => all.iter().all(|it| matches!(it, Piece::Secret(_))),
        }
    }

    /// The type of a source that this version cannot read from.
    pub fn unreadable(&self) -> Option<&'static str> {
        self.secrets().find_map(|it| {
            let mut types = SCHEMES
                .iter()
                .filter(|(name, _)| it.source().as_str() == *name);
            let (_, kind) = types.next()?;
            locket_providers::is_later(kind).then_some(*kind)
        })
    }

    /// The references.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let all = match self {
            Foreign::Dso { .. } => &[][..],
            Foreign::Text(all) => all.as_slice(),
        };
        all.iter().filter_map(|it| match it {
            Piece::Secret(it) => Some(it),
            Piece::Plain(_) => None,
        })
    }
}

/// What a value is, if it is one of theirs; or why it is none that can be said in our words.
pub fn foreign(value: &str) -> Option<Result<Foreign, &'static str>> {
    let text = value.trim();
    for (scheme, file) in [("dso://", false), ("dsofile://", true)] {
        if let Some(path) = text.strip_prefix(scheme) {
            let whole = !path.is_empty()
                && !path.contains(|c: char| c.is_whitespace() || c.is_control())
                && path.split('/').all(|it| !matches!(it, "" | "." | ".."));
            let path = path.to_owned();
            return Some(if whole {
                Ok(Foreign::Dso { path, file })
            } else {
                Err("its path is none")
            });
        }
    }
    if text.contains("{{") {
        return tags(value);
    }
    let begins = BEGINNINGS.iter().any(|it| text.starts_with(it));
    begins.then(|| Ok(Foreign::Text(vec![Piece::Secret(ours(text)?)])))
}

/// A text with tags: each must be a reference, because ours have a meaning of their own.
fn tags(text: &str) -> Option<Result<Foreign, &'static str>> {
    let mut pieces = Vec::new();
    let (mut rest, mut others, mut plain) = (text, false, String::new());
    while let Some((before, behind)) = rest.split_once("{{") {
        let Some((inside, after)) = behind.split_once("}}") else {
            others = true;
            break;
        };
        let name = unquoted(inside.trim());
        plain += before;
        if BEGINNINGS.iter().any(|it| name.starts_with(it)) {
            pieces.extend((!before.is_empty()).then(|| Piece::Plain(before.to_owned())));
            match ours(name) {
                Ok(it) => pieces.push(Piece::Secret(it)),
                Err(why) => return Some(Err(why)),
            }
        } else {
            others = true;
        }
        rest = after;
    }
    if !pieces.iter().any(|it| matches!(it, Piece::Secret(_))) {
        return None;
    }
    plain += rest;
    pieces.extend((!rest.is_empty()).then(|| Piece::Plain(rest.to_owned())));
    Some(if others {
        Err("there are tags in it that are no references")
    } else if format(&plain).is_some() {
        Err("a value stands beside it")
    } else {
        Ok(Foreign::Text(pieces))
    })
}

fn unquoted(text: &str) -> &str {
    let pair = ['"', '\''].iter().find_map(|quote| {
        text.strip_prefix(*quote)
            .and_then(|it| it.strip_suffix(*quote))
    });
    pair.unwrap_or(text)
}

/// One reference in our grammar.
fn ours(text: &str) -> Result<SecretRef, &'static str> {
    const NONE: &str = "it cannot be said in our grammar";
    // One with our own mark of a field is one of ours already.
    if text.contains('#') {
        return text.parse().map_err(|_| NONE);
    }
    if let Some(rest) = text.strip_prefix("bao://") {
        // Theirs ignore what stands behind a question mark.
        let path = rest.split('?').next().unwrap_or_default();
        let names: Vec<String> = path.split('/').map(decoded).collect();
        let (field, names) = names.split_last().ok_or(NONE)?;
        if names.len() < 2 || names[0].contains([':', '@']) {
            return Err(NONE);
        }
        let path: Vec<String> = names.iter().map(|it| escaped(it)).collect();
        let text = format!("bao:{}#{}", path.join("/"), escaped(field));
        return text.parse().map_err(|_| NONE);
    }
    if let Some(rest) = text.strip_prefix("op://") {
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (rest, String::new()),
        };
        let quoted = |it: &str| {
            let name = decoded(it);
            match name.contains(['/', '?', '#', '"', '\\']) {
                true => format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")),
                false => name,
            }
        };
        let names: Vec<String> = path.split('/').map(quoted).collect();
        if names.len() < 3 {
            return Err(NONE);
        }
        let text = format!("op://{}{query}", names.join("/"));
        return text.parse().map_err(|_| NONE);
    }
    text.parse().map_err(|_| NONE)
}

/// `%23`, `%3F` and `%25` are what they stand for.
fn escaped(name: &str) -> String {
    name.replace('%', "%25")
        .replace('#', "%23")
        .replace('?', "%3F")
}

/// Their references are URLs: `%20` is a blank.
fn decoded(name: &str) -> String {
    let text = percent_decode_str(name).decode_utf8();
    text.map_or_else(|_| name.to_owned(), Cow::into_owned)
}

/// What a secret is called that is only referred to.
pub fn hint(reference: &SecretRef) -> String {
    let last = reference.segments().last().map_or("", String::as_str);
    match reference.field() {
        Some(field) => kebab(&format!("{last}-{}", field.replace('/', "-"))),
        None => kebab(last),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn show(value: &str) -> String {
        match foreign(value) {
            None => "-".to_owned(),
            Some(Err(why)) => format!("not: {why}"),
            Some(Ok(Foreign::Dso { path, file })) => {
                format!("DSO's {path}{}", if file { " as a file" } else { "" })
            }
            Some(Ok(it @ Foreign::Text(_))) => {
                let Foreign::Text(all) = &it else {
                    unreachable!("it is a text")
                };
                let piece = |it: &Piece| match it {
                    Piece::Plain(text) => format!("{text:?}"),
                    Piece::Secret(it) => format!("{it} ({})", hint(it)),
                };
                let all: Vec<String> = all.iter().map(piece).collect();
                let later = it.unreadable().map(|it| format!(", {it} is not read yet"));
                format!("{}{}", all.join(" + "), later.unwrap_or_default())
            }
        }
    }

    #[test]
    fn references_of_others_are_said_in_our_words() {
        let all = [
            "dso://db/password",
            "dso://token",
            "dsofile://shop/tls/key",
            "dso://",
            "dso://a//b",
            "dso://a b",
            "x dso://a",
            "bao://kv/shop/db/password",
            "bao://kv/shop/db/password?version=3",
            "bao://kv/my%20app/50%25%23/p%2Fq",
            "bao://kv/password",
            "bao://kv:8200/a/b",
            "bao://kv/../sys/x",
            "bao://kv/shop/db#password",
            "{{ bao://kv/shop/db/password }}",
            "{{'bao://kv/shop/db/password'}}",
            "postgres://app:{{ bao://kv/shop/db/password }}@db/{{bao://kv/shop/db/name}}",
            "{{ bao://kv/a/b }} {{ other }}",
            "{{ bao://kv/a/b }} {{",
            "{{ other }}",
            "{{ bao://kv/a/b }} postgres://u:secret@h",
            "op://My%20Vault/Stripe/keys/api key?attribute=otp",
            "op://Shop/a%2Fb/field",
            "op://Shop/Stripe",
            "infisical:///DB_PASSWORD?env=prod&path=/db",
            "vault:kv/a#b",
            "https://example.org",
            "",
        ];
        let text: String = all
            .iter()
            .map(|it| format!("{it}\n    {}\n", show(it)))
            .collect();
        expect![[r#"
            dso://db/password
                DSO's db/password
            dso://token
                DSO's token
            dsofile://shop/tls/key
                DSO's shop/tls/key as a file
            dso://
                not: its path is none
            dso://a//b
                not: its path is none
            dso://a b
                not: its path is none
            x dso://a
                -
            bao://kv/shop/db/password
                bao:kv/shop/db#password (db-password)
            bao://kv/shop/db/password?version=3
                bao:kv/shop/db#password (db-password)
            bao://kv/my%20app/50%25%23/p%2Fq
                bao:kv/my app/50%25%23#p/q (50-p-q)
            bao://kv/password
                not: it cannot be said in our grammar
            bao://kv:8200/a/b
                not: it cannot be said in our grammar
            bao://kv/../sys/x
                not: it cannot be said in our grammar
            bao://kv/shop/db#password
                bao://kv/shop/db#password (db-password)
            {{ bao://kv/shop/db/password }}
                bao:kv/shop/db#password (db-password)
            {{'bao://kv/shop/db/password'}}
                bao:kv/shop/db#password (db-password)
            postgres://app:{{ bao://kv/shop/db/password }}@db/{{bao://kv/shop/db/name}}
                "postgres://app:" + bao:kv/shop/db#password (db-password) + "@db/" + bao:kv/shop/db#name (db-name)
            {{ bao://kv/a/b }} {{ other }}
                not: there are tags in it that are no references
            {{ bao://kv/a/b }} {{
                not: there are tags in it that are no references
            {{ other }}
                -
            {{ bao://kv/a/b }} postgres://u:secret@h
                not: a value stands beside it
            op://My%20Vault/Stripe/keys/api key?attribute=otp
                op://My Vault/Stripe/keys/api key?attribute=otp (stripe-keys-api-key), 1password is not read yet
            op://Shop/a%2Fb/field
                op://Shop/"a/b"/field (a-b-field), 1password is not read yet
            op://Shop/Stripe
                not: it cannot be said in our grammar
            infisical:///DB_PASSWORD?env=prod&path=/db
                infisical:///DB_PASSWORD?env=prod&path=/db (db-password), infisical is not read yet
            vault:kv/a#b
                -
            https://example.org
                -

                -
        "#]]
        .assert_eq(&text);
    }
}
