//! Points at which a test can end a process: before and after every call to the engine, and wherever else somebody names one.
//! Without the feature `failpoints` there are none.

#[cfg(feature = "failpoints")]
use std::sync::Arc;

/// Whom a client tells where it is. Clones tell the same one; the default tells nobody.
#[derive(Clone, Default)]
pub struct Failpoints {
    #[cfg(feature = "failpoints")]
    ends_at: Option<Arc<EndsAt>>,
}

#[cfg(feature = "failpoints")]
type EndsAt = dyn Fn(&str) -> bool + Send + Sync;

impl Failpoints {
    /// `ends_at` is told the name of each point that is reached: `before stop container`, `after anchor publish`.
    /// Where it says `true`, whoever came there goes no further, as if the process had been killed.
    #[cfg(feature = "failpoints")]
    pub fn new(ends_at: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self {
            ends_at: Some(Arc::new(ends_at)),
        }
    }

    /// Around something with effects elsewhere. `what` is `stop container 4f2a…`: its first two words are the point's name.
    #[cfg(feature = "failpoints")]
    pub fn around<T>(&self, what: &str, does: impl Future<Output = T>) -> impl Future<Output = T> {
        // Boxed, or every call would be in its future twice, which is more than the stack of a test holds.
        let does = Box::pin(does);
        async move {
            self.reach("before", what).await;
            let out = does.await;
            self.reach("after", what).await;
            out
        }
    }

    /// Around something with effects elsewhere.
    #[cfg(not(feature = "failpoints"))]
    pub fn around<T>(&self, _: &str, does: impl Future<Output = T>) -> impl Future<Output = T> {
        does
    }

    #[cfg(feature = "failpoints")]
    async fn reach(&self, moment: &str, what: &str) {
        let Some(ends_at) = &self.ends_at else { return };
        let words: Vec<&str> = what.split(' ').take(2).collect();
        if ends_at(&format!("{moment} {}", words.join(" "))) {
            std::future::pending::<()>().await;
        }
    }
}
