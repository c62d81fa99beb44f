//! The names that an app sees: links through `..data`, and files of their own for the update modes `rename` and `inplace`.
//!
//! A name that turns from a file into a directory, or back, is missing for a moment. Everything else changes with the swap.

use std::collections::BTreeSet;
use std::io;

use rustix::fs::FileType;

use super::Volume;
use super::manifest::{Manifest, Target};
use crate::dir::{Dir, is_absent};
use crate::generation::Update;
use crate::layout::{CURRENT, FILES, HOME, PATH_LIMIT, STAGE, generation_dir, link_text};

/// Mode of every directory of ours that an app may walk through.
pub(super) const OPEN: u32 = 0o755;

/// May what stands in the way of a name be removed?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Obstacles {
    Keep,
    Remove,
}

impl Volume {
    /// Before the swap: links for new names, and room for the files that will not be links. Until the swap the new links lead
    /// nowhere, or to the old generation's file of that name.
    pub(super) fn announce(&self, seq: u64, manifest: &Manifest) -> io::Result<()> {
        for (i, target) in manifest.files.iter().enumerate() {
            if !self.parents(&target.path, Obstacles::Keep)? {
                continue;
            }
            match target.update {
                Update::Swap => {
                    self.show_link(&target.path, Obstacles::Keep)?;
                }
                Update::Rename => {}
                Update::Inplace => {
                    let (bytes, _) = self.root.read(&source(seq, target))?;
                    if self.can_overwrite(&target.path)? {
                        self.root.reserve(&target.path, bytes.len())?;
                    } else {
                        self.root.create(&staged(i), &bytes, target.owner)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// After the swap, or to repair: every name of the current generation is there, dead ones go last. True if a name or a
    /// file of it came about only now.
    pub(super) fn settle(&self, seq: u64, manifest: &Manifest) -> io::Result<bool> {
        let mut changed = false;
        // What is dead and in the way goes first, what is only dead goes last.
        for (i, target) in manifest.files.iter().enumerate() {
            self.parents(&target.path, Obstacles::Remove)?;
            changed |= match target.update {
                Update::Swap => self.show_link(&target.path, Obstacles::Remove)?,
                Update::Rename | Update::Inplace => self.show_file(seq, target, i)?,
            };
        }
        let wanted = manifest.paths();
        let (dead, dirs) = self.dead(&wanted)?;
        for path in dead {
            self.root.remove(&path)?;
        }
        for dir in dirs {
            let beneath = |w: &&str| w.strip_prefix(&*dir).is_some_and(|r| r.starts_with('/'));
            if !wanted.iter().any(beneath) {
                self.root.remove_if_empty(&dir)?;
            }
        }
        Ok(changed)
    }

    /// What of the current generation is not visible as it should be, and what is visible that should not be.
    pub(super) fn differences(&self, seq: u64, manifest: &Manifest) -> io::Result<Vec<String>> {
        let mut different = Vec::new();
        for target in &manifest.files {
            let path = &target.path;
            let mut prefixes = path.match_indices('/').filter_map(|(i, _)| path.get(..i));
            let as_made = |p: &str| {
                let meta = self.root.meta(p)?;
                Ok::<_, io::Error>(
                    meta.is_some_and(|m| m.kind == FileType::Directory && m.owner.mode == OPEN),
                )
            };
            let mut fine =
                prefixes.try_fold(true, |fine, p| Ok::<_, io::Error>(fine && as_made(p)?))?;
            fine = fine
                && match target.update {
                    Update::Swap => self.has_link(path)?,
                    Update::Rename | Update::Inplace => self.shows(seq, target)?,
                };
            if !fine {
                different.push(path.clone());
            }
        }
        different.extend(self.dead(&manifest.paths())?.0);
        Ok(different)
    }

    /// Makes the directories above a path; false if something is in the way and has to stay.
    fn parents(&self, path: &str, obstacles: Obstacles) -> io::Result<bool> {
        for prefix in path.match_indices('/').filter_map(|(i, _)| path.get(..i)) {
            match self.root.meta(prefix)? {
                Some(m) if m.kind != FileType::Directory => {
                    if obstacles == Obstacles::Keep {
                        return Ok(false);
                    }
                    self.root.remove(prefix)?;
                }
                _ => {}
            }
            self.root.ensure_dir(prefix, OPEN)?;
        }
        Ok(true)
    }

    /// Makes the link at a path; false if it was there.
    fn show_link(&self, path: &str, obstacles: Obstacles) -> io::Result<bool> {
        let text = link_text(path);
        match self.root.meta(path)? {
            None => self.root.symlink(&text, path)?,
            Some(m) if m.kind == FileType::Directory && obstacles == Obstacles::Keep => {
                return Ok(false);
            }
            Some(_) if self.has_link(path)? => return Ok(false),
            Some(_) => self.replace_by_link(&text, path)?,
        }
        Ok(true)
    }

    /// Puts a link where something else is, at once if that is no directory.
    pub(super) fn replace_by_link(&self, text: &str, path: &str) -> io::Result<()> {
        let aside = format!("{STAGE}/link");
        self.root.remove(&aside)?;
        self.root.symlink(text, &aside)?;
        self.put(&aside, path)
    }

    /// Renames to a path, whatever is there.
    pub(super) fn put(&self, aside: &str, path: &str) -> io::Result<()> {
        if self.is_dir(path)? {
            self.root.remove(path)?;
        }
        self.root.rename(aside, path)
    }

    /// A directory that only we use; whatever else has its name goes.
    pub(super) fn own_dir(&self, path: &str, mode: u32) -> io::Result<Dir> {
        if self.root.meta(path)?.is_some() && !self.is_dir(path)? {
            self.root.remove(path)?;
        }
        self.root.ensure_dir(path, mode)
    }

    /// Makes the file at a path what the generation says; false if it was.
    fn show_file(&self, seq: u64, target: &Target, i: usize) -> io::Result<bool> {
        if self.shows(seq, target)? {
            return Ok(false);
        }
        let (path, from, staged) = (&target.path, source(seq, target), staged(i));
        match target.update {
            Update::Inplace if self.can_overwrite(path)? => {
                let (bytes, _) = self.root.read(&from)?;
                self.root.overwrite(path, &bytes, target.owner)?;
            }
            Update::Inplace => {
                if self.root.meta(&staged)?.is_none() {
                    let (bytes, _) = self.root.read(&from)?;
                    self.root.create(&staged, &bytes, target.owner)?;
                }
                self.put(&staged, path)?;
            }
            // A second name for the generation's own file: no space, no copy.
            _ => {
                self.root.remove(&staged)?;
                self.root.link(&from, &staged)?;
                self.put(&staged, path)?;
            }
        }
        Ok(true)
    }

    /// Does the visible file agree with the generation's in content and owner?
    fn shows(&self, seq: u64, target: &Target) -> io::Result<bool> {
        // Not opened before it is known to be a file: there are things that opening wakes up.
        let meta = self.root.meta(&target.path)?;
        if meta.is_none_or(|m| m.kind != FileType::RegularFile) {
            return Ok(false);
        }
        let visible = match self.root.read(&target.path) {
            Err(e) if is_absent(&e) => return Ok(false),
            visible => visible?,
        };
        // For as long as its generation can be overwritten through it, it is not a file of its own.
        let shared = target.update == Update::Inplace && !self.can_overwrite(&target.path)?;
        Ok(!shared && visible == self.root.read(&source(seq, target))?)
    }

    /// A regular file with no second name: one that was put there by rename is a kept generation's file too.
    fn can_overwrite(&self, path: &str) -> io::Result<bool> {
        let meta = self.root.meta(path)?;
        Ok(meta.is_some_and(|m| m.kind == FileType::RegularFile && m.links == 1))
    }

    /// Is the link at a path the one that we would make there?
    fn has_link(&self, path: &str) -> io::Result<bool> {
        let text = self.root.link_text(path)?;
        Ok(text.as_deref() == Some(link_text(path).as_bytes()))
    }

    fn is_dir(&self, path: &str) -> io::Result<bool> {
        let meta = self.root.meta(path)?;
        Ok(meta.is_some_and(|m| m.kind == FileType::Directory))
    }

    /// Names that only we can have made and that are not wanted, and all directories, deepest first. Whatever else lies on the
    /// volume is not ours to judge.
    fn dead(&self, wanted: &BTreeSet<&str>) -> io::Result<(Vec<String>, Vec<String>)> {
        let mut files = BTreeSet::new();
        for seq in self.generations()? {
            files.extend(
                self.manifest(seq)?
                    .into_iter()
                    .flat_map(Manifest::own_files),
            );
        }
        let (mut dead, mut dirs) = (Vec::new(), Vec::new());
        let mut open = vec![String::new()];
        while let Some(dir) = open.pop() {
            for name in names(&self.root, &dir)? {
                let path = match dir.is_empty() {
                    true if name == HOME || name == CURRENT => continue,
                    true => name,
                    false => format!("{dir}/{name}"),
                };
                // No name of ours is longer, and the kernel would not take it.
                if path.len() > PATH_LIMIT {
                    continue;
                }
                let Some(meta) = self.root.meta(&path)? else {
                    continue;
                };
                let unwanted = !wanted.contains(path.as_str());
                match meta.kind {
                    FileType::Directory => open.push(path),
                    FileType::Symlink if unwanted && self.has_link(&path)? => dead.push(path),
                    FileType::RegularFile if unwanted && files.contains(&path) => dead.push(path),
                    _ => {}
                }
            }
            if !dir.is_empty() {
                dirs.push(dir);
            }
        }
        dirs.reverse();
        Ok((dead, dirs))
    }
}

fn names(root: &Dir, dir: &str) -> io::Result<Vec<String>> {
    if dir.is_empty() {
        return root.names();
    }
    match root.names_in(dir) {
        // An app may have taken it away since.
        Err(e) if is_absent(&e) => Ok(Vec::new()),
        names => names,
    }
}

/// A target's file in its generation.
fn source(seq: u64, target: &Target) -> String {
    format!("{}/{FILES}/{}", generation_dir(seq), target.path)
}

/// Where the `i`th target is prepared.
fn staged(i: usize) -> String {
    format!("{STAGE}/{i}")
}
