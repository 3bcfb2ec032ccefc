//! What time it is.

use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock that can be replaced: for tests. Clones are the same clock.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>);

impl Clock {
    /// One that goes by a function; the default is the system's.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(now)))
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.0.as_ref().map_or_else(SystemTime::now, |now| now())
    }

    pub(crate) fn is_the_systems(&self) -> bool {
        self.0.is_none()
    }

    /// In whole seconds since 1970, as times are in the database.
    pub(crate) fn seconds(&self) -> i64 {
        seconds(self.now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

/// A duration as it is in the database.
pub(crate) const fn seconds(duration: Duration) -> i64 {
    duration.as_secs() as i64
}

/// A time from the database.
pub(crate) fn time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.max(0) as u64)
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}
