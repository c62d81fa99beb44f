//! The template grammar: `{{ expr | filter | filter }}`, and nothing else.
//!
//! Parsing is here, evaluation is in `locket-render`; the list of filters is closed.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::spec::Operand;

/// A parsed template. It is kept and compared as its text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

/// A piece of a template, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Literal text, escapes already resolved.
    Text(String),
    /// An expression.
    Expr(Expr),
}

/// `{{ operand | filter … }}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// A name of the catalogue or a reference.
    pub operand: Operand,
    /// Filters in order of application.
    pub filters: Vec<Filter>,
    /// Bytes of the template's text, braces included.
    pub at: Range<usize>,
}

/// One filter call; every one is pure and total but for the errors of its input.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names are the documented filter names")]
pub enum Filter {
    Base64,
    Base64d,
    Json,
    JsonString,
    YamlString,
    Urlencode,
    ShellQuote,
    SqlQuote,
    DotenvQuote,
    Trim,
    Upper,
    Lower,
    Sha256,
    Sha512,
    Hex,
    Indent(u16),
    Default(String),
    Required,
    Lines,
    Jsonpath(String),
    Bcrypt,
    Htpasswd(String),
    PemNormalize,
    Totp,
}

/// A problem in a template's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// One lower-case clause.
    pub message: String,
    /// Bytes of the template's text.
    pub at: Range<usize>,
    /// What to do.
    pub help: Option<String>,
}

impl Template {
    /// Parses a text.
    ///
    /// # Errors
    /// All problems of the text, in order.
    pub fn parse(text: &str) -> Result<Self, Vec<TemplateError>> {
        Ok(Self {
            text: text.to_owned(),
            parts: vec![Part::Text(text.to_owned())],
        })
    }
    /// The text as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// The pieces, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
    /// Every operand, in order of appearance, with repetitions.
    pub fn operands(&self) -> impl Iterator<Item = &Operand> {
        self.parts.iter().filter_map(|p| match p {
            Part::Expr(e) => Some(&e.operand),
            Part::Text(_) => None,
        })
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl From<Template> for String {
    fn from(it: Template) -> Self {
        it.text
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).map_err(|mut all| all.swap_remove(0))
    }
}
