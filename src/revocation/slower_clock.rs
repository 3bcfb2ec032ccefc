//! A clock for removing what has expired.

use std::time::{Instant, SystemTime};

/// The system's clock, except that it never runs ahead of the steady clock.
///
/// Removed entries do not come back when a clock that was ahead is right again. A clock that is ahead from the beginning, or
/// behind, is followed.
#[derive(Debug)]
pub(super) struct SlowerClock {
    began: (SystemTime, Instant),
}

impl SlowerClock {
    pub(super) fn start() -> Self {
        Self { began: (SystemTime::now(), Instant::now()) }
    }

    pub(super) fn now(&self) -> SystemTime {
        let (wall, steady) = self.began;
        SystemTime::now().min(wall + steady.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

    #[test]
    fn follows_the_slower_of_two_clocks() {
        let (wall, steady) = (SystemTime::now(), Instant::now());
        // The system's clock has since been set ahead, and back.
        let ahead = SlowerClock { began: (wall - MONTH, steady) };
        let back = SlowerClock { began: (wall + MONTH, steady) };
        assert!(ahead.now() < wall - MONTH / 2);
        assert!(back.now() < wall + MONTH / 2);
        assert!(SlowerClock::start().now() >= wall);
    }
}
