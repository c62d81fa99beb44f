use crate::generation::Generation;
use crate::layout::{is_target, is_variable, parse_current};
use crate::log;
use crate::volume::Manifest;
use crate::wire::Encode as _;

const KEY: [u8; 32] = [7; 32];
/// The shim's file of variables.
fn env(bytes: &[u8]) -> bool {
    let Some(env) = Generation::parse_env(bytes) else {
        return false;
    };
    let it = Generation {
        files: Vec::new(),
        env,
    };
    let written = it.env_bytes();
    let again = Generation::parse_env(&written).unwrap();
    assert_eq!(again.len(), it.env.len());
    assert_eq!(written.len(), bytes.len());
    if it.check().is_ok() {
        assert!(
            it.env
                .iter()
                .all(|(name, value)| is_variable(name) && !value.contains(&0))
        );
    }
    true
}

/// Every prefix of a log is one, as far as it makes sense.
fn log(bytes: &[u8]) -> bool {
    let (entries, same_key) = log::parse(bytes, &KEY);
    assert!(entries.is_sorted_by(|a, b| a.seq < b.seq));
    let written = log::format(&entries, &KEY);
    assert_eq!(log::parse(&written, &KEY), (entries.clone(), true));
    if same_key && !entries.is_empty() {
        assert!(bytes.starts_with(&written));
    }
    !entries.is_empty()
}

/// A manifest is all or nothing, and names only what a file may be delivered at.
fn targets(bytes: &[u8]) -> bool {
    let Ok(it) = Manifest::parse(bytes) else {
        return false;
    };
    assert_eq!(*it.to_bytes(), bytes);
    assert!(it.paths().into_iter().all(is_target));
    true
}

/// The text of the link that says what is current.
fn current(bytes: &[u8]) -> bool {
    let Some(seq) = parse_current(bytes) else {
        return false;
    };
    assert_eq!(crate::layout::generation_dir(seq).as_bytes(), bytes);
    true
}

locket_fuzz::target!(env_file, reach: 5, env);
locket_fuzz::target!(generation_log, reach: 5, log);
locket_fuzz::target!(manifest, reach: 5, targets);
locket_fuzz::target!(current_link, reach: 5, current);
