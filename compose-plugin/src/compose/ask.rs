//! Asks compose what it makes of a project's files.

use std::collections::{BTreeMap, BTreeSet};

use locket_crds::compose::variables_of;
use locket_crds::lint::hidden_values;
use locket_crds::text::Text;
use locket_crds::yaml::Value;

use super::{Profiles, Request, files};
use crate::docker::{Docker, Output};
use crate::error::Result;

/// A value below so many bytes is not looked for.
const SHORT: usize = 4;

/// What compose says of files.
pub(super) enum Answer {
    /// The model.
    Model(Output),
    /// Its reason to refuse them.
    Refused(String),
}

/// Asks it.
///
/// # Errors
/// Compose cannot be run.
pub(super) async fn ask(
    docker: &Docker,
    request: &Request<'_>,
    sources: &[Text],
) -> Result<Answer> {
    let (docker, mut args) = docker.compose(request.flags, request.files);
    args.extend(profiles(request.profiles, sources));
    args.extend(["config", "--no-env-resolution"].map(str::to_owned));
    let output = docker.output(&args).await?;
    Ok(match output.status.success() {
        true => Answer::Model(output),
        false => Answer::Refused(hidden(
            &output.reason(),
            values(docker.env(), request, sources),
        )),
    })
}

/// What compose's words may quote and nobody should see: whatever the files with variables say, the variables of the environment
/// that the compose files name, and what looks like a secret in the compose files themselves.
fn values(
    env: &BTreeMap<String, String>,
    request: &Request<'_>,
    sources: &[Text],
) -> BTreeSet<String> {
    let mut out: BTreeSet<String> = hidden_values(sources).into_iter().collect();
    let named = sources.iter().flat_map(|it| variables_of(it.text()));
    out.extend(named.filter_map(|name| env.get(&name).cloned()));
    out.extend(files::said(request.files).map(|(_, value)| value));
    out
}

/// A text without these values. Short ones are words of it by chance.
fn hidden(text: &str, values: BTreeSet<String>) -> String {
    let mut values: Vec<String> = values.into_iter().filter(|it| it.len() >= SHORT).collect();
    // One may be a part of another.
    values.sort_by_key(|it| std::cmp::Reverse(it.len()));
    let replaced = |text: String, it: &String| text.replace(it.as_str(), "********");
    values.iter().fold(text.to_owned(), replaced)
}

/// The flags that have compose read these services too.
fn profiles(wanted: Profiles<'_>, sources: &[Text]) -> Vec<String> {
    let names = match wanted {
        Profiles::All => return vec!["--profile=*".to_owned()],
        Profiles::Enabled(names) => names,
    };
    let mut found = BTreeSet::new();
    for document in sources.iter().flat_map(Text::documents) {
        let of = |name: &String| {
            document
                .get("services")?
                .get(name)?
                .get("profiles")
                .cloned()
        };
        for profiles in names.iter().filter_map(of) {
            if let Value::List(all) = profiles.value {
                found.extend(all.into_iter().filter_map(|it| match it.value {
                    Value::Str(name) => Some(name),
                    _ => None,
                }));
            }
        }
    }
    let flag = |name: &String| format!("--profile={name}");
    found.iter().map(flag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_hidden_with_all_that_it_is_a_part_of() {
        let values = ["hunter2", "hunter2000", "x"].map(str::to_owned);
        assert_eq!(
            hidden("ports: x hunter2000 and hunter2", values.into()),
            "ports: x ******** and ********"
        );
    }
}
