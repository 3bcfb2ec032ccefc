//! When to fetch.

use std::time::Duration;

use tokio::time::Instant;

/// The intervals at which keys are fetched, and how long they are used.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// Between these, keys are fetched anew as often as their provider says.
    pub(crate) refresh_floor: Duration,
    pub(crate) refresh_ceiling: Duration,
    /// Between two attempts that were asked for by tokens whose key is not held.
    pub(crate) cooldown: Duration,
    /// After the first failure, and after very many.
    pub(crate) retry_floor: Duration,
    pub(crate) retry_ceiling: Duration,
    /// How long one attempt may take.
    pub(crate) deadline: Duration,
    /// How long keys serve that could not be fetched anew.
    pub(crate) outage_limit: Duration,
}

/// How often keys are fetched whose provider says nothing of it.
const USUAL_REFRESH: Duration = Duration::from_secs(10 * 60);

/// Whatever the settings say: no process does nothing but fetch, where nobody asks it to.
pub(crate) const LEAST_WAIT: Duration = Duration::from_millis(100);

/// Some thirty years, which no clock overflows by.
const LONGEST_WAIT: Duration = Duration::from_secs(1_000_000_000);

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
        }
    }

    /// How long to wait after a good attempt: never longer than its answer lives, so that up to a fifth is taken off by
    /// chance. Many processes that began at once are then soon apart. Nor so long that the keys are too old before.
    pub(crate) fn until_refresh(&self, lifetime: Option<Duration>) -> Duration {
        let lifetime = lifetime.unwrap_or(USUAL_REFRESH).min(self.refresh_ceiling).max(self.refresh_floor);
        lifetime.min(self.outage_limit / 2).mul_f64(1.0 - 0.2 * fastrand::f64()).max(LEAST_WAIT)
    }

    /// How long to wait after so many failures in a row: each time twice as long, and half of it by chance.
    pub(crate) fn until_retry(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let longest = self.retry_floor.saturating_mul(doubled).min(self.retry_ceiling).min(LONGEST_WAIT);
        longest.mul_f64(0.5 + 0.5 * fastrand::f64()).max(LEAST_WAIT)
    }
}

/// So much later, or so late that nobody will wait for it.
pub(crate) fn after(now: Instant, duration: Duration) -> Instant {
    now + duration.min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_spread(wait: impl Fn() -> Duration, from: Duration, to: Duration) {
        let waits: Vec<_> = (0..1000).map(|_| wait()).collect();
        let (least, most) = (*waits.iter().min().unwrap(), *waits.iter().max().unwrap());
        assert!(least >= from && most <= to, "{least:?} to {most:?}");
        // Spread over nearly all of it.
        assert!(most - least >= (to - from).mul_f64(0.9), "{least:?} to {most:?}");
    }

    #[test]
    fn refreshes_keep_within_the_life_of_an_answer_and_are_spread() {
        let schedule = Schedule::new();
        for (lifetime, expected) in
            [(None, 600), (Some(0), 60), (Some(300), 300), (Some(86_400), 3600), (Some(u64::MAX), 3600)]
        {
            let (lifetime, longest) = (lifetime.map(Duration::from_secs), Duration::from_secs(expected));
            assert_spread(|| schedule.until_refresh(lifetime), longest.mul_f64(0.8), longest);
        }
    }

    #[test]
    fn retries_back_off_up_to_a_cap_and_are_spread() {
        let schedule = Schedule::new();
        for (failures, expected) in
            [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (100, 300), (u32::MAX, 300), (0, 1)]
        {
            let longest = Duration::from_secs(expected);
            assert_spread(|| schedule.until_retry(failures), longest / 2, longest);
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
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
