//! The anchor's end of a session: requests in, answers out, in order.
//!
//! [`run`] is the program `anchor-session`. [`serve`] does the same on any two handles, and [`Session`] answers one request at a
//! time for who brings the transport, as the fake engine does.
//!
//! A session ends itself when its client is silent: the stream of a client that died half-way stays open, and with it the lease.

mod stream;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock::{self, Stamp};
use crate::dir::{Dir, is_absent};
use crate::generation::fingerprint;
use crate::layout::is_service;
use crate::log::Entry;
use crate::project::{Acquired, Lease, Project, Work};
use crate::protocol::{self, Malformed, Refusal, RefusalKind, Request, Response};
use crate::volume::{Known, Volume};

/// Silence after which a session that holds the lease ends.
pub const HOLDER_SILENCE: Duration = Duration::from_secs(10);
/// Silence after which any other session ends.
pub const SILENCE: Duration = Duration::from_secs(60);
/// Bytes of a message after which freed memory is given back to the system.
const LARGE: usize = 64 << 10;

/// Where a session finds its volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// The project volume.
    pub project: PathBuf,
    /// The services' volumes.
    pub services: Services,
    /// Take volumes that are no tmpfs too: what is published may then reach a disk. For tests and the fake engine.
    pub any_filesystem: bool,
}

/// Where the services' volumes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Services {
    /// In a directory, each under the name of its service: the mounts of an anchor.
    Under(PathBuf),
    /// Each at a place of its own, by service: the volumes of the fake engine.
    Each(BTreeMap<String, PathBuf>),
}

impl Roots {
    /// The mounts of an anchor.
    pub fn container() -> Self {
        Self {
            project: "/p".into(),
            services: Services::Under("/v".into()),
            any_filesystem: false,
        }
    }
}

/// Why a session ended before its client did.
#[derive(Debug)]
pub enum Error {
    /// The volumes are not there.
    Roots(io::Error),
    /// The stream failed, or ended in the middle of a message.
    Stream(io::Error),
    /// The client does not speak our protocol.
    Malformed(Malformed),
    /// Nothing was heard of the client, or it took nothing, for this long.
    Silent(Duration),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Roots(_) => f.write_str("the volumes cannot be opened"),
            Self::Stream(_) => f.write_str("the stream failed"),
            Self::Malformed(_) => f.write_str("the client does not speak this protocol"),
            Self::Silent(limit) => write!(f, "the client was silent for {} s", limit.as_secs()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Roots(e) | Self::Stream(e) => Some(e),
            Self::Malformed(e) => Some(e),
            Self::Silent(_) => None,
        }
    }
}

/// Serves standard input and output on the mounts of an anchor. The whole of the program `anchor-session`.
///
/// What went wrong is told on standard error, which an exec stream has beside the answers.
pub fn run() -> ExitCode {
    // No dump of a process that has values in it; best effort, the capability to read them is the engine's anyway.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    match serve(&Roots::container(), io::stdin(), io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::error::Error as _;
            use std::io::Write as _;
            let source = error.source().map(|s| format!(": {s}")).unwrap_or_default();
            // Nobody may be listening any more.
            let _ = writeln!(io::stderr(), "{error}{source}");
            ExitCode::FAILURE
        }
    }
}

/// Answers requests until the input ends.
///
/// The handles may be pipes, sockets or terminals, blocking or not. Nothing is buffered beyond the message at hand.
///
/// # Errors
/// All of them end the session and give the lease back. After `Ok` too nothing is held any more.
pub fn serve(roots: &Roots, input: impl AsFd, output: impl AsFd) -> Result<(), Error> {
    let mut session = Session::open(roots, Box::new(clock::now)).map_err(Error::Roots)?;
    while let Some(payload) = stream::read_frame(input.as_fd(), session.silence())? {
        let large = payload.len() > LARGE;
        let answer = session.answer(payload).map_err(Error::Malformed)?;
        let answer = protocol::frame(&answer);
        stream::write(output.as_fd(), &answer, session.silence())?;
        let large = large || answer.len() > LARGE;
        drop(answer);
        if large {
            return_memory();
        }
    }
    Ok(())
}

/// Gives freed memory back: one large message in the life of a process must not be what it weighs from then on.
pub fn return_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no argument but a number, no precondition; glibc locks its own arenas.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// [`Services`], opened.
enum Found {
    Under(Dir),
    Each(BTreeMap<String, PathBuf>),
}

impl Found {
    fn names(&self) -> io::Result<Vec<String>> {
        match self {
            Self::Under(dir) => dir.names(),
            Self::Each(all) => Ok(all.keys().cloned().collect()),
        }
    }

    fn open(&self, service: &str) -> io::Result<Dir> {
        match self {
            Self::Under(dir) => dir.dir(service),
            Self::Each(all) => Dir::open(all.get(service).ok_or(io::ErrorKind::NotFound)?),
        }
    }
}

/// One session. Dropping it gives the lease back.
pub struct Session {
    project: Project,
    services: Found,
    any_filesystem: bool,
    clock: Box<dyn Fn() -> Stamp + Send>,
    lease: Option<Lease>,
    greeted: bool,
}

impl Session {
    /// Opens the volumes.
    ///
    /// # Errors
    /// When one of the two directories cannot be opened. That there is none for services is no error: there are none.
    pub fn open(roots: &Roots, clock: Box<dyn Fn() -> Stamp + Send>) -> io::Result<Self> {
        Ok(Self {
            project: Project::open(&roots.project)?,
            services: match &roots.services {
                // Where no service's volume is mounted, the engine has made no directory for them.
                Services::Under(path) => match Dir::open(path) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => Found::Each(BTreeMap::new()),
                    found => Found::Under(found?),
                },
                Services::Each(all) => Found::Each(all.clone()),
            },
            any_filesystem: roots.any_filesystem,
            clock,
            lease: None,
            greeted: false,
        })
    }

    /// For how long the client may be silent now. Who brings the transport ends the session then.
    pub fn silence(&self) -> Duration {
        match self.lease {
            Some(_) => HOLDER_SILENCE,
            None => SILENCE,
        }
    }

    /// Answers the payload of one frame with the payload of another.
    ///
    /// # Errors
    /// The client does not speak our protocol; end the session.
    pub fn answer(&mut self, payload: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        let request = Request::decode(&payload)?;
        // A generation is in memory once while it is written.
        drop(payload);
        match &request {
            Request::Hello { protocol } => self.greeted = *protocol == protocol::VERSION,
            _ if !self.greeted => return Err(Malformed("the protocol is not agreed on")),
            _ => {}
        }
        let response = match request {
            Request::Batch(requests) => self.respond_to_all(requests),
            request => self.respond(request).unwrap_or_else(Response::Refused),
        };
        Ok(response.encode())
    }

    fn respond_to_all(&mut self, requests: Vec<Request>) -> Response {
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            let answer = self.respond(request);
            let refused = answer.is_err();
            answers.push(answer.unwrap_or_else(Response::Refused));
            if refused {
                break;
            }
        }
        Response::Batch(answers)
    }

    fn respond(&mut self, request: Request) -> Result<Response, Refusal> {
        let clock = &*self.clock;
        let project = &self.project;
        match request {
            Request::Hello { .. } => Ok(Response::Hello {
                protocol: protocol::VERSION,
                now: clock(),
            }),
            Request::Ping => Ok(Response::Pong { now: clock() }),
            Request::Volumes => Ok(Response::Volumes {
                services: self.services()?,
            }),
            Request::Acquire { holder } => {
                let answer = project.acquire(&project.work()?, &mut self.lease, &holder)?;
                Ok(match answer {
                    Acquired::Granted { term } => Response::Granted { term },
                    Acquired::Held { holder, term } => Response::Held { holder, term },
                })
            }
            Request::Release => {
                self.lease = None;
                Ok(Response::Done)
            }
            Request::Log { service } => {
                let (entries, key_matches) =
                    self.on_volume(&service, None, |volume, known, _| volume.log(known))?;
                Ok(Response::Log {
                    entries,
                    key_matches,
                })
            }
            Request::Publish {
                service,
                term,
                expect,
                generation,
                fingerprint: claimed,
            } => self.publish(&service, term, |volume, known| {
                if fingerprint(known.key, &generation) != claimed {
                    return Err(Refusal::invalid("the fingerprint is not the generation's"));
                }
                volume.publish(known, expect, &generation)
            }),
            Request::Restore {
                service,
                term,
                seq,
                expect,
            } => self.publish(&service, term, |volume, known| {
                volume.restore(known, seq, expect)
            }),
            Request::Verify { service } => {
                let verdict =
                    self.on_volume(&service, None, |volume, known, _| volume.verify(known))?;
                Ok(Response::Verified(verdict))
            }
            Request::Prune {
                service,
                term,
                keep,
            } => {
                self.on_volume(&service, Some(term), |volume, known, _| {
                    volume.prune(known, &keep)
                })?;
                Ok(Response::Done)
            }
            Request::Clear { service, term } => {
                self.on_volume(&service, Some(term), |volume, known, work| {
                    // Processes that started with one of its numbers may outlive what is cleared.
                    let highest = volume.highest((known.given)()?)?;
                    project.remember_sequence(work, &service, highest)?;
                    volume.clear()
                })?;
                Ok(Response::Done)
            }
            Request::Key => {
                let (key, new) = project.key(&project.work()?)?;
                Ok(Response::Key { key, new })
            }
            Request::ReadState { name } => Ok(Response::State(project.state(&name)?)),
            Request::WriteState {
                name,
                term,
                bytes,
                durable,
            } => {
                let work = project.work()?;
                project.check(self.lease.as_ref(), term)?;
                project.write_state(&work, &name, &bytes, durable)?;
                Ok(Response::Done)
            }
            Request::InstallShim { bytes, sha256 } => {
                project.install_shim(&project.work()?, &bytes, &sha256)?;
                Ok(Response::Done)
            }
            Request::ShimDigest => Ok(Response::ShimDigest(project.shim_digest(&project.work()?)?)),
            Request::Batch(_) => Err(Refusal::invalid("a batch is in a batch")),
            Request::Recompute { service } => {
                self.on_volume(&service, None, |volume, known, _| volume.recompute(known))?;
                Ok(Response::Done)
            }
        }
    }

    /// Does something with a service's volume while nobody else does; with a term only for who holds the lease.
    fn on_volume<T>(
        &self,
        service: &str,
        term: Option<u64>,
        run: impl FnOnce(&Volume, &Known<'_>, &Work) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let (volume, work) = (self.volume(service)?, self.project.work()?);
        if let Some(term) = term {
            self.project.check(self.lease.as_ref(), term)?;
        }
        let (key, _) = self.project.key(&work)?;
        let known = Known {
            key: &key.0,
            clock: &*self.clock,
            given: &|| self.project.sequence(&work, service),
        };
        run(&volume, &known, &work)
    }

    fn publish(
        &self,
        service: &str,
        term: u64,
        publish: impl FnOnce(&Volume, &Known<'_>) -> Result<Entry, Refusal>,
    ) -> Result<Response, Refusal> {
        self.on_volume(service, Some(term), |volume, known, work| {
            let entry = publish(volume, known)?;
            // It is published, whatever becomes of this: the volume itself knows the number until it is emptied.
            let _ = self.project.remember_sequence(work, service, entry.seq);
            Ok(Response::Published(entry))
        })
    }

    fn services(&self) -> Result<Vec<String>, Refusal> {
        let failed = |e: io::Error| Refusal::io("looking for volumes", &e);
        let mut services = self.services.names().map_err(failed)?;
        services.retain(|name| is_service(name) && self.volume(name).is_ok());
        Ok(services)
    }

    fn volume(&self, service: &str) -> Result<Volume, Refusal> {
        if !is_service(service) {
            return Err(Refusal::invalid(format!(
                "{service:?} is no name of a service"
            )));
        }
        let not_mounted = |what: &str| {
            Refusal::new(
                RefusalKind::NotMounted,
                format!("{what} is mounted for service {service}"),
            )
        };
        let root = match self.services.open(service) {
            Err(e) if is_absent(&e) => return Err(not_mounted("no volume")),
            other => other.map_err(|e| Refusal::io("opening a volume", &e))?,
        };
        let volume = Volume::new(root, self.any_filesystem)
            .map_err(|e| Refusal::io("opening a volume", &e))?;
        volume.ok_or_else(|| not_mounted("no tmpfs"))
    }
}

#[cfg(test)]
pub(crate) use stream::read_frame;

#[cfg(test)]
mod over_stream;
#[cfg(test)]
mod tests;
