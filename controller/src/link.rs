//! The way into a project: its anchor, a session, the lease, and the state that is kept in the project volume.

mod entered;
mod programs;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use locket_core::Memory;
use locket_crds::id::ProjectName;
use locket_delivery::clock::Stamp;
use locket_delivery::protocol::{Key, Request, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::Host;
use crate::own::anchor::{self, Anchor, Volumes};
use crate::own::shim::{self, NotInstalled};
use crate::session::{self, PING_EVERY, Session};
use crate::spec::Applied;
use entered::Entered;
use programs::Programs;

/// State file with the applied spec.
const SPEC: &str = "spec.json";
/// State file with the planner's memory.
const MEMORY: &str = "memory.json";
/// State file with what people have switched.
const SWITCHES: &str = "switches.json";
/// State file with the programs that anchors and shim of this project were made from.
const PROGRAMS: &str = "programs.json";

/// Why there is no way into a project.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Our own objects could not be brought about.
    #[error("the anchor of project {project} cannot be made")]
    Own {
        /// The project.
        project: ProjectName,
        /// Why.
        #[source]
        source: crate::own::Error,
    },
    /// The session failed.
    #[error("the anchor of project {project} does not serve")]
    Session {
        /// The project.
        project: ProjectName,
        /// Why.
        #[source]
        source: session::Error,
    },
    /// Another version of this program writes to the project.
    #[error("project {project} is being worked on by {holder}, which is another version of locket")]
    Busy {
        /// The project.
        project: ProjectName,
        /// How the holder names itself.
        holder: String,
    },
    /// Our own program cannot be read, to install it as the shim.
    #[error("the shim of project {project} cannot be installed")]
    Program {
        /// The project.
        project: ProjectName,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A state file of the project volume makes no sense.
    #[error("{file} in the project volume of {project} cannot be read: {why}")]
    State {
        /// The project.
        project: ProjectName,
        /// Which file.
        file: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// Who may write to a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    /// We, with this term.
    Ours(u64),
    /// Somebody else, who said how to reach them.
    Held(String),
}

impl Lease {
    fn is_ours(&self) -> bool {
        matches!(self, Self::Ours(_))
    }
}

/// What people have switched.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Switches {
    /// Nothing is disrupted.
    pub paused: bool,
}

/// An open way into a project. Dropping it ends the session, and with it the lease.
pub struct Link {
    project: ProjectName,
    /// What the project has.
    pub volumes: Volumes,
    /// The session in the anchor.
    pub session: Arc<Session>,
    /// Who may write.
    pub lease: Lease,
    /// The project's key.
    pub key: Key,
    /// Containers that claim to be an anchor of the project and are not ours.
    pub foreign: Vec<anchor::Foreign>,
    /// Layer digests of anchors that are known to be ours, of whatever version.
    pub layers: Vec<String>,
    /// Keeps the lease alive.
    pinger: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.pinger.abort();
    }
}

impl Link {
    /// Opens the way, making or replacing the anchor as needed; `None` when the project has no project volume.
    ///
    /// Whoever holds the lease is asked first: an anchor that another writer uses is not replaced under its hands.
    ///
    /// # Errors
    /// When the engine refuses, or the anchor does not serve.
    pub async fn open(
        host: &Host,
        project: &ProjectName,
        holder: &str,
    ) -> Result<Option<Self>, Error> {
        let own = |source| Error::Own {
            project: project.clone(),
            source,
        };
        let lost = |source| Error::Session {
            project: project.clone(),
            source,
        };
        let Some(volumes) = Volumes::find(&host.engine, project).await.map_err(own)? else {
            return Ok(None);
        };
        let mut found = anchor::find(host, project, &[]).await.map_err(own)?;
        let mut entered = entered::enter(host, project, holder, &volumes, &found).await?;
        if entered.lease.is_ours()
            && !found.foreign.is_empty()
            && let Some(newer) = entered::newer(host, project, &volumes, &entered.session).await?
        {
            let Entered { session, .. } = entered;
            session.call(&Request::Release).await.map_err(lost)?;
            drop(session);
            let lease = entered::acquire(&newer.session, holder).await;
            entered = Entered {
                lease: lease.map_err(lost)?,
                anchor: newer.anchor,
                session: newer.session,
            };
            found = newer.found;
        }
        let Entered {
            anchor,
            session,
            lease,
        } = entered;
        let settled = Self::settle_in(host, project, volumes, Some(&anchor), session, lease, found);
        settled.await.map(Some)
    }

    /// Opens the way for reading only: makes nothing, and takes no lease. `None` when the project has no running anchor.
    ///
    /// # Errors
    /// When the engine does not answer, or the anchor does not serve.
    pub async fn look(host: &Host, project: &ProjectName) -> Result<Option<Self>, Error> {
        let own = |source| Error::Own {
            project: project.clone(),
            source,
        };
        let Some(volumes) = Volumes::find(&host.engine, project).await.map_err(own)? else {
            return Ok(None);
        };
        let found = anchor::find(host, project, &[]).await.map_err(own)?;
        // For reading, another version's anchor serves as well. One that is somebody's own can tell stories: nothing follows.
        let ours = found.ours.iter().find(|it| it.running).map(|it| &it.id);
        let other = || found.foreign.iter().find(|it| it.running).map(|it| &it.id);
        let Some(id) = ours.or_else(other).cloned() else {
            return Ok(None);
        };
        let session = Session::open(&host.engine, &id)
            .await
            .map_err(|source| Error::Session {
                project: project.clone(),
                source,
            })?;
        Self::settle_in(
            host,
            project,
            volumes,
            None,
            session,
            Lease::Held(String::new()),
            found,
        )
        .await
        .map(Some)
    }

    /// Makes sure that everything is seen through the new anchor before the old ones go.
    async fn settle_in(
        host: &Host,
        project: &ProjectName,
        volumes: Volumes,
        anchor: Option<&Anchor>,
        session: Session,
        lease: Lease,
        mut found: anchor::Claimants,
    ) -> Result<Self, Error> {
        let lost = |source| Error::Session {
            project: project.clone(),
            source,
        };
        let mut programs: Programs = read(&session, project, PROGRAMS).await?.unwrap_or_default();
        if let (&Lease::Ours(term), Some(anchor)) = (&lease, anchor) {
            // What is foreign to this program alone may be another version of it, which the project volume remembers.
            if !found.foreign.is_empty() {
                let again = anchor::find(host, project, &programs.layers()).await;
                found = again.map_err(|source| Error::Own {
                    project: project.clone(),
                    source,
                })?;
            }
            let Response::Volumes { services } =
                session.call(&Request::Volumes).await.map_err(lost)?
            else {
                return Err(lost(session::Error::Nonsense(
                    "something else than volumes",
                )));
            };
            if anchor.fits(&volumes)
                && volumes
                    .services
                    .keys()
                    .all(|s| services.iter().any(|seen| seen == s.as_str()))
            {
                found
                    .retire(host, Some(anchor))
                    .await
                    .map_err(|source| Error::Own {
                        project: project.clone(),
                        source,
                    })?;
            }
            install_shim(host, &session, project, &programs).await?;
            if programs.remember(host) {
                write(&session, project, term, PROGRAMS, &programs, true).await?;
            }
        }
        let key = match session.call(&Request::Key).await.map_err(lost)? {
            Response::Key { key, .. } => key,
            _ => return Err(lost(session::Error::Nonsense("something else than a key"))),
        };
        let session = Arc::new(session);
        let pinger = tokio::spawn(keep_alive(Arc::clone(&session)));
        Ok(Self {
            project: project.clone(),
            volumes,
            session,
            lease,
            key,
            foreign: found.foreign,
            layers: programs.layers(),
            pinger,
        })
    }

    /// The term to write with; `None` when somebody else holds the lease.
    pub fn term(&self) -> Option<u64> {
        match self.lease {
            Lease::Ours(term) => Some(term),
            Lease::Held(_) => None,
        }
    }

    /// The clocks of the engine's machine.
    ///
    /// # Errors
    /// When the session is lost.
    pub async fn clock(&self) -> Result<Stamp, Error> {
        match self.call(&Request::Ping).await? {
            Response::Pong { now } => Ok(now),
            _ => Err(self.nonsense("something else than a pong")),
        }
    }

    /// Asks the session.
    ///
    /// # Errors
    /// When it refuses or is lost.
    pub async fn call(&self, request: &Request) -> Result<Response, Error> {
        let answer = self.session.call(request).await;
        answer.map_err(|source| self.lost(source))
    }

    /// Asks many things with one way there and back; gives the requests back with one answer to each that was tried. Only the
    /// last answer can be a refusal.
    ///
    /// # Errors
    /// When the session is lost.
    pub async fn batch(
        &self,
        requests: Vec<Request>,
    ) -> Result<(Vec<Request>, Vec<Response>), Error> {
        let batch = Request::Batch(requests);
        let answer = self.call(&batch).await?;
        match (batch, answer) {
            (Request::Batch(requests), Response::Batch(answers))
                if (1..=requests.len()).contains(&answers.len()) =>
            {
                Ok((requests, answers))
            }
            _ => Err(self.nonsense("something else than a batch")),
        }
    }

    pub(crate) fn lost(&self, source: session::Error) -> Error {
        Error::Session {
            project: self.project.clone(),
            source,
        }
    }

    pub(crate) fn nonsense(&self, what: &'static str) -> Error {
        self.lost(session::Error::Nonsense(what))
    }

    /// What was applied last; `None` when nothing was.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn spec(&self) -> Result<Option<Applied>, Error> {
        read(&self.session, &self.project, SPEC).await
    }

    /// Writes down what is applied from now on.
    ///
    /// # Errors
    /// When the lease is not ours any more, or the session is lost.
    pub async fn write_spec(&self, spec: &Applied) -> Result<(), Error> {
        write(
            &self.session,
            &self.project,
            self.term().unwrap_or(0),
            SPEC,
            spec,
            true,
        )
        .await
    }

    /// What the planner remembers.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn memory(&self) -> Result<Memory, Error> {
        Ok(read(&self.session, &self.project, MEMORY)
            .await?
            .unwrap_or_default())
    }

    /// Writes down what the planner remembers. What is not `durable` is lost with the machine, and with it every generation:
    /// enough for what only a publish follows.
    ///
    /// # Errors
    /// When the lease is not ours any more, or the session is lost.
    pub async fn write_memory(&self, memory: &Memory, durable: bool) -> Result<(), Error> {
        let request = self.memory_request(memory, durable)?;
        self.call(&request).await.map(drop)
    }

    /// The request that [`Link::write_memory`] sends, to send it with others.
    ///
    /// # Errors
    /// When it cannot be written as text.
    pub fn memory_request(&self, memory: &Memory, durable: bool) -> Result<Request, Error> {
        let term = self.term().unwrap_or(0);
        state_request(&self.project, term, MEMORY, memory, durable)
    }

    /// What people have switched.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn switches(&self) -> Result<Switches, Error> {
        Ok(read(&self.session, &self.project, SWITCHES)
            .await?
            .unwrap_or_default())
    }

    /// Writes down what people have switched.
    ///
    /// # Errors
    /// When the lease is not ours any more, or the session is lost.
    pub async fn write_switches(&self, switches: &Switches) -> Result<(), Error> {
        write(
            &self.session,
            &self.project,
            self.term().unwrap_or(0),
            SWITCHES,
            switches,
            true,
        )
        .await
    }
}

/// A holder that is silent for some seconds loses its session, and the lease with it.
async fn keep_alive(session: Arc<Session>) {
    let mut every = tokio::time::interval(PING_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if session.call(&Request::Ping).await.is_err() {
            return;
        }
    }
}

/// Puts this program there as the shim, unless it is there already, or a newer one is.
async fn install_shim(
    host: &Host,
    session: &Session,
    project: &ProjectName,
    programs: &Programs,
) -> Result<(), Error> {
    let project = project.clone();
    let replace = |there: &[u8; 32]| !programs.is_newer_shim(there, host);
    let installed = shim::install(&host.binary, session, replace).await;
    installed.map_err(|e| match e {
        NotInstalled::Session(source) => Error::Session { project, source },
        NotInstalled::Program(source) => Error::Program { project, source },
        NotInstalled::Own(source) => Error::Own { project, source },
    })
}

async fn read<T: DeserializeOwned>(
    session: &Session,
    project: &ProjectName,
    file: &'static str,
) -> Result<Option<T>, Error> {
    let answer = session
        .call(&Request::ReadState {
            name: file.to_owned(),
        })
        .await;
    match answer.map_err(|source| Error::Session {
        project: project.clone(),
        source,
    })? {
        Response::State(None) => Ok(None),
        Response::State(Some(bytes)) => {
            let read = serde_json::from_slice(&bytes).map(Some);
            read.map_err(|e| Error::State {
                project: project.clone(),
                file,
                why: e.to_string(),
            })
        }
        _ => Err(Error::Session {
            project: project.clone(),
            source: session::Error::Nonsense("something else than a file"),
        }),
    }
}

async fn write<T: Serialize>(
    session: &Session,
    project: &ProjectName,
    term: u64,
    file: &'static str,
    it: &T,
    durable: bool,
) -> Result<(), Error> {
    let request = state_request(project, term, file, it, durable)?;
    let answer = session.call(&request).await;
    answer.map(drop).map_err(|source| Error::Session {
        project: project.clone(),
        source,
    })
}

fn state_request<T: Serialize>(
    project: &ProjectName,
    term: u64,
    file: &'static str,
    it: &T,
    durable: bool,
) -> Result<Request, Error> {
    let bytes = serde_json::to_vec(it).map_err(|e| Error::State {
        project: project.clone(),
        file,
        why: e.to_string(),
    })?;
    Ok(Request::WriteState {
        name: file.to_owned(),
        term,
        bytes,
        durable,
    })
}
