//! How far fetching has come, and what that means for those who ask.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fetch_error::FetchError;
use super::schedule::after;

/// How far fetching has come.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Whether an attempt is being made, or will be as soon as the task comes to it.
    pub(crate) is_under_way: bool,
    /// Whether that attempt may have asked the provider already.
    pub(crate) has_begun: bool,
    /// When the last attempt was asked for, by whomever.
    pub(crate) asked: Option<Instant>,
    /// How many attempts have ended, and how the last one did.
    pub(crate) ended: u64,
    pub(crate) outcome: Result<(), Arc<FetchError>>,
    /// How many have failed since the last good one.
    pub(crate) failures: u32,
    /// When the keys that are held were last found to be the provider's; `None` where none are held.
    pub(crate) confirmed: Option<Instant>,
    /// When the next attempt is due by itself.
    pub(crate) due: Instant,
    /// Counts the purges: what was being fetched then is not to be used.
    pub(crate) purges: u64,
    /// The fetches that tokens may still cause, by the two sorts of [`Lookup`].
    named: Bucket,
    replaced: Bucket,
    /// The lookup that the attempt under way is made for, if one was taken from a bucket.
    lookup: Option<Lookup>,
    /// The last names that were looked for, and when. No more than these can be looked for within one cooldown.
    names: [Option<(u64, Instant)>; MOST_NAMES],
}

/// What a token has keys fetched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// A key that is not held, by a hash of its name.
    Named(u64),
    /// A key that has no name, or whose name is held: strangers who use up these lookups leave the others.
    Replaced,
}

/// What becomes of a request that asks for newer keys.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Wait until so many attempts have ended, the last of which may have begun before the request came.
    Wait { attempt: u64, has_begun: bool },
    /// There are no newer ones, as of an attempt that is not long ago.
    Settled,
    /// An attempt has failed, not long ago; there may be another one after this time.
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
            purges: 0,
            named: Bucket::of(NAMED_LOOKS),
            replaced: Bucket::of(REPLACED_LOOKS),
            lookup: None,
            names: [None; MOST_NAMES],
        }
    }

    /// Decides about a request that asks now; `None` where a new attempt is to be [made](Self::start_lookup) first.
    pub(crate) fn ask(&self, lookup: Lookup, now: Instant, cooldown: Duration) -> Option<Answer> {
        if self.is_under_way {
            return Some(Answer::Wait { attempt: self.ended + 1, has_begun: self.has_begun });
        }
        let next = after(self.asked?, cooldown);
        match &self.outcome {
            Err(_) if now >= next => None,
            Err(error) => Some(Answer::Failed(Arc::clone(error), self.next_chance(now, cooldown))),
            Ok(()) => (self.confirmed.is_some() && !self.may_look_up(lookup, now, cooldown))
                .then_some(Answer::Settled),
        }
    }

    /// How long it takes until a request can have an attempt made, or one is due by itself.
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

    /// Has an attempt made for a token, for which [`ask`](Self::ask) has no other answer.
    pub(crate) fn start_lookup(&mut self, lookup: Lookup, now: Instant, cooldown: Duration) -> Answer {
        // The first fetch, and those after a failure, are none that a rotation needs.
        if self.asked.is_some() && self.outcome.is_ok() && self.confirmed.is_some() {
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

    /// The lookup that the attempt which has just ended was made for.
    pub(crate) fn end_lookup(&mut self) -> Option<Lookup> {
        self.lookup.take()
    }

    /// A lookup that found what it was for does not count, since a rotation needed it. Once per cooldown: a provider whose keys
    /// change at each fetch gives strangers no more than that.
    pub(crate) fn give_back(&mut self, lookup: Lookup, now: Instant, cooldown: Duration) {
        match lookup {
            Lookup::Named(name) => {
                if self.named.give_back(now, cooldown)
                    && let Some(place) =
                        self.names.iter_mut().find(|place| place.is_some_and(|(other, _)| other == name))
                {
                    *place = None;
                }
            }
            Lookup::Replaced => drop(self.replaced.give_back(now, cooldown)),
        }
    }

    /// Asks for an attempt.
    pub(crate) fn want(&mut self, now: Instant) {
        (self.is_under_way, self.has_begun) = (true, false);
        self.asked = Some(now);
    }

    /// An attempt has failed.
    pub(crate) fn fail(&mut self, error: FetchError, retry: Instant) {
        self.is_under_way = false;
        self.lookup = None;
        self.ended += 1;
        self.failures = self.failures.saturating_add(1);
        self.outcome = Err(Arc::new(error));
        self.due = retry;
    }

    /// An attempt has been good.
    pub(crate) fn succeed(&mut self, now: Instant, refresh: Instant) {
        self.is_under_way = false;
        self.ended += 1;
        self.failures = 0;
        self.outcome = Ok(());
        self.confirmed = Some(now);
        self.due = refresh;
    }
}

/// How many unknown names can be looked for in a row: one that a stranger has invented, and that of the new key.
const NAMED_LOOKS: u32 = 2;

/// How many keys that are held can be looked for again in a row: one for a bad signature, and one for a new key.
const REPLACED_LOOKS: u32 = 2;

/// As many as can be looked for and not found within one cooldown: the burst, and one more when it is over.
const MOST_NAMES: usize = NAMED_LOOKS as usize + 1;

/// A token bucket: holds a few lookups, and gets one back in each cooldown.
#[derive(Debug)]
struct Bucket {
    size: u32,
    /// When it is full again.
    full: Option<Instant>,
    /// When a lookup was last given back.
    given_back: Option<Instant>,
}

impl Bucket {
    fn of(size: u32) -> Self {
        Self { size, full: None, given_back: None }
    }

    fn has_any(&self, now: Instant, cooldown: Duration) -> bool {
        self.full.is_none_or(|full| full <= after(now, cooldown.saturating_mul(self.size - 1)))
    }

    fn take(&mut self, now: Instant, cooldown: Duration) {
        self.full = Some(after(self.full.map_or(now, |full| full.max(now)), cooldown));
    }

    /// Returns false if one was given back within this cooldown.
    fn give_back(&mut self, now: Instant, cooldown: Duration) -> bool {
        if self.given_back.is_some_and(|last| now < after(last, cooldown)) {
            return false;
        }
        self.given_back = Some(now);
        self.full = self.full.and_then(|full| full.checked_sub(cooldown));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::fetch_error::Problem;
    use super::*;

    const COOLDOWN: Duration = Duration::from_secs(30);

    /// What becomes of a request that asks so many seconds after an attempt was asked for.
    fn ask_after(progress: &Progress, asked: Instant, seconds: u64) -> Option<String> {
        let answer = progress.ask(Lookup::Named(1), asked + Duration::from_secs(seconds), COOLDOWN);
        answer.map(|answer| match answer {
            Answer::Wait { attempt, .. } => format!("wait for {attempt}"),
            Answer::Settled => "settled".to_owned(),
            Answer::Failed(_, retry) => format!("failed, again in {} s", retry.as_secs()),
        })
    }

    #[test]
    fn answers_by_the_last_attempt_until_the_next_may_begin() {
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

        // No token has had keys fetched yet.
        progress.succeed(now, later(600));
        assert_eq!(ask_after(&progress, now, 1), None);
        progress.start_lookup(Lookup::Named(1), later(1), COOLDOWN);
        progress.succeed(later(2), later(600));
        assert_eq!(ask_after(&progress, now, 30).as_deref(), Some("settled"));
        assert_eq!(ask_after(&progress, now, 31), None);

        // With none held, nothing is settled.
        progress.confirmed = None;
        assert_eq!(ask_after(&progress, now, 2), None);
    }

    #[test]
    fn each_sort_of_look_has_a_budget() {
        let start = Instant::now();
        let sorts = [Lookup::Named as fn(u64) -> Lookup, |_| Lookup::Replaced];
        // What each fetch finds is given back, or nothing is found: how many looks there are at once, and then in each cooldown.
        for (sort, finds, burst, refill) in
            sorts.into_iter().flat_map(|sort| [(sort, false, 2, 1), (sort, true, 3, 2)])
        {
            let mut progress = Progress::new(start, true);
            progress.want(start);
            progress.succeed(start, start);
            let mut looks = Vec::new();
            for second in 0..301 {
                let now = start + Duration::from_secs(second);
                for number in 0..10 {
                    let lookup = sort(second * 10 + number);
                    if progress.ask(lookup, now, COOLDOWN).is_none() {
                        progress.start_lookup(lookup, now, COOLDOWN);
                        assert_eq!(progress.end_lookup(), Some(lookup));
                        progress.succeed(now, now);
                        if finds {
                            progress.give_back(lookup, now, COOLDOWN);
                        }
                        looks.push(second);
                    }
                }
            }
            let later = (1..=10).flat_map(|n| std::iter::repeat_n(n * 30, refill));
            let expected: Vec<_> = std::iter::repeat_n(0, burst).chain(later).collect();
            assert_eq!(looks, expected);
        }
    }

    #[test]
    fn one_name_never_uses_up_the_looks_of_others() {
        let start = Instant::now();
        let mut progress = Progress::new(start, true);
        progress.want(start);
        progress.succeed(start, start);
        let mut looks = 0;
        for second in 0..1000 {
            let now = start + Duration::from_secs(second);
            if progress.ask(Lookup::Named(1), now, COOLDOWN).is_none() {
                progress.start_lookup(Lookup::Named(1), now, COOLDOWN);
                progress.succeed(now, now);
                looks += 1;
            }
            assert!(progress.ask(Lookup::Named(2), now, COOLDOWN).is_none(), "{second}");
        }
        assert_eq!(looks, 34);
    }
}
