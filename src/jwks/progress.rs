//! The state of the fetches, and its rules for requests that need newer keys.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fetch_error::FetchError;
use super::schedule::after;

/// The state of the fetches.
#[derive(Debug)]
pub(crate) struct Progress {
    /// True if an attempt is running or requested.
    pub(crate) is_under_way: bool,
    /// True if that attempt may already have asked the provider.
    pub(crate) has_begun: bool,
    /// Time of the last request for an attempt.
    pub(crate) asked: Option<Instant>,
    /// Number of completed attempts.
    pub(crate) ended: u64,
    pub(crate) outcome: Result<(), Arc<FetchError>>,
    /// Number of failures since the last success.
    pub(crate) failures: u32,
    /// Time at which the provider last confirmed the held keys. `None` if no keys are held.
    pub(crate) confirmed: Option<Instant>,
    /// Time of the next scheduled attempt.
    pub(crate) due: Instant,
    /// True while the held keys rest: they were unused for long, and no attempt has confirmed them since.
    pub(crate) is_resting: bool,
    /// Time since which the keys are unused, as far as known.
    unused_since: Option<Instant>,
    /// Number of purges. An attempt that a purge interrupts must not be used.
    pub(crate) purges: u64,
    /// Budgets for the fetches that tokens may start, one for each kind of [`Lookup`].
    named: Bucket,
    replaced: Bucket,
    /// The lookup that started the current attempt, if it was charged to a budget.
    lookup: Option<Lookup>,
    /// Recent lookups by name. The budget allows no more than these within a cooldown.
    names: [Option<(u64, Instant)>; MAX_NAMES],
}

/// The kind of key that a token starts a fetch for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// An unknown `kid`, as a hash.
    Named(u64),
    /// A key without `kid`, or with a known `kid`. Separate, so that bad signatures do not use up the other budget.
    Replaced,
}

/// The answer to a request that needs newer keys.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Wait until this many attempts have ended. The last one may have begun before the request arrived.
    Wait { attempt: u64, has_begun: bool },
    /// The current keys are recent enough.
    Settled,
    /// The last attempt failed recently. The next one is possible after this time.
    Failed(Arc<FetchError>, Duration),
}

impl Progress {
    pub(crate) fn new(now: Instant, holds_any: bool) -> Self {
        Self {
            is_under_way: false,
            has_begun: false,
            asked: None,
            ended: 0,
            outcome: Ok(()),
            failures: 0,
            confirmed: holds_any.then_some(now),
            due: now,
            is_resting: false,
            unused_since: None,
            purges: 0,
            named: Bucket::of(NAMED_LOOKUPS),
            replaced: Bucket::of(REPLACED_LOOKUPS),
            lookup: None,
            names: [None; MAX_NAMES],
        }
    }

    /// Decides about a request. `None` if it may [start](Self::start_lookup) a new attempt.
    pub(crate) fn ask(&self, lookup: Lookup, now: Instant, cooldown: Duration) -> Option<Answer> {
        if self.is_under_way {
            return Some(Answer::Wait { attempt: self.ended + 1, has_begun: self.has_begun });
        }
        if self.is_resting {
            return None;
        }
        let next = after(self.asked?, cooldown);
        match &self.outcome {
            Err(_) if now >= next => None,
            Err(error) => Some(Answer::Failed(Arc::clone(error), self.next_chance(now, cooldown))),
            Ok(()) => (self.confirmed.is_some() && !self.may_look_up(lookup, now, cooldown))
                .then_some(Answer::Settled),
        }
    }

    /// Returns the time until a request may start an attempt, or until the next scheduled one.
    pub(crate) fn next_chance(&self, now: Instant, cooldown: Duration) -> Duration {
        let next = self.asked.map_or(now, |asked| after(asked, cooldown));
        next.min(self.due).saturating_duration_since(now)
    }

    fn may_look_up(&self, lookup: Lookup, now: Instant, cooldown: Duration) -> bool {
        match lookup {
            Lookup::Named(name) => {
                let was_looked_for = |(other, at)| other == name && now < after(at, cooldown);
                self.named.has_any(now, cooldown) && !self.names.into_iter().flatten().any(was_looked_for)
            }
            Lookup::Replaced => self.replaced.has_any(now, cooldown),
        }
    }

    /// Requests an attempt for a token. Call it only if [`ask`](Self::ask) returned `None`.
    pub(crate) fn start_lookup(&mut self, lookup: Lookup, now: Instant, cooldown: Duration) -> Answer {
        // The first fetch, retries after a failure and the end of a rest are free: a rotation does not cause them.
        if self.asked.is_some() && self.outcome.is_ok() && !self.has_none_to_use() {
            match lookup {
                Lookup::Named(name) => {
                    self.named.take(now, cooldown);
                    self.names.rotate_right(1);
                    self.names[0] = Some((name, now));
                }
                Lookup::Replaced => self.replaced.take(now, cooldown),
            }
            self.lookup = Some(lookup);
        }
        self.want(now);
        Answer::Wait { attempt: self.ended + 1, has_begun: false }
    }

    /// Returns the lookup that started the attempt that has just ended.
    pub(crate) fn end_lookup(&mut self) -> Option<Lookup> {
        self.lookup.take()
    }

    /// Refunds a lookup that found its key, since a rotation needed it.
    ///
    /// At most once per cooldown: a provider that changes its keys at every fetch must not lift the limit.
    pub(crate) fn refund(&mut self, lookup: Lookup, now: Instant, cooldown: Duration) {
        match lookup {
            Lookup::Named(name) => {
                if self.named.refund(now, cooldown)
                    && let Some(place) =
                        self.names.iter_mut().find(|place| place.is_some_and(|(other, _)| other == name))
                {
                    *place = None;
                }
            }
            Lookup::Replaced => drop(self.replaced.refund(now, cooldown)),
        }
    }

    /// Requests an attempt.
    pub(crate) fn want(&mut self, now: Instant) {
        (self.is_under_way, self.has_begun) = (true, false);
        self.asked = Some(now);
    }

    /// Returns true if requests have to wait for an attempt.
    pub(crate) fn has_none_to_use(&self) -> bool {
        self.confirmed.is_none() || self.is_resting
    }

    /// Decides about a scheduled attempt: returns true if nobody has used the keys for as long as `limit`.
    ///
    /// `is_used` is true if somebody has used them since the last call.
    pub(crate) fn is_idle(&mut self, is_used: bool, now: Instant, limit: Duration) -> bool {
        if is_used {
            self.unused_since = None;
            return false;
        }
        let since = *self.unused_since.get_or_insert(now);
        // An outage ends with a successful retry, or when the held keys expire.
        let is_outage = self.failures > 0 && self.confirmed.is_some();
        !is_outage && now >= after(since, limit)
    }

    /// Ends scheduled attempts, and the use of the held keys, until somebody requests an attempt.
    pub(crate) fn rest(&mut self, now: Instant) {
        self.is_resting = true;
        self.due = after(now, Duration::MAX);
    }

    /// Records a failed attempt.
    pub(crate) fn fail(&mut self, error: FetchError, retry: Instant) {
        (self.is_under_way, self.is_resting) = (false, false);
        self.lookup = None;
        self.ended += 1;
        self.failures = self.failures.saturating_add(1);
        self.outcome = Err(Arc::new(error));
        self.due = retry;
    }

    /// Records a successful attempt.
    pub(crate) fn succeed(&mut self, now: Instant, refresh: Instant) {
        (self.is_under_way, self.is_resting) = (false, false);
        self.ended += 1;
        self.failures = 0;
        self.outcome = Ok(());
        self.confirmed = Some(now);
        self.due = refresh;
    }
}

/// Burst of lookups for unknown names: one for an invented name, and one for the new key.
const NAMED_LOOKUPS: u32 = 2;

/// Burst of lookups for known names: one for a bad signature, and one for a new key.
const REPLACED_LOOKUPS: u32 = 2;

/// Maximum number of unsuccessful lookups by name within a cooldown: the burst, and one refill at its end.
const MAX_NAMES: usize = NAMED_LOOKUPS as usize + 1;

/// A token bucket that refills one lookup per cooldown.
#[derive(Debug)]
struct Bucket {
    size: u32,
    /// Time at which the bucket is full again.
    full: Option<Instant>,
    /// Time of the last refund.
    refunded: Option<Instant>,
}

impl Bucket {
    fn of(size: u32) -> Self {
        Self { size, full: None, refunded: None }
    }

    fn has_any(&self, now: Instant, cooldown: Duration) -> bool {
        self.full.is_none_or(|full| full <= after(now, cooldown.saturating_mul(self.size - 1)))
    }

    fn take(&mut self, now: Instant, cooldown: Duration) {
        self.full = Some(after(self.full.map_or(now, |full| full.max(now)), cooldown));
    }

    /// Returns false if there was already a refund within this cooldown.
    fn refund(&mut self, now: Instant, cooldown: Duration) -> bool {
        if self.refunded.is_some_and(|last| now < after(last, cooldown)) {
            return false;
        }
        self.refunded = Some(now);
        self.full = self.full.and_then(|full| full.checked_sub(cooldown));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::fetch_error::Problem;
    use super::*;

    const COOLDOWN: Duration = Duration::from_secs(30);

    /// Describes the answer to a request that comes so many seconds after the last attempt was requested.
    fn ask_after(progress: &Progress, asked: Instant, seconds: u64) -> Option<String> {
        let answer = progress.ask(Lookup::Named(1), asked + Duration::from_secs(seconds), COOLDOWN);
        answer.map(|answer| match answer {
            Answer::Wait { attempt, .. } => format!("wait for {attempt}"),
            Answer::Settled => "settled".to_owned(),
            Answer::Failed(_, retry) => format!("failed, again in {} s", retry.as_secs()),
        })
    }

    #[test]
    fn answers_from_last_attempt_until_next() {
        let now = Instant::now();
        let later = |seconds| now + Duration::from_secs(seconds);
        let mut progress = Progress::new(now, false);
        assert_eq!(ask_after(&progress, now, 0), None);
        progress.want(now);
        assert_eq!(ask_after(&progress, now, 100).as_deref(), Some("wait for 1"));

        progress.fail(Problem::Stopped.into(), later(10));
        assert_eq!(ask_after(&progress, now, 4).as_deref(), Some("failed, again in 6 s"));
        assert_eq!(ask_after(&progress, now, 29).as_deref(), Some("failed, again in 0 s"));
        assert_eq!(ask_after(&progress, now, 30), None);

        // No token has started a fetch yet.
        progress.succeed(now, later(600));
        assert_eq!(ask_after(&progress, now, 1), None);
        progress.start_lookup(Lookup::Named(1), later(1), COOLDOWN);
        progress.succeed(later(2), later(600));
        assert_eq!(ask_after(&progress, now, 30).as_deref(), Some("settled"));
        assert_eq!(ask_after(&progress, now, 31), None);

        // Without keys, nothing is settled.
        progress.confirmed = None;
        assert_eq!(ask_after(&progress, now, 2), None);
    }

    #[test]
    fn limits_each_kind_of_lookup() {
        let start = Instant::now();
        let kinds = [Lookup::Named as fn(u64) -> Lookup, |_| Lookup::Replaced];
        // (kind, lookups succeed, burst, lookups per cooldown)
        for (kind, finds, burst, refill) in
            kinds.into_iter().flat_map(|kind| [(kind, false, 2, 1), (kind, true, 3, 2)])
        {
            let mut progress = Progress::new(start, true);
            progress.want(start);
            progress.succeed(start, start);
            let mut lookups = Vec::new();
            for second in 0..301 {
                let now = start + Duration::from_secs(second);
                for number in 0..10 {
                    let lookup = kind(second * 10 + number);
                    if progress.ask(lookup, now, COOLDOWN).is_none() {
                        progress.start_lookup(lookup, now, COOLDOWN);
                        assert_eq!(progress.end_lookup(), Some(lookup));
                        progress.succeed(now, now);
                        if finds {
                            progress.refund(lookup, now, COOLDOWN);
                        }
                        lookups.push(second);
                    }
                }
            }
            let later = (1..=10).flat_map(|n| std::iter::repeat_n(n * 30, refill));
            let expected: Vec<_> = std::iter::repeat_n(0, burst).chain(later).collect();
            assert_eq!(lookups, expected);
        }
    }

    #[test]
    fn one_name_does_not_exhaust_other_lookups() {
        let start = Instant::now();
        let mut progress = Progress::new(start, true);
        progress.want(start);
        progress.succeed(start, start);
        let mut lookups = 0;
        for second in 0..1000 {
            let now = start + Duration::from_secs(second);
            if progress.ask(Lookup::Named(1), now, COOLDOWN).is_none() {
                progress.start_lookup(Lookup::Named(1), now, COOLDOWN);
                progress.succeed(now, now);
                lookups += 1;
            }
            assert!(progress.ask(Lookup::Named(2), now, COOLDOWN).is_none(), "{second}");
        }
        assert_eq!(lookups, 34);
    }
}
