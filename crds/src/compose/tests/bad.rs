use expect_test::expect;

use super::*;

#[test]
fn keys_and_types() {
    expect![[r#"
        error[L003 unknown-key]: `x-locket` has no key `source`
         --> compose.yaml:3:3
          |
        3 |   source: {}
          |   ^^^^^^
          |
          = help: did you mean `sources`?

        error[L004 wrong-type]: `secrets` is a list, not a mapping
         --> compose.yaml:4:12
          |
        4 |   secrets: [a]
          |            ^

        error[L005 invalid-value]: `2` is not a duration
         --> compose.yaml:5:23
          |
        5 |   defaults: { settle: 2, refresh: soon, restart_every: -1s }
          |                       ^
          |
          = help: write a number with its unit: `500ms`, `30s`, `1m30s`

        error[L005 invalid-value]: `soon` is not a duration
         --> compose.yaml:5:35
          |
        5 |   defaults: { settle: 2, refresh: soon, restart_every: -1s }
          |                                   ^^^^
          |
          = help: write a number with its unit: `500ms`, `30s`, `1m30s`

        error[L005 invalid-value]: `-1s` is not a duration
         --> compose.yaml:5:56
          |
        5 |   defaults: { settle: 2, refresh: soon, restart_every: -1s }
          |                                                        ^^^
          |
          = help: write a number with its unit: `500ms`, `30s`, `1m30s`

        error[L003 unknown-key]: `x-locket` has no key `secret`
         --> compose.yaml:9:7
          |
        9 |       secret: [a]
          |       ^^^^^^
          |
          = help: did you mean `secrets`?

        error[L004 wrong-type]: `env` is a list, not a mapping
          --> compose.yaml:10:12
           |
        10 |       env: [A]
           |            ^

        error[L004 wrong-type]: `templates` is a mapping, not a list
          --> compose.yaml:11:18
           |
        11 |       templates: { a: b }
           |                  ^

        error[L005 invalid-value]: `path` is not an absolute directory of the container
          --> compose.yaml:12:13
           |
        12 |       path: run/secrets
           |             ^^^^^^^^^^^
           |
           = help: write one that the service's volume is mounted at: `/run/secrets`

        error[L004 wrong-type]: `on_change` is a list, not a mapping
          --> compose.yaml:13:18
           |
        13 |       on_change: [restart]
           |                  ^

        error[L004 wrong-type]: `x-locket` is text, not a list or a mapping
          --> compose.yaml:15:15
           |
        15 |     x-locket: text
           |               ^^^^

        error[L003 unknown-key]: an entry of `secrets` has no key `traget`
          --> compose.yaml:19:30
           |
        19 |         - { source: local:a, traget: x, uid: "-1", gid: "a b", mode: 440, update: move }
           |                              ^^^^^^
           |
           = help: did you mean `target`?

        error[L005 invalid-value]: `"-1"` is not a user or group
          --> compose.yaml:19:46
           |
        19 |         - { source: local:a, traget: x, uid: "-1", gid: "a b", mode: 440, update: move }
           |                                              ^^^^
           |
           = help: write a number, a name, or `service` for the service's own user

        error[L005 invalid-value]: `"a b"` is not a user or group
          --> compose.yaml:19:57
           |
        19 |         - { source: local:a, traget: x, uid: "-1", gid: "a b", mode: 440, update: move }
           |                                                         ^^^^^
           |
           = help: write a number, a name, or `service` for the service's own user

        error[L005 invalid-value]: `440` is not a mode
          --> compose.yaml:19:70
           |
        19 |         - { source: local:a, traget: x, uid: "-1", gid: "a b", mode: 440, update: move }
           |                                                                      ^^^
           |
           = help: write three octal digits with a zero in front: `0440`

        error[L005 invalid-value]: `move` is not one of swap, rename, inplace
          --> compose.yaml:19:83
           |
        19 |         - { source: local:a, traget: x, uid: "-1", gid: "a b", mode: 440, update: move }
           |                                                                                   ^^^^

        error[L005 invalid-value]: `"9"` is not a mode
          --> compose.yaml:20:36
           |
        20 |         - { source: local:b, mode: "9", uid: -1 }
           |                                    ^^^
           |
           = help: write three octal digits with a zero in front: `0440`

        error[L005 invalid-value]: `-1` is not a user or group
          --> compose.yaml:20:46
           |
        20 |         - { source: local:b, mode: "9", uid: -1 }
           |                                              ^^
           |
           = help: write a number, a name, or `service` for the service's own user

        error[L005 invalid-value]: `01777` is not a mode
          --> compose.yaml:21:36
           |
        21 |         - { source: local:c, mode: 01777 }
           |                                    ^^^^^
           |
           = help: write three octal digits with a zero in front: `0440`

        error[L006 missing-key]: an entry of `secrets` has no `source`
          --> compose.yaml:22:11
           |
        22 |         - { target: x }
           |           ^

        error[L004 wrong-type]: an entry of `secrets` is a number, not text
          --> compose.yaml:23:11
           |
        23 |         - 5
           |           ^
           |
           = help: write it in quotes
    "#]].assert_eq(&bad(r#"name: p
x-locket:
  source: {}
  secrets: [a]
  defaults: { settle: 2, refresh: soon, restart_every: -1s }
services:
  api:
    x-locket:
      secret: [a]
      env: [A]
      templates: { a: b }
      path: run/secrets
      on_change: [restart]
  web:
    x-locket: text
  web2:
    x-locket:
      secrets:
        - { source: local:a, traget: x, uid: "-1", gid: "a b", mode: 440, update: move }
        - { source: local:b, mode: "9", uid: -1 }
        - { source: local:c, mode: 01777 }
        - { target: x }
        - 5
"#));
}

#[test]
fn references_names_and_literals() {
    expect![[r#"
        error[L010 reference]: `..` has no place in a path
         --> compose.yaml:5:15
          |
        5 |     a: bao:kv/../x#y
          |               ^^^^^^

        error[L021 unknown-source]: there is no source `boa`
         --> compose.yaml:6:8
          |
        6 |     b: boa:kv/x#y
          |        ^^^^^^^^^^
          |
          = help: did you mean `bao`?

        error[L012 literal]: `c` is not a reference
         --> compose.yaml:7:8
          |
        7 |     c: *******
          |        ^^^^^^^
          |
          = help: write `<source>:<path>#<field>`; a value is never written down here

        error[L021 unknown-source]: there is no source `crop`
         --> compose.yaml:8:8
          |
        8 |     d: crop:kv/x
          |        ^^^^^^^^^
          |
          = help: did you mean `corp`?

        error[L005 invalid-value]: `e f` cannot be the name of a secret
         --> compose.yaml:9:12
          |
        9 |     "e f": local:e
          |            ^^^^^^^
          |
          = help: a name has letters, digits, `.`, `-` and `_`

        error[L005 invalid-value]: the reference names a field, and so does `fields`
          --> compose.yaml:10:37
           |
        10 |     g: { ref: "bao:kv/x#y", fields: { f: y, g: " " } }
           |                                     ^
           |
           = help: leave the field of `ref` out

        error[L005 invalid-value]: `" "` cannot be the name of a field
          --> compose.yaml:10:48
           |
        10 |     g: { ref: "bao:kv/x#y", fields: { f: y, g: " " } }
           |                                                ^^^

        error[L006 missing-key]: `h` has no `ref`
          --> compose.yaml:11:8
           |
        11 |     h: { fields: {} }
           |        ^

        error[L012 literal]: this is neither a name of the catalogue nor a reference
          --> compose.yaml:15:17
           |
        15 |       secrets: [***********, "op://Shop", "{{ a }}"]
           |                 ^^^^^^^^^^^
           |
           = help: write a name of `x-locket.secrets`, or `<source>:<path>#<field>`; a value is never written down here

        error[L010 reference]: an op reference has two to four names
          --> compose.yaml:15:36
           |
        15 |       secrets: [***********, "op://Shop", "{{ a }}"]
           |                                    ^^^^
           |
           = help: write `op://vault/item/field` or `op://vault/item/section/field`

        error[L011 template]: a template has no place in an entry of `secrets`
          --> compose.yaml:15:43
           |
        15 |       secrets: [***********, "op://Shop", "{{ a }}"]
           |                                           ^^^^^^^^^
           |
           = help: templates stand in `env` and `templates`

        error[L021 unknown-source]: there is no source `postgres`
          --> compose.yaml:17:14
           |
        17 |         URL: *****************************
           |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           |
           = help: name it in `x-locket.sources` (one of locket.yaml with its type alone, as in `corp: openbao`), or refer to a secret: a value is never written down here

        error[L012 literal]: this is neither a name of the catalogue nor a reference
          --> compose.yaml:18:19
           |
        18 |         PASSWORD: ********
           |                   ^^^^^^^^
           |
           = help: write a name of `x-locket.secrets`, or `<source>:<path>#<field>`; a value is never written down here

        error[L012 literal]: this is neither a name of the catalogue nor a reference
          --> compose.yaml:20:11
           |
        20 |           *******************
           |           ^^^^^^^^^^^^^^^^^^^
           |
           = help: write a name of `x-locket.secrets`, or `<source>:<path>#<field>`; a value is never written down here

        error[L004 wrong-type]: `N` is a number, not text
          --> compose.yaml:22:12
           |
        22 |         N: 5
           |            ^
           |
           = help: write it in quotes

        error[L012 literal]: this is neither a name of the catalogue nor a reference
          --> compose.yaml:23:12
           |
        23 |         E: **
           |            ^^
           |
           = help: write a name of `x-locket.secrets`, or `<source>:<path>#<field>`; a value is never written down here

        error[L004 wrong-type]: `NULL` is nothing, not a name, a reference or a template
          --> compose.yaml:24:15
           |
        24 |         NULL: ~
           |               ^

        error[L006 missing-key]: `BOTH` needs one of `secret` and `value`
          --> compose.yaml:25:15
           |
        25 |         BOTH: { secret: a, value: b }
           |               ^

        error[L005 invalid-value]: `docker` is not one of shim, compose
          --> compose.yaml:26:32
           |
        26 |         VIA: { secret: a, via: docker }
           |                                ^^^^^^
    "#]].assert_eq(&bad(r#"name: p
x-locket:
  sources: { corp: vault }
  secrets:
    a: bao:kv/../x#y
    b: boa:kv/x#y
    c: hunter2
    d: crop:kv/x
    "e f": local:e
    g: { ref: "bao:kv/x#y", fields: { f: y, g: " " } }
    h: { fields: {} }
services:
  api:
    x-locket:
      secrets: ["two words", "op://Shop", "{{ a }}"]
      env:
        URL: postgres://app:hunter2@db/app
        PASSWORD: hunter 2
        LONG: |
          -----BEGIN KEY-----
          hunter2
        N: 5
        E: ""
        NULL: ~
        BOTH: { secret: a, value: b }
        VIA: { secret: a, via: docker }
"#));
}

#[test]
fn templates() {
    expect![[r#"
        error[L011 template]: there is no filter bse64
          --> ./bad.tpl:2:11
           |
          ::: compose.yaml:18:21
           |
        18 |         - { source: ./bad.tpl }
           |                     --------- the template is used here
           |
           = help: did you mean `base64`?

        error[L011 template]: there is no filter bse64
         --> compose.yaml:6:20
          |
        6 |         A: "{{ a | bse64 }} and {{ b"
          |                    ^^^^^
          |
          = help: did you mean `base64`?

        error[L011 template]: the expression is not closed
         --> compose.yaml:6:33
          |
        6 |         A: "{{ a | bse64 }} and {{ b"
          |                                 ^^
          |
          = help: close it with `}}`; a literal `{{` is written `{{ "{{" }}`

        error[L011 template]: the expression names no secret
         --> compose.yaml:7:12
          |
        7 |         B: "esc\"aped {{ | }}"
          |            ^^^^^^^^^^^^^^^^^^^
          |
          = help: write `{{ name }}`; a literal `{{` is written `{{ "{{" }}`

        error[L021 unknown-source]: there is no source `boa`
         --> compose.yaml:8:13
          |
        8 |         C: "{{ boa:kv/x }}"
          |             ^^^^^^^^^^^^^^
          |
          = help: did you mean `bao`?

        error[L011 template]: indent takes a number from 0 to 200
          --> compose.yaml:13:24
           |
        13 |               ü {{ a | indent(999) }}
           |                        ^^^^^^^^^^^
           |
           = help: write `indent(4)`

        error[L011 template]: this is neither a name nor a reference
          --> compose.yaml:16:13
           |
        16 |             first line
           |             ^^^^^^^^^^
           |
           = help: a name has letters, digits, `.`, `-` and `_`; a filter stands after `|`

        error[L016 template-file]: the template cannot be read: no such file
          --> compose.yaml:19:21
           |
        19 |         - { source: ./missing.tpl }
           |                     ^^^^^^^^^^^^^

        error[L006 missing-key]: an entry of `templates` has no `target`
          --> compose.yaml:20:11
           |
        20 |         - { content: x }
           |           ^

        error[L006 missing-key]: a template needs one of `source` and `content`
          --> compose.yaml:21:11
           |
        21 |         - { target: x }
           |           ^

        error[L006 missing-key]: a template needs one of `source` and `content`
          --> compose.yaml:22:11
           |
        22 |         - { source: ./app.toml.tpl, content: x }
           |           ^

        error[L004 wrong-type]: an entry of `templates` is text, not a mapping
          --> compose.yaml:23:11
           |
        23 |         - text
           |           ^^^^
    "#]]
    .assert_eq(&bad(r#"name: p
services:
  api:
    x-locket:
      env:
        A: "{{ a | bse64 }} and {{ b"
        B: "esc\"aped {{ | }}"
        C: "{{ boa:kv/x }}"
      templates:
        - target: block
          content: |
            first line
              ü {{ a | indent(999) }}
        - target: folded
          content: >-
            first line
            {{ a b }}
        - { source: ./bad.tpl }
        - { source: ./missing.tpl }
        - { content: x }
        - { target: x }
        - { source: ./app.toml.tpl, content: x }
        - text
"#));
}

#[test]
fn sources() {
    expect![[r#"
        error[L005 invalid-value]: there is no type of source `opnebao`
         --> compose.yaml:4:8
          |
        4 |     a: opnebao
          |        ^^^^^^^
          |
          = help: did you mean `openbao`?

        error[L006 missing-key]: `b` has no `type`
         --> compose.yaml:5:8
          |
        5 |     b: { url: "https://x" }
          |        ^

        error[L015 url]: the url has a user or password
         --> compose.yaml:6:30
          |
        6 |     c: { type: openbao, url: ***************************** }
          |                              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = help: name the credential in `auth`, as a file or a variable

        error[L015 url]: the url has a query
         --> compose.yaml:7:30
          |
        7 |     d: { type: openbao, url: ********************************* }
          |                              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = help: write only where the server is

        error[L015 url]: the url does not begin with https:// or http://
         --> compose.yaml:8:30
          |
        8 |     e: { type: openbao, url: *********** }
          |                              ^^^^^^^^^^^
          |
          = help: write `https://host:port`

        error[L006 missing-key]: `auth` has more than one method
         --> compose.yaml:9:31
          |
        9 |     f: { type: openbao, auth: { token: *******, approle: {} } }
          |                               ^
          |
          = help: write one of `token:` and `approle:`

        error[L014 written-credential]: `token` is written down here
          --> compose.yaml:10:40
           |
        10 |     g: { type: openbao, auth: { token: ******* } }
           |                                        ^^^^^^^
           |
           = help: name where it is: `{ file: /path }` or `{ env: NAME }`

        error[L004 wrong-type]: `role_id` is a number, not text
          --> compose.yaml:11:53
           |
        11 |     h: { type: openbao, auth: { approle: { role_id: 1, secret_id: { value: ******* } } } }
           |                                                     ^
           |
           = help: write it in quotes

        error[L003 unknown-key]: `secret_id` has no key `value`
          --> compose.yaml:11:69
           |
        11 |     h: { type: openbao, auth: { approle: { role_id: 1, secret_id: { value: ******* } } } }
           |                                                                     ^^^^^
           |
           = help: name where it is: `{ file: /path }` or `{ env: NAME }`

        error[L003 unknown-key]: `auth` has no key `userpass`
          --> compose.yaml:12:33
           |
        12 |     i: { type: openbao, auth: { userpass: { password: ******* } } }
           |                                 ^^^^^^^^
           |
           = help: there is approle, token

        error[L006 missing-key]: `auth` has no method
          --> compose.yaml:13:31
           |
        13 |     j: { type: openbao, auth: {}, refresh: 1 }
           |                               ^
           |
           = help: write one of `token:` and `approle:`

        error[L005 invalid-value]: `1` is not a duration
          --> compose.yaml:13:44
           |
        13 |     j: { type: openbao, auth: {}, refresh: 1 }
           |                                            ^
           |
           = help: write a number with its unit: `500ms`, `30s`, `1m30s`

        error[L005 invalid-value]: `k l` cannot be the name of a source
          --> compose.yaml:14:12
           |
        14 |     "k l": vault
           |            ^^^^^
           |
           = help: a name has letters, digits, `-` and `_`, and begins with a letter
    "#]].assert_eq(&bad(r#"name: p
x-locket:
  sources:
    a: opnebao
    b: { url: "https://x" }
    c: { type: openbao, url: "https://me:hunter2@bao:8200" }
    d: { type: openbao, url: "https://bao:8200/?token=hunter2" }
    e: { type: openbao, url: "ftp://bao" }
    f: { type: openbao, auth: { token: hunter2, approle: {} } }
    g: { type: openbao, auth: { token: hunter2 } }
    h: { type: openbao, auth: { approle: { role_id: 1, secret_id: { value: hunter2 } } } }
    i: { type: openbao, auth: { userpass: { password: hunter2 } } }
    j: { type: openbao, auth: {}, refresh: 1 }
    "k l": vault
"#));
}

#[test]
fn a_built_in_source_is_of_its_own_type() {
    expect![[r#"
        error[L026 reserved]: `local` is built in and cannot be of type env
         --> compose.yaml:4:12
          |
        4 |     local: env
          |            ^^^
          |
          = help: give the source another name

        error[L026 reserved]: `file` is built in and cannot be of type openbao
         --> compose.yaml:5:11
          |
        5 |     file: { type: openbao, url: "https://x" }
          |           ^
          |
          = help: give the source another name
    "#]]
    .assert_eq(&bad(r#"name: p
x-locket:
  sources:
    local: env
    file: { type: openbao, url: "https://x" }
    env: { type: env, refresh: 5s }
services: {}
"#));
}

#[test]
fn interpolation() {
    let text = r#"name: p
x-locket:
  sources: { bao: { type: openbao, auth: { token: { env: "${V}" } } } }
services:
  api:
    x-locket:
      secrets: ["${V}", "local:${V}", { source: local:x, uid: "${V}" }]
      env: { A: "${V}", B: "{{ local:a }}${V}", C: "local:${V}", D: "${V:-x}" }
      templates:
        - target: t
          content: "$V"
      on_change: { exec: [run, "${V}"] }
"#;
    let (spec, problems) = compile_with(&[("compose.yaml", text)], &[("V", "hunter2")]);
    assert!(
        spec.is_none() && !problems.contains("hunter2"),
        "{problems}"
    );
    expect![[r#"
        error[L013 interpolation]: compose's variables have no place in `env`
         --> compose.yaml:3:58
          |
        3 |   sources: { bao: { type: openbao, auth: { token: { env: "${V}" } } } }
          |                                                          ^^^^^^
          |
          = help: refer to a secret instead; a literal `$` is written `$$`

        error[L013 interpolation]: compose's variables have no place in an entry of `secrets`
         --> compose.yaml:7:17
          |
        7 |       secrets: ["${V}", "local:${V}", { source: local:x, uid: "${V}" }]
          |                 ^^^^^^
          |
          = help: refer to a secret instead; a literal `$` is written `$$`

        error[L013 interpolation]: compose's variables have no place in `uid`
         --> compose.yaml:7:63
          |
        7 |       secrets: ["${V}", "local:${V}", { source: local:x, uid: "${V}" }]
          |                                                               ^^^^^^
          |
          = help: refer to a secret instead; a literal `$` is written `$$`

        error[L013 interpolation]: compose's variables have no place in `A`
         --> compose.yaml:8:17
          |
        8 |       env: { A: "${V}", B: "{{ local:a }}${V}", C: "local:${V}", D: "${V:-x}" }
          |                 ^^^^^^
          |
          = help: refer to a secret instead; a literal `$` is written `$$`

        error[L013 interpolation]: compose's variables have no place in `B`
         --> compose.yaml:8:28
          |
        8 |       env: { A: "${V}", B: "{{ local:a }}${V}", C: "local:${V}", D: "${V:-x}" }
          |                            ^^^^^^^^^^^^^^^^^^^
          |
          = help: refer to a secret instead; a literal `$` is written `$$`

        error[L013 interpolation]: compose's variables have no place in `C`
         --> compose.yaml:8:52
          |
        8 |       env: { A: "${V}", B: "{{ local:a }}${V}", C: "local:${V}", D: "${V:-x}" }
          |                                                    ^^^^^^^^^^^^
          |
          = help: refer to a secret instead; a literal `$` is written `$$`

        error[L013 interpolation]: compose's variables have no place in `D`
         --> compose.yaml:8:69
          |
        8 |       env: { A: "${V}", B: "{{ local:a }}${V}", C: "local:${V}", D: "${V:-x}" }
          |                                                                     ^^^^^^^^^
          |
          = help: refer to a secret instead; a literal `$` is written `$$`

        error[L013 interpolation]: compose's variables have no place in `content`
          --> compose.yaml:11:20
           |
        11 |           content: "$V"
           |                    ^^^^
           |
           = help: refer to a secret instead; a literal `$` is written `$$`

        error[L013 interpolation]: compose's variables have no place in an entry of `exec`
          --> compose.yaml:12:32
           |
        12 |       on_change: { exec: [run, "${V}"] }
           |                                ^^^^^^
           |
           = help: refer to a secret instead; a literal `$` is written `$$`
    "#]]
    .assert_eq(&problems);
}

#[test]
fn what_is_written_in_no_known_file_is_refused_where_interpolation_matters() {
    let model = "name: p\nservices:\n  api: { x-locket: { secrets: [local:a], env: { A: local:a, B: \"{{ local:a }}hunter2\" } } }\n";
    let known = "services:\n  api:\n    x-locket:\n      env: { A: \"{{ local:a }}\" }\n";
    let (spec, problems) = compile_model(model, &[("compose.yaml", known)]);
    assert!(spec.is_none() && !problems.contains("hunter2"));
    expect![[r#"
        error[L013 interpolation]: it cannot be seen where `B` was written, so whether something was interpolated into it
         --> compose.yaml:4:12
          |
        4 |       env: { A: "{{ local:a }}" }
          |            ^
          |
          = help: write it in one of the project's own compose files

        error[L013 interpolation]: `A` is not what this file says, so it cannot be seen whether something was interpolated into it
         --> compose.yaml:4:17
          |
        4 |       env: { A: "{{ local:a }}" }
          |                 ^^^^^^^^^^^^^^^
          |
          = help: write it in one of the project's own compose files
    "#]].assert_eq(&problems);
}

#[test]
fn services_and_labels() {
    expect![[r#"
        error[L022 unknown-service]: the model has no service apy
         --> compose.yaml:3:20
          |
        3 |   services: { apy: [local:a] }
          |                    ^
          |
          = help: did you mean `api`?

        error[L030 unknown-label]: there is no label locket.secrts
         --> compose.yaml:6:30
          |
        6 |     labels: { locket.secrts: a, locket.project: p, locket.on_change: explode, locket.env.A: local:b, locket.secrets: "[x" }
          |                              ^
          |
          = help: did you mean `locket.secrets`?

        error[L026 reserved]: the label locket.project is locket's own
         --> compose.yaml:6:49
          |
        6 |     labels: { locket.secrts: a, locket.project: p, locket.on_change: explode, locket.env.A: local:b, locket.secrets: "[x" }
          |                                                 ^

        error[L005 invalid-value]: this is no action
         --> compose.yaml:6:70
          |
        6 |     labels: { locket.secrts: a, locket.project: p, locket.on_change: explode, locket.env.A: local:b, locket.secrets: "[x" }
          |                                                                      ^
          |
          = help: there is auto, none, recreate, restart, rollout; also `signal:NAME` and `{ exec: […] }`

        warning[L031 label-conflict]: the label locket.env.A of api says something else than x-locket, which wins
         --> compose.yaml:6:79
          |
        6 |     labels: { locket.secrts: a, locket.project: p, locket.on_change: explode, locket.env.A: local:b, locket.secrets: "[x" }
          |                                                                               ^^^^^^^^^^^^

        error[L001 syntax]: unclosed bracket '['
         --> compose.yaml:6:118
          |
        6 |     labels: { locket.secrts: a, locket.project: p, locket.on_change: explode, locket.env.A: local:b, locket.secrets: "[x" }
          |                                                                                                                      ^^^^
    "#]].assert_eq(&bad(r#"name: p
x-locket:
  services: { apy: [local:a] }
services:
  api:
    labels: { locket.secrts: a, locket.project: p, locket.on_change: explode, locket.env.A: local:b, locket.secrets: "[x" }
    x-locket: { env: { A: local:a } }
"#));
}

#[test]
fn files_that_compose_refuses() {
    let check = |text: &str| {
        let sources = [Text::new("compose.yaml", text)];
        render_text(&check_sources(&sources), &sources.iter().collect(), false)
    };
    expect![[r#"
        error[L002 unquoted-template]: an unquoted `{{ … }}` is a YAML mapping
         --> compose.yaml:4:17
          |
        4 |       env: { A: {{ a }}, B: x }
          |                 ^
          |
          = help: write it in quotes: `"{{ … }}"`

        error[L002 unquoted-template]: an unquoted `{{ … }}` is a YAML mapping
         --> compose.yaml:6:20
          |
        6 |         - content: {{ b | trim }}
          |                    ^
          |
          = help: write it in quotes: `"{{ … }}"`
        error[L001 syntax]: while parsing a block mapping, did not find expected key
         --> compose.yaml:5:19
          |
        5 |         A: {{ a }}/x
          |                   ^
          |
          = help: write templates in quotes: `"{{ … }}"`
        error[L001 syntax]: the key a is there twice
         --> compose.yaml:2:1
          |
        2 | a: 2
          | ^
    "#]].assert_eq(&[
        check("services:\n  api:\n    x-locket:\n      env: { A: {{ a }}, B: x }\n      templates:\n        - content: {{ b | trim }}\n"),
        check("services:\n  api:\n    x-locket:\n      env:\n        A: {{ a }}/x\n"),
        check("a: 1\na: 2\n"),
        check("services: [x]\nx-locket: 5\n"),
    ].concat());
    let (spec, problems) = compile_model("name: [", &[]);
    assert!(spec.is_none());
    expect![[r#"
        error[L001 syntax]: the output of `docker compose config` cannot be read
        --> the compose model
    "#]]
    .assert_eq(&problems);
}

#[test]
fn a_problem_in_an_anchor_is_told_once() {
    let text = "name: p\nx-a: &a { secrets: [\"a b\"] }\nservices:\n  api: { x-locket: *a }\n  web:\n    x-locket:\n      <<: *a\n";
    expect![[r#"
        error[L012 literal]: this is neither a name of the catalogue nor a reference
         --> compose.yaml:2:21
          |
        2 | x-a: &a { secrets: [*****] }
          |                     ^^^^^
          |
         ::: compose.yaml:4:20
          |
        4 |   api: { x-locket: *a }
          |                    -- it is used here
          |
          = help: write a name of `x-locket.secrets`, or `<source>:<path>#<field>`; a value is never written down here
    "#]].assert_eq(&bad(text));
}

#[test]
fn what_compose_cannot_merge_and_what_it_drops() {
    let sources = [
        Text::new(
            "compose.yaml",
            "services:\n  api:\n    x-locket: [local:a]\n",
        ),
        Text::new(
            "over.yaml",
            "services:\n  api:\n    x-locket:\n      secrets: [local:b]\n",
        ),
    ];
    let problems = check_sources(&sources);
    expect![[r#"
        error[L004 wrong-type]: `x-locket` of api is a list in one file and a mapping in another
         --> over.yaml:4:7
          |
        4 |       secrets: [local:b]
          |       ^
          |
         ::: compose.yaml:3:15
          |
        3 |     x-locket: [local:a]
          |               - the other form
          |
          = help: write the long form in all files: `{ secrets: […] }`
    "#]]
    .assert_eq(&render_text(&problems, &sources.iter().collect(), false));
    let included = "x-locket:\n  secrets: { a: local:a, b: local:b, c: local:c }\n";
    let own =
        "name: p\ninclude: [inc.yaml]\nx-locket: { secrets: { b: local:b, c: !reset null } }\n";
    let (_, problems) = compile_model(
        "name: p\nx-locket: { secrets: { b: local:b } }\n",
        &[("inc.yaml", included), ("compose.yaml", own)],
    );
    expect![[r#"
        warning[L043 dropped]: compose drops `a`: `x-locket` at the top of an included file is not read
         --> inc.yaml:2:17
          |
        2 |   secrets: { a: local:a, b: local:b, c: local:c }
          |                 ^^^^^^^
          |
          = help: move it to the file that includes this one, or write references in the service itself
    "#]].assert_eq(&problems);
}

#[test]
fn a_key_that_is_nearly_ours_is_told() {
    let text = "name: p
x-lockett: { secrets: { a: local:a } }
x-logging: &l {}
services:
  api: { image: x, x-loket: [local:a] }
  web: { image: x, x-ticket: 1, x-locket: [local:a] }
";
    expect![[r#"
        warning[L044 misspelt]: `x-lockett` is not read by locket
         --> compose.yaml:2:1
          |
        2 | x-lockett: { secrets: { a: local:a } }
          | ^^^^^^^^^
          |
          = help: did you mean `x-locket`?

        warning[L044 misspelt]: `x-loket` is not read by locket
         --> compose.yaml:5:20
          |
        5 |   api: { image: x, x-loket: [local:a] }
          |                    ^^^^^^^
          |
          = help: did you mean `x-locket`?
    "#]]
    .assert_eq(&bad(text));
}

#[test]
fn a_mistake_in_one_place_hides_none_in_another() {
    let text = r#"name: p
x-locket:
  sources: { mine: { type: openbao, url: nowhere } }
  secrets: { a: locl a, b: local:b, c: "mine:kv/x#y" }
services:
  api:
    image: x
    x-locket:
      secrets:
        - { source: a, target: one }
        - { source: b, target: one }
        - { source: c, target: ../x }
        - typo
      env: { "1 B": b, X: "{{ b | foo }}" }
"#;
    expect![[r#"
        error[L015 url]: the url does not begin with https:// or http://
         --> compose.yaml:3:42
          |
        3 |   sources: { mine: { type: openbao, url: ******* } }
          |                                          ^^^^^^^
          |
          = help: write `https://host:port`

        error[L012 literal]: `a` is not a reference
         --> compose.yaml:4:17
          |
        4 |   secrets: { a: ******, b: local:b, c: "mine:kv/x#y" }
          |                 ^^^^^^
          |
          = help: write `<source>:<path>#<field>`; a value is never written down here

        error[L023 target-conflict]: two files have the target `one`
          --> compose.yaml:11:11
           |
        10 |         - { source: a, target: one }
           |           - the other one
        11 |         - { source: b, target: one }
           |           ^
           |
           = help: give one of them another `target`

        error[L024 target]: the target `../x` has a part that is empty, `.` or `..`
          --> compose.yaml:12:11
           |
        12 |         - { source: c, target: ../x }
           |           ^
           |
           = help: write a relative path, below the service's `path`

        error[L020 unknown-name]: the catalogue has no secret `typo`
          --> compose.yaml:13:11
           |
        13 |         - typo
           |           ^
           |
           = help: there is a, b, c

        warning[L040 unportable-env-name]: `1 B` is a name that shells cannot use
          --> compose.yaml:14:21
           |
        14 |       env: { "1 B": b, X: "{{ b | foo }}" }
           |                     ^
           |
           = help: use letters, digits and `_`, and begin with a letter

        error[L011 template]: there is no filter foo
          --> compose.yaml:14:35
           |
        14 |       env: { "1 B": b, X: "{{ b | foo }}" }
           |                                   ^^^
           |
           = help: there are 24 others: base64, base64d, bcrypt, default, dotenv_quote, hex, htpasswd, indent, json, json_string, jsonpath, lines, lower, pem_normalize, required, sha256, …
    "#]].assert_eq(&bad(text));
}

#[test]
fn one_mistake_is_told_once() {
    let text = "x-locket: { secrets: { db: local:db } }\nservices: { api: { x-locket: { secrets: [ {{ db }} ] } } }\n";
    let (_, problems) = compile_model(text, &[("compose.yaml", text)]);
    assert_eq!(problems.matches("error[").count(), 1, "{problems}");
    // Two forms of the catalogue are no include.
    let over = "x-locket: { secrets: [db] }\n";
    let files = [("compose.yaml", text), ("over.yaml", over)];
    let (_, problems) = compile_model(text, &files);
    assert!(!problems.contains("included"), "{problems}");
}
