//! Healthchecks that come with an image. Without the image nobody knows them, so they are wrapped where it is at hand.

use std::collections::BTreeMap;

use locket_crds::spec::ProjectSpec;
use serde::Deserialize;

use super::additions::uses_env;
use crate::compose::Raw;
use crate::docker::Docker;

/// The healthcheck of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageCheck {
    /// The image, as the service names it.
    pub name: String,
    /// The image's id.
    pub id: String,
    /// `HEALTHCHECK`: `[CMD, …]` or `[CMD-SHELL, text]`; empty if the image has none.
    pub test: Vec<String>,
}

/// The image of every service whose healthcheck, if there is one, is the image's own and needs the shim's variables.
pub fn wanted(spec: &ProjectSpec, raw: &Raw) -> BTreeMap<String, String> {
    let services = spec
        .services
        .iter()
        .filter(|(_, asked)| uses_env(asked))
        .filter(|(name, _)| {
            raw.services
                .get(name.as_str())
                .is_none_or(|it| !it.unchecked && it.test.is_empty())
        });
    let image = |name: &str| {
        let written = spec.model.get(name).and_then(|m| m.image.clone());
        // Compose's name for what it builds.
        written.unwrap_or_else(|| format!("{}-{name}", spec.project))
    };
    services
        .map(|(name, _)| (name.to_string(), image(name.as_str())))
        .collect()
}

/// Looks up those that are at hand, by service. An engine that does not answer has none.
pub async fn look_up(
    docker: &Docker,
    wanted: &BTreeMap<String, String>,
) -> BTreeMap<String, ImageCheck> {
    let mut out = BTreeMap::new();
    for (service, image) in wanted {
        let Ok(output) = docker.output(["image", "inspect", "--", image]).await else {
            break;
        };
        let Some(found) = output
            .text()
            .ok()
            .filter(|_| output.status.success())
            .and_then(|text| read(image, text))
        else {
            continue;
        };
        out.insert(service.clone(), found);
    }
    out
}

fn read(name: &str, text: &str) -> Option<ImageCheck> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Image {
        id: String,
        config: Option<Config>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Config {
        healthcheck: Option<Healthcheck>,
        shell: Option<Vec<String>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Healthcheck {
        test: Option<Vec<String>>,
    }
    let image = serde_json::from_str::<Vec<Image>>(text).ok()?.pop()?;
    let (check, shell) = image
        .config
        .map_or((None, None), |c| (c.healthcheck, c.shell));
    let test = check.and_then(|h| h.test).unwrap_or_default();
    let test = match (test.split_first(), shell.unwrap_or_default()) {
        (Some((kind, _)), _) if kind == "NONE" => Vec::new(),
        // The image's SHELL runs it, https://docs.docker.com/reference/dockerfile/#shell
        (Some((kind, line)), mut shell) if kind == "CMD-SHELL" && !shell.is_empty() => {
            shell.insert(0, "CMD".to_owned());
            shell.extend_from_slice(line);
            shell
        }
        _ => test,
    };
    Some(ImageCheck {
        name: name.to_owned(),
        id: image.id,
        test,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_id_and_healthcheck_of_an_image_are_read() {
        let text = r#"[{"Id":"sha256:a","Config":{"Env":["X=y"],"Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":1}}}]"#;
        let it = read("i", text).unwrap();
        assert_eq!(
            (it.id.as_str(), it.test),
            ("sha256:a", vec!["CMD-SHELL".to_owned(), "true".to_owned()])
        );
        assert!(
            read(
                "i",
                r#"[{"Id":"x","Config":{"Healthcheck":{"Test":["NONE"]}}}]"#
            )
            .unwrap()
            .test
            .is_empty()
        );
        assert!(
            read("i", r#"[{"Id":"x","Config":null}]"#)
                .unwrap()
                .test
                .is_empty()
        );
        assert_eq!(read("i", "[]"), None);
        let bash = r#"[{"Id":"x","Config":{"Shell":["/bin/bash","-c"],"Healthcheck":{"Test":["CMD-SHELL","[[ -e x ]]"]}}}]"#;
        assert_eq!(
            read("i", bash).unwrap().test,
            ["CMD", "/bin/bash", "-c", "[[ -e x ]]"]
        );
    }
}
