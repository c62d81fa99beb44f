//! `controller install` and `uninstall`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use locket_controller::Host;
use locket_controller::client::{Client, Place};
use locket_controller::own::controller::NAME;
use locket_controller::own::shim;
use locket_crds::config::{Allowed, Grant, HostConfig, Listen};
use locket_crds::id::ProjectName;
use locket_crds::spec::{AuthSpec, Credential, SourceSpec};
use locket_engine::{Container, CreateContainer, Endpoint, Engine, EngineInfo, Status};
use locket_providers::local::{ConfigFile, LocalClient};

use super::container::{self, Needs};
use super::unheard;
use crate::config::{self, store_error};
use crate::context::{Context, engine_error, sockets};
use crate::credentials;
use crate::endpoint::DEFAULT_SOCKET;
use crate::error::{CommandError, Result};
use crate::output::lines;

/// Where systems keep the authorities that they trust; the first that is there is mounted.
const AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];
/// The container's name before it takes the place of the one that is there.
const NEXT: &str = "locket-controller-next";
/// How long it may take to answer.
const START: Duration = Duration::from_secs(30);
/// Between two questions.
const LOOK: Duration = Duration::from_millis(200);
/// How long it may take until a controller has taken a new configuration over.
const TAKEN_OVER: Duration = Duration::from_secs(2);

/// Arguments of `install`.
#[derive(Debug, Clone, Args)]
pub struct InstallArgs {
    /// Host configuration (locket.yaml), which is kept on the engine with the files that it names
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The engine's socket on its own machine, where it cannot be told
    #[arg(long, value_name = "PATH")]
    socket: Option<String>,
    /// Print a compose file instead
    #[arg(long)]
    print: bool,
}

/// Runs `install`.
///
/// # Errors
/// The configuration is broken, the engine refuses, or the controller does not answer in time.
pub async fn install(args: InstallArgs, cx: &Context) -> Result<ExitCode> {
    let host = cx.host().await?;
    let info = host.engine.info().await.map_err(engine_error)?;
    let endpoint = cx.endpoint()?;
    let store = cx.store().await?;
    let config = configure(args.config.as_deref(), &store, cx).await?;
    let is_there = |root: &str| Path::new(root).is_dir();
    for gone in roots(&config).filter(|root| !is_there(root)) {
        let whose = match grantee(&config, gone) {
            Some(project) => format!(
                " (granted to project {project}: `docker locket trust --revoke {project}` takes its grants back)"
            ),
            None => String::new(),
        };
        cx.term.warn(format_args!(
            "the folder {} of a `file` source is not here, so it is not mounted{}",
            lines(gone),
            lines(&whose)
        ));
    }
    let needs = needs(&config, &endpoint, &info, args.socket, is_there)?;
    let image = host
        .ensure_image()
        .await
        .map_err(|e| CommandError::user("the image cannot be put on the engine").because(e))?;
    if args.print {
        cx.term
            .out(container::compose_file(host.tag(), &needs).trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let engine = &host.engine;
    for socket in sockets(&cx.env) {
        nobody_else(&host, socket, &info.id).await?;
    }
    let steps = cx.term.steps();
    let id = match engine.inspect(NAME).await.map_err(engine_error)? {
        Some(it) if !container::is_ours(&it) => {
            let e = CommandError::user(format!("container {NAME} exists and is not locket's"));
            return Err(e.hint("remove or rename it"));
        }
        Some(it)
            if it.state.status == Status::Running && container::is_same(&it, &image, &needs) =>
        {
            let client = answers(&host, &it.id, &info.id).await?;
            cx.term.info("the controller is installed already");
            listens(&client, &config, cx).await;
            return Ok(ExitCode::SUCCESS);
        }
        found => {
            steps.step("making the controller's container");
            let id = made(engine, &container::spec(&image, &needs)).await?;
            if let Some(it) = found {
                steps.step("stopping the controller that is there");
                stop(engine, &it).await?;
                engine.remove(&it.id, true).await.map_err(engine_error)?;
            }
            engine.rename(&id, NAME).await.map_err(engine_error)?;
            engine.start(&id).await.map_err(engine_error)?;
            id
        }
    };
    steps.step("waiting for the controller's answer");
    let client = answers(&host, &id, &info.id).await?;
    drop(steps);
    cx.term.info(format_args!(
        "the controller runs as container {NAME} and looks after this engine from now on"
    ));
    listens(&client, &config, cx).await;
    Ok(ExitCode::SUCCESS)
}

/// Makes the container under another name: the controller that is there stays until the engine has agreed to the new one.
async fn made(engine: &Engine, spec: &CreateContainer) -> Result<String> {
    let spec = CreateContainer {
        name: NEXT.to_owned(),
        ..spec.clone()
    };
    remove_next(engine).await?;
    engine.create(&spec).await.map_err(engine_error)
}

/// Removes what somebody has left who was interrupted in [`made`].
async fn remove_next(engine: &Engine) -> Result<()> {
    match engine.inspect(NEXT).await.map_err(engine_error)? {
        Some(it) if container::is_ours(&it) => {
            engine.remove(&it.id, true).await.map_err(engine_error)
        }
        Some(_) => {
            let e = CommandError::user(format!("container {NEXT} exists and is not locket's"));
            Err(e.hint("remove or rename it"))
        }
        None => Ok(()),
    }
}

/// Takes configuration and credential files to the engine; gives what is in force.
async fn configure(file: Option<&Path>, store: &LocalClient, cx: &Context) -> Result<HostConfig> {
    let file = file.map(|path| cx.dir.join(path));
    let text = file.as_deref().map(config::text).transpose()?;
    let config = match file.zip(text.clone()) {
        Some((path, text)) => {
            let named = (path.display().to_string(), text);
            config::with_grants(store, Some(named)).await?
        }
        None => config::read(store, None).await?,
    };
    let sources: Vec<&SourceSpec> = all_sources(&config).collect();
    let listen = config.listen.iter();
    let files = credentials::files(sources.iter().copied())
        .into_iter()
        .chain(listen.clone().flat_map(Listen::files));
    for path in credentials::copy(store, files).await? {
        // One that was copied before may well be gone here.
        cx.term.warn(format_args!(
            "the credential file {} cannot be read here, so it was not taken along",
            lines(&path)
        ));
    }
    let variables = sources.iter().filter_map(|source| variable(source));
    let of_listener = listen
        .flat_map(Listen::credentials)
        .filter_map(|it| match it {
            Credential::Env(name) => Some(name.as_str()),
            Credential::File(_) => None,
        });
    for name in variables.chain(of_listener) {
        cx.term.warn(format_args!(
            "the controller's container has no environment variable {}; name a file instead",
            lines(name)
        ));
    }
    if let Some(text) = text {
        // A controller that runs takes it over at once, so the files that it names are there by now.
        store
            .write_config(ConfigFile::Host, &text)
            .await
            .map_err(store_error)?;
    }
    Ok(config)
}

/// The host's, and those of compose files that are granted.
fn all_sources(config: &HostConfig) -> impl Iterator<Item = &SourceSpec> {
    let granted = config
        .grants
        .iter()
        .flat_map(|grant| &grant.sources)
        .filter_map(|allowed| match allowed {
            Allowed::Own(source) => Some(&**source),
            Allowed::Named(_) => None,
        });
    config.sources.values().chain(granted)
}

fn variable(source: &SourceSpec) -> Option<&str> {
    let (AuthSpec::Token(credential)
    | AuthSpec::Approle {
        secret_id: credential,
        ..
    }) = source.auth.as_ref()?;
    match credential {
        Credential::Env(name) => Some(name),
        Credential::File(_) => None,
    }
}

/// Folders of `file` sources.
fn roots(config: &HostConfig) -> impl Iterator<Item = &String> {
    all_sources(config)
        .filter(|s| s.kind == "file")
        .filter_map(|s| s.root.as_ref())
}

/// Whose grant names a folder that the host configuration does not.
fn grantee<'a>(config: &'a HostConfig, root: &String) -> Option<&'a str> {
    let names = |it: &SourceSpec| it.kind == "file" && it.root.as_ref() == Some(root);
    if config.sources.values().any(names) {
        return None;
    }
    let asks = |it: &&Grant| {
        let mut own = it.sources.iter();
        own.any(|it| matches!(it, Allowed::Own(it) if names(it)))
    };
    let grant = config.grants.iter().find(asks)?;
    grant.project.as_ref().map(ProjectName::as_str)
}

fn needs(
    config: &HostConfig,
    endpoint: &Endpoint,
    info: &EngineInfo,
    socket: Option<String>,
    is_there: impl Fn(&str) -> bool,
) -> Result<Needs> {
    let local = matches!(endpoint, Endpoint::Unix(_));
    // The engine refuses to mount a folder that was granted once and is gone.
    let roots: Vec<&String> = roots(config)
        .filter(|root| !local || is_there(root))
        .collect();
    if let Some(root) = roots.first().filter(|_| !local) {
        let e = CommandError::user(format!(
            "the engine is on another machine, so its controller cannot see {root}"
        ));
        return Err(e.hint(
            "`file` sources need a controller where the files are: run `controller run` there",
        ));
    }
    let socket = match (socket, endpoint) {
        (Some(path), _) => path,
        (None, Endpoint::Unix(path)) => path.display().to_string(),
        (None, _) if info.rootless => {
            let e = CommandError::user(
                "the engine on the other machine is rootless, and where its socket is cannot be told from here",
            );
            return Err(e.hint("name it: `--socket /run/user/UID/docker.sock`"));
        }
        (None, _) => DEFAULT_SOCKET.to_owned(),
    };
    let authorities = AUTHORITIES
        .into_iter()
        .find(|path| local && Path::new(path).exists());
    let mut read: Vec<String> = authorities
        .into_iter()
        .map(str::to_owned)
        .chain(roots.iter().map(|r| (*r).clone()))
        .collect();
    read.sort();
    read.dedup();
    Ok(Needs {
        socket,
        read,
        foreign_files: !roots.is_empty(),
    })
}

/// Refuses where a controller outside of a container looks after the engine: two of them would work against each other.
async fn nobody_else(host: &Arc<Host>, socket: PathBuf, engine: &str) -> Result<()> {
    let place = Place::Socket(socket);
    let named = place.to_string();
    match Client::new(place, Arc::clone(host)).answerer().await {
        Ok(it) if it.engine == engine => Err(CommandError::user(format!(
            "a controller on this machine ({}) looks after this engine already",
            lines(&named)
        ))
        .hint("end that `controller run`, and whatever starts it, then install; nothing is restarted for it")),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Tells if the controller does not listen where it should. It has the configuration in a moment.
async fn listens(client: &Client, config: &HostConfig, cx: &Context) {
    if config.listen.is_none() {
        return;
    }
    tokio::time::sleep(TAKEN_OVER).await;
    let settings = client.settings().await.unwrap_or_default();
    if let Some(why) = settings.listener_problem {
        cx.term.warn(format_args!("{}", lines(&unheard(&why))));
    }
}

/// Waits until the controller in this container answers: an installation that does not is none.
async fn answers(host: &Arc<Host>, container: &str, engine: &str) -> Result<Client> {
    let client = Client::new(Place::Container(container.to_owned()), Arc::clone(host));
    // Nothing where the engine does not answer, or where the container is gone.
    let restarts = async || {
        let it = host.engine.inspect(container).await.ok().flatten();
        it.map(|it| it.state.restart_count)
    };
    let before = restarts().await;
    let look = async {
        loop {
            if let Ok(it) = client.answerer().await {
                return Some(it.engine == engine);
            }
            if before.is_some() && restarts().await > before {
                return None;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let e = match tokio::time::timeout(START, look).await {
        Ok(Some(true)) => return Ok(client),
        Ok(Some(false)) => CommandError::user("the controller looks after another engine")
            .hint("name this engine's socket on its own machine: `--socket PATH`"),
        Ok(None) => CommandError::user("the controller ends as soon as it is started"),
        Err(_) => CommandError::user(format!(
            "the controller does not answer after {} s",
            START.as_secs()
        )),
    };
    Err(e.hint("`docker locket controller logs` says why"))
}

/// Stops the controller's container, so that it can end what it has begun: one of an earlier version may say less for itself.
async fn stop(engine: &Engine, it: &Container) -> Result<()> {
    let grace = it.stop_grace.unwrap_or_default().max(container::GRACE);
    engine
        .stop(&it.id, Some(grace))
        .await
        .map_err(engine_error)?;
    Ok(())
}

/// Runs `uninstall`.
///
/// # Errors
/// The engine refuses, or the container is not ours.
pub async fn uninstall(cx: &Context) -> Result<ExitCode> {
    let host = cx.host().await?;
    remove_next(&host.engine).await?;
    let Some(it) = host.engine.inspect(NAME).await.map_err(engine_error)? else {
        cx.term.info("no controller is installed");
        return Ok(ExitCode::SUCCESS);
    };
    if !container::is_ours(&it) {
        return Err(CommandError::user(format!(
            "container {NAME} is not locket's; it is left alone"
        )));
    }
    stop(&host.engine, &it).await?;
    host.engine
        .remove(&it.id, true)
        .await
        .map_err(engine_error)?;
    // One that a container still mounts stays: it could not start again without it.
    match host.engine.remove_volume(shim::VOLUME, false).await {
        Err(e) if !e.is_conflict() => return Err(engine_error(e)),
        _ => {}
    }
    cx.term.info("the controller is removed; what was delivered stays, later changes arrive by `docker locket apply`");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(rootless: bool) -> EngineInfo {
        EngineInfo {
            rootless,
            os_type: "linux".into(),
            arch: "x86_64".into(),
            ..EngineInfo::default()
        }
    }

    #[test]
    fn a_folder_that_only_a_grant_names_has_an_owner() {
        let text = "sources: { f: { type: file, root: /srv/ours } }\n\
                    grants:\n\
                    \x20 - { project: shop, sources: [{ type: file, root: /srv/ours }, { type: file, root: /srv/theirs }] }\n";
        let config = HostConfig::parse("locket.yaml", text).unwrap();
        let of = |root: &str| grantee(&config, &root.to_owned());
        assert_eq!((of("/srv/ours"), of("/srv/theirs")), (None, Some("shop")));
    }

    #[test]
    fn the_surroundings_depend_on_where_the_engine_is() {
        let config = HostConfig::parse(
            "locket.yaml",
            "sources: { f: { type: file, root: /srv/secrets } }\n",
        )
        .unwrap();
        let here = Endpoint::Unix("/run/user/7/docker.sock".into());
        let there = Endpoint::DialStdio {
            command: vec!["docker".into()],
        };
        let it = needs(&config, &here, &info(true), None, |_| true).unwrap();
        assert_eq!(it.socket, "/run/user/7/docker.sock");
        assert!(it.foreign_files && it.read.contains(&"/srv/secrets".to_owned()));
        assert!(
            needs(&config, &there, &info(false), None, |_| true)
                .unwrap_err()
                .message
                .contains("/srv/secrets")
        );
        let none = HostConfig::default();
        assert_eq!(
            needs(&none, &there, &info(false), None, |_| true).unwrap(),
            Needs {
                socket: DEFAULT_SOCKET.into(),
                ..Needs::default()
            }
        );
        assert!(
            needs(&none, &there, &info(true), None, |_| true)
                .unwrap_err()
                .message
                .contains("rootless")
        );
        assert_eq!(
            needs(&none, &there, &info(true), Some("/x".into()), |_| true)
                .unwrap()
                .socket,
            "/x"
        );
    }
}
