//! `LOCKET_SHIM`: what the generated file says where a service differs from the defaults.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use locket_delivery::layout::{DEFAULT_PATH, SHIM_VARIABLE};

use crate::failure::Failure;

/// How long `run` waits unless told otherwise: an engine that starts gives its containers no order.
const WAIT: Duration = Duration::from_secs(120);
/// A wait has an end: whoever looks at the container must come to see a failure.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, PartialEq)]
pub(crate) struct Config {
    /// Where the service's volume is mounted.
    pub(crate) path: PathBuf,
    /// Stay as a reaping init.
    pub(crate) reap: bool,
    /// How long to wait for the first generation.
    pub(crate) wait: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: DEFAULT_PATH.into(),
            reap: false,
            wait: WAIT,
        }
    }
}

/// Reads the variable's text: `key=value` between semicolons. A key that is not known is refused rather than passed over,
/// because it may be the one that says where the secrets are.
pub(crate) fn parse(text: &[u8]) -> Result<Config, Failure> {
    let mut config = Config::default();
    let mut seen = Vec::new();
    for item in text.split(|b| *b == b';').map(<[u8]>::trim_ascii) {
        if item.is_empty() {
            continue;
        }
        let wrong = |why: &str| {
            let item = String::from_utf8_lossy(item);
            Failure::usage(format!("{SHIM_VARIABLE}: {item:?} {why}"))
        };
        let Some(at) = item.iter().position(|b| *b == b'=') else {
            return Err(wrong("is no key=value"));
        };
        let (key, value) = (&item[..at], &item[at + 1..]);
        if seen.contains(&key) {
            return Err(wrong("is given twice"));
        }
        seen.push(key);
        match key {
            b"path" if value.starts_with(b"/") => config.path = OsStr::from_bytes(value).into(),
            b"path" => return Err(wrong("is no absolute path")),
            b"init" if value == b"reap" => config.reap = true,
            b"init" if value == b"exec" => config.reap = false,
            b"init" => return Err(wrong("is neither exec nor reap")),
            b"wait" => {
                config.wait = duration(value).ok_or_else(|| {
                    wrong("is no duration such as 500ms, 120s or 5m, 24h at most")
                })?;
            }
            _ => return Err(wrong("has a key that is not known")),
        }
    }
    Ok(config)
}

/// A whole number with its unit.
fn duration(text: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(text).ok()?;
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let duration = Duration::from_millis(number.checked_mul(milliseconds)?);
    (duration <= LONGEST_WAIT).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_may_be_said_and_nothing_must() {
        assert_eq!(parse(b""), Ok(Config::default()));
        assert_eq!(
            parse(b"path=/etc/app;init=reap;wait=90s"),
            Ok(Config {
                path: "/etc/app".into(),
                reap: true,
                wait: Duration::from_secs(90),
            })
        );
        assert_eq!(
            parse(b" wait=0s ;; path=/a=b/\xff ;init=exec;").unwrap(),
            Config {
                path: OsStr::from_bytes(b"/a=b/\xff").into(),
                reap: false,
                wait: Duration::ZERO,
            }
        );
    }

    #[test]
    fn a_wait_has_a_unit_and_an_end() {
        let read = |text: &str| duration(text.as_bytes());
        assert_eq!(read("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(read("2m"), Some(Duration::from_secs(120)));
        assert_eq!(read("24h"), Some(LONGEST_WAIT));
        for bad in [
            "",
            "s",
            "1",
            "-1s",
            "+1s",
            "1.5s",
            "1 s",
            "25h",
            "1d",
            "99999999999999999999s",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (bad, why) in [
            ("path", "LOCKET_SHIM: \"path\" is no key=value"),
            ("path=etc", "LOCKET_SHIM: \"path=etc\" is no absolute path"),
            ("path=", "LOCKET_SHIM: \"path=\" is no absolute path"),
            (
                "init=tini",
                "LOCKET_SHIM: \"init=tini\" is neither exec nor reap",
            ),
            (
                "wiat=1s",
                "LOCKET_SHIM: \"wiat=1s\" has a key that is not known",
            ),
            (
                "init=reap;init=reap",
                "LOCKET_SHIM: \"init=reap\" is given twice",
            ),
            (
                "a\x1b[2J=",
                "LOCKET_SHIM: \"a\\u{1b}[2J=\" has a key that is not known",
            ),
        ] {
            assert_eq!(parse(bad.as_bytes()), Err(Failure::usage(why)), "{bad}");
        }
        assert!(
            parse(b"wait=soon")
                .unwrap_err()
                .message
                .contains("is no duration")
        );
    }
}
