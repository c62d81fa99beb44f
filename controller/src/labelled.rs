//! What the labels of a project's containers ask for, where nobody hands its spec over.

use std::collections::BTreeMap;
use std::sync::Arc;

use locket_crds::config::HostConfig;
use locket_crds::id::{ProjectName, ServiceName};
use locket_crds::labels::{self, Labelled, Said};
use locket_crds::spec::{ComposeService, Dependency, ProjectSpec};
use locket_engine::{Container, Engine, InspectCache};

use crate::observe::{self, ImageLabels};

/// Compose's label with what a service depends on: `db:service_started:false,…`, the name, the condition, `restart`.
const DEPENDS_ON: &str = "com.docker.compose.depends_on";

/// The containers of a project with their own labels of ours, the newest first; those of `docker compose run` last.
pub struct Labels(Vec<(Arc<Container>, BTreeMap<String, String>)>);

impl Labels {
    /// Takes away what containers have from their images: a label counts only if somebody put it on the container itself.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn read(
        engine: &Engine,
        images: &ImageLabels,
        containers: &[Arc<Container>],
    ) -> Result<Self, locket_engine::Error> {
        let mut all = Vec::new();
        for it in containers {
            let ours = it
                .labels
                .iter()
                .filter(|(label, _)| label.starts_with(labels::PREFIX));
            let mut own: BTreeMap<_, _> = ours.map(|(k, v)| (k.clone(), v.clone())).collect();
            if !own.is_empty() {
                match images.of(engine, &it.image_id).await? {
                    Some(of_image) => own.retain(|label, value| of_image.get(label) != Some(value)),
                    None => own.clear(),
                }
            }
            all.push((Arc::clone(it), own));
        }
        all.sort_by_key(|(it, _)| (observe::is_oneoff(it), std::cmp::Reverse(it.created_at)));
        Ok(Self(all))
    }

    fn labelled(&self) -> impl Iterator<Item = Labelled<'_>> {
        self.0.iter().map(|(it, labels)| Labelled {
            container: &it.name,
            service: observe::service_of(it),
            labels,
            model: self.model(it),
        })
    }

    /// What compose's labels and the engine tell of a service.
    fn model(&self, it: &Container) -> ComposeService {
        let depends_on = it.labels.get(DEPENDS_ON).map_or("", String::as_str);
        let joined = [&it.network_mode, &it.pid_mode, &it.ipc_mode]
            .into_iter()
            .filter_map(|mode| mode.strip_prefix("container:"));
        let owners = joined.filter_map(|id| self.0.iter().find(|(other, _)| other.id == id));
        ComposeService {
            user: Some(it.user.clone()).filter(|user| !user.is_empty()),
            depends_on: depends_on.split(',').filter_map(dependency).collect(),
            joins: owners
                .map(|(other, _)| observe::service_of(other))
                .collect(),
            ..ComposeService::default()
        }
    }

    /// True when the project has no containers.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True when no container of the project asks for anything.
    pub fn are_none(&self) -> bool {
        let mut all = self.0.iter().flat_map(|(_, labels)| labels.keys());
        !all.any(|it| labels::asks(it))
    }

    /// What they say together.
    pub fn said(&self, project: &ProjectName, config: &HostConfig) -> Said {
        labels::said(project, self.labelled(), &sources(config))
    }

    /// What they say that `x-locket` does not.
    pub fn conflicts(&self, spec: &ProjectSpec, config: &HostConfig) -> Vec<String> {
        labels::conflicts(spec, self.labelled(), &sources(config))
    }
}

/// What the labels of a project's containers ask for now.
///
/// # Errors
/// When the engine does not answer.
pub async fn said(
    engine: &Engine,
    project: &ProjectName,
    config: &HostConfig,
) -> Result<Said, locket_engine::Error> {
    let images = ImageLabels::default();
    let known = (&InspectCache::default(), &images);
    let containers = observe::containers(engine, known, project).await?;
    let labels = Labels::read(engine, &images, &containers).await?;
    Ok(labels.said(project, config))
}

/// The host's sources, which labels may name.
fn sources(config: &HostConfig) -> Vec<&str> {
    config.sources.keys().map(|it| it.as_str()).collect()
}

fn dependency(text: &str) -> Option<(ServiceName, Dependency)> {
    let mut words = text.split(':');
    let it = |condition: &str, restart| Dependency {
        condition: condition.to_owned(),
        restart,
        required: true,
    };
    let (name, condition) = (words.next()?, words.next()?);
    Some((name.into(), it(condition, words.next() == Some("true"))))
}
