//! Projects as people write them: nothing to say about any of them.

use super::*;

fn with_crlf(files: &[(String, String)]) -> Vec<(String, String)> {
    let one = |(name, text): &(String, String)| {
        let text = match name.as_str() {
            ".env" => text.clone(),
            _ => text.replace('\n', "\r\n"),
        };
        (name.clone(), text)
    };
    files.iter().map(one).collect()
}

#[test]
fn nothing_is_said_about_a_project_that_is_fine() {
    for (name, files) in projects::all() {
        for files in [with_crlf(&files), files] {
            let dir = complete(&files);
            let found = examined(dir.path());
            assert!(found.loaded.spec.is_some(), "{name}: {}", text(&found));
            assert_eq!(text(&found), "", "{name}");
            let unset = |it: &&String| it.starts_with("the variable");
            assert!(
                found.open.iter().all(|it| unset(&it)),
                "{name}: {:?}",
                found.open
            );
        }
    }
}

/// With the docker CLI only, which reads the files for this and needs no engine.
#[tokio::test]
async fn real_compose_reads_the_projects_the_same_way() {
    for (name, files) in projects::all() {
        let dir = complete(&files);
        let theirs = with_compose(dir.path()).await;
        assert_eq!(text(&theirs), "", "{name}");
        let env: BTreeMap<String, String> = std::env::vars().collect();
        let ours = offline(dir.path(), &env).unwrap().loaded;
        let theirs = theirs.loaded;
        assert_eq!(theirs.items, ours.items, "{name}");
        assert_eq!(theirs.extras.shims, ours.extras.shims, "{name}");
        let (theirs, ours) = (theirs.spec.unwrap(), ours.spec.unwrap());
        assert_eq!(theirs.services, ours.services, "{name}");
        assert_eq!(theirs.sources, ours.sources, "{name}");
        assert_eq!(theirs.secrets, ours.secrets, "{name}");
        assert_eq!(
            (theirs.project, theirs.defaults),
            (ours.project, ours.defaults),
            "{name}"
        );
    }
}

/// What is found in a directory where compose is asked too.
async fn with_compose(dir: &Path) -> Found {
    let env: BTreeMap<String, String> = std::env::vars().collect();
    let flags = ComposeFlags::default();
    let files = files::find(&flags, &BTreeMap::new(), dir).unwrap();
    let request = Request {
        flags: &flags,
        files: &files,
        profiles: Profiles::All,
    };
    let docker = Docker::new(&crate::endpoint::GlobalFlags::default(), &env, dir);
    let loaded = compose::examine(&docker, &request, &env).await.unwrap();
    judged(loaded, Vec::new())
}

#[tokio::test]
async fn what_only_real_compose_refuses_is_told_in_its_words() {
    let dir = tempfile::tempdir().unwrap();
    let refused = "services:\n  a:\n    image: x\n    ports: ['999999:80']\n";
    std::fs::write(dir.path().join("compose.yaml"), refused).unwrap();
    let found = with_compose(dir.path()).await;
    expect_test::expect![[r#"
        error[L007 refused]: compose refuses the project: Invalid hostPort: 999999
         --> compose.yaml:4:13
          |
        4 |     ports: ['999999:80']
          |             ^^^^^^^^^^^
          |
          = help: mend it until `docker compose config` prints the project
    "#]]
    .assert_eq(&text(&found));
    // A value that compose cannot read is nobody's to see, neither in its words nor in the line.
    let broken =
        "services:\n  a:\n    image: x\n    environment:\n      DB_PASSWORD: \"c4n4ry${\"\n";
    std::fs::write(dir.path().join("compose.yaml"), broken).unwrap();
    let found = with_compose(dir.path()).await;
    let all = text(&found) + &render_github(&found.problems);
    assert!(!all.contains("c4n4ry"), "{all}");
    expect_test::expect![[r#"
        error[L007 refused]: compose refuses the project: invalid interpolation format for services.a.environment.DB_PASSWORD. You may need to escape any $ with another $.
         --> compose.yaml:5:20
          |
        5 |       DB_PASSWORD: **********
          |                    ^^^^^^^^^^
          |
          = help: mend it until `docker compose config` prints the project
    "#]].assert_eq(&text(&found));
    // Where the files explain it, compose's words would only be in the way.
    let explained = refused.replace("image: x", "x-locket: { secrets: [a], secrets: [b] }");
    std::fs::write(dir.path().join("compose.yaml"), explained).unwrap();
    let found = with_compose(dir.path()).await;
    let codes: Vec<Code> = found.problems.iter().map(|it| it.code).collect();
    assert_eq!(codes, [Code::Syntax]);
}
