//! The user's, or the system's, wish that this process end.

use std::collections::BTreeMap;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream as StdStream};

use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{CommandError, Result};

/// Where the docker CLI tells its plugins to end: a socket that it closes when it gets a signal itself.
/// Source: <https://github.com/docker/cli/blob/v28.0.0/cli-plugins/socket/socket.go>.
const CLI_SOCKET: &str = "DOCKER_CLI_PLUGIN_SOCKET";

/// Ready at SIGTERM or SIGINT, or when the docker CLI that started this process gets one: it does not pass them on.
/// They are caught from the call on, for as long as the process lives: none of them ends it any more.
///
/// # Errors
/// The system refuses.
pub fn ending(env: &BTreeMap<String, String>) -> Result<impl Future<Output = ()> + use<>> {
    let catch = |kind| {
        signal(kind).map_err(|e| CommandError::internal("signals cannot be caught").because(e))
    };
    let (mut term, mut int) = (
        catch(SignalKind::terminate())?,
        catch(SignalKind::interrupt())?,
    );
    let cli = env.get(CLI_SOCKET).and_then(|name| cli(name));
    Ok(async move {
        let closed = async {
            match cli {
                Some(stream) => at_end(stream).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            () = closed => {}
        }
    })
}

/// The docker CLI's socket, if it is there. Its name is one of the abstract ones, `@docker_cli_…`.
fn cli(name: &str) -> Option<UnixStream> {
    let name = name.strip_prefix('@')?;
    let address = SocketAddr::from_abstract_name(name).ok()?;
    let stream = StdStream::connect_addr(&address).ok()?;
    stream.set_nonblocking(true).ok()?;
    UnixStream::from_std(stream).ok()
}

async fn at_end(mut stream: UnixStream) {
    let mut buffer = [0; 64];
    // Nothing is said on it; what matters is its end.
    while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn the_docker_cli_closes_its_socket() {
        let name = format!("docker_cli_test_{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
        let stream = cli(&format!("@{name}")).unwrap();
        let mut end = std::pin::pin!(at_end(stream));
        let (theirs, _) = listener.accept().unwrap();
        let soon = std::time::Duration::from_millis(50);
        assert!(tokio::time::timeout(soon, &mut end).await.is_err());
        drop(theirs);
        end.await;
        assert!(cli("").is_none() && cli("@nobody").is_none());
    }

    #[tokio::test]
    async fn a_signal_is_a_wish_and_not_the_end() {
        for kind in [Signal::INT, Signal::TERM] {
            let ending = ending(&BTreeMap::new()).unwrap();
            kill_process(getpid(), kind).unwrap();
            ending.await;
        }
    }
}
