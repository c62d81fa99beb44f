//! What runs in containers of a fake engine: our own program as anchor session and as shim, and a handful of small tools.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use locket_delivery::clock::Stamp;
use locket_delivery::layout::{
    CURRENT, DEFAULT_PATH, ENV, GENERATION_VARIABLE, SHIM_PATH, generation_dir, parse_current,
};
use locket_delivery::protocol::{frame, frame_length};
use locket_delivery::session::{Roots, Services, Session};
use locket_engine::Healthcheck;
use locket_engine::fake::{App, ExecCall, Fake, Process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zeroize::Zeroizing;

/// How long the shim waits, and how it ends when nothing comes.
const SHIM_WAIT: (Duration, i64) = (Duration::from_secs(120), 75);

/// A static ELF program of one byte more than its headers: what is imported as our own.
pub(crate) fn binary() -> Vec<u8> {
    let mut it = vec![0_u8; 64 + 56];
    it[..6].copy_from_slice(b"\x7fELF\x02\x01");
    it[18..20].copy_from_slice(&62_u16.to_le_bytes());
    it[32..40].copy_from_slice(&64_u64.to_le_bytes());
    it[54..56].copy_from_slice(&56_u16.to_le_bytes());
    it[56..58].copy_from_slice(&1_u16.to_le_bytes());
    it[64..68].copy_from_slice(&1_u32.to_le_bytes());
    it
}

/// An application that is started through the shim where its container mounts it, and whose healthcheck is one of the tools.
pub fn app(app: App) -> App {
    App {
        boot: Some(Arc::new(boot)),
        boot_within: SHIM_WAIT,
        check: Some(Arc::new(check)),
        ..app
    }
}

/// What the shim adds to the environment, once a generation is there.
fn boot(process: &Process) -> Option<BTreeMap<String, Vec<u8>>> {
    if !process.mounts.contains_key(SHIM_PATH) {
        return Some(BTreeMap::new());
    }
    current(process.mounts.get(&secrets_path(&process.env))?)
}

/// Where the shim looks, by its own variable.
fn secrets_path(env: &[String]) -> String {
    let own = env
        .iter()
        .find_map(|line| line.strip_prefix("LOCKET_SHIM="));
    let path = own.and_then(|words| words.split(';').find_map(|w| w.strip_prefix("path=")));
    path.unwrap_or(DEFAULT_PATH).to_owned()
}

/// The variables of the current generation, and its number.
fn current(root: &Path) -> Option<BTreeMap<String, Vec<u8>>> {
    let link = fs::read_link(root.join(CURRENT)).ok()?;
    let seq = parse_current(link.as_os_str().as_encoded_bytes())?;
    let text = fs::read(root.join(generation_dir(seq)).join(ENV)).ok()?;
    let mut env = BTreeMap::from([(GENERATION_VARIABLE.to_owned(), seq.to_string().into())]);
    for line in text.split(|b| *b == 0).filter(|line| !line.is_empty()) {
        let at = line.iter().position(|b| *b == b'=')?;
        let name = String::from_utf8(line[..at].to_vec()).ok()?;
        env.insert(name, line[at + 1..].to_vec());
    }
    Some(env)
}

fn check(process: &Process, healthcheck: &Healthcheck) -> bool {
    let path = |path: &str| process.path(path);
    healthcheck.test.first().is_some_and(|word| word == "CMD")
        && tool(&healthcheck.test[1..], &path).0 == 0
}

/// What is run by `exec` in our own containers, by the shim's name, and else.
pub(super) async fn exec(fake: Fake, mut call: ExecCall) -> i64 {
    let words: Vec<&str> = call.argv.iter().map(String::as_str).collect();
    match words.as_slice() {
        [_, "anchor-session"] => anchor_session(fake, call).await.map_or(1, |()| 0),
        [SHIM_PATH, "probe"] => {
            let view = fake.view(&call.id).filter(|view| view.ready);
            let Some(mut seq) = view.and_then(|mut v| v.env.remove(GENERATION_VARIABLE)) else {
                return 3;
            };
            seq.push(b'\n');
            call.stream.write_all(&seq).await.map_or(3, |()| 0)
        }
        [SHIM_PATH, "signal", name] => {
            let name = format!("SIG{}", name.trim_start_matches("SIG"));
            i64::from(!fake.signal_from_inside(&call.id, &name))
        }
        ["sleep", time] => {
            tokio::time::sleep(Duration::from_secs(time.parse().unwrap())).await;
            0
        }
        ["print", count] => {
            let all = vec![b'.'; count.parse().unwrap()];
            call.stream.write_all(&all).await.map_or(1, |()| 0)
        }
        _ => {
            let (code, said) = tool(&call.argv, &|path| call.path(path));
            call.stream.write_all(&said).await.map_or(1, |()| code)
        }
    }
}

/// Runs one of the tools that a busybox has as well, on what is mounted: its exit code, and what it prints.
fn tool(argv: &[String], path: &dyn Fn(&str) -> Option<PathBuf>) -> (i64, Vec<u8>) {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let read = |file: &str| path(file).and_then(|file| fs::read(file).ok());
    let done =
        |it: Option<std::io::Result<()>>| (i64::from(!matches!(it, Some(Ok(())))), Vec::new());
    match words.as_slice() {
        ["true"] => (0, Vec::new()),
        ["false"] => (1, Vec::new()),
        ["cat", file] => read(file).map_or((1, Vec::new()), |bytes| (0, bytes)),
        ["test", "-e", file] => (
            i64::from(!path(file).is_some_and(|it| it.exists())),
            Vec::new(),
        ),
        // Whether a line does not hold the text.
        ["grep", "-qv", text, file] => {
            let bytes = read(file).unwrap_or_default();
            let found = String::from_utf8_lossy(&bytes)
                .lines()
                .any(|line| !line.contains(text));
            (i64::from(!found), Vec::new())
        }
        ["cp", from, to] => done(
            path(from)
                .zip(path(to))
                .map(|(from, to)| fs::copy(from, to).map(drop)),
        ),
        ["mkdir", dir] => done(path(dir).map(fs::create_dir)),
        _ => (127, Vec::new()),
    }
}

async fn anchor_session(fake: Fake, mut call: ExecCall) -> std::io::Result<()> {
    let services: BTreeMap<String, PathBuf> = call
        .mounts
        .iter()
        .filter_map(|(target, dir)| Some((target.strip_prefix("/v/")?.to_owned(), dir.clone())))
        .collect();
    let roots = Roots {
        project: call.mounts["/p"].clone(),
        services: Services::Each(services),
        any_filesystem: true,
    };
    let clock = move || Stamp {
        realtime: fake.now(),
        boottime: fake.uptime(),
    };
    let mut session = Session::open(&roots, Box::new(clock))?;
    loop {
        let mut length = [0; 4];
        let read = tokio::time::timeout(session.silence(), call.stream.read_exact(&mut length));
        if !matches!(read.await, Ok(Ok(_))) {
            return Ok(());
        }
        let mut payload = Zeroizing::new(vec![0; frame_length(length)?]);
        call.stream.read_exact(&mut payload).await?;
        let answer = session.answer(payload).map_err(std::io::Error::other)?;
        call.stream.write_all(&frame(&answer)).await?;
    }
}
