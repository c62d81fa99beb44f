use expect_test::{Expect, expect};

use super::*;
use crate::generate::Check;

fn service() -> Service {
    Service {
        path: "/etc/app".to_owned(),
        shim: Some("path=/etc/app;init=reap".to_owned()),
        check: Some(Check {
            test: ["CMD", INIT, "with-env", "--", "true", "$$X"]
                .map(str::to_owned)
                .to_vec(),
            image: None,
        }),
        label: None,
    }
}

/// Adds everything to `api`; doing it again changes nothing.
fn check(text: &str, it: &Service, expect: &Expect) {
    let once = with_service(text, "api", it).unwrap();
    expect.assert_eq(&once);
    assert_eq!(
        with_service(&once, "api", it).unwrap(),
        once,
        "a second time changes nothing"
    );
}

#[test]
fn a_service_that_has_nothing_of_it() {
    let plain = Service {
        path: "/run/secrets".to_owned(),
        shim: None,
        check: None,
        label: None,
    };
    check(
        "services:\n  api:\n    image: x # pinned\n    user: a\n",
        &plain,
        &expect![[r#"
        services:
          api:
            image: x # pinned
            init: true
            volumes:
              - { type: volume, source: locket, target: /sbin/docker-init, read_only: true, volume: { subpath: shim/docker-init, nocopy: true } }
              - { type: volume, source: locket-api, target: /run/secrets, read_only: true, volume: { nocopy: true } }
            user: a
        volumes:
          locket: {}
          locket-api: { driver: local, driver_opts: { type: tmpfs, device: tmpfs, o: "size=64m,mode=0755,nosuid,nodev,noexec" } }
    "#]],
    );
}

#[test]
fn what_is_there_is_added_to() {
    check(
        "services:\n  api:\n    image: x\n    init: false\n    volumes:\n    - data:/data # the data\n    environment:\n      A: 1\n    healthcheck:\n      # quick\n      test: [\"CMD\", \"true\", '$$X'] # well\n      interval: 1s\nvolumes:\n  data:\n",
        &service(),
        &expect![[r#"
            services:
              api:
                image: x
                init: true
                volumes:
                - { type: volume, source: locket, target: /sbin/docker-init, read_only: true, volume: { subpath: shim/docker-init, nocopy: true } }
                - { type: volume, source: locket-api, target: /etc/app, read_only: true, volume: { nocopy: true } }
                - data:/data # the data
                environment:
                  LOCKET_SHIM: "path=/etc/app;init=reap"
                  A: 1
                healthcheck:
                  # quick
                  test: [CMD, /sbin/docker-init, with-env, --, "true", "$$X"] # well
                  interval: 1s
            volumes:
              locket: {}
              locket-api: { driver: local, driver_opts: { type: tmpfs, device: tmpfs, o: "size=64m,mode=0755,nosuid,nodev,noexec" } }
              data:
        "#]],
    );
    check(
        "services:\n  api: { image: x, volumes: [data:/data], environment: [A=1], healthcheck: { test: curl localhost } }\nvolumes: { data: }\n",
        &service(),
        &expect![[r#"
            services:
              api: { init: true, image: x, volumes: [{ type: volume, source: locket, target: /sbin/docker-init, read_only: true, volume: { subpath: shim/docker-init, nocopy: true } }, { type: volume, source: locket-api, target: /etc/app, read_only: true, volume: { nocopy: true } }, data:/data], environment: ["LOCKET_SHIM=path=/etc/app;init=reap", A=1], healthcheck: { test: [CMD, /sbin/docker-init, with-env, --, "true", "$$X"] } }
            volumes: { locket: {}, locket-api: { driver: local, driver_opts: { type: tmpfs, device: tmpfs, o: "size=64m,mode=0755,nosuid,nodev,noexec" } }, data: }
        "#]],
    );
    check(
        "services:\n  api:\n    image: x\n    healthcheck:\n      test:\n        - CMD\n        - curl\n      retries: 3\n",
        &service(),
        &expect![[r#"
            services:
              api:
                image: x
                init: true
                environment: { LOCKET_SHIM: "path=/etc/app;init=reap" }
                volumes:
                  - { type: volume, source: locket, target: /sbin/docker-init, read_only: true, volume: { subpath: shim/docker-init, nocopy: true } }
                  - { type: volume, source: locket-api, target: /etc/app, read_only: true, volume: { nocopy: true } }
                healthcheck:
                  test: [CMD, /sbin/docker-init, with-env, --, "true", "$$X"]
                  retries: 3
            volumes:
              locket: {}
              locket-api: { driver: local, driver_opts: { type: tmpfs, device: tmpfs, o: "size=64m,mode=0755,nosuid,nodev,noexec" } }
        "#]],
    );
}

#[test]
fn what_comes_from_elsewhere_is_written_out() {
    check(
        "x-app: &app\n  image: x\n  init: false\n  volumes: [data:/data]\n  environment: { A: 1 }\n  healthcheck: { test: [CMD, a], interval: 1s }\nservices:\n  api:\n    <<: *app\n  other:\n    <<: *app\n",
        &service(),
        &expect![[r#"
            x-app: &app
              image: x
              init: false
              volumes: [data:/data]
              environment: { A: 1 }
              healthcheck: { test: [CMD, a], interval: 1s }
            services:
              api:
                init: true
                environment: { LOCKET_SHIM: "path=/etc/app;init=reap", A: 1 }
                healthcheck: { test: [CMD, /sbin/docker-init, with-env, --, "true", "$$X"], interval: "1s" }
                volumes: [{ type: volume, source: locket, target: /sbin/docker-init, read_only: true, volume: { subpath: shim/docker-init, nocopy: true } }, { type: volume, source: locket-api, target: /etc/app, read_only: true, volume: { nocopy: true } }, "data:/data"]
                <<: *app
              other:
                <<: *app
            volumes:
              locket: {}
              locket-api: { driver: local, driver_opts: { type: tmpfs, device: tmpfs, o: "size=64m,mode=0755,nosuid,nodev,noexec" } }
        "#]],
    );
    check(
        "x-v: &v [data:/data]\nx-e: &e\n  A: 1\nx-h: &h { test: a, interval: 1s }\nservices:\n  api: { image: x, volumes: *v, environment: *e, healthcheck: *h }\n",
        &service(),
        &expect![[r#"
            x-v: &v [data:/data]
            x-e: &e
              A: 1
            x-h: &h { test: a, interval: 1s }
            services:
              api: { init: true, image: x, volumes: [{ type: volume, source: locket, target: /sbin/docker-init, read_only: true, volume: { subpath: shim/docker-init, nocopy: true } }, { type: volume, source: locket-api, target: /etc/app, read_only: true, volume: { nocopy: true } }, "data:/data"], environment: { LOCKET_SHIM: "path=/etc/app;init=reap", A: 1 }, healthcheck: { test: [CMD, /sbin/docker-init, with-env, --, "true", "$$X"], interval: "1s" } }
            volumes:
              locket: {}
              locket-api: { driver: local, driver_opts: { type: tmpfs, device: tmpfs, o: "size=64m,mode=0755,nosuid,nodev,noexec" } }
        "#]],
    );
}

#[test]
fn a_file_with_windows_line_ends_keeps_them() {
    let after = with_service("services:\r\n  api:\r\n    image: x\r\n", "api", &service()).unwrap();
    assert_eq!(after.matches('\n').count(), after.matches("\r\n").count());
}
