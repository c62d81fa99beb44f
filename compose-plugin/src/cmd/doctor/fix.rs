//! `doctor --fix`: removes what is left over, after it was shown and agreed to.

use locket_controller::chain;
use locket_controller::leftovers;

use super::patient::Patient;
use crate::error::{CommandError, Result};
use crate::output::lines;

/// Removes it. True if nothing is left that could be removed.
///
/// # Errors
/// Nobody agrees.
pub async fn fix(it: &Patient<'_>, yes: bool) -> Result<bool> {
    let term = &it.cx.term;
    // Why there is no survey was told by the check.
    let Ok(survey) = it.survey().await else {
        return Ok(false);
    };
    if survey.leftovers.is_empty() {
        term.info("nothing is to be removed");
        return Ok(true);
    }
    term.info("to be removed:");
    for it in &survey.leftovers {
        term.info(format_args!("  {}", lines(&format!("{it}: {}", it.why))));
    }
    if !yes && !term.is_tty() {
        let e = CommandError::user("nothing was removed, because nobody is here to ask");
        return Err(e.hint("say `--yes` to remove it"));
    }
    if !yes && !term.confirm("Remove it?") {
        return Err(CommandError::user("nothing was removed"));
    }
    let host = it.cx.host().await?;
    let holder = format!("docker locket doctor (process {})", std::process::id());
    let mut all = true;
    for it in &survey.leftovers {
        match leftovers::remove(&host, it, &holder).await {
            Ok(()) => term.info(format_args!("removed {}", lines(&it.to_string()))),
            Err(leftovers::Error::Busy(by)) => term.info(format_args!(
                "{} stays: {} works on the project, and a controller removes it by itself within a minute",
                lines(&it.to_string()),
                lines(&by)
            )),
            Err(e) => {
                all = false;
                term.warn(format_args!(
                    "{} stays: {}",
                    lines(&it.to_string()),
                    lines(&chain(&e))
                ));
            }
        }
    }
    Ok(all)
}
