//! `docker locket lsp`: a language server on standard input and output.

use std::io;
use std::process::ExitCode;

use clap::Args;

use crate::context::Context;
use crate::error::{CommandError, Result};
use crate::lsp::server::{Next, Server};
use crate::lsp::wire;

/// Arguments of `lsp`.
#[derive(Debug, Clone, Args)]
pub struct LspArgs {
    /// Standard input and output; the only way, and named for editors that say so
    #[arg(long)]
    stdio: bool,
}

/// Runs it until the editor says goodbye, or its end of the stream closes.
///
/// # Errors
/// What comes on standard input is no language client's.
pub async fn run(_: LspArgs, cx: &Context) -> Result<ExitCode> {
    let broken = |e: io::Error| CommandError::user("the editor cannot be understood").because(e);
    let (sender, mut messages) = tokio::sync::mpsc::channel(16);
    // A thread of its own: standard input blocks, also when everything else wants to end.
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let message = wire::read(&mut input);
            let is_last = !matches!(message, Ok(Some(_)));
            if sender.blocking_send(message).is_err() || is_last {
                return;
            }
        }
    });
    let mut server = Server::new(cx);
    while let Some(message) = messages.recv().await {
        let Some(message) = message.map_err(broken)? else {
            break;
        };
        match server.handle(&message).await {
            Next::Send(all) => {
                for it in &all {
                    wire::write(&mut io::stdout().lock(), it).map_err(broken)?;
                }
            }
            Next::End(announced) => {
                return Ok(if announced {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::from(1)
                });
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
