//! `docker locket check`: all that is wrong with the compose files, each problem with its line.

mod fix;

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use locket_crds::diag::{
    Code, Diagnostic, SourceMap, measure, render_github, render_json, render_sarif, render_text,
};
use locket_crds::lint::{allowed, lint, shown};
use locket_crds::text::Text;

use crate::compose::{self, ComposeFlags, FromFiles, Loaded, Profiles, Request, files};
use crate::context::{Context, VERSION};
use crate::docker::Docker;
use crate::error::Result;
use crate::generate::{problems, sufficient};
use crate::user_files::{Change, write_all};

/// Arguments of `check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    compose: ComposeFlags,
    /// How problems are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Warnings count as errors
    #[arg(long)]
    strict: bool,
    /// Do not run `docker compose config`: read the files alone, and say what they leave open
    #[arg(long)]
    offline: bool,
    /// Repair what can be repaired safely: quote templates, replace mistyped names by the only near one; shows the lines
    #[arg(long)]
    fix: bool,
}

/// See [`CheckArgs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// One object, for programs
    Json,
    /// SARIF 2.1.0, for code hosts and editors
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

/// What was found.
struct Found {
    loaded: Loaded,
    /// All problems that are not allowed, in the order of the files.
    problems: Vec<Diagnostic>,
    /// What could not be looked at, one clause each.
    open: Vec<String>,
}

/// Runs it. Ends with 1 for problems in the files, with 2 where it cannot look at them, which it tells itself.
///
/// # Errors
/// None; the signature is that of all commands.
pub async fn run(args: CheckArgs, cx: &Context) -> Result<ExitCode> {
    let found = match look(&args, cx).await {
        Ok(found) => found,
        Err(e) => {
            cx.term.error(&e);
            return Ok(ExitCode::from(2));
        }
    };
    Ok(tell(&args, &found, cx))
}

async fn look(args: &CheckArgs, cx: &Context) -> Result<Found> {
    let files = files::find(&args.compose, &cx.env, &cx.dir)?;
    let request = Request {
        flags: &args.compose,
        files: &files,
        profiles: Profiles::All,
    };
    let found = examine(args, &request, cx).await?;
    if !args.fix {
        return Ok(found);
    }
    let again = |texts| {
        compose::of_texts(texts, &request, &cx.env)
            .loaded
            .diagnostics
    };
    let changes = fix::changes(&found.problems, &found.loaded, again)?;
    if changes.is_empty() {
        cx.term.info("nothing to repair here");
        return Ok(found);
    }
    for change in &changes {
        let name = found.loaded.files.name(&change.path);
        cx.term.info(masked_diff(change, &name, cx).trim_end());
    }
    write_all(&changes)?;
    examine(args, &request, cx).await
}

/// The lines that change, without what may be a secret.
fn masked_diff(change: &Change, name: &str, cx: &Context) -> String {
    let masked = |text: &str| {
        let it = shown(&[Text::new(name, text)]);
        it.shown(name).unwrap_or_default()
    };
    let it = Change {
        path: change.path.clone(),
        before: change.before.as_deref().map(masked),
        after: masked(&change.after),
    };
    it.diff(name, cx.term.color())
}

async fn examine(args: &CheckArgs, request: &Request<'_>, cx: &Context) -> Result<Found> {
    if args.offline {
        return compose::from_files(request, &cx.env).map(of_files);
    }
    let docker = Docker::new(&cx.globals, &cx.env, &cx.dir);
    docker
        .require_compose()
        .await
        .map_err(|e| e.hint("`--offline` reads the files without it"))?;
    let loaded = compose::examine(&docker, request, &cx.env).await?;
    Ok(judged(loaded, Vec::new()))
}

/// All problems of a project that was read from its files alone, without what the files allow.
pub fn of_texts(it: FromFiles) -> (Loaded, Vec<Diagnostic>) {
    let found = of_files(it);
    (found.loaded, found.problems)
}

fn of_files(it: FromFiles) -> Found {
    let unset = it.unset.iter().map(|name| {
        format!("the variable {name} is not set here, so what it stands in is not judged")
    });
    let absent = it
        .absent
        .iter()
        .map(|file| format!("{file} cannot be read, so what it brings is not known"));
    let open: Vec<String> = absent.chain(unset).collect();
    let complete = it.absent.is_empty();
    let mut found = judged(it.loaded, open);
    if !complete {
        let lacks = [Code::NoGate, Code::NotOrdered];
        found.problems.retain(|it| !lacks.contains(&it.code));
    }
    found
}

/// Everything that can be said of a project, without what its files allow.
fn judged(loaded: Loaded, open: Vec<String>) -> Found {
    let mut more = lint(&loaded.texts, loaded.spec.as_ref());
    if let Some(spec) = &loaded.spec {
        let left_out = loaded.files.left_out().map(|path| loaded.files.name(&path));
        let missing = sufficient(spec, &loaded.extras);
        more.extend(problems(&missing, spec, left_out.as_deref()));
    }
    measure(&mut more, &loaded.texts);
    let mut all = loaded.diagnostics.clone();
    all.extend(more);
    all.sort_by(|a, b| (&a.place.origin, a.code).cmp(&(&b.place.origin, b.code)));
    Found {
        problems: allowed(all, &loaded.texts),
        loaded,
        open,
    }
}

fn tell(args: &CheckArgs, found: &Found, cx: &Context) -> ExitCode {
    for it in &found.open {
        cx.term.warn(it);
    }
    let errors = found.problems.iter().filter(|it| it.is_error()).count();
    let warnings = found.problems.len() - errors;
    let text = rendered(args.format, found, cx);
    if !text.is_empty() {
        cx.term.out(text.trim_end());
    }
    if args.format == Format::Text {
        cx.term.info(summary(found, errors, warnings));
    }
    match errors > 0 || args.strict && warnings > 0 {
        true => ExitCode::from(1),
        false => ExitCode::SUCCESS,
    }
}

fn rendered(format: Format, found: &Found, cx: &Context) -> String {
    let (all, sources) = from_here(found, &cx.dir);
    match format {
        Format::Text => render_text(&all, &sources, cx.term.color()),
        Format::Json => render_json(&all, &sources),
        Format::Sarif => render_sarif(&all, &sources, VERSION),
        Format::Github => render_github(&all),
    }
}

fn summary(found: &Found, errors: usize, warnings: usize) -> String {
    let count = |n: usize, what: &str| match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    };
    match (&found.loaded.spec, errors) {
        (Some(spec), 0) => {
            let end = match warnings {
                0 => "all is well".to_owned(),
                n => count(n, "warning"),
            };
            // A gate is no service of the user's.
            let all = spec.model.values().filter(|it| it.provider.is_none());
            format!(
                "{} of {} services use secrets; {end}",
                spec.services.len(),
                all.count()
            )
        }
        _ => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    }
}

/// The problems with their files named from the directory where this was called: neither a person there nor a program knows of the
/// project's.
fn from_here(found: &Found, dir: &Path) -> (Vec<Diagnostic>, SourceMap) {
    let base = &found.loaded.files.project_dir;
    let name = |file: &str| {
        let path = base.join(file);
        let known = path.exists();
        match path.strip_prefix(dir) {
            Ok(relative) if known => relative.display().to_string(),
            _ if known => path.display().to_string(),
            _ => file.to_owned(),
        }
    };
    let mut all = found.problems.clone();
    for it in &mut all {
        let labels = it.labels.iter_mut().map(|label| &mut label.0);
        let places = labels.chain(&mut it.masks).chain([&mut it.place]);
        places.for_each(|place| place.origin.file = name(&place.origin.file));
    }
    let called = |it: &Text| it.clone().renamed(name(it.name()));
    let texts: Vec<Text> = found.loaded.texts.iter().map(called).collect();
    (all, shown(&texts))
}

#[cfg(test)]
mod tests;
