//! The language server as an editor runs it: the program itself, on its standard streams.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

const COMPOSE: &str = r#"name: shop
x-locket:
  sources:
    bao: { type: openbao, url: "https://bao.test" }
  secrets:
    db-password: bao:kv/shop#db
    smtp: local:smtp
services:
  locket: { provider: { type: locket } }
  api:
    image: x
    depends_on: [locket]
    x-locket:
      secrets: [db-password]
      env:
        SMTP: smtp
"#;

struct Editor {
    server: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    last: u64,
}

impl Editor {
    fn start(dir: &Path) -> Self {
        let mut server = Command::new(env!("CARGO_BIN_EXE_locket"))
            .args(["lsp", "--stdio"])
            .current_dir(dir)
            // No engine: nothing may wait for one.
            .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(server.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            loop {
                let (mut length, mut line) = (0, String::new());
                while output.read_line(&mut line).is_ok_and(|n| n > 2) {
                    if let Some(n) = line.trim_end().strip_prefix("Content-Length: ") {
                        length = n.parse().unwrap();
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                if length == 0 || output.read_exact(&mut body).is_err() {
                    return;
                }
                if sender.send(serde_json::from_slice(&body).unwrap()).is_err() {
                    return;
                }
            }
        });
        let input = server.stdin.take().unwrap();
        let mut it = Self {
            server,
            input,
            messages,
            last: 0,
        };
        let capabilities = it.ask("initialize", json!({ "capabilities": {} }));
        assert_eq!(capabilities["capabilities"]["hoverProvider"], true);
        it.tell("initialized", json!({}));
        it
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.input.flush().unwrap();
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn next(&self) -> Value {
        self.messages.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let id = self.last;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let mut message = self.next();
            if message["id"] == id {
                return message["result"].take();
            }
        }
    }

    /// What is underlined in this file from now on: line from 1, code, message.
    fn problems(&self, path: &Path) -> Vec<(u64, String, String)> {
        let text = |it: &Value| it.as_str().unwrap().to_owned();
        loop {
            let message = self.next();
            if message["params"]["uri"] != uri(path) {
                continue;
            }
            let all = message["params"]["diagnostics"].as_array().unwrap().clone();
            let one = |it: &Value| {
                let line = it["range"]["start"]["line"].as_u64().unwrap() + 1;
                (line, text(&it["code"]), text(&it["message"]))
            };
            return all.iter().map(one).collect();
        }
    }

    fn open(&mut self, path: &Path, content: &str) -> Vec<(u64, String, String)> {
        let document =
            json!({ "uri": uri(path), "languageId": "yaml", "version": 1, "text": content });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
        self.problems(path)
    }

    fn edit(&mut self, path: &Path, content: &str) -> Vec<(u64, String, String)> {
        let params = json!({
            "textDocument": { "uri": uri(path), "version": 2 },
            "contentChanges": [{ "text": content }],
        });
        self.tell("textDocument/didChange", params);
        self.problems(path)
    }

    /// An answer about the place of some words in a text.
    fn at(&mut self, method: &str, path: &Path, content: &str, words: &str) -> Value {
        let byte = content.find(words).unwrap() + words.len();
        let line = content[..byte].matches('\n').count();
        let column = byte - content[..byte].rfind('\n').map_or(0, |n| n + 1);
        let params = json!({
            "textDocument": { "uri": uri(path) },
            "position": { "line": line, "character": column },
        });
        self.ask(method, params)
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

fn project() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("compose.yaml");
    std::fs::write(&path, "services: {}\n").unwrap();
    (dir, path)
}

#[test]
fn problems_follow_what_is_typed() {
    let (dir, path) = project();
    let mut editor = Editor::start(dir.path());
    // The gate's mounts are `generate`'s part; what is typed is this.
    let own = |all: Vec<(u64, String, String)>| -> Vec<_> {
        let of_generate = ["L050", "L051", "L052"];
        all.into_iter()
            .filter(|it| !of_generate.contains(&it.1.as_str()))
            .collect()
    };
    assert_eq!(own(editor.open(&path, COMPOSE)), []);
    let found = own(editor.edit(&path, &COMPOSE.replace("SMTP: smtp", "SMTP: smpt")));
    let [(7, unused, _), (16, code, message)] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((unused.as_str(), code.as_str()), ("L041", "L020"));
    assert!(message.contains("did you mean `smtp`?"), "{message}");
    // What cannot be read at all is a problem like any other.
    let broken = own(editor.edit(&path, "services: [\n"));
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0].1, "L001");
    assert_eq!(own(editor.edit(&path, COMPOSE)), []);
    editor.tell(
        "textDocument/didClose",
        json!({ "textDocument": { "uri": uri(&path) } }),
    );
    assert_eq!(editor.problems(&path), []);
    assert_eq!(editor.ask("shutdown", Value::Null), Value::Null);
    editor.tell("exit", Value::Null);
    assert!(editor.server.wait().unwrap().success());
}

#[test]
fn names_of_the_project_are_offered_shown_and_found() {
    let (dir, path) = project();
    let mut editor = Editor::start(dir.path());
    editor.open(&path, COMPOSE);
    // In the making it is no YAML any more, and the names are known from before.
    let typing = COMPOSE.replace("SMTP: smtp", "SMTP: \n        OTHER: \"{{ smtp | ");
    editor.edit(&path, &typing);
    let labels = |it: Value| -> Vec<String> {
        let all = it["items"].as_array().unwrap().clone();
        all.iter()
            .map(|it| it["label"].as_str().unwrap().to_owned())
            .collect()
    };
    let completion = "textDocument/completion";
    let offered = labels(editor.at(completion, &path, &typing, "SMTP: "));
    assert_eq!(offered, ["db-password", "smtp", "local:", "bao:"]);
    let filters = labels(editor.at(completion, &path, &typing, "smtp | "));
    assert!(filters.contains(&"trim".to_owned()), "{filters:?}");
    assert_eq!(editor.at(completion, &path, &typing, "image:"), Value::Null);

    editor.edit(&path, COMPOSE);
    let found = editor.at(
        "textDocument/definition",
        &path,
        COMPOSE,
        "secrets: [db-pass",
    );
    assert_eq!(found["uri"], uri(&path));
    assert_eq!(found["range"]["start"]["line"], 5);
    let source = editor.at(
        "textDocument/definition",
        &path,
        COMPOSE,
        "db-password: bao:kv",
    );
    assert_eq!(source["range"]["start"]["line"], 3);
    let shown = editor.at("textDocument/hover", &path, COMPOSE, "secrets: [db-pass");
    let text = shown["contents"]["value"].as_str().unwrap();
    assert!(text.contains("`bao:kv/shop#db`"), "{text}");
    assert!(text.contains("openbao, https://bao.test"), "{text}");
    let local = editor.at("textDocument/hover", &path, COMPOSE, "SMTP: sm");
    let text = local["contents"]["value"].as_str().unwrap();
    assert!(text.contains("the built-in encrypted store"), "{text}");
    assert_eq!(
        editor.at("textDocument/hover", &path, COMPOSE, "image: "),
        Value::Null
    );
}

#[test]
fn a_file_that_another_includes_is_of_its_project() {
    let (dir, path) = project();
    let including = COMPOSE.replace("name: shop\n", "name: shop\ninclude: [sub/worker.yaml]\n");
    std::fs::write(&path, including).unwrap();
    let worker = dir.path().join("sub/worker.yaml");
    std::fs::create_dir(worker.parent().unwrap()).unwrap();
    let text = "services:\n  worker:\n    image: x\n    depends_on: [locket]\n    x-locket:\n      secrets: [db-password]\n";
    std::fs::write(&worker, text).unwrap();
    let mut editor = Editor::start(dir.path());
    let codes = |all: Vec<(u64, String, String)>| -> Vec<String> {
        let of_generate = |code: &String| ["L050", "L051", "L052"].contains(&code.as_str());
        let all = all.into_iter().map(|it| it.1);
        all.filter(|it| !of_generate(it)).collect()
    };
    assert_eq!(codes(editor.open(&worker, text)), Vec::<String>::new());
    let found = editor.at(
        "textDocument/definition",
        &worker,
        text,
        "secrets: [db-pass",
    );
    assert_eq!(found["uri"], uri(&path));
    let wrong = text.replace("[db-password]", "[db-pasword]");
    assert_eq!(codes(editor.edit(&worker, &wrong)), ["L020"]);
}

#[test]
fn closing_a_file_leaves_what_is_said_of_another_that_is_open() {
    let (dir, path) = project();
    let over = dir.path().join("compose.override.yaml");
    let text = "services:\n  api:\n    environment: { A: b }\n";
    std::fs::write(&over, text).unwrap();
    let mut editor = Editor::start(dir.path());
    let wrong = COMPOSE.replace("SMTP: smtp", "SMTP: smpt");
    assert!(!editor.open(&path, &wrong).is_empty());
    editor.open(&over, text);
    assert!(!editor.problems(&path).is_empty());
    let closed = json!({ "textDocument": { "uri": uri(&over) } });
    editor.tell("textDocument/didClose", closed);
    assert!(editor.problems(&path).iter().any(|it| it.1 == "L020"));
    let closed = json!({ "textDocument": { "uri": uri(&path) } });
    editor.tell("textDocument/didClose", closed);
    assert_eq!(editor.problems(&path), []);
}

#[test]
fn what_is_no_compose_file_and_no_json_is_let_pass() {
    let (dir, path) = project();
    let mut editor = Editor::start(dir.path());
    let pod = dir.path().join("pod.yaml");
    let document = json!({ "uri": uri(&pod), "languageId": "yaml", "version": 1, "text": "kind: Pod\nspec: {{ x }}\n" });
    editor.tell("textDocument/didOpen", json!({ "textDocument": document }));
    write!(editor.input, "Content-Length: 2\r\n\r\n{{]").unwrap();
    // The first thing that is said is about the message that is none.
    assert_eq!(editor.next()["error"]["code"], -32700);
    let wrong = COMPOSE.replace("SMTP: smtp", "SMTP: smpt");
    assert!(!editor.open(&path, &wrong).is_empty());
    assert_eq!(editor.ask("shutdown", Value::Null), Value::Null);
    editor
        .send(&json!({ "jsonrpc": "2.0", "id": 99, "method": "textDocument/hover", "params": {} }));
    assert_eq!(editor.next()["error"]["code"], -32600);
}

/// The client library of VS Code, which comes with the YAML language server that `make setup` installs.
#[test]
fn a_real_client_understands_what_is_said() {
    let beside = std::env::var_os("LOCKET_TEST_YAML_SERVER")
        .expect("LOCKET_TEST_YAML_SERVER names a yaml-language-server: run `make setup`");
    let (dir, path) = project();
    let text = COMPOSE.replace("SMTP: smtp", "SMTP: smpt");
    std::fs::write(&path, &text).unwrap();
    let line = text
        .lines()
        .position(|it| it.contains("[db-password]"))
        .unwrap();
    let column = text.lines().nth(line).unwrap().find("db-").unwrap() + 1;
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/main/lsp/client.js");
    let run = Command::new("node")
        .args([client, env!("CARGO_BIN_EXE_locket")])
        .arg(&path)
        .arg(beside)
        .args([line.to_string(), column.to_string()])
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .current_dir(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    let found: Value = serde_json::from_slice(&run.stdout).unwrap();
    let about = found["diagnostics"].as_array().unwrap();
    let unknown = about.iter().find(|it| it["code"] == "L020").unwrap();
    assert_eq!(unknown["range"]["start"]["line"], 15);
    assert_eq!(unknown["source"], "locket");
    let offered = found["completion"]["items"].as_array().unwrap();
    assert!(
        offered.iter().any(|it| it["label"] == "smtp"),
        "{offered:?}"
    );
    assert_eq!(found["definition"]["range"]["start"]["line"], 5);
    let hover = found["hover"]["contents"]["value"].as_str().unwrap();
    assert!(hover.contains("`bao:kv/shop#db`"), "{hover}");
    // No such method: JSON-RPC's own code.
    assert_eq!(found["unknown"], -32601);
    assert_eq!(found["exit"], 0);
}
