//! What is wrong with the text itself: syntax, keys, values, references, templates.

use super::Explanation;
use crate::diag::Code;

pub(super) fn explanation(code: Code) -> Option<Explanation> {
    Some(match code {
        Code::Syntax => Explanation {
            cause: "The text is not YAML.",
            cure: "Mend the line that is named. Often a bracket or a quote is not closed, a key is there twice, or a text that begins with `{`, `[`, `*`, `&` or `%` is not in quotes.",
            bad: "services:\n  api:\n    x-locket: [local:db\n",
            good: "services:\n  api:\n    x-locket: [local:db]\n",
        },
        Code::UnquotedTemplate => Explanation {
            cause: "Without quotes, `{{ … }}` is a YAML mapping and no template.",
            cure: "Write it in quotes. `docker locket check --fix` does.",
            bad: "services:\n  api:\n    x-locket:\n      env: { URL: {{ local:url }} }\n",
            good: "services:\n  api:\n    x-locket:\n      env: { URL: \"{{ local:url }}\" }\n",
        },
        Code::UnknownKey => Explanation {
            cause: "There is no such key in this place.",
            cure: "Take the key that is suggested, or one of [`x-locket`](x-locket.md).",
            bad: "services:\n  api:\n    x-locket:\n      secret: [local:db]\n",
            good: "services:\n  api:\n    x-locket:\n      secrets: [local:db]\n",
        },
        Code::WrongType => Explanation {
            cause: "A list where a mapping is wanted, a number where text is wanted, and the like; or a list in one file and a mapping in another for the same `x-locket`, which compose cannot merge.",
            cure: "Write the form that is named. For several files, write the long form in all of them.",
            bad: "services:\n  api:\n    x-locket:\n      env: [local:db]\n",
            good: "services:\n  api:\n    x-locket:\n      env: { DB: local:db }\n",
        },
        Code::InvalidValue => Explanation {
            cause: "The type is right, but the value makes no sense there.",
            cure: "Write one of the values that the message names.",
            bad: "services:\n  api:\n    x-locket:\n      secrets: [local:db]\n      on_change: { action: restart, timeout: 30 }\n",
            good: "services:\n  api:\n    x-locket:\n      secrets: [local:db]\n      on_change: { action: restart, timeout: 30s }\n",
        },
        Code::MissingKey => Explanation {
            cause: "A key that must be there is not.",
            cure: "Add it.",
            bad: "services:\n  api:\n    x-locket:\n      templates:\n        - content: \"{{ local:db }}\"\n",
            good: "services:\n  api:\n    x-locket:\n      templates:\n        - content: \"{{ local:db }}\"\n          target: db.conf\n",
        },
        Code::Refused => Explanation {
            cause: "Compose itself refuses the project, for a reason that is none of locket's. The message ends with compose's own words.",
            cure: "Mend the files until `docker compose config` prints the project.",
            bad: "services:\n  api:\n    image: [shop/api]\n    x-locket: [local:db]\n",
            good: "services:\n  api:\n    image: shop/api\n    x-locket: [local:db]\n",
        },
        Code::Reference => Explanation {
            cause: "A reference has the right source, but what follows it is no name there.",
            cure: "See [references](x-locket.md#references) for the form of each source.",
            bad: "services:\n  api:\n    x-locket: [\"bao:kv/../db#password\"]\n",
            good: "services:\n  api:\n    x-locket: [\"bao:kv/db#password\"]\n",
        },
        Code::Template => Explanation {
            cause: "A template cannot be read: a filter that does not exist, an expression that is not closed, or a template where none may be.",
            cure: "See [templates](templates.md) for the filters and their arguments.",
            bad: "services:\n  api:\n    x-locket:\n      env: { URL: \"postgres://app:{{ local:db | urlencod }}@db\" }\n",
            good: "services:\n  api:\n    x-locket:\n      env: { URL: \"postgres://app:{{ local:db | urlencode }}@db\" }\n",
        },
        Code::Literal => Explanation {
            cause: "This is neither a name of the catalogue nor a reference nor a template. A value is never written down in `x-locket`.",
            cure: "Put the value into a store, and refer to it. What is no secret belongs into compose's own `environment:`.",
            bad: "services:\n  api:\n    x-locket:\n      env: { DB_USER: \"the app\" }\n",
            good: "services:\n  api:\n    environment: { DB_USER: the app }\n    x-locket:\n      env: { DB_PASSWORD: local:db }\n",
        },
        Code::Interpolation => Explanation {
            cause: "`${…}` stands where compose's variables must not go: whatever is interpolated there would end in the applied spec, and it might be a secret.",
            cure: "Refer to a secret, or write the text itself. A literal `$` is written `$$`.",
            bad: "services:\n  api:\n    x-locket:\n      env: { URL: \"https://${HOST}/{{ local:key }}\" }\n",
            good: "services:\n  api:\n    x-locket:\n      env: { URL: \"https://shop.example/{{ local:key }}\" }\n",
        },
        Code::WrittenCredential => Explanation {
            cause: "The credential of a source is written down in the compose file.",
            cure: "Say only where it is: `{ file: PATH }` or `{ env: NAME }`. Consider what was written down as known to others, and change it.",
            bad: "x-locket:\n  sources:\n    bao: { type: openbao, url: \"https://bao:8200\", auth: { token: hvs.1234 } }\nservices:\n  api:\n    x-locket: [\"bao:kv/db#password\"]\n",
            good: "x-locket:\n  sources:\n    bao: { type: openbao, url: \"https://bao:8200\", auth: { token: { file: /etc/locket/token } } }\nservices:\n  api:\n    x-locket: [\"bao:kv/db#password\"]\n",
        },
        Code::Url => Explanation {
            cause: "The URL of a source has a user, a password or a query, or is no URL.",
            cure: "Write only where the server is; credentials belong into `auth`.",
            bad: "x-locket:\n  sources:\n    bao: { type: openbao, url: \"https://me:pw@bao:8200\" }\nservices:\n  api:\n    x-locket: [\"bao:kv/db#password\"]\n",
            good: "x-locket:\n  sources:\n    bao: { type: openbao, url: \"https://bao:8200\" }\nservices:\n  api:\n    x-locket: [\"bao:kv/db#password\"]\n",
        },
        Code::TemplateFile => Explanation {
            cause: "A template file is not there, may not be read, is too large, or is not text.",
            cure: "The path begins in the project directory. A file has 1 MiB at most, a directory 256 files.",
            bad: "services:\n  api:\n    x-locket:\n      templates: [{ source: ./missing.tpl }]\n",
            good: "services:\n  api:\n    x-locket:\n      templates: [{ content: \"{{ local:db }}\", target: db.conf }]\n",
        },
        _ => return None,
    })
}
