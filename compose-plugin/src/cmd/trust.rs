//! `docker locket trust`: grants the controller of this engine what a project asks for.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use locket_crds::config::{HostConfig, MissingGrant};
use locket_crds::reference::SecretRef;
use locket_crds::spec::ProjectSpec;
use locket_providers::local::ConfigFile;

use crate::compose::ComposeFlags;
use crate::config::{self, store_error};
use crate::context::Context;
use crate::credentials;
use crate::error::{CommandError, Result};
use crate::output::lines;
use crate::project;

/// First line of `grants.yaml`.
const HEADER: &str =
    "# Written by `docker locket trust`: what the controller of this engine reads for whom.\n";

/// Arguments of `trust`.
#[derive(Debug, Clone, Args)]
pub struct TrustArgs {
    #[command(flatten)]
    compose: ComposeFlags,
    /// Grant without asking
    #[arg(short, long)]
    yes: bool,
}

/// Runs it.
///
/// # Errors
/// An error in the compose files; nobody is here to ask.
pub async fn run(args: TrustArgs, cx: &Context) -> Result<ExitCode> {
    let loaded = project::load(cx, &args.compose).await?;
    let spec = loaded.spec(cx.term.color())?;
    let store = cx.store().await?;
    let used = project::references(&loaded.items);
    let missing = missing(&config::read(&store, None).await?, spec, &used);
    let own: Vec<_> = spec
        .sources
        .values()
        .filter(|source| !source.is_host_name())
        .collect();
    if missing.is_empty() {
        // Credential files may be others than before.
        credentials::copy(&store, credentials::files(own)).await?;
        cx.term.info(format_args!(
            "{}: everything that it asks for is granted",
            spec.project
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let known = store
        .read_config(ConfigFile::Grants)
        .await
        .map_err(store_error)?
        .unwrap_or_default();
    let known = String::from_utf8_lossy(&known).into_owned();
    cx.term.info(format_args!(
        "{} asks for more than the controller of this engine may read. This would be granted:\n",
        spec.project
    ));
    cx.term.info(format_args!(
        "  {}\n",
        lines(&added("", &missing).replace(HEADER, ""))
    ));
    if !args.yes && !cx.term.is_tty() {
        return Err(
            CommandError::user("nothing was granted, because nobody is here to ask")
                .hint("say `--yes` to grant it"),
        );
    }
    if !args.yes && !cx.term.confirm("Grant it?") {
        return Err(CommandError::user("nothing was granted"));
    }
    let text = added(&known, &missing);
    // It is parsed before it is written: a broken file would take the grants of all projects away.
    config::parse(ConfigFile::Grants.file_name(), text.clone().into_bytes())?;
    for path in credentials::copy(&store, credentials::files(own)).await? {
        cx.term.warn(format_args!(
            "the credential file {} cannot be read here, so it was not taken along",
            lines(&path)
        ));
    }
    store
        .write_config(ConfigFile::Grants, text.as_bytes())
        .await
        .map_err(store_error)?;
    cx.term.info(format_args!("granted to {}", spec.project));
    Ok(ExitCode::SUCCESS)
}

/// What the controller may not read, each grant once.
fn missing(
    config: &HostConfig,
    spec: &ProjectSpec,
    used: &BTreeSet<SecretRef>,
) -> Vec<MissingGrant> {
    let mut out: Vec<MissingGrant> = Vec::new();
    for reference in used {
        let own = spec
            .sources
            .get(reference.source())
            .filter(|own| !own.is_host_name());
        if let Err(it) = config.granted(&spec.project, reference, own)
            && !out.iter().any(|known| known.to_string() == it.to_string())
        {
            out.push(*it);
        }
    }
    out
}

/// `grants.yaml` with more in it. What is in it already keeps its text.
fn added(known: &str, missing: &[MissingGrant]) -> String {
    let mut text = if known.trim().is_empty() {
        HEADER.to_owned()
    } else {
        known.to_owned()
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let has = |text: &str, line: &str| text.lines().any(|l| l.trim_end() == line);
    if missing.iter().any(|it| it.closed) && !has(&text, "sources:") {
        let at = text.find("grants:").unwrap_or(text.len());
        text.insert_str(at, "sources:\n  env: env\n");
    }
    if !has(&text, "grants:") {
        text.push_str("grants:\n");
    }
    for it in missing {
        // The lines that it would print as help are those that are wanted here.
        let help = it.to_string();
        text.push_str(
            help.split_once("\ngrants:\n")
                .map_or("", |(_, entry)| entry),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use locket_crds::compose::{ModelInput, compile};
    use locket_crds::resolve::resolve;

    use super::*;

    const SHOP: &str = r#"
name: shop
x-locket:
  sources: { bao: { type: openbao, url: "https://bao.test", auth: { token: { file: /t } } } }
  secrets: { a: "bao:kv/a#x", b: "bao:kv/b#x", c: local:/shared, d: env:TOKEN, e: local:own }
services:
  app: { image: x, x-locket: [a, b, c, d, e] }
"#;

    #[test]
    fn what_is_granted_is_enough_and_is_added_once() {
        let sources = [("compose.yaml".to_owned(), SHOP.to_owned())];
        let read_template = |_: &str| Err("none".to_owned());
        let input = ModelInput {
            model_yaml: SHOP,
            sources: &sources,
            working_dir: "/srv/shop",
            read_template: &read_template,
        };
        let (spec, problems) = compile(&input);
        let spec = spec.unwrap_or_else(|| panic!("{problems:?}"));
        let used = project::references(&resolve(&spec).0);
        let all = missing(&HostConfig::default(), &spec, &used);
        let text = added("", &all);
        expect_test::expect![[r#"
            # Written by `docker locket trust`: what the controller of this engine reads for whom.
            sources:
              env: env
            grants:
              - project: "shop"
                sources: [{ type: openbao, url: "https://bao.test", auth: { token: { file: "/t" } } }]
              - project: "shop"
                references: ["env:TOKEN"]
              - project: "shop"
                references: ["local:/shared"]
        "#]]
        .assert_eq(&text);
        let config = HostConfig::parse("grants.yaml", &text).unwrap();
        assert!(missing(&config, &spec, &used).is_empty());
        let mut bank = spec.clone();
        bank.project = "bank".into();
        let more = added(&text, &missing(&config, &bank, &used));
        let config = HostConfig::parse("grants.yaml", &more).unwrap();
        assert!(more.starts_with(&text), "what was there stays");
        assert!(
            missing(&config, &bank, &used).is_empty() && missing(&config, &spec, &used).is_empty()
        );
    }
}
