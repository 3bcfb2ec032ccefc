//! Lookup of issuers on demand.

mod known;
mod lookup;
mod lookup_rate;
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
use crate::challenges::Challenges;
use crate::error::AuthError;

/// Looks up the verifiers of issuers that [`Issuers`](crate::verifiers::Issuers) does not contain.
///
/// Use it for many tenants, for example in a database. It remembers their verifiers. Each lookup runs in the tokio runtime of
/// the request, which needs timers enabled.
///
/// ```
/// use std::error::Error;
///
/// use tower_jwt_auth::verifiers::{IssuerResolver, Issuers};
/// use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims};
///
/// #[derive(Clone)]
/// struct Database; // a connection pool
///
/// impl Database {
///     async fn secret_of(&self, issuer: &str) -> Result<Option<[u8; 32]>, std::io::Error> {
///         Ok((issuer == "https://tenant-1.example.com").then_some(*b"the secret of tenant-1, 32 bytes"))
///     }
/// }
///
/// # fn main() {
/// # let database = Database;
/// let resolver = IssuerResolver::new(move |issuer: String| {
///     let database = database.clone(); // for each lookup
///     async move {
///         let Some(secret) = database.secret_of(&issuer).await? else { // an error: 503
///             return Ok(None); // no such tenant: 401
///         };
///         let keys = KeySet::hmac(Algorithm::HS256, secret)?;
///         let verifier = JwtVerifier::<RegisteredClaims>::new(keys).issuer(issuer);
///         Ok::<_, Box<dyn Error + Send + Sync>>(Some(verifier))
///     }
/// })
/// .filter(|issuer| issuer.starts_with("https://tenant-") && issuer.ends_with(".example.com"));
/// let issuers = Issuers::default().resolver(resolver);
/// # }
/// ```
///
/// The example `tenants` has a table of tenants and a pool of sqlx: `cargo run --example tenants`.
///
/// # Renewal and outages
///
/// The resolver renews a verifier before it reaches [`max_age`](Self::max_age), in the background. If the renewal fails
/// or hangs, the old verifier stays in use until the [`outage_limit`](Self::outage_limit).
///
/// A new verifier verifies every token again and starts without fetched keys. Keep the `RemoteKeys` of each tenant in your own
/// map, and give the verifier a clone. The keys of an idle tenant are not refreshed: see `RemoteKeys::idle_timeout`.
///
/// # Security
///
/// Anyone can send a token that names any issuer. Look it up in your own records. Never fetch anything from an address in a
/// token.
///
/// - **Cost.** All requests for one issuer share one lookup. Lookups that find no issuer are limited by the
///   [`lookup_rate`](Self::lookup_rate) and remembered for up to a minute. Unknown issuers never evict or delay known ones.
///   Set [`max_entries`](Self::max_entries) to at least the number of tenants: beyond it, tokens of real tenants cause lookups
///   that no rate limits.
/// - **Waiting.** A request waits at most for the [`wait_timeout`](Self::wait_timeout). The first request for an issuer
///   always may wait. Later ones share [`max_waiting`](Self::max_waiting).
/// - **Disclosure.** Clients get the same response for an unknown issuer as for a known one with a bad signature: 401 with
///   [`UnknownKey`](crate::AuthErrorKind::UnknownKey). The cause in the error and the log tells them apart.
///
/// Three limits remain:
///
/// - After a restart every issuer is unknown. An attacker who then sends more invented issuers than the rate allows delays
///   new tenants: they get 503 and are resolved a few at a time. A [`filter`](Self::filter) that rejects invented issuers
///   prevents this. Known tenants are not affected.
/// - The response time differs between a remembered issuer and one that is looked up.
/// - While lookups fail or the rate is exceeded, unknown issuers get 503 and known ones 401. The same holds if the keys of one
///   tenant cannot be fetched, and if the resolver fails only for some issuers. Return `None` for issuers that do not exist.
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
    pub(super) challenges: Challenges,
}

type Resolve<C> = dyn Fn(String, &TokenCache<C>) -> Resolving<C> + Send + Sync;

type Filter = dyn Fn(&str) -> bool + Send + Sync;

type Resolving<C> =
    Pin<Box<dyn Future<Output = Result<Option<AnyVerifier<C>>, Box<dyn Error + Send + Sync>>> + Send>>;

impl<C> IssuerResolver<C> {
    /// Creates a resolver that calls `resolve` for the verifier of an issuer.
    ///
    /// `resolve` returns `None` for an issuer that does not exist. It returns an error if it cannot tell: the request then gets
    /// 503. The verifier must name the same [issuer](Verify::issuers): call [`JwtVerifier::issuer`](super::JwtVerifier::issuer).
    ///
    /// A lookup continues if its client disconnects.
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
            challenges: Challenges::bearer(),
        }
    }

    /// Sets a cheap check of the issuer, for example of its host.
    ///
    /// The resolver rejects other issuers without a lookup. By default it looks up every issuer. Set a filter if the issuers of
    /// your tenants have a common form: unauthenticated clients then cannot delay new tenants.
    pub fn filter(self, filter: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { filter: Some(Arc::new(filter)), ..self }
    }

    /// Sets the schemes of the resolved verifiers. The default is `Bearer`.
    ///
    /// The layer needs them at set-up, before the first lookup. If a verifier accepts DPoP-bound tokens, pass the
    /// [challenges](Verify::challenges) of any such verifier. The verifiers need clones of one `Dpop`: a new one has no memory
    /// of the proofs that earlier ones accepted.
    pub fn challenges(self, challenges: Challenges) -> Self {
        Self { challenges, ..self }
    }

    /// Sets the number of remembered issuers. The default is 1,000.
    ///
    /// It holds exactly for known issuers, and approximately for unknown ones. Set it to at least the number of tenants:
    /// otherwise the resolver looks some of them up again and again.
    pub fn max_entries(self, entries: usize) -> Self {
        Self { entries, ..self }
    }

    /// Sets the limits of the token cache that all issuers share.
    ///
    /// The default is [`CacheSettings::new`]. Each resolved [`JwtVerifier`] uses this cache instead of its own one. Its
    /// [`max_age`](CacheSettings::max_age) and [`without_cache`](JwtVerifier::without_cache) still apply. A clone that you keep
    /// has its own cache, which stays empty, and so do its statistics.
    ///
    /// A `JwtVerifier` inside another verifier, such as `AnyOf`, keeps its own cache: set a small one.
    ///
    /// # Security
    ///
    /// Tenants compete for the cache. A tenant that sends many valid tokens evicts those of others, which are then verified
    /// again.
    pub fn cache(self, settings: CacheSettings) -> Self {
        Self { cache: TokenCache::new(settings), ..self }
    }

    /// Sets the age after which a verifier is resolved again. The default is 10 min.
    ///
    /// A changed or removed tenant takes effect within this time.
    /// [`Issuers::remove`](crate::verifiers::Issuers::remove) takes effect at once.
    ///
    /// - A verifier in use is renewed in the background, after 70 % to 90 % of this time.
    /// - Requests for an expired verifier wait for the renewal.
    /// - A failed renewal is repeated after ten seconds. No request waits for the repetition.
    /// - An issuer that does not exist is remembered for this time, but at most for a minute.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.limits.max_age = max_age;
        self
    }

    /// Sets how long a verifier stays in use while renewal fails. The default is 24 h.
    ///
    /// The time counts from the last successful lookup. Afterwards its tokens get 503.
    pub fn outage_limit(mut self, limit: Duration) -> Self {
        self.limits.outage_limit = limit;
        self
    }

    /// Sets the timeout of one lookup. The default is 5 s.
    pub fn lookup_timeout(self, limit: Duration) -> Self {
        Self { lookup_timeout: limit, ..self }
    }

    /// Sets how long a request waits for a lookup. The default is 2 s.
    ///
    /// The request then gets 503, and the lookup continues. A wait for the issuer's keys (`RemoteKeys`) is added to this time.
    pub fn wait_timeout(mut self, limit: Duration) -> Self {
        self.limits.wait_timeout = limit;
        self
    }

    /// Limits lookups of unknown issuers: `burst` at once, then `per_second`.
    ///
    /// The default is 2,000 and 200. Successful lookups do not count, so all tenants are back soon after a restart. Renewals
    /// never count. A request over the limit waits for its turn within the [`wait_timeout`](Self::wait_timeout), or gets 503
    /// at once.
    pub fn lookup_rate(self, burst: u32, per_second: u32) -> Self {
        Self { lookup_rate: (burst, per_second), ..self }
    }

    /// Limits requests that wait for lookups of other requests. The default is 1,000.
    ///
    /// Further requests get 503 at once, or the old verifier during a renewal.
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

/// Makes a `JwtVerifier` use this cache. Other verifiers are unchanged.
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
    AuthError::keys_unavailable("cannot look up the issuer: there is no tokio runtime")
}
