//! `up`: reads the project, proves that it is the one that compose means, and has it delivered.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use locket_controller::access::Access;
use locket_controller::own::anchor::Volumes;
use locket_crds::api::{Applied, ApplyMode, ApplyRequest, Progress};
use locket_crds::config::Timeouts;
use locket_crds::diag::one_line;
use locket_crds::id::ProjectName;
use locket_crds::spec::{ProjectSpec, Via};

use super::args::Args;
use super::lines::Lines;
use crate::compose::{self, ComposeFlags, Loaded, Profiles, Request, files};
use crate::context::{Context, engine_error};
use crate::endpoint::Parent;
use crate::error::{CommandError, Result};
use crate::generate::{needs_volume, refusal, sufficient};
use crate::twin;

/// Runs it.
///
/// # Errors
/// The one line that says why services must not start.
pub async fn run(
    args: &Args,
    parent: Option<Parent>,
    cx: &Context,
    lines: &mut Lines<impl Write + Send>,
) -> Result<()> {
    let flags = flags(args, parent.as_ref(), &cx.dir);
    let files = files::find(&flags, &cx.env, &cx.dir)?;
    let loaded = compose::load(
        &cx.docker(),
        &Request {
            flags: &flags,
            files: &files,
            profiles: Profiles::Enabled(parent.as_ref().map_or(&[], |it| &it.command)),
        },
    )
    .await?;
    let spec = checked(&loaded)?;
    loaded.prove(&args.project, &args.service)?;
    let left_out = files.left_out().map(|path| files.name(&path));
    if let Some(e) = refusal(&sufficient(spec, &loaded.extras), left_out.as_deref()) {
        return Err(e);
    }
    for it in loaded.diagnostics.iter().filter(|it| !it.is_error()) {
        lines.warning(&one_line(it));
    }
    let project = spec.project.clone();
    let visible = spec
        .services
        .values()
        .flat_map(|s| s.env.values())
        .filter(|e| e.via == Via::Compose)
        .count();
    let there = there(cx, &project, spec, parent.as_ref()).await?;
    if !there && visible == 0 {
        lines.info("no service that was selected uses a secret");
        return Ok(());
    }
    let access = cx.access(&files.project_dir).await?;
    if there {
        let timeout = timeout(args, &access, cx).await;
        let applied = deliver(&access, &project, spec, timeout, lines).await?;
        report(&applied, lines);
        let replaced = twin::replaced(applied.moved_from.as_deref(), &files.project_dir);
        replaced.iter().for_each(|it| lines.warning(it));
    }
    if visible > 0 {
        hand_over(&access, spec, lines).await?;
    }
    Ok(())
}

/// Has it delivered. What needs no volume is not part of it.
async fn deliver(
    access: &Access,
    project: &ProjectName,
    spec: &ProjectSpec,
    timeout: Duration,
    lines: &mut Lines<impl Write + Send>,
) -> Result<Applied> {
    let request = ApplyRequest {
        spec: Some(spec.clone()),
        mode: ApplyMode::Deliver,
    };
    let applied = access
        .apply(project, request, timeout, |progress| match progress {
            Progress::Info(text) => lines.info(&text),
            Progress::Warning(text) => lines.warning(&text),
            Progress::Done(_) | Progress::Failed(_) => {}
        })
        .await?;
    Ok(applied)
}

/// How long to wait: what the gate's option says, else the host configuration of whoever does the work.
async fn timeout(args: &Args, access: &Access, cx: &Context) -> Duration {
    if let Some(timeout) = args.options.timeout {
        return timeout;
    }
    // A controller has read it; reading it again would start the store's container.
    let found = if access.controller().is_some() {
        cx.gate_timeout().await
    } else {
        // One that cannot be read is told by the pass that needs it.
        cx.host_config().await.ok().map(|it| it.timeouts.gate)
    };
    found.unwrap_or(Timeouts::default().gate)
}

/// What compose was told, and where it does not say, what the gate's own options say.
fn flags(args: &Args, parent: Option<&Parent>, dir: &Path) -> ComposeFlags {
    let mut out = parent.map(|it| it.compose.clone()).unwrap_or_default();
    let options = &args.options.compose;
    // The options are there for what the command line does not tell, so they count where both speak.
    if !options.file.is_empty() {
        out.file = options.file.iter().map(|name| upwards(dir, name)).collect();
    }
    if let Some(named) = &options.project_directory {
        out.project_directory = Some(upwards(dir, named));
    }
    if !options.env_file.is_empty() {
        out.env_file = options
            .env_file
            .iter()
            .map(|name| upwards(dir, name))
            .collect();
    }
    out.profile.extend(options.profile.iter().cloned());
    out.project_name = Some(args.project.clone());
    out
}

/// A path of the gate's options: compose may have been called in a folder below the project's.
fn upwards(dir: &Path, name: &str) -> String {
    let found = dir
        .ancestors()
        .map(|dir| dir.join(name))
        .find(|path| path.exists());
    found.map_or_else(|| name.to_owned(), |path| path.display().to_string())
}

/// The spec, or the first thing that is wrong.
fn checked(loaded: &Loaded) -> Result<&ProjectSpec> {
    match &loaded.spec {
        Some(spec) if !loaded.failed() => Ok(spec),
        _ => {
            let mut errors = loaded.diagnostics.iter().filter(|it| it.is_error());
            let first = errors
                .next()
                .map_or_else(|| "the compose files cannot be read".to_owned(), one_line);
            let more = match errors.count() {
                0 => "`docker locket check` shows the place".to_owned(),
                n => format!("`docker locket check` shows this and {n} more"),
            };
            Err(CommandError::user(first).hint(more))
        }
    }
}

/// Whether the engine has the project's volume, which compose has made a moment ago if a selected service mounts it.
///
/// # Errors
/// It must be there and is not: this is not the engine that compose speaks to.
async fn there(
    cx: &Context,
    project: &ProjectName,
    spec: &ProjectSpec,
    parent: Option<&Parent>,
) -> Result<bool> {
    let host = cx.host().await?;
    if Volumes::find(&host.engine, project)
        .await
        .map_err(volumes_error)?
        .is_some()
    {
        return Ok(true);
    }
    let needed = spec.services.values().any(needs_volume);
    // Without a command line there is no telling what was selected.
    let all = parent.is_some_and(|it| selects_all(&it.command, spec));
    if needed && all {
        let e = CommandError::user(format!(
            "the engine that locket has found has no volume of project {project}"
        ));
        return Err(e.hint(
            "compose speaks to another one: say which with `docker --context` or DOCKER_HOST",
        ));
    }
    Ok(false)
}

fn volumes_error(e: locket_controller::own::Error) -> CommandError {
    match e {
        locket_controller::own::Error::Engine(e) => engine_error(e),
        other => CommandError::user("the project's volumes cannot be looked up").because(other),
    }
}

/// Whether a command line like `up -d` names no service of the project.
fn selects_all(command: &[String], spec: &ProjectSpec) -> bool {
    command.first().is_some_and(|word| word == "up")
        && !command
            .iter()
            .skip(1)
            .any(|word| spec.model.contains_key(word.as_str()))
}

/// Hands over what asked for it by `via: compose`. That it can be seen then is a diagnostic, which was told.
async fn hand_over(
    access: &Access,
    spec: &ProjectSpec,
    lines: &mut Lines<impl Write>,
) -> Result<()> {
    let all = access.compose_env(&spec.project, spec.clone()).await?;
    for (name, value) in &all {
        let text = std::str::from_utf8(value);
        let text = text.map_err(|_| {
            CommandError::user(format!(
                "variable {name} is not UTF-8: compose cannot take it"
            ))
        })?;
        lines.setenv(name, text);
    }
    Ok(())
}

/// What was done and, without a controller, what was not.
fn report(applied: &Applied, lines: &mut Lines<impl Write>) {
    let delivered: Vec<&str> = applied
        .delivered
        .iter()
        .map(|(service, _)| service.as_str())
        .collect();
    if applied.controller {
        lines.info(&format!("delivered to {}", delivered.join(", ")));
        return;
    }
    for line in outdated(applied) {
        lines.info(&line);
    }
    lines.info(&format!(
        "delivered to {}; later changes need a controller (`docker locket controller install`) or `docker locket apply`",
        delivered.join(", ")
    ));
}

/// Containers that run with an old value, one line each.
pub fn outdated(applied: &Applied) -> Vec<String> {
    let one = |(name, why): &(String, String)| {
        format!("{name} still runs with an old value ({why}): `docker locket apply` acts on it")
    };
    applied.outdated.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(applied: &Applied) -> String {
        let mut out = Vec::new();
        report(applied, &mut Lines::new(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn without_a_controller_it_says_what_it_did_not_do() {
        let mut applied = Applied {
            controller: false,
            delivered: vec![("api".into(), 3), ("db".into(), 1)],
            outdated: vec![("shop-api-1".into(), "key".into())],
            moved_from: None,
        };
        expect_test::expect![[r#"
            {"type":"info","message":"shop-api-1 still runs with an old value (key): `docker locket apply` acts on it"}
            {"type":"info","message":"delivered to api, db; later changes need a controller (`docker locket controller install`) or `docker locket apply`"}
        "#]]
        .assert_eq(&said(&applied));
        applied.controller = true;
        assert_eq!(
            said(&applied),
            "{\"type\":\"info\",\"message\":\"delivered to api, db\"}\n"
        );
    }

    #[test]
    fn options_count_where_both_speak() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        std::fs::write(dir.path().join("c.yaml"), "").unwrap();
        let words = [
            "compose",
            "--project-name=p",
            "up",
            "--file=c.yaml",
            "--profile=y",
            "locket",
        ]
        .map(str::to_owned);
        let parent = Parent::of(
            &["docker", "compose", "-f", "x.yaml", "--profile", "x", "up"].map(str::to_owned),
        )
        .unwrap();
        let found = flags(&Args::parse(&words).unwrap(), Some(&parent), &below);
        assert_eq!(
            found.file,
            [dir.path().join("c.yaml").display().to_string()]
        );
        assert_eq!(
            (found.profile, found.project_name),
            (vec!["x".to_owned(), "y".to_owned()], Some("p".to_owned()))
        );
    }
}
