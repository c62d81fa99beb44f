//! What a generation on the volume consists of: all that its files do not say themselves.

use std::collections::BTreeSet;

use crate::clock::Stamp;
use crate::dir::Owner;
use crate::generation::{Generation, Update};
use crate::layout::is_target;
use crate::wire::{Encode, Malformed, Sink, Source};

/// Targets of a generation and when it was written.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Manifest {
    /// A moment before the generation became visible.
    pub(super) prepared: Stamp,
    /// The targets.
    pub(super) files: Vec<Target>,
}

/// A file without its content.
#[derive(Debug, PartialEq)]
pub(super) struct Target {
    /// Path relative to the volume.
    pub(super) path: String,
    /// Who may read it.
    pub(super) owner: Owner,
    /// How it is replaced.
    pub(super) update: Update,
}

const MAGIC: [u8; 8] = *b"lkt-man1";

impl Manifest {
    pub(super) fn new(generation: &Generation, prepared: Stamp) -> Self {
        let target = |file: &crate::generation::GenFile| Target {
            path: file.path.clone(),
            owner: Owner {
                mode: file.mode,
                uid: file.uid,
                gid: file.gid,
            },
            update: file.update,
        };
        Self {
            prepared,
            files: generation.files.iter().map(target).collect(),
        }
    }

    /// Reads a manifest; only paths that a file may be delivered at get through.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut s = Source(bytes);
        if s.array()? != MAGIC {
            return Err(Malformed("it is no manifest"));
        }
        let prepared = Stamp {
            realtime: s.u64()?,
            boottime: s.u64()?,
        };
        let files = s.list(|s| {
            let path = s.str()?;
            if !is_target(&path) {
                return Err(Malformed("a path is none that a file is delivered at"));
            }
            let (mode, uid, gid) = (s.u32()?, s.u32()?, s.u32()?);
            let owner = Owner { mode, uid, gid };
            let update = Update::read(s)?;
            Ok(Target {
                path,
                owner,
                update,
            })
        })?;
        s.end()?;
        Ok(Self { prepared, files })
    }

    /// The paths of its files.
    pub(crate) fn paths(&self) -> BTreeSet<&str> {
        self.files.iter().map(|t| t.path.as_str()).collect()
    }

    /// The paths whose visible file is a file of its own and no link.
    pub(super) fn own_files(self) -> impl Iterator<Item = String> {
        let own = |t: Target| (t.update != Update::Swap).then_some(t.path);
        self.files.into_iter().filter_map(own)
    }
}

impl Encode for Manifest {
    fn write(&self, out: &mut impl Sink) {
        out.raw(&MAGIC);
        out.u64(self.prepared.realtime);
        out.u64(self.prepared.boottime);
        out.length(self.files.len());
        for Target {
            path,
            owner,
            update,
        } in &self.files
        {
            out.str(path);
            out.u32(owner.mode);
            out.u32(owner.uid);
            out.u32(owner.gid);
            update.write(out);
        }
    }
}
