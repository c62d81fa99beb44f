//! What the arguments ask for.

use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::OsStringExt as _;

use crate::failure::Failure;
use crate::signals::{Signal, by_name};

/// A program and its arguments; never empty.
pub(crate) type Command = Vec<CString>;

/// The argument with which the reaping init starts itself anew.
pub(crate) const REAP: &CStr = c"reap";

#[derive(Debug, PartialEq)]
pub(crate) enum Mode {
    /// Wait for a generation and become the command.
    Run(Command),
    /// The second start of the reaping init: the generation is in its environment.
    Reap(Command),
    /// Become the command with the variables that PID 1 has.
    WithEnv(Command),
    /// Tell the generation of PID 1.
    Probe,
    /// Send PID 1 a signal.
    Signal(Signal),
}

/// Reads the argument vector. Docker always puts `--` before the container's command, so a command that is called like one
/// of our modes is still the container's.
pub(crate) fn parse(argv: Vec<OsString>) -> Result<Mode, Failure> {
    let mut rest = Vec::new();
    for arg in argv.into_iter().skip(1) {
        let arg = CString::new(arg.into_vec());
        rest.push(arg.map_err(|_| Failure::usage("an argument holds a NUL"))?);
    }
    let first = rest.first().map(|arg| arg.as_bytes());
    match first {
        Some(b"probe") if rest.len() == 1 => Ok(Mode::Probe),
        Some(b"probe") => Err(Failure::usage("probe takes no arguments")),
        Some(b"signal") => match rest.as_slice() {
            [_, name] => match name.to_str().ok().and_then(by_name) {
                Some(signal) => Ok(Mode::Signal(signal)),
                None => Err(Failure::usage("signal takes a name such as HUP")),
            },
            _ => Err(Failure::usage("signal takes one name")),
        },
        Some(b"with-env") => Ok(Mode::WithEnv(command(rest.split_off(1))?)),
        Some(word) if word == REAP.to_bytes() => Ok(Mode::Reap(command(rest.split_off(1))?)),
        _ => Ok(Mode::Run(command(rest)?)),
    }
}

/// The command behind `--`. Options of the init that we stand in for are passed over: the engine passes none today.
fn command(mut args: Vec<CString>) -> Result<Command, Failure> {
    let is_option = |arg: &CString| arg.as_bytes().starts_with(b"-");
    if args.first().is_some_and(is_option) {
        match args.iter().position(|arg| arg.as_bytes() == b"--") {
            Some(at) => drop(args.drain(..=at)),
            None => return Err(Failure::usage("there is no -- before the command")),
        }
    }
    match args.is_empty() {
        true => Err(Failure::usage("there is no command to run")),
        false => Ok(args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(args: &[&str]) -> Result<Mode, String> {
        let argv = [&["/sbin/docker-init"], args].concat();
        parse(argv.iter().map(OsString::from).collect()).map_err(|f| {
            assert_eq!(f.code, crate::EXIT_USAGE);
            f.message
        })
    }

    fn words(words: &[&str]) -> Command {
        words.iter().map(|w| CString::new(*w).unwrap()).collect()
    }

    #[test]
    fn the_first_word_chooses_the_mode() {
        assert_eq!(
            mode(&["--", "a", "-b", "--"]),
            Ok(Mode::Run(words(&["a", "-b", "--"])))
        );
        assert_eq!(
            mode(&["a", "--", "b"]),
            Ok(Mode::Run(words(&["a", "--", "b"])))
        );
        assert_eq!(
            mode(&["with-env", "--", "sh", "-c", "x"]),
            Ok(Mode::WithEnv(words(&["sh", "-c", "x"])))
        );
        assert_eq!(mode(&["with-env", "sh"]), Ok(Mode::WithEnv(words(&["sh"]))));
        assert_eq!(mode(&["reap", "--", "a"]), Ok(Mode::Reap(words(&["a"]))));
        assert_eq!(mode(&["probe"]), Ok(Mode::Probe));
        assert_eq!(mode(&["signal", "HUP"]), Ok(Mode::Signal(1)));
    }

    #[test]
    fn behind_the_dashes_everything_is_the_containers() {
        for word in ["with-env", "probe", "signal", "reap", "--", "-s"] {
            assert_eq!(mode(&["--", word, "x"]), Ok(Mode::Run(words(&[word, "x"]))));
        }
        assert_eq!(
            mode(&["-s", "-e", "143", "--", "a"]),
            Ok(Mode::Run(words(&["a"])))
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for args in [&[][..], &["--"], &["with-env"], &["with-env", "--"]] {
            assert_eq!(
                mode(args),
                Err("there is no command to run".into()),
                "{args:?}"
            );
        }
        assert_eq!(
            mode(&["-s", "a"]),
            Err("there is no -- before the command".into())
        );
        assert_eq!(
            mode(&["probe", "1"]),
            Err("probe takes no arguments".into())
        );
        for args in [
            &["signal"][..],
            &["signal", "KILL"],
            &["signal", "HUP", "1"],
        ] {
            assert!(mode(args).is_err(), "{args:?}");
        }
        assert_eq!(mode(&["--", "a\0b"]), Err("an argument holds a NUL".into()));
        assert!(parse(Vec::new()).is_err());
    }
}
