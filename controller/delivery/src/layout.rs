//! Names on a service's volume and the rules for paths. `<root>` is the volume, mounted at `/run/secrets` unless the user says otherwise.
//!
//! ```text
//! <root>/..data               -> .locket/7               the only name that decides what is current
//! <root>/db_password          -> ..data/files/db_password
//! <root>/tls/key.pem          -> ../..data/files/tls/key.pem
//! <root>/app.ini              a file of its own, for the update modes rename and inplace
//! <root>/.locket/7/files/…    the files, with their final owner and mode
//! <root>/.locket/7/env        KEY=value NUL KEY=value NUL …, 0444
//! <root>/.locket/7/manifest   targets, owners, modes, update modes; root only
//! <root>/.locket/log          the generation log; root only
//! ```

/// Our directory on the volume.
pub const HOME: &str = ".locket";
/// The link to the current generation.
pub const CURRENT: &str = "..data";
/// The files of a generation, beneath its directory.
pub const FILES: &str = "files";
/// The variables of a generation, beneath its directory.
pub const ENV: &str = "env";
/// Targets, owners and modes of a generation, beneath its directory.
pub const MANIFEST: &str = "manifest";
/// The generation log.
pub const LOG: &str = ".locket/log";
/// A generation that is being written.
pub(crate) const NEW: &str = ".locket/new";
/// A log that is about to be renamed to its name.
pub(crate) const NEW_LOG: &str = ".locket/log.new";
/// What is about to be renamed to its name. There from the first to the last step of a publish, so that its leftovers are noticed.
pub(crate) const STAGE: &str = ".locket/stage";

/// Where the shim finds itself in a container, and the program's path in the project volume is [`SHIM_FILE`].
pub const SHIM_PATH: &str = "/sbin/docker-init";
/// The shim program in the project volume.
pub const SHIM_FILE: &str = "shim/docker-init";
/// Where a service's volume is mounted by default.
pub const DEFAULT_PATH: &str = "/run/secrets";
/// The variable that configures the shim; it never reaches the program.
pub const SHIM_VARIABLE: &str = "LOCKET_SHIM";
/// The variable that says with which generation a process started.
pub const GENERATION_VARIABLE: &str = "LOCKET_GENERATION";

/// Bytes of `KEY=value` with its NUL: the kernel's `MAX_ARG_STRLEN`, <https://man7.org/linux/man-pages/man2/execve.2.html>.
pub const ENV_LIMIT: usize = 131_072;
/// Bytes of one path component: `NAME_MAX`.
const NAME_LIMIT: usize = 255;
/// Bytes of a target; leaves room for the mount point and our own directories below `PATH_MAX`.
pub(crate) const PATH_LIMIT: usize = 2048;

/// Directory of a generation, relative to the volume.
pub fn generation_dir(seq: u64) -> String {
    format!("{HOME}/{seq}")
}

/// The sequence number in the text of the [`CURRENT`] link; `None` when it is not one of ours.
pub fn parse_current(link: &[u8]) -> Option<u64> {
    parse_seq(link.strip_prefix(b".locket/")?)
}

/// A sequence number as the name of a directory: decimal, at least 1, no leading zero.
pub fn parse_seq(name: &[u8]) -> Option<u64> {
    let digits = !name.starts_with(b"0") && name.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(name).ok()?.parse().ok())?
}

/// The text of the link at `target`: as many steps up as the target is deep, then through [`CURRENT`].
pub fn link_text(target: &str) -> String {
    let up = "../".repeat(target.matches('/').count());
    format!("{up}{CURRENT}/{FILES}/{target}")
}

/// True for a path that a file may be delivered at: relative, plain components, none of our own names at its start.
pub fn is_target(path: &str) -> bool {
    let plain = |c: &str| !c.is_empty() && c != "." && c != ".." && c.len() <= NAME_LIMIT;
    let own = |c: &str| c == HOME || c == CURRENT;
    path.len() <= PATH_LIMIT
        && !path.contains('\0')
        && path.split('/').all(plain)
        && !path.split('/').next().is_some_and(own)
}

/// True for a name that compose takes for a service: one path component.
pub fn is_service(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=NAME_LIMIT).contains(&name.len())
        && name.bytes().all(plain)
        && name.bytes().any(|b| b != b'.')
}

/// True for the name of a state file: `[a-z0-9._-]`, 64 at most, no dot at its start.
pub fn is_state_name(name: &str) -> bool {
    let plain =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    (1..=64).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}

/// True for the name of a variable: no `=`, no NUL, not empty, none that the shim itself uses.
pub fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(['=', '\0'])
        && !matches!(name, SHIM_VARIABLE | GENERATION_VARIABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_stay_on_the_volume_and_off_our_names_are_targets() {
        for good in [
            "a",
            "a/b/c",
            "..a",
            ".a",
            "..data2",
            "a/..data",
            "a/.locket",
            "ä b",
        ] {
            assert!(is_target(good), "{good}");
        }
        let long = "x".repeat(256);
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "./a",
            "..data",
            "..data/x",
            ".locket",
            ".locket/7/env",
            "a\0b",
            &long,
        ] {
            assert!(!is_target(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_link_goes_up_as_far_as_it_is_deep() {
        assert_eq!(link_text("a"), "..data/files/a");
        assert_eq!(link_text("a/b/c"), "../../..data/files/a/b/c");
    }

    #[test]
    fn a_sequence_number_has_one_spelling() {
        assert_eq!(parse_current(b".locket/17"), Some(17));
        for bad in [
            ".locket/017",
            ".locket/",
            ".locket/0",
            ".locket/-1",
            ".locket/+1",
            "17",
            ".locket/1/x",
            ".locket/99999999999999999999",
        ] {
            assert_eq!(parse_current(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn names_are_one_plain_component() {
        assert!(
            is_service("api-1.x_Y") && is_state_name("spec.json") && is_variable("DB_PASSWORD")
        );
        for bad in ["", ".", "..", "a/b", "a b", "ä", "a\0"] {
            assert!(!is_service(bad) && !is_state_name(bad), "{bad:?}");
        }
        assert!(!is_state_name(".tmp") && !is_state_name("A"));
        for bad in ["", "A=B", "A\0", "LOCKET_SHIM", "LOCKET_GENERATION"] {
            assert!(!is_variable(bad), "{bad:?}");
        }
    }
}
