//! Everything that one service is given at one time, and its fingerprints.

use std::fmt;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::layout::{ENV_LIMIT, is_target, is_variable};
use crate::wire::{Encode, Malformed, Sink, Source};

/// A keyed hash (HMAC-SHA-256): may be shown, says nothing about the value to who has not the key.
pub type Fingerprint = [u8; 32];

/// Files and variables of a service, in any order. `Debug` shows names only.
#[derive(PartialEq, Default)]
pub struct Generation {
    /// The files.
    pub files: Vec<GenFile>,
    /// Variables that the shim sets: name, and value without a NUL.
    pub env: Vec<Variable>,
}

/// Name and value of a variable.
pub type Variable = (String, Zeroizing<Vec<u8>>);

/// A file with its content. `Debug` does not show the content.
#[derive(PartialEq)]
pub struct GenFile {
    /// Path relative to the volume; see [`is_target`].
    pub path: String,
    /// The content.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Permission bits, `0o777` at most.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// How the file is replaced.
    pub update: Update,
}

/// How a delivered file is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Update {
    /// With all others of its kind at once, by one symlink swap.
    #[default]
    Swap,
    /// This file by rename over the old one: a new inode at a path that is no link.
    Rename,
    /// This file overwritten: the same inode. A reader in that moment may see a mixture.
    Inplace,
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("Generation")
            .field("files", &self.files)
            .field("env", &names)
            .finish()
    }
}

impl fmt::Debug for GenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenFile")
            .field("path", &self.path)
            .field("mode", &format_args!("{:#o}", self.mode))
            .field("uid", &self.uid)
            .field("gid", &self.gid)
            .field("update", &self.update)
            .finish_non_exhaustive()
    }
}

impl Generation {
    /// Looks for what cannot be delivered. The text names the path or the variable, never a value.
    ///
    /// # Errors
    /// The first problem: a path that is not a target, a mode beyond `0o777`, two things at one place, a variable that the kernel
    /// or the shim would not take.
    pub fn check(&self) -> Result<(), String> {
        for file in &self.files {
            if !is_target(&file.path) {
                return Err(format!(
                    "{:?} is no path that a file can be delivered at",
                    file.path
                ));
            }
            if file.mode > 0o777 {
                return Err(format!("{:?} has a mode beyond 0777", file.path));
            }
        }
        // Sorted by component: whatever lies beneath a path comes right behind it.
        let mut paths: Vec<Vec<&str>> = self
            .files
            .iter()
            .map(|f| f.path.split('/').collect())
            .collect();
        paths.sort_unstable();
        if let Some([a, b]) = paths.array_windows().find(|[a, b]| b.starts_with(a)) {
            return Err(format!(
                "{:?} and {:?} cannot both be files",
                a.join("/"),
                b.join("/")
            ));
        }
        for (name, value) in &self.env {
            if !is_variable(name) {
                return Err(format!("{name:?} is no name for a variable"));
            }
            if value.contains(&0) {
                return Err(format!("the variable {name} holds a NUL"));
            }
            if name.len() + value.len() + 2 > ENV_LIMIT {
                return Err(format!("the variable {name} is larger than 128 KiB"));
            }
        }
        let mut names: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        match names.array_windows().find(|[a, b]| a == b) {
            Some([name, _]) => Err(format!("the variable {name} is given twice")),
            None => Ok(()),
        }
    }

    /// Bytes of all values.
    pub fn size(&self) -> usize {
        let files = self.files.iter().map(|it| it.bytes.len());
        files.chain(self.env.iter().map(|it| it.1.len())).sum()
    }

    /// The variables as the shim reads them: `KEY=value`, each with a NUL behind it, sorted by name.
    pub(crate) fn env_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut sorted: Vec<&Variable> = self.env.iter().collect();
        sorted.sort_unstable_by_key(|(name, _)| name);
        let length = sorted
            .iter()
            .map(|(name, value)| name.len() + value.len() + 2)
            .sum();
        let mut out = Zeroizing::new(Vec::with_capacity(length));
        for (name, value) in sorted {
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            out.extend_from_slice(value);
            out.push(0);
        }
        out
    }

    /// Reads what [`Generation::env_bytes`] wrote.
    pub(crate) fn parse_env(bytes: &[u8]) -> Option<Vec<Variable>> {
        let mut env = Vec::new();
        for entry in bytes.split_inclusive(|b| *b == 0) {
            let entry = entry.strip_suffix(b"\0")?;
            let at = entry.iter().position(|b| *b == b'=')?;
            let (name, value) = entry.split_at_checked(at)?;
            let value = Zeroizing::new(value.get(1..)?.to_vec());
            env.push((String::from_utf8(name.to_vec()).ok()?, value));
        }
        Some(env)
    }
}

/// Keyed hash over the sorted files (target, bytes, mode, owner, update mode) and variables (name, bytes).
pub fn fingerprint(key: &[u8; 32], generation: &Generation) -> Fingerprint {
    digest(key, generation, true)
}

/// The same without mode, owner and update mode: two generations that differ only there are alike to a running process.
pub fn content_fingerprint(key: &[u8; 32], generation: &Generation) -> Fingerprint {
    digest(key, generation, false)
}

fn digest(key: &[u8; 32], generation: &Generation, with_metadata: bool) -> Fingerprint {
    let mut mac = keyed(key);
    let mut files: Vec<&GenFile> = generation.files.iter().collect();
    files.sort_unstable_by_key(|f| &f.path);
    let mut env: Vec<&Variable> = generation.env.iter().collect();
    env.sort_unstable_by_key(|(name, _)| name);

    let kind: &[u8] = if with_metadata {
        b"locket generation 1"
    } else {
        b"locket content 1"
    };
    put(&mut mac, kind);
    mac.update(&(files.len() as u64).to_le_bytes());
    for file in files {
        put(&mut mac, file.path.as_bytes());
        put(&mut mac, &file.bytes);
        if with_metadata {
            // A mode has nine bits; the default update mode is none.
            let mode = file.mode | u32::from(file.update.code()) << 16;
            for number in [mode, file.uid, file.gid] {
                mac.update(&number.to_le_bytes());
            }
        }
    }
    mac.update(&(env.len() as u64).to_le_bytes());
    for (name, value) in env {
        put(&mut mac, name.as_bytes());
        put(&mut mac, value);
    }
    mac.finalize().into_bytes().into()
}

/// A length in front keeps apart what only breaks differently.
fn put(mac: &mut Hmac<Sha256>, bytes: &[u8]) {
    mac.update(&(bytes.len() as u64).to_le_bytes());
    mac.update(bytes);
}

pub(crate) fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    <Hmac<Sha256> as hmac::Mac>::new_from_slice(key).expect("HMAC takes a key of any length")
}

impl Update {
    fn code(self) -> u8 {
        match self {
            Self::Swap => 0,
            Self::Rename => 1,
            Self::Inplace => 2,
        }
    }

    pub(crate) fn write(self, out: &mut impl Sink) {
        out.u8(self.code());
    }

    pub(crate) fn read(source: &mut Source<'_>) -> Result<Self, Malformed> {
        match source.u8()? {
            0 => Ok(Self::Swap),
            1 => Ok(Self::Rename),
            2 => Ok(Self::Inplace),
            _ => Err(Malformed("an update mode is unknown")),
        }
    }
}

impl Encode for Generation {
    fn write(&self, out: &mut impl Sink) {
        out.length(self.files.len());
        for file in &self.files {
            out.str(&file.path);
            out.bytes(&file.bytes);
            for number in [file.mode, file.uid, file.gid] {
                out.u32(number);
            }
            file.update.write(out);
        }
        out.length(self.env.len());
        for (name, value) in &self.env {
            out.str(name);
            out.bytes(value);
        }
    }
}

impl Generation {
    pub(crate) fn read(source: &mut Source<'_>) -> Result<Self, Malformed> {
        let files = source.list(|s| {
            Ok(GenFile {
                path: s.str()?,
                bytes: Zeroizing::new(s.bytes()?.to_vec()),
                mode: s.u32()?,
                uid: s.u32()?,
                gid: s.u32()?,
                update: Update::read(s)?,
            })
        })?;
        let env = source.list(|s| Ok((s.str()?, Zeroizing::new(s.bytes()?.to_vec()))))?;
        Ok(Self { files, env })
    }
}

#[cfg(test)]
pub(crate) mod tests;
