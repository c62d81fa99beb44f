//! What an import reads: files, compose's answers, and what is in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use locket_crds::id::SourceName;
use locket_crds::spec::{ProjectSpec, ServiceSpec};
use locket_provider::SecretValue;
use locket_providers::local::LocalClient;

use crate::compose::{self, ComposeFlags, Files, Loaded, Profiles, Request, files};
use crate::config::store_error;
use crate::context::Context;
use crate::docker::Output;
use crate::error::{CommandError, Result};
use crate::import::find::{Candidate, Found, Kind};
use crate::import::model::{MODEL, Model, Origin, Value, WRITTEN, probe};
use crate::import::names::Content;
use crate::import::places::Texts;
use crate::import::plan::{self, Plan};
use crate::import::undo::NAME;
use crate::user_files::{self, Private};

/// The project as it is.
pub(super) struct Here {
    pub(super) files: Files,
    pub(super) loaded: Loaded,
    pub(super) texts: Texts,
    pub(super) model: Model,
    /// Sources of the host configuration, with their types.
    host: BTreeMap<SourceName, String>,
    project: String,
}

impl Here {
    pub(super) async fn read(flags: &ComposeFlags, project: &str, cx: &Context) -> Result<Self> {
        let listed = cx
            .env
            .get("COMPOSE_ENV_FILES")
            .is_some_and(|it| !it.is_empty());
        if flags.env_file.len() > 1 || (listed && flags.env_file.is_empty()) {
            return Err(CommandError::user(
                "variables come from several files, of which an import edits one only",
            )
            .hint("name one with `--env-file`, and move what is in the others by hand"));
        }
        let files = files::find(flags, &cx.env, &cx.dir)?.without_generated();
        if files.paths.is_empty() {
            return Err(CommandError::user("only generated files were named")
                .hint("name the project's own compose file too"));
        }
        let request = Request {
            flags,
            files: &files,
            profiles: Profiles::All,
        };
        let loaded = compose::load(&cx.docker(), &request).await?;
        loaded.spec(cx.term.color())?;
        let mut texts = Texts::read(&files)?;
        let model = model(flags, &files, &texts, cx).await?;
        texts.add_env(&files, &model)?;
        let host = cx.host_config().await?.sources.into_iter();
        let host = host.map(|(name, it)| (name, it.kind)).collect();
        Ok(Self {
            files,
            loaded,
            texts,
            model,
            host,
            project: project.to_owned(),
        })
    }

    /// What is asked of the plan. `notes`: what stays because of what is left out.
    pub(super) fn request<'a>(
        &'a self,
        found: &Found,
        skipped: &BTreeSet<usize>,
        stored: &'a Stored,
        vault: Option<(String, String)>,
        notes: &mut Vec<String>,
    ) -> Result<plan::Request<'a>> {
        let candidates = &found.candidates;
        let variable = |it: &Candidate| (it.service.clone(), it.name.clone());
        let (mut variables, mut skip) = (BTreeSet::new(), BTreeSet::new());
        let (mut secrets, mut kept) = (BTreeSet::new(), BTreeSet::new());
        for (n, it) in candidates.iter().enumerate() {
            match (&it.kind, skipped.contains(&n)) {
                (Kind::Provided(_), _) => {}
                (Kind::Secret, false) => drop(secrets.insert(it.service.clone())),
                (Kind::Secret, true) => drop(kept.insert(it.service.clone())),
                (_, false) => drop(variables.insert(variable(it))),
                (_, true) => drop(skip.insert(variable(it))),
            }
        }
        let spec = self.loaded.spec.as_ref();
        let paths = spec
            .into_iter()
            .flat_map(|it| &it.services)
            .map(|(name, it)| (name.to_string(), it.path.clone()));
        let paths: BTreeMap<String, String> = paths.collect();
        // Where ours are mounted elsewhere already, compose's cannot become ours.
        secrets.retain(|it| {
            !kept.contains(it) && paths.get(it).is_none_or(|path| path == ServiceSpec::PATH)
        });
        let mut files = BTreeMap::new();
        for service in &secrets {
            for grant in &self.model.services[service].secrets {
                if let Some(Origin::File(path)) = self.model.secrets.get(&grant.source) {
                    let bytes = user_files::Original::of(path)?.map(|it| it.bytes);
                    let bytes = bytes.filter(|it| !it.is_empty()).ok_or_else(|| {
                        CommandError::user(format!(
                            "the secret {} has no value: {} is empty or not there",
                            grant.source,
                            path.display()
                        ))
                    })?;
                    files.insert(path.clone(), Arc::new(bytes));
                }
            }
        }
        Ok(plan::Request {
            model: &self.model,
            texts: &self.texts,
            variables,
            secrets,
            skip,
            files,
            paths,
            taken: Box::new(taken(spec, stored, vault.clone())),
            providers: found.taken_over(skipped, notes),
            labels: found.frees_labels(skipped, notes),
            sources: spec
                .into_iter()
                .flat_map(|it| it.sources.keys())
                .chain(self.host.keys())
                .map(SourceName::to_string)
                .collect(),
            dir: self.files.project_dir.clone(),
            project: self.project.clone(),
            vault,
        })
    }

    /// The type of a source, if somebody defines it.
    pub(super) fn kind(&self, name: &SourceName) -> Option<&str> {
        let spec = self.loaded.spec.as_ref();
        let own = spec.and_then(|it| it.sources.get(name)).map(|it| &it.kind);
        own.or(self.host.get(name)).map(String::as_str)
    }

    /// What must not be shown.
    pub(super) fn values(&self, candidates: &[Candidate], plan: &Plan) -> Vec<Value> {
        let of = |it: &Candidate| {
            self.model.services[&it.service]
                .environment
                .get(&it.name)
                .map(Arc::clone)
        };
        candidates
            .iter()
            .filter(|it| it.is_value())
            .filter_map(of)
            .chain(plan.values.values().map(Arc::clone))
            .collect()
    }
}

/// Whether a name of the catalogue stands for something else.
fn taken<'a>(
    spec: Option<&'a ProjectSpec>,
    stored: &'a Stored,
    vault: Option<(String, String)>,
) -> impl Fn(&str, &Content) -> bool + 'a {
    move |name, content| {
        let local = format!("local:{name}");
        let known = spec.and_then(|it| it.secrets.get(name));
        let known = known.map(|it| it.reference.to_string());
        match (content, &vault) {
            (Content::Reference(it), _) => known.is_some_and(|known| known != *it),
            (Content::Value(_), Some((folder, field))) => {
                known.is_some_and(|known| known != format!("{folder}/{name}#{field}"))
            }
            (Content::Value(value), None) => {
                known.is_some_and(|known| known != local)
                    || stored
                        .get(name)
                        .is_some_and(|it| it.expose() != value.expose())
            }
            // Nobody can tell whether the value of one that is in use is the same.
            (Content::Dso(_), _) => known.is_some(),
        }
    }
}

/// What is in the store for this project: names without the project's, and values.
pub(super) type Stored = BTreeMap<String, SecretValue>;

pub(super) async fn stored(store: &LocalClient, project: &str) -> Result<Stored> {
    let prefix = format!("{project}/");
    let mut out = BTreeMap::new();
    for it in store.list(&prefix).await.map_err(store_error)? {
        let Some(name) = it.name.strip_prefix(&prefix).filter(|it| *it != NAME) else {
            continue;
        };
        let value = store.get(&it.name, None).await.map_err(store_error)?.value;
        out.insert(name.to_owned(), value);
    }
    Ok(out)
}

/// Asks compose what it makes of the project, and of every variable that its files speak of.
pub(super) async fn model(
    flags: &ComposeFlags,
    files: &Files,
    texts: &Texts,
    cx: &Context,
) -> Result<Model> {
    let settings = user_files::read(&files.env_file)?.unwrap_or_default();
    let probe = probe(texts, &settings);
    let temporary = cx
        .env
        .get("TMPDIR")
        .filter(|it| !it.is_empty())
        .map_or("/tmp", String::as_str);
    let private = Private::new(Path::new(temporary), "probe.yaml", &probe)?;
    let mut with_probe = files.clone();
    with_probe.paths.push(private.file().to_owned());
    let resolved = config(flags, &with_probe, MODEL, cx).await?;
    let written = config(flags, files, WRITTEN, cx).await?;
    Model::read(resolved.text()?, written.text()?).ok_or_else(|| {
        CommandError::internal("the output of `docker compose config` cannot be read")
    })
}

async fn config(
    flags: &ComposeFlags,
    files: &Files,
    more: &[&str],
    cx: &Context,
) -> Result<Output> {
    let (docker, mut args) = cx.docker().compose(flags, files);
    args.extend(
        ["--profile=*", "config"]
            .iter()
            .chain(more)
            .map(|it| (*it).to_owned()),
    );
    let output = docker.output(&args).await?;
    if !output.status.success() {
        return Err(CommandError::user("compose refuses the project").because(output.reason()));
    }
    Ok(output)
}
