//! What a crash has left behind is removed or completed.

use std::io;

use super::manifest::Manifest;
use super::read::numbers;
use super::visible::OPEN;
use super::{Found, Known, LEAP, Volume};
use crate::clock::{Clock, Stamp};
use crate::dir::Owner;
use crate::layout::{CURRENT, HOME, NEW, NEW_LOG, STAGE, generation_dir};
use crate::log::{self, Entry};

/// The kernel's time of a file's last change lags by a tick of its clock, 10 ms at most.
const TICK: u64 = 10_000_000;
/// Two readings of two clocks are this close together, nanoseconds.
const NO_STEP: u64 = 1_000_000;

impl Volume {
    /// Removes or completes what a crash has left.
    pub(super) fn recover(&self, known: &Known<'_>) -> io::Result<Found> {
        let Known { key, clock, .. } = *known;
        // Nobody could walk through it, or its new owner could change everything.
        self.root.restore(Owner::of_process(OPEN))?;
        let (mut entries, mut key_matches) = log::parse(&self.log_bytes()?, key);
        let home = self.home()?;
        let mut dirs = numbers(&home);
        let mut current = self.current()?;
        if let Some(limit) = self.limit(&dirs, entries.last(), known)? {
            dirs.retain(|seq| *seq <= limit);
            entries.retain(|e| e.seq <= limit);
            current = current.filter(|(seq, _)| *seq <= limit);
            self.disown(&entries, current.is_none(), limit, key)?;
        }
        let logged = |seq: u64| entries.iter().any(|e| e.seq == seq);
        let last = entries.last().map_or(0, |e| e.seq);
        let highest = dirs.iter().copied().max().unwrap_or(0).max(last);
        let unlogged = current.as_ref().is_some_and(|(seq, _)| *seq > last);
        let stray = dirs
            .iter()
            .any(|seq| !logged(*seq) && current.as_ref().is_none_or(|(c, _)| c != seq));
        let is_left = |name: &String| matches!(format!("{HOME}/{name}").as_str(), STAGE | NEW_LOG);
        let begun = home.iter().any(is_left);
        if stray || unlogged || begun {
            // Made where it is missing, so that it is there until the last step of the repair.
            self.own_dir(STAGE, 0o700)?.remove_all()?;
            self.root.remove(NEW)?;
            self.root.remove(NEW_LOG)?;
            self.remove_unlogged(&entries)?;
            let (seq, manifest) = current.unwrap_or_default();
            // What is not as it was published cannot be completed; `verify` tells.
            if let Ok(generation) = self.load(seq, &manifest)? {
                let changed = self.settle(seq, &manifest)?;
                if unlogged {
                    entries = self.rekeyed(entries, key_matches, key)?;
                    key_matches = true;
                    let at = self.swapped_at(&manifest, changed, clock)?;
                    entries.push(Entry::new(seq, &generation, key, at));
                    self.write_log(&entries, key)?;
                }
            }
            self.root.remove(STAGE)?;
        }
        Ok(Found {
            entries,
            key_matches,
            highest,
        })
    }

    /// The highest number that can have been given, if there is a higher one on the volume. A visible one has a directory.
    fn limit(
        &self,
        dirs: &[u64],
        last: Option<&Entry>,
        known: &Known<'_>,
    ) -> io::Result<Option<u64>> {
        let numbers = dirs.iter().copied().chain(last.map(|e| e.seq));
        let highest = numbers.max().unwrap_or(0);
        if highest <= LEAP {
            return Ok(None);
        }
        let given = (known.given)().map_err(|e| io::Error::other(e.message))?;
        let limit = given.saturating_add(LEAP);
        Ok((highest > limit).then_some(limit))
    }

    /// Takes away what has a number that was not given; with the link, where that leads to nothing that was.
    fn disown(
        &self,
        entries: &[Entry],
        is_dangling: bool,
        limit: u64,
        key: &[u8; 32],
    ) -> io::Result<()> {
        if is_dangling {
            self.root.remove(CURRENT)?;
        }
        for seq in self.generations()?.into_iter().filter(|seq| *seq > limit) {
            self.root.remove(&generation_dir(seq))?;
        }
        self.write_log(entries, key)
    }

    /// When the current generation became visible; never too early.
    pub(super) fn swapped_at(
        &self,
        manifest: &Manifest,
        changed: bool,
        clock: Clock<'_>,
    ) -> io::Result<Stamp> {
        let now = clock();
        let swapped = self
            .root
            .meta(CURRENT)?
            .map_or(0, |m| m.changed.saturating_add(TICK));
        let between = (manifest.prepared.realtime..=now.realtime).contains(&swapped);
        let ahead = |s: Stamp| s.realtime.wrapping_sub(s.boottime);
        let step = ahead(now)
            .wrapping_sub(ahead(manifest.prepared))
            .cast_signed();
        Ok(if changed || !between || step.unsigned_abs() > NO_STEP {
            now
        } else {
            Stamp {
                realtime: swapped,
                boottime: swapped.wrapping_sub(ahead(now)),
            }
        })
    }

    /// Removes the directories that are neither in the log nor visible.
    pub(super) fn remove_unlogged(&self, entries: &[Entry]) -> io::Result<()> {
        let current = self.current()?.map(|(seq, _)| seq);
        for seq in self.generations()? {
            if Some(seq) != current && !entries.iter().any(|e| e.seq == seq) {
                self.root.remove(&generation_dir(seq))?;
            }
        }
        Ok(())
    }

    /// The entries with fingerprints of this key.
    pub(super) fn rekeyed(
        &self,
        entries: Vec<Entry>,
        matches: bool,
        key: &[u8; 32],
    ) -> io::Result<Vec<Entry>> {
        if matches {
            return Ok(entries);
        }
        let mut anew = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(manifest) = self.manifest(entry.seq)? else {
                continue;
            };
            if let Ok(generation) = self.load(entry.seq, &manifest)? {
                anew.push(Entry::new(entry.seq, &generation, key, entry.at));
            }
        }
        self.write_log(&anew, key)?;
        Ok(anew)
    }
}
