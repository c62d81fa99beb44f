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

/// Words of names that mean a secret; with more than one part, parts that follow each other.
const WORDS: [&str; 14] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "CREDENTIAL",
    "CREDENTIALS",
    "APIKEY",
    "API_KEY",
    "PRIVATE_KEY",
    "ACCESS_KEY",
    "ENCRYPTION_KEY",
    "SIGNING_KEY",
    "MASTER_KEY",
];
/// The same, where the name ends with them: elsewhere they mean something else.
const LAST_WORDS: [&str; 3] = ["PASS", "PWD", "PW"];
/// What a name ends with that is about a secret, and none.
const NOT_SECRET: [&str; 24] = [
    "ALGORITHM",
    "CLASS",
    "COUNT",
    "DIR",
    "DRIVER",
    "ENABLED",
    "ENDPOINT",
    "EXPIRY",
    "FILE",
    "HEADER",
    "HOST",
    "ID",
    "ISSUER",
    "LENGTH",
    "LIFETIME",
    "NAME",
    "PATH",
    "POLICY",
    "PORT",
    "REQUIRED",
    "TTL",
    "TYPE",
    "USER",
    "USERNAME",
];
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
const PREFIXES: [(&str, &str); 14] = [
    ("AKIA", "an AWS access key"),
    ("ASIA", "an AWS access key"),
    ("ghp_", "a GitHub token"),
    ("gho_", "a GitHub token"),
    ("ghs_", "a GitHub token"),
    ("github_pat_", "a GitHub token"),
    ("glpat-", "a GitLab token"),
    ("xoxb-", "a Slack token"),
    ("xoxp-", "a Slack token"),
    ("xapp-", "a Slack token"),
    ("sk_live_", "a Stripe key"),
    ("rk_live_", "a Stripe key"),
    ("SG.", "a SendGrid key"),
    ("hvs.", "a Vault token"),
];
/// Fewest bytes of a token behind its prefix.
const TOKEN: usize = 12;
/// Fewest bytes of a value that is random enough.
const RANDOM: usize = 24;

/// Looks at a variable. Empty values, truth values, numbers and paths are no secrets.
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
    if plain || parts.iter().any(|it| it.starts_with("PUBLI")) {
        return None;
    }
    let number = text.parse::<f64>().is_ok();
    if let Some(word) = word_of(&parts).filter(|_| !NOT_SECRET.contains(&last)) {
        // A password of digits is one, the number of a token's seconds is none.
        let counts =
            !number || (text.len() >= 4 && last.ends_with(word) && word.starts_with("PASS"));
        return counts.then_some(Likeness::Name(word));
    }
    (!number && !NOT_RANDOM.contains(&last) && is_random(text)).then_some(Likeness::Random)
}

/// The known format of a value, whatever its name.
pub fn format(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    let token = |rest: &str| {
        rest.len() >= TOKEN
            && rest
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let mut prefixes = PREFIXES.iter();
    let found = prefixes.find(|(prefix, _)| text.strip_prefix(prefix).is_some_and(token));
    if let Some((_, what)) = found {
        return Some(what);
    }
    let jwt: Vec<&str> = text.split('.').collect();
    if let [head, body, _] = jwt.as_slice()
        && head.starts_with("eyJ")
        && body.starts_with("eyJ")
        && jwt.iter().all(|it| it.bytes().all(is_base64))
    {
        return Some("a JSON web token");
    }
    has_password(text).then_some("a URL with a password")
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
    let password = user
        .and_then(|(user, _)| user.split_once(':'))
        .map(|(_, it)| it);
    !scheme.contains(char::is_whitespace)
        && password.is_some_and(|it| !it.is_empty() && !it.contains("{{") && !it.starts_with("${"))
}

/// The word of a name that means a secret.
fn word_of(parts: &[String]) -> Option<&'static str> {
    let ends = |part: &String, word: &str| part == word || (word.len() > 5 && part.ends_with(word));
    let found = WORDS.into_iter().find(|word| match word.split_once('_') {
        None => parts.iter().any(|it| ends(it, word)),
        Some((first, second)) => parts
            .windows(2)
            .any(|it| it[0].ends_with(first) && it[1] == second),
    });
    if found.is_some() {
        return found;
    }
    let last = parts.last().filter(|_| parts.len() > 1)?;
    LAST_WORDS.into_iter().find(|word| last == word)
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
    use super::*;
    use expect_test::expect;

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
            JWT=eyJhbGciOiJI.eyJzdWIiOiIx.abc-_: it is a JSON web token
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
}
