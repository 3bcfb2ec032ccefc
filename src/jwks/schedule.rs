//! The times of fetches and retries.

use std::time::Duration;

use tokio::time::Instant;

/// The intervals between fetches, and the age limit of keys.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// Limits for the refresh interval that the provider asks for.
    pub(crate) refresh_floor: Duration,
    pub(crate) refresh_ceiling: Duration,
    /// Minimum time between attempts that tokens start.
    pub(crate) cooldown: Duration,
    /// Limits for the backoff.
    pub(crate) retry_floor: Duration,
    pub(crate) retry_ceiling: Duration,
    /// Timeout of one attempt.
    pub(crate) deadline: Duration,
    /// Age limit of keys that cannot be refreshed.
    pub(crate) outage_limit: Duration,
    /// Time without use after which no attempt is scheduled.
    pub(crate) idle_timeout: Duration,
}

/// Refresh interval if the provider states none.
const DEFAULT_REFRESH: Duration = Duration::from_secs(10 * 60);

/// Lower limit for all settings, so that the task never spins.
pub(crate) const MIN_WAIT: Duration = Duration::from_millis(100);

/// About 30 years: small enough for every clock.
const MAX_WAIT: Duration = Duration::from_secs(1_000_000_000);

impl Schedule {
    pub(crate) fn new() -> Self {
        Self {
            refresh_floor: Duration::from_secs(60),
            refresh_ceiling: Duration::from_secs(60 * 60),
            cooldown: Duration::from_secs(30),
            retry_floor: Duration::from_secs(1),
            retry_ceiling: Duration::from_secs(5 * 60),
            deadline: Duration::from_secs(5),
            outage_limit: Duration::from_secs(24 * 60 * 60),
            idle_timeout: Duration::from_secs(3 * 60 * 60),
        }
    }

    /// Returns the delay after a success: at most the freshness lifetime, and half of the outage limit.
    ///
    /// Up to a fifth is subtracted at random, so that processes that start together spread out.
    pub(crate) fn until_refresh(&self, lifetime: Option<Duration>) -> Duration {
        let lifetime = lifetime.unwrap_or(DEFAULT_REFRESH).min(self.refresh_ceiling).max(self.refresh_floor);
        lifetime.min(self.outage_limit / 2).mul_f64(1.0 - 0.2 * fastrand::f64()).max(MIN_WAIT)
    }

    /// Returns the delay after this many failures in a row: doubled each time, with up to half subtracted at random.
    pub(crate) fn until_retry(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let longest = self.retry_floor.saturating_mul(doubled).min(self.retry_ceiling).min(MAX_WAIT);
        longest.mul_f64(0.5 + 0.5 * fastrand::f64()).max(MIN_WAIT)
    }
}

/// Adds a duration without overflow.
pub(crate) fn after(now: Instant, duration: Duration) -> Instant {
    now + duration.min(MAX_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_spread(wait: impl Fn() -> Duration, from: Duration, to: Duration) {
        let waits: Vec<_> = (0..1000).map(|_| wait()).collect();
        let (least, most) = (*waits.iter().min().unwrap(), *waits.iter().max().unwrap());
        assert!(least >= from && most <= to, "{least:?} to {most:?}");
        // The values cover nearly the whole range.
        assert!(most - least >= (to - from).mul_f64(0.9), "{least:?} to {most:?}");
    }

    #[test]
    fn refresh_delays_respect_lifetime_and_vary() {
        let schedule = Schedule::new();
        for (lifetime, expected) in
            [(None, 600), (Some(0), 60), (Some(300), 300), (Some(86_400), 3600), (Some(u64::MAX), 3600)]
        {
            let (lifetime, longest) = (lifetime.map(Duration::from_secs), Duration::from_secs(expected));
            assert_spread(|| schedule.until_refresh(lifetime), longest.mul_f64(0.8), longest);
        }
    }

    #[test]
    fn retry_delays_double_to_limit_and_vary() {
        let schedule = Schedule::new();
        for (failures, expected) in
            [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (100, 300), (u32::MAX, 300), (0, 1)]
        {
            let longest = Duration::from_secs(expected);
            assert_spread(|| schedule.until_retry(failures), longest / 2, longest);
        }
    }

    #[test]
    fn extreme_settings_do_not_overflow() {
        for extreme in [Duration::ZERO, Duration::MAX] {
            let schedule = Schedule {
                refresh_floor: extreme,
                refresh_ceiling: extreme,
                retry_floor: extreme,
                retry_ceiling: extreme,
                ..Schedule::new()
            };
            for _ in 0..1000 {
                let now = Instant::now();
                assert!(after(now, schedule.until_refresh(Some(Duration::MAX))) >= now);
                assert!(after(now, schedule.until_retry(u32::MAX)) >= now);
            }
        }
    }
}
