use std::error::Error;
use std::fmt::{self, Formatter};
use std::future::Future;
use std::hash::RandomState;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use serde::de::DeserializeOwned;

use super::jwt::JwtVerifier;
use super::{Verdict, Verify};
use crate::error::AuthError;
use crate::kind::AuthErrorKind;

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
///     (issuer == "https://tenant-1.example.com").then_some([1; 32])
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
    /// It is asked once for all who wait for the same issuer. It has to see to it by itself that it does not take too
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

    /// Sets how many issuers are remembered at most, and as many that there are not. The default is 1,000.
    pub fn entries(self, entries: usize) -> Self {
        Self { entries, ..self }
    }

    /// Sets for how long an issuer is remembered, or that there is none. The default is ten minutes.
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// Sets how many requests may wait at once for an issuer to be resolved. The default is 1,000. More of them are
    /// answered with 503 at once.
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
    known: Remembered<JwtVerifier<C>>,
    /// Apart from those that there are, so that no number of these pushes one of them out.
    unknown: Remembered<()>,
    waiting: AtomicUsize,
}

/// Each with the time since when.
type Remembered<T> = Cache<String, (T, Instant), UnitWeighter, RandomState>;

/// How many bytes an issuer may have that is not known yet: what is remembered of it is bounded, too.
const LONGEST_ISSUER: usize = 1024;

impl<C> Resolver<C> {
    pub(crate) fn new(settings: IssuerResolver<C>) -> Self {
        let (known, unknown) = (remember(settings.entries), remember(settings.entries));
        Self { settings, known, unknown, waiting: AtomicUsize::new(0) }
    }

    pub(crate) fn forget(&self, issuer: &str) -> bool {
        self.known.remove(issuer).is_some()
    }

    fn is_fresh(&self, since: Instant) -> bool {
        since.elapsed() < self.settings.max_age
    }

    fn is_unknown(&self, issuer: &str) -> bool {
        self.unknown.get(issuer).is_some_and(|((), since)| self.is_fresh(since))
    }

    /// Asks for the verifier of an issuer, unless somebody else does so already.
    async fn resolve(&self, issuer: &str) -> Result<JwtVerifier<C>, AuthError> {
        let place = match self.known.get_value_or_guard_async(issuer).await {
            Ok((verifier, _)) => return Ok(verifier),
            Err(place) => place,
        };
        // Whoever had this place before may have found that there is none.
        if self.is_unknown(issuer) {
            return Err(AuthErrorKind::WrongIssuer.into());
        }
        let resolved = (self.settings.resolve)(issuer.to_owned()).await;
        let Some(verifier) = resolved.map_err(AuthError::keys_unavailable)? else {
            self.unknown.insert(issuer.to_owned(), ((), Instant::now()));
            return Err(AuthErrorKind::WrongIssuer.into());
        };
        if !verifier.issuers().iter().any(|demanded| demanded == issuer) {
            let cause = "the verifier that was resolved does not demand the issuer it is for";
            return Err(AuthError::keys_unavailable(cause));
        }
        // It fails where the place has been taken away, in which case the next one asks anew.
        let _ = place.insert((verifier.clone(), Instant::now()));
        Ok(verifier)
    }
}

impl<C> Resolver<C>
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    pub(crate) fn verify(self: &Arc<Self>, issuer: &str, token: &[u8]) -> Verdict<C> {
        match self.known.get(issuer) {
            Some((verifier, since)) if self.is_fresh(since) => return verifier.verify_bytes(token),
            Some(_) => {
                self.known.remove_if(issuer, |(_, since)| !self.is_fresh(*since));
            }
            None => {}
        }
        if issuer.len() > LONGEST_ISSUER || self.is_unknown(issuer) {
            return Verdict::Ready(Err(AuthErrorKind::WrongIssuer.into()));
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
