//! `docker locket schema`: JSON Schema for editors.

use std::process::ExitCode;

use clap::Args;

use crate::context::Context;
use crate::error::Result;

/// Arguments of `schema`.
#[derive(Debug, Clone, Args)]
pub struct SchemaArgs {
    /// The schema of locket.yaml, not that of compose files
    #[arg(long)]
    config: bool,
}

/// Runs it.
///
/// # Errors
/// None.
pub async fn run(args: SchemaArgs, cx: &Context) -> Result<ExitCode> {
    let schema = if args.config {
        locket_crds::schema::config()
    } else {
        locket_crds::schema::x_locket()
    };
    cx.term.out(text(&schema).trim_end());
    Ok(ExitCode::SUCCESS)
}

/// As it is committed in docs/schema.
pub(super) fn text(schema: &serde_json::Value) -> String {
    format!("{schema:#}\n")
}
