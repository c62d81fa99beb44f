//! The program in the container `locket-store-…`: [`serve`] for each session, [`idle`] as its PID 1.
//!
//! The volume's layout: `store.age`, `key.txt`, `store.lock`; `locket.yaml`, `grants.yaml`; `credentials/`;
//! `sessions.lock`, shared by all sessions; `keep/`, empty, mounted by anchors so that a prune never finds the volume unused.
#![expect(
    clippy::disallowed_methods,
    reason = "the store is one of the three places that write files; its container is a process of its own, with no runtime and no clock but this"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FlockOperation, inotify};
use zeroize::Zeroizing;

use super::document::MAX_VALUE;
use super::file::{StoreFile, read_if_there, replace};
use super::wire::{self, ConfigFile, Fault, Frame, Lock, PROTOCOL, Reply, Request};
use super::{Error, Name};

/// How long PID 1 stays after the last session.
const LINGER: Duration = Duration::from_secs(10);
/// How often sessions are looked for, and files where no event came.
const LOOK: Duration = Duration::from_secs(1);

type Blobs = Vec<Zeroizing<Vec<u8>>>;

/// Serves one session until its input ends. `root` is the mounted volume, `key` that of the key, if it has one of its own.
///
/// # Errors
/// When input or output break, or the volume cannot be used; what goes wrong with one request goes to the client.
pub fn serve(
    root: &Path,
    key: Option<&Path>,
    input: impl Read,
    output: impl Write + Send,
) -> io::Result<()> {
    let store = StoreFile::under(root);
    let store = match key {
        Some(key) => store.with_key(key.join("key.txt")),
        None => store,
    };
    serve_with(root, store, input, output)
}

fn serve_with(
    root: &Path,
    store: StoreFile,
    mut input: impl Read,
    output: impl Write + Send,
) -> io::Result<()> {
    prepare(root)?;
    let presence = sessions(root)?;
    rustix::fs::flock(&presence, FlockOperation::LockShared)?;
    let output = Mutex::new(output);
    let send = |frame: &Frame<Reply>| {
        let bytes = frame.encode()?;
        let mut out = output.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(&bytes)?;
        out.flush()
    };
    // The watch begins before the first answer: no change after it is missed.
    let mut watch = Watch::new(root)?;
    send(&Frame {
        id: 0,
        body: Reply::Hello { protocol: PROTOCOL },
        blobs: vec![],
    })?;
    let (stop, stopped) = rustix::pipe::pipe()?;
    let session = Session { root, store };
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A watch that fails is a session without hints: the client still polls.
            while let Ok(Some(configuration)) = watch.next(&stop) {
                let body = Reply::Changed { configuration };
                let (id, blobs) = (0, vec![]);
                if send(&Frame { id, body, blobs }).is_err() {
                    break;
                }
            }
        });
        // Dropped at the end, which wakes the watch.
        let _stopped = stopped;
        while let Some(frame) = wire::read::<Request>(&mut input)? {
            let (body, blobs) = session
                .answer(frame.body, frame.blobs, now())
                .unwrap_or_else(|e| (Reply::Failed { fault: e.into() }, vec![]));
            send(&Frame {
                id: frame.id,
                body,
                blobs,
            })?;
        }
        Ok(())
    })
}

/// PID 1 of the container: returns 10 s after the last session has gone, with the lock that keeps another one from beginning: one
/// that was told hello must not be killed a moment later. Hold it until the process ends.
///
/// # Errors
/// When the volume cannot be used.
pub fn idle(root: &Path) -> io::Result<File> {
    idle_for(root, LINGER, LOOK, |_| {})
}

/// `looked` is told after each look for how long there has been no session.
fn idle_for(
    root: &Path,
    linger: Duration,
    look: Duration,
    looked: impl Fn(Duration),
) -> io::Result<File> {
    prepare(root)?;
    let presence = sessions(root)?;
    let mut alone = Duration::ZERO;
    loop {
        std::thread::sleep(look);
        alone = match rustix::fs::flock(&presence, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => alone + look,
            Err(rustix::io::Errno::WOULDBLOCK) => Duration::ZERO,
            Err(e) => return Err(e.into()),
        };
        looked(alone);
        if alone >= linger {
            return Ok(presence);
        }
        rustix::fs::flock(&presence, FlockOperation::Unlock)?;
    }
}

/// A version's time is read here and nowhere else.
fn now() -> SystemTime {
    SystemTime::now()
}

fn prepare(root: &Path) -> io::Result<()> {
    fs::create_dir_all(root.join("keep"))?;
    fs::create_dir_all(root.join("credentials"))
}

fn sessions(root: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(root.join("sessions.lock"))
}

struct Session<'a> {
    root: &'a Path,
    store: StoreFile,
}

impl Session<'_> {
    fn answer(
        &self,
        request: Request,
        blobs: Blobs,
        now: SystemTime,
    ) -> Result<(Reply, Blobs), Error> {
        let mut blobs = blobs.into_iter();
        let mut blob = || blobs.next().unwrap_or_default();
        let plain = |reply| Ok((reply, vec![]));
        match request {
            Request::Get { wanted } => {
                let document = self.store.read()?;
                let mut values = vec![];
                let each = wanted.into_iter().map(|(name, version)| {
                    let (value, info) = document.get(&Name::parse(&name)?, version)?;
                    values.push(value);
                    Ok(info)
                });
                let versions = each.map(|r| r.map_err(|e: Error| Fault::from(e))).collect();
                Ok((Reply::Versions { versions }, values))
            }
            Request::Versions { wanted } => {
                let document = self.store.read()?;
                let each = wanted
                    .into_iter()
                    .map(|(name, version)| document.info(&Name::parse(&name)?, version));
                plain(Reply::Versions {
                    versions: each.map(|r| r.map_err(Fault::from)).collect(),
                })
            }
            Request::Set { name } => {
                let (name, value) = (Name::parse(&name)?, blob());
                plain(Reply::Info {
                    info: self.store.change(now, |d, now| d.set(&name, &value, now))?,
                })
            }
            Request::Remove { name } => {
                let name = Name::parse(&name)?;
                self.store.change(now, |d, _| d.remove(&name))?;
                plain(Reply::Done)
            }
            Request::List { prefix } => plain(Reply::List {
                list: self.store.read()?.list(&prefix),
            }),
            Request::History { name } => plain(Reply::History {
                history: self.store.read()?.history(&Name::parse(&name)?)?,
            }),
            Request::Rollback { name, to } => {
                let name = Name::parse(&name)?;
                plain(Reply::Info {
                    info: self
                        .store
                        .change(now, |d, now| d.rollback(&name, to, now))?,
                })
            }
            Request::Export { passphrase } => {
                let sealed = self.store.export(&lock(passphrase, blobs)?)?;
                Ok((Reply::Bytes { found: true }, vec![Zeroizing::new(sealed)]))
            }
            Request::Import { passphrase } => {
                let sealed = blob();
                plain(Reply::Names {
                    names: self.store.import(&sealed, &lock(passphrase, blobs)?, now)?,
                })
            }
            Request::ReadConfig { file } => self.bytes(&self.config(file)),
            Request::WriteConfig { file, over } => {
                let path = self.config(file);
                let _lock = self.store.lock()?;
                if let Some(over) = over {
                    let there = read_if_there(&path)?.unwrap_or_default();
                    if wire::digest(&there) != over {
                        return plain(Reply::Outdated);
                    }
                }
                replace(&path, &blob())?;
                plain(Reply::Done)
            }
            Request::ReadFile { name } => self.bytes(&self.credential(&name)?),
            Request::WriteFile { name } => {
                let (path, bytes) = (self.credential(&name)?, blob());
                if bytes.len() > MAX_VALUE {
                    return Err(Error::TooLarge { size: bytes.len() });
                }
                let _lock = self.store.lock()?;
                replace(&path, &bytes)?;
                plain(Reply::Done)
            }
        }
    }

    fn bytes(&self, path: &Path) -> Result<(Reply, Blobs), Error> {
        let bytes = read_if_there(path)?;
        Ok((
            Reply::Bytes {
                found: bytes.is_some(),
            },
            bytes.into_iter().collect(),
        ))
    }

    fn config(&self, file: ConfigFile) -> PathBuf {
        self.root.join(file.file_name())
    }

    /// The rule for a name's last segment is the rule for a file here: no separator, no `..`.
    fn credential(&self, name: &str) -> Result<PathBuf, Error> {
        Name::parse(&format!("/{name}")).map_err(|_| Error::Name {
            name: name.to_owned(),
        })?;
        Ok(self.root.join("credentials").join(name))
    }
}

fn lock(passphrase: bool, blobs: impl Iterator<Item = Zeroizing<Vec<u8>>>) -> Result<Lock, Error> {
    let text =
        |b: Zeroizing<Vec<u8>>| String::from_utf8(b.to_vec()).map_err(|_| Error::NoRecipient);
    let mut lines = blobs.map(text).collect::<Result<Vec<_>, _>>()?;
    match (passphrase, lines.pop()) {
        (true, Some(it)) => Ok(Lock::Passphrase(Zeroizing::new(it))),
        (false, Some(it)) => {
            lines.push(it);
            Ok(Lock::Keys(lines))
        }
        (_, None) => Err(Error::NoRecipient),
    }
}

/// Says when one of the volume's own files is another one than before.
struct Watch {
    files: Vec<PathBuf>,
    seen: Vec<Option<(u64, i64, i64, u64)>>,
    events: OwnedFd,
}

impl Watch {
    fn new(root: &Path) -> io::Result<Self> {
        let events = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        inotify::add_watch(
            &events,
            root,
            inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::DELETE,
        )?;
        let files = vec![
            root.join("store.age"),
            root.join("locket.yaml"),
            root.join("grants.yaml"),
        ];
        let mut it = Self {
            files,
            seen: vec![],
            events,
        };
        it.seen = it.look();
        Ok(it)
    }

    /// Inode, change time and size. Inotify only says when to look: an event may get lost, and not all are about us.
    fn look(&self) -> Vec<Option<(u64, i64, i64, u64)>> {
        self.files
            .iter()
            .map(|f| {
                fs::metadata(f)
                    .ok()
                    .map(|m| (m.ino(), m.ctime(), m.ctime_nsec(), m.size()))
            })
            .collect()
    }

    /// Waits for a change, and says whether it is one of the configuration; `None` when `stop` is closed at the other end.
    fn next(&mut self, stop: &impl AsFd) -> io::Result<Option<bool>> {
        let limit = Timespec {
            tv_sec: LOOK.as_secs() as i64,
            tv_nsec: 0,
        };
        loop {
            let mut fds = [
                PollFd::new(stop, PollFlags::IN),
                PollFd::new(&self.events, PollFlags::IN),
            ];
            match rustix::event::poll(&mut fds, Some(&limit)) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            if !fds[0].revents().is_empty() {
                return Ok(None);
            }
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut reader = inotify::Reader::new(&self.events, &mut buffer);
            while reader.next().is_ok() {}
            let look = self.look();
            if look != self.seen {
                // The store is the first of them.
                let configuration = look.get(1..) != self.seen.get(1..);
                self.seen = look;
                return Ok(Some(configuration));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pid_1_stays_as_long_as_a_session_and_a_moment_longer() {
        let dir = tempfile::tempdir().unwrap();
        let (input, client) = rustix::pipe::pipe().unwrap();
        let root = dir.path().to_owned();
        let (hello, started) = rustix::pipe::pipe().unwrap();
        let session =
            std::thread::spawn(move || serve(&root, None, File::from(input), File::from(started)));
        let greeting: Frame<Reply> = wire::read(&mut File::from(hello)).unwrap().unwrap();
        assert!(matches!(greeting.body, Reply::Hello { protocol: PROTOCOL }));
        let root = dir.path().to_owned();
        let (look, looks) = std::sync::mpsc::channel();
        let idle = std::thread::spawn(move || {
            let look = |alone: Duration| look.send(alone).unwrap();
            idle_for(
                &root,
                Duration::from_millis(40),
                Duration::from_millis(10),
                look,
            )
        });
        // Far more looks than it would stay for alone.
        for _ in 0..20 {
            let alone = looks.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!(alone, Duration::ZERO, "the session is still there");
        }
        drop(client);
        session.join().unwrap().unwrap();
        idle.join().unwrap().unwrap();
        let last: Vec<Duration> = looks.iter().collect();
        assert_eq!(last.last(), Some(&Duration::from_millis(40)));
    }
}
