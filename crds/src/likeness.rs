//! Whether a variable's value looks like a secret: by its name, by a known format, or by chance itself.
//!
//! A guess for people to look at, never a decision. It errs on the side of names that the field uses for secrets, and says why.

use std::fmt;

/// Why a value looks like a secret. Its text never holds the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// The variable's name has this word in it, upper case.
    Name(&'static str),
    /// The value has the form of such a thing.
    Format(&'static str),
    /// The value is long and without order.
    Random,
}

impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Likeness::Name(word) => write!(f, "its name has {word} in it"),
            Likeness::Format(what) => write!(f, "it is {what}"),
            Likeness::Random => f.write_str("it looks random"),
        }
    }
}

/// Words that say of a name that its value is a secret, wherever they stand; what is told of it is the first that fits.
const ANYWHERE: [&str; 6] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "CREDENTIAL",
    "APIKEY",
];
/// Several words of a name that mean one: better told than the last of them alone.
const TOGETHER: [&str; 6] = [
    "API_KEY",
    "PRIVATE_KEY",
    "ACCESS_KEY",
    "ENCRYPTION_KEY",
    "SIGNING_KEY",
    "MASTER_KEY",
];
/// The same, as the last word of a name: elsewhere they mean something else.
const LAST: [&str; 5] = ["KEY", "PASS", "PWD", "PW", "TOKEN"];
/// What a name ends with that is about a secret, and none.
const ABOUT: [&str; 53] = [
    "AGE",
    "ALGO",
    "ALGORITHM",
    "ARN",
    "AUDIENCE",
    "BACKEND",
    "CLASS",
    "COUNT",
    "DAYS",
    "DIR",
    "DRIVER",
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
    "PORT",
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
/// Words that make a switch or a limit of it, wherever they stand.
const SWITCHES: [&str; 8] = [
    "ALLOW", "DISABLE", "ENABLE", "MAX", "MIN", "RANDOM", "REQUIRE", "SORT",
];
/// Words of keys that open nothing.
const OTHER_KEYS: [&str; 4] = ["CACHE", "FOREIGN", "PARTITION", "PRIMARY"];
/// What a name ends with whose value is random, and no secret.
const NOT_RANDOM: [&str; 12] = [
    "CHECKSUM",
    "COMMIT",
    "DIGEST",
    "FINGERPRINT",
    "HASH",
    "ID",
    "PUB",
    "REVISION",
    "SHA",
    "SHA256",
    "UUID",
    "VERSION",
];
/// Beginnings of tokens that their issuers have made recognisable, and what they are.
const PREFIXES: [(&str, &str); 23] = [
    ("AKIA", "an AWS access key"),
    ("ASIA", "an AWS access key"),
    ("ghp_", "a GitHub token"),
    ("gho_", "a GitHub token"),
    ("ghu_", "a GitHub token"),
    ("ghs_", "a GitHub token"),
    ("ghr_", "a GitHub token"),
    ("github_pat_", "a GitHub token"),
    ("glpat-", "a GitLab token"),
    ("xoxa-", "a Slack token"),
    ("xoxb-", "a Slack token"),
    ("xoxp-", "a Slack token"),
    ("xoxr-", "a Slack token"),
    ("xoxs-", "a Slack token"),
    ("xapp-", "a Slack token"),
    ("sk_live_", "a Stripe key"),
    ("rk_live_", "a Stripe key"),
    ("whsec_", "a Stripe key"),
    ("AIza", "a Google API key"),
    ("SG.", "a SendGrid key"),
    ("hvs.", "an OpenBao or Vault token"),
    ("npm_", "an npm token"),
    ("AGE-SECRET-KEY-1", "an age key"),
];
/// A form that is one only as far as the password stands there.
pub(crate) const URL: &str = "a URL with a password";
/// Fewest bytes of a token behind its prefix.
const TOKEN: usize = 12;
/// Fewest bytes of a value that is random enough.
const RANDOM: usize = 24;

/// Looks at a variable's final value. Empty values, truth values, numbers and paths are no secrets.
pub fn likeness(name: &str, value: &str) -> Option<Likeness> {
    let text = value.trim();
    if let Some(what) = format(text) {
        return Some(Likeness::Format(what));
    }
    let parts = parts(name);
    let last = parts.last().map_or("", String::as_str);
    let word = ["true", "false", "yes", "no", "on", "off", "null", "none"];
    let plain =
        text.is_empty() || word.iter().any(|w| text.eq_ignore_ascii_case(w)) || is_path(text);
    if plain || is_public(&parts) {
        return None;
    }
    let number = text.parse::<f64>().is_ok();
    if let Some(word) = named(name) {
        // A password of digits is one, the number of a token's seconds is none.
        let counts =
            !number || (text.len() >= 4 && last.ends_with(word) && word.starts_with("PASS"));
        return counts.then_some(Likeness::Name(word));
    }
    (!number && !NOT_RANDOM.contains(&last) && is_random(text)).then_some(Likeness::Random)
}

/// The word in a variable's name that says that its value is a secret.
pub fn named(name: &str) -> Option<&'static str> {
    let parts = parts(name);
    let joined = parts.join("_");
    let last = parts.last().map_or("", String::as_str);
    let has = |words: &[&str]| parts.iter().any(|it| words.contains(&it.as_str()));
    // Every shell has these.
    let of_the_shell = matches!(joined.as_str(), "PWD" | "OLDPWD");
    if of_the_shell || ABOUT.contains(&last) || has(&SWITCHES) || is_public(&parts) {
        return None;
    }
    let anywhere = ANYWHERE.into_iter().find(|word| joined.contains(word));
    let together = || TOGETHER.into_iter().find(|word| joined.contains(word));
    let ends = |word: &&str| last == *word || *word == "TOKEN" && last.ends_with(word);
    let at_the_end = || {
        let word = LAST.into_iter().find(ends)?;
        (word != "KEY" || !has(&OTHER_KEYS)).then_some(word)
    };
    anywhere.or_else(together).or_else(at_the_end)
}

/// Whether a name says that everybody may know its value.
fn is_public(parts: &[String]) -> bool {
    parts.iter().any(|it| it.starts_with("PUBLI"))
}

/// The known format of a value, or of a word in it, whatever its name.
pub fn format(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY") {
        return Some("a private key");
    }
    text.split_whitespace().find_map(token)
}

fn token(word: &str) -> Option<&'static str> {
    let word = word.trim_matches(['"', '\'', ',']);
    let long = |rest: &str| {
        let is = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        rest.len() >= TOKEN && rest.bytes().all(is)
    };
    let mut prefixes = PREFIXES.iter();
    let found = prefixes.find(|(prefix, _)| word.strip_prefix(prefix).is_some_and(long));
    if let Some((_, what)) = found {
        return Some(what);
    }
    let jwt: Vec<&str> = word.split('.').collect();
    if let [head, body, _] = jwt.as_slice()
        && head.starts_with("eyJ")
        && body.starts_with("eyJ")
        && jwt.iter().all(|it| it.bytes().all(is_base64))
    {
        return Some("a JSON Web Token");
    }
    has_password(word).then_some(URL)
}

/// `scheme://user:password@host`, with a password that is written there.
fn has_password(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // A password may have a slash in it that nobody has encoded; a port has none.
    let port = authority
        .rsplit_once(':')
        .is_some_and(|(_, it)| it.bytes().all(|b| b.is_ascii_digit()));
    let unencoded = rest.rsplit_once('@').filter(|_| !port);
    let user = authority.rsplit_once('@').or(unencoded);
    let (name, password) = user.and_then(|(user, _)| user.split_once(':')).unzip();
    // What stands for a value is none: a template, a variable, `<password>`, stars.
    let stands_for = |it: &str| {
        let begins = ["${", "<"].iter().any(|mark| it.starts_with(mark));
        begins || it.contains("{{") || it.chars().all(|c| c == '*')
    };
    !scheme.contains(char::is_whitespace)
        && name.is_some_and(|it| !it.contains('/'))
        && password.is_some_and(|it| !it.is_empty() && !stands_for(it))
}

/// The parts of a name, upper case: `dbPassword`, `DB_PASSWORD` and `db-password` have two.
fn parts(name: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut before = '_';
    for c in name.chars() {
        let starts = !c.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase());
        if starts {
            all.push(String::new());
        }
        if let Some(part) = all.last_mut().filter(|_| c.is_alphanumeric()) {
            part.extend(c.to_uppercase());
        }
        before = c;
    }
    all.retain(|it| !it.is_empty());
    all
}

fn is_path(text: &str) -> bool {
    let begins = ["/", "./", "../", "~/"]
        .iter()
        .any(|it| text.starts_with(it));
    begins
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/._-~@".contains(&b))
}

fn is_base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"+/=_-".contains(&b)
}

/// Long, of an encoding's alphabet, and with as many different characters as chance gives.
fn is_random(text: &str) -> bool {
    if text.len() < RANDOM || !text.bytes().all(is_base64) || is_path(text) || is_uuid(text) {
        return false;
    }
    let has = |is: fn(&u8) -> bool| text.bytes().filter(is).count();
    let (digits, lower, upper) = (
        has(u8::is_ascii_digit),
        has(u8::is_ascii_lowercase),
        has(u8::is_ascii_uppercase),
    );
    if text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return text.len() >= 32 && digits >= 4 && lower + upper >= 4 && entropy(text) > 3.0;
    }
    digits >= 3 && lower >= 3 && upper >= 3 && entropy(text) > 4.0
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12]
}

/// Shannon's, in bits a byte.
fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for b in text.bytes() {
        counts[usize::from(b)] += 1;
    }
    let all = text.len() as f64;
    let bits = |n: &u32| {
        let share = f64::from(*n) / all;
        -share * share.log2()
    };
    counts.iter().filter(|n| **n > 0).map(bits).sum()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn what_looks_like_a_secret_and_why() {
        let all = [
            ("DB_PASSWORD", "hunter2"),
            ("PGPASSWORD", "p"),
            ("dbPassword", "x y"),
            ("MYSQL_ROOT_PASSWORD", "1234"),
            ("PASSWORD_MIN_LENGTH", "12"),
            ("TOKEN_TTL", "1h"),
            ("TOKEN_SECONDS", "3600"),
            ("JWT_SECRET", "changeme"),
            ("CLIENT_SECRET", "/run/secrets/x"),
            ("DB_PASSWORD_FILE", "/run/secrets/x"),
            ("DB_PASSWORD_PATH", "x"),
            ("PASSWORD_USER", "x"),
            ("USE_PASSWORD", "true"),
            ("API_KEY", "abc"),
            ("OPENAI_APIKEY", "abc"),
            ("PUBLIC_KEY", "abc"),
            ("NEXT_PUBLIC_TOKEN", "abc"),
            ("STRIPE_PUBLISHABLE_KEY", "pk_live_abcdefghijklmnop"),
            ("SMTP_PASS", "abc"),
            ("PWD", "abc"),
            ("DB_PWD", "abc"),
            ("COMPASS", "abc"),
            ("TOKENIZER", "gpt"),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_ACCESS_KEY_ID", "minio"),
            ("GH", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
            ("SLACK", "xoxb-123456789012-abcdef"),
            ("PAY", "sk_live_abcdefghijkl"),
            ("PAY", "sk_test_abc"),
            (
                "KEY",
                "-----BEGIN EC PRIVATE KEY-----\nx\n-----END EC PRIVATE KEY-----\n",
            ),
            (
                "CERT",
                "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n",
            ),
            ("JWT", "eyJhbGciOiJI.eyJzdWIiOiIx.abc-_"),
            ("DATABASE_URL", "postgres://app:s3cret@db/app"),
            ("DATABASE_URL", "postgres://app:a/b@db/app"),
            ("DATABASE_URL", "postgres://app@db/app"),
            ("DATABASE_URL", "postgres://app:@db/app"),
            ("SITE", "https://example.org:8080/a@b"),
            ("SALT", "aGVsbG8gd29ybGQ0MjEyMzQ1Njc4OTAx"),
            ("X", "0123456789abcdef0123456789abcdef"),
            ("GIT_COMMIT", "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"),
            ("TENANT", "123e4567-e89b-12d3-a456-426614174000"),
            ("HOSTS", "alpha.example.org,beta.example.org"),
            ("GREETING", "hello-world-hello-world-hello"),
            ("PASSWORD", ""),
            ("PASSWORD", "  "),
        ];
        let show = |(name, value): &(&str, &str)| {
            let value = value.lines().next().unwrap_or_default();
            let why = likeness(name, value).map_or("-".to_owned(), |it| it.to_string());
            format!("{name}={value}: {why}\n")
        };
        let with_lines = all.map(|(name, value)| likeness(name, value).is_some());
        assert!(with_lines[29] && !with_lines[30]);
        expect![[r#"
            DB_PASSWORD=hunter2: its name has PASSWORD in it
            PGPASSWORD=p: its name has PASSWORD in it
            dbPassword=x y: its name has PASSWORD in it
            MYSQL_ROOT_PASSWORD=1234: its name has PASSWORD in it
            PASSWORD_MIN_LENGTH=12: -
            TOKEN_TTL=1h: -
            TOKEN_SECONDS=3600: -
            JWT_SECRET=changeme: its name has SECRET in it
            CLIENT_SECRET=/run/secrets/x: -
            DB_PASSWORD_FILE=/run/secrets/x: -
            DB_PASSWORD_PATH=x: -
            PASSWORD_USER=x: -
            USE_PASSWORD=true: -
            API_KEY=abc: its name has API_KEY in it
            OPENAI_APIKEY=abc: its name has APIKEY in it
            PUBLIC_KEY=abc: -
            NEXT_PUBLIC_TOKEN=abc: -
            STRIPE_PUBLISHABLE_KEY=pk_live_abcdefghijklmnop: -
            SMTP_PASS=abc: its name has PASS in it
            PWD=abc: -
            DB_PWD=abc: its name has PWD in it
            COMPASS=abc: -
            TOKENIZER=gpt: -
            AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE: it is an AWS access key
            AWS_ACCESS_KEY_ID=minio: -
            GH=ghp_abcdefghijklmnopqrstuvwxyz0123456789: it is a GitHub token
            SLACK=xoxb-123456789012-abcdef: it is a Slack token
            PAY=sk_live_abcdefghijkl: it is a Stripe key
            PAY=sk_test_abc: -
            KEY=-----BEGIN EC PRIVATE KEY-----: it is a private key
            CERT=-----BEGIN CERTIFICATE-----: -
            JWT=eyJhbGciOiJI.eyJzdWIiOiIx.abc-_: it is a JSON Web Token
            DATABASE_URL=postgres://app:s3cret@db/app: it is a URL with a password
            DATABASE_URL=postgres://app:a/b@db/app: it is a URL with a password
            DATABASE_URL=postgres://app@db/app: -
            DATABASE_URL=postgres://app:@db/app: -
            SITE=https://example.org:8080/a@b: -
            SALT=aGVsbG8gd29ybGQ0MjEyMzQ1Njc4OTAx: it looks random
            X=0123456789abcdef0123456789abcdef: it looks random
            GIT_COMMIT=0a1b2c3d4e5f60718293a4b5c6d7e8f901234567: -
            TENANT=123e4567-e89b-12d3-a456-426614174000: -
            HOSTS=alpha.example.org,beta.example.org: -
            GREETING=hello-world-hello-world-hello: -
            PASSWORD=: -
            PASSWORD=  : -
        "#]]
        .assert_eq(&all.iter().map(show).collect::<String>());
    }

    #[test]
    fn a_reason_never_holds_the_value() {
        let reason = likeness("A", "postgres://app:s3cret@db/app").unwrap();
        assert!(!format!("{reason} {reason:?}").contains("s3cret"));
    }

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
            assert!(named(name).is_some(), "{name}");
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
            assert!(named(name).is_none(), "{name}");
        }
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
            assert_eq!(format(&value), expected, "{value}");
        }
    }
}
