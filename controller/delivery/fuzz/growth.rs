use locket_fuzz::growth::linear;

use crate::generation::{GenFile, Generation};
use crate::log;
use crate::protocol::Request;

#[test]
fn messages() {
    let batch = |n: usize| [&[18][..], &(n as u32).to_le_bytes(), &vec![1; n]].concat();
    let names = |n: usize| {
        [
            &[9][..],
            &[0; 12],
            &(n as u32).to_le_bytes(),
            &vec![0; 8 * n],
        ]
        .concat()
    };
    let env = |n: usize| {
        (0..n)
            .flat_map(|i| format!("K{i}=v\0").into_bytes())
            .collect::<Vec<u8>>()
    };
    linear("a batch", 200_000, batch, |it| drop(Request::decode(it)));
    linear("numbers", 1 << 20, names, |it| drop(Request::decode(it)));
    linear("variables", 50_000, env, |it| {
        drop(Generation::parse_env(it))
    });
}

#[test]
fn generations() {
    let files = |n: usize| {
        let file = |i| GenFile {
            path: format!("a/b/{i}"),
            bytes: Default::default(),
            mode: 0o444,
            uid: 0,
            gid: 0,
            update: Default::default(),
        };
        let env = (0..n)
            .map(|i| (format!("K{i}"), Default::default()))
            .collect();
        Generation {
            files: (0..n).map(file).collect(),
            env,
        }
    };
    linear("a generation", 20_000, files, |it| {
        assert!(it.check().is_ok())
    });
}

#[test]
fn logs() {
    let entries = |n: usize| {
        let entry = |i: usize| {
            log::Entry::new(
                i as u64 + 1,
                &Generation::default(),
                &[0; 32],
                Default::default(),
            )
        };
        log::format(&(0..n).map(entry).collect::<Vec<_>>(), &[0; 32])
    };
    linear("a log", 4_000, entries, |it| drop(log::parse(it, &[0; 32])));
}
