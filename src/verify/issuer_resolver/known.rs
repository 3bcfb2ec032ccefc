use std::sync::{Arc, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::lookup::{Lookup, Outcome, SHORT_WHILE, Teller};
use crate::error::AuthError;
use crate::sync::{Mutex, MutexGuard};
use crate::verify::AnyVerifier;

/// Limits for the age of verifiers and for waiting requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_age: Duration,
    pub(super) outage_limit: Duration,
    pub(super) wait_timeout: Duration,
}

/// An issuer that the resolver has found.
pub(super) struct Known<C> {
    /// The part that requests read while the verifier is fresh.
    pub(super) serving: ArcSwap<Serving<C>>,
    progress: Mutex<Progress<C>>,
}

pub(super) struct Serving<C> {
    pub(super) verifier: AnyVerifier<C>,
    /// The end of the time in which requests use the verifier without further checks.
    pub(super) until: Instant,
}

struct Progress<C> {
    /// The time of the last successful lookup.
    answered: Instant,
    lookup: Option<Lookup<C>>,
    /// No lookup begins before this.
    next: Instant,
    /// The failure of the last lookup, and when it failed.
    failed: Option<(AuthError, Instant)>,
    is_removed: bool,
}

/// The next step for a request whose verifier is no longer fresh.
pub(super) enum Aged<C> {
    Serve,
    /// Waits until `end` for a newer verifier. If there is none, the old one serves only if it `may_serve`.
    Wait {
        lookup: Lookup<C>,
        end: Instant,
        may_serve: bool,
    },
    Refuse(AuthError),
}

/// The time between two attempts to renew a verifier, if the first one failed.
const RETRY: Duration = Duration::from_secs(10);

/// About thirty years; a longer time could overflow the clock.
const FOREVER: Duration = Duration::from_secs(1_000_000_000);

impl<C> Known<C> {
    pub(super) fn new(verifier: AnyVerifier<C>, now: Instant, limits: Limits) -> Self {
        let next = after(now, until_renewal(limits));
        let progress = Progress { answered: now, lookup: None, next, failed: None, is_removed: false };
        let serving = Serving { verifier, until: next.min(after(now, limits.outage_limit)) };
        Self { serving: ArcSwap::from_pointee(serving), progress: Mutex::new(progress) }
    }

    pub(super) fn verifier(&self) -> AnyVerifier<C> {
        Arc::clone(&self.serving.load().verifier)
    }

    /// Decides what a request does. If it returns a `Teller`, the caller must make the lookup.
    pub(super) fn ask(
        &self,
        now: Instant,
        limits: Limits,
        can_look_up: bool,
    ) -> (Aged<C>, Option<Teller<C>>) {
        let mut progress = self.progress();
        let mut teller = None;
        if progress.lookup.is_none() && now >= progress.next && can_look_up {
            let (lookup, told) = Lookup::begin(now);
            (progress.lookup, teller) = (Some(lookup), Some(told));
        }
        let age = now.saturating_duration_since(progress.answered);
        let may_serve = age < limits.outage_limit;
        let aged = match progress.lookup.clone().filter(|_| can_look_up) {
            Some(lookup) if !may_serve => {
                Aged::Wait { lookup, end: after(now, limits.wait_timeout), may_serve }
            }
            Some(lookup) if age >= limits.max_age && !progress.has_just_failed(now, limits) => {
                // A lookup that hangs delays no request for longer than the one that began it.
                let end = after(lookup.begun, limits.wait_timeout);
                if now < end { Aged::Wait { lookup, end, may_serve } } else { Aged::Serve }
            }
            _ if may_serve => Aged::Serve,
            _ => Aged::Refuse(progress.refusal(now)),
        };
        (aged, teller)
    }

    /// Records the outcome of a lookup. Returns `false` if the application has removed the issuer meanwhile.
    pub(super) fn conclude(&self, outcome: &Outcome<C>, now: Instant, limits: Limits) -> bool {
        let mut progress = self.progress();
        progress.lookup = None;
        let (verifier, failed) = match outcome {
            Outcome::Found(verifier) => {
                progress.answered = now;
                progress.next = after(now, until_renewal(limits));
                (Arc::clone(verifier), progress.failed.take())
            }
            Outcome::Absent => return !progress.is_removed,
            Outcome::Failed(error) => {
                progress.next = after(now, RETRY.min(limits.max_age));
                (self.verifier(), progress.failed.replace((error.clone(), now)))
            }
        };
        let until = progress.next.min(after(progress.answered, limits.outage_limit));
        let old = self.serving.swap(Serving { verifier, until }.into());
        let is_removed = progress.is_removed;
        // The application's values are dropped after the lock is released: their drop may take it again.
        drop(progress);
        drop((old, failed));
        !is_removed
    }

    /// Returns the time until another request can succeed.
    pub(super) fn retry_after(&self) -> Duration {
        let progress = self.progress();
        match progress.lookup {
            Some(_) => SHORT_WHILE,
            None => progress.next.saturating_duration_since(Instant::now()),
        }
    }

    /// Marks the issuer as removed by the application.
    pub(super) fn remove(&self) {
        self.progress().is_removed = true;
    }

    pub(super) fn is_removed(&self) -> bool {
        self.progress().is_removed
    }

    fn progress(&self) -> MutexGuard<'_, Progress<C>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Progress<C> {
    /// Returns true during an outage, in which requests do not wait for each attempt.
    fn has_just_failed(&self, now: Instant, limits: Limits) -> bool {
        let recent = (3 * RETRY).min(limits.max_age);
        self.failed.as_ref().is_some_and(|(_, failed)| now.saturating_duration_since(*failed) < recent)
    }

    fn refusal(&self, now: Instant) -> AuthError {
        let error = self.failed.as_ref().map_or_else(super::no_runtime, |(error, _)| error.clone());
        error.with_retry_after(self.next.saturating_duration_since(now))
    }
}

/// Returns a random time before `max_age`: requests to a busy tenant then never wait, and renewals do not coincide.
fn until_renewal(limits: Limits) -> Duration {
    limits.max_age.min(limits.outage_limit).min(FOREVER).mul_f64(0.9 - 0.2 * fastrand::f64())
}

pub(super) fn after(now: Instant, duration: Duration) -> Instant {
    now + duration.min(FOREVER)
}
