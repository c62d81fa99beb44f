//! `secret export` and `secret import`: backups, and moving to another engine.

use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;
use locket_providers::local::Lock;
use zeroize::Zeroizing;

use crate::config::store_error;
use crate::context::Context;
use crate::error::{CommandError, Result};

/// Arguments of `export`.
#[derive(Debug, Clone, Args)]
#[group(required = true)]
pub struct ExportArgs {
    /// Who can open it: an age public key, age1…; may be given several times
    #[arg(short, long, value_name = "KEY", conflicts_with = "passphrase")]
    recipient: Vec<String>,
    /// Lock it with a passphrase, which is asked for
    #[arg(long)]
    passphrase: bool,
}

/// Arguments of `import`.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// The file; `-` is standard input
    file: PathBuf,
    /// The age key file that opens it
    #[arg(short, long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

/// Runs `export`.
///
/// # Errors
/// No such recipient; a terminal that would get the bytes.
pub async fn export(args: ExportArgs, cx: &Context) -> Result<()> {
    if cx.term.shows() {
        return Err(CommandError::user("the export is no text")
            .hint("write it to a file: `… export … > secrets.age`"));
    }
    let lock = if args.passphrase {
        Lock::Passphrase(passphrase(cx, true)?)
    } else {
        Lock::Keys(args.recipient)
    };
    let bytes = cx.store().await?.export(&lock).await.map_err(store_error)?;
    cx.term.bytes(&bytes);
    Ok(())
}

/// Runs `import`.
///
/// # Errors
/// The file cannot be read, or not be opened with this key.
pub async fn import(args: ImportArgs, cx: &Context) -> Result<()> {
    let unreadable = |what: String| {
        move |e: std::io::Error| CommandError::user(format!("{what} cannot be read")).because(e)
    };
    let file = if args.file.as_os_str() == "-" {
        let mut all = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut all)
            .map(|_| all)
            .map_err(unreadable("standard input".to_owned()))?
    } else {
        let path = cx.dir.join(&args.file);
        std::fs::read(&path).map_err(unreadable(path.display().to_string()))?
    };
    if !is_export(&file) {
        return Err(
            CommandError::user(format!("{} is no export of a store", args.file.display()))
                .hint("a value goes in by `docker locket secret set NAME --file FILE`"),
        );
    }
    let lock = match args.identity {
        Some(path) => {
            let path = cx.dir.join(path);
            let text = Zeroizing::new(
                std::fs::read_to_string(&path).map_err(unreadable(path.display().to_string()))?,
            );
            let keys = text
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty() && !line.starts_with('#'));
            Lock::Keys(keys.map(str::to_owned).collect())
        }
        None if is_passphrase(&file) => Lock::Passphrase(passphrase(cx, false)?),
        None => {
            return Err(CommandError::user("the file is locked with a key")
                .hint("name the key file: `--identity key.txt`"));
        }
    };
    let changed = cx
        .store()
        .await?
        .import(file, &lock)
        .await
        .map_err(store_error)?;
    match changed.len() {
        0 => cx.term.info("nothing is new"),
        1 => cx.term.info(format_args!("{} has a new value", changed[0])),
        n => cx.term.info(format_args!(
            "{n} secrets have a new value: {}",
            changed.join(", ")
        )),
    }
    Ok(())
}

/// Whether an age file is locked with a passphrase: its first stanza says so, <https://age-encryption.org/v1>.
/// The first line of an export. <https://age-encryption.org/v1>
const AGE: &[u8] = b"age-encryption.org/v1";

fn is_export(file: &[u8]) -> bool {
    file.split(|b| *b == b'\n').next() == Some(AGE)
}

fn is_passphrase(file: &[u8]) -> bool {
    let mut lines = file.split(|b| *b == b'\n');
    lines.next() == Some(AGE)
        && lines
            .next()
            .is_some_and(|line| line.starts_with(b"-> scrypt "))
}

fn passphrase(cx: &Context, twice: bool) -> Result<Zeroizing<String>> {
    if !cx.term.is_tty() {
        return Err(CommandError::user("nobody is here to type a passphrase")
            .hint("use a key: `--recipient`, `--identity`"));
    }
    let ask = |question: &str| {
        let answer = rpassword::prompt_password(question).map(Zeroizing::new);
        answer.map_err(|e| CommandError::user("nothing was typed").because(e))
    };
    let first = ask("Passphrase: ")?;
    if twice && ask("The same again: ")? != first {
        return Err(CommandError::user(
            "the two passphrases differ; nothing was written",
        ));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_of_a_file_is_seen() {
        assert!(is_passphrase(
            b"age-encryption.org/v1\n-> scrypt abc 18\nbody"
        ));
        assert!(!is_passphrase(
            b"age-encryption.org/v1\n-> X25519 abc\nbody"
        ));
        assert!(!is_passphrase(b""));
        assert!(is_export(b"age-encryption.org/v1\n-> X25519 abc\nbody"));
        assert!(!is_export(b"DB_PASSWORD=x\n") && !is_export(b""));
    }
}
