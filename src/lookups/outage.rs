//! The backoff after failed calls.

use std::time::Duration;

use tokio::time::Instant;

/// Who else a failed call concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// Every credential: the service is overloaded or rejects this client.
    Everybody,
    /// Every credential, as far as one can tell: the service did not answer in time.
    Timeout,
    /// Perhaps every credential, perhaps only this one. An attacker may have found one that makes the service fail, or
    /// that a firewall in between rejects.
    Unclear,
    /// Only this credential.
    Credential,
}

/// The failures of a service in a row.
#[derive(Debug, Default)]
pub(super) struct Outage {
    failures: u32,
    /// Failures in a row that one credential may have caused.
    unclear: u32,
    /// The end of the backoff.
    until: Option<Instant>,
    /// The call that tries again after the backoff.
    trial: Option<u64>,
}

/// Unclear failures in a row that begin a backoff.
const MOST_UNCLEAR: u32 = 3;
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// The limit while no failure has certainly concerned everybody.
const LONGEST_UNCLEAR: Duration = Duration::from_secs(4);
/// Limits the delay that the service asks for.
const LONGEST_STATED: Duration = Duration::from_secs(120);
/// The `Retry-After` while a call tries again.
const TRIAL: Duration = Duration::from_secs(1);

impl Outage {
    /// Checks whether a call may begin. The error is the time after which the client may retry.
    pub(super) fn admit(&self, now: Instant) -> Result<(), Duration> {
        match self.until {
            Some(until) if now < until => Err(until - now),
            Some(_) if self.trial.is_some() => Err(TRIAL),
            _ => Ok(()),
        }
    }

    /// Records that a call begins. The first one after a backoff is the trial.
    pub(super) fn begin(&mut self, call: u64) {
        if self.until.is_some() && self.trial.is_none() {
            self.trial = Some(call);
        }
    }

    /// Returns true if this call, which waited for its turn, may still begin.
    pub(super) fn still_admits(&self, call: u64) -> bool {
        self.until.is_none() || self.trial == Some(call)
    }

    /// Records that the service answered. Returns the number of failures before.
    pub(super) fn answered(&mut self) -> u32 {
        std::mem::take(self).failures
    }

    /// Records that a call ended without an answer, for reasons of this process.
    pub(super) fn gave_up(&mut self, call: u64) {
        if self.trial == Some(call) {
            self.trial = None;
        }
    }

    /// Records a failed call. Returns the number of failures in a row.
    ///
    /// Calls that began before the backoff do not lengthen it.
    pub(super) fn failed(&mut self, call: u64, blame: Blame, stated: Option<Duration>, now: Instant) -> u32 {
        let was_trial = self.trial == Some(call);
        if self.until.is_some() && !was_trial {
            return self.failures;
        }
        self.failures = self.failures.saturating_add(1);
        if blame != Blame::Everybody {
            self.unclear += 1;
        }
        if blame != Blame::Unclear || was_trial || self.unclear >= MOST_UNCLEAR {
            // One client may cause all unclear failures.
            let longest = if self.unclear == self.failures { LONGEST_UNCLEAR } else { LONGEST };
            let doubled = FIRST.saturating_mul(2_u32.saturating_pow(self.failures.min(10) - 1)).min(longest);
            // Processes that failed together try again at different times.
            let backoff = doubled.mul_f64(0.75 + 0.25 * fastrand::f64());
            let stated = stated.filter(|_| blame == Blame::Everybody).unwrap_or_default().min(LONGEST_STATED);
            self.until = Some(now + backoff.max(stated));
            self.trial = None;
        }
        self.failures
    }
}
