//! The template grammar: `{{ operand | filter | filter("argument") }}`, and nothing else.
//!
//! ```text
//! template   = *( text / expression )
//! expression = "{{" operand *( "|" filter ) "}}"
//! operand    = name / reference / string
//! filter     = word [ "(" ( string / number ) ")" ]
//! string     = DQUOTE *( char / "\" char ) DQUOTE / "'" *( char / "\" char ) "'"     `\n` and `\t` are what they are elsewhere
//! ```
//!
//! - A name or reference ends at the first `|` or `}}` that is not in double quotes; white space around it is dropped.
//!   One with these characters in it is written as a string.
//! - A string of braces is text: `{{ "{{" }}` gives `{{`. A `}}` outside of an expression is text anyway, and of `{{{`
//!   the first brace is.
//!
//! Parsing is here, evaluation is in `locket-render`; the list of filters is closed.

mod filter;
mod parse;

use std::ops::Range;

use serde::{Deserialize, Serialize};

pub(crate) use filter::filters;
pub(crate) use parse::is_name;

use crate::spec::Operand;

/// Longest text of a template in bytes.
pub const MAX_TEXT: usize = 1 << 20;
/// Most expressions of a template.
pub const MAX_EXPRESSIONS: usize = 4096;
/// Longest expression in bytes, braces included.
pub const MAX_EXPRESSION: usize = 4096;
/// Most filters of an expression.
pub const MAX_FILTERS: usize = 16;
/// Most problems that are told of one template.
pub const MAX_PROBLEMS: usize = 32;

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
        let parts = parse::template(text)?;
        Ok(Self {
            text: text.to_owned(),
            parts,
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
        Self::parse(&text).map_err(|all| {
            let unknown = || TemplateError {
                message: "the template is broken".to_owned(),
                at: 0..0,
                help: None,
            };
            all.into_iter().next().unwrap_or_else(unknown)
        })
    }
}

/// Line and column, both from 1 and in characters, of a byte of a template's text.
pub fn position(text: &str, at: usize) -> (u32, u32) {
    crate::diag::Lines::new(text).position(at)
}

#[cfg(test)]
mod tests;
