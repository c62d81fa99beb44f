//! What a command is given: the surroundings as data, and what is opened only when it is needed.
#![expect(
    clippy::disallowed_methods,
    reason = "the one place that reads environment, directory and clock"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use locket_controller::Host;
use locket_controller::access::{self, Access};
use locket_controller::client::{Client, Place};
use locket_controller::own::image::Binary;
use locket_controller::own::store::VOLUME;
use locket_crds::api::Timestamp;
use locket_crds::config::HostConfig;
use locket_engine::{Endpoint, Engine, Kind};
use locket_provider::SecretValue;
use locket_providers::local::LocalClient;
use locket_providers::{Environment, MarkKey};
use tokio::sync::OnceCell;

use crate::config;
use crate::docker::Docker;
use crate::endpoint::{self, GlobalFlags};
use crate::error::{CommandError, Result};
use crate::opener::{Opener, StoreContainer};
use crate::output::Term;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What lies around the process, read once.
pub struct Surroundings {
    /// The environment, as far as it is UTF-8.
    pub env: BTreeMap<String, String>,
    /// The same byte for byte, for references that name a variable.
    pub variables: Environment,
    /// The working directory.
    pub dir: PathBuf,
}

impl Surroundings {
    /// Reads it.
    pub fn take() -> Self {
        let all: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        let text = |(name, value): &(OsString, OsString)| {
            Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()))
        };
        let bytes = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, SecretValue::new(value.into_vec())))
        };
        Self {
            env: all.iter().filter_map(text).collect(),
            variables: all.into_iter().filter_map(bytes).collect(),
            dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
        }
    }
}

/// What every command gets.
pub struct Context {
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// The working directory.
    pub dir: PathBuf,
    /// The docker CLI's global flags.
    pub globals: GlobalFlags,
    /// The terminal.
    pub term: Term,
    variables: Arc<Environment>,
    image: Option<PathBuf>,
    host: OnceCell<Arc<Host>>,
    store: OnceCell<LocalClient>,
}

impl Context {
    /// `image`: another program than this one for containers.
    pub fn new(surroundings: Surroundings, globals: GlobalFlags, image: Option<PathBuf>) -> Self {
        let Surroundings {
            env,
            variables,
            dir,
        } = surroundings;
        let set = |name: &str| env.get(name).filter(|value| !value.is_empty());
        let term = Term::new(
            set("NO_COLOR").is_some(),
            set("TERM").is_some_and(|t| t == "dumb"),
        );
        let image = image
            .or_else(|| set("LOCKET_IMAGE").map(PathBuf::from))
            .map(|path| dir.join(path));
        let variables = Arc::new(variables);
        Self {
            env,
            dir,
            globals,
            term,
            variables,
            image,
            host: OnceCell::new(),
            store: OnceCell::new(),
        }
    }

    /// The docker CLI, as it was called.
    pub fn docker(&self) -> Docker {
        Docker::new(&self.globals, &self.env, &self.dir)
    }

    /// Where the engine is.
    ///
    /// # Errors
    /// The user's problem: what says so cannot be read.
    pub fn endpoint(&self) -> Result<Endpoint> {
        endpoint::choose(&self.globals, &self.env)
    }

    /// The engine, and the program that runs in containers.
    ///
    /// # Errors
    /// The engine does not answer or is too old; the program cannot run in a container.
    pub async fn host(&self) -> Result<Arc<Host>> {
        let made = self.host.get_or_try_init(|| async {
            let endpoint = self.endpoint()?;
            let engine = Engine::connect(endpoint.clone())
                .await
                .map_err(|e| unreachable(&endpoint, e))?;
            let path = self.image.as_deref().unwrap_or(Path::new("/proc/self/exe"));
            let program = std::fs::File::open(path).map_err(|e| {
                CommandError::user(format!("{} cannot be read", path.display())).because(e)
            })?;
            let binary = Binary::open(program).map_err(|e| CommandError::user(e.to_string()))?;
            Ok::<_, CommandError>(Arc::new(Host::new(engine, binary, VERSION)))
        });
        made.await.cloned()
    }

    /// The built-in store on the engine. Connects when it is first asked.
    ///
    /// # Errors
    /// As [`Self::host`].
    pub async fn store(&self) -> Result<LocalClient> {
        let made = self.store.get_or_try_init(|| async {
            Ok::<_, CommandError>(LocalClient::new(Arc::new(StoreContainer::new(
                self.host().await?,
            ))))
        });
        made.await.cloned()
    }

    /// What makes stores for a pass of this process, in its user's name. Relative `file` references begin in `base`.
    ///
    /// # Errors
    /// As [`Self::host`].
    pub async fn opener(&self, base: &Path) -> Result<Arc<Opener>> {
        let roots = vec![base.to_owned(), PathBuf::from("/")];
        Ok(Arc::new(Opener::user(
            self.store().await?,
            Arc::clone(&self.variables),
            roots,
            mark_key()?,
        )))
    }

    /// The same in the controller's name.
    ///
    /// # Errors
    /// As [`Self::host`].
    pub async fn controller_opener(&self) -> Result<Arc<Opener>> {
        Ok(Arc::new(Opener::controller(
            self.store().await?,
            Arc::clone(&self.variables),
            mark_key()?,
        )))
    }

    /// The way to the controller, or to a pass of this process where there is none. Relative `file` references begin in `base`.
    ///
    /// # Errors
    /// The engine does not answer, or the host configuration is broken.
    pub async fn access(&self, base: &Path) -> Result<Access> {
        let first = self.any_controller().await?;
        if first.controller().is_some() {
            return Ok(first);
        }
        // Reading the configuration starts the store's container: not for a controller that has read it already.
        let config = self.host_config().await?;
        if config == HostConfig::default() {
            Ok(first)
        } else {
            self.open(base, config).await
        }
    }

    /// The way in as it is without any configuration: to see whether a controller answers.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn any_controller(&self) -> Result<Access> {
        self.open(&self.dir, HostConfig::default()).await
    }

    /// How long a gate waits by the configuration of the controller that looks after this engine; `None` if it does not say.
    pub async fn gate_timeout(&self) -> Option<Duration> {
        let host = self.host().await.ok()?;
        for place in Place::all(&host, sockets(&self.env)).await {
            if let Ok(it) = Client::new(place, Arc::clone(&host)).settings().await {
                return it.gate_timeout.map(Duration::from_secs);
            }
        }
        None
    }

    async fn open(&self, base: &Path, config: HostConfig) -> Result<Access> {
        let options = access::Options {
            host: self.host().await?,
            sockets: sockets(&self.env),
            opener: self.opener(base).await?,
            config: Arc::new(config),
            version: VERSION.to_owned(),
            pid: std::process::id(),
        };
        Ok(Access::open(options).await?)
    }

    /// The host configuration on the engine; the default where nothing was ever stored.
    ///
    /// # Errors
    /// It cannot be read, or is broken.
    pub async fn host_config(&self) -> Result<HostConfig> {
        let host = self.host().await?;
        let volume = host.engine.volume(VOLUME).await.map_err(engine_error)?;
        match volume {
            None => Ok(HostConfig::default()),
            Some(_) => config::read(&self.store().await?, None).await,
        }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        now()
    }
}

/// Now.
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
}

/// Where a controller of this user listens on this machine: `LOCKET_SOCKET`, else a place that fits the user.
pub fn socket_path(env: &BTreeMap<String, String>) -> PathBuf {
    let mut all = sockets(env);
    all.swap_remove(0)
}

/// Where a controller may be found on this machine, nearest first: the user's own, then root's, which serves whoever may use the
/// engine. Root does not ask a user's: it could answer anything.
pub fn sockets(env: &BTreeMap<String, String>) -> Vec<PathBuf> {
    sockets_of(rustix::process::geteuid().is_root(), env)
}

fn sockets_of(is_root: bool, env: &BTreeMap<String, String>) -> Vec<PathBuf> {
    let set = |name: &str| env.get(name).filter(|value| !value.is_empty());
    let roots = PathBuf::from("/run/locket/controller.sock");
    match (set("LOCKET_SOCKET"), set("XDG_RUNTIME_DIR")) {
        (Some(path), _) => vec![PathBuf::from(path)],
        (None, Some(dir)) if !is_root => vec![Path::new(dir).join("locket/controller.sock"), roots],
        (None, _) => vec![roots],
    }
}

/// Key of the marks of values without a version, for the life of this process.
fn mark_key() -> Result<MarkKey> {
    let mut key = [0; 32];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut key));
    read.map_err(|e| CommandError::internal("there are no random numbers").because(e))?;
    Ok(MarkKey::new(key))
}

/// A call to the engine that failed.
pub fn engine_error(e: locket_engine::Error) -> CommandError {
    let kind = if e.is_transient() || e.is_conflict() {
        CommandError::user
    } else {
        CommandError::internal
    };
    kind("the engine refused").because(e)
}

/// An engine that does not answer: which one, and what to do.
fn unreachable(endpoint: &Endpoint, e: locket_engine::Error) -> CommandError {
    let place = match endpoint {
        Endpoint::Unix(path) => format!("unix://{}", path.display()),
        Endpoint::DialStdio { .. } => "the endpoint of the docker CLI".to_owned(),
        Endpoint::Custom(_) => "its endpoint".to_owned(),
    };
    if e.kind == Kind::Unsupported {
        return CommandError::user(e.message);
    }
    let said = e.message.to_lowercase();
    if said.contains("certificate") {
        let message = format!("the TLS certificates do not fit the engine at {place}");
        return CommandError::user(message).because(e).hint("name those that do: DOCKER_CERT_PATH, `--tlscacert`, `--tlscert` and `--tlskey`, or `docker context update`");
    }
    let denied = said.contains("permission denied");
    let error = CommandError::user(match denied {
        true => format!("this user may not use the engine at {place}"),
        false => format!("no engine answers at {place}"),
    });
    let error = error.because(e);
    match denied {
        true => error.hint("the socket's group may use it, usually `docker`: add the user to it, or use rootless Docker"),
        false => error.hint("start the engine, or name another one: `docker context use NAME`, `--context`, `DOCKER_HOST`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_where_the_environment_says() {
        let env = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect()
        };
        assert_eq!(
            socket_path(&env(&[("LOCKET_SOCKET", "/x/y.sock")])),
            Path::new("/x/y.sock")
        );
        assert!(socket_path(&env(&[("LOCKET_SOCKET", "")])).ends_with("locket/controller.sock"));
        let session = env(&[("XDG_RUNTIME_DIR", "/run/user/7")]);
        let (own, roots) = (
            Path::new("/run/user/7/locket/controller.sock"),
            Path::new("/run/locket/controller.sock"),
        );
        assert_eq!(sockets_of(false, &session), [own, roots]);
        assert_eq!(sockets_of(true, &session), [roots]);
        assert_eq!(sockets_of(false, &env(&[])), [roots]);
    }

    #[test]
    fn an_engine_that_does_not_answer_is_named() {
        let e = |kind, message: &str| locket_engine::Error {
            kind,
            what: "connect to the engine".into(),
            message: message.into(),
        };
        let at = Endpoint::Unix("/run/x.sock".into());
        let refused = unreachable(&at, e(Kind::Refused, "No such file or directory"));
        assert_eq!(refused.message, "no engine answers at unix:///run/x.sock");
        assert!(
            unreachable(&at, e(Kind::Refused, "Permission denied (os error 13)"))
                .message
                .contains("may not use")
        );
        let strange = e(
            Kind::Refused,
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        );
        assert!(
            unreachable(&at, strange)
                .message
                .contains("do not fit the engine")
        );
        assert_eq!(
            unreachable(&at, e(Kind::Unsupported, "Docker Engine 26 is needed")).message,
            "Docker Engine 26 is needed"
        );
    }
}
