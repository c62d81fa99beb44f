//! `secret set`: where a value comes from. It is taken byte for byte.

use std::io::{self, Read as _};
use std::path::PathBuf;

use clap::Args;
use locket_provider::SecretValue;
use zeroize::Zeroizing;

use super::changed;
use super::name::Folder;
use crate::compose::ComposeFlags;
use crate::config::store_error;
use crate::context::Context;
use crate::error::{CommandError, Result};

/// More than a secret may have: what is read beyond it is only refused.
const LIMIT: u64 = (1 << 20) + 1;

/// Arguments of `set`.
#[derive(Debug, Clone, Args)]
pub struct SetArgs {
    /// NAME in a project's folder, else PROJECT/NAME or /NAME
    name: String,
    /// The value itself; it stays in the shell's history and can be seen by others while this runs
    #[arg(conflicts_with = "file")]
    value: Option<String>,
    /// A file that holds the value; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Set it even if the value is empty
    #[arg(long)]
    allow_empty: bool,
    /// Leave out line breaks at the value's end, such as that of `echo`
    #[arg(long)]
    trim: bool,
}

/// Runs it.
///
/// # Errors
/// A bad name, a value that cannot be read or is too large, a store that cannot be written.
pub async fn run(args: SetArgs, flags: &ComposeFlags, cx: &Context) -> Result<()> {
    let resolved = Folder::read(cx, flags, &args.name)
        .await?
        .resolve(&args.name)?;
    if let Some(warning) = &resolved.warning {
        cx.term.warn(warning);
    }
    // Two quotes among the arguments are no accident.
    let allow_empty = args.allow_empty || args.value.is_some();
    let value = value(args.value, args.file, &resolved.name.to_string(), cx)?;
    let value = if args.trim { trimmed(&value) } else { value };
    if value.expose().is_empty() && !allow_empty {
        return Err(CommandError::user(format!(
            "no value has come for {}; nothing was set",
            resolved.name
        ))
        .hint("pipe it in, name a file with `--file`, or run this in a terminal to be asked")
        .hint("say `--allow-empty` if it shall be empty"));
    }
    if is_one_line(value.expose()) {
        cx.term
            .warn("the value ends with a line break, which is part of it; `--trim` leaves it out");
    }
    let store = cx.store().await?;
    let before = store.history(resolved.name.as_str()).await.ok();
    let info = store
        .set(resolved.name.as_str(), &value)
        .await
        .map_err(store_error)?;
    changed(
        cx,
        &resolved.name,
        before.as_ref().and_then(|all| all.first()),
        &info,
    );
    Ok(())
}

fn value(
    argument: Option<String>,
    file: Option<PathBuf>,
    name: &str,
    cx: &Context,
) -> Result<SecretValue> {
    if let Some(text) = argument {
        cx.term.warn(
            "a value among the arguments stays in the shell's history; give it on standard input",
        );
        return Ok(SecretValue::new(text.into_bytes()));
    }
    match file {
        Some(path) if path.as_os_str() != "-" => {
            let path = cx.dir.join(path);
            let file = std::fs::File::open(&path);
            let read = file.and_then(all);
            read.map_err(|e| {
                CommandError::user(format!("{} cannot be read", path.display())).because(e)
            })
        }
        None if cx.term.is_tty() => prompt(name),
        _ => all(io::stdin().lock())
            .map_err(|e| CommandError::user("standard input cannot be read").because(e)),
    }
}

/// Text of one line, with the end of the line: what `echo` makes, and nobody means.
fn is_one_line(value: &[u8]) -> bool {
    value
        .strip_suffix(b"\n")
        .is_some_and(|line| !line.is_empty() && !line.contains(&b'\n'))
}

fn trimmed(value: &SecretValue) -> SecretValue {
    let mut bytes = value.expose();
    while let [rest @ .., b'\n' | b'\r'] = bytes {
        bytes = rest;
    }
    SecretValue::new(bytes.to_vec())
}

/// Everything, without copies that stay behind: the buffer has its final size from the start.
fn all(from: impl io::Read) -> io::Result<SecretValue> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 << 20));
    from.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(SecretValue::new(std::mem::take(&mut *bytes)))
}

/// Asks twice: what is typed blindly is easily mistyped.
fn prompt(name: &str) -> Result<SecretValue> {
    let ask = |question: String| {
        let answer = rpassword::prompt_password(question).map(Zeroizing::new);
        answer.map_err(|e| CommandError::user("nothing was typed").because(e))
    };
    let (mut first, second) = (
        ask(format!("Value of {name}: "))?,
        ask("The same again: ".to_owned())?,
    );
    if first != second {
        return Err(CommandError::user("the two values differ; nothing was set"));
    }
    Ok(SecretValue::new(std::mem::take(&mut *first).into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_with_its_end_is_told_and_trimmed() {
        let cases: [(&[u8], bool, &[u8]); 6] = [
            (b"a\n", true, b"a"),
            (b"a\r\n", true, b"a"),
            (b"a", false, b"a"),
            (b"-----BEGIN-----\nx\n", false, b"-----BEGIN-----\nx"),
            (b"\n", false, b""),
            (b"", false, b""),
        ];
        for (value, told, left) in cases {
            assert_eq!(is_one_line(value), told, "{value:?}");
            let trimmed = trimmed(&SecretValue::new(value.to_vec()));
            assert_eq!(trimmed.expose(), left, "{value:?}");
        }
    }
}
