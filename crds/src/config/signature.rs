//! How a sender signs what it pushes.

use std::time::Duration;

use crate::diag::Code;
use crate::names::suggest;
use crate::read::Cursor;
use crate::yaml::Value;

/// How a request is signed: HMAC-SHA256, always.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    /// The header that holds the signature, or several of them, with `,`, `;` or a space between them.
    pub header: String,
    /// What stands before each signature in it.
    pub prefix: String,
    /// How its bytes are written.
    pub encoding: Encoding,
    /// Where it says when it was signed; `None`: it does not, or not so that the signature covers it.
    pub timestamp: Option<Timestamp>,
    /// What is signed, in this order.
    pub content: Vec<Piece>,
    /// How old a signed request may be, and how far its clock may be ahead; also how long one is remembered.
    pub tolerance: Duration,
    /// The secret is the base64 text behind `whsec_`.
    pub encoded_secret: bool,
}

/// How the bytes of a signature are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// 64 digits.
    Hex,
    /// 44 characters of the standard alphabet, padded.
    Base64,
}

/// Where the time of a signature stands, in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timestamp {
    /// In a header of its own.
    Header(String),
    /// Beside the signature, behind these characters.
    Part(String),
}

/// A piece of what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it is.
    Text(String),
    /// The time as it was written.
    Timestamp,
    /// A header.
    Header(String),
    /// All bytes of the body.
    Body,
}

const TOLERANCE: Duration = Duration::from_secs(300);
/// More would make the list of what has been seen long.
const LONGEST_TOLERANCE: Duration = Duration::from_secs(900);

/// The ways to sign that have a name.
pub(crate) const SCHEMES: [&str; 5] = [
    "doppler",
    "github",
    "infisical",
    "locket",
    "standard-webhooks",
];

impl Signature {
    /// One that has a name.
    pub fn named(name: &str) -> Option<Self> {
        let of_body = |header: &str, prefix: &str| Self {
            header: header.to_owned(),
            prefix: prefix.to_owned(),
            encoding: Encoding::Hex,
            timestamp: None,
            content: vec![Piece::Body],
            tolerance: TOLERANCE,
            encoded_secret: false,
        };
        let dot = || Piece::Text(".".to_owned());
        Some(match name {
            // `t=<seconds>,v1=<hex>`, as Stripe has made it known.
            "locket" => Self {
                timestamp: Some(Timestamp::Part("t=".to_owned())),
                content: vec![Piece::Timestamp, dot(), Piece::Body],
                ..of_body("x-locket-signature", "v1=")
            },
            // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
            "github" => of_body("x-hub-signature-256", "sha256="),
            // https://docs.doppler.com/docs/webhooks
            "doppler" => of_body("x-doppler-signature", "sha256="),
            // `t=<milliseconds>;<hex>`: the time in the header is not signed, the one in the body is.
            // https://infisical.com/docs/documentation/platform/webhooks
            "infisical" => of_body("x-infisical-signature", ""),
            // https://www.standardwebhooks.com
            "standard-webhooks" => Self {
                encoding: Encoding::Base64,
                timestamp: Some(Timestamp::Header("webhook-timestamp".to_owned())),
                content: vec![
                    Piece::Header("webhook-id".to_owned()),
                    dot(),
                    Piece::Timestamp,
                    dot(),
                    Piece::Body,
                ],
                encoded_secret: true,
                ..of_body("webhook-signature", "v1,")
            },
            _ => return None,
        })
    }
}

pub(super) fn read(at: &Cursor<'_>) -> Option<Signature> {
    if let Value::Str(name) = &at.node.value {
        let found = Signature::named(name);
        if found.is_none() {
            let it = at.problem(
                Code::InvalidValue,
                format!("there is no signature {}", at.shown()),
            );
            at.say(it.maybe_help(suggest(name, SCHEMES)));
        }
        return found;
    }
    at.known(&[
        "content",
        "encoding",
        "header",
        "prefix",
        "timestamp",
        "tolerance",
    ]);
    let header = at.need("header").and_then(|it| header(&it));
    let prefix = at.get("prefix").and_then(|it| it.text());
    let encoding = match at.get("encoding") {
        Some(it) => encoding(&it)?,
        None => Encoding::Hex,
    };
    let timestamp = match at.get("timestamp") {
        Some(it) => Some(timestamp(&it)?),
        None => None,
    };
    let content = match at.get("content") {
        Some(it) => content(&it, timestamp.is_some())?,
        None => match timestamp {
            Some(_) => pieces("{timestamp}.{body}")?,
            None => vec![Piece::Body],
        },
    };
    let tolerance = match at.get("tolerance") {
        Some(it) => tolerance(&it)?,
        None => TOLERANCE,
    };
    Some(Signature {
        header: header?,
        prefix: prefix.unwrap_or_default().to_owned(),
        encoding,
        timestamp,
        content,
        tolerance,
        encoded_secret: false,
    })
}

/// The name of a header, in small letters.
fn header(at: &Cursor<'_>) -> Option<String> {
    let name = at.text()?;
    if is_header(name) {
        return Some(name.to_ascii_lowercase());
    }
    let message = format!("{} is no name of a header", at.shown());
    at.say(at.problem(Code::InvalidValue, message));
    None
}

fn is_header(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

fn encoding(at: &Cursor<'_>) -> Option<Encoding> {
    match at.text()? {
        "hex" => Some(Encoding::Hex),
        "base64" => Some(Encoding::Base64),
        _ => {
            let message = format!("{} is no encoding", at.shown());
            at.say(
                at.problem(Code::InvalidValue, message)
                    .help("write `hex` or `base64`"),
            );
            None
        }
    }
}

fn timestamp(at: &Cursor<'_>) -> Option<Timestamp> {
    at.known(&["header", "part"]);
    match (at.get("header"), at.get("part")) {
        (Some(it), None) => header(&it).map(Timestamp::Header),
        (None, Some(it)) => it.text().map(|part| Timestamp::Part(part.to_owned())),
        _ => {
            let it = at.problem(Code::MissingKey, "`timestamp` names no one place");
            at.say(it.help(
                "write `{ header: NAME }`, or `{ part: \"t=\" }` if it is beside the signature",
            ));
            None
        }
    }
}

fn tolerance(at: &Cursor<'_>) -> Option<Duration> {
    let it = at.duration()?;
    if (Duration::from_secs(1)..=LONGEST_TOLERANCE).contains(&it) {
        return Some(it);
    }
    let message = format!("{} is not between 1s and 15m", at.shown());
    at.say(at.problem(Code::InvalidValue, message));
    None
}

fn content(at: &Cursor<'_>, has_time: bool) -> Option<Vec<Piece>> {
    let found = pieces(at.text()?);
    let wrong = match &found {
        None => "has a brace that is no `{timestamp}`, `{body}` or header",
        Some(all) if all.iter().filter(|p| **p == Piece::Body).count() != 1 => {
            "does not have `{body}` once"
        }
        // Whoever has seen one request could send it again with another time.
        Some(all) if has_time && !all.contains(&Piece::Timestamp) => {
            "leaves the timestamp out, so the signature would not cover it"
        }
        Some(all) if !has_time && all.contains(&Piece::Timestamp) => {
            "has a timestamp, and `timestamp` does not say where it is"
        }
        Some(_) => return found,
    };
    let it = at.problem(Code::InvalidValue, format!("{} {wrong}", at.shown()));
    at.say(it.help("write it like `{timestamp}.{body}`; `{x-some-header}` is a header"));
    None
}

fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (before, after) = rest.split_once('{').unwrap_or((rest, ""));
        if before.contains('}') {
            return None;
        }
        if !before.is_empty() {
            out.push(Piece::Text(before.to_owned()));
        }
        if before.len() == rest.len() {
            break;
        }
        let (name, after) = after.split_once('}')?;
        out.push(match name {
            "timestamp" => Piece::Timestamp,
            "body" => Piece::Body,
            name if is_header(name) => Piece::Header(name.to_ascii_lowercase()),
            _ => return None,
        });
        rest = after;
    }
    Some(out)
}
