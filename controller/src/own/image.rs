//! Our own image: the running program in a tar with fixed metadata, imported through the Engine API.
//!
//! The tar's digest is the image's only layer digest, and so the identity of everything we run (`docs/adr`).
//! Importing the same program twice gives two image ids and one layer digest.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use locket_engine::Engine;
use sha2::{Digest, Sha256};

use super::Error;

/// Path of the program in our image.
pub const PROGRAM: &str = "/locket";

/// A Linux program that can run in an image of its own. Its bytes are not kept in memory: a controller runs for ever, and
/// needs them once an engine and once a project.
#[derive(Clone)]
pub struct Binary {
    program: Program,
    arch: &'static str,
    /// Found out when they are asked for: most commands need none of them, and each costs a look at every byte.
    sha256: Arc<OnceLock<[u8; 32]>>,
    layer: Arc<OnceLock<String>>,
}

/// So much of a program has its headers in it.
const HEAD: usize = 64 << 10;

/// Where the bytes are.
#[derive(Clone)]
enum Program {
    /// An open file: what replaces it under its name later is another program.
    File(Arc<File>),
    Memory(Bytes),
}

impl Program {
    fn head(&self) -> std::io::Result<Bytes> {
        match self {
            Self::Memory(bytes) => Ok(bytes.slice(..bytes.len().min(HEAD))),
            Self::File(file) => {
                let mut head = Vec::with_capacity(HEAD);
                let from: &File = file;
                from.take(HEAD as u64).read_to_end(&mut head)?;
                Ok(head.into())
            }
        }
    }

    fn read(&self) -> std::io::Result<Bytes> {
        match self {
            Self::Memory(bytes) => Ok(bytes.clone()),
            Self::File(file) => {
                let size =
                    usize::try_from(file.metadata()?.len()).map_err(std::io::Error::other)?;
                let mut bytes = vec![0; size];
                file.read_exact_at(&mut bytes, 0)?;
                Ok(bytes.into())
            }
        }
    }
}

impl Program {
    fn size(&self) -> std::io::Result<u64> {
        match self {
            Self::Memory(bytes) => Ok(bytes.len() as u64),
            Self::File(file) => Ok(file.metadata()?.len()),
        }
    }

    /// From its beginning, whoever else reads it.
    fn stream(&self) -> Box<dyn Read + '_> {
        match self {
            Self::Memory(bytes) => Box::new(&bytes[..]),
            Self::File(file) => Box::new(FromStart { file, at: 0 }),
        }
    }
}

/// Reads a file with an offset of its own.
struct FromStart<'a> {
    file: &'a File,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read_at(buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Binary {
    /// Takes a static ELF program, as an open file.
    ///
    /// # Errors
    /// When it is not an ELF program for a known architecture, or when it needs a dynamic loader.
    pub fn open(program: File) -> Result<Self, Error> {
        Self::of(Program::File(Arc::new(program)))
    }

    /// Takes a static ELF program, as bytes.
    ///
    /// # Errors
    /// As [`Binary::open`].
    pub fn new(program: Vec<u8>) -> Result<Self, Error> {
        Self::of(Program::Memory(program.into()))
    }

    fn of(program: Program) -> Result<Self, Error> {
        let arch = elf_arch(&program.head().map_err(unreadable)?)?;
        Ok(Self {
            program,
            arch,
            sha256: Arc::default(),
            layer: Arc::default(),
        })
    }

    /// The architecture that it is for, in Docker's words: `amd64`, `arm64`.
    pub fn arch(&self) -> &'static str {
        self.arch
    }

    /// The program itself; the shim is this same program.
    ///
    /// # Errors
    /// When its file cannot be read any more.
    pub fn read(&self) -> std::io::Result<Bytes> {
        self.program.read()
    }

    /// SHA-256 of the program. Of a file that cannot be read any more: nothing's, and whoever goes on to read it is told.
    pub fn sha256(&self) -> [u8; 32] {
        let digest = || {
            let mut digest = Sha256::new();
            let copied = std::io::copy(&mut self.program.stream(), &mut digest);
            copied.map_or([0; 32], |_| digest.finalize().into())
        };
        *self.sha256.get_or_init(digest)
    }

    /// The layer digest that an import of this program gives, `sha256:…`. As with [`Binary::sha256`], nothing's if it cannot
    /// be read: then nothing on the engine is taken for ours.
    pub fn layer(&self) -> &str {
        let digest = || {
            let archive = archive(&self.program, Sha256::new());
            let digest = archive.map_or_else(|_| String::new(), |it| hex(&it.finalize()));
            format!("sha256:{digest}")
        };
        self.layer.get_or_init(digest)
    }

    /// Whether the engine can run this program. To be asked before anything is made there.
    ///
    /// # Errors
    /// When the engine is of another architecture.
    pub fn suits(&self, engine: &Engine) -> Result<(), Error> {
        let ours = format!("linux/{}", self.arch);
        if engine.platform() == ours {
            return Ok(());
        }
        Err(Error::Architecture {
            engine: engine.platform().to_owned(),
            ours,
        })
    }

    /// Makes sure that the engine has this program as an image; answers the image's id.
    ///
    /// # Errors
    /// When the engine runs another architecture, or refuses the import.
    pub async fn ensure_image(&self, engine: &Engine, tag: &str) -> Result<String, Error> {
        self.suits(engine)?;
        if let Some(image) = engine.image(tag).await?
            && image.layers.len() == 1
            && image.layers[0] == self.layer()
        {
            return Ok(image.id);
        }
        let entrypoint = format!("ENTRYPOINT [\"{PROGRAM}\"]");
        let size = self.program.size().map_err(unreadable)?;
        // With headers and padding.
        let room = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 4096);
        engine
            .import_image(
                archive(&self.program, room)?.into(),
                tag,
                &[&entrypoint, "LABEL org.opencontainers.image.title=locket"],
            )
            .await?;
        let image = engine.image(tag).await?.ok_or_else(|| {
            Error::Binary(format!(
                "the engine does not show the image {tag} that it has just imported"
            ))
        })?;
        Ok(image.id)
    }
}

fn unreadable(e: std::io::Error) -> Error {
    Error::Binary(format!("it cannot be read: {e}"))
}

/// Writes the archive of the image's only layer. Everything in it is fixed but the program.
fn archive<W: Write>(program: &Program, to: W) -> Result<W, Error> {
    let mut tar = tar::Builder::new(to);
    let mut header = tar::Header::new_ustar();
    header.set_size(program.size().map_err(unreadable)?);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let name = PROGRAM.trim_start_matches('/');
    let written = tar
        .append_data(&mut header, Path::new(name), program.stream())
        .and_then(|()| tar.into_inner());
    written.map_err(|e| Error::Binary(format!("its archive cannot be made: {e}")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Docker's name of the architecture of a static ELF program.
///
/// Layout: System V ABI, <https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html>.
fn elf_arch(program: &[u8]) -> Result<&'static str, Error> {
    let u16_at = |at: usize| {
        program
            .get(at..at + 2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
    };
    let u64_at = |at: usize| {
        program
            .get(at..at + 8)
            .and_then(|b| b.try_into().ok())
            .map(u64::from_le_bytes)
    };
    let not_ours = || Error::Binary("it is not a 64-bit Linux program".into());
    if program.get(..6) != Some(b"\x7fELF\x02\x01".as_slice()) {
        return Err(not_ours());
    }
    let arch = match u16_at(18).ok_or_else(not_ours)? {
        62 => "amd64",
        183 => "arm64",
        _ => return Err(not_ours()),
    };
    let (offset, size, count) = (
        u64_at(32).ok_or_else(not_ours)?,
        u16_at(54).ok_or_else(not_ours)?,
        u16_at(56).ok_or_else(not_ours)?,
    );
    // PT_INTERP names a dynamic loader, which an empty image does not have.
    let dynamic = (0..u64::from(count)).any(|i| {
        let at = usize::try_from(offset + i * u64::from(size)).unwrap_or(usize::MAX);
        program
            .get(at..at.saturating_add(4))
            .is_some_and(|kind| kind == 3_u32.to_le_bytes())
    });
    if dynamic {
        return Err(Error::Binary(
            "it needs a dynamic loader; use the static release build (make install)".into(),
        ));
    }
    Ok(arch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(machine: u16, segment: u32) -> Vec<u8> {
        let mut it = vec![0_u8; 64 + 56];
        it[..6].copy_from_slice(b"\x7fELF\x02\x01");
        it[18..20].copy_from_slice(&machine.to_le_bytes());
        it[32..40].copy_from_slice(&64_u64.to_le_bytes());
        it[54..56].copy_from_slice(&56_u16.to_le_bytes());
        it[56..58].copy_from_slice(&1_u16.to_le_bytes());
        it[64..68].copy_from_slice(&segment.to_le_bytes());
        it
    }

    #[test]
    fn the_same_program_has_the_same_layer() {
        let (a, b) = (
            Binary::new(elf(62, 1)).unwrap(),
            Binary::new(elf(62, 1)).unwrap(),
        );
        assert_eq!(a.layer(), b.layer());
        assert_ne!(a.layer(), Binary::new(elf(183, 1)).unwrap().layer());
    }

    #[test]
    fn a_program_that_cannot_run_alone_is_refused() {
        let error = |program| {
            Binary::new(program)
                .err()
                .map(|e| e.to_string())
                .unwrap_or_default()
        };
        assert!(error(elf(62, 3)).contains("dynamic loader"));
        assert!(error(b"#!/bin/sh".to_vec()).contains("not a 64-bit"));
        assert!(
            error(elf(62, 1)[..60].to_vec()).is_empty(),
            "no segments can be read: nothing dynamic"
        );
        assert!(error(elf(3, 1)).contains("not a 64-bit"));
    }
}
