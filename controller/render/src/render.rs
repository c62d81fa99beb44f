//! From items to bytes: places, limits, and all problems at once.

use std::collections::BTreeMap;

use hmac::{Hmac, Mac as _};
use locket_crds::id::SecretName;
use locket_crds::item::{Content, Input, Item, Target};
use locket_crds::reference::SecretRef;
use locket_crds::spec::{FileMode, Operand};
use locket_crds::template::{Expr, Filter, Part, Template};
use locket_provider::SecretValue;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::{Fault, Reason, RenderError};
use crate::expression::{empty, evaluate};
use crate::filter::{Bytes, Context, Work};
use crate::limits::{ENV_LIMIT, FILE_LIMIT, PAGE, TOTAL_LIMIT};
use crate::values::Values;

/// The project's key, 32 random bytes: makes the salts of password hashes. Zeroed when dropped, never shown.
pub struct Key(Zeroizing<[u8; 32]>);

/// What rendering may depend on beside items, values and key.
#[derive(Debug, Clone, Copy, Default)]
pub struct RenderOptions {
    /// Seconds since the epoch, for one-shot commands; `None` makes `totp` an error, as the controller would deliver for ever.
    pub now: Option<u64>,
}

/// Everything that one service is given.
#[derive(Default)]
pub struct Rendered {
    /// Files, sorted by path.
    pub files: Vec<RenderedFile>,
    /// Variables that the shim sets, sorted by name.
    pub env: Vec<(String, SecretValue)>,
    /// Variables that the gate hands to compose, sorted by name; UTF-8 text.
    pub compose_env: Vec<(String, SecretValue)>,
}

/// A file with its content.
pub struct RenderedFile {
    /// Path relative to the service's `path`.
    pub path: String,
    /// The content.
    pub bytes: SecretValue,
    /// Owner, mode, update.
    pub file: FileMode,
}

/// Bytes through filters that take so little time that nobody notices.
const QUICK: usize = 1 << 20;

/// Whether rendering may take seconds of CPU (see [`crate::BCRYPT_LIMIT`] and [`crate::WORK_LIMIT`]): not for a thread on which
/// others wait.
pub fn is_slow(items: &[Item], values: &impl Values) -> bool {
    let mut bytes = 0_usize;
    for item in items {
        let Content::Template { template, names } = &item.content else {
            continue;
        };
        for part in template.parts() {
            let Part::Expr(it) = part else {
                continue;
            };
            let reference = match &it.operand {
                Operand::Ref(reference) => Some(reference),
                Operand::Name(name) => names.get(name).map(|input| &input.reference),
            };
            let value = reference.and_then(|it| values.get(it));
            let length = value.map_or(0, |it| it.expose().len());
            bytes = bytes.saturating_add(length.saturating_mul(it.filters.len()));
            let hashes = |it: &Filter| matches!(it, Filter::Bcrypt | Filter::Htpasswd(_));
            if bytes > QUICK || it.filters.iter().any(hashes) {
                return true;
            }
        }
    }
    false
}

/// Renders the items of one service. All or nothing. CPU only, and much of it if [`is_slow`].
///
/// # Errors
/// Every problem of every item, in the order of the items. Nothing of a value is in them.
pub fn render(
    items: &[Item],
    values: &impl Values,
    key: &Key,
    options: RenderOptions,
) -> Result<Rendered, Vec<RenderError>> {
    let mut rendered = Rendered::default();
    let mut problems = Vec::new();
    let mut work = Work::default();
    let mut total = 0_usize;
    for item in items {
        let context = Context {
            key,
            target: name(&item.target),
            now: options.now,
            work: &mut work,
        };
        let mut pass = Pass {
            item,
            values,
            context,
            problems: &mut problems,
        };
        if let Some(bytes) = pass.content() {
            total = total.saturating_add(size(&item.target, &bytes));
            if total > TOTAL_LIMIT {
                let fault = Fault::new(
                    Reason::TooLarge,
                    "with this, the service has more than 20 MiB",
                )
                .help("deliver large files another way");
                pass.report(None, None, fault);
                // Every further item would say the same.
                break;
            }
            pass.place(bytes, &mut rendered);
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    rendered.files.sort_by(|a, b| a.path.cmp(&b.path));
    rendered.env.sort_by(|a, b| a.0.cmp(&b.0));
    rendered.compose_env.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(rendered)
}

impl Key {
    /// Takes the key over.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// HMAC-SHA-256 over a purpose and parts, each with its length, so that no two lists of parts look alike.
    pub(crate) fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        // HMAC takes keys of any length; 32 bytes are one.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else {
            return [0; 32];
        };
        for part in [purpose.as_bytes()].iter().chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// One item on its way.
struct Pass<'a, V> {
    item: &'a Item,
    values: &'a V,
    context: Context<'a>,
    problems: &'a mut Vec<RenderError>,
}

impl<V: Values> Pass<'_, V> {
    /// The bytes of the item; `None` after a problem.
    fn content(&mut self) -> Option<Bytes> {
        let item = self.item;
        match &item.content {
            Content::Secret(input) => {
                let result = self.value(&input.reference).and_then(|value| {
                    if value.is_empty() && !input.allow_empty {
                        return Err(empty());
                    }
                    if value.len() > FILE_LIMIT {
                        return Err(too_large());
                    }
                    Ok(Bytes::new(value.expose().to_vec()))
                });
                result
                    .map_err(|fault| self.report(None, Some(&input.reference.to_string()), fault))
                    .ok()
            }
            Content::Template { template, names } => self.template(template, names),
        }
    }

    fn template(
        &mut self,
        template: &Template,
        names: &BTreeMap<SecretName, Input>,
    ) -> Option<Bytes> {
        let before = self.problems.len();
        let mut pieces = Vec::new();
        for part in template.parts() {
            match part {
                Part::Text(text) => pieces.push(Bytes::new(text.clone().into_bytes())),
                Part::Expr(expr) => match self.expression(expr, names) {
                    Ok(bytes) => pieces.push(bytes),
                    Err(fault) => self.report(Some((template, expr)), Some(&operand(expr)), fault),
                },
            }
            if pieces.iter().map(|p| p.len()).sum::<usize>() > FILE_LIMIT {
                self.report(None, None, too_large());
                return None;
            }
        }
        // Joined once, because a buffer that grows leaves copies behind.
        (self.problems.len() == before).then(|| {
            Bytes::new(
                pieces
                    .iter()
                    .map(|p| p.as_slice())
                    .collect::<Vec<_>>()
                    .concat(),
            )
        })
    }

    fn expression(
        &mut self,
        expr: &Expr,
        names: &BTreeMap<SecretName, Input>,
    ) -> Result<Bytes, Fault> {
        let (reference, allow_empty) = match &expr.operand {
            Operand::Ref(reference) => (reference, false),
            Operand::Name(name) => match names.get(name) {
                Some(input) => (&input.reference, input.allow_empty),
                None => return Err(missing()),
            },
        };
        let values = self.values;
        let value = values.get(reference).ok_or_else(missing)?;
        evaluate(
            value.expose(),
            allow_empty,
            &expr.filters,
            &mut self.context,
        )
    }

    fn value(&self, reference: &SecretRef) -> Result<&SecretValue, Fault> {
        self.values.get(reference).ok_or_else(missing)
    }

    /// Puts the bytes where they belong, if they may be there.
    fn place(&mut self, mut bytes: Bytes, rendered: &mut Rendered) {
        let allowed = match &self.item.target {
            Target::File { .. } => Ok(()),
            Target::Env { key } => variable(key, &bytes),
            Target::ComposeEnv { key } => variable(key, &bytes).and_then(|()| text(&bytes)),
        };
        if let Err(fault) = allowed {
            return self.report(None, None, fault);
        }
        // Moved, not copied; what is left is empty.
        let bytes = SecretValue::new(std::mem::take(&mut *bytes));
        match &self.item.target {
            Target::File { path, file } => rendered.files.push(RenderedFile {
                path: path.clone(),
                bytes,
                file: file.clone(),
            }),
            Target::Env { key } => rendered.env.push((key.clone(), bytes)),
            Target::ComposeEnv { key } => rendered.compose_env.push((key.clone(), bytes)),
        }
    }

    fn report(&mut self, at: Option<(&Template, &Expr)>, what: Option<&str>, fault: Fault) {
        let mut message = self.context.target.clone();
        if let Some((template, expr)) = at {
            let (line, column) = position(template.text(), expr.at.start);
            message += &format!(", line {line}, column {column} of the template");
        }
        if let Some(what) = what {
            message += &format!(", `{what}`");
        }
        self.problems.push(RenderError {
            origin: self.item.origin.clone(),
            at: at.map(|(_, expr)| expr.at.clone()),
            reason: fault.reason,
            message: format!("{message}: {}", fault.message),
            help: fault.help.map(str::to_owned),
        });
    }
}

/// The place in words; also what makes the salts of two places differ.
fn name(target: &Target) -> String {
    match target {
        Target::File { path, .. } => format!("file {path}"),
        Target::Env { key } => format!("variable {key}"),
        Target::ComposeEnv { key } => format!("compose variable {key}"),
    }
}

fn operand(expr: &Expr) -> String {
    match &expr.operand {
        Operand::Name(name) => name.to_string(),
        Operand::Ref(reference) => reference.to_string(),
    }
}

/// Bytes that an item takes of the service's tmpfs.
fn size(target: &Target, bytes: &[u8]) -> usize {
    match target {
        Target::File { .. } => bytes.len().next_multiple_of(PAGE),
        Target::Env { key } => entry(key, bytes),
        // Never on the tmpfs.
        Target::ComposeEnv { .. } => 0,
    }
}

/// Bytes of `KEY=value` and its NUL.
fn entry(key: &str, bytes: &[u8]) -> usize {
    key.len() + bytes.len() + 2
}

fn variable(key: &str, bytes: &[u8]) -> Result<(), Fault> {
    if bytes.contains(&0) {
        return Err(Fault::new(
            Reason::NulInEnv,
            "the value has a NUL, which no environment variable can hold",
        )
        .help("deliver it as a file, or encode it, for example with `base64`"));
    }
    if entry(key, bytes) > ENV_LIMIT {
        return Err(Fault::new(
            Reason::TooLarge,
            "`KEY=value` is over 131,071 bytes, the kernel's limit",
        )
        .help("deliver it as a file"));
    }
    Ok(())
}

/// Compose gets its variables in JSON.
fn text(bytes: &[u8]) -> Result<(), Fault> {
    std::str::from_utf8(bytes).map(|_| ()).map_err(|_| {
        Fault::new(
            Reason::NotText,
            "the value is not UTF-8 text, and compose takes nothing else",
        )
        .help("leave `via: compose` out, or use a file")
    })
}

fn too_large() -> Fault {
    Fault::new(Reason::TooLarge, "the content is over 8 MiB")
        .help("deliver large files another way")
}

fn missing() -> Fault {
    Fault::new(Reason::Missing, "there is no value for it")
}

/// Line and column in characters, from 1, of a byte offset.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

#[cfg(test)]
mod tests;
