//! Which of its roles this program plays, and the roles that need nothing set up.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use crate::context::{Surroundings, socket_path};
use crate::{cli, gate};

/// The name under which the engine starts PID 1 of a container with `init: true`.
const SHIM: &str = "docker-init";
/// Where the volume `locket-state` is mounted in the store's container.
const STORE: &str = "/s";
/// The key's own volume, where there is one.
const KEY: &str = "/k";

/// Plays the role that name and first argument name. What runs inside containers comes first and sets nothing up.
pub fn dispatch(argv: Vec<OsString>) -> ExitCode {
    let name = argv
        .first()
        .map(Path::new)
        .and_then(Path::file_name)
        .unwrap_or_default();
    if name == SHIM {
        // The application takes its place and keeps whatever is set here, so nothing is.
        return locket_shim::main(argv);
    }
    undumpable();
    let first = argv
        .get(1)
        .map(OsString::as_os_str)
        .and_then(OsStr::to_str)
        .unwrap_or_default();
    match first {
        "anchor" => locket_delivery::anchor::idle(),
        "anchor-session" => locket_delivery::session::run(),
        "store" => match locket_providers::local::session::idle(Path::new(STORE)) {
            Ok(lock) => {
                // Held until the very end.
                std::mem::forget(lock);
                told(Ok(()))
            }
            Err(e) => told(Err(e)),
        },
        "store-session" => told(store_session()),
        "api" => told(bridge(&socket_path(&Surroundings::take().env))),
        "--version" | "-V" => told(say(concat!("locket ", env!("CARGO_PKG_VERSION")))),
        "docker-cli-plugin-metadata" => told(say(METADATA)),
        _ => {
            quiet_panics();
            // Chosen once: the other crates leave it to the process. It fails only if it was chosen already.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let words = argv
                .iter()
                .skip(1)
                .map(|w| w.to_string_lossy().into_owned())
                .collect();
            match first {
                "compose" => gate::main(words, Surroundings::take()),
                _ => cli::main(name == "docker-locket", words, Surroundings::take()),
            }
        }
    }
}

/// What the docker CLI wants to know of a plugin: <https://github.com/docker/cli/blob/master/cli-plugins/metadata/metadata.go>.
const METADATA: &str = concat!(
    r#"{"SchemaVersion":"0.1.0","Vendor":"Locket","Version":""#,
    env!("CARGO_PKG_VERSION"),
    r#"","ShortDescription":"Secrets for Docker Compose"}"#
);

fn say(line: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn told(end: io::Result<()>) -> ExitCode {
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // Nobody may be listening any more.
            let _ = writeln!(io::stderr(), "{e}");
            ExitCode::FAILURE
        }
    }
}

/// A panic's own text may quote what was at hand: only the place is told, and nothing on standard output.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        // Nobody may be listening any more.
        let _ = writeln!(
            io::stderr(),
            "locket has failed at {place}; please report this"
        );
    }));
}

/// Standard input and output as they are: the buffer of `std::io::Stdin` would keep a copy of values.
fn streams() -> io::Result<(File, File)> {
    let own = |fd: io::Result<std::os::fd::OwnedFd>| fd.map(File::from);
    Ok((
        own(io::stdin().as_fd().try_clone_to_owned())?,
        own(io::stdout().as_fd().try_clone_to_owned())?,
    ))
}

/// No dump of this process, and no look into its memory by others of its user: values pass through all of these roles.
///
/// The engine starts the applications, so they get nothing of this. What we start ourselves (the docker CLI) may leave no
/// dump either: it interpolates, and is told what `setenv` says.
fn undumpable() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit};
    // Best effort: a kernel that refuses it is no reason to do nothing at all.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let limit = Rlimit {
        current: Some(0),
        ..getrlimit(Resource::Core)
    };
    let _ = rustix::process::setrlimit(Resource::Core, limit);
}

fn store_session() -> io::Result<()> {
    let (input, output) = streams()?;
    let key = Some(Path::new(KEY)).filter(|it| it.is_dir());
    locket_providers::local::session::serve(Path::new(STORE), key, input, output)
}

/// Joins standard input and output with the controller's socket: how a controller in a container is reached.
fn bridge(socket: &Path) -> io::Result<()> {
    let stream = UnixStream::connect(socket)?;
    let (mut input, mut output) = streams()?;
    let mut to = stream.try_clone()?;
    std::thread::spawn(move || {
        // Its end is told to the other side; what comes back from there ends this process.
        let _ = pump(&mut input, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut from = stream;
    match pump(&mut from, &mut output) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Passes on what comes as soon as it comes. `std::io::copy` would let the kernel splice, which holds bytes back until
/// the other side closes.
fn pump(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    // Values of `via: compose` pass through here.
    let mut buffer = zeroize::Zeroizing::new(vec![0; 64 << 10]);
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        to.write_all(&buffer[..n])?;
        to.flush()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_passed_on_while_both_sides_stay_open() {
        let (mut near, mut from) = UnixStream::pair().unwrap();
        let (read, write) = rustix::pipe::pipe().unwrap();
        std::thread::spawn(move || pump(&mut from, &mut File::from(write)));
        let mut read = File::from(read);
        for word in [b"one", b"two"] {
            near.write_all(word).unwrap();
            let mut got = [0; 3];
            read.read_exact(&mut got).unwrap();
            assert_eq!(&got, word);
        }
    }

    #[test]
    fn the_plugin_metadata_is_what_docker_reads() {
        let it: serde_json::Value = serde_json::from_str(METADATA).unwrap();
        assert_eq!(it["SchemaVersion"], "0.1.0");
        assert_eq!(it["Version"], env!("CARGO_PKG_VERSION"));
        assert!(!it["Vendor"].as_str().unwrap().is_empty());
    }
}
