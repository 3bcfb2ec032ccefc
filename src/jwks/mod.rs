//! Signing keys fetched from an OpenID provider.

mod client;
pub(crate) mod discovery;
pub(crate) mod documents;
mod fetch;
pub(crate) mod fetch_error;
pub(crate) mod fetch_url;
mod freshness;
#[cfg(feature = "remote-keys")]
mod https_client;
mod progress;
mod request_header;
mod schedule;
mod signs;
mod state;
mod stats;

use std::error::Error;
use std::fmt::{self, Formatter};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

pub use self::client::{ClientFuture, HttpClient};
#[cfg(feature = "remote-keys")]
pub use self::https_client::HttpsClient;
pub use self::stats::RemoteKeysStats;

use self::discovery::Discovery;
use self::documents::{Documents, LimitSettings};
use self::fetch::{Fetcher, Origin};
use self::fetch_url::{FetchUrl, PlainHttp};
use self::request_header::RequestHeader;
use self::schedule::Schedule;
use self::signs::Sign;
use self::state::{NO_RUNTIME, State, TaskGuard};
use crate::config_error::{ConfigError, SkippedKey};
use crate::error::AuthError;
use crate::observe;
use crate::sync::Mutex;
use crate::verify::{JwksRules, KeyIssuer, KeyLookup, KeySet, KeySource, KeysRef, Refresh};

/// Signing keys of an OpenID provider, fetched and refreshed in the background.
///
#[cfg_attr(feature = "remote-keys", doc = "```")]
#[cfg_attr(not(feature = "remote-keys"), doc = "```ignore")]
/// use tower_jwt_auth::jwks::RemoteKeys;
/// use tower_jwt_auth::{JwtVerifier, RegisteredClaims};
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// // Nothing is fetched yet: the provider may be down.
/// let keys = RemoteKeys::discover("https://id.example.com")?;
/// let verifier = JwtVerifier::<RegisteredClaims>::new(keys).audience("https://api.example.com");
///
/// let error = RemoteKeys::discover("http://id.example.com").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "cannot fetch keys from `http://id.example.com`: \
///      it needs to begin with `https://`, unless the client allows plain http"
/// );
/// # Ok(())
/// # }
/// ```
///
/// `discover` and `jwks` need the feature `remote-keys`, which brings an HTTP client. With `remote-keys-core` alone,
/// pass your own client to [`discover_with`](Self::discover_with) or [`jwks_with`](Self::jwks_with).
///
/// # Fetches
///
/// The first use starts the first fetch. Later fetches run [ahead of time](Self::refresh_between) in the background.
///
/// - A request whose key is held never waits, except the first one after [hours without use](Self::idle_timeout).
/// - A token with an unknown `kid` starts a fetch, which all such requests share. The request waits for a
///   [short time](Self::wait_timeout). It gets 401 if the new keys do not include its key.
/// - A token that the key of its `kid` has not signed also starts a fetch: a provider may reuse a `kid` after a reset.
/// - With no keys at all, a request waits for a whole [attempt](Self::fetch_timeout). Await [`ready`](Self::ready) at
///   start-up to avoid that.
///
/// The [cooldown](Self::cooldown) limits the number of fetches that tokens can start. A token with claims that the
/// verifier would reject anyway starts none.
///
/// One attempt fetches the discovery document and the JWK set, of [512 KiB](Self::max_document_bytes) at most each. A
/// set of more than 100 keys is invalid.
///
/// # Outages
///
/// An invalid response never replaces valid keys. During an outage the held keys stay in use until the
/// [outage limit](Self::outage_limit). A token that cannot be verified meanwhile gets 503, not 401.
///
/// # Background task
///
/// Clones share the keys: keep one for [`ready`](Self::ready), for health checks and for [`stats`](Self::stats).
///
/// - A task fetches the keys and discards them when they are too old. It runs in the tokio runtime of the first use and
///   ends with the last clone.
/// - It [rests](Self::idle_timeout) while nobody uses the keys.
/// - That runtime must stay alive while the keys are used. Enable its timers, and its I/O for the crate's own client.
/// - Changing a setting starts again without keys. Change settings before the first use.
#[derive(Clone)]
pub struct RemoteKeys(Arc<Shared>);

struct Shared {
    settings: Settings,
    state: Arc<State>,
    task: Mutex<Option<AbortHandle>>,
}

#[derive(Clone)]
struct Settings {
    client: Arc<dyn HttpClient>,
    origin: Origin,
    header: Option<RequestHeader>,
    rules: JwksRules,
    seed: KeySet,
    schedule: Schedule,
    wait_timeout: Duration,
    max_waiting: usize,
    ready_timeout: Duration,
    max_document_bytes: usize,
}

#[cfg(feature = "remote-keys")]
impl RemoteKeys {
    /// Fetches the keys of an issuer, found through its discovery document.
    ///
    /// The client looks in the place of [OpenID Connect Discovery 1.0, section 4][oidc], then in that of
    /// [RFC 8414, section 3][rfc8414]. The document must name exactly this issuer. A verifier with these keys requires
    /// this issuer of tokens, unless you set another one. If the document is elsewhere, use
    /// [`discover_at`](Self::discover_at).
    ///
    /// [oidc]: https://openid.net/specs/openid-connect-discovery-1_0.html
    /// [rfc8414]: https://www.rfc-editor.org/rfc/rfc8414#section-3
    ///
    /// # Errors
    ///
    /// - The issuer is not an `https` URL or a URL of this machine.
    /// - It has a query, a fragment or a user name.
    pub fn discover(issuer: &str) -> Result<Self, ConfigError> {
        Self::discover_with(issuer, HttpsClient::new())
    }

    /// Fetches the keys of an issuer whose discovery document is at this URL.
    ///
    /// Use it if the URL does not follow from the issuer, for example behind a reverse proxy. No other place is tried. The
    /// issuer may be any text.
    ///
    /// The document must name exactly this issuer. A document that names another one is a provider's mistake, or of another
    /// issuer: decide which, and pass the issuer that it names. If tokens have yet another `iss`, set it with
    /// [`JwtVerifier::issuer`](crate::JwtVerifier::issuer).
    ///
    /// ```
    /// use tower_jwt_auth::jwks::RemoteKeys;
    /// use tower_jwt_auth::{JwtVerifier, RegisteredClaims};
    ///
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// let keys = RemoteKeys::discover_at("acme.com", "https://id.example.com/.well-known/openid-configuration")?;
    /// let verifier = JwtVerifier::<RegisteredClaims>::new(keys).audience("https://api.example.com");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the URL is not an `https` URL or a URL of this machine. A query is allowed.
    pub fn discover_at(issuer: &str, url: &str) -> Result<Self, ConfigError> {
        Self::discover_at_with(issuer, url, HttpsClient::new())
    }

    /// Fetches the keys of the JWK set at this URL.
    ///
    /// The set does not name its issuer: set it with [`JwtVerifier::issuer`](crate::JwtVerifier::issuer).
    ///
    /// # Errors
    ///
    /// Same as [`discover`](Self::discover), but a query is allowed.
    pub fn jwks(url: &str) -> Result<Self, ConfigError> {
        Self::jwks_with(url, HttpsClient::new())
    }
}

impl RemoteKeys {
    /// Same as `discover`, with your own HTTP client or a configured `HttpsClient`.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL is invalid or not allowed.
    pub fn discover_with(issuer: &str, client: impl HttpClient + 'static) -> Result<Self, ConfigError> {
        let origin = Origin::Issuer(Discovery::new(issuer, &client)?);
        Ok(Self::new(Settings::new(Arc::new(client), origin)))
    }

    /// Same as `discover_at`, with your own HTTP client or a configured `HttpsClient`.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL is invalid or not allowed.
    pub fn discover_at_with(
        issuer: &str,
        url: &str,
        client: impl HttpClient + 'static,
    ) -> Result<Self, ConfigError> {
        let origin = Origin::Issuer(Discovery::at(issuer, url, &client)?);
        Ok(Self::new(Settings::new(Arc::new(client), origin)))
    }

    /// Same as `jwks`, with your own HTTP client or a configured `HttpsClient`.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL is invalid or not allowed.
    pub fn jwks_with(url: &str, client: impl HttpClient + 'static) -> Result<Self, ConfigError> {
        let address = FetchUrl::parse(url, PlainHttp::for_settings(client.allows_plain_http()))?;
        Ok(Self::new(Settings::new(Arc::new(client), Origin::Jwks(address))))
    }

    /// Sets a header for the requests to the provider, such as `Authorization`.
    ///
    /// By default there is none. The function makes the value for each request, on a thread that may block. So a token in a file may rotate. A second
    /// call replaces the header of the first one. If the function fails, the attempt fails.
    ///
    /// A pod that fetches the keys of its Kubernetes cluster:
    ///
    #[cfg_attr(feature = "remote-keys", doc = "```no_run")]
    #[cfg_attr(not(feature = "remote-keys"), doc = "```ignore")]
    /// use http::header::{AUTHORIZATION, HeaderValue};
    /// use tower_jwt_auth::JwtVerifier;
    /// use tower_jwt_auth::jwks::{HttpsClient, RemoteKeys};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    ///
    /// let client = HttpsClient::new().add_root_certificates(std::fs::read(format!("{ACCOUNT}/ca.crt"))?)?;
    /// let keys = RemoteKeys::jwks_with("https://kubernetes.default.svc/openid/v1/jwks", client)?
    ///     .request_header(AUTHORIZATION, || {
    ///         let token = std::fs::read_to_string(format!("{ACCOUNT}/token"))?;
    ///         Ok(HeaderValue::try_from(format!("Bearer {}", token.trim()))?)
    ///     });
    /// let verifier = JwtVerifier::<serde_json::Value>::new(keys)
    ///     .issuer("https://kubernetes.default.svc.cluster.local")
    ///     .audience("https://api.example.com");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Security
    ///
    /// The value is marked as sensitive. Logs, errors and `Debug` do not show it, except the errors of your function.
    ///
    /// Only one origin gets it: scheme, host and port of the URL, or of the issuer for [`discover`](Self::discover). If the
    /// discovery document names a JWK set of another origin, the request for that has no such header. Redirects are not
    /// followed.
    #[must_use]
    pub fn request_header(
        self,
        name: HeaderName,
        value: impl Fn() -> Result<HeaderValue, Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    ) -> Self {
        let header = RequestHeader::new(name, value, self.0.settings.origin.address().clone());
        self.set(|settings| settings.header = Some(header))
    }

    /// Sets the rules for reading the JWK set.
    ///
    /// Symmetric keys are skipped whatever the rules say, since a fetched set is public.
    #[must_use]
    pub fn rules(self, rules: JwksRules) -> Self {
        self.set(|settings| settings.rules = rules)
    }

    /// Sets keys to use until the first fetch, for example from a file.
    ///
    /// The [outage limit](Self::outage_limit) applies to them as if they had been fetched at the start. With a seed,
    /// [`ready`](Self::ready) and [`is_ready`](Self::is_ready) say nothing about the provider.
    #[must_use]
    pub fn seed(self, keys: KeySet) -> Self {
        self.set(|settings| settings.seed = keys)
    }

    /// Sets the limits for the refresh interval. Defaults: one minute and one hour.
    ///
    /// The provider's `Cache-Control` decides within these limits. Without one, the interval is ten minutes. Up to a
    /// fifth is subtracted at random. A key that the provider withdraws is used for at most this long, unless there is
    /// an outage. If the limits contradict each other, `floor` wins.
    #[must_use]
    pub fn refresh_between(self, floor: Duration, ceiling: Duration) -> Self {
        self.set(|settings| {
            settings.schedule.refresh_floor = floor;
            settings.schedule.refresh_ceiling = ceiling;
        })
    }

    /// Sets how often tokens can start a fetch. The default is 30 s.
    ///
    /// - Tokens with an unknown `kid` can start two fetches at once, and one more per cooldown. A `kid` that was not
    ///   found is not looked up again within a cooldown.
    /// - Tokens that no held key of their `kid` has signed, or that have no `kid`, have a separate limit of the same
    ///   size.
    /// - The first fetch and scheduled fetches do not count. A fetch that finds the wanted key does not count either,
    ///   once per cooldown and kind of token.
    /// - After a failed attempt, a token can start the next one a cooldown after the failed one began.
    ///
    /// The first token of a new key therefore finds it, even right after a fetch. One bad token per cooldown does not
    /// change that.
    ///
    /// # Security
    ///
    /// An attacker who knows the issuer and the audience can still delay a new key:
    ///
    /// - Two tokens per cooldown with valid-looking claims and invented `kid`s delay a key with a new `kid`.
    /// - Two tokens per cooldown with a bad signature delay a key without `kid`, or with a reused `kid`. A client that
    ///   repeats a token of a withdrawn key counts as well.
    ///
    /// The new key is then found after a cooldown at most, and its tokens get 401 until then. A provider that publishes
    /// a key before signing with it is not affected.
    #[must_use]
    pub fn cooldown(self, cooldown: Duration) -> Self {
        self.set(|settings| settings.schedule.cooldown = cooldown)
    }

    /// Sets the limits for the backoff. Defaults: one second and five minutes.
    ///
    /// After a failed attempt the delay starts at `floor` and doubles up to `ceiling`. Up to half is subtracted at
    /// random.
    #[must_use]
    pub fn retry_between(self, floor: Duration, ceiling: Duration) -> Self {
        self.set(|settings| {
            settings.schedule.retry_floor = floor;
            settings.schedule.retry_ceiling = ceiling;
        })
    }

    /// Sets the timeout of one attempt, including all its requests. The default is 5 s.
    ///
    /// While no keys are held, at start-up or after a [purge](Self::purge), requests wait for up to this long.
    #[must_use]
    pub fn fetch_timeout(self, limit: Duration) -> Self {
        self.set(|settings| settings.schedule.deadline = limit)
    }

    /// Sets how long keys are used that cannot be refreshed. The default is 24 hours.
    ///
    /// The time counts from the last successful fetch. Afterwards tokens get 503. Values below 100 ms count as 100 ms.
    /// Keys are refreshed after half of this limit at the latest, whatever the provider says.
    #[must_use]
    pub fn outage_limit(self, limit: Duration) -> Self {
        self.set(|settings| settings.schedule.outage_limit = limit.max(schedule::MIN_WAIT))
    }

    /// Sets how long the keys are refreshed without use. The default is three hours.
    ///
    /// Afterwards the keys rest: the background task fetches nothing. So idle tenants of a service cause no traffic.
    ///
    /// - The next request first waits for a fetch, as at start-up. The key of its token may have been withdrawn meanwhile.
    /// - If that fetch fails, the held keys serve on within their [outage limit](Self::outage_limit), which counts from the
    ///   last successful fetch.
    /// - A token with claims that the verifier would reject anyway ends no rest.
    /// - A verification and a call of [`is_ready`](Self::is_ready) or [`ready`](Self::ready) count as a use. Keys that a
    ///   readiness probe asks for never rest.
    /// - An outage delays the rest until the keys are back or discarded.
    ///
    /// The rest begins with the first refresh that is due after this time. `Duration::MAX` turns it off.
    #[must_use]
    pub fn idle_timeout(self, limit: Duration) -> Self {
        self.set(|settings| settings.schedule.idle_timeout = limit)
    }

    /// Sets how long a request waits for an unknown key. The default is 2 s.
    ///
    /// The request then gets 503, and the fetch continues. While no keys are held,
    /// [`fetch_timeout`](Self::fetch_timeout) applies instead.
    #[must_use]
    pub fn wait_timeout(self, limit: Duration) -> Self {
        self.set(|settings| settings.wait_timeout = limit)
    }

    /// Sets how many requests may wait at once. The default is 1,000.
    ///
    /// Further requests get 503 at once. At most half of the places are for tokens that the held keys have not signed;
    /// further ones of those get 401.
    #[must_use]
    pub fn max_waiting(self, requests: usize) -> Self {
        self.set(|settings| settings.max_waiting = requests)
    }

    /// Sets the maximum size of a fetched document. The default is 512 KiB.
    ///
    /// It applies to the discovery document and to the JWK set.
    ///
    /// A larger document makes the attempt fail.
    #[must_use]
    pub fn max_document_bytes(self, bytes: usize) -> Self {
        self.set(|settings| settings.max_document_bytes = bytes)
    }

    /// Sets the timeout of [`ready`](Self::ready). The default is 30 s.
    #[must_use]
    pub fn ready_timeout(self, limit: Duration) -> Self {
        self.set(|settings| settings.ready_timeout = limit)
    }

    /// Waits until keys are held, or until the [timeout](Self::ready_timeout).
    ///
    /// Await it at start-up, before you listen. Then no request waits for the first fetch.
    ///
    /// ```
    /// use tower_jwt_auth::jwks::RemoteKeys;
    ///
    /// /// Continues in any case: the service answers with 503 until the provider is back.
    /// async fn wait_for_keys(keys: &RemoteKeys) {
    ///     if let Err(error) = keys.ready().await {
    ///         eprintln!("no keys yet: {error}");
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if no keys are held at the timeout. Its `source` chain says why the last attempt failed.
    pub async fn ready(&self) -> Result<(), AuthError> {
        if self.is_ready() {
            return Ok(());
        }
        if !self.ensure_task() {
            return Err(AuthError::keys_unavailable(NO_RUNTIME));
        }
        self.0.state.ready(self.0.settings.ready_timeout).await
    }

    /// Returns true if keys are held now. Use it in a readiness probe.
    ///
    /// The first call starts the fetch, and returns false unless there is a seed. With several providers, check each
    /// one.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ensure_task();
        self.0.state.signs.clear(Sign::Unused);
        self.0.state.wake();
        !self.0.state.keys.current().is_empty()
    }

    /// Discards the held keys at once and fetches new ones, regardless of the cooldown.
    ///
    /// Use it when a signing key is compromised. Until new keys arrive, requests wait as at start-up.
    pub fn purge(&self) {
        self.0.state.purge();
        self.ensure_task();
    }

    /// Returns counters since the start. Clones share them.
    #[must_use]
    pub fn stats(&self) -> RemoteKeysStats {
        let State { counts, progress, keys, .. } = &*self.0.state;
        let keys = keys.current();
        RemoteKeysStats {
            fetches: counts.fetches.sum(),
            failures: counts.failures.sum(),
            stale_uses: counts.stale_uses.sum(),
            unknown_keys: counts.unknown_keys.sum(),
            cooldown_hits: counts.cooldown_hits.sum(),
            rejected_waiters: counts.rejected_waiters.sum(),
            keys: keys.len(),
            skipped: keys.skipped_keys().len(),
            age: progress.borrow().confirmed.map(|confirmed| confirmed.elapsed()),
        }
    }

    /// Returns the keys of the current set that cannot be used, with the reasons.
    ///
    /// A fetch that changes this list logs a warning (feature `tracing`).
    ///
    /// ```
    /// # use tower_jwt_auth::jwks::RemoteKeys;
    /// fn print_skipped(keys: &RemoteKeys) {
    ///     for key in keys.skipped_keys() {
    ///         eprintln!("{key}"); // key 1 (`k2`): the JWK cannot be used: its `use` is not `sig`
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn skipped_keys(&self) -> Vec<SkippedKey> {
        self.0.state.keys.current().skipped_keys().to_vec()
    }

    /// Returns the error of the last attempt, or `None` after a success.
    #[must_use]
    pub fn last_error(&self) -> Option<Arc<dyn Error + Send + Sync>> {
        let error = self.0.state.progress.borrow().outcome.as_ref().err().cloned();
        error.map(|error| error as Arc<dyn Error + Send + Sync>)
    }

    /// Returns true for clones of the same keys.
    #[cfg(feature = "settings")]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn new(settings: Settings) -> Self {
        let Settings { origin, seed, schedule, wait_timeout, max_waiting, .. } = &settings;
        let state = State::new(origin.name(), seed.clone(), schedule.clone(), *wait_timeout, *max_waiting);
        let state = Arc::new(state);
        Self(Arc::new(Shared { settings, state, task: Mutex::new(None) }))
    }

    fn set(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.0.settings.clone();
        change(&mut settings);
        Self::new(settings)
    }

    /// Returns the keys of a request, and does what the signs ask for.
    #[cold]
    fn attended(&self) -> KeysRef<'_> {
        let state = &*self.0.state;
        self.ensure_task();
        state.signs.clear(Sign::Unused);
        if state.signs.has(Sign::AtRest) {
            return KeysRef::from(&state.none);
        }
        if state.signs.has(Sign::Stale) {
            state.counts.stale_uses.add();
            observe::stale_use(&state.provider);
        }
        state.keys.current()
    }

    /// Starts the background task if it is not running. Returns false without a runtime.
    fn ensure_task(&self) -> bool {
        let Shared { settings, state, task } = &*self.0;
        if !state.signs.has(Sign::NoTask) {
            return true;
        }
        // Without a task, nobody has checked the age of the keys.
        state.discard_expired();
        let Ok(runtime) = Handle::try_current() else {
            return false;
        };
        let mut task = task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(guard) = TaskGuard::begin(state) {
            let Settings { client, origin, header, rules, schedule, max_document_bytes, .. } =
                settings.clone();
            let settings = LimitSettings {
                deadline: Some("RemoteKeys::fetch_timeout"),
                size: Some("RemoteKeys::max_document_bytes"),
            };
            let (limit, max_bytes) = (schedule.deadline, max_document_bytes);
            let documents = Documents { client, header, limit, max_bytes, settings };
            let fetcher = Fetcher::new(documents, origin, rules);
            *task = Some(runtime.spawn(Arc::clone(state).run(fetcher, guard)).abort_handle());
            drop(task);
            state.publish_key_counts();
        }
        true
    }
}

impl KeySource for RemoteKeys {
    #[inline]
    fn current(&self) -> KeysRef<'_> {
        let state = &*self.0.state;
        if state.signs.are_clear() { state.keys.current() } else { self.attended() }
    }

    fn refresh(&self, lookup: KeyLookup<'_>) -> Refresh {
        // The waiting future itself needs a runtime with timers.
        let can_wait = Handle::try_current().is_ok() && self.ensure_task();
        self.0.state.refresh(lookup, can_wait)
    }

    fn issuer(&self) -> KeyIssuer<'_> {
        match &self.0.settings.origin {
            Origin::Issuer(discovery) => KeyIssuer::Known(discovery.issuer()),
            Origin::Jwks(_) => KeyIssuer::MustBeSet,
        }
    }
}

impl Settings {
    fn new(client: Arc<dyn HttpClient>, origin: Origin) -> Self {
        Self {
            client,
            origin,
            header: None,
            rules: JwksRules::new(),
            seed: KeySet::new([]),
            schedule: Schedule::new(),
            wait_timeout: Duration::from_secs(2),
            max_waiting: 1000,
            ready_timeout: Duration::from_secs(30),
            max_document_bytes: 512 * 1024,
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
        self.state.held.end();
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Settings { origin, schedule, .. } = &self.0.settings;
        f.debug_struct("RemoteKeys")
            .field("origin", origin)
            .field("schedule", schedule)
            .finish_non_exhaustive()
    }
}
