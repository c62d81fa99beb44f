//! Files under configured directories: `file:db/password`, or absolute `file:/etc/app/password`.
//!
//! A reference never leaves its directory, through `..` or through links: every path is opened beneath a handle of the
//! directory (`openat2`, <https://man7.org/linux/man-pages/man2/openat2.2.html>). Of a file that ends in `.json`,
//! `#field` is one of its top-level keys.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::BoxStream;
use locket_crds::reference::SecretRef;
use locket_provider::{
    Capabilities, Error, ErrorKind, Fetched, Hint, SecretStore, SecretValue, SecretVersion,
};
use notify::Watcher;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::fields::Fields;

/// Largest file in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Directory trees.
#[derive(Clone)]
pub struct FileStore {
    roots: Arc<[PathBuf]>,
}

/// One file, read once for all references to it.
type Content = Result<(Zeroizing<Vec<u8>>, SecretVersion), Error>;

impl FileStore {
    /// The directories; relative references are looked up in the first.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when there is none, or one is not absolute.
    pub fn new(roots: Vec<PathBuf>) -> Result<Self, Error> {
        let invalid = |message| {
            Err(Error::new(ErrorKind::Invalid, message)
                .help("name directories in `root:` or in the host configuration"))
        };
        match roots.iter().find(|r| !r.is_absolute()) {
            None if roots.is_empty() => {
                invalid("no directory is configured for file references".to_owned())
            }
            None => Ok(Self {
                roots: roots.into(),
            }),
            Some(root) => invalid(format!("the root {} is not absolute", root.display())),
        }
    }

    fn open(&self, path: &str) -> Result<File, Error> {
        let error = |kind, what: &str| Error::new(kind, format!("file {path} {what}"));
        let outside = || error(ErrorKind::Denied, "is outside the configured directories");
        let wanted = Path::new(path);
        let inside = |root: &PathBuf| {
            wanted
                .strip_prefix(root)
                .ok()
                .map(|rest| (root.clone(), rest.to_owned()))
        };
        let (root, rest) = match wanted.is_absolute() {
            true => self.roots.iter().find_map(inside).ok_or_else(outside)?,
            false => (self.roots[0].clone(), wanted.to_owned()),
        };
        let unavailable = |e: Errno| error(ErrorKind::Unavailable, &format!("cannot be read: {e}"));
        let directory = rustix::fs::openat(
            CWD,
            &root,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|e| {
            Error::new(
                ErrorKind::Unavailable,
                format!("the directory {} cannot be opened: {e}", root.display()),
            )
            .help("a controller in a container sees only what `docker locket controller install` has mounted: run it once more")
        })?;
        // Non-blocking: a pipe in the tree must not hold us.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(directory, &rest, flags, Mode::empty(), resolve) {
            Ok(file) => Ok(file.into()),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(error(ErrorKind::NotFound, "does not exist")),
            Err(Errno::XDEV | Errno::LOOP) => Err(outside()),
            Err(Errno::ACCESS | Errno::PERM) => Err(error(ErrorKind::Denied, "may not be read")),
            Err(e) => Err(unavailable(e)),
        }
    }

    /// Inode, both times and size: a write that leaves all of them alone does not exist.
    fn version(file: &File, path: &str) -> Result<(SecretVersion, u64), Error> {
        use std::os::unix::fs::MetadataExt;
        let m = file.metadata().map_err(|e| {
            Error::new(
                ErrorKind::Unavailable,
                format!("file {path} cannot be read: {e}"),
            )
        })?;
        if !m.is_file() {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("{path} is not a file"),
            ));
        }
        let (mtime, ctime) = ((m.mtime(), m.mtime_nsec()), (m.ctime(), m.ctime_nsec()));
        Ok((
            SecretVersion(format!(
                "{:x}-{:x}.{:x}-{:x}.{:x}-{:x}",
                m.ino(),
                mtime.0,
                mtime.1,
                ctime.0,
                ctime.1,
                m.len()
            )),
            m.len(),
        ))
    }

    fn read(&self, path: &str) -> Content {
        let file = self.open(path)?;
        let (version, size) = Self::version(&file, path)?;
        let large = || {
            Error::new(
                ErrorKind::Invalid,
                format!("file {path} has more than {MAX_FILE} bytes"),
            )
        };
        if size > MAX_FILE {
            return Err(large());
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(size as usize + 1));
        let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
        read.map_err(|e| {
            Error::new(
                ErrorKind::Unavailable,
                format!("file {path} cannot be read: {e}"),
            )
        })?;
        if bytes.len() as u64 > MAX_FILE {
            Err(large())
        } else {
            Ok((bytes, version))
        }
    }

    fn fetch_all(&self, refs: &[SecretRef]) -> Vec<Result<Fetched, Error>> {
        let mut read: BTreeMap<&str, Content> = BTreeMap::new();
        let mut fetch = |r| {
            sensible(r)?;
            let content = read.entry(r.path()).or_insert_with(|| self.read(r.path()));
            let (bytes, version) = content.as_ref().map_err(Error::clone)?;
            let value = match r.field() {
                None => SecretValue::new(bytes.to_vec()),
                Some(field) => Fields::from_json(bytes, r.path())?.get(field, r.path())?,
            };
            Ok(Fetched {
                value,
                version: version.clone(),
            })
        };
        refs.iter().map(&mut fetch).collect()
    }

    fn all_versions(&self, refs: &[SecretRef]) -> Vec<Result<SecretVersion, Error>> {
        let version = |r| {
            sensible(r)?;
            Ok(Self::version(&self.open(r.path())?, r.path())?.0)
        };
        refs.iter().map(version).collect()
    }

    /// File systems may block for long: they get a thread of their own.
    async fn blocking<T: Send + 'static>(
        &self,
        refs: &[SecretRef],
        f: impl Fn(&Self, &[SecretRef]) -> Vec<Result<T, Error>> + Send + 'static,
    ) -> Vec<Result<T, Error>> {
        let (it, owned) = (self.clone(), refs.to_vec());
        let done = tokio::task::spawn_blocking(move || f(&it, &owned)).await;
        done.unwrap_or_else(|_| {
            refs.iter()
                .map(|_| {
                    Err(Error::new(
                        ErrorKind::Unavailable,
                        "reading files was broken off",
                    ))
                })
                .collect()
        })
    }
}

fn sensible(r: &SecretRef) -> Result<(), Error> {
    let invalid = |why: &str| Err(Error::new(ErrorKind::Invalid, format!("{r} {why}")));
    match r {
        r if r.version().is_some() => invalid("names a version, a file has none"),
        r if r.path().is_empty() => invalid("names no file"),
        r if r.field().is_some() && !r.path().ends_with(".json") => {
            invalid("names a field, which only a .json file has")
        }
        _ => Ok(()),
    }
}

impl SecretStore for FileStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            versions: true,
            watch: true,
        }
    }

    fn versions<'a>(
        &'a self,
        refs: &'a [SecretRef],
    ) -> BoxFuture<'a, Vec<Result<SecretVersion, Error>>> {
        self.blocking(refs, Self::all_versions).boxed()
    }

    fn fetch<'a>(&'a self, refs: &'a [SecretRef]) -> BoxFuture<'a, Vec<Result<Fetched, Error>>> {
        self.blocking(refs, Self::fetch_all).boxed()
    }

    /// Directories are watched, not files: most programs replace a file, and then the watched one is gone.
    fn watch(&self) -> Option<BoxStream<'static, Hint>> {
        let (changed, changes) = tokio::sync::mpsc::channel(1);
        let tell = move |event: notify::Result<notify::Event>| {
            if !matches!(event, Ok(e) if e.kind.is_access()) {
                // A hint that waits to be taken stands for this one, too.
                let _ = changed.try_send(());
            }
        };
        let mut watcher = notify::recommended_watcher(tell).ok()?;
        for root in self.roots.iter() {
            watcher.watch(root, notify::RecursiveMode::Recursive).ok()?;
        }
        let next = |(watcher, mut changes): (_, tokio::sync::mpsc::Receiver<()>)| async move {
            changes.recv().await.map(|()| (Hint, (watcher, changes)))
        };
        Some(Box::pin(futures_util::stream::unfold(
            (watcher, changes),
            next,
        )))
    }
}
