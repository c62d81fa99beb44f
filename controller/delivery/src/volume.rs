//! A service's volume: its generations, which of them is visible, and the log.
//!
//! A publish goes: write `new` completely, rename it to its number, make what it needs beside it, swap `..data`, settle the visible
//! names, replace the log. The log comes last and is the record that everything is visible.
//!
//! # Crashes
//! Every method but [`Volume::open`] first looks for what a crash has left behind. Before the swap that is removed. After the swap
//! it is completed: the names are settled and the log entry is written, with fingerprints computed from the files, and with the
//! time of the swap itself if both clocks agree on it (else the present: too late a time costs a question or a restart, too early
//! a one would lose a change). So the log tells the truth whenever it is read.
//!
//! # Assumptions
//! One caller at a time; [`crate::session`] takes a lock that no app can reach.

mod manifest;
mod read;
mod recover;
mod visible;

use std::io;
use std::path::Path;

use crate::clock::{Clock, Stamp};
use crate::dir::{Dir, Owner, is_absent, write_at};
use crate::generation::{Generation, fingerprint};
use crate::layout::{
    CURRENT, ENV, FILES, HOME, LOG, MANIFEST, NEW, NEW_LOG, STAGE, generation_dir,
};
use crate::log::{self, Entry};
use crate::protocol::{Refusal, RefusalKind, Verdict};
use crate::wire::Encode as _;
pub(crate) use manifest::Manifest;
use visible::OPEN;

/// Mode of the files that apps have no business with.
const PRIVATE: u32 = 0o600;
/// The volume of one service.
pub struct Volume {
    root: Dir,
}

/// What a volume is judged by. None of it lies on the volume, where root in an app could reach it.
pub struct Known<'a> {
    /// The project's key.
    pub key: &'a [u8; 32],
    /// What tells the time.
    pub clock: Clock<'a>,
    /// The highest sequence number that the service was given, as far as it was written down; 0 for none.
    pub given: &'a dyn Fn() -> Result<u64, Refusal>,
}

/// A number that is further than this beyond what was written down as given was not given: the last few may not have been written
/// down, but root in an app can write any number, and the largest would leave none for the next publish.
const LEAP: u64 = 1 << 32;

/// What was found on the volume after repairs.
struct Found {
    entries: Vec<Entry>,
    key_matches: bool,
    /// The highest number that is in use in any way.
    highest: u64,
}

impl Volume {
    /// Opens the volume that is mounted at a path; `None` when nothing is there, or no tmpfs and `any_filesystem` is not set.
    ///
    /// # Errors
    /// When it cannot be opened or asked.
    pub fn open(path: &Path, any_filesystem: bool) -> io::Result<Option<Self>> {
        let root = match Dir::open(path) {
            Err(e) if is_absent(&e) => return Ok(None),
            other => other?,
        };
        Self::new(root, any_filesystem)
    }

    pub(crate) fn new(root: Dir, any_filesystem: bool) -> io::Result<Option<Self>> {
        Ok((any_filesystem || root.is_in_memory()?).then_some(Self { root }))
    }

    /// The log, oldest first, and whether its fingerprints were made with this key.
    ///
    /// # Errors
    /// `Io`.
    pub fn log(&self, known: &Known<'_>) -> Result<(Vec<Entry>, bool), Refusal> {
        let found = self
            .recover(known)
            .map_err(|e| Refusal::io("reading the log", &e))?;
        Ok((found.entries, found.key_matches))
    }

    /// Publishes a generation if `expect` is the current one (0: there is none). Its number is larger than any on the volume and
    /// any that was given.
    ///
    /// # Errors
    /// `Conflict`, `Invalid` and `NoSpace` leave the old generation as it was; so does `Io` unless the machine fails between the
    /// swap and the log, and then the next call completes the new one.
    pub fn publish(
        &self,
        known: &Known<'_>,
        expect: u64,
        generation: &Generation,
    ) -> Result<Entry, Refusal> {
        generation.check().map_err(Refusal::invalid)?;
        let failed = |e: &io::Error| Refusal::io("publishing", e);
        let found = self.recover(known).map_err(|e| failed(&e))?;
        let entries = self
            .rekeyed(found.entries, found.key_matches, known.key)
            .map_err(|e| failed(&e))?;
        let current = entries.last().map_or(0, |e| e.seq);
        if current != expect {
            return Err(Refusal::new(
                RefusalKind::Conflict { current },
                format!("generation {current} is current, {expect} was expected"),
            ));
        }
        let seq = found.highest.max((known.given)()?).checked_add(1);
        let seq = seq.ok_or_else(|| Refusal::invalid("there are no more sequence numbers"))?;
        let result = self.write(seq, generation, entries, known);
        result.or_else(|error| {
            // Back to the old generation, or on to the new one if it is visible already.
            let last = self
                .recover(known)
                .ok()
                .and_then(|found| found.entries.last().copied());
            last.filter(|entry| entry.seq == seq)
                .ok_or_else(|| failed(&error))
        })
    }

    /// Publishes the content of a kept generation anew.
    ///
    /// # Errors
    /// As [`Volume::publish`]; `Invalid` if that generation is not kept or not what it was.
    pub fn restore(&self, known: &Known<'_>, seq: u64, expect: u64) -> Result<Entry, Refusal> {
        let failed = |e: io::Error| Refusal::io("reading a kept generation", &e);
        let found = self.recover(known).map_err(failed)?;
        let entries = self
            .rekeyed(found.entries, found.key_matches, known.key)
            .map_err(failed)?;
        let not_kept = || Refusal::invalid(format!("generation {seq} is not kept"));
        let entry = entries.iter().find(|e| e.seq == seq).ok_or_else(not_kept)?;
        let manifest = self.manifest(seq).map_err(failed)?.ok_or_else(not_kept)?;
        match self.load(seq, &manifest).map_err(failed)? {
            Ok(generation) if fingerprint(known.key, &generation) == entry.fingerprint => {
                self.publish(known, expect, &generation)
            }
            _ => Err(Refusal::invalid(format!(
                "generation {seq} is not what it was"
            ))),
        }
    }

    /// Compares what is visible with the log.
    ///
    /// # Errors
    /// `Io`.
    pub fn verify(&self, known: &Known<'_>) -> Result<Verdict, Refusal> {
        let failed = |e: io::Error| Refusal::io("comparing", &e);
        let found = self.recover(known).map_err(failed)?;
        let different = self.compare(&found, known.key).map_err(failed)?;
        Ok(match found.entries.last() {
            _ if !different.is_empty() => Verdict::Drifted(different),
            Some(_) => Verdict::Intact,
            None => Verdict::Empty,
        })
    }

    fn compare(&self, found: &Found, key: &[u8; 32]) -> io::Result<Vec<String>> {
        let current = self.current()?;
        let Some(last) = found.entries.last() else {
            let unlogged = current.map(|_| CURRENT.to_owned());
            return Ok(unlogged
                .into_iter()
                .chain(self.differences(0, &Manifest::default())?)
                .collect());
        };
        let Some((_, manifest)) = current.filter(|(seq, _)| *seq == last.seq) else {
            return Ok(vec![CURRENT.to_owned()]);
        };
        if !found.key_matches {
            return Ok(vec![LOG.to_owned()]);
        }
        let mut different = match self.load(last.seq, &manifest)? {
            Ok(generation) if fingerprint(key, &generation) == last.fingerprint => Vec::new(),
            Ok(_) => vec![generation_dir(last.seq)],
            Err(damaged) => damaged,
        };
        if different.is_empty() {
            different = self.differences(last.seq, &manifest)?;
        }
        Ok(different)
    }

    /// Removes generations, and their log entries, that are neither current nor named.
    ///
    /// # Errors
    /// `Io`.
    pub fn prune(&self, known: &Known<'_>, keep: &[u64]) -> Result<(), Refusal> {
        let prune = || {
            let found = self.recover(known)?;
            let mut entries = self.rekeyed(found.entries, found.key_matches, known.key)?;
            let last = entries.last().map(|e| e.seq);
            let count = entries.len();
            entries.retain(|e| Some(e.seq) == last || keep.contains(&e.seq));
            if entries.len() == count {
                return Ok(());
            }
            // What is not in the log any more is a leftover, should we not get to its removal.
            self.write_log(&entries, known.key)?;
            self.remove_unlogged(&entries)
        };
        prune().map_err(|e: io::Error| Refusal::io("pruning", &e))
    }

    /// Removes everything. What a crash leaves of that is a volume with its last generation, or without any.
    ///
    /// # Errors
    /// `Io`.
    pub fn clear(&self) -> Result<(), Refusal> {
        let clear = || {
            self.root.remove(LOG)?;
            self.root.remove(CURRENT)?;
            self.root.remove_all()
        };
        clear().map_err(|e: io::Error| Refusal::io("clearing", &e))
    }

    /// Computes the log's fingerprints anew if they were made with another key. An entry whose generation cannot be read is dropped.
    ///
    /// # Errors
    /// `Io`.
    pub fn recompute(&self, known: &Known<'_>) -> Result<(), Refusal> {
        let recompute = || {
            let found = self.recover(known)?;
            self.rekeyed(found.entries, found.key_matches, known.key)
                .map(drop)
        };
        recompute().map_err(|e| Refusal::io("computing the fingerprints", &e))
    }

    /// The highest sequence number on the volume that can have been given, whatever it stands for, and that was; 0 for none.
    ///
    /// # Errors
    /// `Io`.
    pub fn highest(&self, given: u64) -> Result<u64, Refusal> {
        let highest = || {
            let dirs = self.generations()?;
            let logged = log::parse(&self.log_bytes()?, &[0; 32]).0;
            let numbers = dirs.into_iter().chain(logged.iter().map(|e| e.seq));
            let believed = numbers.filter(|seq| *seq <= given.saturating_add(LEAP));
            Ok(believed.max().unwrap_or(0).max(given))
        };
        highest().map_err(|e: io::Error| Refusal::io("reading the log", &e))
    }

    fn write(
        &self,
        seq: u64,
        generation: &Generation,
        mut entries: Vec<Entry>,
        known: &Known<'_>,
    ) -> io::Result<Entry> {
        let Known { key, clock, .. } = known;
        self.own_dir(HOME, OPEN)?;
        self.own_dir(STAGE, 0o700)?;
        let manifest = Manifest::new(generation, clock());
        self.write_new(generation, &manifest)?;
        let mut entry = Entry::new(seq, generation, key, Stamp::default());
        entries.push(entry);
        // Written before the swap, so that a full volume is noticed before it; only the time is missing.
        let bytes = log::format(&entries, key);
        self.root.remove(NEW_LOG)?;
        let new_log = self
            .root
            .create(NEW_LOG, &bytes, Owner::of_process(PRIVATE))?;
        self.root.rename(NEW, &generation_dir(seq))?;
        self.announce(seq, &manifest)?;

        self.replace_by_link(&generation_dir(seq), CURRENT)?;

        self.settle(seq, &manifest)?;
        entry.at = clock();
        let mut at = [0; 16];
        let (realtime, boottime) = at.split_at_mut(8);
        realtime.copy_from_slice(&entry.at.realtime.to_le_bytes());
        boottime.copy_from_slice(&entry.at.boottime.to_le_bytes());
        write_at(&new_log, &at, bytes.len() as u64 - log::TIME_FROM_END)?;
        self.put(NEW_LOG, LOG)?;
        // It is done; what is left here is removed by the next call too.
        let _ = self.root.remove(STAGE);
        Ok(entry)
    }

    /// Writes a generation that nobody sees yet.
    fn write_new(&self, generation: &Generation, manifest: &Manifest) -> io::Result<()> {
        self.root.remove(NEW)?;
        let new = self.root.make_dir(NEW, OPEN)?;
        let files = new.make_dir(FILES, OPEN)?;
        for (file, target) in generation.files.iter().zip(&manifest.files) {
            for dir in file
                .path
                .match_indices('/')
                .filter_map(|(i, _)| file.path.get(..i))
            {
                files.ensure_dir(dir, OPEN)?;
            }
            files
                .create(&file.path, &file.bytes, target.owner)
                .map_err(|e| io::Error::new(e.kind(), format!("{:?}: {e}", file.path)))?;
        }
        new.create(ENV, &generation.env_bytes(), Owner::of_process(0o444))?;
        new.create(MANIFEST, &manifest.to_bytes(), Owner::of_process(PRIVATE))?;
        Ok(())
    }
}

#[cfg(test)]
mod crash;
#[cfg(test)]
mod tests;
