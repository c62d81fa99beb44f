//! The end of a project: the search for its values, its removal, and what is kept of a failure.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::{COMPOSE_PROJECT, LOCKET_PROJECT, Project};
use crate::canary::Hit;
use crate::command::Transcript;
use crate::wait::eventually;

impl Project {
    /// Looks for the scenario's values everywhere on this machine and in everything that the engine tells.
    pub fn search(&self) -> Vec<Hit> {
        let mut hits = self
            .canaries
            .in_bytes("what was printed", &self.transcript.bytes());
        let quiet = Transcript::default();
        let said = |args: &[&str]| self.docker_for(&quiet).args(args).any().all();
        for (kind, list) in [
            ("container", vec!["ps", "-aq"]),
            ("volume", vec!["volume", "ls", "-q"]),
            ("network", vec!["network", "ls", "-q"]),
            ("image", vec!["images", "-q"]),
        ] {
            let all = said(&list);
            let ids: Vec<&str> = all.lines().collect();
            let inspect = ["inspect", "--type", kind];
            // All at once, and one by one only to say where.
            let text = said(&[&inspect[..], &ids].concat());
            if self.canaries.in_bytes(kind, text.as_bytes()).is_empty() {
                continue;
            }
            for id in ids {
                let place = format!("docker inspect of {kind} {id}");
                let text = said(&[&inspect[..], &[id]].concat());
                hits.extend(self.canaries.in_bytes(&place, text.as_bytes()));
            }
        }
        let project = format!("label={COMPOSE_PROJECT}={}", self.name);
        let ours = format!("label={LOCKET_PROJECT}={}", self.name);
        for filter in [&project, &ours] {
            for id in said(&["ps", "-aq", "--filter", filter]).lines() {
                hits.extend(
                    self.canaries
                        .in_bytes(&format!("docker logs {id}"), said(&["logs", id]).as_bytes()),
                );
                hits.extend(self.canaries.in_bytes(
                    &format!("docker exec {id} env"),
                    said(&["exec", id, "env"]).as_bytes(),
                ));
                hits.extend(
                    self.canaries
                        .in_bytes(&format!("docker top {id}"), said(&["top", id]).as_bytes()),
                );
            }
        }
        let events = said(&["events", "--since", &self.began, "--until", "0s"]);
        hits.extend(self.canaries.in_bytes("docker events", events.as_bytes()));
        let data = said(&["info", "--format", "{{.DockerRootDir}}"]);
        let home = std::env::var("HOME").unwrap_or_default();
        let (config, state) = (
            format!("{home}/.config/locket"),
            format!("{home}/.local/state/locket"),
        );
        // Of another engine nothing may be here either.
        let trees = std::collections::BTreeSet::from([
            data.trim(),
            "/var/lib/docker",
            "/var/lib/containerd",
            "/run/docker",
            "/run/containerd",
            "/tmp",
            "/var/tmp",
            "/var/log",
            &config,
            &state,
        ]);
        for tree in trees {
            hits.extend(
                self.canaries
                    .in_tree(Path::new(tree), &[self.root.path().join("values")]),
            );
        }
        hits.sort();
        hits.dedup();
        hits
    }

    /// The end of every scenario: no value is anywhere, `down -v` works, and nothing is left behind.
    ///
    /// # Panics
    /// When one of these does not hold.
    pub fn finish(self) {
        assert_eq!(self.search(), [], "values where they must not be");
        self.compose(&["down", "-v", "--timeout", "2"]).ok();
        eventually(20, "nothing is left of the project", || {
            self.left().is_empty().then_some(())
        });
        self.finished.store(true, Ordering::Relaxed);
    }

    /// What of the project is on the engine: containers, volumes, networks.
    pub fn left(&self) -> Vec<String> {
        let mut all = Vec::new();
        for label in [COMPOSE_PROJECT, LOCKET_PROJECT] {
            let filter = format!("label={label}={}", self.name);
            for list in [
                &["ps", "-aq"][..],
                &["volume", "ls", "-q"],
                &["network", "ls", "-q"],
            ] {
                let text = self
                    .docker(&[list, &["--filter", &filter]].concat())
                    .any()
                    .text();
                all.extend(text.lines().map(|id| format!("{} {id}", list[0])));
            }
        }
        all
    }

    /// What a reader of a failed run needs, in `target/e2e/<scenario>`.
    fn keep_artifacts(&self) {
        let target = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../target/e2e")
            .join(&self.scenario);
        let _ = fs::remove_dir_all(&target);
        let _ = fs::create_dir_all(&target);
        let keep = |name: &str, bytes: &[u8]| drop(fs::write(target.join(name), bytes));
        keep("ps.txt", self.compose(&["ps", "-a"]).any().all().as_bytes());
        keep(
            "logs.txt",
            self.compose(&["logs", "--timestamps"])
                .any()
                .all()
                .as_bytes(),
        );
        keep(
            "status.txt",
            self.locket(&["status"]).any().all().as_bytes(),
        );
        keep("transcript.txt", &self.transcript.bytes());
        let folders = [self.dir.as_path(), self.root.path()];
        for entry in folders
            .iter()
            .filter_map(|d| fs::read_dir(d).ok())
            .flatten()
            .flatten()
        {
            if entry.path().is_file() {
                let _ = fs::copy(entry.path(), target.join(entry.file_name()));
            }
        }
        eprintln!("what was seen is in {}", target.display());
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_artifacts();
        }
        let finished = self.finished.load(Ordering::Relaxed);
        if !finished {
            let _ = self.compose(&["down", "-v", "--timeout", "1"]).any();
        }
        for name in &self.stored {
            let _ = self.plugin(&["secret", "rm", "--yes", name]).any();
        }
        if self.granted.load(Ordering::Relaxed) {
            let _ = self.locket(&["trust", "--revoke", &self.name]).any();
        }
        if finished {
            return;
        }
        // What compose does not know, or could not remove because the scenario broke it.
        for label in [COMPOSE_PROJECT, LOCKET_PROJECT] {
            let filter = format!("label={label}={}", self.name);
            for (list, remove) in [
                (&["ps", "-aq"][..], &["rm", "-fv"][..]),
                (&["volume", "ls", "-q"], &["volume", "rm", "-f"]),
                (&["network", "ls", "-q"], &["network", "rm"]),
            ] {
                let text = self
                    .docker(&[list, &["--filter", &filter]].concat())
                    .any()
                    .text();
                let ids: Vec<&str> = text.lines().collect();
                if !ids.is_empty() {
                    let _ = self.docker(&[remove, &ids].concat()).any();
                }
            }
        }
    }
}
