#[cfg(feature = "explain")]
mod inspect;
mod known_keys;
mod memory;
mod nonces;
mod proof;
#[cfg(feature = "redis")]
mod redis;
mod replay_store;
mod target;

use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::known_keys::{KnownKey, KnownKeys};
use self::memory::{Memory, Recorded};
use self::nonces::{Age, Nonces};
use self::proof::{ProofClaims, ProofHeader};
#[cfg(feature = "redis")]
pub use self::redis::RedisReplayStore;
pub use self::replay_store::{ProofId, ReplayFuture, ReplayStore};
use self::target::PublicUrl;
use super::Verdict;
use super::base64url::Buffer;
use super::jws::Jws;
use crate::algorithm::Algorithm;
use crate::binding::Thumbprint;
use crate::challenges::Challenges;
use crate::claims::Claims;
use crate::config_error::{ConfigError, ConfigProblem};
use crate::credential::Credential;
use crate::error::{AuthError, FixedCause, NO_STORE};
use crate::head::Head;
use crate::kind::AuthErrorKind;
use crate::scheme::Scheme;

/// The settings for DPoP-bound tokens ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)).
///
/// Pass it to [`JwtVerifier::dpop`](crate::JwtVerifier::dpop) or `Introspection::dpop`. The [module](crate::dpop) has an
/// example and lists the checks. Clones share the memory of accepted proofs; a later change of any setting gives the changed
/// value an empty memory.
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
    /// Each accepted proof is remembered for so long.
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
    /// The secret is shorter than 32 bytes, or is a key or certificate, as for [`Key::hmac`](crate::Key::hmac).
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
    /// It needs a tokio runtime with timers.
    pub fn replay_store(self, store: impl ReplayStore + 'static) -> Self {
        self.set(|settings| settings.store = Some(Arc::new(store)))
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

    /// Checks the proof of a request with a token that is bound to `key`: all checks of RFC 9449, section 4.3.
    pub(in crate::verify) fn judge(
        &self,
        key: Thumbprint,
        credential: &Credential<'_>,
        now: Duration,
    ) -> Result<Proven, AuthError> {
        self.judge_with(key, credential, now, |claims| self.record(key, claims, now))
    }

    /// Checks a proof and then records it with a function.
    fn judge_with(
        &self,
        key: Thumbprint,
        credential: &Credential<'_>,
        now: Duration,
        record: impl FnOnce(&ProofClaims<'_>) -> Result<Option<Recording>, AuthError>,
    ) -> Result<Proven, AuthError> {
        let request = credential.request().ok_or_else(|| missing(NO_REQUEST))?;
        let mut values = request.headers().get_all(PROOF).iter();
        let value = values.next().ok_or_else(|| missing(NO_PROOF))?;
        if values.next().is_some() {
            return Err(AuthError::new(AuthErrorKind::MalformedProof).because(SEVERAL));
        }
        let jws = proof::split(value.as_bytes())?;
        let (sender, is_new) = match self.state.keys.get(&key, jws.header) {
            Some(known) => (known, false),
            None => (Arc::new(self.presented_key(&jws, key)?), true),
        };
        let mut buffer = Buffer::new();
        let claims = ProofClaims::read(jws.payload, &mut buffer)?;
        self.judge_request(&claims, request)?;
        let token_hash = Thumbprint::new(Sha256::digest(credential.token()).into());
        if Thumbprint::read(&claims.ath) != Some(token_hash) {
            return Err(AuthErrorKind::WrongProofToken.into());
        }
        let nonce = self.judge_nonce(&claims, now)?;
        self.judge_time(&claims, now)?;
        let mut buffer = Buffer::<USUAL_SIGNATURE>::new();
        let signature = buffer.decode(jws.signature);
        if !signature.is_some_and(|signature| sender.verify(jws.signed, signature)) {
            return Err(AuthErrorKind::InvalidProofSignature.into());
        }
        if is_new {
            self.state.keys.insert(key, sender);
        }
        Ok(Proven { nonce, recording: record(&claims)? })
    }

    /// Reads the key in the header of a proof, which must be the one that the token is bound to.
    fn presented_key(&self, jws: &Jws<'_>, bound_to: Thumbprint) -> Result<KnownKey, AuthError> {
        let mut buffer = Buffer::new();
        let header = ProofHeader::read(jws.header, &mut buffer)?;
        let key = header.key(&self.settings.algorithms, bound_to)?;
        Ok(KnownKey::new(jws.header, key))
    }

    fn judge_request(&self, claims: &ProofClaims<'_>, request: Head<'_>) -> Result<(), AuthError> {
        let reject = |cause: String| Err(AuthError::new(AuthErrorKind::WrongProofRequest).with_source(cause));
        if *claims.htm != *request.method().as_str() {
            return reject("the `htm` of the proof is not the method of the request".to_owned());
        }
        let path = request.uri().path();
        let stated = self.settings.url_of.as_ref().and_then(|url_of| url_of(request));
        if let Some(stated) = stated {
            return match PublicUrl::new(&stated) {
                Some(url) if url.is_target(&claims.htu, path) => Ok(()),
                Some(_) => reject(
                    "the `htu` of the proof is not the URL that Dpop::public_url_from returned, followed by the path of the \
                     request"
                        .to_owned(),
                ),
                None => reject("Dpop::public_url_from returned no `http` or `https` URL".to_owned()),
            };
        }
        if self.settings.urls.iter().any(|url| url.is_target(&claims.htu, path)) {
            return Ok(());
        }
        let urls: Vec<_> = self.settings.urls.iter().map(PublicUrl::as_str).collect();
        reject(format!(
            "the `htu` of the proof is not {} followed by the path of the request; Dpop::new sets this URL",
            urls.join(" or ")
        ))
    }

    /// Checks the nonce. Returns a new one if the client should use it from now on.
    fn judge_nonce(&self, claims: &ProofClaims<'_>, now: Duration) -> Result<Option<HeaderValue>, AuthError> {
        let Some(nonces) = &self.settings.nonces else {
            return Ok(None);
        };
        let age = claims.nonce.as_ref().map(|nonce| nonces.age(nonce, self.settings.nonce_lifetime, now));
        match age {
            Some(Age::Fresh) => Ok(None),
            Some(Age::Ending) => Ok(Some(nonces.issue(now))),
            Some(Age::Invalid) | None => {
                let error = AuthError::new(AuthErrorKind::WrongProofNonce);
                let error = error.because(if age.is_some() { OLD_NONCE } else { NO_NONCE });
                Err(error.with_response_header(NONCE, nonces.issue(now)))
            }
        }
    }

    fn judge_time(&self, claims: &ProofClaims<'_>, now: Duration) -> Result<(), AuthError> {
        let Settings { max_age, max_ahead, .. } = *self.settings;
        let reject = |cause| Err(AuthError::new(AuthErrorKind::WrongProofTime).with_source(cause));
        let issued = claims.iat.since_epoch();
        let latest = now.saturating_add(max_ahead);
        if now >= issued.saturating_add(max_age) {
            let age = (now - issued).as_secs();
            return reject(format!("the proof is {age} s old by its `iat`; Dpop::max_age is {max_age:?}"));
        }
        if issued > latest {
            let ahead = (issued - now).as_secs();
            return reject(format!(
                "the `iat` of the proof is {ahead} s ahead of the clock; Dpop::max_ahead is {max_ahead:?}"
            ));
        }
        if claims.exp.is_some_and(|exp| now >= exp.since_epoch()) {
            return reject("the `exp` of the proof has passed".to_owned());
        }
        if claims.nbf.is_some_and(|nbf| latest < nbf.since_epoch()) {
            return reject("the `nbf` of the proof has not come".to_owned());
        }
        Ok(())
    }

    /// Remembers the proof in this process, and then in the store.
    fn record(
        &self,
        key: Thumbprint,
        claims: &ProofClaims<'_>,
        now: Duration,
    ) -> Result<Option<Recording>, AuthError> {
        let Settings { store, store_timeout, max_age, max_ahead, .. } = &*self.settings;
        let turn = match store {
            Some(_) => Some(self.state.turn()?),
            None => None,
        };
        let issued = claims.iat.since_epoch();
        let valid_from = UNIX_EPOCH.checked_add(issued.saturating_sub(*max_ahead)).unwrap_or(UNIX_EPOCH);
        let id = ProofId::new(key.as_bytes(), &claims.jti, valid_from);
        // A request reads the clock some time before it records its proof.
        let ends = issued.saturating_add(*max_age).saturating_add(SLACK);
        match self.state.accepted.record(&id, ends, now) {
            Recorded::First => {}
            Recorded::Again => return Err(AuthErrorKind::ReplayedProof.into()),
            // The store decides alone.
            Recorded::Full if store.is_some() => {}
            Recorded::Full => return Err(AuthError::new(AuthErrorKind::Unavailable).because(FULL)),
        }
        let keep = ends.saturating_sub(now).saturating_add(*store_timeout).min(LONGEST);
        Ok(store.as_ref().zip(turn).map(|(store, turn)| Recording {
            recorded: store.record(id, keep),
            timeout: *store_timeout,
            turn,
        }))
    }
}

impl State {
    fn new(max_proofs: usize) -> Self {
        let turns = Arc::new(Semaphore::new(MAX_WAITING));
        Self { accepted: Memory::new(max_proofs), keys: KnownKeys::new(), turns }
    }

    /// Returns a permit to wait for the store.
    fn turn(&self) -> Result<OwnedSemaphorePermit, AuthError> {
        let unavailable = |cause| AuthError::new(AuthErrorKind::Unavailable).because(cause);
        Handle::try_current().map_err(|_| unavailable(NO_RUNTIME))?;
        Arc::clone(&self.turns).try_acquire_owned().map_err(|_| unavailable(TOO_MANY))
    }
}

/// The result of a valid proof.
pub(in crate::verify) struct Proven {
    /// A new nonce for the client.
    nonce: Option<HeaderValue>,
    recording: Option<Recording>,
}

impl Proven {
    /// Accepts the token, once the store has recorded the proof.
    pub(in crate::verify) fn accept<C: Send + Sync + 'static>(self, mut claims: Claims<C>) -> Verdict<C> {
        if let Some(nonce) = self.nonce {
            // A cached response would repeat the nonce (RFC 9449, section 8.2).
            let headers = [(NONCE, nonce), (CACHE_CONTROL, NO_STORE)];
            claims = Claims::with_response_headers(claims, headers);
        }
        let Some(recording) = self.recording else {
            return Verdict::Ready(Ok(claims));
        };
        Verdict::Pending(Box::pin(async move {
            match recording.finish().await {
                Ok(()) => Ok(claims),
                Err(error) => Err(error.about(claims.about()).proven()),
            }
        }))
    }
}

/// A proof that the store is recording.
struct Recording {
    recorded: ReplayFuture,
    timeout: Duration,
    turn: OwnedSemaphorePermit,
}

impl Recording {
    async fn finish(self) -> Result<(), AuthError> {
        let unavailable = AuthError::new(AuthErrorKind::Unavailable).with_retry_after(Duration::from_secs(1));
        let recorded = tokio::time::timeout(self.timeout, self.recorded).await;
        drop(self.turn);
        match recorded {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(AuthErrorKind::ReplayedProof.into()),
            Ok(Err(cause)) => Err(unavailable.with_source(format!("cannot record the DPoP proof: {cause}"))),
            Err(_) => {
                let timeout = self.timeout;
                Err(unavailable
                    .with_source(format!("cannot record the DPoP proof: timed out after {timeout:?}")))
            }
        }
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

fn missing(cause: &'static FixedCause) -> AuthError {
    AuthError::new(AuthErrorKind::MissingProof).because(cause)
}

const DEFAULT_ALGORITHMS: [Algorithm; 5] =
    [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::PS256, Algorithm::RS256];
/// How much longer a proof is remembered than it is accepted.
const SLACK: Duration = Duration::from_secs(5);
/// The longest time that a store keeps a proof, so that it can add the time to its clock: a century.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// The most requests that wait for the store at the same time.
const MAX_WAITING: usize = 4096;
pub(crate) const PROOF: HeaderName = HeaderName::from_static("dpop");
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// The length of a signature of an RSA key of 8192 bits, and the extra room of the decoder.
const USUAL_SIGNATURE: usize = 8192 / 8 + 2;

const NO_REQUEST: &FixedCause = &FixedCause(
    "the token is bound to a key and was verified without its request; pass a Credential with the request of the proof",
);
const NO_PROOF: &FixedCause = &FixedCause("the request has no `DPoP` header");
const SEVERAL: &FixedCause = &FixedCause("the request has several `DPoP` headers (RFC 9449, section 4.3)");
const NO_NONCE: &FixedCause = &FixedCause("the proof has no `nonce`; the response has one in `DPoP-Nonce`");
const OLD_NONCE: &FixedCause = &FixedCause(
    "the `nonce` of the proof is too old or not from this service; the response has a new one in `DPoP-Nonce`",
);
const NO_RUNTIME: &FixedCause = &FixedCause("cannot record the DPoP proof: there is no tokio runtime");
const TOO_MANY: &FixedCause =
    &FixedCause("cannot record the DPoP proof: too many requests wait for the replay store");
const FULL: &FixedCause =
    &FixedCause("the memory of accepted DPoP proofs is full; Dpop::max_proofs sets the limit");
