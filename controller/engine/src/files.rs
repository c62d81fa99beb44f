//! Reading one small file out of a container, such as `/etc/passwd`.

use std::io::{Cursor, Read};
use std::path::{Component, Path, PathBuf};

use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures_util::TryStreamExt;

use crate::client::{DEADLINE, Engine, found, of_bollard};
use crate::error::{Error, Kind, Result};
use crate::http::object;

/// Links that are followed before giving up.
const MAX_LINKS: usize = 8;

/// What an archive adds to one file: headers (long names need more than one), padding, the end.
const ARCHIVE_OVERHEAD: usize = 16 << 10;

/// What an archive of one path turned out to hold.
enum Entry {
    File(Vec<u8>),
    Link(PathBuf),
}

impl Engine {
    /// Reads a file of a container, running or not; `None` if it is not there. Links are followed.
    ///
    /// This goes through the archive API, which sees what lies *under* a tmpfs mount. It serves
    /// names and numbers of users and groups; a secret value is never read this way, and on
    /// purpose nothing can be written this way.
    ///
    /// # Errors
    /// [`Kind::TooLarge`] over `max` bytes, [`Kind::Protocol`] if it is not a file.
    pub async fn read_file(
        &self,
        container: &str,
        path: &str,
        max: usize,
    ) -> Result<Option<Vec<u8>>> {
        let what = format!("read {path} of container {container}");
        let container = object(container, &what)?;
        let mut at = PathBuf::from(path);
        for _ in 0..MAX_LINKS {
            let archive = found(self.archive(container, &at, max, &what).await)?;
            match archive
                .map(|bytes| only_entry(bytes, max, &what))
                .transpose()?
            {
                None => return Ok(None),
                Some(Entry::File(bytes)) => return Ok(Some(bytes)),
                Some(Entry::Link(to)) => at = follow(&at, &to),
            }
        }
        Err(Error::new(Kind::Protocol, what, "too many links"))
    }

    async fn archive(
        &self,
        container: &str,
        path: &Path,
        max: usize,
        what: &str,
    ) -> Result<Vec<u8>> {
        let path = path.to_string_lossy();
        let options = DownloadFromContainerOptionsBuilder::new()
            .path(&path)
            .build();
        self.within(DEADLINE, what, async {
            let stream = self
                .docker
                .download_from_container(container, Some(options));
            let mut stream = std::pin::pin!(stream);
            let mut archive = Vec::new();
            // Dropping the stream early closes its connection, so a huge directory costs nothing.
            while let Some(chunk) = stream.try_next().await.map_err(|e| of_bollard(e, what))? {
                archive.extend_from_slice(&chunk);
                if archive.len() > max.saturating_add(ARCHIVE_OVERHEAD) {
                    return Err(Error::new(
                        Kind::TooLarge,
                        what,
                        format!("over {max} bytes"),
                    ));
                }
            }
            Ok(archive)
        })
        .await
    }
}

fn only_entry(archive: Vec<u8>, max: usize, what: &str) -> Result<Entry> {
    let broken = |e: std::io::Error| Error::new(Kind::Protocol, what, e.to_string());
    let mut archive = tar::Archive::new(Cursor::new(archive));
    let mut entry = match archive.entries().map_err(broken)?.next() {
        Some(entry) => entry.map_err(broken)?,
        None => return Err(Error::new(Kind::Protocol, what, "the archive is empty")),
    };
    match entry.header().entry_type() {
        tar::EntryType::Regular => {
            if usize::try_from(entry.size()).map_or(true, |size| size > max) {
                return Err(Error::new(
                    Kind::TooLarge,
                    what,
                    format!("over {max} bytes"),
                ));
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(broken)?;
            Ok(Entry::File(bytes))
        }
        tar::EntryType::Symlink => match entry.link_name().map_err(broken)? {
            Some(to) => Ok(Entry::Link(to.into_owned())),
            None => Err(Error::new(Kind::Protocol, what, "a link to nowhere")),
        },
        _ => Err(Error::new(Kind::Protocol, what, "not a file")),
    }
}

/// Where a link leads, by its text. `..` above the root stays at the root.
fn follow(link: &Path, to: &Path) -> PathBuf {
    let mut path = match link.parent() {
        Some(parent) if to.is_relative() => parent.to_path_buf(),
        _ => PathBuf::from("/"),
    };
    for part in to.components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => drop(path.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_where_they_say() {
        let follow = |link: &str, to: &str| {
            follow(Path::new(link), Path::new(to))
                .to_string_lossy()
                .into_owned()
        };
        assert_eq!(follow("/etc/passwd", "static/passwd"), "/etc/static/passwd");
        assert_eq!(follow("/etc/passwd", "../usr/./passwd"), "/usr/passwd");
        assert_eq!(follow("/etc/passwd", "/usr/passwd"), "/usr/passwd");
        assert_eq!(follow("/etc/passwd", "../../../x"), "/x");
    }
}
