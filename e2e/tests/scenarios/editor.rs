//! The language server on a real engine: what it says of a secret in the built-in store.
//! No twin on the fake engine: what it is without an engine is tested beside the program, in `compose-plugin/tests/main/lsp.rs`.

use locket_e2e::Project;
use serde_json::{Value, json};

const COMPOSE: &str = "\
x-locket:
  secrets: { key: local:key }
services:
  locket: { provider: { type: locket } }
  api: { image: locket-test/busybox, depends_on: [locket], x-locket: [key] }
";

/// A message as an editor frames it.
fn framed(message: &Value) -> String {
    let text = message.to_string();
    format!("Content-Length: {}\r\n\r\n{text}", text.len())
}

#[test]
fn hover_tells_the_version_of_a_secret_and_never_its_value() {
    let mut p = Project::new("hover", COMPOSE);
    let (first, second) = (p.canary("first"), p.canary("second"));
    p.store("key", first);
    p.store("key", second);
    let uri = format!("file://{}", p.dir().join("compose.yaml").display());
    let column = COMPOSE.lines().nth(4).unwrap().find("[key]").unwrap() + 2;
    let place =
        json!({ "textDocument": { "uri": uri }, "position": { "line": 4, "character": column } });
    let document = json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": COMPOSE });
    let said: String = [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {} }),
        json!({ "jsonrpc": "2.0", "method": "textDocument/didOpen", "params": { "textDocument": document } }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "textDocument/hover", "params": place }),
        json!({ "jsonrpc": "2.0", "id": 3, "method": "shutdown" }),
        json!({ "jsonrpc": "2.0", "method": "exit" }),
    ]
    .iter()
    .map(framed)
    .collect();
    let shown = p.locket(&["lsp"]).stdin(said).ok().text();
    assert!(shown.contains("**key** is `local:key`"), "{shown}");
    assert!(shown.contains("Version 2, set "), "{shown}");
    p.finish();
}
