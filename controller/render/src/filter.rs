//! The filters: bytes in, bytes out. What each does is in `docs/reference/templates.md`.

mod json;
mod password;
mod pem;
mod quote;
mod text;
mod totp;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use locket_crds::template::Filter;
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::{Fault, Reason};
use crate::limits::WORK_LIMIT;
use crate::render::Key;

/// A step between a value and its place; zeroed when dropped.
pub(crate) type Bytes = Zeroizing<Vec<u8>>;

/// What filters may know beside their input, and what they have used up.
pub(crate) struct Context<'a> {
    /// Key of the project, for salts.
    pub(crate) key: &'a Key,
    /// Name of the place, for salts.
    pub(crate) target: String,
    /// Seconds since the epoch; `None` where a result must not depend on time.
    pub(crate) now: Option<u64>,
    /// What the service has used up.
    pub(crate) work: &'a mut Work,
}

/// What the filters of one service have used up.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) bytes: usize,
    pub(crate) bcrypts: u32,
}

/// Applies one filter; `default` and `required` are the expression's own and change nothing here.
pub(crate) fn apply(
    filter: &Filter,
    input: &[u8],
    context: &mut Context<'_>,
) -> Result<Bytes, Fault> {
    context.work.bytes = context.work.bytes.saturating_add(input.len());
    if context.work.bytes > WORK_LIMIT {
        let message = "the filters of this service have more than 1 GiB to go through";
        return Err(Fault::new(Reason::TooMuchWork, message)
            .help("use smaller secrets, or fewer filters on large ones"));
    }
    match filter {
        Filter::Base64 => Ok(encode64(input)),
        Filter::Base64d => decode64(input).ok_or_else(|| Fault::failed("the value is not base64")),
        Filter::Json => json::compact(input),
        Filter::JsonString => Ok(quote::json_string(utf8(input)?)),
        Filter::YamlString => Ok(quote::yaml_string(utf8(input)?)),
        Filter::Urlencode => Ok(quote::urlencode(input)),
        Filter::ShellQuote => quote::shell(input),
        Filter::SqlQuote => quote::sql(utf8(input)?),
        Filter::DotenvQuote => quote::dotenv(utf8(input)?),
        Filter::Trim => Ok(Bytes::new(input.trim_ascii().to_vec())),
        Filter::Upper => Ok(Bytes::new(input.to_ascii_uppercase())),
        Filter::Lower => Ok(Bytes::new(input.to_ascii_lowercase())),
        Filter::Sha256 => Ok(hex(&Sha256::digest(input))),
        Filter::Sha512 => Ok(hex(&Sha512::digest(input))),
        Filter::Hex => Ok(hex(input)),
        Filter::Indent(spaces) => text::indent(input, usize::from(*spaces)),
        Filter::Lines => Ok(text::lines(input)),
        Filter::Jsonpath(path) => json::path(input, path),
        Filter::Bcrypt => password::bcrypt(input, context),
        Filter::Htpasswd(user) => password::htpasswd(input, user, context),
        Filter::PemNormalize => pem::normalize(utf8(input)?),
        Filter::Totp => totp::code(utf8(input)?, context.now),
        Filter::Default(_) | Filter::Required => Ok(Bytes::new(input.to_vec())),
    }
}

/// The name of a filter, as it is written.
pub(crate) fn name(filter: &Filter) -> &'static str {
    match filter {
        Filter::Base64 => "base64",
        Filter::Base64d => "base64d",
        Filter::Json => "json",
        Filter::JsonString => "json_string",
        Filter::YamlString => "yaml_string",
        Filter::Urlencode => "urlencode",
        Filter::ShellQuote => "shell_quote",
        Filter::SqlQuote => "sql_quote",
        Filter::DotenvQuote => "dotenv_quote",
        Filter::Trim => "trim",
        Filter::Upper => "upper",
        Filter::Lower => "lower",
        Filter::Sha256 => "sha256",
        Filter::Sha512 => "sha512",
        Filter::Hex => "hex",
        Filter::Indent(_) => "indent",
        Filter::Default(_) => "default",
        Filter::Required => "required",
        Filter::Lines => "lines",
        Filter::Jsonpath(_) => "jsonpath",
        Filter::Bcrypt => "bcrypt",
        Filter::Htpasswd(_) => "htpasswd",
        Filter::PemNormalize => "pem_normalize",
        Filter::Totp => "totp",
    }
}

fn utf8(input: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(input).map_err(|_| {
        Fault::new(Reason::NotText, "the value is not UTF-8 text")
            .help("encode it first, for example with `base64`")
    })
}

/// Lower-case hex digits.
fn hex(input: &[u8]) -> Bytes {
    let mut out = Bytes::new(vec![0; 2 * input.len()]);
    // The output is exactly twice the input, which is the only way this can fail.
    let _fits = hex::encode_to_slice(input, &mut out);
    out
}

/// Standard alphabet, padded, in one line.
fn encode64(input: &[u8]) -> Bytes {
    let mut out = Bytes::new(vec![0; input.len().div_ceil(3) * 4]);
    // The output has room for every group of three, which is the only way this can fail.
    let _fits = STANDARD.encode_slice(input, &mut out);
    out
}

/// Either alphabet, padded or not; white space anywhere is skipped.
fn decode64(input: &[u8]) -> Option<Bytes> {
    const ANY_PADDING: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const PLAIN: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
    const URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);

    let mut dense = Bytes::new(Vec::with_capacity(input.len()));
    dense.extend(input.iter().copied().filter(|b| !b.is_ascii_whitespace()));
    let mut out = Bytes::new(vec![0; base64::decoded_len_estimate(dense.len())]);
    let len = PLAIN
        .decode_slice(&dense, &mut out)
        .or_else(|_| URL.decode_slice(&dense, &mut out))
        .ok()?;
    // Not only cut off: what a failed first try may have left behind the end is a part of the value.
    out.get_mut(len..)?.zeroize();
    out.truncate(len);
    Some(out)
}

#[cfg(test)]
mod tests;
