//! What works, but probably not as meant.

use super::Explanation;
use crate::diag::Code;

/// Those of all codes that no other list has.
pub(super) fn explanation(code: Code) -> Explanation {
    match code {
        Code::LabelConflict => Explanation {
            cause: "A `locket.*` label and `x-locket` say different things. `x-locket` counts.",
            cure: "Remove one of them.",
            bad: "services:\n  api:\n    labels: { locket.env.KEY: local:a }\n    x-locket: { env: { KEY: local:b } }\n",
            good: "services:\n  api:\n    x-locket: { env: { KEY: local:b } }\n",
        },
        Code::UnportableEnvName => Explanation {
            cause: "Shells cannot use a variable with this name.",
            cure: "Use letters, digits and `_`, and begin with a letter. A program that reads such a name itself is fine: allow it.",
            bad: "services:\n  api:\n    x-locket:\n      env: { DB-PASSWORD: local:db }\n",
            good: "services:\n  api:\n    x-locket:\n      env: { DB_PASSWORD: local:db }\n",
        },
        Code::UnusedSecret => Explanation {
            cause: "No service uses this entry of the catalogue.",
            cure: "Remove it, or give it to the service that it was meant for.",
            bad: "x-locket:\n  secrets:\n    db: local:db\n    old: local:old\nservices:\n  api:\n    x-locket: [db]\n",
            good: "x-locket:\n  secrets:\n    db: local:db\nservices:\n  api:\n    x-locket: [db]\n",
        },
        Code::Visible => Explanation {
            cause: "With `via: compose` the value is in the container's configuration, where `docker inspect` shows it.",
            cure: "Leave `via: compose` out: the shim sets the variable in the process only.",
            bad: "services:\n  api:\n    x-locket:\n      env:\n        KEY: { secret: local:key, via: compose }\n",
            good: "services:\n  api:\n    x-locket:\n      env:\n        KEY: local:key\n",
        },
        Code::Dropped => Explanation {
            cause: "Compose reads no `x-locket` at the top of a file that is included; that of its services it keeps.",
            cure: "Move it to the file that includes this one, or write references in the services themselves.",
            bad: "# file: compose.yaml\ninclude: [db.yaml]\nservices: {}\n# file: db.yaml\nx-locket:\n  secrets: { db: local:db }\nservices:\n  db: { image: postgres }\n",
            good: "# file: compose.yaml\ninclude: [db.yaml]\nservices: {}\n# file: db.yaml\nservices:\n  db: { image: postgres, x-locket: [local:db] }\n",
        },
        Code::Misspelt => Explanation {
            cause: "Compose takes any key that begins with `x-`, and this one is nearly `x-locket`. It is not read.",
            cure: "Write `x-locket`.",
            bad: "services:\n  api:\n    x-lockett: [local:db]\n",
            good: "services:\n  api:\n    x-locket: [local:db]\n",
        },
        Code::PlainSecret => Explanation {
            cause: "A value in `environment:` looks like a secret: by the name of its variable, or because it has the form of a known kind of token. Whoever can read the file or run `docker inspect` has it.",
            cure: "Put the value into a store (`docker locket secret set`), move the variable to `x-locket.env`, and consider what was written down as known to others. If it is no secret, allow it.",
            bad: "services:\n  api:\n    environment:\n      DB_PASSWORD: swordfish\n",
            good: "services:\n  api:\n    x-locket:\n      env:\n        DB_PASSWORD: local:db_password\n",
        },
        Code::PlainReference => Explanation {
            cause: "A reference stands in compose's own `environment:`. Nobody resolves it there: the program starts with the text as it is.",
            cure: "Move the variable to `x-locket.env`.",
            bad: "services:\n  api:\n    environment:\n      STRIPE_KEY: op://Shop/Stripe/key\n",
            good: "services:\n  api:\n    x-locket:\n      env:\n        STRIPE_KEY: op://Shop/Stripe/key\n",
        },
        Code::Unwrapped => Explanation {
            cause: "A healthcheck or a hook uses a variable of `x-locket.env`. The engine runs such commands beside the program, with the configured variables only, so it is empty there.",
            cure: "Run the command by `/sbin/docker-init with-env -- COMMAND`. `docker locket generate` does that for healthchecks; hooks are yours to wrap.",
            bad: "services:\n  api:\n    healthcheck:\n      test: 'psql \"$$DATABASE_URL\" -c \"select 1\"'\n    x-locket:\n      env: { DATABASE_URL: local:url }\n",
            good: "services:\n  api:\n    healthcheck:\n      test: [CMD, /sbin/docker-init, with-env, --, sh, -c, 'psql \"$$DATABASE_URL\" -c \"select 1\"']\n    x-locket:\n      env: { DATABASE_URL: local:url }\n",
        },
        Code::FirstStart => Explanation {
            cause: "The image reads this variable or file only when it makes its data directory. A restart after a change gives the program a value that its data do not know.",
            cure: "Change the value inside the running service, with `on_change: { exec: […] }`, or say `on_change: none` and do it by hand. See [rotation](../guides/rotation.md).",
            bad: "services:\n  db:\n    image: postgres:17\n    environment: { POSTGRES_PASSWORD_FILE: /run/secrets/db }\n    x-locket: [local:db]\n",
            good: "services:\n  db:\n    image: postgres:17\n    environment: { POSTGRES_PASSWORD_FILE: /run/secrets/db }\n    x-locket:\n      secrets: [local:db]\n      templates: [{ content: \"ALTER ROLE postgres PASSWORD {{ local:db | sql_quote }};\", target: rotate.sql }]\n      on_change: { exec: [psql, -U, postgres, -f, /run/secrets/rotate.sql] }\n",
        },
        Code::NoEffect => Explanation {
            cause: "The `on_change` of a service cannot do what it is there for: a signal cannot change the variables of a running process; a rollout needs two containers at a time, and a fixed name or host port can be had once.",
            cure: "Deliver files instead of variables for a signal. For a rollout remove `container_name` and fixed host ports, or say `restart`.",
            bad: "services:\n  api:\n    x-locket:\n      env: { KEY: local:key }\n      on_change: signal:HUP\n",
            good: "services:\n  api:\n    x-locket:\n      secrets: [local:key]\n      on_change: signal:HUP\n",
        },
        // Every error is in another list; a test looks at all codes.
        _ => Explanation {
            cause: "",
            cure: "",
            bad: "",
            good: "",
        },
    }
}
