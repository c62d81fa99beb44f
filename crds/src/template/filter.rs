//! Filters by their names.

use std::fmt;

use super::Filter;

/// What a filter takes in parentheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    Text,
    Number,
}

/// All names, and what they take.
pub(super) const FILTERS: [(&str, Takes); 24] = [
    ("base64", Takes::Nothing),
    ("base64d", Takes::Nothing),
    ("bcrypt", Takes::Nothing),
    ("default", Takes::Text),
    ("dotenv_quote", Takes::Nothing),
    ("hex", Takes::Nothing),
    ("htpasswd", Takes::Text),
    ("indent", Takes::Number),
    ("json", Takes::Nothing),
    ("json_string", Takes::Nothing),
    ("jsonpath", Takes::Text),
    ("lines", Takes::Nothing),
    ("lower", Takes::Nothing),
    ("pem_normalize", Takes::Nothing),
    ("required", Takes::Nothing),
    ("sha256", Takes::Nothing),
    ("sha512", Takes::Nothing),
    ("shell_quote", Takes::Nothing),
    ("sql_quote", Takes::Nothing),
    ("totp", Takes::Nothing),
    ("trim", Takes::Nothing),
    ("upper", Takes::Nothing),
    ("urlencode", Takes::Nothing),
    ("yaml_string", Takes::Nothing),
];

/// Largest argument of `indent`.
pub(super) const MAX_INDENT: u16 = 200;

/// Every filter as somebody would begin to write it.
pub(crate) fn filters() -> impl Iterator<Item = String> {
    FILTERS.iter().map(|(name, takes)| match takes {
        Takes::Nothing => (*name).to_owned(),
        Takes::Text => format!("{name}(\"\")"),
        Takes::Number => format!("{name}(2)"),
    })
}

impl Takes {
    pub(super) fn of(name: &str) -> Option<Self> {
        FILTERS
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, takes)| *takes)
    }
}

impl Filter {
    /// A filter that takes nothing.
    pub(super) fn plain(name: &str) -> Option<Self> {
        Some(match name {
            "base64" => Self::Base64,
            "base64d" => Self::Base64d,
            "bcrypt" => Self::Bcrypt,
            "dotenv_quote" => Self::DotenvQuote,
            "hex" => Self::Hex,
            "json" => Self::Json,
            "json_string" => Self::JsonString,
            "lines" => Self::Lines,
            "lower" => Self::Lower,
            "pem_normalize" => Self::PemNormalize,
            "required" => Self::Required,
            "sha256" => Self::Sha256,
            "sha512" => Self::Sha512,
            "shell_quote" => Self::ShellQuote,
            "sql_quote" => Self::SqlQuote,
            "totp" => Self::Totp,
            "trim" => Self::Trim,
            "upper" => Self::Upper,
            "urlencode" => Self::Urlencode,
            "yaml_string" => Self::YamlString,
            _ => return None,
        })
    }

    /// A filter that takes a text.
    pub(super) fn with_text(name: &str, text: String) -> Option<Self> {
        Some(match name {
            "default" => Self::Default(text),
            "htpasswd" => Self::Htpasswd(text),
            "jsonpath" => Self::Jsonpath(text),
            _ => return None,
        })
    }

    /// The name by which it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::Base64d => "base64d",
            Self::Bcrypt => "bcrypt",
            Self::Default(_) => "default",
            Self::DotenvQuote => "dotenv_quote",
            Self::Hex => "hex",
            Self::Htpasswd(_) => "htpasswd",
            Self::Indent(_) => "indent",
            Self::Json => "json",
            Self::JsonString => "json_string",
            Self::Jsonpath(_) => "jsonpath",
            Self::Lines => "lines",
            Self::Lower => "lower",
            Self::PemNormalize => "pem_normalize",
            Self::Required => "required",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::ShellQuote => "shell_quote",
            Self::SqlQuote => "sql_quote",
            Self::Totp => "totp",
            Self::Trim => "trim",
            Self::Upper => "upper",
            Self::Urlencode => "urlencode",
            Self::YamlString => "yaml_string",
        }
    }
}

impl fmt::Display for Filter {
    /// As it is written in a template.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Default(text) | Self::Htpasswd(text) | Self::Jsonpath(text) => {
                write!(
                    f,
                    "(\"{}\")",
                    text.replace('\\', "\\\\")
                        .replace('"', "\\\"")
                        .replace('\n', "\\n")
                        .replace('\t', "\\t")
                )
            }
            Self::Indent(n) => write!(f, "({n})"),
            _ => Ok(()),
        }
    }
}
