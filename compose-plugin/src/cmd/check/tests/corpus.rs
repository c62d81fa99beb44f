//! Projects as people write them: nothing to say about any of them.

use super::*;

pub(super) fn all() -> Vec<(String, Vec<(String, String)>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut out: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|it| it.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, parts(&std::fs::read_to_string(path).unwrap()))
        })
        .collect();
    out.sort();
    assert!(out.len() >= 30);
    out
}

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
    for (name, files) in all() {
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
    for (name, files) in all() {
        let dir = complete(&files);
        let env: BTreeMap<String, String> = std::env::vars().collect();
        let flags = ComposeFlags::default();
        let files = files::find(&flags, &BTreeMap::new(), dir.path()).unwrap();
        let request = Request {
            flags: &flags,
            files: &files,
            profiles: Profiles::All,
        };
        let docker = Docker::new(&crate::endpoint::GlobalFlags::default(), &env, dir.path());
        let theirs = judged(
            compose::examine(&docker, &request, &env).await.unwrap(),
            Vec::new(),
        );
        assert_eq!(text(&theirs), "", "{name}");
        let ours = compose::from_files(&request, &env).unwrap().loaded;
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
