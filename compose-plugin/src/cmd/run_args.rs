//! `docker locket run-args`: what `docker run` is told so that a container is looked after.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use locket_crds::diag::refused;
use locket_crds::id::ServiceName;
use locket_crds::labels;
use locket_crds::resolve::resolve;
use locket_crds::spec::{ProjectSpec, SourceSpec};

use super::generate::prepare_shim;
use crate::context::Context;
use crate::error::{CommandError, Result};
use crate::generate::flags::flags;

/// Arguments of `run-args`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Name under which the container is looked after, usually its own
    name: String,
    /// A secret as a file; its name may be used in the other flags
    #[arg(long = "secret", value_name = "[NAME=]REFERENCE")]
    secrets: Vec<String>,
    /// An environment variable: a name of `--secret`, a reference, or a text with `{{ … }}`
    #[arg(long, value_name = "VARIABLE=VALUE")]
    env: Vec<String>,
    /// A file that is rendered from the text of FILE
    #[arg(long = "template", value_name = "TARGET=FILE")]
    templates: Vec<String>,
    /// Where the files are in the container
    #[arg(long, value_name = "DIRECTORY")]
    path: Option<String>,
    /// What happens when a value changes, in the words of the label locket.on_change
    #[arg(long, value_name = "ACTION")]
    on_change: Option<String>,
}

/// Runs it. The flags are standard output's, one a line; everything else is told elsewhere.
///
/// # Errors
/// A flag that makes no sense.
pub async fn run(args: RunArgs, cx: &Context) -> Result<ExitCode> {
    let project = labels::project_of(&args.name).ok_or_else(|| {
        CommandError::user(format!("{:?} cannot be the name of a container", args.name))
            .hint("a name has letters, digits, `.`, `_` and `-`, 64 at most, and begins with a letter or digit")
    })?;
    let words = words(&args, cx)?;
    let sources = host_sources(cx).await;
    let spec = spec(&args.name, &words, &sources)?;
    let all = flags(&spec, &project, &args.name.as_str().into());
    if all.is_empty() {
        return Err(
            CommandError::user(format!("{} asks for nothing", args.name))
                .hint("name a secret: `--secret db=local:/db`"),
        );
    }
    if all.iter().any(|it| it.contains(char::is_whitespace)) {
        return Err(
            CommandError::user("a shell would split the path at a blank")
                .hint("name a directory without one: `--path /run/secrets`"),
        );
    }
    prepare_shim(cx).await;
    cx.term.out(all.join("\n"));
    Ok(ExitCode::SUCCESS)
}

/// The flags as the labels that people write.
fn words(args: &RunArgs, cx: &Context) -> Result<BTreeMap<String, String>> {
    let pair = |flag: &str, text: &str| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(CommandError::user(format!("--{flag} {text} has no `=`"))),
    };
    let mut words = BTreeMap::new();
    let mut files = Vec::new();
    for text in &args.secrets {
        // What stands before a colon is a source, and no name has one.
        match text.split_once('=').filter(|(name, _)| !name.contains(':')) {
            Some((name, reference)) => {
                words.insert(format!("locket.secret.{name}"), reference.to_owned());
                files.push(name);
            }
            None => files.push(text),
        }
    }
    if !files.is_empty() {
        words.insert("locket.secrets".to_owned(), files.join(","));
    }
    for text in &args.env {
        let (name, value) = pair("env", text)?;
        words.insert(format!("locket.env.{name}"), value);
    }
    for text in &args.templates {
        let (target, file) = pair("template", text)?;
        let path = cx.dir.join(&file);
        let content = std::fs::read_to_string(&path).map_err(|e| {
            CommandError::user(format!("{} cannot be read", path.display())).because(e)
        })?;
        words.insert(format!("locket.template.{target}"), content);
    }
    let single = [
        ("locket.path", &args.path),
        ("locket.on_change", &args.on_change),
    ];
    for (label, value) in single {
        words.extend(value.clone().map(|value| (label.to_owned(), value)));
    }
    Ok(words)
}

/// The sources of the engine's host configuration, by name and type; none where it is not at hand.
async fn host_sources(cx: &Context) -> BTreeMap<String, String> {
    let config = cx.host_config().await.unwrap_or_default();
    let types = config
        .sources
        .into_iter()
        .map(|(name, it)| (name.to_string(), it.kind));
    types.collect()
}

fn spec(
    name: &str,
    words: &BTreeMap<String, String>,
    sources: &BTreeMap<String, String>,
) -> Result<ProjectSpec> {
    let service = ServiceName::from(name);
    let known: Vec<&str> = sources.keys().map(String::as_str).collect();
    let (found, problems) =
        labels::read(words.iter().map(|(k, v)| (k.as_str(), v.as_str())), &known);
    refused(&problems).map_err(CommandError::user)?;
    let mut spec = labels::empty(&Default::default());
    labels::merge(&mut spec, &service, found);
    // The label says what they are, as a compose file does.
    let own = sources
        .iter()
        .map(|(name, kind)| (name.as_str().into(), SourceSpec::of_kind(kind)));
    spec.sources.extend(own);
    refused(&resolve(&spec).1).map_err(CommandError::user)?;
    Ok(spec)
}
