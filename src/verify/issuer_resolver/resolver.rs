use std::collections::HashMap;
use std::error::Error;
use std::hash::RandomState;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Lifecycle, OptionsBuilder, UnitWeighter};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::known::{Aged, Known, after};
use super::lookup::{Lookup, Outcome, SHORT_WHILE, Teller};
use super::lookup_rate::LookupRate;
use super::{IssuerResolver, no_runtime};
use crate::challenges::Challenges;
use crate::credential::Credential;
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::observe;
use crate::sync::{Mutex, MutexGuard};
use crate::verify::owned_credential::OwnedCredential;
use crate::verify::{AnyVerifier, Verdict};

/// A resolver in use, with the issuers that it remembers.
pub(crate) struct Resolver<C> {
    settings: IssuerResolver<C>,
    known: Remembered<Arc<Known<C>>>,
    /// Separate from the known issuers, so that unknown ones cannot evict them.
    refused: Remembered<(AuthError, Instant)>,
    unknown: Mutex<Unknown<C>>,
    /// The places of requests that wait for a lookup which another request began.
    places: Arc<Semaphore>,
}

type Remembered<T> = Cache<Arc<str>, T, UnitWeighter, RandomState>;

/// Entries that an insertion has evicted.
type Displaced<T> = <DefaultLifecycle<Arc<str>, T> as Lifecycle<Arc<str>, T>>::RequestState;

/// The lookups of unknown issuers.
struct Unknown<C> {
    lookups: HashMap<Arc<str>, (u64, Lookup<C>)>,
    rate: LookupRate,
    /// Counts the lookups, so that an abandoned lookup does not end its successor.
    begun: u64,
}

type Place = OwnedSemaphorePermit;

/// The longest issuer in bytes. It bounds the memory of remembered issuers.
const LONGEST_ISSUER: usize = 1024;

/// The longest time an absent issuer is remembered: a new tenant's token may arrive before the tenant is stored.
const LONGEST_ABSENCE: Duration = Duration::from_secs(60);

impl<C> Resolver<C> {
    pub(crate) fn new(settings: IssuerResolver<C>) -> Self {
        let (burst, per_second) = settings.lookup_rate;
        let rate = LookupRate::new(burst, per_second, Instant::now());
        Self {
            known: remember(settings.entries),
            refused: remember(settings.entries),
            unknown: Mutex::new(Unknown { lookups: HashMap::new(), rate, begun: 0 }),
            places: Arc::new(Semaphore::new(settings.max_waiting.min(Semaphore::MAX_PERMITS))),
            settings,
        }
    }

    /// Returns the schemes of the resolved verifiers.
    pub(crate) fn challenges(&self) -> &Challenges {
        &self.settings.challenges
    }

    /// Forgets an issuer and ignores a lookup in progress.
    pub(crate) fn forget(&self, issuer: &str) -> bool {
        let mut unknown = self.unknown();
        let lookup = unknown.lookups.remove(issuer);
        let refused = self.refused.remove(issuer);
        let known = self.known.remove(issuer);
        if let Some((_, known)) = &known {
            known.remove();
        }
        // The application's values are dropped after the lock is released: their drop may take it again.
        drop(unknown);
        drop((lookup, refused));
        known.is_some()
    }

    fn unknown(&self) -> MutexGuard<'_, Unknown<C>> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a request that joins a lookup. A request that begins one needs none: the rate limits those.
    fn place(&self) -> Option<Place> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Returns the remembered error of a recent lookup.
    fn refusal(&self, issuer: &str, now: Instant) -> Option<AuthError> {
        let (error, until) = self.refused.get(issuer).filter(|(_, until)| now < *until)?;
        Some(match error.kind() {
            AuthErrorKind::KeysUnavailable => error.with_retry_after(until - now),
            _ => error,
        })
    }

    /// Remembers an error. The caller drops `displaced` without holding a lock.
    fn refuse(
        &self,
        issuer: &Arc<str>,
        error: AuthError,
        age: Duration,
        displaced: &mut Displaced<(AuthError, Instant)>,
    ) {
        let refused = (error, Instant::now() + age);
        self.refused.insert_with_lifecycle(Arc::clone(issuer), refused, displaced);
    }

    /// Records the outcome of a lookup. Returns `false` if the application has removed the issuer meanwhile.
    fn conclude(&self, issuer: &Arc<str>, subject: &Subject<C>, outcome: &Outcome<C>) -> bool {
        let (now, limits) = (Instant::now(), self.settings.limits);
        // Declared before the guards and therefore dropped after them: their drop may run the application's code.
        let mut known_before: Displaced<Arc<Known<C>>> = Displaced::default();
        let mut refused_before = Displaced::default();
        match subject {
            Subject::Unknown(number) => {
                let mut unknown = self.unknown();
                if let Outcome::Found(_) = outcome {
                    unknown.rate.give_back();
                }
                if unknown.lookups.get(issuer).is_none_or(|(current, _)| current != number) {
                    return false;
                }
                unknown.lookups.remove(issuer);
                match outcome {
                    Outcome::Found(verifier) => {
                        let known = Known::new(Arc::clone(verifier), now, limits);
                        let known = Arc::new(known);
                        self.known.insert_with_lifecycle(Arc::clone(issuer), known, &mut known_before);
                    }
                    Outcome::Absent => {
                        self.refuse(issuer, no_such_issuer(), self.absence(), &mut refused_before);
                    }
                    Outcome::Failed(error) => {
                        self.refuse(issuer, error.clone(), SHORT_WHILE, &mut refused_before);
                    }
                }
                true
            }
            Subject::Known(known) => {
                let is_current = known.conclude(outcome, now, limits);
                match outcome {
                    Outcome::Failed(error) if is_current => {
                        observe::renewal_failed(issuer, error.source().unwrap_or(error));
                    }
                    Outcome::Absent => {
                        let _unknown = self.unknown();
                        let removed = self.known.remove_if(&**issuer, |other| Arc::ptr_eq(other, known));
                        if removed.is_some() {
                            self.refuse(issuer, no_such_issuer(), self.absence(), &mut refused_before);
                        }
                    }
                    _ => {}
                }
                is_current
            }
        }
    }

    fn absence(&self) -> Duration {
        self.settings.limits.max_age.clamp(SHORT_WHILE, LONGEST_ABSENCE)
    }
}

impl<C> Resolver<C>
where
    C: Send + Sync + 'static,
{
    pub(crate) fn verify(self: &Arc<Self>, issuer: &str, credential: Credential<'_>) -> Verdict<C> {
        let now = Instant::now();
        let Some(known) = self.known.get(issuer) else {
            return self.verify_unknown(issuer, credential, now);
        };
        let serving = known.serving.load();
        if now < serving.until {
            return serving.verifier.verify(credential);
        }
        drop(serving);
        self.verify_aged(known, issuer, credential, now)
    }

    fn verify_unknown(
        self: &Arc<Self>,
        issuer: &str,
        credential: Credential<'_>,
        now: Instant,
    ) -> Verdict<C> {
        let (lookup, place) = match self.look_up(issuer, now) {
            Ok(Asked::Known(known)) => return known.verifier().verify(credential),
            Ok(Asked::Waiting(lookup, place)) => (lookup, place),
            Err(error) => return Verdict::Ready(Err(error)),
        };
        let end = after(now, self.settings.limits.wait_timeout);
        let credential = OwnedCredential::copy(credential);
        Verdict::Pending(Box::pin(async move {
            let outcome = lookup.wait(end).await;
            drop(place);
            match outcome {
                Outcome::Found(verifier) => verify_owned(&verifier, &credential).await,
                Outcome::Absent => Err(no_such_issuer()),
                Outcome::Failed(error) => Err(error),
            }
        }))
    }

    /// Joins the lookup of an unknown issuer, or begins one.
    fn look_up(self: &Arc<Self>, issuer: &str, now: Instant) -> Result<Asked<C>, AuthError> {
        if issuer.len() > LONGEST_ISSUER {
            return Err(unknown_key(format!("the issuer has more than {LONGEST_ISSUER} bytes")));
        }
        if self.settings.filter.as_ref().is_some_and(|filter| !filter(issuer)) {
            return Err(unknown_key("IssuerResolver::filter rejected the issuer"));
        }
        let runtime = Handle::try_current().map_err(|_| no_runtime())?;
        let mut unknown = self.unknown();
        // A lookup may have ended since the request looked for a known issuer.
        if let Some(known) = self.known.get(issuer) {
            return Ok(Asked::Known(known));
        }
        if let Some(error) = self.refusal(issuer, now) {
            return Err(error);
        }
        if let Some((_, lookup)) = unknown.lookups.get(issuer) {
            let place = self.place().ok_or_else(too_many_waiting)?;
            return Ok(Asked::Waiting(lookup.clone(), Some(place)));
        }
        let delay = unknown.rate.take(now, self.settings.limits.wait_timeout).map_err(|retry| {
            let cause = "too many unknown issuers are being looked up: see IssuerResolver::lookup_rate";
            AuthError::keys_unavailable(cause).with_retry_after(retry)
        })?;
        let (lookup, teller) = Lookup::begin(now);
        unknown.begun += 1;
        let (issuer, number) = (Arc::from(issuer), unknown.begun);
        unknown.lookups.insert(Arc::clone(&issuer), (number, lookup.clone()));
        // A runtime that is shutting down drops the task at once, which takes the lock.
        drop(unknown);
        runtime.spawn(Task::new(self, issuer, Subject::Unknown(number), teller).run(delay));
        Ok(Asked::Waiting(lookup, None))
    }

    /// Verifies a token of a known issuer whose verifier is due to be renewed.
    fn verify_aged(
        self: &Arc<Self>,
        known: Arc<Known<C>>,
        issuer: &str,
        credential: Credential<'_>,
        now: Instant,
    ) -> Verdict<C> {
        let (runtime, limits) = (Handle::try_current(), self.settings.limits);
        let (aged, teller) = known.ask(now, limits, runtime.is_ok());
        let is_first = teller.is_some();
        if let (Some(teller), Ok(runtime)) = (teller, runtime) {
            let task = Task::new(self, Arc::from(issuer), Subject::Known(Arc::clone(&known)), teller);
            runtime.spawn(task.run(Duration::ZERO));
        }
        let (lookup, end, may_serve) = match aged {
            Aged::Serve => return known.verifier().verify(credential),
            Aged::Refuse(error) => return Verdict::Ready(Err(error)),
            Aged::Wait { lookup, end, may_serve } => (lookup, end, may_serve),
        };
        let place = if is_first { None } else { self.place() };
        if place.is_none() && !is_first {
            return match may_serve {
                true => known.verifier().verify(credential),
                false => Verdict::Ready(Err(too_many_waiting())),
            };
        }
        let credential = OwnedCredential::copy(credential);
        Verdict::Pending(Box::pin(async move {
            let outcome = lookup.wait(end).await;
            drop(place);
            match outcome {
                Outcome::Found(verifier) => verify_owned(&verifier, &credential).await,
                Outcome::Absent => Err(no_such_issuer()),
                Outcome::Failed(_) if may_serve && !known.is_removed() => {
                    verify_owned(&known.verifier(), &credential).await
                }
                Outcome::Failed(error) => Err(error.with_retry_after(known.retry_after())),
            }
        }))
    }
}

/// The state of an unknown issuer for a request that asked for it.
enum Asked<C> {
    Known(Arc<Known<C>>),
    Waiting(Lookup<C>, Option<Place>),
}

/// The issuer that a lookup is about.
enum Subject<C> {
    Unknown(u64),
    Known(Arc<Known<C>>),
}

/// Runs one lookup. On drop, also after a panic, it records the outcome and wakes all waiting requests.
struct Task<C> {
    resolver: Arc<Resolver<C>>,
    issuer: Arc<str>,
    subject: Subject<C>,
    teller: Teller<C>,
    outcome: Option<Outcome<C>>,
}

impl<C> Task<C> {
    fn new(resolver: &Arc<Resolver<C>>, issuer: Arc<str>, subject: Subject<C>, teller: Teller<C>) -> Self {
        Self { resolver: Arc::clone(resolver), issuer, subject, teller, outcome: None }
    }

    async fn run(mut self, delay: Duration) {
        if !delay.is_zero() {
            sleep(delay).await;
        }
        let settings = &self.resolver.settings;
        let asking = (settings.resolve)((*self.issuer).to_owned(), &settings.cache);
        let outcome = match timeout(settings.lookup_timeout, asking).await {
            Ok(Ok(Some(verifier))) if verifier.issuers().iter().any(|issuer| **issuer == *self.issuer) => {
                Outcome::Found(verifier)
            }
            Ok(Ok(Some(_))) => Outcome::failed(
                "the resolved verifier does not name the issuer it is for: set JwtVerifier::issuer",
            ),
            Ok(Ok(None)) => Outcome::Absent,
            Ok(Err(cause)) => Outcome::failed(cause),
            Err(_) => Outcome::failed(format!(
                "the resolver did not answer within {} s: see IssuerResolver::lookup_timeout",
                settings.lookup_timeout.as_secs_f64()
            )),
        };
        self.outcome = Some(outcome);
    }
}

impl<C> Drop for Task<C> {
    fn drop(&mut self) {
        let stopped = || Outcome::failed("the lookup of the issuer was stopped");
        let outcome = self.outcome.take().unwrap_or_else(stopped);
        let is_current = self.resolver.conclude(&self.issuer, &self.subject, &outcome);
        let removed = || Outcome::failed("the issuer was removed while it was looked up");
        self.teller.send_replace(Some(if is_current { outcome } else { removed() }));
    }
}

/// Verifies a credential whose request has waited.
fn verify_owned<C>(verifier: &AnyVerifier<C>, credential: &OwnedCredential) -> Verdict<C> {
    let head = credential.head();
    verifier.verify(credential.get(head.as_ref()))
}

fn no_such_issuer() -> AuthError {
    unknown_key("the resolver knows no such issuer")
}

fn unknown_key(cause: impl Into<Box<dyn Error + Send + Sync>>) -> AuthError {
    AuthError::new(AuthErrorKind::UnknownKey).with_source(cause)
}

fn too_many_waiting() -> AuthError {
    let cause = "too many requests are waiting for issuers to be looked up: see IssuerResolver::max_waiting";
    AuthError::keys_unavailable(cause).with_retry_after(SHORT_WHILE)
}

fn remember<T: Clone>(entries: usize) -> Remembered<T> {
    let entries = entries.max(1);
    let options = OptionsBuilder::new()
        // With several shards, one would be full before the others.
        .shards(1)
        .estimated_items_capacity(entries)
        .weight_capacity(entries as u64)
        .build()
        .expect("all required options are set");
    Cache::with_options(options, UnitWeighter, RandomState::new(), DefaultLifecycle::default())
}
