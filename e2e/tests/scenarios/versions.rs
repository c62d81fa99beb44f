//! Two versions of the program on one project, one after the other.
//! No twin on the fake engine: there `controller/src/link/tests.rs` says the same of the anchor alone.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use locket_e2e::Project;

const COMPOSE: &str = r#"
x-locket: { secrets: { key: local:key } }
services:
  locket: { provider: { type: locket } }
  app:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: [locket]
    x-locket: { secrets: [key], env: { KEY: key } }
"#;

const NEWER: &str = "9.9.9";

/// What a program says when it is asked for its version.
fn version(program: &Path) -> String {
    let out = Command::new(program).arg("--version").output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.trim().trim_start_matches("locket ").to_owned()
}

/// The program under test as its next version: the same bytes, but for every place where the version stands.
fn newer(dir: &Path) -> std::path::PathBuf {
    let own = locket_e2e::binary();
    let (from, mut bytes) = (version(&own), std::fs::read(own).unwrap());
    assert_eq!(
        from.len(),
        NEWER.len(),
        "{from}: choose a NEWER of that length"
    );
    let places = memchr::memmem::find_iter(&bytes, &from).collect::<Vec<_>>();
    // The version of the docker CLI's own schema for plugins happens to be the same.
    let is_own = |at: &usize| !bytes[..*at].ends_with(b"\"SchemaVersion\":\"");
    let places: Vec<_> = places.into_iter().filter(is_own).collect();
    for at in places {
        bytes[at..at + NEWER.len()].copy_from_slice(NEWER.as_bytes());
    }
    let path = dir.join("newer");
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(version(&path), NEWER);
    path
}

/// The image of the newer program, which nobody else would remove.
struct Image;

impl Drop for Image {
    fn drop(&mut self) {
        let image = format!("locket:{NEWER}");
        let docker = |args: &[&str]| Command::new("docker").args(args).output().unwrap().stdout;
        let users = docker(&["ps", "-aq", "--filter", &format!("ancestor={image}")]);
        for id in String::from_utf8_lossy(&users).lines() {
            docker(&["rm", "-f", id]);
        }
        docker(&["rmi", &image]);
    }
}

#[test]
fn a_newer_program_takes_over_without_a_restart_and_an_older_one_leaves_it_in_place() {
    let _image = Image;
    let mut p = Project::new("versions", COMPOSE);
    let other = tempfile::tempdir().unwrap();
    let newer = newer(other.path());
    let key = p.canary("key");
    p.store("key", &key);
    p.up(&[]);
    let app = p.container("app");
    let image = |p: &Project| {
        let all = p.anchors();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].inspect["Config"]["Image"].clone()
    };
    let first = p.anchors()[0].clone();
    let generated = std::fs::read(p.dir().join("compose.override.yaml")).unwrap();

    p.installs(&newer);
    p.up(&[]);
    let second = p.anchors()[0].clone();
    assert_ne!(image(&p), first.inspect["Config"]["Image"]);
    assert_ne!(second.id, first.id, "the newer program's anchor took over");
    assert_eq!(p.container("app"), app, "and nothing was restarted");
    let again = std::fs::read(p.dir().join("compose.override.yaml")).unwrap();
    assert_eq!(again, generated, "the generated file is the same");

    p.installs(&locket_e2e::binary());
    let new = p.canary("new");
    p.store("key", &new);
    p.locket(&["apply"]).ok();
    assert_eq!(image(&p), second.inspect["Config"]["Image"]);
    assert_eq!(
        p.anchors().as_slice(),
        std::slice::from_ref(&second),
        "the older program left it"
    );
    let it = p.container("app");
    assert_eq!(it.id, app.id, "the container is the same");
    assert_eq!(it.read("/run/secrets/key").unwrap(), new.as_bytes());
    assert_eq!(it.env("KEY").unwrap(), new.as_bytes());
    p.up(&[]);
    assert_eq!(p.container("app"), it, "an unchanged up restarts nothing");
    assert_eq!(p.anchors(), [second]);
    p.finish();
}
