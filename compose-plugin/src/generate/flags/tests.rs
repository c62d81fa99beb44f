use expect_test::expect;
use locket_crds::labels::{empty, merge, project_of, read};

use super::*;

fn told(words: &[(&str, &str)]) -> Vec<String> {
    let (found, problems) = read(words.iter().copied(), &[]);
    assert_eq!(problems, []);
    let mut spec = empty(&ProjectName::default());
    merge(&mut spec, &"web".into(), found);
    flags(&spec, &project_of("web").unwrap(), &"web".into())
}

#[test]
fn a_shell_finds_nothing_to_split_or_to_expand() {
    let all = told(&[
        ("locket.path", "/etc/a,\"b"),
        ("locket.env.A", "x {{ local:db }}\t\n* ? $HOME"),
    ]);
    expect![[r#"
        --init
        --env=LOCKET_SHIM=path=/etc/a,"b
        --mount=type=volume,source=locket-shim,target=/sbin/docker-init,readonly,volume-nocopy,volume-subpath=shim/docker-init
        --mount=type=volume,source=run.web_locket-web,"target=/etc/a,""b",readonly,volume-nocopy,volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs,"volume-opt=o=size=64m,mode=0755,nosuid,nodev,noexec"
        --label=locket.name=web
        --label=locket.spec={"services":{"web":{"x-locket":{"env":{"A":"x\u0020{{\u0020local:db\u0020}}\t\n\u002a\u0020\u003f\u0020$$HOME"},"path":"/etc/a,\"b"}}}}"#]].assert_eq(&all.join("\n"));
    assert!(!all.join("").contains([' ', '\t', '\n', '*', '?']));
    assert!(told(&[("locket.secret.a", "local:a")]).is_empty());
}
