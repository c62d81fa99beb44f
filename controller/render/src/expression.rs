//! `{{ operand | filter … }}` with the operand's value: the rules for empty values, limits and order.

use locket_crds::template::Filter;

use crate::error::{Fault, Reason};
use crate::filter::{self, Bytes, Context};
use crate::limits::FILE_LIMIT;

/// Applies the filters in order.
///
/// An empty value counts as a value only if `allow_empty` says so. Otherwise it skips to the next `default`, and without one it is an error;
/// so no filter ever turns an unexpected nothing into something (the hash of nothing, say).
/// After `default`, also `default("")`, emptiness is what the template asks for.
pub(crate) fn evaluate(
    value: &[u8],
    allow_empty: bool,
    filters: &[Filter],
    context: &mut Context<'_>,
) -> Result<Bytes, Fault> {
    let mut bytes = Bytes::new(value.to_vec());
    let mut empty_is_fine = allow_empty;
    for filter in filters {
        match filter {
            Filter::Default(text) => {
                empty_is_fine = true;
                if bytes.is_empty() {
                    bytes = Bytes::new(text.clone().into_bytes());
                }
            }
            Filter::Required if bytes.is_empty() => return Err(empty()),
            Filter::Required => {}
            _ if bytes.is_empty() && !empty_is_fine => {}
            _ => bytes = filter::apply(filter, &bytes, context)?,
        }
        if bytes.len() > FILE_LIMIT {
            return Err(Fault::new(
                Reason::TooLarge,
                format!("{} gives more than 8 MiB", filter::name(filter)),
            ));
        }
    }
    if bytes.is_empty() && !empty_is_fine {
        return Err(empty());
    }
    Ok(bytes)
}

/// Says that a value is empty.
pub(crate) fn empty() -> Fault {
    Fault::new(Reason::EmptyValue, "the value is empty")
        .help("set the secret, or allow it to be empty with `allow_empty: true`")
}

#[cfg(test)]
mod tests;
