//! Names of secrets in the store.

use std::fmt;

use serde::{Deserialize, Serialize};

use locket_crds::names::is_local as segment;

use super::Error;

/// `<project>/<name>`, or `/<name>` for one that belongs to no project.
///
/// Segments are of `[a-zA-Z0-9._-]`, 1 to 128 bytes, neither `.` nor `..`. Order: global ones first, then by project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Reads a full name.
    ///
    /// # Errors
    /// [`Error::Name`] when it has not the form above.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text.split_once('/') {
            Some((project, name)) if (project.is_empty() || segment(project)) && segment(name) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(Error::Name {
                name: text.to_owned(),
            }),
        }
    }

    /// What a reference's path means in a project: `smtp` is the project's own, `/smtp` is global, and
    /// `<project>/smtp` may be written out. There is no fallback from one to the other.
    ///
    /// # Errors
    /// [`Error::Name`], or [`Error::Foreign`] when another project is named.
    pub fn in_project(project: &str, path: &str) -> Result<Self, Error> {
        match path.split_once('/') {
            None => Self::parse(&format!("{project}/{path}")),
            Some((owner, _)) if owner.is_empty() || owner == project => Self::parse(path),
            Some(_) => Self::parse(path).and(Err(Error::Foreign {
                name: path.to_owned(),
                project: project.to_owned(),
            })),
        }
    }

    /// The full name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_project_and_a_segment() {
        for good in ["shop/db", "/db", "shop/tls.crt", "a_b-c/9"] {
            assert_eq!(Name::parse(good).unwrap().as_str(), good);
        }
        let long = format!("shop/{}", "x".repeat(129));
        for bad in [
            "",
            "/",
            "db",
            "shop/",
            "shop/a/b",
            "/..",
            "../x",
            "shop/.",
            "shop/a b",
            "shop/é",
            "shop/a\n",
            long.as_str(),
        ] {
            assert!(
                matches!(Name::parse(bad), Err(Error::Name { .. })),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_path_is_read_in_its_project() {
        let read = |path| Name::in_project("shop", path).map(String::from);
        assert_eq!(read("smtp").unwrap(), "shop/smtp");
        assert_eq!(read("/smtp").unwrap(), "/smtp");
        assert_eq!(read("shop/smtp").unwrap(), "shop/smtp");
        assert!(matches!(read("bank/smtp"), Err(Error::Foreign { .. })));
        assert!(matches!(read("shop/a/b"), Err(Error::Name { .. })));
        assert!(matches!(read(""), Err(Error::Name { .. })));
    }
}
