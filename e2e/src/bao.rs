//! A real OpenBao server of one scenario's own, in memory, on a free loopback port.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::command::{Run, Transcript};
use crate::wait::eventually;

const ROOT: &str = "root-token";

/// The server; it ends with this value.
pub struct Bao {
    binary: PathBuf,
    address: String,
    dir: TempDir,
    process: Option<Child>,
    quiet: Transcript,
}

impl Bao {
    /// Starts one with KV 2 at `secret/`. Its data live as long as the process.
    ///
    /// # Panics
    /// When the set-up has not fetched the server.
    pub fn start() -> Self {
        let binary = std::env::var_os("LOCKET_TEST_BAO").map(PathBuf::from);
        let binary = binary.expect("LOCKET_TEST_BAO names an OpenBao server: run `make setup`");
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let mut it = Self {
            binary,
            address: port.to_string(),
            dir: tempfile::tempdir().unwrap(),
            process: None,
            quiet: Transcript::default(),
        };
        it.resume();
        it
    }

    /// Starts it again after [`Self::stop`], empty, at the same address.
    pub fn resume(&mut self) {
        let log = File::create(self.dir.path().join("log")).unwrap();
        let process = Command::new(&self.binary)
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT}"))
            .arg(format!("-dev-listen-address={}", self.address))
            .env("HOME", self.dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        eventually(30, "OpenBao answers", || {
            (self.bao(&["status"]).any().code == 0).then_some(())
        });
    }

    /// Stops it: the address refuses connections.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn bao(&self, args: &[&str]) -> Run {
        Run::new(&self.binary, &self.quiet)
            .args(args)
            .env("BAO_ADDR", self.url())
            .env("BAO_TOKEN", ROOT)
            .env("HOME", self.dir.path())
    }

    /// A command of its CLI as root; gives what it prints.
    pub fn run(&self, args: &[&str]) -> String {
        self.bao(args).ok().text()
    }

    /// A program that may do everything at the server: it knows the address, has the root token, and finds `bao`.
    pub fn operator(&self, run: Run) -> Run {
        let folder = self.dir.path().join("bin");
        std::fs::create_dir_all(&folder).unwrap();
        let link = folder.join("bao");
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(&self.binary, link).unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        run.env("BAO_ADDR", self.url())
            .env("BAO_TOKEN", ROOT)
            .env("PATH", format!("{}:{path}", folder.display()))
    }

    /// The role and a file with the secret id of a login that may read `secret/<prefix>/*`.
    pub fn approle(&self, prefix: &str) -> (String, PathBuf) {
        self.token_file(prefix);
        self.run(&["auth", "enable", "approle"]);
        let role = format!("auth/approle/role/{prefix}");
        self.run(&["write", &role, &format!("token_policies={prefix}")]);
        let id = self.run(&["read", "-field=role_id", &format!("{role}/role-id")]);
        let secret = format!("{role}/secret-id");
        let secret = self.run(&["write", "-f", "-field=secret_id", &secret]);
        let file = self.dir.path().join(format!("secret-id-{prefix}"));
        std::fs::write(&file, secret.trim()).unwrap();
        (id.trim().to_owned(), file)
    }

    /// Writes fields of a secret at `secret/<path>`; the values pass through stdin.
    pub fn put(&self, path: &str, fields: &[(&str, &str)]) {
        let fields: serde_json::Map<_, _> = fields
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).into()))
            .collect();
        let json = serde_json::Value::from(fields).to_string();
        self.bao(&["kv", "put", "-mount=secret", path, "-"])
            .stdin(json)
            .ok();
    }

    /// Seals it: it answers, with 503.
    pub fn seal(&self) {
        self.run(&["operator", "seal"]);
    }

    /// Unseals it with the key that the development server has printed.
    pub fn unseal(&self) {
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap();
        let key = log.lines().find_map(|l| l.strip_prefix("Unseal Key: "));
        self.run(&["operator", "unseal", key.unwrap().trim()]);
    }

    /// Makes the token in the file of [`Self::token_file`] void.
    pub fn revoke(&self, prefix: &str) {
        let token = std::fs::read_to_string(self.token_path(prefix)).unwrap();
        self.run(&["token", "revoke", token.trim()]);
    }

    fn token_path(&self, prefix: &str) -> PathBuf {
        self.dir.path().join(format!("token-{prefix}"))
    }

    /// A file with a token that may read `secret/<prefix>/*`.
    pub fn token_file(&self, prefix: &str) -> PathBuf {
        let rules = format!(
            "path \"secret/data/{prefix}/*\" {{ capabilities = [\"read\"] }}\npath \"secret/metadata/{prefix}/*\" {{ capabilities = [\"read\"] }}\n"
        );
        self.bao(&["policy", "write", prefix, "-"])
            .stdin(rules)
            .ok();
        let token = self.run(&[
            "token",
            "create",
            &format!("-policy={prefix}"),
            "-field=token",
        ]);
        let file = self.token_path(prefix);
        std::fs::write(&file, token + "\n").unwrap();
        file
    }
}

impl Drop for Bao {
    fn drop(&mut self) {
        self.stop();
    }
}
