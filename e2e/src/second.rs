//! A second engine on this machine, in a network of its own: what a remote one is to locket.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::certificates::Authority;
use crate::command::{Output, Run, Transcript};
use crate::wait::eventually;
use crate::way::Way;

/// The network namespace, and what the names of its two interfaces begin with. There is one at a time: the scenarios run one after
/// the other.
const NAME: &str = "locket-e2e";
/// Both ends of the wire. Link-local: no route of this machine can mean them.
const HERE: Ipv4Addr = Ipv4Addr::new(169, 254, 231, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(169, 254, 231, 2);
const PORT: u16 = 2376;

/// An engine that speaks TLS over TCP to whoever shows a certificate of its authority. Its processes are in a PID namespace, and
/// its mounts in a mount namespace, so that nothing of it can outlive it. It ends with this value, and with the thread that
/// started it.
pub struct SecondEngine {
    process: Child,
    dir: TempDir,
    transcript: Transcript,
}

impl SecondEngine {
    /// Starts one that has these images of the first.
    ///
    /// # Panics
    /// When this machine does not let it: it takes root, network namespaces, and util-linux and iproute2.
    pub fn start(images: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix(NAME).tempdir().unwrap();
        let authority = Authority::new();
        authority.write(&dir.path().join("server"), &THERE.to_string());
        authority.write(&dir.path().join("client"), "client");
        Authority::new().write(&dir.path().join("stranger"), "stranger");
        network();
        let process = spawn(dir.path());
        let mut it = Self {
            process,
            dir,
            transcript: Transcript::default(),
        };
        it.until_it_answers();
        it.copy(images);
        it
    }

    fn until_it_answers(&mut self) {
        let log = self.dir.path().join("log");
        eventually(60, "the second engine answers", || {
            if self.process.try_wait().unwrap().is_some() {
                let log = fs::read_to_string(&log).unwrap_or_default();
                let tail = log.len().saturating_sub(2000);
                panic!("dockerd has ended; its last words: {}", &log[tail..]);
            }
            let asked = ["version", "--format", "{{.Server.Version}}"];
            (self.beside(&asked).code == 0).then_some(())
        });
    }

    fn copy(&self, images: &[&str]) {
        let archive = self.dir.path().join("images.tar");
        let archive = archive.to_str().unwrap();
        let saved = Run::new("docker", &self.transcript).args(["save", "-o", archive]);
        saved.args(images).ok();
        let loaded = self.beside(&["load", "-i", archive]);
        assert_eq!(loaded.code, 0, "{}", loaded.stderr);
        fs::remove_file(archive).unwrap();
    }

    /// `docker …` beside all ways that the product could go: by a socket that nobody is told of.
    pub fn beside(&self, args: &[&str]) -> Output {
        let socket = self.socket();
        let run = Run::new("docker", &self.transcript).args(args);
        // Whatever the environment says of TLS is about another engine.
        let run = run.env("DOCKER_TLS_VERIFY", "").env("DOCKER_CONTEXT", "");
        run.env("DOCKER_HOST", format!("unix://{}", socket.display()))
            .any()
    }

    /// Its socket on its own machine.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    /// Where it listens.
    pub fn host(&self) -> String {
        format!("tcp://{THERE}:{PORT}")
    }

    /// A folder with `ca.pem`, `cert.pem` and `key.pem`, as `DOCKER_CERT_PATH` names it.
    pub fn certificates(&self) -> PathBuf {
        self.dir.path().join("client")
    }

    /// The same of an authority that it does not know.
    pub fn strange_certificates(&self) -> PathBuf {
        self.dir.path().join("stranger")
    }

    /// What `docker context create --docker` is given for it.
    pub fn context(&self) -> String {
        let dir = self.certificates();
        let file = |name: &str| dir.join(name).display().to_string();
        let (ca, cert, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
        format!("host={},ca={ca},cert={cert},key={key}", self.host())
    }

    /// The way by flags alone.
    pub fn by_flags(&self) -> Way {
        let dir = self.certificates();
        let files = [
            ("--tlscacert", "ca.pem"),
            ("--tlscert", "cert.pem"),
            ("--tlskey", "key.pem"),
        ];
        let files = files.map(|(flag, name)| format!("{flag}={}", dir.join(name).display()));
        let host = ["-H".to_owned(), self.host(), "--tlsverify".to_owned()];
        Way::flags(host.into_iter().chain(files))
    }

    /// The way by the environment alone.
    pub fn by_environment(&self, certificates: &Path) -> Way {
        Way::default()
            .env("DOCKER_HOST", self.host())
            .env("DOCKER_TLS_VERIFY", "1")
            .env("DOCKER_CERT_PATH", certificates.display().to_string())
    }
}

impl Drop for SecondEngine {
    fn drop(&mut self) {
        // What its containers have in the machine's control groups goes with them, but not with a killed process.
        let all = self.beside(&["ps", "-aq"]).text();
        let all: Vec<&str> = all.lines().collect();
        if !all.is_empty() {
            let _ = self.beside(&[&["rm", "-fv"], &all[..]].concat());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = ip(&["netns", "del", NAME]);
    }
}

/// The namespace, with a wire to it.
fn network() {
    // One that a killed run has left: its engine has ended with it.
    let _ = ip(&["netns", "del", NAME]);
    let (near, far) = (format!("{NAME}0"), format!("{NAME}1"));
    let address = |it: Ipv4Addr| format!("{it}/30");
    let (here, there) = (address(HERE), address(THERE));
    let wire = ["link", "add", &near, "type", "veth", "peer", "name", &far];
    let steps: [&[&str]; 7] = [
        &["netns", "add", NAME],
        &[&wire[..], &["netns", NAME]].concat(),
        &["addr", "add", &here, "dev", &near],
        &["link", "set", &near, "up"],
        &["-n", NAME, "addr", "add", &there, "dev", &far],
        &["-n", NAME, "link", "set", &far, "up"],
        &["-n", NAME, "link", "set", "lo", "up"],
    ];
    for step in steps {
        let out = ip(step);
        let said = out.map_or_else(|e| e.to_string(), |it| it.stderr);
        assert!(
            said.is_empty(),
            "the second engine needs a network namespace: run this as root, with iproute2, on a kernel with network namespaces \
             and veth. `ip {}`: {said}",
            step.join(" ")
        );
    }
}

struct Said {
    stderr: String,
}

fn ip(args: &[&str]) -> std::io::Result<Said> {
    let out = Command::new("ip").args(args).output()?;
    let stderr = String::from_utf8_lossy(&out.stderr).trim().to_owned();
    let silent = !out.status.success() && stderr.is_empty();
    Ok(Said {
        stderr: if silent {
            out.status.to_string()
        } else {
            stderr
        },
    })
}

/// `dockerd` in all its namespaces. Killing what this returns kills everything in them.
fn spawn(dir: &Path) -> Child {
    let at = |name: &str| dir.join(name).display().to_string();
    fs::write(at("daemon.json"), "{}").unwrap();
    let log = File::create(at("log")).unwrap();
    let network = format!("--net=/run/netns/{NAME}");
    let enter = ["--pdeathsig", "KILL", "nsenter", &network];
    let unshare = [
        "unshare",
        "--mount",
        "--propagation=slave",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "dockerd",
    ];
    let daemon = [
        format!("--config-file={}", at("daemon.json")),
        format!("--data-root={}", at("data")),
        format!("--exec-root={}", at("exec")),
        format!("--pidfile={}", at("pid")),
        format!("--host=unix://{}", at("docker.sock")),
        format!("--host=tcp://{THERE}:{PORT}"),
        "--tlsverify".to_owned(),
        format!("--tlscacert={}", at("server/ca.pem")),
        format!("--tlscert={}", at("server/cert.pem")),
        format!("--tlskey={}", at("server/key.pem")),
        // Containers talk to nobody outside, and no rule of this machine is touched.
        "--bridge=none".to_owned(),
        "--iptables=false".to_owned(),
        "--ip6tables=false".to_owned(),
        "--ip-forward=false".to_owned(),
        // No service manager of this machine is asked for a control group.
        "--exec-opt=native.cgroupdriver=cgroupfs".to_owned(),
    ];
    Command::new("setpriv")
        .args(enter)
        .args(unshare)
        .args(daemon)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("the second engine needs setpriv, nsenter and unshare of util-linux")
}
