//! The user's, or the system's, wish that this process end.

use tokio::signal::unix::{SignalKind, signal};

use crate::error::{CommandError, Result};

/// Ready at SIGTERM or SIGINT. They are caught from the call on, for as long as the process lives: none of them ends it any more.
///
/// # Errors
/// The system refuses.
pub fn ending() -> Result<impl Future<Output = ()>> {
    let catch = |kind| {
        signal(kind).map_err(|e| CommandError::internal("signals cannot be caught").because(e))
    };
    let (mut term, mut int) = (
        catch(SignalKind::terminate())?,
        catch(SignalKind::interrupt())?,
    );
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn a_signal_is_a_wish_and_not_the_end() {
        for kind in [Signal::INT, Signal::TERM] {
            let ending = ending().unwrap();
            kill_process(getpid(), kind).unwrap();
            ending.await;
        }
    }
}
