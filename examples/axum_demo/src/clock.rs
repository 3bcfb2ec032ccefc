//! The clock, which tests can replace.

use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Maximum difference between the clocks of processes. A stored time further in the future is from a clock that was
/// wrong, and counts for nothing.
pub(crate) const CLOCK_DIFFERENCE: Duration = Duration::from_secs(60 * 60);

/// The system clock, or a function that replaces it in tests. Clones share it.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>);

impl Clock {
    /// Creates a clock that calls `now`.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(now)))
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.0.as_ref().map_or_else(SystemTime::now, |now| now())
    }

    pub(crate) fn is_the_systems(&self) -> bool {
        self.0.is_none()
    }

    /// Returns whole seconds since 1970, the format of times in the database.
    pub(crate) fn seconds(&self) -> i64 {
        seconds(self.now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

/// Converts a duration to the format of the database.
pub(crate) const fn seconds(duration: Duration) -> i64 {
    duration.as_secs() as i64
}

/// Converts a time from the format of the database.
pub(crate) fn time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.max(0) as u64)
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}
