//! One call, and the requests that wait for it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::stats::Counted;
use super::{Answer, Blame, Failure, LONGEST_TIMEOUT, Place, SHORT_WHILE, Shared, unavailable};
use crate::claims::Claims;
use crate::error::{AuthError, FixedCause};
use crate::kind::AuthErrorKind;
use crate::observe;

/// The result of a call for the requests that wait.
type Outcome<C> = Result<Claims<C>, AuthError>;

/// Sends the outcome of a call to all waiting requests.
pub(super) type Teller<C> = watch::Sender<Option<Outcome<C>>>;

/// A call that has not ended.
pub(super) struct Flight<C> {
    number: u64,
    outcome: watch::Receiver<Option<Outcome<C>>>,
}

impl<C> Flight<C> {
    pub(super) fn begin(number: u64) -> (Self, Teller<C>) {
        let (teller, outcome) = watch::channel(None);
        (Self { number, outcome }, teller)
    }

    /// Waits for the outcome until a time.
    pub(super) async fn wait(mut self, end: Instant) -> Outcome<C> {
        match timeout_at(end, self.outcome.wait_for(Option::is_some)).await {
            Ok(Ok(outcome)) => outcome.clone().expect("it was waited for"),
            Ok(Err(_)) => Err(unavailable(STOPPED, SHORT_WHILE)),
            Err(_) => Err(unavailable(LATE, SHORT_WHILE)),
        }
    }
}

impl<C> Clone for Flight<C> {
    fn clone(&self) -> Self {
        Self { number: self.number, outcome: self.outcome.clone() }
    }
}

/// The task of a call. Dropping it ends the flight, also if the runtime stops or the call panics.
pub(super) struct Task<C> {
    lookups: Arc<Shared<C>>,
    key: Arc<[u8]>,
    number: u64,
    teller: Teller<C>,
    /// Held until the end, so that clients that go away cannot start any number of calls.
    _place: Place,
    end: End<C>,
}

/// When a call may begin.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    /// After those that wait.
    Queued,
    /// At once: its place is one of the reserved calls.
    Reserved,
}

/// The end of a flight.
enum End<C> {
    Answered(Answer<C>),
    /// No call was made.
    NoTurn(&'static FixedCause),
    Stopped,
}

impl<C> Task<C> {
    pub(super) fn new(
        lookups: &Arc<Shared<C>>,
        key: Arc<[u8]>,
        number: u64,
        teller: Teller<C>,
        place: Place,
    ) -> Self {
        Self { lookups: Arc::clone(lookups), key, number, teller, _place: place, end: End::Stopped }
    }

    pub(super) async fn run(mut self, turn: Turn, ask: impl Future<Output = Answer<C>>) {
        let limit = self.lookups.settings.timeout.min(LONGEST_TIMEOUT);
        let turns = Arc::clone(&self.lookups.turns);
        let _turn = match turn {
            Turn::Reserved => None,
            Turn::Queued => match timeout(limit, turns.acquire()).await {
                Ok(Ok(turn)) => Some(turn),
                _ => {
                    // No request waits any longer.
                    self.end = End::NoTurn(BUSY);
                    return;
                }
            },
        };
        if !self.lookups.flights().outage.still_admits(self.number) {
            self.end = End::NoTurn(super::BACKOFF);
            return;
        }
        let late =
            |_| Answer::Failed(Failure { cause: timed_out(limit), blame: Blame::Timeout, retry_after: None });
        self.end = End::Answered(timeout(limit, ask).await.unwrap_or_else(late));
    }
}

fn timed_out(limit: Duration) -> Box<dyn std::error::Error + Send + Sync> {
    format!("timed out after {} s; LookupSettings::timeout sets the limit", limit.as_secs_f64()).into()
}

impl<C> Drop for Task<C> {
    fn drop(&mut self) {
        let outcome = match std::mem::replace(&mut self.end, End::Stopped) {
            End::Answered(Answer::Accepted(claims)) => self.accepted(claims),
            End::Answered(Answer::Rejected(error)) => self.rejected(error),
            End::Answered(Answer::Failed(failure)) => self.failed(failure),
            End::NoTurn(cause) => self.gave_up(cause, Counted::Limited),
            End::Stopped => self.gave_up(STOPPED, Counted::Failed),
        };
        self.teller.send_replace(Some(outcome));
    }
}

impl<C> Task<C> {
    fn accepted(&self, claims: Claims<C>) -> Outcome<C> {
        let lookups = &*self.lookups;
        lookups.accepted.sweep(claims.conditions().judged_at);
        let mut flights = lookups.flights();
        let failures = flights.outage.answered();
        let is_current = self.is_current(&flights);
        // Dropped after the lock is released: the drop of the application's values may take it again.
        let displaced = is_current.then(|| lookups.accepted.keep_answer(&self.key, &claims));
        let flight = is_current.then(|| flights.by_key.remove(&self.key));
        drop(flights);
        drop((displaced, flight));
        self.report_answer(Counted::Accepted, failures);
        if is_current { Ok(claims) } else { Err(unavailable(FORGOTTEN, SHORT_WHILE)) }
    }

    fn rejected(&self, error: AuthError) -> Outcome<C> {
        let lookups = &*self.lookups;
        let until = Instant::now() + lookups.settings.negative_age.min(LONGEST_TIMEOUT);
        let mut flights = lookups.flights();
        let failures = flights.outage.answered();
        let is_current = self.is_current(&flights);
        let gone = is_current.then(|| {
            lookups.rejected.insert(&self.key, error.clone(), until);
            (lookups.accepted.remove(&self.key), flights.by_key.remove(&self.key))
        });
        drop(flights);
        drop(gone);
        self.report_answer(Counted::Rejected, failures);
        if is_current { Err(error) } else { Err(unavailable(FORGOTTEN, SHORT_WHILE)) }
    }

    /// A credential that is still remembered stays so until its age.
    fn failed(&self, failure: Failure) -> Outcome<C> {
        let Failure { cause, blame, retry_after } = failure;
        let lookups = &*self.lookups;
        let now = Instant::now();
        let error = AuthError::new(AuthErrorKind::Unavailable).with_source(cause);
        let mut flights = lookups.flights();
        let failures = match blame {
            Blame::Credential => {
                flights.outage.answered();
                0
            }
            _ => flights.outage.failed(self.number, blame, retry_after, now),
        };
        let retry = flights.outage.admit(now).err().unwrap_or(SHORT_WHILE);
        let error = error.with_retry_after(retry);
        let is_current = self.is_current(&flights);
        let flight = is_current.then(|| {
            lookups.rejected.insert(&self.key, error.clone(), now + SHORT_WHILE);
            flights.by_key.remove(&self.key)
        });
        drop(flights);
        drop(flight);
        lookups.count(Counted::Failed);
        if let Some(cause) = std::error::Error::source(&error) {
            observe::lookup_failed(lookups.service, cause, failures);
        }
        Err(error)
    }

    fn gave_up(&self, cause: &'static FixedCause, counted: Counted) -> Outcome<C> {
        let mut flights = self.lookups.flights();
        flights.outage.gave_up(self.number);
        let retry = flights.outage.admit(Instant::now()).err().unwrap_or(SHORT_WHILE);
        let is_current = self.is_current(&flights);
        let flight = is_current.then(|| flights.by_key.remove(&self.key));
        drop(flights);
        drop(flight);
        self.lookups.count(counted);
        Err(unavailable(cause, retry))
    }

    /// Returns false if the key has been forgotten since the call began.
    fn is_current(&self, flights: &super::Flights<C>) -> bool {
        flights.by_key.get(&self.key).is_some_and(|flight| flight.number == self.number)
    }

    fn report_answer(&self, counted: Counted, failures: u32) {
        self.lookups.count(counted);
        observe::lookups_recovered(self.lookups.service, failures);
    }
}

const STOPPED: &FixedCause = &FixedCause("the lookup of the credential was stopped");
const LATE: &FixedCause = &FixedCause("the lookup takes too long; LookupSettings::timeout sets the limit");
const BUSY: &FixedCause =
    &FixedCause("too many lookups are running; LookupSettings::max_in_flight sets the limit");
const FORGOTTEN: &FixedCause = &FixedCause("the credential was forgotten while it was looked up");
