//! What secrets are called.

use super::model::Value;

/// A value that needs a name.
pub struct Want<'a> {
    /// The service that has it, for when its own name is taken.
    pub service: &'a str,
    /// The variable, or the secret of compose's.
    pub variable: &'a str,
    /// The value.
    pub value: &'a Value,
}

/// Longest name, so that a service's can stand in front and a number behind.
const LONGEST: usize = 60;

/// A name for each, in order: the same for equal values of one variable. `taken`: whether a name stands for another value already.
pub fn assign(wants: &[Want<'_>], taken: impl Fn(&str, &Value) -> bool) -> Vec<String> {
    let mut given: Vec<(String, String, &Value)> = Vec::new();
    let mut out = Vec::new();
    for want in wants {
        let plain = kebab(want.variable);
        let same = given
            .iter()
            .find(|(_, of, value)| *of == plain && value.expose() == want.value.expose());
        if let Some((name, ..)) = same {
            out.push(name.clone());
            continue;
        }
        let own = format!("{}-{plain}", kebab(want.service));
        let numbered = (2..).map(|n| format!("{own}-{n}"));
        let free =
            |name: &String| !given.iter().any(|(it, ..)| it == name) && !taken(name, want.value);
        let mut all = [plain.clone(), own.clone()].into_iter().chain(numbered);
        let name = all.find(free).unwrap_or(own);
        out.push(name.clone());
        given.push((name, plain, want.value));
    }
    out
}

/// `DB_PASSWORD` and `dbPassword` are `db-password`.
pub fn kebab(name: &str) -> String {
    let mut out = String::new();
    let mut before = '-';
    for c in name.chars() {
        let word = c.is_ascii_alphanumeric() || c == '.';
        let starts =
            c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit());
        if (starts || !word) && !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
        if word && out.len() < LONGEST {
            out.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    let out = out.trim_matches(['-', '.']);
    if out.is_empty() {
        "secret".to_owned()
    } else {
        out.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use locket_provider::SecretValue;

    use super::*;

    #[test]
    fn names_are_those_of_the_variables() {
        for (variable, name) in [
            ("DB_PASSWORD", "db-password"),
            ("dbPassword", "db-password"),
            ("db.password", "db.password"),
            ("_TOKEN_", "token"),
            ("A__B", "a-b"),
            ("S3KEY", "s3-key"),
            ("ÄÖ", "secret"),
        ] {
            assert_eq!(kebab(variable), name, "{variable}");
            assert!(locket_crds::names::is_local(name));
        }
        assert!(kebab(&"x".repeat(300)).len() <= LONGEST);
    }

    #[test]
    fn equal_values_share_a_name_and_others_get_their_own() {
        let value = |text: &str| Arc::new(SecretValue::new(text.as_bytes().to_vec()));
        let (one, two, three) = (value("1"), value("2"), value("3"));
        let want = |service, variable, value| Want {
            service,
            variable,
            value,
        };
        let wants = [
            want("api", "DB_PASSWORD", &one),
            want("web", "DB_PASSWORD", &one),
            want("job", "DB_PASSWORD", &two),
            want("job", "db_password", &three),
            want("api", "TOKEN", &one),
        ];
        let names = assign(&wants, |name, value| {
            name == "token" && value.expose() != b"9"
        });
        assert_eq!(
            names,
            [
                "db-password",
                "db-password",
                "job-db-password",
                "job-db-password-2",
                "api-token"
            ]
        );
    }
}
