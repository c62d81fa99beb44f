//! From text to parts. One pass; an expression that is broken is told and skipped.

use std::ops::Range;

use winnow::combinator::{alt, cut_err, delimited, opt, preceded, repeat};
use winnow::error::{ErrMode, ParserError};
use winnow::prelude::*;
use winnow::stream::{LocatingSlice, Location, Stream};
use winnow::token::{any, take_while};

use super::filter::{FILTERS, MAX_INDENT, Takes};
use super::{
    Expr, Filter, MAX_EXPRESSION, MAX_EXPRESSIONS, MAX_FILTERS, MAX_PROBLEMS, MAX_TEXT, Part,
    TemplateError,
};
use crate::names::suggest;
use crate::reference::{SecretRef, source_of};
use crate::spec::Operand;

type Input<'a> = LocatingSlice<&'a str>;
type Result<T> = std::result::Result<T, ErrMode<TemplateError>>;

pub(super) fn template(text: &str) -> std::result::Result<Vec<Part>, Vec<TemplateError>> {
    if text.len() > MAX_TEXT {
        return Err(vec![problem(
            0..0,
            format!("the template has more than {} KiB", MAX_TEXT >> 10),
        )]);
    }
    let (mut parts, mut problems, mut literal) = (Vec::new(), Vec::new(), String::new());
    let (mut at, mut count) = (0, 0);
    while let Some(found) = text[at..].find("{{") {
        let mut start = at + found;
        literal += &text[at..start];
        // Of more than two braces the last two open.
        while text[start..].starts_with("{{{") {
            literal.push('{');
            start += 1;
        }
        count += 1;
        if count > MAX_EXPRESSIONS {
            problems.push(problem(
                start..start + 2,
                format!("the template has more than {MAX_EXPRESSIONS} expressions"),
            ));
            break;
        }
        let Some(length) = end(&text[start..]) else {
            let help = "close it with `}}`; a literal `{{` is written `{{ \"{{\" }}`";
            problems.push(problem(start..start + 2, "the expression is not closed").help(help));
            break;
        };
        at = start + length;
        match expression(&text[start + 2..at - 2]) {
            Ok(Found::Text(braces)) => literal += &braces,
            Ok(Found::Expr(operand, filters)) => {
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(Part::Expr(Expr {
                    operand,
                    filters,
                    at: start..at,
                }));
            }
            Err(e) => problems.push(TemplateError {
                at: start + 2 + e.at.start..start + 2 + e.at.end,
                ..e
            }),
        }
        if problems.len() >= MAX_PROBLEMS {
            break;
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    literal += &text[at..];
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    Ok(parts)
}

/// The length of the expression at the beginning of a text, both braces included. A `}}` in quotes does not close it.
///
/// A single quote opens only where an argument begins, because names may have apostrophes.
fn end(text: &str) -> Option<usize> {
    let mut chars = text
        .char_indices()
        .skip(2)
        .take_while(|(at, _)| *at < MAX_EXPRESSION);
    let (mut before, mut after_paren) = ('{', false);
    while let Some((at, c)) = chars.next() {
        if c == '"' || (c == '\'' && after_paren) {
            while let Some((_, inner)) = chars.next().filter(|(_, inner)| *inner != c) {
                if inner == '\\' {
                    chars.next();
                }
            }
        } else if c == '}' && before == '}' {
            return Some(at + 1);
        }
        before = c;
        after_paren = c == '(' || (after_paren && c.is_whitespace());
    }
    None
}

enum Found {
    Text(String),
    Expr(Operand, Vec<Filter>),
}

/// What stands between the braces.
fn expression(text: &str) -> std::result::Result<Found, TemplateError> {
    let mut input = Input::new(text);
    let parse = |input: &mut Input<'_>| -> Result<Found> {
        blank(input)?;
        let operand = operand(input)?;
        let filters: Vec<Filter> =
            repeat(0.., preceded((blank, '|', blank), cut_err(filter))).parse_next(input)?;
        blank(input)?;
        if !input.is_empty() {
            return Err(cut(
                input.current_token_start()..text.len(),
                "something follows that is not a filter",
                Some("filters stand after `|`"),
            ));
        }
        if filters.len() > MAX_FILTERS {
            return Err(cut(
                0..text.len(),
                format!("the expression has more than {MAX_FILTERS} filters"),
                None,
            ));
        }
        match operand {
            Spelled::Text(braces) if filters.is_empty() => Ok(Found::Text(braces)),
            Spelled::Text(_) => Err(cut(0..text.len(), "text has no filters", None)),
            Spelled::Operand(operand) => Ok(Found::Expr(operand, filters)),
        }
    };
    parse(&mut input).map_err(|e| match e {
        ErrMode::Backtrack(e) | ErrMode::Cut(e) => e,
        ErrMode::Incomplete(_) => problem(0..text.len(), "the expression is not understood"),
    })
}

enum Spelled {
    Text(String),
    Operand(Operand),
}

fn operand(input: &mut Input<'_>) -> Result<Spelled> {
    let start = input.current_token_start();
    if let Some(text) = opt(alt((string('"'), string('\'')))).parse_next(input)? {
        let span = start..input.current_token_start();
        if !text.is_empty() && text.chars().all(|c| matches!(c, '{' | '}')) {
            return Ok(Spelled::Text(text));
        }
        return meaning(&text, span).map(Spelled::Operand);
    }
    // A string within a name, as `op://` has it, is taken as it stands.
    let name: &str = repeat::<_, _, (), _, _>(
        0..,
        alt((string('"').void(), any.verify(|c: &char| *c != '|').void())),
    )
    .take()
    .parse_next(input)?;
    let name = name.trim_end();
    meaning(name, start..start + name.len()).map(Spelled::Operand)
}

/// A name of the catalogue, or a reference.
fn meaning(text: &str, at: Range<usize>) -> Result<Operand> {
    if text.is_empty() {
        return Err(cut(
            at,
            "the expression names no secret",
            Some("write `{{ name }}`; a literal `{{` is written `{{ \"{{\" }}`"),
        ));
    }
    if source_of(text).is_some() {
        return text.parse::<SecretRef>().map(Operand::Ref).map_err(|e| {
            // Escapes of a string may have moved the byte: then the whole string is meant.
            let start = (at.start + e.at).min(at.end);
            let span = if at.len() == text.len() {
                start..at.end
            } else {
                at
            };
            cut(span, e.message, e.help.as_deref())
        });
    }
    if is_name(text) {
        return Ok(Operand::Name(text.into()));
    }
    Err(cut(
        at,
        "this is neither a name nor a reference",
        Some("a name has letters, digits, `.`, `-` and `_`; a filter stands after `|`"),
    ))
}

/// Whether a text can be a name in the catalogue.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

enum Argument {
    Text(String),
    Number(String),
}

fn filter(input: &mut Input<'_>) -> Result<Filter> {
    let start = input.current_token_start();
    let name: &str =
        take_while(0.., |c: char| c.is_ascii_alphanumeric() || c == '_').parse_next(input)?;
    let span = start..input.current_token_start();
    if name.is_empty() {
        return Err(cut(span, "there is no filter after `|`", None));
    }
    let Some(takes) = Takes::of(name) else {
        let help = suggest(name, FILTERS.iter().map(|f| f.0));
        return Err(cut(
            span,
            format!("there is no filter {name}"),
            help.as_deref(),
        ));
    };
    let argument = opt(delimited(
        (blank, '(', blank),
        cut_err(alt((
            alt((string('"'), string('\''))).map(Argument::Text),
            take_while(0.., |c: char| c.is_ascii_digit())
                .map(|n: &str| Argument::Number(n.to_owned())),
        ))),
        (blank, cut_err(')')),
    ))
    .parse_next(input)
    .map_err(|e| {
        e.map(|e: TemplateError| {
            problem(e.at, format!("the argument of {name} is not understood"))
                .help("write `name(\"text\")` or `name(4)`")
        })
    })?;
    let span = start..input.current_token_start();
    let found = match (takes, argument) {
        (Takes::Nothing, None) => Filter::plain(name),
        (Takes::Nothing, Some(_)) => {
            return Err(cut(span, format!("{name} takes no argument"), None));
        }
        (Takes::Text, Some(Argument::Text(text))) => Filter::with_text(name, text),
        (Takes::Text, _) => {
            return Err(cut(
                span,
                format!("{name} takes a text"),
                Some(&format!("write `{name}(\"…\")`")),
            ));
        }
        (Takes::Number, Some(Argument::Number(n))) => n
            .parse()
            .ok()
            .filter(|n| *n <= MAX_INDENT)
            .map(Filter::Indent),
        (Takes::Number, _) => None,
    };
    found.ok_or_else(|| {
        cut(
            span,
            format!("{name} takes a number from 0 to {MAX_INDENT}"),
            Some(&format!("write `{name}(4)`")),
        )
    })
}

/// A string in these quotes.
fn string<'a>(quote: char) -> impl Parser<Input<'a>, String, ErrMode<TemplateError>> {
    let escape = |c| match c {
        'n' => '\n',
        't' => '\t',
        c => c,
    };
    let character = alt((
        preceded('\\', any.map(escape)),
        any.verify(move |c: &char| *c != quote && *c != '\\'),
    ));
    delimited(quote, repeat(0.., character), quote)
}

fn blank(input: &mut Input<'_>) -> Result<()> {
    take_while(0.., char::is_whitespace)
        .void()
        .parse_next(input)
}

fn problem(at: Range<usize>, message: impl Into<String>) -> TemplateError {
    TemplateError {
        message: message.into(),
        at,
        help: None,
    }
}

fn cut(at: Range<usize>, message: impl Into<String>, help: Option<&str>) -> ErrMode<TemplateError> {
    ErrMode::Cut(TemplateError {
        message: message.into(),
        at,
        help: help.map(str::to_owned),
    })
}

impl TemplateError {
    fn help(mut self, help: &str) -> Self {
        self.help = Some(help.to_owned());
        self
    }
}

impl ParserError<Input<'_>> for TemplateError {
    type Inner = Self;

    fn from_input(input: &Input<'_>) -> Self {
        let at = input.current_token_start();
        problem(
            at..at + input.peek_token().map_or(0, char::len_utf8),
            "the expression is not understood",
        )
    }

    fn into_inner(self) -> std::result::Result<Self, Self> {
        Ok(self)
    }
}
