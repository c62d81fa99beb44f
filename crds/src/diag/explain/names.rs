//! What is wrong with names, targets and labels, and what a project lacks.

use super::Explanation;
use crate::diag::Code;

pub(super) fn explanation(code: Code) -> Option<Explanation> {
    Some(match code {
        Code::UnknownName => Explanation {
            cause: "A service asks for a name that the catalogue, `x-locket.secrets`, does not have.",
            cure: "Take the name that is suggested (`docker locket check --fix` does, if only one is near), add it to the catalogue, or write a reference.",
            bad: "x-locket:\n  secrets: { db_password: local:db }\nservices:\n  api:\n    x-locket: [db_pasword]\n  web:\n    x-locket: [db_password]\n",
            good: "x-locket:\n  secrets: { db_password: local:db }\nservices:\n  api:\n    x-locket: [db_password]\n  web:\n    x-locket: [db_password]\n",
        },
        Code::UnknownSource => Explanation {
            cause: "A reference begins with a source that is neither in `x-locket.sources` nor built in.",
            cure: "Take the source that is suggested, or add it to `x-locket.sources`.",
            bad: "services:\n  api:\n    x-locket: [\"boa:kv/db#password\"]\n",
            good: "services:\n  api:\n    x-locket: [\"bao:kv/db#password\"]\n",
        },
        Code::UnknownService => Explanation {
            cause: "`x-locket.services` at the top speaks of a service that the project does not have.",
            cure: "Write the service's name as it is under `services:`.",
            bad: "x-locket:\n  services: { apy: [local:db] }\nservices:\n  api: { image: shop/api }\n",
            good: "x-locket:\n  services: { api: [local:db] }\nservices:\n  api: { image: shop/api }\n",
        },
        Code::TargetConflict => Explanation {
            cause: "Two files of a service would be in the same place, or one inside of the other.",
            cure: "Give one of them another `target`.",
            bad: "services:\n  api:\n    x-locket:\n      secrets:\n        - { source: local:a, target: key }\n        - { source: local:b, target: key }\n",
            good: "services:\n  api:\n    x-locket:\n      secrets:\n        - { source: local:a, target: key.a }\n        - { source: local:b, target: key.b }\n",
        },
        Code::Target => Explanation {
            cause: "A target is absolute, leads out of the service's directory, or is a name that no file can have.",
            cure: "Write a relative path. It is below the service's `path`, which is `/run/secrets`.",
            bad: "services:\n  api:\n    x-locket:\n      secrets: [{ source: local:db, target: ../db }]\n",
            good: "services:\n  api:\n    x-locket:\n      secrets: [{ source: local:db, target: db }]\n",
        },
        Code::EnvName => Explanation {
            cause: "No environment variable can have this name: it is empty, or has `=` or a control character in it.",
            cure: "Write a name of letters, digits and `_`.",
            bad: "services:\n  api:\n    x-locket:\n      env: { \"A=B\": local:db }\n",
            good: "services:\n  api:\n    x-locket:\n      env: { A: local:db }\n",
        },
        Code::Reserved => Explanation {
            cause: "The name is locket's own: variables that begin with `LOCKET_`, the labels of its own objects, and the built-in sources.",
            cure: "Take another name.",
            bad: "services:\n  api:\n    x-locket:\n      env: { LOCKET_KEY: local:db }\n",
            good: "services:\n  api:\n    x-locket:\n      env: { DB_KEY: local:db }\n",
        },
        Code::ManyFields => Explanation {
            cause: "A secret with `fields` is a directory of files, and one value is wanted here.",
            cure: "Name one field by a reference, or an entry of the catalogue of its own.",
            bad: "x-locket:\n  secrets:\n    tls: { ref: \"bao:kv/tls\", fields: { tls.key: key } }\nservices:\n  api:\n    x-locket:\n      env: { KEY: tls }\n",
            good: "x-locket:\n  secrets:\n    tls_key: \"bao:kv/tls#key\"\nservices:\n  api:\n    x-locket:\n      env: { KEY: tls_key }\n",
        },
        Code::Totp => Explanation {
            cause: "A one-time password changes every 30 seconds, and so would what is delivered.",
            cure: "Give the service the secret that the passwords are made from.",
            bad: "services:\n  api:\n    x-locket:\n      env: { CODE: \"{{ local:seed | totp }}\" }\n",
            good: "services:\n  api:\n    x-locket:\n      env: { SEED: local:seed }\n",
        },
        Code::Overlap => Explanation {
            cause: "Something of your own is mounted where the service's volume or the shim has to be, or compose's own `secrets:` and `configs:` of the service land there: one would hide the other.",
            cure: "Give the service another `path`.",
            bad: "services:\n  api:\n    secrets: [old]\n    x-locket: [local:db]\nsecrets:\n  old: { file: ./old.txt }\n",
            good: "services:\n  api:\n    secrets: [old]\n    x-locket: { path: /run/locket, secrets: [local:db] }\nsecrets:\n  old: { file: ./old.txt }\n",
        },
        Code::UnknownLabel => Explanation {
            cause: "There is no such `locket.*` label.",
            cure: "Take the label that is suggested, or one of [labels](labels.md).",
            bad: "services:\n  api:\n    labels: { locket.secret: local:db }\n",
            good: "services:\n  api:\n    labels: { locket.secrets: local:db }\n",
        },
        Code::EnvConflict => Explanation {
            cause: "Two services hand compose one variable with different values (`via: compose`), and compose has one value for all.",
            cure: "Give one of them another name, or leave `via: compose` out.",
            bad: "services:\n  api:\n    x-locket: { env: { KEY: { secret: local:a, via: compose } } } # locket: allow L042\n  web:\n    x-locket: { env: { KEY: { secret: local:b, via: compose } } } # locket: allow L042\n",
            good: "services:\n  api:\n    x-locket: { env: { KEY: local:a } }\n  web:\n    x-locket: { env: { KEY: local:b } }\n",
        },
        Code::VisibleHash => Explanation {
            cause: "A password hash is handed to compose, where others can see it. Whoever sees it can try passwords at no cost.",
            cure: "Leave `via: compose` out, or deliver it as a file.",
            bad: "services:\n  api:\n    x-locket:\n      env:\n        HASH: { value: \"{{ local:db | bcrypt }}\", via: compose } # locket: allow L042\n",
            good: "services:\n  api:\n    x-locket:\n      env:\n        HASH: \"{{ local:db | bcrypt }}\"\n",
        },
        Code::NoGate => Explanation {
            cause: "Services use secrets, and no service is the gate: nobody would deliver them.",
            cure: "Run `docker locket init`, or add the gate by hand.",
            bad: "services:\n  api:\n    x-locket: [local:db]\n",
            good: "services:\n  locket: { provider: { type: locket } }\n  api:\n    depends_on: [locket]\n    x-locket: [local:db]\n",
        },
        Code::Incomplete => Explanation {
            cause: "A service lacks its volume, the shim, `init: true`, or the name of its `path`. The gate refuses such a project, so that no program starts without its secrets.",
            cure: "Run `docker locket generate`, and keep the file that it writes. Where a compose file is named with `-f`, name the generated one too.",
            bad: "services:\n  locket: { provider: { type: locket } }\n  api:\n    depends_on: [locket]\n    x-locket: [local:db]\n",
            good: "services:\n  locket: { provider: { type: locket } }\n  api:\n    depends_on: [locket]\n    x-locket: [local:db]\n    init: true\n    volumes:\n      - { type: volume, source: locket, target: /sbin/docker-init, read_only: true, volume: { subpath: shim/docker-init, nocopy: true } }\n      - { type: volume, source: locket-api, target: /run/secrets, read_only: true, volume: { nocopy: true } }\nvolumes:\n  locket: {}\n  locket-api: { driver: local, driver_opts: { type: tmpfs, device: tmpfs, o: \"size=64m,mode=0755,nosuid,nodev,noexec\" } }\n",
        },
        Code::NotOrdered => Explanation {
            cause: "A service does not wait for the gate, and would start before its secrets are there.",
            cure: "Add the gate to its `depends_on`; `docker locket generate` does.",
            bad: "services:\n  locket: { provider: { type: locket } }\n  api:\n    x-locket: [local:db]\n",
            good: "services:\n  locket: { provider: { type: locket } }\n  api:\n    depends_on: [locket]\n    x-locket: [local:db]\n",
        },
        _ => return None,
    })
}
