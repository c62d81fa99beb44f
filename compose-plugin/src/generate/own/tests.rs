use expect_test::{Expect, expect};

use super::*;

/// Adds the gate and a dependency of `api`; doing it again changes nothing.
fn check(text: &str, expect: &Expect) {
    let once = with_dependency(&with_gate(text, "locket").unwrap(), "api", "locket").unwrap();
    expect.assert_eq(&once);
    let twice = with_dependency(&with_gate(&once, "locket").unwrap(), "api", "locket").unwrap();
    assert_eq!(twice, once, "a second time changes nothing");
    // Every line that was there is still there, but for those that were edited.
    let kept = text
        .lines()
        .filter(|l| once.lines().any(|o| o == *l))
        .count();
    assert!(text.lines().count() - kept <= 1, "{once}");
}

#[test]
fn a_block_without_dependencies() {
    check(
        "# top\nservices:\n  # the api\n  api:  # here\n    # its image\n    image: x   # pinned\n    ports:\n      - 80:80\n\n# end\n",
        &expect![[r#"
            # top
            services:
              locket: { provider: { type: locket } }
              # the api
              api:  # here
                # its image
                image: x   # pinned
                depends_on: [locket]
                ports:
                  - 80:80

            # end
        "#]],
    );
}

#[test]
fn a_service_that_is_built() {
    check(
        "services:\n  api:\n    build:\n      context: .\n    user: a\n",
        &expect![[r#"
            services:
              locket: { provider: { type: locket } }
              api:
                depends_on: [locket]
                build:
                  context: .
                user: a
        "#]],
    );
    check(
        "services:\n  api:\n    build: .\n",
        &expect![[r#"
            services:
              locket: { provider: { type: locket } }
              api:
                build: .
                depends_on: [locket]
        "#]],
    );
}

#[test]
fn lists_and_mappings_in_block_style() {
    check(
        "services:\n    api:\n        image: x\n        depends_on:\n        # first the database\n        - db  # really\n        - cache\n    db: { image: y }\n",
        &expect![[r#"
            services:
                locket: { provider: { type: locket } }
                api:
                    image: x
                    depends_on:
                    - locket
                    # first the database
                    - db  # really
                    - cache
                db: { image: y }
        "#]],
    );
    check(
        "services:\n  api:\n    depends_on:\n      db:\n        condition: service_healthy\n    image: x\n",
        &expect![[r#"
            services:
              locket: { provider: { type: locket } }
              api:
                depends_on:
                  locket: { condition: service_started }
                  db:
                    condition: service_healthy
                image: x
        "#]],
    );
}

#[test]
fn lists_and_mappings_in_flow_style() {
    check(
        "services:\n  api: { image: x, depends_on: [db, \"cache\"] } # both\n",
        &expect![[r#"
            services:
              locket: { provider: { type: locket } }
              api: { image: x, depends_on: [locket, db, "cache"] } # both
        "#]],
    );
    check(
        "services:\n  api:\n    image: x\n    depends_on: {db: {condition: service_healthy}}\n",
        &expect![[r#"
            services:
              locket: { provider: { type: locket } }
              api:
                image: x
                depends_on: {locket: { condition: service_started }, db: {condition: service_healthy}}
        "#]],
    );
    check(
        "services: { api: { image: x } }\n",
        &expect![[r#"
            services: { locket: { provider: { type: locket } }, api: { depends_on: [locket], image: x } }
        "#]],
    );
    check(
        "services:\n  api:\n    image: x\n    depends_on: [\n      db,  # first\n      cache,\n    ]\n",
        &expect![[r#"
            services:
              locket: { provider: { type: locket } }
              api:
                image: x
                depends_on: [ locket,
                  db,  # first
                  cache,
                ]
        "#]],
    );
}

#[test]
fn empty_collections() {
    check(
        "services:\n  api: { image: x, depends_on: [] }\n",
        &expect![[r#"
            services:
              locket: { provider: { type: locket } }
              api: { image: x, depends_on: [locket] }
        "#]],
    );
    check(
        "services:\n  api: {}\n",
        &expect![[r#"
            services:
              locket: { provider: { type: locket } }
              api: { depends_on: [locket] }
        "#]],
    );
    check(
        "services:\n  api: # from elsewhere\n  db: { image: x }\n",
        &expect![[r#"
            services:
              locket: { provider: { type: locket } }
              api: # from elsewhere
                depends_on: [locket]
              db: { image: x }
        "#]],
    );
}

#[test]
fn anchors_and_merges_keep_what_they_brought() {
    check(
        "x-app: &app\n  image: x\n  depends_on: [db]\nservices:\n  api:\n    <<: *app\n    user: a\n  other:\n    <<: *app\n",
        &expect![[r#"
            x-app: &app
              image: x
              depends_on: [db]
            services:
              locket: { provider: { type: locket } }
              api:
                depends_on: [locket, db]
                <<: *app
                user: a
              other:
                <<: *app
        "#]],
    );
    check(
        "x-app: &app\n  image: x\n  depends_on:\n    db: { condition: service_healthy, restart: true }\nservices:\n  api: *app\n",
        &expect![[r#"
            x-app: &app
              image: x
              depends_on:
                db: { condition: service_healthy, restart: true }
            services:
              locket: { provider: { type: locket } }
              api: { <<: *app, depends_on: { locket: { condition: service_started }, db: { condition: service_healthy, restart: true } } }
        "#]],
    );
    check(
        "x-deps: &deps [db]\nservices:\n  api:\n    image: x\n    depends_on: *deps # shared\n",
        &expect![[r#"
            x-deps: &deps [db]
            services:
              locket: { provider: { type: locket } }
              api:
                image: x
                depends_on: [locket, db] # shared
        "#]],
    );
    check(
        "services:\n  api: &api\n    image: x\n    depends_on: &deps\n      - db\n  other:\n    <<: *api\n    depends_on: *deps\n",
        &expect![[r#"
            services:
              locket: { provider: { type: locket } }
              api: &api
                image: x
                depends_on: &deps
                  - locket
                  - db
              other:
                <<: *api
                depends_on: *deps
        "#]],
    );
}

#[test]
fn tags_stay() {
    check(
        "services:\n  api:\n    image: x\n    depends_on: !override\n      - db\n",
        &expect![[r#"
            services:
              locket: { provider: { type: locket } }
              api:
                image: x
                depends_on: !override
                  - locket
                  - db
        "#]],
    );
    check(
        "services:\n  api:\n    image: x\n    depends_on: !override [db]\n",
        &expect![[r#"
            services:
              locket: { provider: { type: locket } }
              api:
                image: x
                depends_on: !override [locket, db]
        "#]],
    );
}

#[test]
fn line_ends_and_the_end_of_the_file() {
    let text = "services:\r\n  api:\r\n    image: x\r\n";
    let after = with_dependency(text, "api", "locket").unwrap();
    assert_eq!(
        after,
        "services:\r\n  api:\r\n    image: x\r\n    depends_on: [locket]\r\n"
    );
    let after = with_dependency("services:\n  api:\n    image: x", "api", "locket").unwrap();
    assert_eq!(
        after,
        "services:\n  api:\n    image: x\n    depends_on: [locket]"
    );
    let after = with_dependency("services:\r\n  api:\r\n    image: x", "api", "locket").unwrap();
    assert_eq!(
        after,
        "services:\r\n  api:\r\n    image: x\r\n    depends_on: [locket]"
    );
    let after = with_gate("\u{feff}services:\n  é: { image: x }\n", "locket").unwrap();
    assert_eq!(
        after,
        "\u{feff}services:\n  locket: { provider: { type: locket } }\n  é: { image: x }\n"
    );
}

#[test]
fn quoted_keys_and_names() {
    check(
        "\"services\":\n  'api':\n    \"image\": |-\n      x\n    \"depends_on\": [ 'db' ]\n",
        &expect![[r#"
            "services":
              locket: { provider: { type: locket } }
              'api':
                "image": |-
                  x
                "depends_on": [ locket, 'db' ]
        "#]],
    );
    let after = with_dependency("services:\n  \"1\": { image: x }\n", "1", "on").unwrap();
    assert_eq!(
        after,
        "services:\n  \"1\": { depends_on: [\"on\"], image: x }\n"
    );
}

#[test]
fn what_is_written_in_an_unusual_way_is_left_to_its_author() {
    for text in [
        "services:\n  ? api\n  : image: x\n    user: b\n",
        "services:\n  api: null\n",
        "services:\n  api: ~\n",
        "services:\n  api:\n    image: x\n    depends_on: db\n",
        "a: 1\n---\nb: 2\n",
        "services: [\n",
    ] {
        let it = with_dependency(text, "api", "locket");
        assert!(
            matches!(it, Err(EditError::Unusual { .. } | EditError::Unreadable)),
            "{text}: {it:?}"
        );
    }
    assert!(matches!(
        with_gate("x-locket: {}\n", "locket"),
        Err(EditError::Absent(_))
    ));
}
