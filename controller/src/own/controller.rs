//! The controller's own container: how others recognise it.

use locket_engine::Status;

use super::Error;
use super::image::PROGRAM;
use crate::Host;

/// The container's name: one controller an engine.
pub const NAME: &str = "locket-controller";
/// Its command.
pub const COMMAND: [&str; 2] = ["controller", "run"];

/// The id of a running controller container of ours, of whatever version.
///
/// Who can make a container of this name is root on the engine already; what is asked of it gives no secret away.
///
/// # Errors
/// When the engine does not answer.
pub async fn running(host: &Host) -> Result<Option<String>, Error> {
    let Some(it) = host.engine.inspect(NAME).await? else {
        return Ok(None);
    };
    let ours = it.state.status == Status::Running
        && it.entrypoint == [PROGRAM]
        && it.cmd.starts_with(&COMMAND.map(str::to_owned));
    Ok(ours.then_some(it.id))
}
