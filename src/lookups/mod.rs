//! Lookups of credentials in another service: remembered, limited, and one call for all requests with a credential.
//!
//! A call runs in a task of its own, so that no client can stop it. The [accepted](Lookups::accepted) credentials are in
//! a cache of verified tokens, whose key is an ID or a hash.

mod flight;
mod outage;
mod rejections;
mod settings;
mod stats;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use self::flight::{Flight, Task, Teller, Turn};
pub(crate) use self::outage::Blame;
use self::outage::Outage;
use self::rejections::Rejections;
pub use self::settings::LookupSettings;
pub use self::stats::LookupStats;
use self::stats::{Counted, Counts};
use crate::claims::Claims;
use crate::error::{AuthError, FixedCause};
use crate::kind::AuthErrorKind;
use crate::observe;
use crate::sync::{Mutex, MutexGuard};
use crate::verify::{CacheSettings, Found, TokenCache, Verdict};

/// The answer of a service about one credential.
pub(crate) enum Answer<C> {
    /// The claims contain the time of the answer and the expiry: see [`Conditions`](crate::conditions::Conditions).
    Accepted(Claims<C>),
    /// The credential is invalid, as the service says or as its answer was judged.
    Rejected(AuthError),
    /// There was no usable answer.
    Failed(Failure),
}

/// A failed call.
pub(crate) struct Failure {
    pub(crate) cause: Box<dyn Error + Send + Sync>,
    pub(crate) blame: Blame,
    /// The delay that the service asks for.
    pub(crate) retry_after: Option<Duration>,
}

/// Looks up credentials. Clones share everything.
pub(crate) struct Lookups<C>(Arc<Shared<C>>);

struct Shared<C> {
    /// The name of the service in logs and metrics.
    service: &'static str,
    settings: LookupSettings,
    accepted: TokenCache<C>,
    rejected: Rejections,
    flights: Mutex<Flights<C>>,
    /// One permit for each call about a credential that is not remembered.
    turns: Arc<Semaphore>,
    /// One permit for each call ahead of time, so that a flood of unknown credentials does not stop these.
    refreshes: Arc<Semaphore>,
    /// One permit for each waiting request, and for each flight.
    places: Arc<Semaphore>,
    counts: Counts,
}

struct Flights<C> {
    by_key: HashMap<Arc<[u8]>, Flight<C>>,
    outage: Outage,
    begun: u64,
}

type Place = OwnedSemaphorePermit;

/// A task that has not been spawned yet: a runtime that is shutting down drops it at once, and that takes the lock.
struct Start<C>(Arc<[u8]>, u64, Teller<C>, Place);

impl<C> Lookups<C> {
    pub(crate) fn new(service: &'static str, settings: LookupSettings) -> Self {
        let cache = CacheSettings::new()
            .max_entries(settings.max_entries)
            .max_bytes(settings.max_bytes)
            .max_age(settings.max_age);
        let calls = settings.max_in_flight.max(2);
        let reserved = (calls / RESERVED).max(1);
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.clamp(1, Semaphore::MAX_PERMITS)));
        Self(Arc::new(Shared {
            service,
            accepted: TokenCache::new(cache),
            rejected: Rejections::new(settings.max_entries),
            flights: Mutex::new(Flights { by_key: HashMap::new(), outage: Outage::default(), begun: 0 }),
            turns: semaphore(calls - reserved),
            refreshes: semaphore(reserved),
            places: semaphore(settings.max_waiting),
            counts: Counts::default(),
            settings,
        }))
    }

    /// Returns empty lookups with the same settings.
    pub(crate) fn emptied(&self) -> Self {
        Self::new(self.0.service, self.0.settings.clone())
    }

    /// Forgets everything about a key. The answer of a running call is not used.
    pub(crate) fn forget(&self, key: &[u8]) {
        let mut flights = self.0.flights();
        let forgotten =
            (flights.by_key.remove(key), self.0.accepted.remove(key), self.0.rejected.remove(key));
        // The application's values are dropped after the lock is released: their drop may take it again.
        drop(flights);
        drop(forgotten);
    }

    pub(crate) fn stats(&self) -> LookupStats {
        self.0.counts.stats(self.0.accepted.stats())
    }
}

impl<C: Send + Sync + 'static> Lookups<C> {
    /// Returns the remembered claims of `key`, or calls `ask` and waits.
    ///
    /// `now` is the time since 1970. `check` runs for each request, also with remembered claims.
    pub(crate) fn verify<F, Fut, K>(&self, key: &[u8], now: Duration, ask: F, check: K) -> Verdict<C>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Answer<C>> + Send + 'static,
        K: FnOnce(&Claims<C>) -> Result<(), AuthError> + Send + 'static,
    {
        let found = self.0.accepted.find(key, || now, |_| true);
        observe::cache_looked_up(matches!(found, Found::Good(_)));
        if let Found::Good(claims) = found {
            let is_due = now.saturating_sub(claims.conditions().judged_at) >= self.0.settings.max_age / 4 * 3;
            let checked = check(&claims);
            if is_due && checked.is_ok() {
                self.refresh(key, ask);
            }
            return Verdict::Ready(checked.map(|()| claims));
        }
        let begun = Instant::now();
        let (flight, place) = match self.look_up(key, now, begun, ask) {
            Ok(Asked::Known(claims)) => return Verdict::Ready(check(&claims).map(|()| claims)),
            Ok(Asked::Waiting(flight, place)) => (flight, place),
            Err(error) => return Verdict::Ready(Err(error)),
        };
        let end = begun + self.0.settings.timeout.min(LONGEST_TIMEOUT);
        Verdict::Pending(Box::pin(async move {
            let claims = flight.wait(end).await;
            drop(place);
            let claims = claims?;
            check(&claims).map(|()| claims)
        }))
    }

    /// Joins the flight of a key, or begins one.
    fn look_up<F, Fut>(
        &self,
        key: &[u8],
        now: Duration,
        begun: Instant,
        ask: F,
    ) -> Result<Asked<C>, AuthError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Answer<C>> + Send + 'static,
    {
        if let Some(error) = self.0.rejected.get(key, begun) {
            return Err(error);
        }
        let runtime = Handle::try_current().map_err(|_| unavailable(NO_RUNTIME, SHORT_WHILE))?;
        let mut flights = self.0.flights();
        // A call may have ended since the first look.
        if let Some(claims) = self.0.accepted.peek(key, now) {
            return Ok(Asked::Known(claims));
        }
        if let Some(error) = self.0.rejected.get(key, begun) {
            return Err(error);
        }
        if let Some(flight) = flights.by_key.get(key) {
            let place = self.place().ok_or_else(|| self.limited(TOO_MANY, SHORT_WHILE))?;
            return Ok(Asked::Waiting(flight.clone(), Some(place)));
        }
        flights.outage.admit(begun).map_err(|retry| self.limited(BACKOFF, retry))?;
        let place = self.place().ok_or_else(|| self.limited(TOO_MANY, SHORT_WHILE))?;
        let (flight, start) = flights.begin(key, place);
        drop(flights);
        self.spawn(&runtime, start, Turn::Queued, ask);
        Ok(Asked::Waiting(flight, None))
    }

    /// Asks again about a remembered credential, in the background.
    fn refresh<F, Fut>(&self, key: &[u8], ask: F)
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Answer<C>> + Send + 'static,
    {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut flights = self.0.flights();
        if flights.by_key.contains_key(key) || flights.outage.admit(Instant::now()).is_err() {
            return;
        }
        let Ok(place) = Arc::clone(&self.0.refreshes).try_acquire_owned() else {
            return;
        };
        let (_, start) = flights.begin(key, place);
        drop(flights);
        self.spawn(&runtime, start, Turn::Reserved, ask);
    }

    fn spawn<F, Fut>(&self, runtime: &Handle, Start(key, number, teller, place): Start<C>, turn: Turn, ask: F)
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Answer<C>> + Send + 'static,
    {
        runtime.spawn(Task::new(&self.0, key, number, teller, place).run(turn, ask()));
    }

    fn place(&self) -> Option<Place> {
        Arc::clone(&self.0.places).try_acquire_owned().ok()
    }

    fn limited(&self, cause: &'static FixedCause, retry: Duration) -> AuthError {
        self.0.count(Counted::Limited);
        unavailable(cause, retry)
    }
}

impl<C> Shared<C> {
    fn flights(&self) -> MutexGuard<'_, Flights<C>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, counted: Counted) {
        self.counts.add(counted);
        observe::looked_up(self.service, counted.name());
    }
}

impl<C> Flights<C> {
    fn begin(&mut self, key: &[u8], place: Place) -> (Flight<C>, Start<C>) {
        self.begun += 1;
        self.outage.begin(self.begun);
        let (flight, teller) = Flight::begin(self.begun);
        let key: Arc<[u8]> = key.into();
        self.by_key.insert(Arc::clone(&key), flight.clone());
        (flight, Start(key, self.begun, teller, place))
    }
}

/// The state of a key that is not remembered at first.
enum Asked<C> {
    Known(Claims<C>),
    /// The place is `None` if the flight holds it.
    Waiting(Flight<C>, Option<Place>),
}

/// One of this many calls, and at least one, is reserved for credentials that are remembered.
const RESERVED: usize = 4;
/// The `Retry-After` of problems that may end at any time.
const SHORT_WHILE: Duration = Duration::from_secs(1);
/// Small enough for every clock.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(1_000_000_000);

const NO_RUNTIME: &FixedCause = &FixedCause("cannot look up the credential: there is no tokio runtime");
const TOO_MANY: &FixedCause =
    &FixedCause("too many requests are waiting for lookups; LookupSettings::max_waiting sets the limit");
const BACKOFF: &FixedCause =
    &FixedCause("earlier lookups have failed: unknown credentials are rejected until the backoff ends");

fn unavailable(cause: &'static FixedCause, retry: Duration) -> AuthError {
    AuthError::new(AuthErrorKind::Unavailable).because(cause).with_retry_after(retry)
}

impl<C> Clone for Lookups<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
