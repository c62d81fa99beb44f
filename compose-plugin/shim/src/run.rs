//! The three things that the program is called for.

use std::ffi::{CString, OsString};
use std::io::Write as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use locket_delivery::layout::{GENERATION_VARIABLE, SHIM_VARIABLE, parse_seq};

use crate::args::{Command, Mode, parse};
use crate::config::{self, Config};
use crate::environ::{Environ, generation_entry};
use crate::exec::become_command;
use crate::failure::Failure;
use crate::gate::{Outcome, pass};
use crate::process::{INIT, started_with};
use crate::signals::{Inherited, Signal, ending, send_to_init};
use crate::volume::{Generation, current, numbered};
use crate::{EXIT_NO_GENERATION, EXIT_UNKNOWN, reap};

/// Does what the arguments say. Returns the exit code where nothing went wrong that a person should be told of.
pub(crate) fn run(argv: Vec<OsString>) -> Result<u8, Failure> {
    let own_name = argv.first().cloned().unwrap_or_default();
    let mode = parse(argv)?;
    let environ = Environ::inherited();
    let config = config::parse(environ.get(SHIM_VARIABLE).unwrap_or_default());
    match mode {
        Mode::Probe => probe(Path::new(INIT)),
        Mode::Signal(signal) => match send_to_init(signal) {
            Ok(()) => Ok(0),
            Err(e) => Err(Failure::new(
                EXIT_UNKNOWN,
                format!("the signal cannot be sent: {e}"),
            )),
        },
        Mode::WithEnv(command) => with_env(&command, &config?, &environ),
        Mode::Reap(command) => second_start(own_name, &command, &config?, &environ),
        Mode::Run(command) => {
            let config = config?;
            match config.reap {
                true => first_start(own_name, &command, &config, &environ),
                false => boot(&command, &config, &environ),
            }
        }
    }
}

/// Waits, and becomes the command.
fn boot(command: &Command, config: &Config, environ: &Environ) -> Result<u8, Failure> {
    let signals = Inherited::new();
    match wait(config, &signals)? {
        Outcome::Signalled(signal) => Ok(code(signal)),
        Outcome::Ready(generation) => Err(start(command, &generation, environ, &signals)),
    }
}

/// Waits, and starts this program anew with the generation in its environment, where `probe` finds it.
fn first_start(
    own_name: OsString,
    command: &Command,
    config: &Config,
    environ: &Environ,
) -> Result<u8, Failure> {
    let signals = Inherited::new();
    let generation = match wait(config, &signals)? {
        Outcome::Signalled(signal) => return Ok(code(signal)),
        Outcome::Ready(generation) => generation,
    };
    let entry = generation_entry(generation.seq);
    let own_name = CString::new(own_name.into_vec()).unwrap_or_default();
    reap::again(&own_name, command, &environ.for_init(&entry), &signals);
    let start = move |signals: &Inherited| start(command, &generation, environ, signals);
    reap::supervise(start, signals)
}

/// Starts the command under the init that stays, with the generation that the first start has found.
fn second_start(
    own_name: OsString,
    command: &Command,
    config: &Config,
    environ: &Environ,
) -> Result<u8, Failure> {
    let seq = environ.get(GENERATION_VARIABLE).and_then(parse_seq);
    match seq.and_then(|seq| numbered(&config.path, seq).ok()) {
        Some(generation) => {
            let start = move |signals: &Inherited| start(command, &generation, environ, signals);
            reap::supervise(start, Inherited::new())
        }
        // Swapped and pruned in that moment.
        None => first_start(own_name, command, config, environ),
    }
}

/// The gate. A signal that came while it opened still counts: it would be lost on a command that has set up nothing yet.
fn wait(config: &Config, signals: &Inherited) -> Result<Outcome, Failure> {
    let ending = signals.open(&ending());
    signals.block_also(&ending);
    let outcome = pass(config, &ending)?;
    Ok(ending.pending().map_or(outcome, Outcome::Signalled))
}

/// The variables that PID 1 has, or would be given now.
fn with_env(command: &Command, config: &Config, environ: &Environ) -> Result<u8, Failure> {
    let generation = generation_of(Path::new(INIT), config)?;
    Err(start(command, &generation, environ, &Inherited::new()))
}

/// What the process started with if that can be told and is still there, else what is current.
fn generation_of(process: &Path, config: &Config) -> Result<Generation, Failure> {
    let seq = started_with(process);
    if let Some(Ok(generation)) = seq.map(|seq| numbered(&config.path, seq)) {
        return Ok(generation);
    }
    current(&config.path).map_err(|absent| {
        let path = config.path.display();
        Failure::new(
            EXIT_NO_GENERATION,
            format!("no secrets in {path}: {absent}"),
        )
    })
}

/// Prints the generation of a process.
fn probe(process: &Path) -> Result<u8, Failure> {
    let unknown = |why: &str| Failure::new(EXIT_UNKNOWN, why);
    let seq = started_with(process)
        .ok_or_else(|| unknown("PID 1 does not tell with which generation it started"))?;
    let written = std::io::stdout().write_all(format!("{seq}\n").as_bytes());
    written.map_err(|_| unknown("nobody reads the answer"))?;
    Ok(0)
}

/// Becomes the command with a generation's variables. Comes back only with the reason why it could not.
fn start(
    command: &Command,
    generation: &Generation,
    environ: &Environ,
    signals: &Inherited,
) -> Failure {
    let entry = generation_entry(generation.seq);
    let env = environ.for_command(generation.variables.entries(), &entry);
    become_command(command, &env, signals)
}

/// The exit code of a process that a signal has ended, as shells and engines give it.
fn code(signal: Signal) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests write volumes by hand")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::process::tests::{end, started};

    fn publish(config: &Config, seq: u64) {
        let dir = config.path.join(format!(".locket/{seq}"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("env"), format!("KEY={seq}\0")).unwrap();
        let link = config.path.join("..data");
        let _ = fs::remove_file(&link);
        symlink(format!(".locket/{seq}"), link).unwrap();
    }

    #[test]
    fn a_health_check_sees_what_pid_1_started_with_as_long_as_it_is_there() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().into();
        let config = Config {
            path,
            ..Config::default()
        };
        let pid_1 = started(&[("LOCKET_GENERATION", "3")]);
        let process = format!("/proc/{}", pid_1.id());
        let chosen = |process: &str| {
            let it = generation_of(Path::new(process), &config);
            it.map(|g| g.seq).map_err(|f| (f.code, f.message))
        };
        let none = format!(
            "no secrets in {}: nothing was delivered yet",
            root.path().display()
        );
        assert_eq!(chosen(&process), Err((75, none)));
        for seq in 3..6 {
            publish(&config, seq);
            assert_eq!(chosen(&process), Ok(3), "{seq} is current");
            assert_eq!(chosen("/proc/0"), Ok(seq), "PID 1 cannot be asked");
        }
        fs::remove_dir_all(root.path().join(".locket/3")).unwrap();
        assert_eq!(chosen(&process), Ok(5), "its own generation is gone");
        end(pid_1);
    }
}
