//! What secrets are called.

use super::model::Value;

/// What a name stands for.
#[derive(Clone)]
pub enum Content {
    /// A value that is at hand.
    Value(Value),
    /// A reference, as it will stand in the catalogue.
    Reference(String),
    /// A secret of DSO's: its project and path. Only its user can bring the value.
    Dso(String),
}

impl Content {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Content::Value(a), Content::Value(b)) => a.expose() == b.expose(),
            (Content::Reference(a), Content::Reference(b)) | (Content::Dso(a), Content::Dso(b)) => {
                a == b
            }
            _ => false,
        }
    }
}

/// Something that needs a name.
pub struct Want {
    /// The service that has it, for when its own name is taken.
    pub service: String,
    /// The variable, or the secret of compose's.
    pub variable: String,
    /// What it is.
    pub content: Content,
}

/// Longest name, so that a service's can stand in front and a number behind.
const LONGEST: usize = 60;

/// A name for each, in order: the same for equal ones of one variable. `taken`: whether a name stands for something else already.
pub fn assign(wants: &[Want], taken: impl Fn(&str, &Content) -> bool) -> Vec<String> {
    let mut given: Vec<(String, String, &Content)> = Vec::new();
    let mut out = Vec::new();
    for want in wants {
        let plain = kebab(&want.variable);
        let same = given
            .iter()
            .find(|(_, of, it)| *of == plain && it.is(&want.content));
        if let Some((name, ..)) = same {
            out.push(name.clone());
            continue;
        }
        let own = format!("{}-{plain}", kebab(&want.service));
        let numbered = (2..).map(|n| format!("{own}-{n}"));
        let free =
            |name: &String| !given.iter().any(|(it, ..)| it == name) && !taken(name, &want.content);
        let mut all = [plain.clone(), own.clone()].into_iter().chain(numbered);
        let name = all.find(free).unwrap_or(own);
        out.push(name.clone());
        given.push((name, plain, &want.content));
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
        let want = |service: &str, variable: &str, value: &Value| Want {
            service: service.to_owned(),
            variable: variable.to_owned(),
            content: Content::Value(Arc::clone(value)),
        };
        let wants = [
            want("api", "DB_PASSWORD", &one),
            want("web", "DB_PASSWORD", &one),
            want("job", "DB_PASSWORD", &two),
            want("job", "db_password", &three),
            want("api", "TOKEN", &one),
        ];
        let names = assign(&wants, |name, _| name == "token");
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
