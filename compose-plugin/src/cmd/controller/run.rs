//! `controller run`: this process becomes the controller.

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use locket_controller::own::shim;
use locket_controller::process::{Settings, run as run_controller};
use locket_engine::Endpoint;
use tokio::net::{UnixListener, UnixStream};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::Reload;
use crate::context::{Context, VERSION, now, socket_path};
use crate::error::{CommandError, Result};
use crate::{heap, signals};

/// Arguments of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Host configuration (locket.yaml), instead of the one that is kept on the engine
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the API listens; default $LOCKET_SOCKET, /run/locket/controller.sock for root, else below $XDG_RUNTIME_DIR
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// How it logs, to standard error
    #[arg(long, value_enum, default_value_t = Format::Text)]
    log_format: Format,
    /// From which level on: error, warn, info, debug, trace; or a filter such as `info,locket_runtime=debug`
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for people
    Text,
    /// A JSON object a line
    Json,
}

/// Runs it, until SIGTERM or SIGINT.
///
/// # Errors
/// The engine does not answer at the start, the socket cannot be made, the configuration is broken.
pub async fn run(args: RunArgs, cx: &Context) -> Result<ExitCode> {
    heap::give_back_large_blocks();
    log(args.log_format, &args.log_level, cx)?;
    let stop = signals::ending(&cx.env)?;
    let host = cx.host().await?;
    // Inside of its container the controller is the first process.
    let elsewhere = std::process::id() != 1;
    let running = locket_controller::own::controller::running(&host).await;
    if let Ok(Some(_)) = running
        && elsewhere
    {
        return Err(CommandError::user(
            "a controller in the container locket-controller looks after this engine already",
        )
        .hint("`docker locket controller uninstall` removes it; nothing is restarted for it"));
    }
    let path = args
        .socket
        .map_or_else(|| socket_path(&cx.env), |path| cx.dir.join(path));
    let group = match cx.endpoint()? {
        Endpoint::Unix(engine) => std::fs::metadata(engine).ok().map(|meta| meta.gid()),
        _ => None,
    };
    let listener = listen(&path, group).await?;
    let opener = cx.controller_opener().await?;
    let config = args.config.map(|file| cx.dir.join(file));
    let settings = Settings {
        host,
        opener: Arc::clone(&opener) as _,
        configure: Arc::new(Reload::new(cx.store().await?, config, opener)),
        listener,
        holder: format!(
            "the controller on {}, at {}",
            rustix::system::uname().nodename().to_string_lossy(),
            path.display()
        ),
        version: VERSION.to_owned(),
        seed: now().0 ^ u64::from(std::process::id()),
        clock: Arc::new(|| now().0 / 1000),
    };
    let prepared = Arc::clone(&settings.host);
    tokio::spawn(async move {
        if let Err(e) = shim::prepare(&prepared, shim::Other::Replace).await {
            let error = &e as &dyn std::error::Error;
            tracing::warn!(
                error,
                "The shim of containers without a gate is not prepared"
            );
        }
    });
    let end = run_controller(settings, stop).await;
    remove(&path);
    end?;
    Ok(ExitCode::SUCCESS)
}

fn log(format: Format, level: &str, cx: &Context) -> Result<()> {
    let level = cx
        .env
        .get("LOCKET_LOG")
        .filter(|l| !l.is_empty())
        .map_or(level, String::as_str);
    let filter: Targets = level
        .parse()
        .map_err(|e| CommandError::user(format!("{level:?} is no log level")).because(e))?;
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(cx.term.color());
    let registry = tracing_subscriber::registry();
    let started = match format {
        Format::Text => registry.with(layer.with_filter(filter)).try_init(),
        Format::Json => {
            let layer = layer.json().flatten_event(true);
            registry.with(layer.with_filter(filter)).try_init()
        }
    };
    started.map_err(|e| CommandError::internal("the log cannot be started").because(e))
}

/// Listens at a path. Who may use the engine may ask the controller: `group` is that of the engine's socket. The kernel lets nobody
/// else connect; a look at the peer's credentials would tell no more than that, so there is none.
async fn listen(path: &Path, group: Option<u32>) -> Result<UnixListener> {
    let failed = |e: io::Error| {
        CommandError::user(format!(
            "the controller cannot listen at {}",
            path.display()
        ))
        .because(e)
    };
    directory(path).map_err(failed)?;
    if UnixStream::connect(path).await.is_ok() {
        return Err(CommandError::user(format!(
            "a controller listens at {} already",
            path.display()
        )));
    }
    // What is left of one that was killed.
    remove(path);
    // Nobody else may connect before owner and mode are right.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = listener.map_err(failed)?;
    let Some(group) = group else {
        return Ok(listener);
    };
    match std::os::unix::fs::chown(path, None, Some(group)) {
        Ok(()) => std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))
            .map_err(failed)?,
        Err(e) => tracing::warn!(
            error = &e as &dyn std::error::Error,
            "Only this user can ask the controller"
        ),
    }
    Ok(listener)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the folder of a socket holds nothing that somebody has written"
)]
fn directory(socket: &Path) -> io::Result<()> {
    socket.parent().map_or(Ok(()), std::fs::create_dir_all)
}

/// Removes the socket, if it is one.
#[expect(
    clippy::disallowed_methods,
    reason = "a socket is not what somebody has written"
)]
fn remove(path: &Path) {
    use std::os::unix::fs::FileTypeExt as _;
    if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        // Where it cannot be removed, bind says so.
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_nobody_serves_is_replaced_and_one_that_is_served_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("below/controller.sock");
        let group = std::fs::metadata(dir.path()).unwrap().gid();
        let first = listen(&path, Some(group)).await.unwrap();
        let meta = std::fs::metadata(&path).unwrap();
        assert_eq!((meta.mode() & 0o777, meta.gid()), (0o660, group));
        assert!(
            listen(&path, None)
                .await
                .unwrap_err()
                .message
                .contains("already")
        );
        drop(first);
        let second = listen(&path, None).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        drop(second);
        remove(&path);
        assert!(!path.exists());
        std::fs::write(&path, "a file").unwrap();
        remove(&path);
        assert!(path.exists(), "only sockets are removed");
    }
}
