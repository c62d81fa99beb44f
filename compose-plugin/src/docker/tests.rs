use super::*;

#[test]
fn files_are_named_as_they_were_found() {
    let docker = Docker::new(&GlobalFlags::default(), &BTreeMap::new(), Path::new("/p"));
    let mut files = Files {
        paths: vec!["/p/a.yaml".into(), "/p/b:c.yaml".into()],
        how: How::Flags,
        project_dir: "/p".into(),
        env_file: "/p/.env".into(),
        env_files: vec!["/p/.env".into()],
    };
    let flags = ComposeFlags {
        project_name: Some("x".to_owned()),
        ..ComposeFlags::default()
    };
    let (_, words) = docker.compose(&flags, &files);
    assert_eq!(
        words,
        [
            "compose",
            "--file=/p/a.yaml",
            "--file=/p/b:c.yaml",
            "--project-name=x"
        ]
    );
    files.how = How::Search;
    let (docker, words) = docker.compose(&flags, &files);
    assert_eq!(words, ["compose", "--project-name=x"]);
    assert_eq!(docker.env["COMPOSE_FILE"], "/p/a.yaml;/p/b:c.yaml");
    assert_eq!(docker.env["COMPOSE_PATH_SEPARATOR"], ";");
}

#[test]
fn versions_are_compared_by_their_first_two_numbers() {
    assert_eq!(version("2.40.3-3"), Some((2, 40)));
    assert_eq!(version("v5.0.0-rc1"), Some((5, 0)));
    assert!(version("2.9.0").unwrap() < MIN_COMPOSE);
    assert_eq!(version("dev"), None);
}

/// A shell in the place of the docker CLI.
fn shell(env: &[(&str, &str)]) -> Docker {
    let mut all: BTreeMap<String, String> = env
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    all.insert(
        "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND".to_owned(),
        "/bin/sh".to_owned(),
    );
    Docker::new(&GlobalFlags::default(), &all, Path::new("/"))
}

#[tokio::test]
async fn both_streams_and_the_end_are_told() {
    let output = shell(&[])
        .output([
            "-c",
            "echo out; echo time=now >&2; echo why >&2; echo time=later >&2; exit 3",
        ])
        .await
        .unwrap();
    assert_eq!(
        (
            output.text().unwrap(),
            output.reason().as_str(),
            output.status.code()
        ),
        ("out\n", "why", Some(3))
    );
    let cycle = "echo first >&2; echo 'Circular:' >&2; echo '  a' >&2; echo '  b' >&2; exit 1";
    let cycle = shell(&[]).output(["-c", cycle]).await.unwrap();
    assert_eq!(cycle.reason(), "Circular: a, b");
    let silent = shell(&[]).output(["-c", "exit 1"]).await.unwrap();
    assert_eq!(silent.reason(), "it says nothing");
}

/// The words are those of compose 2.40.
#[tokio::test]
async fn what_compose_could_not_read_of_a_file_of_variables_is_not_told() {
    for (said, told) in [
        (
            r#"failed to read /srv/.env: line 2: unexpected character "+" in variable name "S+X=hunter2""#,
            "failed to read /srv/.env: line 2: unexpected character ******** in variable name ********",
        ),
        (
            r#"failed to read /srv/.env: line 3: unterminated quoted value "hunter2"#,
            "failed to read /srv/.env: line 3: unterminated quoted value ********",
        ),
        (
            "failed to read /srv/.env: line 1: key cannot contain a space",
            "failed to read /srv/.env: line 1: key cannot contain a space",
        ),
    ] {
        let script = format!("cat >&2 <<'E'\n{said}\nE\nexit 1");
        let path = [("PATH", "/usr/bin:/bin")];
        let output = shell(&path).output(["-c", &script]).await.unwrap();
        assert_eq!(output.reason(), told);
    }
}

#[tokio::test]
async fn a_long_output_is_whole() {
    let output = shell(&[("PATH", "/usr/bin:/bin")])
        .output(["-c", "head -c 300000 /dev/zero | tr '\\0' x"])
        .await
        .unwrap();
    assert!(output.stdout.len() == 300_000 && output.stdout.iter().all(|b| *b == b'x'));
}

#[tokio::test]
async fn the_environment_is_the_one_that_was_given() {
    let output = shell(&[
        ("A", "1"),
        ("PATH", "/usr/bin:/bin"),
        ("DOCKER_CLI_PLUGIN_SOCKET", "@x"),
    ])
    .output(["-c", "env"])
    .await
    .unwrap();
    let mut names: Vec<&str> = output
        .text()
        .unwrap()
        .lines()
        .filter_map(|l| Some(l.split_once('=')?.0))
        .collect();
    names.retain(|name| !matches!(*name, "PWD" | "_" | "SHLVL" | "OLDPWD"));
    names.sort();
    assert_eq!(names, ["A", "PATH"]);
}

#[tokio::test]
async fn an_exit_code_is_handed_on() {
    assert_eq!(shell(&[]).attached(["-c", "exit 7"]).await.unwrap(), 7);
}

#[tokio::test]
async fn a_compose_that_is_too_old_or_missing_is_refused_in_one_line() {
    // `sh compose version --short` runs the script of that name.
    let dir = tempfile::tempdir().unwrap();
    let said = |script: &str| {
        std::fs::write(dir.path().join("compose"), format!("{script}\n")).unwrap();
        Docker {
            dir: dir.path().to_owned(),
            ..shell(&[])
        }
    };
    let old = said("echo v2.35.1").require_compose().await.unwrap_err();
    assert_eq!(
        old.one_line(),
        "Docker Compose v2.35.1 does not know provider services; 2.36 or newer is needed"
    );
    let none = said("echo \"unknown command\" >&2; exit 1")
        .require_compose()
        .await
        .unwrap_err();
    assert_eq!(
        none.one_line(),
        "`docker compose` does not work here: unknown command"
    );
    for good in ["2.36.0", "2.40.3-3", "5.0.0", "dev"] {
        said(&format!("echo {good}"))
            .require_compose()
            .await
            .unwrap();
    }
}
