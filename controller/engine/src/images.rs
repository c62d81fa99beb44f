//! Images: looking at them, and importing our own binary as one.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::query_parameters::{CreateImageOptions, ListImagesOptions, RemoveImageOptions};
use bytes::Bytes;
use futures_util::TryStreamExt;
use serde::Deserialize;

use crate::client::{DEADLINE, Engine, found, of_bollard};
use crate::containers::{Healthcheck, InspectedHealthcheck, null_is_default};
use crate::error::{Error, Kind, Result};
use crate::http;

/// An import sends some megabytes, perhaps over ssh.
const IMPORT_DEADLINE: Duration = Duration::from_secs(300);

/// An image. Its environment is left out on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `sha256:…` of its configuration.
    pub id: String,
    /// `sha256:…` of each layer's tar, from the bottom up.
    pub layers: Vec<String>,
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub arch: String,
    /// `USER`; empty is root.
    pub user: String,
    /// The entrypoint.
    pub entrypoint: Vec<String>,
    /// The command.
    pub cmd: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Its healthcheck; `None` if it has none.
    pub healthcheck: Option<Healthcheck>,
    /// `name:tag`, each.
    pub tags: Vec<String>,
}

impl Engine {
    /// Looks at one image, by name or id; `None` if it is not on the engine.
    pub async fn image(&self, name: &str) -> Result<Option<Image>> {
        let what = format!("inspect image {name}");
        // Not bollard's: its model would take the environment in.
        let said = self.within(DEADLINE, &what, async {
            let path = format!("/images/{}/json", http::image(name, &what)?);
            self.http.get::<Inspected>(&path, &what).await
        });
        Ok(found(said.await)?.map(Image::from))
    }

    /// Ids and names (`name:tag`, each) of the images that have a tag of this name, sorted by id.
    pub async fn images(&self, name: &str) -> Result<Vec<(String, Vec<String>)>> {
        let filters = [("reference".to_owned(), vec![name.to_owned()])];
        let options = ListImagesOptions {
            filters: Some(filters.into()),
            ..ListImagesOptions::default()
        };
        let list = self.docker.list_images(Some(options));
        let list = self.call(format!("list images {name}"), list).await?;
        let mut images: Vec<_> = list.into_iter().map(|it| (it.id, it.repo_tags)).collect();
        images.sort();
        Ok(images)
    }

    /// Makes an image of one layer from a tar archive, under `tag` (`name:tag`), and returns its
    /// id. `changes` are Dockerfile lines: `ENTRYPOINT ["/locket"]`, `LABEL a=b`.
    ///
    /// The layer's digest depends on the archive alone, the image's id also on the time.
    /// The deadline is 5 minutes.
    pub async fn import_image(&self, tar: Bytes, tag: &str, changes: &[&str]) -> Result<String> {
        let what = format!("import image {tag}");
        let (repo, version) = tag.rsplit_once(':').unwrap_or((tag, "latest"));
        let options = CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(repo.to_owned()),
            tag: Some(version.to_owned()),
            changes: changes.iter().map(|line| (*line).to_owned()).collect(),
            ..CreateImageOptions::default()
        };
        let body = bollard::body_full(tar);
        let progress: Vec<_> = self
            .within(IMPORT_DEADLINE, &what, async {
                let stream = self.docker.create_image(Some(options), Some(body), None);
                stream.try_collect().await.map_err(|e| of_bollard(e, &what))
            })
            .await?;
        let id = progress.into_iter().rev().find_map(|line| line.status);
        id.filter(|id| id.starts_with("sha256:"))
            .ok_or_else(|| Error::new(Kind::Protocol, what, "the engine names no image id"))
    }

    /// Removes a name of an image, and the image with its last name. One that is gone is no error.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if a container uses it.
    pub async fn remove_image(&self, name: &str) -> Result<()> {
        let what = format!("remove image {name}");
        let name = http::image(name, &what)?;
        let remove = self
            .docker
            .remove_image(name, None::<RemoveImageOptions>, None);
        found(self.call(what, remove).await).map(|_| ())
    }
}

/// `GET /images/NAME/json`, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    repo_tags: Vec<String>,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default, deserialize_with = "null_is_default")]
    config: InspectedConfig,
    #[serde(default, rename = "RootFS", deserialize_with = "null_is_default")]
    root_fs: InspectedRoot,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct InspectedRoot {
    #[serde(deserialize_with = "null_is_default")]
    layers: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct InspectedConfig {
    user: String,
    #[serde(deserialize_with = "null_is_default")]
    entrypoint: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    cmd: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    labels: BTreeMap<String, String>,
    healthcheck: Option<InspectedHealthcheck>,
}

impl From<Inspected> for Image {
    fn from(said: Inspected) -> Self {
        Image {
            id: said.id,
            layers: said.root_fs.layers,
            os: said.os,
            arch: said.architecture,
            user: said.config.user,
            entrypoint: said.config.entrypoint,
            cmd: said.config.cmd,
            labels: said.config.labels,
            healthcheck: said
                .config
                .healthcheck
                .and_then(InspectedHealthcheck::active),
            tags: said.repo_tags,
        }
    }
}
