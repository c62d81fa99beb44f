//! `--vault`: the user brings the values to a backend, and files change once they are there.
//!
//! Locket only reads from backends, so it prints a command for each value. The value goes from this program through a pipe:
//! it is in no argument, and on no terminal.

use std::collections::BTreeSet;
use std::sync::Arc;

use locket_controller::sources::{Authority, Sources};
use locket_crds::reference::{SCHEMES, SecretRef};

use super::Options;
use super::here::Here;
use super::show::word;
use crate::compose::ComposeFlags;
use crate::context::Context;
use crate::error::{CommandError, Result};
use crate::import::plan::Plan;
use crate::output::lines;
use crate::project;

/// The field that holds a value.
const FIELD: &str = "value";

/// Where values shall be.
pub(super) struct Vault {
    /// As the user has written it, without slashes after the colon.
    folder: SecretRef,
    /// The command line of the backend.
    program: &'static str,
}

/// What the backend has of the values.
#[derive(Default)]
struct There {
    /// Names that it does not have, or has with another value.
    lacks: BTreeSet<String>,
    /// Names of which it says nothing, and why.
    unknown: Option<(BTreeSet<String>, String)>,
}

impl Vault {
    /// Reads `SOURCE:FOLDER`.
    ///
    /// # Errors
    /// It is none, or its source is no OpenBao or Vault that somebody has defined.
    pub(super) fn read(text: &str, here: &Here) -> Result<Self> {
        let wrong = |what: &str| {
            CommandError::user(format!("`--vault` {what}")).hint(
                "write SOURCE:FOLDER, such as `--vault bao:kv/shop`: mount and folder of OpenBao",
            )
        };
        let folder: SecretRef = text
            .trim_end_matches('/')
            .parse()
            .map_err(|e| wrong("is no folder of a source").because(e))?;
        if folder.field().is_some() || folder.version().is_some() || !folder.query().is_empty() {
            return Err(wrong("names a folder, without field and version"));
        }
        if folder.segments().len() < 2 {
            return Err(wrong("names a mount and a folder in it"));
        }
        let scheme = SCHEMES
            .iter()
            .find(|(name, _)| folder.source().as_str() == *name);
        let kind = here
            .kind(folder.source())
            .or(scheme.map(|(_, kind)| *kind))
            .unwrap_or_default();
        let program = match kind {
            "openbao" | "bao" => "bao",
            "vault" => "vault",
            _ => return Err(wrong("is for sources of OpenBao and Vault")),
        };
        if here.kind(folder.source()).is_none() {
            let name = folder.source();
            return Err(CommandError::user(format!("nobody has said where {name} is")).hint(format!(
                "say it in `x-locket.sources`, or in locket.yaml: `{name}: {{ type: {kind}, url: URL, auth: … }}`"
            )));
        }
        Ok(Self { folder, program })
    }

    /// What references begin with, and the field.
    pub(super) fn target(&self) -> (String, String) {
        let folder = format!("{}:{}", self.folder.source(), self.folder.path());
        (folder, FIELD.to_owned())
    }

    /// Lets pass whose values are all there. Of others it prints how they come there.
    ///
    /// # Errors
    /// Something is not there yet, or nobody can tell and the user has not said `--yes`.
    pub(super) async fn require(
        &self,
        plan: &Plan,
        here: &Here,
        flags: &ComposeFlags,
        options: &Options,
        left_out: &[String],
        cx: &Context,
    ) -> Result<()> {
        if let Some((name, _)) = plan
            .values
            .iter()
            .find(|(_, it)| std::str::from_utf8(it.expose()).is_err())
        {
            return Err(CommandError::user(format!(
                "the value of {name} is no text, which {} does not keep",
                self.program
            ))
            .hint("leave it out with `--skip`"));
        }
        let found = self.there(plan, here, flags, cx).await?;
        let name = self.folder.source();
        if found.lacks.is_empty() {
            match found.unknown {
                None => return Ok(()),
                Some((_, why)) if options.yes => {
                    cx.term.warn(lines(&format!(
                        "{name} was not asked whether the values are there, as you say: {why}"
                    )));
                    return Ok(());
                }
                Some((left, why)) => {
                    self.print(&left, flags, left_out, cx);
                    return Err(CommandError::user(format!(
                        "{name} cannot be asked whether the values are there: {why}; nothing was written"
                    ))
                    .hint("run these commands, with the address and a token in the environment, then this again with `--yes`"));
                }
            }
        }
        self.print(&found.lacks, flags, left_out, cx);
        let n = found.lacks.len();
        Err(CommandError::user(format!(
            "{} not in {name} yet; nothing was written",
            if n == 1 {
                "one value is".to_owned()
            } else {
                format!("{n} values are")
            }
        ))
        .hint(
            "run these commands, with the address and a token in the environment, then this again",
        ))
    }

    async fn there(
        &self,
        plan: &Plan,
        here: &Here,
        flags: &ComposeFlags,
        cx: &Context,
    ) -> Result<There> {
        let (folder, field) = self.target();
        let mut references = Vec::new();
        for (name, value) in &plan.values {
            let text = format!("{folder}/{name}#{field}");
            let it: SecretRef = text.parse().map_err(|e| {
                CommandError::internal(format!("{name} has no place there")).because(e)
            })?;
            references.push((name, it, value));
        }
        let spec = here.loaded.spec(cx.term.color())?;
        let config = Arc::new(cx.host_config().await?);
        let opener = cx.opener(&project::base(cx, flags)).await?;
        let sources = Sources::new(opener, Authority::User(config));
        let asked = references.iter().map(|(_, it, _)| it.clone());
        let answers = sources.fetch(spec, asked).await;
        let mut out = There::default();
        for (name, it, value) in references {
            match answers.get(&it) {
                Some(Ok(found)) if found.value.expose() == value.expose() => {}
                Some(Ok(_)) => {
                    cx.term
                        .warn(format!("{it} has another value than the project"));
                    out.lacks.insert(name.clone());
                }
                Some(Err(e)) if e.reason == "NotFound" => drop(out.lacks.insert(name.clone())),
                Some(Err(e)) => {
                    let why = e.message.clone();
                    let (all, _) = out.unknown.get_or_insert((BTreeSet::new(), why));
                    all.insert(name.clone());
                }
                None => drop(out.lacks.insert(name.clone())),
            }
        }
        Ok(out)
    }

    fn print(
        &self,
        names: &BTreeSet<String>,
        flags: &ComposeFlags,
        left_out: &[String],
        cx: &Context,
    ) {
        let folder = self.target().0;
        let again = again(flags, left_out, &folder);
        for name in names {
            let place = format!("{}/{name}", self.folder.path());
            cx.term.out(format!(
                "{again} --value {name} | {} kv put {} {FIELD}=-",
                self.program,
                word(&place)
            ));
        }
    }
}

/// The command that was called, so far as it says which project and which values are meant.
fn again(flags: &ComposeFlags, left_out: &[String], folder: &str) -> String {
    let one = |name: &str, it: &str| format!(" {name} {}", word(it));
    let mut out = "docker locket init --import".to_owned();
    out.extend(flags.file.iter().map(|it| one("-f", it)));
    out.extend(flags.project_name.iter().map(|it| one("-p", it)));
    let dir = flags.project_directory.iter();
    out.extend(dir.map(|it| one("--project-directory", it)));
    out.extend(flags.env_file.iter().map(|it| one("--env-file", it)));
    out.extend(flags.profile.iter().map(|it| one("--profile", it)));
    out.extend(left_out.iter().map(|it| one("--skip", it)));
    out + &one("--vault", folder)
}

/// Writes one value for a pipe.
///
/// # Errors
/// There is none of this name, or a terminal would show it.
pub(super) fn value(plan: &Plan, name: &str, cx: &Context) -> Result<()> {
    let Some(value) = plan.values.get(name) else {
        let all: Vec<&str> = plan.values.keys().map(String::as_str).collect();
        return Err(
            CommandError::user(format!("no value would be called {name}"))
                .hint(format!("there are {}", all.join(", "))),
        );
    };
    if cx.term.shows() {
        return Err(CommandError::user("a value is not shown on a terminal")
            .hint("give it to a program: `… --value NAME | bao kv put MOUNT/PATH value=-`"));
    }
    cx.term.bytes(value.expose());
    Ok(())
}
