//! The words that the grammar knows, for whoever offers them: schemas and editors.

use crate::compose::{KINDS, SIGNALS};

/// The actions without an argument.
pub(crate) const ACTIONS: [&str; 5] = ["auto", "none", "restart", "recreate", "rollout"];

/// What `on_change` can be in its short form.
pub fn actions() -> Vec<String> {
    let words = ACTIONS.map(str::to_owned);
    let signals = SIGNALS.iter().map(|s| format!("signal:{s}"));
    words.into_iter().chain(signals).collect()
}

/// Every filter of a template as somebody would begin to write it: `trim`, `default("")`.
pub fn filters() -> impl Iterator<Item = String> {
    crate::template::filters()
}

/// The types that a source can have.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.into_iter().chain(["bao", "op", "onepassword"])
}
