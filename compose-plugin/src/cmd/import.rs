//! `docker locket init --import` and `--undo`: the way of an import through files and store. What it is made of is in
//! [`crate::import`].
//!
//! # Guarantees
//! - Nothing is changed before the user's yes, and a failure later puts everything back.
//! - After a crash at any instruction, `--undo` or another import puts everything back: the record in the store is written
//!   before whatever it speaks of.

mod here;
mod show;
mod vault;

use locket_providers::local::LocalClient;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::here::{Here, Stored, model, stored};
use self::show::{leave_out, show, show_commands, show_plan, what};
use self::vault::Vault;
use super::generate::{generated, tell, warn};
use super::init;
use crate::compose::{ComposeFlags, Files};
use crate::config::store_error;
use crate::context::Context;
use crate::error::{CommandError, Result};
use crate::import::find::{Candidate, find};
use crate::import::mask;
use crate::import::model::Value;
use crate::import::plan::{Plan, plan};
use crate::import::undo::Record;
use crate::output::lines;
use crate::project;
use crate::user_files::{self, Change, write_all};

/// What the user has said.
pub struct Options {
    /// `VARIABLE` or `SERVICE.VARIABLE`.
    pub skip: Vec<String>,
    /// Nothing is asked.
    pub yes: bool,
    /// As in `init`.
    pub inline: bool,
    /// Where values go instead of the built-in store.
    pub vault: Option<String>,
    /// The one whose value is wanted, and nothing else.
    pub value: Option<String>,
}

/// Runs the import.
///
/// # Errors
/// The user's problem: files that compose refuses, lines that only their author should touch, nobody to ask. Then everything is
/// as it was.
pub async fn run(flags: &ComposeFlags, options: Options, cx: &Context) -> Result<ExitCode> {
    cx.docker().require_compose().await?;
    let project = project::needed(cx, flags).await?.to_string();
    if let Some(record) = Record::read(&cx.store().await?, &project).await?
        && !record.complete
    {
        cx.term
            .warn("an import was interrupted: what it has changed is put back first");
        take_back(&record, &project, cx).await?;
    }
    let here = Here::read(flags, &project, cx).await?;
    let given = |service: &str, name: &str| {
        let spec = here.loaded.spec.as_ref();
        spec.and_then(|it| it.services.get(service))
            .is_some_and(|it| it.env.contains_key(name))
    };
    let trees = here.texts.trees()?;
    let found = find(&here.model, &here.texts, &trees, &given);
    for note in &found.notes {
        cx.term.warn(lines(note));
    }
    let vault = options.vault.as_ref();
    let vault = vault.map(|it| Vault::read(it, &here)).transpose()?;
    let target = vault.as_ref().map(Vault::target);
    let mut skipped = skipped(&found.candidates, &options.skip)?;
    let store = &cx.store().await?;
    let stored = stored(store, &project).await?;
    if let Some(name) = &options.value {
        let request = here.request(&found, &skipped, &stored, target, &mut Vec::new())?;
        vault::value(&plan(request)?, name, cx)?;
        return Ok(ExitCode::SUCCESS);
    }
    if skipped.len() == found.candidates.len() {
        cx.term.info(
            "no value looks like a secret, and no reference is another tool's: nothing to import",
        );
        return init::init(flags, options.inline, options.yes, cx).await;
    }
    show(&found.candidates, &skipped, cx);
    let asks = !options.yes && cx.term.is_tty();
    if asks {
        leave_out(found.candidates.len(), &mut skipped, cx)?;
        if skipped.len() == found.candidates.len() {
            return Err(CommandError::user("all are left out; nothing was written"));
        }
    }
    let mut notes = Vec::new();
    let mut plan = plan(here.request(&found, &skipped, &stored, target, &mut notes)?)?;
    plan.notes.splice(0..0, notes);
    let shown: Vec<Value> = here.values(&found.candidates, &plan);
    let names: BTreeSet<&str> = found.candidates.iter().map(|it| it.name.as_str()).collect();
    show_plan(&here.files, &plan, &names, &shown, cx);
    if what(&plan).is_empty() {
        return Err(CommandError::user(
            "none of these values can be moved; nothing was written",
        ));
    }
    if let Some(vault) = &vault {
        let left_out: Vec<String> = skipped
            .iter()
            .map(|n| &found.candidates[*n])
            .map(|it| format!("{}.{}", it.service, it.name))
            .collect();
        vault
            .require(&plan, &here, flags, &options, &left_out, cx)
            .await?;
    }
    let changed = changed(&here.files, &plan);
    if !options.yes && !asks {
        return Err(CommandError::user(format!(
            "{} would move, and nobody is here to ask",
            what(&plan)
        ))
        .hint("say `--yes` to have it done, `--skip NAME` to leave one out"));
    }
    if asks
        && !cx.term.confirm(&format!(
            "Move {}{} and change {changed}, with what `docker locket init` adds?",
            what(&plan),
            if plan.values.is_empty() || vault.is_some() {
                ""
            } else {
                " into the built-in store"
            }
        ))
    {
        return Err(CommandError::user("nothing was written"));
    }
    let work = Work {
        here: &here,
        plan: &plan,
        project: &project,
        masks: (&names, &shown),
        keeps: vault.is_none(),
    };
    let mut record = work.begin(&stored, store).await?;
    let done = work
        .go_on(&mut record, flags, options.inline, store, cx)
        .await;
    if let Err(e) = done {
        return Err(match record.restore(store, &project).await {
            Ok(()) => e.hint("everything is as it was before"),
            Err(more) => e.hint(format!(
                "not everything could be put back ({}): run `docker locket init --undo`",
                more.one_line()
            )),
        });
    }
    cx.term.info(format!(
        "moved {}; `docker compose up -d` starts services with what is there, `docker locket init --undo` takes all of it back",
        what(&plan)
    ));
    show_commands(&plan, &|name| stored.contains_key(name), cx);
    Ok(ExitCode::SUCCESS)
}

/// The candidates that the user leaves out, by their numbers.
fn skipped(candidates: &[Candidate], skip: &[String]) -> Result<BTreeSet<usize>> {
    let said = |it: &Candidate, name: &String| {
        *name == it.name || *name == format!("{}.{}", it.service, it.name)
    };
    if let Some(unknown) = skip
        .iter()
        .find(|name| !candidates.iter().any(|it| said(it, name)))
    {
        return Err(CommandError::user(format!(
            "nothing that looks like a secret is called {unknown}"
        ))
        .hint("`--skip` takes VARIABLE or SERVICE.VARIABLE"));
    }
    let named = candidates.iter().enumerate();
    let left_out = named.filter(|(_, it)| skip.iter().any(|name| said(it, name)));
    Ok(left_out.map(|(n, _)| n).collect())
}

/// Takes the last import back.
///
/// # Errors
/// There is none, or a file is not what the import has made of it; then nothing is written.
pub async fn undo(flags: &ComposeFlags, yes: bool, cx: &Context) -> Result<ExitCode> {
    let project = project::needed(cx, flags).await?.to_string();
    let store = &cx.store().await?;
    let Some(record) = Record::read(store, &project).await? else {
        return Err(CommandError::user(format!(
            "nothing was imported for project {project} that could be taken back"
        )));
    };
    let base = project::base(cx, flags);
    let name = |path: &Path| {
        path.strip_prefix(&base)
            .unwrap_or(path)
            .display()
            .to_string()
    };
    let names: Vec<String> = record.files().map(name).collect();
    let question = format!(
        "Put {} back as before the import, and remove its secrets?",
        names.join(", ")
    );
    if !yes && !cx.term.is_tty() {
        return Err(CommandError::user(format!(
            "{} would be put back, and nobody is here to ask",
            names.join(", ")
        ))
        .hint("say `--yes` to have it done"));
    }
    if !yes && !cx.term.confirm(&question) {
        return Err(CommandError::user("nothing was written"));
    }
    let newer = record.set_since(store).await?;
    take_back(&record, &project, cx).await?;
    for name in newer {
        cx.term.warn(format!(
            "{name} was set after the import: it stays in the store, and the files have the value from before"
        ));
    }
    cx.term.info(format!(
        "{} are as before the import; `docker compose up -d` starts services with that",
        names.join(", ")
    ));
    Ok(ExitCode::SUCCESS)
}

async fn take_back(record: &Record, project: &str, cx: &Context) -> Result<()> {
    let foreign = record.foreign()?;
    if !foreign.is_empty() {
        let names: Vec<String> = foreign.iter().map(|it| it.display().to_string()).collect();
        let verb = if names.len() == 1 { "is" } else { "are" };
        return Err(CommandError::user(format!(
            "{} {verb} not what the import has made; nothing was written",
            names.join(" and ")
        ))
        .hint("take your own changes out again, or go on without an undo: `docker locket secret rm --yes locket-import-undo`"));
    }
    record.restore(&cx.store().await?, project).await
}

/// The texts that change, as changes.
fn changes(plan: &Plan) -> Vec<Change> {
    let env = plan.texts.env.iter().map(|it| &it.text);
    let all = plan.texts.compose.iter().chain(env);
    let change = all.map(|it| Change {
        path: it.path.clone(),
        before: Some(it.before.clone()),
        after: it.now.clone(),
    });
    change.filter(|it| !it.is_empty()).collect()
}

fn changed(files: &Files, plan: &Plan) -> String {
    let all: Vec<String> = changes(plan)
        .iter()
        .map(|it| files.name(&it.path))
        .collect();
    all.join(" and ")
}

/// An import on its way.
struct Work<'a> {
    here: &'a Here,
    plan: &'a Plan,
    project: &'a str,
    masks: (&'a BTreeSet<&'a str>, &'a [Value]),
    /// Values go into the built-in store.
    keeps: bool,
}

impl Work<'_> {
    /// Writes down how everything is, then the values into the store.
    async fn begin(&self, stored: &Stored, store: &LocalClient) -> Result<Record> {
        let new: Vec<(String, &Value)> = self
            .plan
            .values
            .iter()
            .filter(|(name, _)| self.keeps && !stored.contains_key(*name))
            .map(|(name, value)| (format!("{}/{name}", self.project), value))
            .collect();
        let previous = Record::read(store, self.project).await?;
        let names = new.iter().map(|(name, _)| name.clone()).collect();
        let mut record = Record::new(names, previous);
        for change in changes(self.plan) {
            record.add(&change)?;
        }
        for path in &self.plan.removes {
            record.add_removal(path)?;
        }
        record.write(store, self.project).await?;
        for (name, value) in new {
            if let Err(e) = store.set(&name, value).await {
                let e = store_error(e);
                return Err(match record.restore(store, self.project).await {
                    Ok(()) => e,
                    Err(_) => e.hint("run `docker locket init --undo`"),
                });
            }
        }
        Ok(record)
    }

    /// Changes the files. Whoever calls this puts everything back after an error.
    async fn go_on(
        &self,
        record: &mut Record,
        flags: &ComposeFlags,
        inline: bool,
        store: &LocalClient,
        cx: &Context,
    ) -> Result<()> {
        write_all(&changes(self.plan))?;
        let now = model(flags, &self.here.files, &self.plan.texts, cx).await?;
        self.plan.check(&self.here.model, &now)?;
        let (prepared, schema) = init::prepared(flags, inline, cx).await?;
        warn(&prepared, cx);
        let files = &prepared.loaded.files;
        for change in &prepared.own {
            let masked = mask::change(change, &files.env_file, self.masks.0, self.masks.1);
            cx.term.info(
                masked
                    .diff(&files.name(&change.path), cx.term.color())
                    .trim_end(),
            );
        }
        let ours = generated(&prepared, &[schema]);
        let all: Vec<&Change> = prepared.own.iter().chain(&ours).collect();
        for change in &all {
            record.add(change)?;
        }
        record.write(store, self.project).await?;
        write_all(all.iter().copied())?;
        for path in &self.plan.removes {
            user_files::remove(path)?;
        }
        record.finish(store, self.project).await?;
        let mut written: BTreeSet<PathBuf> =
            changes(self.plan).into_iter().map(|it| it.path).collect();
        written.extend(all.iter().map(|it| it.path.clone()));
        tell(
            &prepared,
            written.iter().map(|it| files.name(it)).collect(),
            cx,
        );
        Ok(())
    }
}
