//! What several checks need: the engine, asked once.

use std::sync::Arc;
use std::time::Duration;

use locket_controller::Host;
use locket_controller::leftovers::{self, Survey};
use locket_engine::{Endpoint, EngineInfo, EngineVersion};
use tokio::sync::OnceCell;

use super::finding::Unseen;
use crate::compose::ComposeFlags;
use crate::context::{Context, engine_error};
use crate::error::Result;

/// How long the engine may take to answer for the first time, ssh included.
const REACH: Duration = Duration::from_secs(10);

/// What is examined.
pub struct Patient<'c> {
    /// The surroundings.
    pub cx: &'c Context,
    /// Which project is meant.
    pub flags: &'c ComposeFlags,
    engine: OnceCell<Result<Arc<Reached>, Unreached>>,
    survey: OnceCell<Result<Arc<Survey>, Unseen>>,
}

/// An engine that answers.
pub struct Reached {
    /// The engine, and the program for its containers.
    pub host: Arc<Host>,
    /// What it says about its program.
    pub version: EngineVersion,
    /// What it says about its machine.
    pub info: EngineInfo,
    /// Its machine is this one: the same kernel, reached over a socket of this machine.
    pub is_here: bool,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreached {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub cure: String,
}

impl<'c> Patient<'c> {
    /// Nothing is asked yet.
    pub fn new(cx: &'c Context, flags: &'c ComposeFlags) -> Self {
        Self {
            cx,
            flags,
            engine: OnceCell::new(),
            survey: OnceCell::new(),
        }
    }

    /// The engine, or why there is none. Asked once, and for a bounded time.
    pub async fn reach(&self) -> &Result<Arc<Reached>, Unreached> {
        let ask = || async {
            match tokio::time::timeout(REACH, reach(self.cx)).await {
                Ok(Ok(reached)) => Ok(Arc::new(reached)),
                Ok(Err(e)) => Err(Unreached {
                    message: e.one_line(),
                    cure: match e.hints.is_empty() {
                        true => "update or replace what it names".to_owned(),
                        false => e.hints.join("; "),
                    },
                }),
                Err(_) => Err(Unreached {
                    message: format!("the engine gives no answer in {} s", REACH.as_secs()),
                    cure: "see whether `docker version` answers; restart the engine if not".into(),
                }),
            }
        };
        self.engine.get_or_init(ask).await
    }

    /// The engine, for a check that needs one.
    ///
    /// # Errors
    /// There is none; why is the business of the check `engine`.
    pub async fn engine(&self) -> Result<Arc<Reached>, Unseen> {
        self.reach().await.clone().map_err(|_| {
            Unseen::from_here(
                "not looked at, because no engine can be used",
                "see what `engine` says above",
            )
        })
    }

    /// What there is of ours on the engine.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn survey(&self) -> Result<Arc<Survey>, Unseen> {
        let look = || async {
            let engine = self.engine().await?;
            let found = leftovers::survey(&engine.host).await;
            found
                .map(Arc::new)
                .map_err(|e| Unseen::failed(locket_controller::chain(&e)))
        };
        self.survey.get_or_init(look).await.clone()
    }
}

async fn reach(cx: &Context) -> Result<Reached> {
    let host = cx.host().await?;
    let version = host.engine.version().await.map_err(engine_error)?;
    let info = host.engine.info().await.map_err(engine_error)?;
    let kernel = rustix::system::uname();
    let same = kernel.release().to_string_lossy() == info.kernel.as_str();
    Ok(Reached {
        is_here: same && matches!(cx.endpoint()?, Endpoint::Unix(_)),
        host,
        version,
        info,
    })
}
