//! Issuers that are looked up when one of their tokens arrives.

mod known;
mod lookup;
mod lookup_rate;
mod owned_credential;
mod resolver;

use std::any::Any;
use std::error::Error;
use std::fmt::{self, Formatter};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use self::known::Limits;
pub(crate) use self::resolver::Resolver;
use super::cache::{CacheSettings, TokenCache};
use super::jwt::JwtVerifier;
use super::{AnyVerifier, Verify};
use crate::error::AuthError;

/// Looks up the verifiers of issuers that [`Issuers`](crate::verifiers::Issuers) does not hold, and remembers them.
///
/// Use it for many tenants, which are in a database for example. It runs each look-up in the tokio runtime that serves
/// the request, which needs timers enabled.
///
/// ```
/// use tower_jwt_auth::verifiers::{IssuerResolver, Issuers};
/// use tower_jwt_auth::{Algorithm, ConfigError, JwtVerifier, KeySet, RegisteredClaims};
///
/// #[derive(Clone)]
/// struct Database; // a connection pool
///
/// impl Database {
///     async fn secret_of(&self, issuer: &str) -> Option<[u8; 32]> {
///         (issuer == "https://tenant-1.example.com").then_some(*b"the secret of tenant-1, 32 bytes")
///     }
/// }
///
/// # fn main() -> Result<(), ConfigError> {
/// # let database = Database;
/// let resolver = IssuerResolver::new(move |issuer: String| {
///     let database = database.clone(); // for each look-up
///     async move {
///         let Some(secret) = database.secret_of(&issuer).await else {
///             return Ok(None);
///         };
///         let keys = KeySet::hmac(Algorithm::HS256, secret)?;
///         Ok::<_, ConfigError>(Some(JwtVerifier::<RegisteredClaims>::new(keys).issuer(issuer)))
///     }
/// })
/// .filter(|issuer| issuer.starts_with("https://tenant-") && issuer.ends_with(".example.com"));
/// let issuers = Issuers::default().resolver(resolver);
/// # Ok(())
/// # }
/// ```
///
/// # Renewal and outages
///
/// The resolver renews a verifier before it reaches [`max_age`](Self::max_age), in the background. If the renewal fails
/// or hangs, the verifier serves on until the [`outage_limit`](Self::outage_limit).
///
/// A new verifier verifies every token again, and starts without fetched keys. Keep the `RemoteKeys` of each tenant in a map of
/// your own, and give the verifier a clone.
///
/// # Security
///
/// Anyone can send a token that names any issuer. Look the issuer up among those you know, and never fetch anything
/// from an address because a token names it.
///
/// - **Cost.** All requests for one issuer share one look-up. Look-ups that find no issuer are limited by the
///   [`lookup_rate`](Self::lookup_rate), and remembered for up to a minute. Known issuers have room of their own: no
///   number of unknown ones evicts or delays them. With more tenants than [`max_entries`](Self::max_entries), tokens that name
///   real tenants cause look-ups that no rate limits, so allow as many entries as there are tenants.
/// - **Waiting.** A request waits for the [`wait_timeout`](Self::wait_timeout) at most. The first request for an issuer
///   always has a place, later ones share [`max_waiting`](Self::max_waiting).
/// - **Disclosure.** Clients get the same response for an unknown issuer as for a known one whose signature does not
///   match: 401 with [`UnknownKey`](crate::AuthErrorKind::UnknownKey). The cause in the error and the log tells them apart.
///
/// Three things remain:
///
/// - After a restart every issuer is unknown. Someone who then sends more invented issuers than the rate allows can
///   delay new tenants, which get 503 and come in a few at a time. Only a [`filter`](Self::filter) that rejects
///   the invented ones prevents that. Tenants that are known are not affected.
/// - The response time differs between an issuer that is remembered and one that is looked up.
/// - 503 says that a token was not judged. While look-ups fail or the rate is exceeded, unknown issuers get 503 and
///   known ones 401. The same holds where the keys of one tenant cannot be fetched, and where the resolver fails for
///   some issuers only: return `None` for each that does not exist.
#[must_use]
pub struct IssuerResolver<C> {
    resolve: Arc<Resolve<C>>,
    cache: TokenCache<C>,
    filter: Option<Arc<Filter>>,
    entries: usize,
    limits: Limits,
    lookup_timeout: Duration,
    lookup_rate: (u32, u32),
    max_waiting: usize,
}

type Resolve<C> = dyn Fn(String, &TokenCache<C>) -> Resolving<C> + Send + Sync;

type Filter = dyn Fn(&str) -> bool + Send + Sync;

type Resolving<C> =
    Pin<Box<dyn Future<Output = Result<Option<AnyVerifier<C>>, Box<dyn Error + Send + Sync>>> + Send>>;

impl<C> IssuerResolver<C> {
    /// A resolver that asks `resolve` for the verifier of an issuer.
    ///
    /// `resolve` returns `None` for an issuer that does not exist, and an error if it cannot tell: the request is then
    /// answered with 503. The verifier must name that very [issuer](Verify::issuers), as a
    /// [`JwtVerifier`](super::JwtVerifier) does that [requires](super::JwtVerifier::issuer) it.
    ///
    /// A look-up goes on if the client that caused it goes away.
    pub fn new<F, Fut, V, E>(resolve: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static, // Clone first: `move |issuer| { let db = db.clone(); async move { .. } }`.
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        V: Verify<Claims = C> + 'static,
        E: Into<Box<dyn Error + Send + Sync>>, // Name it: `Ok::<_, YourError>(..)`.
        C: Send + Sync + 'static,
    {
        Self {
            resolve: Arc::new(move |issuer, cache| {
                let (resolving, cache) = (resolve(issuer), cache.clone());
                Box::pin(async move {
                    let verifier = resolving.await.map_err(Into::into)?;
                    Ok(verifier.map(|verifier| Arc::new(sharing(verifier, &cache)) as AnyVerifier<C>))
                })
            }),
            cache: TokenCache::new(CacheSettings::new()),
            filter: None,
            entries: 1000,
            limits: Limits {
                max_age: Duration::from_secs(10 * 60),
                outage_limit: Duration::from_secs(24 * 60 * 60),
                wait_timeout: Duration::from_secs(2),
            },
            lookup_timeout: Duration::from_secs(5),
            lookup_rate: (2000, 200),
            max_waiting: 1000,
        }
    }

    /// Sets a cheap check of the issuer's form, for example its host. An issuer that fails it is never looked up.
    ///
    /// The default lets every issuer through. Set one wherever the issuers of your tenants have a form in common, or
    /// can be listed in memory: it costs strangers the means to delay new tenants.
    pub fn filter(self, filter: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { filter: Some(Arc::new(filter)), ..self }
    }

    /// Sets how many known issuers are remembered, exactly, and about how many unknown ones. The default is 1,000.
    ///
    /// Allow as many as you have tenants: if there are more, the resolver looks some of them up again and again.
    pub fn max_entries(self, entries: usize) -> Self {
        Self { entries, ..self }
    }

    /// Sets how many verified tokens are cached for all issuers together. The default is [`CacheSettings::new`].
    ///
    /// Each [`JwtVerifier`] that the resolver finds uses this cache instead of one of its own. It keeps its own
    /// [`max_age`](CacheSettings::max_age), and [`without_cache`](JwtVerifier::without_cache). The statistics of a clone that
    /// you have kept are those of its own cache, which stays empty.
    ///
    /// A `JwtVerifier` inside another verifier (`AnyOf`, or one of your own) keeps its own cache: give it a small one.
    ///
    /// # Security
    ///
    /// Tenants compete for the cache. One that sends many valid tokens often evicts those of others, which then cost a signature
    /// check again.
    pub fn cache(self, settings: CacheSettings) -> Self {
        Self { cache: TokenCache::new(settings), ..self }
    }

    /// Sets how old a verifier may be while the resolver answers. The default is ten minutes.
    ///
    /// A change or removal of a tenant takes effect within this time, or at once by [`Issuers::remove`](crate::verifiers::Issuers::remove).
    /// Verifiers in use are renewed in the background, after 70 % to 90 % of it. For one that was not used meanwhile,
    /// requests wait until it is renewed. A failed renewal is repeated after ten seconds, and no request waits for that.
    ///
    /// An issuer that does not exist is remembered for this time as well, but no longer than a minute.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.limits.max_age = max_age;
        self
    }

    /// Sets how long a verifier serves that cannot be renewed, counted from when it was last resolved. The default is
    /// 24 hours. After that, its tokens are answered with 503.
    pub fn outage_limit(mut self, limit: Duration) -> Self {
        self.limits.outage_limit = limit;
        self
    }

    /// Sets how long one look-up may take before it counts as failed. The default is 5 s.
    pub fn lookup_timeout(self, limit: Duration) -> Self {
        Self { lookup_timeout: limit, ..self }
    }

    /// Sets how long a request waits at most for its issuer to be looked up. The default is 2 s. It is then answered
    /// with 503; the look-up goes on. A wait for the keys of the issuer (`RemoteKeys`) comes on top.
    pub fn wait_timeout(mut self, limit: Duration) -> Self {
        self.limits.wait_timeout = limit;
        self
    }

    /// Sets how many unknown issuers may be looked up: `burst` at once, and then `per_second`. The default is 2,000 and
    /// 200.
    ///
    /// Look-ups that find an issuer do not count once they have, so that all tenants are back soon after a restart.
    /// Renewals never count. A request over the limit waits for its turn if that comes within the
    /// [`wait_timeout`](Self::wait_timeout), and otherwise is answered with 503 at once.
    pub fn lookup_rate(self, burst: u32, per_second: u32) -> Self {
        Self { lookup_rate: (burst, per_second), ..self }
    }

    /// Sets how many requests may wait at once for a look-up that another request began. The default is 1,000. More of
    /// them are answered with 503 at once, or by the old verifier if it is being renewed.
    pub fn max_waiting(self, requests: usize) -> Self {
        Self { max_waiting: requests, ..self }
    }
}

impl<C> fmt::Debug for IssuerResolver<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerResolver")
            .field("entries", &self.entries)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Has a `JwtVerifier` use this cache. Verifiers of other types are left as they are.
fn sharing<V: 'static, C: 'static>(mut verifier: V, cache: &TokenCache<C>) -> V {
    let any = &mut verifier as &mut dyn Any;
    if let Some(verifier) = any.downcast_mut::<JwtVerifier<C>>() {
        verifier.share_cache(cache);
    } else if let Some(verifier) = any.downcast_mut::<Arc<JwtVerifier<C>>>() {
        Arc::make_mut(verifier).share_cache(cache);
    }
    verifier
}

fn no_runtime() -> AuthError {
    AuthError::keys_unavailable("issuers are looked up in a tokio runtime, and there is none here")
}
