use super::*;
use std::fs;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[&str]) -> Self {
        let it = Self(tempfile::tempdir().unwrap());
        for file in files {
            let path = it.path(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "services: {}\n").unwrap();
        }
        it
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The files that are found from a directory, named from the folder.
    fn find(&self, dir: &str, flags: &[&str], env: &[(&str, &str)]) -> (How, Vec<String>) {
        let env = env
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let found = find(&flags_of(flags), &env, &self.path(dir)).unwrap();
        let name = |p: &PathBuf| p.strip_prefix(self.0.path()).unwrap().display().to_string();
        (found.how, found.paths.iter().map(name).collect())
    }
}

fn flags_of(words: &[&str]) -> ComposeFlags {
    let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
    let (mut out, mut rest) = (ComposeFlags::default(), words.as_slice());
    while let Some((word, after)) = rest.split_first() {
        rest = &rest[out.one(word, after.first()).unwrap()..];
    }
    out
}

fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|n| (*n).to_owned()).collect()
}

#[test]
fn the_search_goes_upwards_and_takes_one_override() {
    let it = Folder::new(&[
        "compose.yml",
        "docker-compose.yaml",
        "compose.override.yml",
        "compose.override.yaml",
        "a/b/x",
        "c/docker-compose.yml",
    ]);
    let both = names(&["compose.yml", "compose.override.yml"]);
    assert_eq!(it.find("", &[], &[]), (How::Search, both.clone()));
    assert_eq!(it.find("a/b", &[], &[]), (How::Search, both));
    assert_eq!(
        it.find("c", &[], &[]),
        (How::Search, names(&["c/docker-compose.yml"]))
    );
    assert_eq!(
        it.find("", &["--project-directory", "c"], &[]),
        (How::Search, names(&["c/docker-compose.yml"]))
    );
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_env_file() {
    let it = Folder::new(&["compose.yaml", "a.yaml", "b/b.yaml", "c.yaml"]);
    fs::write(
        it.path(".env"),
        "# COMPOSE_FILE=no\nX=1\nexport COMPOSE_FILE=\"a.yaml:b/b.yaml\" # both\n",
    )
    .unwrap();
    fs::write(
        it.path("other.env"),
        "COMPOSE_PATH_SEPARATOR=,\nCOMPOSE_FILE=a.yaml,c.yaml\n",
    )
    .unwrap();
    assert_eq!(
        it.find("", &[], &[]),
        (How::DotEnv, names(&["a.yaml", "b/b.yaml"]))
    );
    assert_eq!(
        it.find("", &["--env-file=other.env"], &[]),
        (How::DotEnv, names(&["a.yaml", "c.yaml"]))
    );
    assert_eq!(
        it.find("", &[], &[("COMPOSE_ENV_FILES", "other.env")]),
        (How::DotEnv, names(&["a.yaml", "c.yaml"]))
    );
    assert_eq!(
        it.find("", &[], &[("COMPOSE_FILE", "c.yaml")]),
        (How::Environment, names(&["c.yaml"]))
    );
    let all = it.find(
        "b",
        &["-f", "../b/./b.yaml", "-f../c.yaml"],
        &[("COMPOSE_FILE", "c.yaml")],
    );
    assert_eq!(all, (How::Flags, names(&["b/b.yaml", "c.yaml"])));
}

#[test]
fn what_cannot_be_found_is_one_clear_error() {
    let it = Folder::new(&["x"]);
    let error = |flags: &[&str]| {
        find(&flags_of(flags), &BTreeMap::new(), it.0.path())
            .unwrap_err()
            .message
    };
    assert!(error(&["-f", "-"]).contains("standard input"));
    assert!(error(&["-f", "nothing.yaml"]).starts_with("there is no compose file /"));
    // Unless somebody has one in the directory for temporary files or above it.
    if search(it.0.path().parent().unwrap()).is_err() {
        assert!(error(&[]).ends_with("or above it"));
    }
}

#[test]
fn generated_files_are_told_by_their_first_line() {
    let it = Folder::new(&["compose.yaml", "compose.override.yaml"]);
    let files = find(&ComposeFlags::default(), &BTreeMap::new(), it.0.path()).unwrap();
    assert_eq!(files.generated(), None);
    assert_eq!(
        files.foreign_override(),
        Some(it.path("compose.override.yaml"))
    );
    fs::write(
        it.path("compose.override.yaml"),
        format!("{GENERATED} …\nservices: {{}}\n"),
    )
    .unwrap();
    assert_eq!(
        files.generated(),
        Some(it.path("compose.override.yaml").as_path())
    );
    assert_eq!(files.foreign_override(), None);
    assert_eq!(files.without_generated().paths, [it.path("compose.yaml")]);
    assert_eq!(files.name(&it.path("compose.yaml")), "compose.yaml");
    assert_eq!(files.name(Path::new("/etc/x")), "/etc/x");
}

#[test]
fn flags_come_out_as_they_went_in() {
    let flags = flags_of(&[
        "-f",
        "a",
        "--file=b",
        "-p",
        "n",
        "--project-directory",
        "d",
        "--env-file",
        "e",
        "--profile=x",
    ]);
    assert_eq!(
        flags.args(&[PathBuf::from("/a")]),
        [
            "--file=/a",
            "--project-name=n",
            "--project-directory=d",
            "--env-file=e",
            "--profile=x"
        ]
    );
}

/// As compose 2.40 does it, tried out.
#[test]
fn variables_come_from_where_compose_takes_them() {
    let it = Folder::new(&["d/compose.yaml", "x/q"]);
    for (path, tag) in [
        (".env", "cwd"),
        ("d/.env", "d"),
        ("x/.env", "x"),
        ("x/my.env", "my"),
    ] {
        fs::write(it.path(path), format!("TAG={tag}\n")).unwrap();
    }
    let tag = |flags: &[&str], env: &[(&str, &str)]| {
        let env = env
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect();
        let files = find(&flags_of(flags), &env, it.0.path()).unwrap();
        variables(&files).remove("TAG").unwrap_or_default()
    };
    let by_environment = [("COMPOSE_FILE", "d/compose.yaml")];
    assert_eq!(tag(&["-f", "d/compose.yaml"], &[]), "d");
    assert_eq!(tag(&["--project-directory", "d"], &[]), "d");
    assert_eq!(
        tag(&["-f", "d/compose.yaml", "--project-directory", "x"], &[]),
        "x"
    );
    assert_eq!(tag(&["--project-directory", "x"], &by_environment), "x");
    assert_eq!(tag(&[], &by_environment), "cwd");
    for flags in [&["-f", "d/compose.yaml"][..], &["--project-directory", "d"]] {
        assert_eq!(
            tag(&[flags, &["--env-file", "x/my.env"]].concat(), &[]),
            "my"
        );
        assert_eq!(tag(flags, &[("COMPOSE_ENV_FILES", "x/my.env")]), "my");
    }
    assert_eq!(
        tag(
            &["-f", "d/compose.yaml"],
            &[("COMPOSE_DISABLE_ENV_FILE", "1")]
        ),
        ""
    );
    fs::remove_file(it.path(".env")).unwrap();
    assert_eq!(tag(&[], &by_environment), "d");
}
