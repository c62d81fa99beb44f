//! `docker locket schema`: JSON Schema for editors.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::context::Context;
use crate::error::Result;

/// Arguments of `schema`.
#[derive(Debug, Clone, Args)]
pub struct SchemaArgs {
    /// Of whole compose files, `x-locket` included: what an editor wants, since it takes one schema a file
    #[arg(long)]
    compose: bool,
    /// Of locket.yaml, not of compose files
    #[arg(long, conflicts_with = "compose")]
    config: bool,
}

/// Runs it.
///
/// # Errors
/// None.
pub async fn run(args: SchemaArgs, cx: &Context) -> Result<ExitCode> {
    let schema = match (args.compose, args.config) {
        (true, _) => COMPOSE,
        (_, true) => CONFIG,
        _ => X_LOCKET,
    };
    cx.term.out(pretty(schema));
    Ok(ExitCode::SUCCESS)
}

// Tests keep the committed files what the types say; what made them need not be in the program.

/// Of a compose file, `x-locket` included.
pub(super) const COMPOSE: &str = include_str!(concat!(env!("OUT_DIR"), "/compose.json"));
/// Of `x-locket` alone.
const X_LOCKET: &str = include_str!(concat!(env!("OUT_DIR"), "/x-locket.json"));
/// Of locket.yaml.
const CONFIG: &str = include_str!(concat!(env!("OUT_DIR"), "/config.json"));

/// A schema for people, as it is in docs/schema.
pub(super) fn pretty(schema: &str) -> String {
    let read = serde_json::from_str::<Value>(schema);
    let written = read.and_then(|it| serde_json::to_string_pretty(&it));
    written.unwrap_or_else(|_| schema.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_has_what_is_committed() {
        for (own, committed) in [
            (COMPOSE, include_str!("../../../docs/schema/compose.json")),
            (X_LOCKET, include_str!("../../../docs/schema/x-locket.json")),
            (CONFIG, include_str!("../../../docs/schema/config.json")),
        ] {
            assert_eq!(pretty(own) + "\n", committed);
        }
    }
}
