//! Volumes.

use std::collections::BTreeMap;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions};

use crate::client::{Engine, found};
use crate::containers::label_filter;
use crate::error::Result;
use crate::http::object;
use crate::time::{Time, parse_rfc3339};

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name, which is its identity.
    pub name: String,
    /// `local`, or a plugin's name.
    pub driver: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Driver options, such as `type: tmpfs`.
    pub options: BTreeMap<String, String>,
    /// Where it is on the engine's machine.
    pub mountpoint: String,
    /// When it was made.
    pub created_at: Option<Time>,
}

impl Engine {
    /// Lists volumes that carry all of these labels (`key` or `key=value`), sorted by name.
    pub async fn volumes(&self, labels: &[&str]) -> Result<Vec<Volume>> {
        let options = ListVolumesOptionsBuilder::new()
            .filters(&label_filter(labels))
            .build();
        let list = self
            .call("list volumes", self.docker.list_volumes(Some(options)))
            .await?;
        let mut volumes: Vec<_> = list
            .volumes
            .unwrap_or_default()
            .into_iter()
            .map(Volume::from)
            .collect();
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(volumes)
    }

    /// Looks at one volume; `None` if there is none.
    pub async fn volume(&self, name: &str) -> Result<Option<Volume>> {
        let what = format!("inspect volume {name}");
        let Ok(name) = object(name, &what) else {
            return Ok(None);
        };
        let inspect = self.docker.inspect_volume(name);
        Ok(found(self.call(what, inspect).await)?.map(Volume::from))
    }

    /// Makes a volume of the `local` driver, or returns the one of that name as it is.
    pub async fn create_volume(
        &self,
        name: &str,
        driver_opts: &BTreeMap<String, String>,
        labels: &BTreeMap<String, String>,
    ) -> Result<Volume> {
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            driver: Some("local".to_owned()),
            driver_opts: Some(driver_opts.clone().into_iter().collect()),
            labels: Some(labels.clone().into_iter().collect()),
            ..VolumeCreateRequest::default()
        };
        let create = self.docker.create_volume(request);
        let made = self.call(format!("create volume {name}"), create).await?;
        let made = Volume::from(made);
        if made.labels == *labels {
            return Ok(made);
        }
        // Of one that was there before its own start, an engine tells neither labels nor options here until somebody has looked at it.
        Ok(self.volume(name).await?.unwrap_or(made))
    }

    /// Removes a volume. One that is gone is no error.
    ///
    /// # Errors
    /// [`Kind::Conflict`](crate::Kind::Conflict) if a container uses it, a stopped one included;
    /// `force` does not change that.
    pub async fn remove_volume(&self, name: &str, force: bool) -> Result<()> {
        let what = format!("remove volume {name}");
        let name = object(name, &what)?;
        let remove = self
            .docker
            .remove_volume(name, Some(RemoveVolumeOptions { force }));
        found(self.call(what, remove).await).map(Option::unwrap_or_default)
    }
}

impl From<bollard::models::Volume> for Volume {
    fn from(said: bollard::models::Volume) -> Self {
        Volume {
            name: said.name,
            driver: said.driver,
            labels: said.labels.into_iter().collect(),
            options: said.options.into_iter().collect(),
            mountpoint: said.mountpoint,
            created_at: said.created_at.as_deref().and_then(parse_rfc3339),
        }
    }
}
