//! The controller's container: what it looks like, as a call to the engine and as a compose file.

use std::fmt::Write as _;
use std::time::Duration;

use locket_controller::own::ROLE;
use locket_controller::own::controller::{COMMAND, NAME};
use locket_controller::own::image::PROGRAM;
use locket_engine::{Container, CreateContainer, Healthcheck, NewMount, RestartPolicy};

/// Where the engine's socket is in the container.
const SOCKET: &str = "/var/run/docker.sock";
/// Where the API's socket is made.
const RUN: &str = "/run/locket";
/// Most bytes of one log file; there are three.
const LOG_SIZE: u64 = 5 << 20;

/// How long it is given to end: it starts again what it has stopped, and a stop takes as long as the application wants.
pub const GRACE: Duration = Duration::from_secs(60);

/// What the controller needs of its machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// The engine's socket, on the engine's machine.
    pub socket: String,
    /// Files and directories that are mounted read-only, at the same paths.
    pub read: Vec<String>,
    /// Some of them are roots of `file` sources, whose files may belong to anybody.
    pub foreign_files: bool,
}

impl Needs {
    fn capabilities(&self) -> Vec<String> {
        let more = self.foreign_files.then_some("DAC_READ_SEARCH");
        ["CHOWN"]
            .into_iter()
            .chain(more)
            .map(str::to_owned)
            .collect()
    }
}

fn healthcheck() -> Healthcheck {
    Healthcheck {
        test: ["CMD", PROGRAM, "controller", "status", "--here"]
            .map(str::to_owned)
            .to_vec(),
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(10),
        start_period: Duration::from_secs(10),
        retries: 3,
    }
}

/// The container.
pub fn spec(image: &str, needs: &Needs) -> CreateContainer {
    let bind = |source: &str, target: &str, read_only| NewMount::Bind {
        source: source.to_owned(),
        target: target.to_owned(),
        read_only,
    };
    let mut mounts = vec![bind(&needs.socket, SOCKET, false)];
    mounts.extend(needs.read.iter().map(|path| bind(path, path, true)));
    mounts.push(NewMount::Tmpfs {
        target: RUN.to_owned(),
        size: Some(1 << 20),
        mode: Some(0o755),
    });
    CreateContainer {
        name: NAME.to_owned(),
        image: image.to_owned(),
        cmd: Some(COMMAND.map(str::to_owned).to_vec()),
        labels: [(ROLE.to_owned(), "controller".to_owned())].into(),
        mounts,
        network_mode: Some("host".to_owned()),
        read_only: true,
        cap_drop: vec!["ALL".to_owned()],
        cap_add: needs.capabilities(),
        no_new_privileges: true,
        log_size: Some(LOG_SIZE),
        restart_policy: RestartPolicy::Always,
        healthcheck: Some(healthcheck()),
        stop_timeout: u32::try_from(GRACE.as_secs()).ok(),
        ..CreateContainer::default()
    }
}

/// Whether a container is the controller's, of whatever version; anything else of that name is left alone.
pub fn is_ours(it: &Container) -> bool {
    it.entrypoint == [PROGRAM] && it.cmd.starts_with(&COMMAND.map(str::to_owned))
}

/// Whether it is just the one that would be made.
pub fn is_same(it: &Container, image: &str, needs: &Needs) -> bool {
    let mut found: Vec<_> = it
        .mounts
        .iter()
        .filter(|m| m.kind == "bind")
        .map(|m| (m.source.as_str(), m.target.as_str(), m.rw))
        .collect();
    let mut wanted = vec![(needs.socket.as_str(), SOCKET, true)];
    wanted.extend(
        needs
            .read
            .iter()
            .map(|path| (path.as_str(), path.as_str(), false)),
    );
    found.sort_unstable();
    wanted.sort_unstable();
    is_ours(it)
        && it.image_id == image
        && it.cmd == COMMAND
        && it.stop_grace == Some(GRACE)
        && found == wanted
}

/// The same as a compose file.
pub fn compose_file(tag: &str, needs: &Needs) -> String {
    // JSON's strings are YAML's.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let check = healthcheck();
    let test: Vec<String> = check.test.iter().map(|word| quoted(word)).collect();
    let mut out = format!(
        "# The controller of locket. Its image {tag} is on the engine; `docker locket controller install --print` puts it there.\n\
         name: {NAME}\n\
         services:\n\
         \x20 controller:\n\
         \x20   container_name: {NAME}\n\
         \x20   image: {tag}\n\
         \x20   pull_policy: never\n\
         \x20   command: [{}]\n\
         \x20   labels: {{ {ROLE}: controller }}\n\
         \x20   restart: always\n\
         \x20   stop_grace_period: {}s\n\
         \x20   network_mode: host\n\
         \x20   read_only: true\n\
         \x20   cap_drop: [ALL]\n\
         \x20   cap_add: [{}]\n\
         \x20   security_opt: [\"no-new-privileges:true\"]\n\
         \x20   tmpfs: [\"{RUN}:size=1m,mode=0755\"]\n\
         \x20   volumes:\n",
        COMMAND.join(", "),
        GRACE.as_secs(),
        needs.capabilities().join(", "),
    );
    let mut bind = |source: &str, target: &str, read_only: bool| {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "      - {{ type: bind, source: {}, target: {}, read_only: {read_only} }}",
            quoted(source),
            quoted(target)
        );
    };
    bind(&needs.socket, SOCKET, false);
    needs.read.iter().for_each(|path| bind(path, path, true));
    let _ = write!(
        out,
        "    healthcheck: {{ test: [{}], interval: {}s, timeout: {}s, start_period: {}s, retries: {} }}\n    \
         logging: {{ driver: json-file, options: {{ max-size: \"{LOG_SIZE}\", max-file: \"3\" }} }}\n",
        test.join(", "),
        check.interval.as_secs(),
        check.timeout.as_secs(),
        check.start_period.as_secs(),
        check.retries,
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compose_file_says_what_the_call_says() {
        let needs = Needs {
            socket: "/run/user/1000/docker.sock".into(),
            read: vec![
                "/etc/ssl/certs/ca-certificates.crt".into(),
                "/srv/a \"b\"".into(),
            ],
            foreign_files: true,
        };
        expect_test::expect![[r#"
            # The controller of locket. Its image locket:1 is on the engine; `docker locket controller install --print` puts it there.
            name: locket-controller
            services:
              controller:
                container_name: locket-controller
                image: locket:1
                pull_policy: never
                command: [controller, run]
                labels: { locket.role: controller }
                restart: always
                stop_grace_period: 60s
                network_mode: host
                read_only: true
                cap_drop: [ALL]
                cap_add: [CHOWN, DAC_READ_SEARCH]
                security_opt: ["no-new-privileges:true"]
                tmpfs: ["/run/locket:size=1m,mode=0755"]
                volumes:
                  - { type: bind, source: "/run/user/1000/docker.sock", target: "/var/run/docker.sock", read_only: false }
                  - { type: bind, source: "/etc/ssl/certs/ca-certificates.crt", target: "/etc/ssl/certs/ca-certificates.crt", read_only: true }
                  - { type: bind, source: "/srv/a \"b\"", target: "/srv/a \"b\"", read_only: true }
                healthcheck: { test: ["CMD", "/locket", "controller", "status", "--here"], interval: 30s, timeout: 10s, start_period: 10s, retries: 3 }
                logging: { driver: json-file, options: { max-size: "5242880", max-file: "3" } }
        "#]]
        .assert_eq(&compose_file("locket:1", &needs));
        let spec = spec("sha256:1", &needs);
        assert_eq!(
            (
                spec.network_mode.as_deref(),
                spec.read_only,
                spec.mounts.len()
            ),
            (Some("host"), true, 4)
        );
        assert_eq!(spec.cap_add, ["CHOWN", "DAC_READ_SEARCH"]);
        assert_eq!(
            spec.stop_timeout,
            Some(60),
            "it ends what it has begun: docs/guides/controller.md"
        );
    }
}
