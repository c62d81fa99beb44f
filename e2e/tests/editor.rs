//! What an editor shows: the committed schemas in a real YAML language server, over LSP on its standard streams.
//!
//! The files are those of `crds/tests/editor`, where a validator and our own reader judge them too.
#![allow(clippy::unwrap_used, reason = "tests")]

mod lsp;

use std::path::{Path, PathBuf};

use lsp::Server;

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of a folder of `crds/tests/editor`, in order.
fn files(folder: &str) -> Vec<PathBuf> {
    let dir = root().join("crds/tests/editor").join(folder);
    let entries = std::fs::read_dir(dir).unwrap();
    let mut all: Vec<_> = entries.map(|it| it.unwrap().path()).collect();
    all.sort();
    all
}

/// What `# expect: LINE: WORDS` says.
fn expected(text: &str) -> (u64, String) {
    let line = text.lines().find_map(|l| l.strip_prefix("# expect: "));
    let (line, words) = line.unwrap().split_once(": ").unwrap();
    (line.parse().unwrap(), words.to_owned())
}

#[test]
fn real_server_finds_nothing_in_good_files() {
    let mut server = Server::start();
    for path in ["good", "reader-only"].iter().flat_map(|it| files(it)) {
        let found = server.open(&path, &std::fs::read_to_string(&path).unwrap());
        assert_eq!(found, [], "{}", path.display());
    }
}

#[test]
fn real_server_names_the_mistake_on_its_line() {
    let mut server = Server::start();
    let mut wrong = Vec::new();
    for path in ["bad", "editor-only"].iter().flat_map(|it| files(it)) {
        let text = std::fs::read_to_string(&path).unwrap();
        let (line, words) = expected(&text);
        let found = server.open(&path, &text);
        // One message for one mistake, and it is the one that helps.
        let fits =
            matches!(found.as_slice(), [it] if it.line == line && it.message.contains(&words));
        if !fits {
            wrong.push(format!("{}: {found:?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A text with one `|`: the text without it, and line and column of where it was.
fn at_mark(text: &str) -> (String, u64, u64) {
    let at = text.find('|').unwrap();
    let before = &text[..at];
    let line = before.matches('\n').count() as u64;
    let column = before.len() - before.rfind('\n').map_or(0, |it| it + 1);
    (text.replacen('|', "", 1), line, column as u64)
}

/// A file with the schema's line on top.
fn with_schema(comment: &str, text: &str) -> String {
    let schema = root()
        .canonicalize()
        .unwrap()
        .join("docs/schema/compose.json");
    format!("{comment}{}\n{text}", schema.display())
}

const MODELINE: &str = "# yaml-language-server: $schema=";

const API: &str = "services:\n  api:\n    image: a\n    x-locket:\n";

#[test]
fn real_server_offers_keys_words_and_filters() {
    let mut server = Server::start();
    for (text, wanted) in [
        ("x-locket:\n  |", "defaults secrets services sources"),
        ("x-|", "x-locket services volumes"),
        ("services:\n  api:\n    |", "x-locket image depends_on"),
        (
            &format!("{API}      |"),
            "env on_change path secrets templates",
        ),
        (
            &format!("{API}      on_change: |"),
            "auto none restart recreate rollout signal:HUP",
        ),
        (
            &format!("{API}      on_change:\n        |"),
            "action exec signal timeout stable settle restart_every",
        ),
        (
            &format!("{API}      on_change:\n        action: |"),
            "restart",
        ),
        (
            &format!("{API}      on_change:\n        signal: |"),
            "HUP SIGHUP",
        ),
        (
            &format!("{API}      secrets:\n        - source: a\n          |"),
            "target uid gid mode update",
        ),
        (
            &format!("{API}      secrets:\n        - source: a\n          update: |"),
            "swap rename inplace",
        ),
        (
            &format!("{API}      secrets:\n        - source: a\n          uid: |"),
            "service",
        ),
        (
            &format!("{API}      env:\n        A:\n          |"),
            "secret value via",
        ),
        (
            &format!("{API}      env:\n        A:\n          via: |"),
            "shim compose",
        ),
        (
            "x-locket:\n  sources:\n    bao: |",
            "openbao vault 1password",
        ),
        ("x-locket:\n  sources:\n    bao:\n      type: |", "openbao"),
        (
            "x-locket:\n  sources:\n    bao:\n      type: vault\n      |",
            "url auth ca refresh",
        ),
        (
            "x-locket:\n  secrets:\n    a: |",
            "local:name op://vault/item/field",
        ),
        (
            "services:\n  api:\n    depends_on:\n      db:\n        condition: |",
            "service_healthy",
        ),
    ] {
        let (text, line, column) = at_mark(text);
        let path = &server.fresh();
        server.open(path, &with_schema(MODELINE, &text));
        let offered = server.completion(path, line + 1, column);
        for word in wanted.split(' ') {
            assert!(
                offered.iter().any(|it| it == word),
                "{word} at {text:?}: {offered:?}"
            );
        }
    }
    for place in ["env:\n        A: |", "templates:\n        - content: |"] {
        let (text, line, column) = at_mark(&format!("{API}      {place}"));
        let path = &server.fresh();
        server.open(path, &with_schema(MODELINE, &text));
        let offered = server.completion(path, line + 1, column);
        for filter in ["{{ name | urlencode }}", "{{ name | indent(2) }}"] {
            assert!(
                offered.iter().any(|it| it == filter),
                "{text:?}: {offered:?}"
            );
        }
    }
}

#[test]
fn real_server_tells_what_a_key_is_for() {
    let mut server = Server::start();
    for (text, wanted) in [
        ("x-loc|ket: {}", "Where the project's secrets are"),
        (
            &format!("{API}      on_ch|ange: restart"),
            "when a value changes; default `auto`",
        ),
        (
            &format!("{API}      secr|ets: [local:a]"),
            "```yaml\nsecrets: [db_password",
        ),
        (
            &format!("{API}      secrets:\n        - source: a\n          mo|de: 0440"),
            "default `0444`",
        ),
        (
            &format!("{API}      env:\n        A: {{ secret: local:a, v|ia: shim }}"),
            "default `shim`",
        ),
        (
            "x-locket:\n  sources:\n    bao: { type: vault, ref|resh: 5m }",
            "How often it is asked for changes; default `60s`.",
        ),
        (
            "x-locket:\n  defaults:\n    set|tle: 5s",
            "Quiet time after a change",
        ),
        (
            "services:\n  api:\n    im|age: a",
            "The image that the container is made of",
        ),
    ] {
        let (text, line, column) = at_mark(text);
        let path = &server.fresh();
        server.open(path, &with_schema(MODELINE, &text));
        let shown = server.hover(path, line + 1, column);
        assert!(shown.contains(wanted), "{text:?}: {shown}");
    }
}

/// Both spellings of the line, in a file whatever an editor takes it for.
#[test]
fn real_server_reads_both_spellings_of_the_schemas_line() {
    let mut server = Server::start();
    for comment in [MODELINE, "# $schema: "] {
        for language in ["yaml", "dockercompose"] {
            let path = &server.fresh();
            let text = with_schema(comment, "x-locket:\n  source: {}\n");
            let found = server.open_as(path, &text, language);
            assert_eq!(found.len(), 1, "{comment}{language}: {found:?}");
            assert!(found[0].message.contains("Property source is not allowed"));
        }
    }
}
