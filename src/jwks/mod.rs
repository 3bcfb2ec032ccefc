//! Keys fetched from an OpenID provider, and kept through its outages.

mod client;
mod fetch;
mod fetch_error;
mod fetch_url;
mod freshness;
#[cfg(feature = "remote-keys")]
mod https_client;
mod progress;
mod schedule;
mod state;
mod stats;

use std::fmt::{self, Formatter};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

pub use self::client::{ClientFuture, HttpClient};
#[cfg(feature = "remote-keys")]
pub use self::https_client::HttpsClient;
pub use self::stats::RemoteKeysStats;

use self::fetch::{Fetcher, Origin};
use self::fetch_url::{FetchUrl, PlainHttp, metadata_addresses};
use self::schedule::Schedule;
use self::state::{NO_RUNTIME, State, TaskGuard};
use crate::config_error::{ConfigError, SkippedKey};
use crate::error::AuthError;
use crate::observe;
use crate::sync::Mutex;
use crate::sync::atomic::Ordering;
use crate::verify::{JwksRules, KeyIssuer, KeyLookup, KeySet, KeySource, KeysRef, Refresh};

/// Keys that an OpenID provider publishes, fetched when they are first needed and then ahead of time, in the background.
///
/// `discover` and `jwks` need the feature `remote-keys`, which brings a client. With `remote-keys-core` alone, give your own client to
/// [`discover_with`](Self::discover_with) or [`jwks_with`](Self::jwks_with).
///
/// While its key is held, no request waits. A token whose key is not held has newer keys fetched, for all that ask
/// together. It waits a [short time](Self::wait_timeout) and no longer, and is answered with 401 if the keys came without
/// its key. So does a token that the held key of its `kid` has not signed: a provider that starts over may use a name
/// again. With no keys at all, a request waits for as long as an [attempt may take](Self::fetch_timeout): await
/// [`ready`](Self::ready) at start-up, and none has to.
///
/// The number of these fetches is bounded by the [cooldown](Self::cooldown). A token that its claims would have refused
/// in any case causes none.
///
/// An answer that is no good never replaces keys that are; where no good one comes, the keys that are held serve on for
/// [as long as they may](Self::outage_limit). What cannot be judged meanwhile is answered with 503, not with 401.
///
/// One attempt fetches the metadata and the set, of [512 KiB](Self::max_document_bytes) at most each; a set of more than 100
/// keys is a bad answer.
///
/// Clones share the keys: keep one for [`ready`](Self::ready), probes and [`stats`](Self::stats). What fetches them, and
/// gives them up when they are too old, is a task in the tokio runtime in which they are first used. That has to be run
/// for as long as they are used, with its timers enabled, and its I/O for the client that comes with the crate. The task
/// ends with the last clone. Settings that are changed begin with nothing fetched: make them before the first use.
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
///      it needs to begin with `https://`, or the client to allow plain http"
/// );
/// # Ok(())
/// # }
/// ```
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
    /// The keys of an issuer, whose metadata say where they are
    /// ([OpenID Connect Discovery 1.0, section 4](https://openid.net/specs/openid-connect-discovery-1_0.html), then
    /// [RFC 8414, section 3](https://www.rfc-editor.org/rfc/rfc8414#section-3)). They must name exactly this issuer, and
    /// a verifier with these keys demands it of tokens, unless it is given another.
    ///
    /// # Errors
    ///
    /// If it is no `https` address (or one of this machine), or has a query, a fragment or a user name.
    pub fn discover(issuer: &str) -> Result<Self, ConfigError> {
        Self::discover_with(issuer, HttpsClient::new())
    }

    /// The keys of the JWK set at this address. It does not say whose they are: the verifier has to be told the
    /// [issuer](crate::JwtVerifier::issuer).
    ///
    /// # Errors
    ///
    /// As [`discover`](Self::discover), but for the query.
    pub fn jwks(url: &str) -> Result<Self, ConfigError> {
        Self::jwks_with(url, HttpsClient::new())
    }
}

impl RemoteKeys {
    /// The same as `discover`, by a client of your own, or by an `HttpsClient` that was told something.
    ///
    /// # Errors
    ///
    /// If the address is not one that may be fetched.
    pub fn discover_with(issuer: &str, client: impl HttpClient + 'static) -> Result<Self, ConfigError> {
        let allowed = client.allows_plain_http();
        let metadata = metadata_addresses(issuer, PlainHttp::for_settings(allowed))?;
        let plain_http = metadata[0].plain_http_for_linked(allowed);
        let origin = Origin::Issuer { issuer: issuer.to_owned(), metadata, plain_http };
        Ok(Self::new(Settings::new(Arc::new(client), origin)))
    }

    /// The same as `jwks`, by a client of your own, or by an `HttpsClient` that was told something.
    ///
    /// # Errors
    ///
    /// If the address is not one that may be fetched.
    pub fn jwks_with(url: &str, client: impl HttpClient + 'static) -> Result<Self, ConfigError> {
        let address = FetchUrl::parse(url, PlainHttp::for_settings(client.allows_plain_http()))?;
        Ok(Self::new(Settings::new(Arc::new(client), Origin::Jwks(address))))
    }

    /// Sets rules for reading the JWK set. Symmetric keys are skipped whatever the rules say, since a fetched set is public.
    #[must_use]
    pub fn rules(self, rules: JwksRules) -> Self {
        self.set(|settings| settings.rules = rules)
    }

    /// Sets keys that serve until others have been fetched: from a file that was shipped with the application, say. They
    /// serve no longer than keys that were fetched at the start would. [`ready`](Self::ready) and
    /// [`is_ready`](Self::is_ready) then say nothing of the provider.
    #[must_use]
    pub fn seed(self, keys: KeySet) -> Self {
        self.set(|settings| settings.seed = keys)
    }

    /// Sets how often keys are fetched anew: as often as the provider's `Cache-Control` says, but not more often than
    /// `floor` and not more seldom than `ceiling`. The defaults are one minute and one hour; where the provider says
    /// nothing, it is ten minutes. Up to a fifth is taken off by chance. A key that the provider withdraws serves no
    /// longer than this, as long as it answers. Where they contradict each other, `floor` counts.
    #[must_use]
    pub fn refresh_between(self, floor: Duration, ceiling: Duration) -> Self {
        self.set(|settings| {
            settings.schedule.refresh_floor = floor;
            settings.schedule.refresh_ceiling = ceiling;
        })
    }

    /// Sets how often tokens can have keys fetched. The default is 30 s.
    ///
    /// Tokens with an unknown `kid` can cause two fetches at once, and one more per cooldown. A `kid` that was not found
    /// is not looked for again within a cooldown. Tokens that no held key of their `kid` has signed, or that have no
    /// `kid`, have as many fetches of their own. Not counted are the first fetch, scheduled ones, and once per cooldown
    /// and sort of token a fetch that finds the `kid`, or a key that was not held. After an attempt that failed, a token
    /// can cause the next one a cooldown after that began.
    ///
    /// So a key that the provider starts to sign with is found by its first token, also right after a fetch, and also if
    /// a stranger sends one bad token per cooldown. Two things are left, for anyone who knows the issuer and the audience:
    ///
    /// - Tokens that look good with two invented names per cooldown delay a key with a new `kid`.
    /// - Two tokens with a bad signature per cooldown delay a key that has no `kid`, or the `kid` of another one. A client
    ///   that repeats a token of a withdrawn key counts as well.
    ///
    /// It then takes a cooldown at most until the new key is found; its tokens are answered with 401 until then. A
    /// provider that publishes a key before it signs with it is not affected.
    #[must_use]
    pub fn cooldown(self, cooldown: Duration) -> Self {
        self.set(|settings| settings.schedule.cooldown = cooldown)
    }

    /// Sets how soon another attempt follows one that has failed: after `floor` at first, then each time twice as long,
    /// up to `ceiling`; up to half is taken off by chance. The defaults are one second and five minutes.
    #[must_use]
    pub fn retry_between(self, floor: Duration, ceiling: Duration) -> Self {
        self.set(|settings| {
            settings.schedule.retry_floor = floor;
            settings.schedule.retry_ceiling = ceiling;
        })
    }

    /// Sets how long one attempt may take, with all its requests from the first byte to the last. The default is 5 s.
    /// While no keys are held, at a start or after a [purge](Self::purge), requests wait for this long.
    #[must_use]
    pub fn fetch_timeout(self, limit: Duration) -> Self {
        self.set(|settings| settings.schedule.deadline = limit)
    }

    /// Sets for how long keys serve that cannot be fetched anew, from when they were last fetched. The default is 24
    /// hours; less than 100 ms count as 100 ms. After that, tokens are answered with 503. Where it is short, keys are
    /// fetched anew after half of it, whatever the provider says.
    #[must_use]
    pub fn outage_limit(self, limit: Duration) -> Self {
        self.set(|settings| settings.schedule.outage_limit = limit.max(schedule::LEAST_WAIT))
    }

    /// Sets how long a request waits at most whose key is not held, while others are. The default is 2 s. It is then
    /// answered with 503; the fetch goes on.
    #[must_use]
    pub fn wait_timeout(self, limit: Duration) -> Self {
        self.set(|settings| settings.wait_timeout = limit)
    }

    /// Sets how many requests may wait at once. The default is 1,000. More of them are answered with 503 at once. At most
    /// half of them wait with a token that the held keys have not signed; more of those are answered with 401.
    #[must_use]
    pub fn max_waiting(self, requests: usize) -> Self {
        self.set(|settings| settings.max_waiting = requests)
    }

    /// Sets how many bytes the metadata and the JWK set may have, each. The default is 512 KiB. A larger document is a
    /// failed attempt.
    #[must_use]
    pub fn max_document_bytes(self, bytes: usize) -> Self {
        self.set(|settings| settings.max_document_bytes = bytes)
    }

    /// Sets how long [`ready`](Self::ready) waits at most. The default is 30 s.
    #[must_use]
    pub fn ready_timeout(self, limit: Duration) -> Self {
        self.set(|settings| settings.ready_timeout = limit)
    }

    /// Waits until keys are held, at most for the [limit](Self::ready_timeout). Await it at start-up, before you listen: no
    /// request then waits for the first fetch.
    ///
    /// ```
    /// use tower_jwt_auth::jwks::RemoteKeys;
    ///
    /// /// Goes on in any case: the service answers with 503 until the provider is back.
    /// async fn wait_for_keys(keys: &RemoteKeys) {
    ///     if let Err(error) = keys.ready().await {
    ///         eprintln!("no keys yet: {error}");
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// If none are held then. Its chain of `source`s says why the last attempt failed.
    pub async fn ready(&self) -> Result<(), AuthError> {
        if self.is_ready() {
            return Ok(());
        }
        if !self.ensure_task() {
            return Err(AuthError::keys_unavailable(NO_RUNTIME));
        }
        self.0.state.ready(self.0.settings.ready_timeout).await
    }

    /// Whether keys are held at this moment: for a probe. The first call has them fetched, and says `false`, unless there is
    /// a seed; where there are several providers, ask each one.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ensure_task();
        !self.0.state.keys.current().is_empty()
    }

    /// Gives up the keys that are held, at once, and has others fetched, whatever the cooldown says: for when one of
    /// them is known to be in the wrong hands. Until they are there, requests wait as if none had ever been held.
    pub fn purge(&self) {
        self.0.state.purge();
        self.ensure_task();
    }

    /// What has come of it so far. Clones share it.
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

    /// The keys of the set that is held that cannot be used, and why. A fetch that brings others than the one before logs a
    /// warning (feature `tracing`).
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

    /// Why the last attempt failed, with its chain of `source`s. `None` after a good attempt.
    #[must_use]
    pub fn last_error(&self) -> Option<Arc<dyn std::error::Error + Send + Sync>> {
        let error = self.0.state.progress.borrow().outcome.as_ref().err().cloned();
        error.map(|error| error as Arc<dyn std::error::Error + Send + Sync>)
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

    /// Sees to it that there is a task, if there can be one here.
    fn ensure_task(&self) -> bool {
        let Shared { settings, state, task } = &*self.0;
        if state.has_task.load(Ordering::Acquire) {
            return true;
        }
        // Nobody has looked at their age since there was a task.
        state.give_up_if_too_old();
        let Ok(runtime) = Handle::try_current() else {
            return false;
        };
        let mut task = task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(guard) = TaskGuard::begin(state) {
            let Settings { client, origin, rules, schedule, max_document_bytes, .. } = settings.clone();
            let fetcher = Fetcher::new(client, origin, rules, schedule.deadline, max_document_bytes);
            *task = Some(runtime.spawn(Arc::clone(state).run(fetcher, guard)).abort_handle());
            drop(task);
            state.tell_held();
        }
        true
    }
}

impl KeySource for RemoteKeys {
    #[inline]
    fn current(&self) -> KeysRef<'_> {
        let state = &*self.0.state;
        if !state.has_task.load(Ordering::Acquire) {
            self.ensure_task();
        }
        if state.is_stale.load(Ordering::Relaxed) {
            state.counts.stale_uses.add();
            observe::stale_use(&state.provider);
        }
        state.keys.current()
    }

    fn refresh(&self, lookup: KeyLookup<'_>) -> Refresh {
        // What waits needs the timers of a runtime, too.
        let can_wait = Handle::try_current().is_ok() && self.ensure_task();
        self.0.state.refresh(lookup, can_wait)
    }

    fn issuer(&self) -> KeyIssuer<'_> {
        match &self.0.settings.origin {
            Origin::Issuer { issuer, .. } => KeyIssuer::Known(issuer),
            Origin::Jwks(_) => KeyIssuer::MustBeSet,
        }
    }
}

impl Settings {
    fn new(client: Arc<dyn HttpClient>, origin: Origin) -> Self {
        Self {
            client,
            origin,
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
