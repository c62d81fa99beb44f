//! Diagnostics as SARIF 2.1.0, which code hosts and editors read.
//! See <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.

use serde::Serialize;

use super::render::Texts;
use super::{Code, Diagnostic, Place, Severity, SourceMap, clean};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'a str,
    version: &'a str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool<'a>,
    column_kind: &'a str,
    results: Vec<Finding<'a>>,
}

#[derive(Serialize)]
struct Tool<'a> {
    driver: Driver<'a>,
}

#[derive(Serialize)]
struct Driver<'a> {
    name: &'a str,
    version: &'a str,
    rules: Vec<Rule<'a>>,
}

/// What is said of a code, for the list of rules.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule<'a> {
    id: &'a str,
    name: &'a str,
    short_description: Text<'a>,
    help: Help<'a>,
    default_configuration: Configuration<'a>,
}

#[derive(Serialize)]
struct Text<'a> {
    text: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
struct Help<'a> {
    text: &'a str,
    markdown: String,
}

#[derive(Serialize)]
struct Configuration<'a> {
    level: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding<'a> {
    rule_id: &'a str,
    rule_index: usize,
    level: &'a str,
    message: Text<'a>,
    locations: [Location<'a>; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location<'a> {
    physical_location: Physical<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Text<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical<'a> {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region<'a>>,
}

#[derive(Serialize)]
struct Artifact {
    uri: String,
}

/// Lines and columns from 1; the end is the column after the last one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region<'a> {
    start_line: u32,
    start_column: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_column: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snippet: Option<Text<'a>>,
}

/// All problems as a log of one run, with every code as a rule; ends with a line feed. `version` is that of the program.
pub fn render_sarif(all: &[Diagnostic], sources: &SourceMap, version: &str) -> String {
    let texts = Texts::new(all, sources);
    let log = Log {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "locket",
                    version,
                    rules: Code::ALL.iter().map(|code| rule(*code)).collect(),
                },
            },
            column_kind: "unicodeCodePoints",
            results: all.iter().map(|it| finding(it, &texts)).collect(),
        }],
    };
    super::pretty(&log)
}

fn rule(code: Code) -> Rule<'static> {
    let doc = code.explanation();
    Rule {
        id: code.number(),
        name: code.slug(),
        short_description: text(doc.cause),
        help: Help {
            text: doc.cure,
            markdown: doc.markdown(),
        },
        default_configuration: Configuration {
            level: level(code.severity()),
        },
    }
}

fn finding<'a>(it: &'a Diagnostic, texts: &'a Texts<'_>) -> Finding<'a> {
    let parts = std::iter::once(&it.message)
        .chain(&it.help)
        .chain(&it.notes);
    let message: Vec<String> = parts.map(|part| clean(part)).collect();
    let index = Code::ALL.iter().position(|code| *code == it.code);
    let related = |(place, said): &'a (Place, String)| Location {
        message: Some(text(clean(said))),
        ..location(place, texts)
    };
    Finding {
        rule_id: it.code.number(),
        rule_index: index.unwrap_or_default(),
        level: level(it.severity),
        message: text(message.join("; ")),
        locations: [location(&it.place, texts)],
        related_locations: it.labels.iter().map(related).collect(),
    }
}

fn location<'a>(place: &'a Place, texts: &'a Texts<'_>) -> Location<'a> {
    let at = &place.origin;
    let region = (at.line > 0).then(|| Region {
        start_line: at.line,
        start_column: at.column.max(1),
        // Of what goes over several lines, only the beginning is known.
        end_column: texts
            .line(place)
            .filter(|line| at.column + place.width <= line.chars().count() as u32 + 1)
            .filter(|_| place.width > 0)
            .map(|_| at.column + place.width),
        snippet: texts.line(place).map(text),
    });
    Location {
        physical_location: Physical {
            artifact_location: Artifact { uri: uri(&at.file) },
            region,
        },
        message: None,
    }
}

fn text<'a>(text: impl Into<std::borrow::Cow<'a, str>>) -> Text<'a> {
    Text { text: text.into() }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// A path as a URI reference (RFC 3986): relative, or of a file.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let mut out = if path.starts_with('/') {
        "file://".to_owned()
    } else {
        String::new()
    };
    for byte in path.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}
