//! A plan before people, and before compose.

use std::collections::{BTreeMap, BTreeSet};

use super::Plan;
use crate::error::{CommandError, Result};
use crate::import::mask;
use crate::import::model::{Model, Value};
use crate::import::places::Text;
use crate::user_files::Change;

impl Plan {
    /// The lines that go and come, values masked.
    pub fn masked(&self, names: &BTreeSet<&str>, values: &[Value], color: bool) -> String {
        let compose = self.texts.compose.iter().map(|it| {
            let masked = |text: &str| mask::compose(text, names, values);
            (it, masked(&it.before), masked(&it.now))
        });
        let env = self.texts.env.iter().map(|it| {
            let masked = |text: &str| mask::env(text, it.raw, values);
            (&it.text, masked(&it.text.before), masked(&it.text.now))
        });
        let diff = |(text, before, after): (&Text, String, String)| {
            let change = Change {
                path: text.path.clone(),
                before: Some(before),
                after,
            };
            change.diff(&text.name, color)
        };
        compose.chain(env).map(diff).collect()
    }

    /// Whether compose makes of the new files what it made of the old ones, but for what was moved.
    ///
    /// # Errors
    /// It does not; which service is another.
    pub fn check(&self, before: &Model, after: &Model) -> Result<()> {
        let differs = |what: String| {
            CommandError::user(format!(
                "without these lines compose would make something else of {what}"
            ))
            .hint("leave values out with `--skip` that something else refers to")
        };
        for (name, was) in &before.services {
            let Some(is) = after.services.get(name) else {
                return Err(differs(format!("service {name}")));
            };
            let mut expected: BTreeMap<&str, &[u8]> = BTreeMap::new();
            for (variable, value) in &was.environment {
                if !self.moved.contains(&(name.clone(), variable.clone())) {
                    expected.insert(variable, value.expose());
                }
            }
            let added = self.added.iter().filter(|(service, ..)| service == name);
            expected
                .extend(added.map(|(_, variable, value)| (variable.as_str(), value.as_bytes())));
            let found: BTreeMap<&str, &[u8]> = is
                .environment
                .iter()
                .map(|(variable, it)| (variable.as_str(), it.expose()))
                .collect();
            let keys = expected.keys().chain(found.keys());
            if let Some(variable) = keys
                .into_iter()
                .find(|it| expected.get(*it) != found.get(*it))
            {
                return Err(differs(format!("{variable} of service {name}")));
            }
            let secrets = if self.secrets.contains(name) {
                &[][..]
            } else {
                &was.secrets
            };
            if is.secrets != secrets {
                return Err(differs(format!("the secrets of service {name}")));
            }
        }
        if after.follows(before, &self.gates, self.labels) {
            Ok(())
        } else {
            Err(differs("the project".to_owned()))
        }
    }
}
