//! The volumes of a fake engine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::wire::Refusal;
use super::world::{World, empty_dir};
use crate::time::{Time, format_rfc3339};

pub(crate) struct Volume {
    pub(crate) dir: PathBuf,
    options: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    created_at: Time,
    /// False from the engine's start until somebody looks at it by its name: so long, asking for it to be made tells nothing of it.
    looked_at: bool,
}

impl Volume {
    pub(crate) fn is_tmpfs(&self) -> bool {
        self.options.get("type").is_some_and(|t| t == "tmpfs")
    }

    fn json(&self, name: &str) -> Value {
        json!({
            "Name": name,
            "Driver": "local",
            "Mountpoint": self.dir,
            "CreatedAt": format_rfc3339(Some(self.created_at)),
            "Labels": null_if_empty(&self.labels),
            "Options": null_if_empty(&self.options),
            "Scope": "local",
        })
    }
}

impl World {
    /// Makes one, or tells of the one that is there.
    pub(crate) fn create_volume(
        &mut self,
        name: &str,
        options: BTreeMap<String, String>,
        labels: BTreeMap<String, String>,
    ) -> std::io::Result<Value> {
        if let Some(there) = self.volumes.get(name) {
            let mut answer = there.json(name);
            if !there.looked_at {
                answer["Labels"] = Value::Null;
                answer["Options"] = Value::Null;
                answer["Scope"] = json!("");
            }
            return Ok(answer);
        }
        let dir = self.root.path().join("volumes").join(name);
        std::fs::create_dir_all(&dir)?;
        let volume = Volume {
            dir,
            options,
            labels,
            created_at: self.clock.now(),
            looked_at: true,
        };
        let answer = volume.json(name);
        self.volumes.insert(name.to_owned(), volume);
        self.emit("volume", "create", name, json!({ "driver": "local" }));
        Ok(answer)
    }

    pub(crate) fn remove_volume(&mut self, name: &str) -> Result<(), Refusal> {
        if !self.volumes.contains_key(name) {
            return Err(Refusal(404, format!("get {name}: no such volume")));
        }
        if let Some(user) = self.containers.values().find(|c| c.uses(name)) {
            let message = format!("remove {name}: volume is in use - [{}]", user.id);
            return Err(Refusal(409, message));
        }
        if let Some(volume) = self.volumes.remove(name) {
            empty_dir(&volume.dir);
        }
        self.emit("volume", "destroy", name, json!({ "driver": "local" }));
        Ok(())
    }

    /// Looks at one by its name.
    pub(crate) fn volume(&mut self, name: &str) -> Option<Value> {
        let volume = self.volumes.get_mut(name)?;
        volume.looked_at = true;
        Some(volume.json(name))
    }

    /// Those with such labels.
    pub(crate) fn list_volumes(
        &self,
        selects: impl Fn(&BTreeMap<String, String>) -> bool,
    ) -> Vec<Value> {
        let selected = self.volumes.iter().filter(|(_, v)| selects(&v.labels));
        selected.map(|(name, v)| v.json(name)).collect()
    }

    /// The engine ends.
    pub(crate) fn forget_volumes(&mut self) {
        self.volumes.values_mut().for_each(|v| v.looked_at = false);
    }
}

fn null_if_empty(map: &BTreeMap<String, String>) -> Value {
    if map.is_empty() {
        Value::Null
    } else {
        json!(map)
    }
}
