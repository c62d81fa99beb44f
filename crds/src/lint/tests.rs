use super::*;
use crate::compose::{FilesInput, FromFiles, compile_files};
use crate::diag::render_text;

/// What one file says by itself.
fn read(sources: &[Text]) -> FromFiles {
    compile_files(&FilesInput {
        sources,
        top: &["compose.yaml".to_owned()],
        named: None,
        otherwise: "p",
        variables: &|_| None,
        working_dir: "/p",
        read_template: &|_| Err("no such file".to_owned()),
    })
}

/// What is said of one file, as text.
fn said(text: &str) -> String {
    let sources = [Text::new("compose.yaml", text)];
    let found = read(&sources);
    let problems = lint(&sources, found.spec.as_ref());
    let masked = shown(&sources);
    render_text(&allowed(problems, &sources), &masked, false)
}

#[test]
fn values_and_references_in_environment() {
    expect_test::expect![[r#"
        warning[L045 plain-secret]: the value of `SHARED_TOKEN` in service a looks like a secret, by its name, and whoever can read this file has it
         --> compose.yaml:2:17
          |
        2 |   SHARED_TOKEN: *******
          |                 ^^^^^^^
          |
          = help: `docker locket init --import` moves it into the store; if it is no secret, say so: `# locket: allow L045`

        warning[L045 plain-secret]: the value of `DB_PASSWORD` in service a looks like a secret, by its name, and whoever can read this file has it
          --> compose.yaml:10:20
           |
        10 |       DB_PASSWORD: *******
           |                    ^^^^^^^
           |
           = help: `docker locket init --import` moves it into the store; if it is no secret, say so: `# locket: allow L045`

        warning[L045 plain-secret]: the value of `PIN_PASS` in service a looks like a secret, by its name, and whoever can read this file has it
          --> compose.yaml:11:17
           |
        11 |       PIN_PASS: ****
           |                 ^^^^
           |
           = help: `docker locket init --import` moves it into the store; if it is no secret, say so: `# locket: allow L045`

        warning[L045 plain-secret]: the value of `PEM` in service a looks like a private key, and whoever can read this file has it
          --> compose.yaml:13:9
           |
        13 |         ***************************
           |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^
           |
           = help: `docker locket init --import` moves it into the store; if it is no secret, say so: `# locket: allow L045`

        warning[L045 plain-secret]: the value of `URL` in service a looks like a URL with a password, and whoever can read this file has it
          --> compose.yaml:15:12
           |
        15 |       URL: *****************************
           |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           |
           = help: `docker locket init --import` moves it into the store; if it is no secret, say so: `# locket: allow L045`

        warning[L046 plain-reference]: `A` of service a would start as the text that stands here, which is a reference
          --> compose.yaml:17:10
           |
        17 |       A: op://Shop/Item/field
           |          ^^^^^^^^^^^^^^^^^^^^
           |
           = help: move the variable to `x-locket.env` of the service

        warning[L046 plain-reference]: `B` of service a would start as the text that stands here, which is a reference
          --> compose.yaml:18:10
           |
        18 |       B: corp:secret/x#y
           |          ^^^^^^^^^^^^^^^
           |
           = help: move the variable to `x-locket.env` of the service

        warning[L046 plain-reference]: `C` of service a would start as the text that stands here, which is a reference
          --> compose.yaml:19:10
           |
        19 |       C: "{{ db | urlencode }}"
           |          ^^^^^^^^^^^^^^^^^^^^^^
           |
           = help: move the variable to `x-locket.env` of the service

        warning[L046 plain-reference]: `D` of service a would start as the text that stands here, which is a reference
          --> compose.yaml:20:10
           |
        20 |       D: local:db
           |          ^^^^^^^^
           |
           = help: move the variable to `x-locket.env` of the service

        warning[L045 plain-secret]: the value of `API_KEY` in service b looks like a secret, by its name, and whoever can read this file has it
          --> compose.yaml:25:38
           |
        25 |     environment: [SHARED=x, "API_KEY=*******", PATH_TOKEN, TOKEN=, 'GH=dsofile://x']
           |                                      ^^^^^^^
           |
           = help: `docker locket init --import` moves it into the store; if it is no secret, say so: `# locket: allow L045`

        warning[L046 plain-reference]: `GH` of service b would start as the text that stands here, which is a reference
          --> compose.yaml:25:72
           |
        25 |     environment: [SHARED=x, "API_KEY=*******", PATH_TOKEN, TOKEN=, 'GH=dsofile://x']
           |                                                                        ^^^^^^^^^^^
           |
           = help: move the variable to `x-locket.env` of the service
    "#]].assert_eq(&said(
        "x-env: &env
  SHARED_TOKEN: hunter2
x-locket:
  sources: { corp: { type: vault, url: \"https://v:8200\" } }
  secrets: { db: local:db }
services:
  a:
    environment:
      <<: *env
      DB_PASSWORD: hunter2
      PIN_PASS: 1234
      PEM: |
        -----BEGIN PRIVATE KEY-----
        hunter2
      URL: postgres://app:hunter2@db/app
      REDIS: redis://cache:6379
      A: op://Shop/Item/field
      B: corp:secret/x#y
      C: \"{{ db | urlencode }}\"
      D: local:db
      E: local:/etc/x y
      F: file:///etc/hosts
      G: \"${SECRET_KEY:-hunter2}\"
  b:
    environment: [SHARED=x, \"API_KEY=hunter2\", PATH_TOKEN, TOKEN=, 'GH=dsofile://x']
  c: { environment: *env, x-locket: [db] }
",
    ));
}

#[test]
fn commands_beside_the_program_lack_its_variables() {
    expect_test::expect![[r#"
        warning[L047 unwrapped]: the healthcheck of service a uses `KEY`, which only the program itself has
         --> compose.yaml:3:26
          |
        3 |     healthcheck: { test: [CMD-SHELL, "check $${KEY} $$HOME"] }
          |                          ^
          |
          = help: run it by `/sbin/docker-init with-env --`: `docker locket generate` does

        warning[L047 unwrapped]: the hook `post_start` of service a uses `KEY`, which only the program itself has
         --> compose.yaml:5:18
          |
        5 |       - command: sh -c 'echo $$KEY'
          |                  ^^^^^^^^^^^^^^^^^^
          |
          = help: run it by the shim: `[/sbin/docker-init, with-env, --, …]`

        warning[L047 unwrapped]: the hook of `on_change` of service a uses `KEY`, which only the program itself has
         --> compose.yaml:9:26
          |
        9 |       on_change: { exec: [sh, -c, 'reload "$$KEY"'] }
          |                          ^
          |
          = help: run it by the shim: `[/sbin/docker-init, with-env, --, …]`
    "#]].assert_eq(&said(
        "services:
  a:
    healthcheck: { test: [CMD-SHELL, \"check $${KEY} $$HOME\"] }
    post_start:
      - command: sh -c 'echo $$KEY'
      - command: [/sbin/docker-init, with-env, --, sh, -c, 'echo $$KEY']
    x-locket:
      env: { KEY: local:key }
      on_change: { exec: [sh, -c, 'reload \"$$KEY\"'] }
  b:
    healthcheck: { test: [CMD, /sbin/docker-init, with-env, --, sh, -c, 'x $$KEY'] }
    x-locket: { env: { KEY: local:key } }
  c:
    healthcheck: { test: 'x $$KEY_FILE' }
    x-locket: { env: { KEY: local:key } }
  d:
    healthcheck: { test: 'x $$KEY' }
    x-locket: [local:key]
",
    ));
}

#[test]
fn changes_that_reach_nobody() {
    expect_test::expect![[r#"
        warning[L048 first-start]: image postgres reads `POSTGRES_PASSWORD_FILE` at its first start only: a restart of service db after a change gives it a value that its data do not know
         --> compose.yaml:4:42
          |
        4 |     environment: [POSTGRES_PASSWORD_FILE=/run/secrets/a]
          |                                          ^^^^^^^^^^^^^^
          |
          = help: change it inside the running service with `on_change: { exec: […] }`, or say `on_change: none`

        warning[L048 first-start]: image mysql reads `MYSQL_ROOT_PASSWORD` at its first start only: a restart of service my after a change gives it a value that its data do not know
         --> compose.yaml:8:45
          |
        8 |     x-locket: { env: { MYSQL_ROOT_PASSWORD: local:a }, on_change: restart }
          |                                             ^
          |
          = help: change it inside the running service with `on_change: { exec: […] }`, or say `on_change: none`

        warning[L049 no-effect]: SIGHUP cannot change `A` of service signal: a running process keeps its variables
          --> compose.yaml:17:49
           |
        17 |     x-locket: { env: { A: local:a }, on_change: signal:HUP }
           |                                                 ^^^^^^^^^^
           |
           = help: deliver it as a file that the program reads again, or say `restart`

        warning[L049 no-effect]: service port cannot be rolled out: it has a fixed port of the host, and two containers at a time need it
          --> compose.yaml:20:48
           |
        20 |     x-locket: { secrets: [local:a], on_change: rollout }
           |                                                ^^^^^^^
           |
           = help: remove it, or say `restart`

        warning[L049 no-effect]: service host cannot be rolled out: it has the host's network, and two containers at a time need it
          --> compose.yaml:26:48
           |
        26 |     x-locket: { secrets: [local:a], on_change: { action: rollout } }
           |                                                ^
           |
           = help: remove it, or say `restart`
    "#]].assert_eq(&said(
        "services:
  db:
    image: registry.example:5000/library/postgres:17@sha256:00
    environment: [POSTGRES_PASSWORD_FILE=/run/secrets/a]
    x-locket: [local:a]
  my:
    image: mysql
    x-locket: { env: { MYSQL_ROOT_PASSWORD: local:a }, on_change: restart }
  none:
    image: mysql
    x-locket: { env: { MYSQL_ROOT_PASSWORD: local:a }, on_change: none }
  other:
    image: postgres-exporter
    environment: { POSTGRES_PASSWORD_FILE: /run/secrets/a }
    x-locket: [local:a]
  signal:
    x-locket: { env: { A: local:a }, on_change: signal:HUP }
  port:
    ports: [\"127.0.0.1:80:80\"]
    x-locket: { secrets: [local:a], on_change: rollout }
  ports:
    ports: [\"80\", \"8000-8010:80\", { target: 80 }]
    x-locket: { secrets: [local:a], on_change: rollout }
  host:
    network_mode: host
    x-locket: { secrets: [local:a], on_change: { action: rollout } }
",
    ));
}

#[test]
fn a_file_that_is_no_yaml_shows_no_value_either() {
    let sources = [Text::new(
        "compose.yaml",
        "services:\n  a:\n    environment: { DB_PASSWORD: hunter2, [ }\n    x: [\n",
    )];
    let problems = crate::compose::check_sources(&sources);
    let text = render_text(&problems, &shown(&sources), false);
    assert!(text.contains("L001") && !text.contains("hunter2"), "{text}");
}

#[test]
fn a_default_is_a_value_too() {
    let text = "services:\n  a:\n    environment:\n      DB_PASSWORD: ${DB_PASSWORD:-hunter2hunter2}\n      API_PASSWORD: ${API_PASSWORD:-postgres}\n      STRIPE: ${STRIPE:-sk_live_4eC39HqLyjWDarjtT1zdp7dc}\n";
    let problems = said(text);
    assert_eq!(
        problems.matches("L045").count() - problems.matches("allow L045").count(),
        2,
        "{problems}"
    );
    assert!(
        !problems.contains("hunter2") && !problems.contains("sk_live"),
        "{problems}"
    );
}

#[test]
fn what_has_the_name_of_a_secret_is_in_no_snippet() {
    let text = "services:\n  a:\n    build: { context: ., args: { NPM_TOKEN: hunter2 } }\n    labels: [app.password=hunter2]\n    environment: { API_PASSWORD: '${API_PASSWORD:-hunter2}' }\n";
    let sources = [Text::new("compose.yaml", text)];
    let shown = shown(&sources).shown("compose.yaml").unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(shown.trim_end().lines().count(), text.lines().count());
}

#[test]
fn documents_of_one_file_are_merged_as_files_are() {
    let text = "services:\n  api: { image: x, x-locket: [local:a] }\n---\nservices: { api: { environment: { A: b } } }\n";
    let found = read(&[Text::new("compose.yaml", text)]);
    assert_eq!(found.diagnostics, []);
    assert_eq!(found.spec.unwrap().services["api"].secrets.len(), 1);
}
