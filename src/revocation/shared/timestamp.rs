//! Times by two clocks: the wall clock continues while the machine sleeps, and the steady clock is never adjusted.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

#[derive(Clone, Copy)]
pub(super) struct Timestamp {
    pub(super) wall: SystemTime,
    pub(super) steady: Instant,
}

impl Timestamp {
    pub(super) fn now() -> Self {
        Self { wall: SystemTime::now(), steady: Instant::now() }
    }

    /// Returns the longer of both durations: the steady clock stops while the machine sleeps.
    #[inline]
    pub(super) fn elapsed(self) -> Duration {
        self.steady.elapsed().max(self.wall.elapsed().unwrap_or_default())
    }

    /// Returns true if the wall clock was set back by more than a minute.
    pub(super) fn was_put_back(self) -> bool {
        let expected = self.wall + self.steady.elapsed();
        expected.duration_since(SystemTime::now()).is_ok_and(|back| back > Duration::from_secs(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn time_asleep_counts() {
        let now = Timestamp::now();
        let before_sleep = Timestamp { wall: now.wall - HOUR, ..now };
        assert!(before_sleep.elapsed() >= HOUR);
        assert!(!before_sleep.was_put_back());
        let put_back = Timestamp { wall: now.wall + HOUR, ..now };
        assert!(put_back.elapsed() < HOUR);
        assert!(put_back.was_put_back());
    }
}
