use std::fs;

use super::*;
use crate::compose::ComposeFlags;

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn env(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

#[test]
fn global_flags_end_at_the_command() {
    let line = words(
        "--context=a -D --tlsverify --tlscacert /ca -l debug --config d locket --context b status",
    );
    let (flags, rest) = GlobalFlags::take(&line);
    assert_eq!(flags.context.as_deref(), Some("a"));
    assert_eq!(flags.config.as_deref(), Some("d"));
    assert_eq!(flags.log_level.as_deref(), Some("debug"));
    assert!(flags.debug);
    assert_eq!(flags.tls, ["--tlsverify=true", "--tlscacert=/ca"]);
    assert_eq!(rest, words("locket --context b status"));
    assert_eq!(
        GlobalFlags::take(&flags.args()).0,
        flags,
        "and come out as they went in"
    );
    for line in [
        "-H tcp://x:1 ps",
        "-Htcp://x:1 ps",
        "-H=tcp://x:1 ps",
        "--host tcp://x:1 ps",
    ] {
        let line = words(line);
        let (flags, rest) = GlobalFlags::take(&line);
        assert_eq!(
            (flags.host.as_deref(), rest),
            (Some("tcp://x:1"), &words("ps")[..]),
            "{line:?}"
        );
    }
    assert_eq!(GlobalFlags::take(&words("--version")).1, words("--version"));
    assert_eq!(
        GlobalFlags::take(&words("--context")).1,
        words("--context"),
        "a value is missing"
    );
}

#[test]
fn the_parents_command_line_tells_engine_and_files() {
    let line = "/usr/libexec/docker/cli-plugins/docker-compose --context foo compose --ansi never -f a.yaml --file=b.yaml \
                -p shop --profile x --env-file e --project-directory /d up -d --file no";
    let it = Parent::of(&words(line)).unwrap();
    assert_eq!(it.globals.context.as_deref(), Some("foo"));
    assert_eq!(it.command, words("up -d --file no"));
    assert_eq!(
        it.compose,
        ComposeFlags {
            file: words("a.yaml b.yaml"),
            project_name: Some("shop".to_owned()),
            project_directory: Some("/d".to_owned()),
            env_file: words("e"),
            profile: words("x"),
        }
    );
    for line in [
        "docker-compose -f a.yaml up",
        "docker compose -f a.yaml up",
        "docker-compose compose -f a.yaml up",
    ] {
        let it = Parent::of(&words(line)).unwrap();
        assert_eq!(
            (it.compose.file, it.command),
            (words("a.yaml"), words("up")),
            "{line}"
        );
    }
    let it = Parent::of(&words(
        "docker-compose compose --context a --all-resources -H b up",
    ))
    .unwrap();
    assert_eq!(it.command, ["up"]);
    for line in [
        "bash -c docker compose up",
        "docker ps",
        "docker --context a stack",
        "komodo",
    ] {
        assert_eq!(Parent::of(&words(line)), None, "{line}");
    }
    let lines = [
        words("sh -c x"),
        words("docker-compose compose up"),
        words("docker --context no compose up"),
    ];
    assert_eq!(
        Parent::nearest(&lines).unwrap().globals,
        GlobalFlags::default()
    );
}

#[test]
fn our_own_ancestors_can_be_read() {
    assert!(!ancestors().is_empty());
}

/// A docker configuration with a context for a local socket and one for ssh.
fn config() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, host) in [
        ("local", "unix:///run/user/1000/docker.sock"),
        ("far", "ssh://me@far"),
    ] {
        let folder = dir
            .path()
            .join("contexts/meta")
            .join(format!("hash-of-{name}"));
        fs::create_dir_all(&folder).unwrap();
        let meta = serde_json::json!({ "Name": name, "Metadata": {}, "Endpoints": { "docker": { "Host": host } } });
        fs::write(folder.join("meta.json"), meta.to_string()).unwrap();
    }
    dir
}

fn chosen(flags: &str, variables: &[(&str, &str)], config: &Path) -> String {
    let mut env = env(variables);
    env.insert("DOCKER_CONFIG".to_owned(), config.display().to_string());
    match choose(&GlobalFlags::take(&words(flags)).0, &env) {
        Ok(endpoint) => format!("{endpoint:?}"),
        Err(e) => format!("error: {e}"),
    }
}

#[test]
fn the_engine_is_chosen_as_the_docker_cli_does() {
    let dir = config();
    let at = |flags: &str, env: &[(&str, &str)]| chosen(flags, env, dir.path());
    let default = "unix:///var/run/docker.sock";
    assert_eq!(at("", &[]), default);
    assert_eq!(
        at("--context local", &[]),
        "unix:///run/user/1000/docker.sock"
    );
    assert_eq!(
        at("--context default", &[("DOCKER_CONTEXT", "local")]),
        default
    );
    assert_eq!(
        at("", &[("DOCKER_CONTEXT", "local")]),
        "unix:///run/user/1000/docker.sock"
    );
    assert_eq!(
        at(
            "",
            &[("DOCKER_HOST", "unix:///a"), ("DOCKER_CONTEXT", "local")]
        ),
        "unix:///a"
    );
    assert_eq!(
        at("-H unix:///b", &[("DOCKER_HOST", "unix:///a")]),
        "unix:///b"
    );
    assert_eq!(
        at("--context far", &[]),
        r#"dial-stdio ["docker", "--context=far", "system", "dial-stdio"]"#
    );
    assert_eq!(
        at(
            "-H tcp://h:2376 --tlsverify",
            &[("DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND", "/opt/docker")]
        ),
        r#"dial-stdio ["/opt/docker", "--host=tcp://h:2376", "--tlsverify=true", "system", "dial-stdio"]"#
    );
    assert_eq!(
        at("", &[("DOCKER_TLS_VERIFY", "1")]),
        r#"dial-stdio ["docker", "system", "dial-stdio"]"#
    );
    assert_eq!(
        at("--context nowhere", &[]),
        "error: there is no docker context `nowhere`"
    );
    assert_eq!(
        at("--context a -H b", &[]),
        "error: `--context` and `--host` exclude each other"
    );

    fs::write(
        dir.path().join("config.json"),
        r#"{"auths":{"x":{"auth":"c2VjcmV0"}},"currentContext":"local"}"#,
    )
    .unwrap();
    assert_eq!(at("", &[]), "unix:///run/user/1000/docker.sock");
    assert_eq!(at("", &[("DOCKER_CONTEXT", "default")]), default);
    fs::write(
        dir.path().join("config.json"),
        r#"{"auths":{"x":"c2VjcmV0"}, "currentContext": 5}"#,
    )
    .unwrap();
    let said = at("", &[]);
    assert!(
        said.contains("config.json:1:") && !said.contains("c2Vj"),
        "{said}"
    );
}

#[test]
fn the_nearer_command_line_wins() {
    let (near, far) = (words("--context a"), words("-H b --config c --debug"));
    let it = GlobalFlags::take(&near).0.or(&GlobalFlags::take(&far).0);
    assert_eq!(it.args(), ["--config=c", "--context=a", "--debug"]);
}
