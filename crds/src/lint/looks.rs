//! What a secret looks like, by the name of its variable and by its own form.

/// Words of a name that say that its value is a secret, wherever they stand.
const ANYWHERE: [&str; 6] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "APIKEY",
    "CREDENTIAL",
];

/// The same, as the last word of a name.
const LAST: [&str; 4] = ["KEY", "PASS", "PWD", "TOKEN"];

/// Last words that say that the value only speaks of a secret.
const ABOUT: [&str; 50] = [
    "AGE",
    "ALGO",
    "ALGORITHM",
    "ARN",
    "AUDIENCE",
    "BACKEND",
    "COUNT",
    "DAYS",
    "DIR",
    "ENABLED",
    "ENDPOINT",
    "EXPIRATION",
    "EXPIRES",
    "EXPIRY",
    "FIELD",
    "FILE",
    "FORMAT",
    "HASHER",
    "HEADER",
    "HOST",
    "HOURS",
    "ID",
    "ISSUER",
    "ITERATIONS",
    "KIND",
    "LENGTH",
    "LIFETIME",
    "LIMIT",
    "METHOD",
    "MINUTES",
    "MODE",
    "NAME",
    "PATH",
    "POLICY",
    "PREFIX",
    "PROVIDER",
    "REGEX",
    "REGION",
    "REQUIRED",
    "ROUNDS",
    "SECONDS",
    "SIZE",
    "STORE",
    "TIMEOUT",
    "TTL",
    "TYPE",
    "URI",
    "URL",
    "USER",
    "USERNAME",
];

/// Words that make a switch, a limit or something public of it, wherever they stand.
const HARMLESS: [&str; 13] = [
    "ALLOW",
    "CACHE",
    "DISABLE",
    "ENABLE",
    "FOREIGN",
    "MAX",
    "MIN",
    "PARTITION",
    "PRIMARY",
    "PUBLIC",
    "RANDOM",
    "REQUIRE",
    "SORT",
];

/// Values that are nobody's secret.
const WORDS: [&str; 12] = [
    "0", "1", "default", "false", "no", "none", "null", "off", "on", "true", "yes", "~",
];

/// Whether a variable of this name usually holds a secret.
pub(super) fn is_named(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let words: Vec<&str> = upper.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let last = words.last().copied().unwrap_or_default();
    if matches!(upper.as_str(), "PWD" | "OLDPWD")
        || ABOUT.contains(&last)
        || words.iter().any(|word| HARMLESS.contains(word))
    {
        return false;
    }
    LAST.contains(&last)
        || last.ends_with("TOKEN")
        || ANYWHERE.iter().any(|word| upper.contains(word))
}

/// Whether a value could be one: not a switch, a path, a number behind a `KEY`, or something that is put in elsewhere.
pub(super) fn is_literal(name: &str, value: &str) -> bool {
    let value = value.trim();
    let upper = name.to_ascii_uppercase();
    let counted = value.chars().all(|c| c.is_ascii_digit()) && !upper.contains("PASS");
    let path = value.starts_with(['/', '.']) && value.contains('/') && !value.contains(['=', '+']);
    let elsewhere = value.contains('$') || value.contains("{{") || value.starts_with('<');
    let link = value.starts_with("http://") || value.starts_with("https://");
    !(value.is_empty()
        || counted
        || path
        || elsewhere
        || link
        || WORDS.contains(&value.to_ascii_lowercase().as_str()))
}

/// The kind of token that a value has the form of.
pub(super) fn kind(value: &str) -> Option<&'static str> {
    if value.contains("-----BEGIN ") && value.contains("PRIVATE KEY") {
        return Some("a private key");
    }
    value.split_whitespace().find_map(token)
}

fn token(word: &str) -> Option<&'static str> {
    let word = word.trim_matches(['"', '\'', ',']);
    let rest = |prefix: &str| word.strip_prefix(prefix);
    let long = |prefix: &str, least: usize| {
        let ok = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        rest(prefix).is_some_and(|it| it.len() >= least && it.chars().all(ok))
    };
    let any = |prefixes: &[&str], least: usize| prefixes.iter().any(|it| long(it, least));
    let upper = |it: &str| {
        it.len() == 16
            && it
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
    };
    if ["AKIA", "ASIA"]
        .iter()
        .any(|prefix| rest(prefix).is_some_and(upper))
    {
        return Some("an AWS access key");
    }
    if any(&["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], 36) || long("github_pat_", 22) {
        return Some("a GitHub token");
    }
    if long("glpat-", 20) {
        return Some("a GitLab token");
    }
    if any(&["xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-"], 10) {
        return Some("a Slack token");
    }
    if any(&["sk_live_", "rk_live_", "whsec_"], 16) {
        return Some("a Stripe key");
    }
    if long("AIza", 35) {
        return Some("a Google API key");
    }
    if long("hvs.", 20) {
        return Some("an OpenBao or Vault token");
    }
    if long("npm_", 36) {
        return Some("an npm token");
    }
    if long("AGE-SECRET-KEY-1", 50) {
        return Some("an age key");
    }
    if is_jwt(word) {
        return Some("a JSON Web Token");
    }
    has_password(word).then_some("a URL with a password")
}

/// Three parts of base64url, of which the first two are JSON objects.
fn is_jwt(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    let base64 = |part: &&str| {
        part.len() >= 8
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    parts.len() == 3
        && parts.iter().all(base64)
        && parts[..2].iter().all(|part| part.starts_with("eyJ"))
}

/// `scheme://user:password@host`.
fn has_password(word: &str) -> bool {
    let authority = word
        .split_once("://")
        .map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let user = authority.and_then(|it| it.rsplit_once('@')).map(|it| it.0);
    let password = user.and_then(|it| it.split_once(':')).map(|it| it.1);
    password.is_some_and(|it| {
        !it.is_empty() && !it.contains(['$', '{', '<']) && !it.chars().all(|c| c == '*')
    })
}

/// Where lines of a text that is not YAML may hold a secret: line and column, from 1, of what goes to the end of the line.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (u32, u32)> {
    text.lines().zip(1..).filter_map(|(line, number)| {
        let named = line
            .char_indices()
            .filter(|(_, c)| matches!(c, ':' | '='))
            .find(|(at, _)| {
                let before = line[..*at].trim_end_matches([' ', '"', '\'']);
                let begin = before
                    .rfind(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c)))
                    .map_or(0, |n| {
                        n + before[n..].chars().next().map_or(0, char::len_utf8)
                    });
                is_named(&before[begin..])
            })
            .map(|(at, _)| at + 1);
        let by_form = || line.split([' ', '=']).find(|word| kind(word).is_some());
        let form = || by_form().and_then(|word| line.find(word));
        let at = named.or_else(form)?;
        Some((number, line[..at].chars().count() as u32 + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_names_about_secrets() {
        for name in [
            "PASSWORD",
            "DB_PASSWORD",
            "MYSQL_ROOT_PASSWORD",
            "PGPASSWORD",
            "smtp_passwd",
            "API_KEY",
            "STRIPE_SECRET_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "GITHUB_TOKEN",
            "AccessToken",
            "JWT_SECRET",
            "APP_KEY",
            "REDIS_PASS",
            "spring.datasource.password",
            "SECRET_KEY_BASE",
            "OPENAI_APIKEY",
        ] {
            assert!(is_named(name), "{name}");
        }
        for name in [
            "POSTGRES_PASSWORD_FILE",
            "AWS_ACCESS_KEY_ID",
            "TOKEN_URL",
            "TOKEN_TTL",
            "MAX_TOKENS",
            "PUBLIC_KEY",
            "JWT_PUBLIC_KEY",
            "SORT_KEY",
            "CACHE_KEY",
            "PWD",
            "KEYBOARD",
            "MONKEY_BUSINESS",
            "ALLOW_EMPTY_PASSWORD",
            "MYSQL_RANDOM_ROOT_PASSWORD",
            "SECRET_NAME",
            "PASSWORD_MIN_LENGTH",
            "COMPASS_URL",
            "KEYCLOAK_HOST",
            "DB_USER",
        ] {
            assert!(!is_named(name), "{name}");
        }
    }

    #[test]
    fn values_that_are_no_secret_are_left_alone() {
        for value in [
            "",
            "true",
            "off",
            "/run/secrets/db",
            "./key.pem",
            "${X}",
            "${X:-y}",
            "{{ x }}",
            "<token>",
            "https://auth.example/token",
        ] {
            assert!(!is_literal("DB_PASSWORD", value), "{value}");
        }
        assert!(!is_literal("API_KEY", "42") && is_literal("PASSWORD", "1234"));
        assert!(is_literal("PASSWORD", "hunter2") && is_literal("KEY", "/a+b/c=="));
    }

    #[test]
    fn forms_of_tokens() {
        let many = |c: &str, n: usize| c.repeat(n);
        for (value, expected) in [
            (format!("AKIA{}", many("A", 16)), Some("an AWS access key")),
            (format!("ghp_{}", many("a", 36)), Some("a GitHub token")),
            (
                format!("Bearer glpat-{}", many("a", 20)),
                Some("a GitLab token"),
            ),
            (format!("sk_live_{}", many("a", 24)), Some("a Stripe key")),
            (
                format!("eyJ{0}.eyJ{0}.{0}", many("a", 10)),
                Some("a JSON Web Token"),
            ),
            (
                "-----BEGIN EC PRIVATE KEY-----\nx".into(),
                Some("a private key"),
            ),
            ("-----BEGIN CERTIFICATE-----\nx".into(), None),
            (
                "postgres://app:pw@db/app".into(),
                Some("a URL with a password"),
            ),
            (
                "redis://:pw@cache:6379".into(),
                Some("a URL with a password"),
            ),
            ("postgres://app@db/app".into(), None),
            ("postgres://app:${PW}@db/app".into(), None),
            ("https://x.example/a:b@c".into(), None),
            ("AKIA1".into(), None),
            ("com.example.eyJtool".into(), None),
        ] {
            assert_eq!(kind(&value), expected, "{value}");
        }
    }

    #[test]
    fn lines_that_cannot_be_read_are_masked_by_their_names() {
        let found: Vec<_> =
            lines("a: [\n  DB_PASSWORD: x\n  - \"TOKEN=y\"\n  b: postgres://a:b@c\nd: e\n")
                .collect();
        assert_eq!(found, [(2, 15), (3, 12), (4, 6)]);
    }
}
