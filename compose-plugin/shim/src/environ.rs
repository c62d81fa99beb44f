//! The inherited environment, and what becomes of it.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStringExt as _;

use locket_delivery::layout::{GENERATION_VARIABLE, SHIM_VARIABLE};

/// `NAME=value` each, in the order in which they were inherited.
pub(crate) struct Environ(Vec<CString>);

impl Environ {
    /// The environment of this process.
    #[allow(
        clippy::disallowed_methods,
        reason = "the edge of this program: the one place that reads the environment"
    )]
    pub(crate) fn inherited() -> Self {
        Self::new(std::env::vars_os().map(|(name, value)| {
            let mut entry = name.into_vec();
            entry.push(b'=');
            entry.extend(value.into_vec());
            entry
        }))
    }

    fn new(entries: impl Iterator<Item = Vec<u8>>) -> Self {
        // The kernel ends an entry at its NUL, so there is none in it.
        Self(entries.filter_map(|e| CString::new(e).ok()).collect())
    }

    /// The value of the first entry of that name, which is the one that `getenv` finds.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        get(self.0.iter().map(CString::as_c_str), name)
    }

    /// The environment of the command: what was inherited, `variables` over it, and `generation` (`LOCKET_GENERATION=…`).
    /// Our own configuration is not the command's business.
    pub(crate) fn for_command<'a>(
        &'a self,
        variables: impl Iterator<Item = &'a CStr>,
        generation: &'a CStr,
    ) -> Vec<&'a CStr> {
        let variables: Vec<&CStr> = variables.collect();
        let mut replaced: Vec<&[u8]> = variables.iter().map(|v| name(v)).collect();
        replaced.extend([SHIM_VARIABLE.as_bytes(), GENERATION_VARIABLE.as_bytes()]);
        self.with(&mut replaced, variables, generation)
    }

    /// The environment of the reaping init itself: what was inherited, and `generation`.
    pub(crate) fn for_init<'a>(&'a self, generation: &'a CStr) -> Vec<&'a CStr> {
        self.with(
            &mut [GENERATION_VARIABLE.as_bytes()],
            Vec::new(),
            generation,
        )
    }

    fn with<'a>(
        &'a self,
        replaced: &mut [&[u8]],
        variables: Vec<&'a CStr>,
        generation: &'a CStr,
    ) -> Vec<&'a CStr> {
        replaced.sort_unstable();
        let kept = self.0.iter().map(CString::as_c_str);
        kept.filter(|entry| replaced.binary_search(&name(entry)).is_err())
            .chain(variables)
            .chain([generation])
            .collect()
    }
}

/// The value of the first entry of that name in an environment.
pub(crate) fn get<'a>(entries: impl Iterator<Item = &'a CStr>, name: &str) -> Option<&'a [u8]> {
    let value = |entry: &'a CStr| {
        let rest = entry.to_bytes().strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=")
    };
    entries.into_iter().find_map(value)
}

/// `LOCKET_GENERATION=<seq>`.
pub(crate) fn generation_entry(seq: u64) -> CString {
    CString::new(format!("{GENERATION_VARIABLE}={seq}")).expect("digits hold no NUL")
}

fn name(entry: &CStr) -> &[u8] {
    let bytes = entry.to_bytes();
    bytes.split(|b| *b == b'=').next().unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environ(entries: &[&str]) -> Environ {
        Environ::new(entries.iter().map(|e| e.as_bytes().to_vec()))
    }

    fn merged(inherited: &[&str], variables: &[&str]) -> Vec<String> {
        let variables: Vec<CString> = variables
            .iter()
            .map(|v| CString::new(*v).unwrap())
            .collect();
        let environ = environ(inherited);
        let seq = generation_entry(7);
        let all = environ.for_command(variables.iter().map(CString::as_c_str), &seq);
        all.iter().map(|e| e.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_generations_variable_wins_and_the_rest_stays_as_it_was() {
        assert_eq!(
            merged(
                &[
                    "PATH=/bin",
                    "B=old",
                    "EMPTY=",
                    "A=1",
                    "B=older",
                    "BB=x",
                    "A=2"
                ],
                &["B=new=er", "C=\n"]
            ),
            [
                "PATH=/bin",
                "EMPTY=",
                "A=1",
                "BB=x",
                "A=2",
                "B=new=er",
                "C=\n",
                "LOCKET_GENERATION=7"
            ]
        );
    }

    #[test]
    fn our_own_variables_are_never_inherited() {
        assert_eq!(
            merged(
                &[
                    "LOCKET_SHIM=init=reap",
                    "LOCKET_GENERATION=3",
                    "LOCKET_SHIMS=x",
                    "LOCKET_GENERATION=4"
                ],
                &[]
            ),
            ["LOCKET_SHIMS=x", "LOCKET_GENERATION=7"]
        );
        let environ = environ(&["LOCKET_SHIM=init=reap", "LOCKET_GENERATION=3"]);
        assert_eq!(
            environ.for_init(&generation_entry(9)),
            [c"LOCKET_SHIM=init=reap", c"LOCKET_GENERATION=9"],
            "the init still needs its configuration"
        );
    }

    #[test]
    fn a_value_is_looked_up_as_getenv_does() {
        let environ = environ(&["AB=0", "A=1", "A=2", "E="]);
        assert_eq!(environ.get("A"), Some(&b"1"[..]));
        assert_eq!(environ.get("E"), Some(&b""[..]));
        assert_eq!(environ.get("B"), None);
    }
}
