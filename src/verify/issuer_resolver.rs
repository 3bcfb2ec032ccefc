use std::error::Error;
use std::fmt::{self, Formatter};
use std::future::Future;
use std::hash::RandomState;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use serde::de::DeserializeOwned;

use super::jwt::JwtVerifier;
use super::{Verdict, Verify};
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Finds the verifiers of issuers that [`Issuers`](crate::Issuers) does not hold, and remembers them for a while.
///
/// Anyone can send a token that names any issuer: look it up among those you know, and never fetch anything from an
/// address because a token names it.
///
/// A verifier that is forgotten takes its cache with it, and the keys that it has fetched: keep the `RemoteKeys` of each
/// tenant in a map of your own, and give the verifier a clone.
///
/// ```
/// use std::time::Duration;
/// use tower_jwt_auth::{
///     Algorithm, ConfigError, IssuerResolver, Issuers, JwtVerifier, KeySet, RegisteredClaims,
/// };
///
/// /// What a database would be asked for.
/// async fn secret_of(issuer: &str) -> Option<[u8; 32]> {
///     (issuer == "https://tenant-1.example.com").then_some(*b"a secret of thirty-two bytes ...")
/// }
///
/// # fn main() -> Result<(), ConfigError> {
/// let resolver = IssuerResolver::new(async |issuer: String| {
///     let Some(secret) = secret_of(&issuer).await else {
///         return Ok(None);
///     };
///     let keys = KeySet::hmac(Algorithm::HS256, secret)?;
///     Ok::<_, ConfigError>(Some(JwtVerifier::<RegisteredClaims>::new(keys).issuer(issuer)))
/// });
/// let issuers = Issuers::new([])?.resolver(resolver.max_age(Duration::from_secs(60)));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct IssuerResolver<C> {
    resolve: Arc<dyn Fn(String) -> Resolving<C> + Send + Sync>,
    entries: usize,
    max_age: Duration,
    most_waiting: usize,
}

type Resolving<C> =
    Pin<Box<dyn Future<Output = Result<Option<JwtVerifier<C>>, Box<dyn Error + Send + Sync>>> + Send>>;

impl<C> IssuerResolver<C> {
    /// A resolver that asks `resolve` for the verifier of an issuer: `None` where there is no such issuer. The verifier
    /// has to demand that very [issuer](JwtVerifier::issuer). Where it fails, the request is answered with 503.
    ///
    /// It is asked once for all who wait for the same issuer, and they share its failure. It has to see to it by itself that it does not take too
    /// long: nobody else does.
    pub fn new<F, Fut, E>(resolve: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<JwtVerifier<C>>, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self {
            resolve: Arc::new(move |issuer| {
                let resolving = resolve(issuer);
                Box::pin(async move { resolving.await.map_err(Into::into) })
            }),
            entries: 1000,
            max_age: Duration::from_secs(10 * 60),
            most_waiting: 1000,
        }
    }

    /// Sets how many issuers are remembered at most, and as many that there are not. The default is 1,000. Allow as many
    /// as you have: the tokens of one that was forgotten to make room have it asked for again, whoever made them.
    pub fn entries(self, entries: usize) -> Self {
        Self { entries, ..self }
    }

    /// Sets after how long an issuer is asked for anew. The default is ten minutes. One request waits for that, and all
    /// others go on with the verifier that is known; it serves on, too, if the resolver fails. Where there is no answer, since
    /// the resolver hangs or every request that waits for it is given up, it serves for as long again, but for 30 s at most
    /// and for one at least (and once more where a client has gone away). That there is no such issuer is remembered for
    /// `max_age`, too, but for one minute at most.
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// Sets how many requests may wait at once for an issuer that is not known to be resolved. The default is 1,000. More of
    /// them are answered with 503 at once.
    pub fn most_waiting(self, requests: usize) -> Self {
        Self { most_waiting: requests, ..self }
    }
}

impl<C> fmt::Debug for IssuerResolver<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerResolver").field("entries", &self.entries).finish_non_exhaustive()
    }
}

/// A resolver in use, with what it remembers.
pub(crate) struct Resolver<C> {
    settings: IssuerResolver<C>,
    known: Remembered<Arc<Known<C>>>,
    /// What those are told that there is no verifier for, and until when. Apart from those that there is one for, so that
    /// no number of these pushes one of them out.
    refused: Remembered<(AuthError, Instant)>,
    waiting: AtomicUsize,
}

type Remembered<T> = Cache<String, T, UnitWeighter, RandomState>;

struct Known<C> {
    /// The verifier, and when the application gave it.
    current: ArcSwap<(JwtVerifier<C>, Instant)>,
    /// Whether one of the requests is asking for it anew; all others go on with this one.
    is_being_renewed: AtomicBool,
    /// Those that did since the last answer.
    asked: Mutex<Option<Asked>>,
}

struct Asked {
    first: Instant,
    latest: Instant,
    times: u32,
}

/// How many bytes an issuer may have that is not known yet: what is remembered of it is bounded, too.
const LONGEST_ISSUER: usize = 1024;

/// How long a failure is remembered: those who have waited together are told together.
const FAILURE_AGE: Duration = Duration::from_secs(1);

/// How long a verifier serves at most that is asked for anew, without an answer. Whoever can end the requests that wait for
/// one could have it serve for ever.
const LONGEST_RENEWAL: Duration = Duration::from_secs(30);

/// How many may be given up before that time counts from the first of them, and not from the latest: a client may go away.
const MOST_GIVEN_UP: u32 = 1;

/// How long it is remembered at most that there is no such issuer: it may be a new tenant, whose token came too early.
const LONGEST_ABSENCE: Duration = Duration::from_secs(60);

impl<C> Resolver<C> {
    pub(crate) fn new(settings: IssuerResolver<C>) -> Self {
        let (known, refused) = (remember(settings.entries), remember(settings.entries));
        Self { settings, known, refused, waiting: AtomicUsize::new(0) }
    }

    pub(crate) fn forget(&self, issuer: &str) -> bool {
        self.refused.remove(issuer);
        self.known.remove(issuer).is_some()
    }

    /// What an issuer is told that there was no verifier for, not long ago.
    fn refusal(&self, issuer: &str) -> Option<AuthError> {
        self.refused.get(issuer).filter(|(_, until)| Instant::now() < *until).map(|(error, _)| error)
    }

    /// Waits for the verifier of an issuer that is not known.
    async fn resolve(&self, issuer: &str) -> Result<JwtVerifier<C>, AuthError> {
        let place = match self.known.get_value_or_guard_async(issuer).await {
            Ok(known) => return Ok(known.verifier()),
            Err(place) => place,
        };
        // Whoever had this place before may have been refused.
        if let Some(error) = self.refusal(issuer) {
            return Err(error);
        }
        let verifier = self.ask(issuer).await?;
        // It fails where the place has been taken away, in which case the next one asks anew.
        let _ = place.insert(Known::new(&verifier));
        Ok(verifier)
    }

    /// Asks anew for the verifier of an issuer that has been known for long. If that fails, the old one serves on.
    async fn renew(&self, issuer: &str, Renewal(known): &Renewal<C>) -> Result<JwtVerifier<C>, AuthError> {
        let result = match self.ask(issuer).await {
            Err(error) if error.kind() == AuthErrorKind::WrongIssuer => Err(error),
            Err(_) => Ok(known.verifier()),
            Ok(verifier) => Ok(verifier),
        };
        // Nothing but what is being renewed: the issuer may have been removed meanwhile, and found anew by others.
        match &result {
            Ok(verifier) => known.renew(verifier),
            Err(_) => drop(self.known.remove_if(issuer, |other| Arc::ptr_eq(other, known))),
        }
        result
    }

    /// Asks the application, and remembers a refusal.
    async fn ask(&self, issuer: &str) -> Result<JwtVerifier<C>, AuthError> {
        let (error, age) = match (self.settings.resolve)(issuer.to_owned()).await {
            Ok(Some(verifier)) if verifier.issuers().iter().any(|demanded| demanded == issuer) => {
                return Ok(verifier);
            }
            Ok(Some(_)) => {
                let cause = "the verifier that was resolved does not demand the issuer it is for";
                (AuthError::keys_unavailable(cause), FAILURE_AGE)
            }
            Ok(None) => {
                let age = self.settings.max_age.clamp(FAILURE_AGE, LONGEST_ABSENCE);
                (AuthErrorKind::WrongIssuer.into(), age)
            }
            Err(cause) => (AuthError::keys_unavailable(cause), FAILURE_AGE),
        };
        self.refused.insert(issuer.to_owned(), (error.clone(), Instant::now() + age));
        Err(error)
    }
}

impl<C> Resolver<C>
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    pub(crate) fn verify(self: &Arc<Self>, issuer: &str, token: &[u8]) -> Verdict<C> {
        let max_age = self.settings.max_age;
        if let Some(known) = self.known.get(issuer) {
            if known.is_fresh(max_age) {
                return known.verifier().verify_bytes(token);
            }
            if let Some(renewal) = Renewal::begin(&known, max_age) {
                // As a rule one for each issuer that is known: there is always room for it.
                let (resolver, issuer, token) = (Arc::clone(self), issuer.to_owned(), token.to_owned());
                return Verdict::Pending(Box::pin(async move {
                    let verifier = resolver.renew(&issuer, &renewal).await?;
                    drop(renewal);
                    verifier.verify_bytes(&token).await
                }));
            }
            if !known.is_overdue(max_age.clamp(FAILURE_AGE, LONGEST_RENEWAL)) {
                return known.verifier().verify_bytes(token);
            }
            let _ = self.known.remove_if(issuer, |other| Arc::ptr_eq(other, &known));
        }
        if issuer.len() > LONGEST_ISSUER {
            return Verdict::Ready(Err(AuthErrorKind::WrongIssuer.into()));
        }
        if let Some(error) = self.refusal(issuer) {
            return Verdict::Ready(Err(error));
        }
        let Some(waiting) = Waiting::begin(self) else {
            let cause = "as many requests as may wait for issuers do so already";
            return Verdict::Ready(Err(AuthError::keys_unavailable(cause)));
        };
        let (issuer, token) = (issuer.to_owned(), token.to_owned());
        Verdict::Pending(Box::pin(async move {
            let verifier = waiting.0.resolve(&issuer).await?;
            drop(waiting);
            verifier.verify_bytes(&token).await
        }))
    }
}

impl<C> Known<C> {
    fn new(verifier: &JwtVerifier<C>) -> Arc<Self> {
        let current = ArcSwap::from_pointee((verifier.clone(), Instant::now()));
        Arc::new(Self { current, is_being_renewed: AtomicBool::new(false), asked: Mutex::default() })
    }

    /// There was an answer.
    fn renew(&self, verifier: &JwtVerifier<C>) {
        self.current.store(Arc::new((verifier.clone(), Instant::now())));
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether it has been asked for anew for so long that it is not to serve any more.
    fn is_overdue(&self, limit: Duration) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.as_ref().is_some_and(|asked| {
            let given_up = asked.times - 1;
            let since = if given_up > MOST_GIVEN_UP { asked.first } else { asked.latest };
            since.elapsed() >= limit
        })
    }

    fn verifier(&self) -> JwtVerifier<C> {
        self.current.load().0.clone()
    }

    fn is_fresh(&self, max_age: Duration) -> bool {
        self.current.load().1.elapsed() < max_age
    }
}

/// The one request that asks anew. When it has done so or is given up, another one may.
struct Renewal<C>(Arc<Known<C>>);

impl<C> Renewal<C> {
    /// `None` where another one does so already, or has just done so.
    fn begin(known: &Arc<Known<C>>, max_age: Duration) -> Option<Self> {
        let is_being_renewed = known.is_being_renewed.swap(true, Ordering::AcqRel);
        let renewal = (!is_being_renewed).then(|| Self(Arc::clone(known)))?;
        if known.is_fresh(max_age) {
            return None;
        }
        let now = Instant::now();
        let mut asked = known.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = asked.get_or_insert(Asked { first: now, latest: now, times: 0 });
        (asked.latest, asked.times) = (now, asked.times.saturating_add(1));
        Some(renewal)
    }
}

impl<C> Drop for Renewal<C> {
    fn drop(&mut self) {
        self.0.is_being_renewed.store(false, Ordering::Release);
    }
}

fn remember<T: Clone>(entries: usize) -> Remembered<T> {
    let entries = entries.max(1);
    Cache::with(entries, entries as u64, UnitWeighter, RandomState::new(), DefaultLifecycle::default())
}

/// One of those who may wait.
struct Waiting<C>(Arc<Resolver<C>>);

impl<C> Waiting<C> {
    fn begin(resolver: &Arc<Resolver<C>>) -> Option<Self> {
        let waiting = Self(Arc::clone(resolver));
        let others = resolver.waiting.fetch_add(1, Ordering::AcqRel);
        (others < resolver.settings.most_waiting).then_some(waiting)
    }
}

impl<C> Drop for Waiting<C> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
