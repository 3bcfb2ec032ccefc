//! How far fetching has come, and what that means for those who ask.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fetch_error::FetchError;
use super::pace::after;

/// How far fetching has come.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Whether an attempt is being made, or will be as soon as the task comes to it.
    pub(crate) is_under_way: bool,
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
}

/// What becomes of somebody who asks for newer keys.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Wait until so many attempts have ended.
    Wait(u64),
    /// There are no newer ones, as of an attempt that is not long ago.
    Settled,
    /// An attempt has failed, not long ago; there may be another one after this time.
    Failed(Arc<FetchError>, Duration),
}

impl Progress {
    pub(crate) fn new(now: Instant, holds_any: bool) -> Self {
        Self {
            is_under_way: false,
            asked: None,
            ended: 0,
            outcome: Ok(()),
            failures: 0,
            confirmed: holds_any.then_some(now),
            due: now,
            purges: 0,
        }
    }

    /// What becomes of somebody who asks now; `None` where a new attempt is to be [made](Self::want) first.
    pub(crate) fn ask(&self, now: Instant, cooldown: Duration) -> Option<Ask> {
        if self.is_under_way {
            return Some(Ask::Wait(self.ended + 1));
        }
        let next = after(self.asked?, cooldown);
        if now >= next {
            return None;
        }
        Some(match &self.outcome {
            // They grew too old with no task to look after them.
            Ok(()) if self.confirmed.is_none() => return None,
            Ok(()) => Ask::Settled,
            Err(error) => Ask::Failed(Arc::clone(error), next.min(self.due).saturating_duration_since(now)),
        })
    }

    /// Asks for an attempt, which is to be waited for.
    pub(crate) fn want(&mut self, now: Instant) -> Ask {
        self.is_under_way = true;
        self.asked = Some(now);
        Ask::Wait(self.ended + 1)
    }

    /// An attempt has failed.
    pub(crate) fn fail(&mut self, error: FetchError, retry: Instant) {
        self.is_under_way = false;
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

#[cfg(test)]
mod tests {
    use super::super::fetch_error::Problem;
    use super::*;

    const COOLDOWN: Duration = Duration::from_secs(30);

    /// What becomes of somebody who asks so many seconds after an attempt was asked for.
    fn ask_after(progress: &Progress, asked: Instant, seconds: u64) -> Option<String> {
        let answer = progress.ask(asked + Duration::from_secs(seconds), COOLDOWN);
        answer.map(|answer| match answer {
            Ask::Wait(attempt) => format!("wait for {attempt}"),
            Ask::Settled => "settled".to_owned(),
            Ask::Failed(_, retry) => format!("failed, again in {} s", retry.as_secs()),
        })
    }

    #[test]
    fn whoever_asks_is_told_what_the_last_attempt_says_until_there_may_be_another() {
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

        progress.succeed(now, later(600));
        assert_eq!(ask_after(&progress, now, 29).as_deref(), Some("settled"));
        assert_eq!(ask_after(&progress, now, 30), None);

        // With none held, nothing is settled.
        progress.confirmed = None;
        assert_eq!(ask_after(&progress, now, 0), None);
    }
}
