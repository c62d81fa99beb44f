//! A client of a language server, over its standard streams, with a deadline on every answer.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

/// For one message of the server's; a machine that builds beside it is slow.
const DEADLINE: Duration = Duration::from_secs(60);

/// What an editor would underline.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    /// From 1.
    pub line: u64,
    pub message: String,
}

/// A yaml-language-server; it ends with this value.
pub(crate) struct Server {
    process: Child,
    stdin: ChildStdin,
    messages: Receiver<Value>,
    last_id: u64,
    files: u64,
}

impl Server {
    /// Starts it and shakes hands.
    ///
    /// # Panics
    /// When the set-up has not installed it.
    pub(crate) fn start() -> Self {
        let program = std::env::var_os("LOCKET_TEST_YAML_SERVER").map(PathBuf::from);
        let program = program
            .expect("LOCKET_TEST_YAML_SERVER names a yaml-language-server: run `make setup`");
        let mut process = Command::new(&program)
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| {
                let program = program.display();
                panic!("{program} cannot be run: {e}; `make setup` installs it anew")
            });
        let stdin = process.stdin.take().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut stdout = stdout;
            while let Some(message) = receive(&mut stdout) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut it = Self {
            process,
            stdin,
            messages,
            last_id: 0,
            files: 0,
        };
        let capabilities = json!({
            "workspace": { "configuration": true },
            "textDocument": {
                "completion": { "completionItem": { "snippetSupport": true } },
                "hover": { "contentFormat": ["markdown"] },
            },
        });
        let params = json!({ "processId": null, "rootUri": null, "capabilities": capabilities });
        it.request("initialize", params);
        it.notify("initialized", json!({}));
        it
    }

    /// The path of a file that is nowhere but in the editor, a new one each time: what is said late of an earlier text
    /// would be taken for this one's.
    pub(crate) fn fresh(&mut self) -> PathBuf {
        self.files += 1;
        format!("/nowhere/{}/compose.yaml", self.files).into()
    }

    /// Shows it a file that it has not seen; returns what it finds, in its order.
    pub(crate) fn open(&mut self, path: &Path, text: &str) -> Vec<Finding> {
        self.open_as(path, text, "yaml")
    }

    /// The same for a file that an editor takes for something else than plain YAML.
    pub(crate) fn open_as(&mut self, path: &Path, text: &str, language: &str) -> Vec<Finding> {
        let document =
            json!({ "uri": uri(path), "languageId": language, "version": 1, "text": text });
        self.notify("textDocument/didOpen", json!({ "textDocument": document }));
        let found = loop {
            let message = self.next();
            let params = &message["params"];
            if message["method"] == "textDocument/publishDiagnostics" && params["uri"] == uri(path)
            {
                break params["diagnostics"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
            }
        };
        let finding = |it: &Value| Finding {
            line: it["range"]["start"]["line"].as_u64().unwrap() + 1,
            message: it["message"].as_str().unwrap().to_owned(),
        };
        found.iter().map(finding).collect()
    }

    /// What it offers at a place of an open file, counted from 0.
    pub(crate) fn completion(&mut self, path: &Path, line: u64, column: u64) -> Vec<String> {
        let answer = self.request("textDocument/completion", place(path, line, column));
        let items = answer.get("items").unwrap_or(&answer);
        let label = |it: &Value| it["label"].as_str().unwrap().to_owned();
        items.as_array().unwrap().iter().map(label).collect()
    }

    /// What it shows at a place of an open file, counted from 0.
    pub(crate) fn hover(&mut self, path: &Path, line: u64, column: u64) -> String {
        let answer = self.request("textDocument/hover", place(path, line, column));
        answer["contents"]["value"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    fn request(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({ "id": id, "method": method, "params": params }));
        loop {
            let mut message = self.next();
            if message.get("method").is_none() && message["id"] == id {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
        }
    }

    fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({ "method": method, "params": params }));
    }

    fn send(&mut self, message: &Value) {
        let mut message = message.clone();
        message["jsonrpc"] = "2.0".into();
        let text = message.to_string();
        write!(self.stdin, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.stdin.flush().unwrap();
    }

    /// The next message that is not a question; questions are answered on the way.
    fn next(&mut self) -> Value {
        loop {
            let message = self.messages.recv_timeout(DEADLINE);
            let message = message.expect("the language server says something within a minute");
            let (Some(id), Some(method)) = (message.get("id"), message["method"].as_str()) else {
                return message;
            };
            let result = match method {
                "workspace/configuration" => settings(&message["params"]["items"]),
                _ => Value::Null,
            };
            self.send(&json!({ "id": id, "result": result }));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The settings that docs/guides/editors.md asks for, and no catalogue from the network.
fn settings(sections: &Value) -> Value {
    let tags = ["!override", "!reset"].iter().flat_map(|tag| {
        ["scalar", "sequence", "mapping"].map(|kind| Value::from(format!("{tag} {kind}")))
    });
    let yaml = json!({
        "validate": true,
        "hover": true,
        "completion": true,
        "schemaStore": { "enable": false },
        "customTags": tags.collect::<Vec<_>>(),
    });
    let one = |it: &Value| match it["section"].as_str() {
        Some("yaml") => yaml.clone(),
        _ => json!({}),
    };
    sections.as_array().unwrap().iter().map(one).collect()
}

fn place(path: &Path, line: u64, column: u64) -> Value {
    json!({
        "textDocument": { "uri": uri(path) },
        "position": { "line": line, "character": column },
    })
}

fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// One message: a header with its length, an empty line, and JSON.
fn receive(from: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok().filter(|it| *it > 0)?;
        if line == "\r\n" {
            break;
        }
        if let Some(it) = line.strip_prefix("Content-Length:") {
            length = it.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
