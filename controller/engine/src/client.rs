//! [`Engine`]: one client for one engine, and what there is to know about the engine itself.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bollard::{ClientVersion, Docker};
use serde::Deserialize;

use crate::connect::Endpoint;
use crate::error::{Error, Kind, Result};
use crate::failpoint::Failpoints;
use crate::http::{self, Http};

/// The deadline of a call that does not name another.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The version that is spoken: the oldest with `volume.subpath` (Engine 26). Speaking the oldest
/// one that suffices makes every engine behave alike.
const WANTED: ApiVersion = ApiVersion(1, 45);

/// A client for one engine. Clones share connections and counters.
#[derive(Clone)]
pub struct Engine {
    pub(crate) docker: Docker,
    pub(crate) http: Http,
    api: ApiVersion,
    platform: Arc<str>,
    calls: Arc<AtomicU64>,
    failpoints: Failpoints,
}

/// What the engine says about its program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineVersion {
    /// The engine's release: `28.5.2`.
    pub version: String,
    /// The API version that this client speaks with it: `1.45`.
    pub api_version: String,
    /// `linux`.
    pub os: String,
    /// In Go's words: `amd64`, `arm64`.
    pub arch: String,
}

/// What the engine says about its machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineInfo {
    /// Identifies the engine across restarts.
    pub id: String,
    /// The machine's host name.
    pub name: String,
    /// The engine runs as an ordinary user.
    pub rootless: bool,
    /// Root in a container is another user on the machine (`userns-remap`).
    pub remaps_users: bool,
    /// `linux`.
    pub os_type: String,
    /// In the kernel's words: `x86_64`, `aarch64`.
    pub arch: String,
    /// Where the engine keeps its data, on its own machine.
    pub docker_root_dir: String,
    /// Containers outlive a restart of the engine.
    pub live_restore: bool,
    /// The engine's clock when it answered.
    pub system_time: Option<crate::Time>,
    /// The kernel's release: `6.8.0-31-generic`.
    pub kernel: String,
    /// `Debian GNU/Linux 12 (bookworm)`, `Docker Desktop`.
    pub operating_system: String,
    /// What keeps images and containers: `overlay2`, `overlayfs`.
    pub storage_driver: String,
    /// Where the output of containers goes, unless they say otherwise: `json-file`, `none`.
    pub log_driver: String,
    /// The program for `init: true`, by name or path; empty if it is not told.
    pub init_program: String,
    /// The engine has run that program and read its version.
    pub init_answers: bool,
}

impl Engine {
    /// Connects, and settles on one API version for good.
    ///
    /// # Errors
    /// [`Kind::Refused`] if the engine cannot be reached, [`Kind::Unsupported`] if it is older than
    /// Docker Engine 26 (API 1.45).
    pub async fn connect(endpoint: Endpoint) -> Result<Engine> {
        let what = "connect to the engine";
        let http = Http::new(endpoint);
        let said: SaidVersion = within(DEADLINE, what, http.get("/version", what)).await?;
        let api = said
            .choose()
            .map_err(|m| Error::new(Kind::Unsupported, what, m))?;
        http.pin(&api.to_string());

        let transport = {
            let http = http.clone();
            move |request| http.send(request)
        };
        // Deadlines are set on each call here, so bollard's own only has to be longer.
        const NEVER_SECONDS: u64 = 24 * 3600;
        let client_version = ClientVersion {
            major_version: api.0,
            minor_version: api.1,
        };
        let docker = Docker::connect_with_custom_transport(
            transport,
            Some("http://engine"),
            NEVER_SECONDS,
            &client_version,
        )
        .map_err(|e| of_bollard(e, what))?;
        Ok(Engine {
            docker,
            http,
            api,
            platform: format!("{}/{}", said.os, said.arch).into(),
            calls: Arc::new(AtomicU64::new(1)),
            failpoints: Failpoints::default(),
        })
    }

    /// The same client, which tells where it is.
    #[cfg(feature = "failpoints")]
    pub fn with_failpoints(self, failpoints: Failpoints) -> Self {
        Self { failpoints, ..self }
    }

    /// Whom it tells where it is: for those who speak through it.
    pub fn failpoints(&self) -> &Failpoints {
        &self.failpoints
    }

    /// What the engine runs programs for, as it said when this connected: `linux/amd64`.
    pub fn platform(&self) -> &str {
        &self.platform
    }

    /// Asks the engine about its program.
    pub async fn version(&self) -> Result<EngineVersion> {
        let what = "ask the engine for its version";
        let said = self.within(
            DEADLINE,
            what,
            self.http.get::<SaidVersion>("/version", what),
        );
        let said = said.await?;
        Ok(EngineVersion {
            version: said.version,
            api_version: self.api.to_string(),
            os: said.os,
            arch: said.arch,
        })
    }

    /// Asks the engine about its machine.
    pub async fn info(&self) -> Result<EngineInfo> {
        let info = self
            .call("ask the engine about itself", self.docker.info())
            .await?;
        let security = info.security_options.unwrap_or_default();
        let has = |name: &str| security.iter().any(|option| option.contains(name));
        let init = info.init_commit.and_then(|it| it.id).unwrap_or_default();
        Ok(EngineInfo {
            id: info.id.unwrap_or_default(),
            name: info.name.unwrap_or_default(),
            rootless: has("name=rootless"),
            remaps_users: has("name=userns"),
            os_type: info.os_type.unwrap_or_default(),
            arch: info.architecture.unwrap_or_default(),
            docker_root_dir: info.docker_root_dir.unwrap_or_default(),
            live_restore: info.live_restore_enabled.unwrap_or_default(),
            system_time: info
                .system_time
                .as_deref()
                .and_then(crate::time::parse_rfc3339),
            kernel: info.kernel_version.unwrap_or_default(),
            operating_system: info.operating_system.unwrap_or_default(),
            storage_driver: info.driver.unwrap_or_default(),
            log_driver: info.logging_driver.unwrap_or_default(),
            init_program: info.init_binary.unwrap_or_default(),
            init_answers: !matches!(init.as_str(), "" | "N/A"),
        })
    }

    /// How many requests were made through this client and its clones.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// One call of bollard's: counted, with the usual deadline, its error named.
    pub(crate) async fn call<T>(
        &self,
        what: impl Into<String>,
        call: impl Future<Output = std::result::Result<T, bollard::errors::Error>>,
    ) -> Result<T> {
        let what = what.into();
        self.within(DEADLINE, &what, async {
            call.await.map_err(|e| of_bollard(e, &what))
        })
        .await
    }

    /// One call: counted, and with its deadline.
    pub(crate) async fn within<T>(
        &self,
        deadline: Duration,
        what: &str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.count();
        self.failpoints
            .around(what, within(deadline, what, call))
            .await
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("api", &self.api)
            .finish_non_exhaustive()
    }
}

/// Runs a call until its deadline.
pub(crate) async fn within<T>(
    deadline: Duration,
    what: &str,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(deadline, call).await {
        Ok(result) => result,
        Err(_) => {
            let message = format!("{} s", deadline.as_secs_f32());
            Err(Error::new(Kind::Timeout, what, message))
        }
    }
}

/// `Ok(None)` where "no such object" is an answer.
pub(crate) fn found<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn of_bollard(error: bollard::errors::Error, what: &str) -> Error {
    use bollard::errors::Error as B;
    match error {
        B::DockerResponseServerError {
            status_code,
            message,
        } => Error::new(Kind::of_status(status_code), what, message),
        B::DockerStreamError { error } => Error::new(Kind::Engine(500), what, error),
        B::RequestTimeoutError => Error::new(Kind::Timeout, what, ""),
        B::HyperLegacyError { err } => http::of_client(&err, what),
        // Only where, not what: a message of serde's may quote the document.
        B::JsonDataError { column, .. } => Error::new(
            Kind::Protocol,
            what,
            format!("unexpected JSON at column {column}"),
        ),
        B::JsonSerdeError { err } => Error::new(
            Kind::Protocol,
            what,
            format!("unexpected JSON at column {}", err.column()),
        ),
        other => Error::new(Kind::Protocol, what, other.to_string()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ApiVersion(usize, usize);

impl std::fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl ApiVersion {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(ApiVersion(major.parse().ok()?, minor.parse().ok()?))
    }
}

/// The answer to `GET /version`, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct SaidVersion {
    version: String,
    api_version: String,
    #[serde(rename = "MinAPIVersion")]
    min_api_version: String,
    os: String,
    arch: String,
}

impl SaidVersion {
    /// The wanted version, or the oldest that the engine still speaks; the reason why not.
    fn choose(&self) -> std::result::Result<ApiVersion, String> {
        let newest = ApiVersion::parse(&self.api_version)
            .ok_or_else(|| format!("it states no API version ({:?})", self.api_version))?;
        if newest < WANTED {
            return Err(format!(
                "Docker Engine 26 or newer is needed (API {WANTED}); this is {} (API {newest})",
                self.version
            ));
        }
        // Absent on some engines that speak Docker's API: then nothing is too old for them.
        let oldest = ApiVersion::parse(&self.min_api_version).unwrap_or(WANTED);
        Ok(oldest.max(WANTED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_chosen_or_the_reason_is_plain() {
        let choose = |api: &str, min: &str| {
            let said = SaidVersion {
                version: "x".into(),
                api_version: api.into(),
                min_api_version: min.into(),
                ..SaidVersion::default()
            };
            said.choose().map(|v| v.to_string())
        };
        assert_eq!(choose("1.51", "1.24").as_deref(), Ok("1.45"));
        assert_eq!(choose("1.45", "").as_deref(), Ok("1.45"));
        assert_eq!(choose("1.60", "1.48").as_deref(), Ok("1.48"));
        assert_eq!(
            choose("1.43", "1.12").unwrap_err(),
            "Docker Engine 26 or newer is needed (API 1.45); this is x (API 1.43)"
        );
        assert!(choose("", "").unwrap_err().contains("no API version"));
    }
}
