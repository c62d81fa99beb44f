//! `docker locket trust`: grants the controller of this engine what a project asks for.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use locket_controller::labelled;
use locket_controller::own::controller::NAME;
use locket_crds::config::{Grant, HostConfig, MissingGrant};
use locket_crds::reference::SecretRef;
use locket_crds::resolve::resolve;
use locket_crds::spec::{ProjectSpec, SourceSpec};
use locket_crds::yaml::{self, Node, Value};
use locket_engine::Mount;
use locket_providers::local::{ConfigFile, LocalClient};

use super::controller::container;
use crate::compose::ComposeFlags;
use crate::config::{self, store_error};
use crate::context::{Context, engine_error};
use crate::credentials;
use crate::error::{CommandError, Result};
use crate::output::lines;
use crate::project;

/// First line of `grants.yaml`.
const HEADER: &str =
    "# Written by `docker locket trust`: what the controller of this engine reads for whom.\n";

/// How often a change is made anew, because somebody else has changed the file meanwhile.
const ATTEMPTS: u32 = 20;

/// Arguments of `trust`.
#[derive(Debug, Clone, Args)]
pub struct TrustArgs {
    #[command(flatten)]
    compose: ComposeFlags,
    /// Grant without asking
    #[arg(short, long)]
    yes: bool,
    /// Show what was granted to whom
    #[arg(long, conflicts_with_all = ["yes", "revoke"])]
    list: bool,
    /// Take back what was granted to this project, or to the one that is named
    #[arg(long, value_name = "PROJECT", num_args = 0..=1, default_missing_value = "")]
    revoke: Option<String>,
}

/// Runs it.
///
/// # Errors
/// An error in the compose files; nobody is here to ask.
pub async fn run(args: TrustArgs, cx: &Context) -> Result<ExitCode> {
    if args.list {
        let (text, _) = grants(&cx.store().await?).await?;
        let entries = text.strip_prefix(HEADER).unwrap_or(&text).trim_end();
        cx.term.out(match entries {
            "" => "nothing was granted",
            entries => entries,
        });
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(project) = &args.revoke {
        let project = match project.as_str() {
            "" => project::needed(cx, &args.compose).await?.to_string(),
            name => name.to_owned(),
        };
        let store = cx.store().await?;
        if !revoke(&store, &project).await? {
            return Err(CommandError::user(format!(
                "nothing was granted to {project} by `docker locket trust`"
            ))
            .hint("`docker locket trust --list` shows what was granted to whom"));
        }
        let (_, config) = grants(&store).await?;
        cx.term.info(format_args!("{}", left_of(&config, &project)));
        return Ok(ExitCode::SUCCESS);
    }
    let spec = &asked(&args.compose, cx).await?;
    let store = cx.store().await?;
    let used = project::references(&resolve(spec).0);
    let (_, config) = grants(&store).await?;
    let wanted = missing(&config, spec, &used)?;
    for name in rootless(&config, spec, &used)? {
        cx.term.warn(format_args!(
            "the controller reads no file for {name}: name a directory for it in locket.yaml, `sources: {{ {name}: {{ type: file, root: /srv/secrets }} }}`"
        ));
    }
    // Files of sources that nothing is asked of are nobody's business, and were in no question.
    let own: Vec<_> = spec
        .sources
        .iter()
        .filter(|(name, source)| !source.is_host_name() && used.iter().any(|r| r.source() == *name))
        .map(|(_, source)| source)
        .collect();
    if wanted.is_empty() {
        // Credential files may be others than before.
        credentials::copy(&store, credentials::files(own.iter().copied())).await?;
        cx.term.info(format_args!(
            "{}: everything that it asks for is granted",
            spec.project
        ));
        tell_unseen(cx, &own).await?;
        return Ok(ExitCode::SUCCESS);
    }
    cx.term.info(format_args!(
        "{} asks for more than the controller of this engine may read. This would be granted:\n",
        spec.project
    ));
    cx.term.info(format_args!(
        "  {}\n",
        lines(&added("", &wanted).replace(HEADER, ""))
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
    for path in credentials::copy(&store, credentials::files(own.iter().copied())).await? {
        cx.term.warn(format_args!(
            "the credential file {} cannot be read here, so it was not taken along",
            lines(&path)
        ));
    }
    grant(&store, &wanted, |config| missing(config, spec, &used)).await?;
    cx.term.info(format_args!("granted to {}", spec.project));
    tell_unseen(cx, &own).await?;
    Ok(ExitCode::SUCCESS)
}

/// A controller in a container sees the folders that were granted when it was installed, and no others.
async fn tell_unseen(cx: &Context, sources: &[&SourceSpec]) -> Result<()> {
    let host = cx.host().await?;
    let controller = host.engine.inspect(NAME).await.map_err(engine_error)?;
    let Some(controller) = controller.filter(container::is_ours) else {
        return Ok(());
    };
    let roots = sources.iter().filter(|it| it.kind == "file");
    for root in roots.filter_map(|it| it.root.as_deref()) {
        let sees = |m: &Mount| Path::new(root).starts_with(&m.target);
        if !controller.mounts.iter().any(sees) {
            cx.term.warn(format_args!(
                "the controller's container does not see {} yet: `docker locket controller install` once more mounts it, and restarts nothing but the controller",
                lines(root)
            ));
        }
    }
    Ok(())
}

/// What the project asks for: by its compose files, or by the labels of a container that compose did not make.
async fn asked(flags: &ComposeFlags, cx: &Context) -> Result<ProjectSpec> {
    let Some(project) = project::container(flags) else {
        let loaded = project::load(cx, flags).await?;
        return loaded.spec(cx.term.color()).cloned();
    };
    let (host, config) = (cx.host().await?, cx.host_config().await?);
    let said = labelled::said(&host.engine, &project, &config)
        .await
        .map_err(engine_error)?;
    if let Some(why) = said.broken.into_values().next() {
        return Err(CommandError::user(why));
    }
    if said.spec.services.is_empty() {
        return Err(
            CommandError::user(format!("no container is there that {project} stands for"))
                .hint("make it first; it waits for what is granted"),
        );
    }
    Ok(said.spec)
}

/// The text of `grants.yaml`, and the host configuration with it.
async fn grants(store: &LocalClient) -> Result<(String, HostConfig)> {
    // Read before the configuration: what somebody adds in between is seen as a difference later.
    let text = store.read_config(ConfigFile::Grants).await;
    let text = text.map_err(store_error)?.unwrap_or_default();
    let config = config::read(store, None).await?;
    Ok((String::from_utf8_lossy(&text).into_owned(), config))
}

/// Adds what was agreed to: of it, what is still missing. More than that nobody has seen.
async fn grant(
    store: &LocalClient,
    agreed: &[MissingGrant],
    missing: impl Fn(&HostConfig) -> Result<Vec<MissingGrant>>,
) -> Result<()> {
    change(store, |text, config| {
        let still: Vec<String> = missing(config)?.iter().map(ToString::to_string).collect();
        let is_missing = |it: &&MissingGrant| still.contains(&it.to_string());
        let wanted: Vec<_> = agreed.iter().filter(is_missing).cloned().collect();
        Ok((!wanted.is_empty()).then(|| added(text, &wanted)))
    })
    .await
    .map(drop)
}

/// Takes the grants of a project out of the file; false if there are none.
async fn revoke(store: &LocalClient, project: &str) -> Result<bool> {
    change(store, |text, _| without(text, project)).await
}

/// Replaces `grants.yaml` by what `changed` makes of it, if it makes anything; false if it never did. Others do that too: if the file is another one by
/// then, nothing is written, and `changed` is asked about that one.
async fn change(
    store: &LocalClient,
    mut changed: impl FnMut(&str, &HostConfig) -> Result<Option<String>>,
) -> Result<bool> {
    for tried in 0..ATTEMPTS {
        let (text, config) = grants(store).await?;
        let Some(new) = changed(&text, &config)? else {
            return Ok(tried > 0);
        };
        // It is parsed before it is written: a broken file would take the grants of all projects away.
        config::parse(ConfigFile::Grants.file_name(), new.clone().into_bytes())?;
        let replaced = store
            .replace_config(ConfigFile::Grants, text.as_bytes(), new.as_bytes())
            .await
            .map_err(store_error)?;
        if replaced {
            return Ok(true);
        }
    }
    Err(
        CommandError::user("grants.yaml is being changed by somebody else all the time")
            .hint("run the command again"),
    )
}

/// What is said when the grants of a project were taken out of `grants.yaml`.
fn left_of(config: &HostConfig, project: &str) -> String {
    let whose = |it: &Grant| it.project.as_ref().map(ToString::to_string);
    let left: Vec<_> = config.grants.iter().map(whose).collect();
    let own = left.iter().flatten().any(|it| it == project);
    let of = match (own, left.contains(&None)) {
        (false, false) => {
            return format!(
                "nothing is granted to {project} any more; its services keep what they have"
            );
        }
        (true, _) => "to it",
        (false, true) => "to all projects",
    };
    format!(
        "{project} keeps what locket.yaml grants {of}: take it out there to take that back, too"
    )
}

/// `grants.yaml` without the entries of a project, all other lines as they are; nothing if it has none.
fn without(text: &str, project: &str) -> Result<Option<String>> {
    let broken = || {
        CommandError::user("grants.yaml cannot be read")
            .hint("`docker locket trust --list` shows it")
    };
    let document = yaml::document(text).map_err(|_| broken())?;
    let all = entries(&document);
    let line_of = |at: usize| text[..at].rfind('\n').map_or(0, |it| it + 1);
    // An entry is the lines from its own first to the next one's; the last one ends where a top-level key begins.
    let starts: Vec<usize> = all.iter().map(|it| line_of(it.used.start)).collect();
    let end = starts.last().map_or(text.len(), |&last| {
        let mut at = last;
        let mut lines = text[last..].split_inclusive('\n');
        at += lines.next().map_or(0, str::len);
        at + lines
            .take_while(|line| line.starts_with([' ', '-', '#', '\n']))
            .map(str::len)
            .sum::<usize>()
    });
    let ends = starts.iter().skip(1).copied().chain([end]);
    let is_of = |it: &Node| it.get("project").and_then(Node::as_str) == Some(project);
    let others: Vec<&Node> = all.iter().filter(|it| !is_of(it)).collect();
    if others.len() == all.len() {
        return Ok(None);
    }
    let mut less = text.to_owned();
    for ((entry, start), end) in all
        .iter()
        .zip(&starts)
        .zip(ends)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
    {
        if is_of(entry) && *start < end {
            less.replace_range(*start..end, "");
        }
    }
    if others.is_empty() {
        less = less
            .lines()
            .filter(|it| it.trim_end() != "grants:")
            .map(|it| format!("{it}\n"))
            .collect();
    }
    // Lines are what was taken out. Where somebody has several entries on one, that is not what was meant.
    let whose = |it: &Node| it.get("project").and_then(Node::as_str).map(str::to_owned);
    let document = yaml::document(&less).map_err(|_| broken())?;
    let stay = entries(&document).iter().map(whose);
    if !stay.eq(others.into_iter().map(whose)) {
        return Err(CommandError::user(format!(
            "the grants of {project} cannot be told from others by their lines in grants.yaml"
        ))
        .hint("`docker locket trust --list` shows it; write each grant on a line of its own"));
    }
    Ok(Some(less))
}

/// The entries of `grants`.
fn entries(document: &Node) -> &[Node] {
    match document.get("grants").map(|it| &it.value) {
        Some(Value::List(all)) => all,
        _ => &[],
    }
}

/// Sources of files that are asked for and have no directory: a grant for them gives nothing.
fn rootless(
    config: &HostConfig,
    spec: &ProjectSpec,
    used: &BTreeSet<SecretRef>,
) -> Result<BTreeSet<String>> {
    let mut out = BTreeSet::new();
    for reference in used {
        let meaning = config
            .meaning(&spec.sources, reference.source())
            .map_err(|e| CommandError::user(e.to_string()))?;
        if meaning.source.kind == "file" && meaning.source.root.is_none() {
            out.insert(lines(reference.source().as_str()));
        }
    }
    Ok(out)
}

/// What the controller may not read, each grant once.
///
/// # Errors
/// A source that contradicts the host configuration: no grant helps it.
pub(super) fn missing(
    config: &HostConfig,
    spec: &ProjectSpec,
    used: &BTreeSet<SecretRef>,
) -> Result<Vec<MissingGrant>> {
    let mut out: Vec<MissingGrant> = Vec::new();
    for reference in used {
        let meaning = config
            .meaning(&spec.sources, reference.source())
            .map_err(|e| CommandError::user(e.to_string()))?;
        if let Err(it) = config.granted(&spec.project, reference, &meaning)
            && !out.iter().any(|known| known.to_string() == it.to_string())
        {
            out.push(*it);
        }
    }
    Ok(out)
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
    use std::io;
    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;
    use std::sync::Arc;

    use futures_util::FutureExt as _;
    use futures_util::future::{BoxFuture, join_all};
    use locket_crds::compose::{ModelInput, compile};
    use locket_crds::resolve::resolve;
    use locket_crds::text::Text;
    use locket_providers::local::{Connect, Pipes, session};

    use super::*;

    /// Sessions with a store in a folder.
    struct Sessions(PathBuf);

    impl Connect for Sessions {
        fn connect(&self) -> BoxFuture<'_, io::Result<Pipes>> {
            async {
                let (ours, theirs) = UnixStream::pair()?;
                let root = self.0.clone();
                std::thread::spawn(move || session::serve(&root, None, &theirs, &theirs));
                ours.set_nonblocking(true)?;
                let (output, input) = tokio::net::UnixStream::from_std(ours)?.into_split();
                Ok(Pipes {
                    input: Box::new(input),
                    output: Box::new(output),
                })
            }
            .boxed()
        }
    }

    fn entry(project: &str) -> String {
        format!("  - project: {project}\n    references: [\"local:/shared\"]\n")
    }

    #[tokio::test]
    async fn who_has_read_before_somebody_else_wrote_reads_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(ConfigFile::Grants.file_name());
        let store = LocalClient::new(Arc::new(Sessions(dir.path().to_owned())));
        let all = |projects: &[&str]| {
            let entries: String = projects.iter().copied().map(entry).collect();
            format!("{HEADER}grants:\n{entries}")
        };
        std::fs::write(&file, all(&["shop", "bank"])).unwrap();
        let mut reads = Vec::new();
        change(&store, |text, _| {
            reads.push(text.to_owned());
            if reads.len() == 1 {
                // Somebody grants more, just now.
                std::fs::write(&file, all(&["shop", "bank", "mill"])).unwrap();
            }
            without(text, "shop")
        })
        .await
        .unwrap();
        assert_eq!(
            reads,
            [all(&["shop", "bank"]), all(&["shop", "bank", "mill"])]
        );
        let left = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            left,
            all(&["bank", "mill"]),
            "what came is kept, what went is gone"
        );
    }

    #[tokio::test]
    async fn of_many_who_grant_and_take_back_at_once_nobody_loses() {
        let dir = tempfile::tempdir().unwrap();
        let store = || LocalClient::new(Arc::new(Sessions(dir.path().to_owned())));
        for round in 0..10 {
            let each = (0..8).map(|n| {
                let store = store();
                async move {
                    let (name, before) = (format!("p{round}-{n}"), format!("p{}-{n}", round - 1));
                    let entry = entry(&name);
                    let more = |text: &str, _: &HostConfig| match text {
                        "" => Ok(Some(format!("{HEADER}grants:\n{entry}"))),
                        text if text.contains("grants:") => Ok(Some(format!("{text}{entry}"))),
                        text => Ok(Some(format!("{text}grants:\n{entry}"))),
                    };
                    change(&store, more).await.unwrap();
                    revoke(&store, &before).await.unwrap();
                }
            });
            join_all(each).await;
        }
        assert!(!revoke(&store(), "nobody").await.unwrap());
        let (_, config) = grants(&store()).await.unwrap();
        let mut left: Vec<_> = config.grants.iter().flat_map(|it| &it.project).collect();
        left.sort();
        let wanted: Vec<_> = (0..8).map(|n| format!("p9-{n}")).collect();
        assert!(
            left.iter()
                .map(|it| it.as_str())
                .eq(wanted.iter().map(String::as_str)),
            "{left:?}"
        );
    }

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
        let sources = [Text::new("compose.yaml", SHOP)];
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
        let all = missing(&HostConfig::default(), &spec, &used).unwrap();
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
        assert!(missing(&config, &spec, &used).unwrap().is_empty());
        let mut bank = spec.clone();
        bank.project = "bank".into();
        let more = added(&text, &missing(&config, &bank, &used).unwrap());
        let config = HostConfig::parse("grants.yaml", &more).unwrap();
        assert!(more.starts_with(&text), "what was there stays");
        assert!(
            missing(&config, &bank, &used).unwrap().is_empty()
                && missing(&config, &spec, &used).unwrap().is_empty()
        );
    }

    #[test]
    fn what_is_taken_back_is_all_of_one_project_and_nothing_else() {
        let text = HEADER.to_owned()
            + "sources:\n  env: env\ngrants:\n  - project: \"shop\"\n    references: [\"env:A\"]\n  # by hand\n  - project: bank\n    sources:\n      - bao\n  - project: \"shop\"\n    references: [\"env:B\"]\n";
        let less = without(&text, "shop").unwrap().unwrap();
        assert_eq!(
            less,
            HEADER.to_owned()
                + "sources:\n  env: env\ngrants:\n  - project: bank\n    sources:\n      - bao\n"
        );
        HostConfig::parse("grants.yaml", &less).unwrap();
        assert_eq!(without(&less, "shop").unwrap(), None);
        let none = without(&less, "bank").unwrap().unwrap();
        assert_eq!(none, HEADER.to_owned() + "sources:\n  env: env\n");
        HostConfig::parse("grants.yaml", &none).unwrap();
        assert_eq!(without("", "shop").unwrap(), None);
    }

    #[test]
    fn what_cannot_be_taken_back_by_its_lines_is_no_success() {
        let on_one_line =
            "grants: [{ project: shop, sources: [a] }, { project: bank, sources: [b] }]\n";
        for project in ["shop", "bank"] {
            let e = without(on_one_line, project).unwrap_err();
            assert!(
                format!("{e:?}").contains("cannot be told from others"),
                "{e:?}"
            );
        }
        let on_its_own =
            "grants:\n- { project: bank, sources: [b] }\n- project: shop\n  sources: [a]\n";
        for (project, left) in [("shop", "bank"), ("bank", "shop")] {
            let less = without(on_its_own, project).unwrap().unwrap();
            let less = HostConfig::parse("grants.yaml", &less).unwrap();
            let left = Some(left.into());
            assert!(less.grants.iter().map(|it| &it.project).eq([&left]));
        }
        for text in [on_one_line, on_its_own] {
            assert_eq!(without(text, "other").unwrap(), None);
        }
    }

    #[test]
    fn a_grant_of_the_host_s_own_file_is_not_taken_back_and_that_is_said() {
        let said = |text: &str| left_of(&HostConfig::parse("locket.yaml", text).unwrap(), "shop");
        let grant = |project: &str| {
            said(&format!(
                "sources: {{ env: env }}\ngrants: [{{ project: {project}, sources: [env] }}]\n"
            ))
        };
        assert!(grant("bank").starts_with("nothing is granted to shop"));
        assert!(grant("shop").contains("locket.yaml grants to it"));
        assert!(grant("'*'").contains("locket.yaml grants to all"));
    }

    #[test]
    fn a_grant_for_files_needs_a_directory_of_the_host() {
        let none = HostConfig::default();
        let rooted = "sources: { file: { type: file, root: /srv } }\n";
        let rooted = HostConfig::parse("locket.yaml", rooted).unwrap();
        let text = "name: shop\nx-locket: { secrets: { f: \"file:db/password\" } }\n\
                    services: { app: { image: x, x-locket: [f] } }\n";
        let read_template = |_: &str| Err("none".to_owned());
        let input = ModelInput {
            model_yaml: text,
            sources: &[Text::new("compose.yaml", text)],
            working_dir: "/srv/shop",
            read_template: &read_template,
        };
        let (spec, problems) = compile(&input);
        let spec = spec.unwrap_or_else(|| panic!("{problems:?}"));
        let used = project::references(&resolve(&spec).0);
        let told = |config| rootless(config, &spec, &used).unwrap();
        assert_eq!(told(&none), ["file".to_owned()].into());
        assert!(told(&rooted).is_empty());
    }
}
