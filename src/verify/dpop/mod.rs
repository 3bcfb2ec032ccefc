mod check;
#[cfg(feature = "explain")]
mod inspect;
mod known_keys;
mod memory;
mod nonces;
mod proof;
mod recording;
#[cfg(feature = "redis")]
mod redis;
mod replay_store;
mod target;

use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use self::known_keys::KnownKeys;
use self::memory::Memory;
use self::nonces::Nonces;
pub(super) use self::recording::Proven;
#[cfg(feature = "redis")]
pub use self::redis::RedisReplayStore;
pub use self::replay_store::{ProofId, ReplayFuture, ReplayStore};
use self::target::PublicUrl;
use crate::algorithm::Algorithm;
use crate::challenges::Challenges;
use crate::config_error::{ConfigError, ConfigProblem};
use crate::head::Head;
use crate::scheme::Scheme;

/// The settings for DPoP-bound tokens ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)).
///
/// Pass it to [`JwtVerifier::dpop`](crate::JwtVerifier::dpop) or `Introspection::dpop`. The [module](crate::dpop) has an
/// example and lists the checks. Clones share the memory of accepted proofs; a later change of any setting except the
/// [store](Self::replay_store) gives the changed value an empty memory.
///
/// A proof is accepted once. If two layers verify the same request, give each its own `Dpop`.
#[derive(Clone)]
#[must_use]
pub struct Dpop {
    settings: Arc<Settings>,
    state: Arc<State>,
}

#[derive(Clone)]
struct Settings {
    urls: Vec<PublicUrl>,
    url_of: Option<Arc<UrlOf>>,
    algorithms: Vec<Algorithm>,
    max_age: Duration,
    max_ahead: Duration,
    required: bool,
    nonces: Option<Nonces>,
    nonce_lifetime: Duration,
    max_proofs: usize,
    store: Option<Arc<dyn ReplayStore>>,
    store_timeout: Duration,
}

type UrlOf = dyn Fn(Head<'_>) -> Option<String> + Send + Sync;

/// The state that clones share.
struct State {
    accepted: Memory,
    keys: KnownKeys,
    /// One permit for each request that waits for the store.
    turns: Arc<Semaphore>,
}

impl Dpop {
    /// Accepts proofs for the service at this public URL.
    ///
    /// The `htu` of a proof must be this URL, such as `https://api.example.com`, followed by the path of the request as the
    /// layer sees it. Include a prefix that a proxy or axum's `nest` removes: `https://api.example.com/v1`. The headers `Host`
    /// and `Forwarded` are never read.
    ///
    /// # Errors
    ///
    /// - The URL does not begin with `https://`. `http://` is accepted for this machine.
    /// - It has a user name, a query or a fragment.
    pub fn new(public_url: &str) -> Result<Self, ConfigError> {
        let settings = Settings {
            urls: vec![PublicUrl::configured(public_url)?],
            url_of: None,
            algorithms: DEFAULT_ALGORITHMS.to_vec(),
            max_age: Duration::from_secs(60),
            max_ahead: Duration::from_secs(5),
            required: false,
            nonces: None,
            nonce_lifetime: Duration::from_secs(5 * 60),
            max_proofs: 1_000_000,
            store: None,
            store_timeout: Duration::from_millis(250),
        };
        let state = Arc::new(State::new(settings.max_proofs));
        Ok(Self { settings: Arc::new(settings), state })
    }

    /// Also accepts proofs for this public URL, for a service with several host names.
    ///
    /// A proof for one URL is accepted at all of them, so they must be names of the same service.
    ///
    /// # Errors
    ///
    /// Same as [`new`](Self::new).
    pub fn add_public_url(self, public_url: &str) -> Result<Self, ConfigError> {
        let url = PublicUrl::configured(public_url)?;
        Ok(self.set(|settings| settings.urls.push(url)))
    }

    /// Sets a function that returns the public URL of a request.
    ///
    /// For example, it reads the headers of a trusted proxy. A request for which it returns `None` has the configured URLs. For
    /// any other request, they do not count. The URL is that of the path `/`, as in [`new`](Self::new).
    ///
    /// ```
    /// use std::net::{IpAddr, SocketAddr};
    /// use tower_jwt_auth::dpop::Dpop;
    ///
    /// # const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// let dpop = Dpop::new("https://api.example.com")?.public_url_from(|request| {
    ///     // The server has put the address of the peer into the extensions.
    ///     let peer = request.extensions().get::<SocketAddr>()?;
    ///     let host = request.headers().get("x-forwarded-host").filter(|_| peer.ip() == PROXY)?;
    ///     Some(format!("https://{}", host.to_str().ok()?))
    /// });
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Security
    ///
    /// Return a URL only if the proxy sets the header itself. With a host from the client, a proof for another service is
    /// accepted here.
    pub fn public_url_from(
        self,
        url_of: impl Fn(Head<'_>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.set(|settings| settings.url_of = Some(Arc::new(url_of)))
    }

    /// Sets the accepted algorithms of proofs.
    ///
    /// The default is ES256, ES384, EdDSA, PS256 and RS256. The challenge names them as `algs`.
    ///
    /// # Errors
    ///
    /// There is no algorithm, or one of them is an HMAC.
    pub fn algorithms(self, algorithms: impl IntoIterator<Item = Algorithm>) -> Result<Self, ConfigError> {
        let algorithms: Vec<_> = algorithms.into_iter().collect();
        let is_symmetric = |algorithm: &Algorithm| {
            matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
        };
        let symmetric = algorithms.iter().copied().find(is_symmetric);
        if symmetric.is_some() || algorithms.is_empty() {
            return Err(ConfigProblem::InvalidProofAlgorithm { algorithm: symmetric }.into());
        }
        Ok(self.set(|settings| settings.algorithms = algorithms))
    }

    /// Sets how old a proof may be, by its `iat`. The default is 60 s.
    ///
    /// Each accepted proof is remembered for five seconds longer.
    pub fn max_age(self, age: Duration) -> Self {
        self.set(|settings| settings.max_age = age)
    }

    /// Sets how far in the future the `iat` of a proof may be. The default is 5 s.
    ///
    /// The clocks of clients may be ahead by this much.
    pub fn max_ahead(self, ahead: Duration) -> Self {
        self.set(|settings| settings.max_ahead = ahead)
    }

    /// Rejects tokens that are not bound.
    ///
    /// Without this, unbound tokens are accepted with the scheme `Bearer`. The challenge then offers `Bearer` no longer, unless
    /// the verifier accepts certificate-bound tokens.
    pub fn required(self) -> Self {
        self.set(|settings| settings.required = true)
    }

    /// Requires a nonce of this service in each proof ([RFC 9449, section
    /// 9](https://www.rfc-editor.org/rfc/rfc9449#section-9)). By default none is required.
    ///
    /// A thief then cannot use proofs that were made in advance. A request without a valid nonce gets 401 with the error
    /// `use_dpop_nonce` and a nonce in `DPoP-Nonce`. An accepted response has a new nonce, and `Cache-Control: no-store`, if the
    /// old one is in the second half of its lifetime.
    ///
    /// All processes of a service need the same secret, and each service its own. Nothing is stored: a nonce contains its time
    /// and an HMAC. After a change of the secret, each client repeats one request.
    ///
    /// # Errors
    ///
    /// The secret is shorter than 32 bytes, repeats a short pattern, or is a key or certificate, as for
    /// [`Key::hmac`](crate::Key::hmac).
    pub fn nonces(self, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let nonces = Nonces::new(secret.as_ref())?;
        Ok(self.set(|settings| settings.nonces = Some(nonces)))
    }

    /// Sets how long a nonce is valid. The default is 5 minutes.
    pub fn nonce_lifetime(self, lifetime: Duration) -> Self {
        self.set(|settings| settings.nonce_lifetime = lifetime)
    }

    /// Sets how many accepted proofs this process remembers. The default is 1,000,000.
    ///
    /// A proof takes at most 75 bytes until it is too old: 70 MB with the default. When the memory is full, requests with new
    /// proofs get 503, or with a [store](Self::replay_store) only the store decides. The default is enough for 14,000 requests
    /// per second.
    ///
    /// All clients share the memory: limit the requests of each client, or raise it.
    pub fn max_proofs(self, proofs: usize) -> Self {
        self.set(|settings| settings.max_proofs = proofs)
    }

    /// Sets a store of accepted proofs that several processes share.
    ///
    /// By default each process remembers only the proofs that it has accepted.
    ///
    /// Without a store, each process accepts a proof once, and once more after a restart within
    /// [`max_age`](Self::max_age). With it, exactly one process accepts the proof, and requests with a DPoP proof wait for the
    /// store. If it fails, or if 4,096 requests already wait, they get 503. Other requests do not wait.
    ///
    /// All processes need the same [`max_age`](Self::max_age) and [`max_ahead`](Self::max_ahead). To change them while some
    /// processes still have the old ones, change the key prefix of the store as well.
    ///
    /// It needs a tokio runtime with timers.
    pub fn replay_store(mut self, store: impl ReplayStore + 'static) -> Self {
        // The memory stays as it is: it is right with any store.
        Arc::make_mut(&mut self.settings).store = Some(Arc::new(store));
        self
    }

    /// Sets how long a request waits for the [store](Self::replay_store). The default is 250 ms.
    pub fn replay_timeout(self, timeout: Duration) -> Self {
        self.set(|settings| settings.store_timeout = timeout)
    }

    fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        let settings = Arc::make_mut(&mut self.settings);
        change(settings);
        self.state = Arc::new(State::new(settings.max_proofs));
        self
    }
}

impl Dpop {
    pub(crate) fn is_required(&self) -> bool {
        self.settings.required
    }

    pub(crate) fn accepted_algorithms(&self) -> &[Algorithm] {
        &self.settings.algorithms
    }

    /// Adds the scheme with its algorithms (RFC 9449, section 7.1).
    pub(in crate::verify) fn offer(&self, challenges: Challenges) -> Challenges {
        let names: Vec<_> = self.settings.algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
        let challenges = challenges.add_scheme(Scheme::DPOP);
        challenges
            .add_param(Scheme::DPOP, "algs", &names.join(" "))
            .expect("names of algorithms are printable")
    }
}

impl State {
    fn new(max_proofs: usize) -> Self {
        let turns = Arc::new(Semaphore::new(MAX_WAITING));
        Self { accepted: Memory::new(max_proofs), keys: KnownKeys::new(), turns }
    }
}

impl fmt::Debug for Dpop {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Settings { urls, algorithms, max_age, required, nonces, store, .. } = &*self.settings;
        f.debug_struct("Dpop")
            .field("urls", urls)
            .field("algorithms", algorithms)
            .field("max_age", max_age)
            .field("required", required)
            .field("has_nonces", &nonces.is_some())
            .field("has_store", &store.is_some())
            .finish_non_exhaustive()
    }
}

const DEFAULT_ALGORITHMS: [Algorithm; 5] =
    [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::PS256, Algorithm::RS256];
/// The most requests that wait for the store at the same time.
const MAX_WAITING: usize = 4096;
