use std::time::Duration;

use tokio::time::Instant;

/// A token bucket that limits the lookups of unknown issuers.
pub(super) struct LookupRate {
    burst: f64,
    per_second: f64,
    /// The lookups that may begin now. Negative while some are queued.
    available: f64,
    updated: Instant,
}

/// Limits `Retry-After` for a bucket without refill, in which only successful lookups return places.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

impl LookupRate {
    pub(super) fn new(burst: u32, per_second: u32, now: Instant) -> Self {
        let burst = f64::from(burst);
        Self { burst, per_second: f64::from(per_second), available: burst, updated: now }
    }

    /// Reserves a lookup and returns the delay until it may begin.
    ///
    /// If the delay would exceed `longest`, reserves nothing and returns the time until it no longer does.
    pub(super) fn take(&mut self, now: Instant, longest: Duration) -> Result<Duration, Duration> {
        let elapsed = now.saturating_duration_since(self.updated);
        self.updated = now;
        self.available = self.burst.min(self.available + elapsed.as_secs_f64() * self.per_second);
        let missing = (1.0 - self.available).max(0.0);
        // Without a refill the quotient is infinite, or 0/0.
        let delay = if missing > 0.0 { missing / self.per_second } else { 0.0 };
        let delay = Duration::try_from_secs_f64(delay).unwrap_or(Duration::MAX);
        if delay > longest {
            return Err((delay - longest).min(LONGEST_RETRY));
        }
        self.available -= 1.0;
        Ok(delay)
    }

    /// Returns a reserved lookup: it found an issuer.
    pub(super) fn give_back(&mut self) {
        self.available = self.burst.min(self.available + 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NONE: Duration = Duration::ZERO;

    fn taken(rate: &mut LookupRate, now: Instant, longest: Duration) -> usize {
        (0..10_000).take_while(|_| rate.take(now, longest).is_ok()).count()
    }

    #[test]
    fn allows_a_burst_then_a_rate() {
        let now = Instant::now();
        for (name, burst, per_second, after, longest, expected) in [
            ("the burst", 100, 10, NONE, NONE, 100),
            ("a second later", 100, 10, SECOND, NONE, 100 + 10),
            ("an hour later", 100, 10, SECOND * 3600, NONE, 100 + 100),
            ("with a queue", 100, 10, NONE, SECOND * 2, 100 + 20),
            ("no burst", 0, 10, NONE, NONE, 0),
            ("no burst, with a queue", 0, 10, NONE, SECOND * 2, 20),
            ("no refill", 100, 0, SECOND * 3600, SECOND, 100),
            ("nothing", 0, 0, SECOND, Duration::from_secs(1_000_000), 0),
        ] {
            let mut rate = LookupRate::new(burst, per_second, now);
            let first = taken(&mut rate, now, longest);
            let later = if after.is_zero() { 0 } else { taken(&mut rate, now + after, longest) };
            assert_eq!(first + later, expected, "{name}");
        }
    }

    #[test]
    fn queued_lookups_are_spread_over_time() {
        let now = Instant::now();
        let mut rate = LookupRate::new(1, 10, now);
        let delays: Vec<_> = (0..4).map(|_| rate.take(now, SECOND).unwrap().as_millis()).collect();
        assert_eq!(delays, [0, 100, 200, 300]);
        assert_eq!(rate.take(now, SECOND / 10), Err(SECOND / 10 * 3));
    }

    #[test]
    fn successful_lookups_are_free() {
        let now = Instant::now();
        let mut rate = LookupRate::new(1, 0, now);
        for _ in 0..1000 {
            assert_eq!(rate.take(now, NONE), Ok(NONE));
            rate.give_back();
        }
        rate.give_back();
        assert_eq!(taken(&mut rate, now, NONE), 1, "never more than the burst");
    }
}
