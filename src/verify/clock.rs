//! The clock of a verifier.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::validate::UNKNOWN_TIME;

/// The system's clock, or the one that the application has set.
#[derive(Clone, Default)]
pub(crate) struct Clock(Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>);

impl Clock {
    pub(crate) fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(now)))
    }

    /// Returns the time since 1970. If the clock is set before 1970, no token is valid.
    pub(crate) fn now(&self) -> Duration {
        let now = self.0.as_ref().map_or_else(SystemTime::now, |clock| clock());
        now.duration_since(UNIX_EPOCH).unwrap_or(UNKNOWN_TIME)
    }
}
