//! What is on the volume: log, generations, which one is visible.

use std::io;

use super::manifest::Manifest;
use super::{PRIVATE, Volume};
use crate::dir::{Owner, is_absent};
use crate::generation::{GenFile, Generation};
use crate::layout::{
    CURRENT, ENV, FILES, HOME, LOG, MANIFEST, NEW_LOG, generation_dir, parse_current, parse_seq,
};
use crate::log::{self, Entry};

impl Volume {
    pub(super) fn write_log(&self, entries: &[Entry], key: &[u8; 32]) -> io::Result<()> {
        self.root.remove(NEW_LOG)?;
        self.root.create(
            NEW_LOG,
            &log::format(entries, key),
            Owner::of_process(PRIVATE),
        )?;
        self.put(NEW_LOG, LOG)
    }

    pub(super) fn log_bytes(&self) -> io::Result<Vec<u8>> {
        match self.root.read(LOG) {
            Ok((mut bytes, _)) => Ok(std::mem::take(&mut *bytes)),
            Err(e) if is_absent(&e) => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }

    /// Number and manifest of the visible generation; `None` unless the link leads to one.
    pub(super) fn current(&self) -> io::Result<Option<(u64, Manifest)>> {
        let Some(seq) = self
            .root
            .link_text(CURRENT)?
            .and_then(|text| parse_current(&text))
        else {
            return Ok(None);
        };
        Ok(self.manifest(seq)?.map(|manifest| (seq, manifest)))
    }

    /// The names in our folder.
    pub(super) fn home(&self) -> io::Result<Vec<String>> {
        match self.root.names_in(HOME) {
            Err(e) if is_absent(&e) => Ok(Vec::new()),
            other => other,
        }
    }

    /// Numbers of the generations that have a directory.
    pub(super) fn generations(&self) -> io::Result<Vec<u64>> {
        self.home().map(|names| numbers(&names))
    }

    pub(super) fn manifest(&self, seq: u64) -> io::Result<Option<Manifest>> {
        match self
            .root
            .read(&format!("{}/{MANIFEST}", generation_dir(seq)))
        {
            Ok((bytes, _)) => Ok(Manifest::parse(&bytes).ok()),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Reads a generation back; the paths that are not as the manifest says if there are such.
    pub(super) fn load(
        &self,
        seq: u64,
        manifest: &Manifest,
    ) -> io::Result<Result<Generation, Vec<String>>> {
        let dir = generation_dir(seq);
        let mut generation = Generation::default();
        let mut damaged = Vec::new();
        if seq == 0 {
            return Ok(Ok(generation));
        }
        for target in &manifest.files {
            let path = format!("{dir}/{FILES}/{}", target.path);
            match self.root.read(&path) {
                Ok((bytes, owner)) if owner == target.owner => generation.files.push(GenFile {
                    path: target.path.clone(),
                    bytes,
                    mode: owner.mode,
                    uid: owner.uid,
                    gid: owner.gid,
                    update: target.update,
                }),
                Ok(_) => damaged.push(path),
                Err(e) if is_absent(&e) => damaged.push(path),
                Err(e) => return Err(e),
            }
        }
        let path = format!("{dir}/{ENV}");
        match self
            .root
            .read(&path)
            .map(|(bytes, _)| Generation::parse_env(&bytes))
        {
            Ok(Some(env)) => generation.env = env,
            Ok(None) => damaged.push(path),
            Err(e) if is_absent(&e) => damaged.push(path),
            Err(e) => return Err(e),
        }
        Ok(if damaged.is_empty() {
            Ok(generation)
        } else {
            Err(damaged)
        })
    }
}

/// Those of the names in our folder that are numbers of generations.
pub(super) fn numbers(home: &[String]) -> Vec<u64> {
    home.iter()
        .filter_map(|name| parse_seq(name.as_bytes()))
        .collect()
}
