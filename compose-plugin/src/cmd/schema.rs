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
    let schema = if args.config { CONFIG } else { X_LOCKET };
    cx.term.out(schema.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Of `x-locket`. Tests keep the committed files what the types say; what made them need not be in the program.
pub(super) const X_LOCKET: &str = include_str!("../../../docs/schema/x-locket.json");
/// Of locket.yaml.
const CONFIG: &str = include_str!("../../../docs/schema/config.json");
