use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::base64url::{Buffer, decode_to_vec};
use super::cache::{CacheSettings, CacheStats, Found, TokenCache};
use super::clock::Clock;
use super::jws::{Header, Jws, USUAL_HEADER, subtype};
use super::key_set::KeySet;
use super::key_source::{KeyIssuer, KeyLookup, KeySource, Refresh};
use super::key_union::KeyUnion;
use super::rules::{NewerKey, Refusal, Rules, Types, heap_bytes_of};
use super::{Verdict, Verify, claim_diagnosis, diagnosis};
use crate::algorithm::Algorithm;
use crate::challenges::Challenges;
use crate::claims::Claims;
use crate::config_error::{ConfigError, ConfigProblem};
use crate::credential::Credential;
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::observe::{self, About};
use crate::revocation::Revocations;
use crate::scheme::Scheme;

/// Verifies signed JWTs and deserializes their claims into `C`.
///
/// The verifier implements [RFC 7519](https://www.rfc-editor.org/rfc/rfc7519) and
/// [RFC 7515](https://www.rfc-editor.org/rfc/rfc7515). It is strict by default:
///
/// - The token needs an `exp`. An `iat` must be a number.
/// - A configured [`issuer`](Self::issuer) or [`audience`](Self::audience) is required and compared exactly.
/// - A token with an `aud` is rejected if no audience is configured.
/// - Settings that weaken a check are named `insecure_*`.
///
/// A setter replaces the earlier value; setters named `add_*` add one. The verifier works without HTTP, is cheap to clone, and
/// [caches](Self::cache) accepted tokens.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet};
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     email: String,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = KeySet::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?;
/// let verifier = JwtVerifier::<User>::new(keys)
///     .issuer("https://id.example.com")
///     .audience("https://api.example.com")
///     .clock(|| UNIX_EPOCH + Duration::from_secs(1_800_000_000));
///
/// let token = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXh\
///              hbXBsZS5jb20iLCJleHAiOjE4MDAwMDAzMDAsImVtYWlsIjoiZXplQGV4YW1wbGUuY29tIn0.\
///              4t_4qBNOFv9u2RjEU0eK6vZbJQ0rGZi0_CzjCmdZu4A";
/// let user = verifier.verify(token).await?;
/// assert_eq!(user.email, "eze@example.com");
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct JwtVerifier<C> {
    pub(super) keys: Arc<dyn KeySource>,
    pub(super) rules: Arc<Rules>,
    cache: Option<TokenCache<C>>,
}

impl<C> JwtVerifier<C> {
    /// Creates a verifier that trusts tokens signed with one of `keys`.
    ///
    /// The keys are, for example, a [`KeySet`](crate::KeySet) or `RemoteKeys`. Name the claims type, as in
    /// `JwtVerifier::<User>::new(keys)`. It must own its fields: `String`, not `&str`.
    pub fn new(keys: impl KeySource + 'static) -> Self
    where
        C: DeserializeOwned + Send + Sync + 'static, // Write `JwtVerifier::<User>::new(..)`. `User` owns its fields.
    {
        let mut rules = Rules::new();
        rules.expected.issuers.extend(keys.issuer().known().map(str::to_owned));
        rules.expected.issuer_needed = keys.issuer() == KeyIssuer::MustBeSet;
        let cache = Some(TokenCache::new(CacheSettings::new()));
        Self { keys: Arc::new(keys), rules: Arc::new(rules), cache }
    }

    /// Adds a second source of keys, for an issuer that publishes two key sets.
    ///
    /// Each source fetches its keys on its own schedule. If neither source has the key of a token, both look for newer keys.
    /// If then neither has it and one source cannot be reached, the verdict is an error with status 503. A token without a
    /// `kid` is tried with at most four keys of both sources, those of the first source first. At start-up, await `ready` of
    /// both.
    ///
    /// ```
    /// use tower_jwt_auth::{Algorithm, JwtVerifier, Key, KeySet, RegisteredClaims};
    ///
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// let keys = KeySet::from(Key::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?.with_kid("new"));
    /// let others = KeySet::from(Key::hmac(Algorithm::HS256, b"one more for this example, 32 bytes")?.with_kid("old"));
    /// let verifier =
    ///     JwtVerifier::<RegisteredClaims>::new(keys).issuer("https://id.example.com").add_keys(others)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The source [names](KeySource::issuer) an issuer that the verifier does not expect. Use
    /// [`Issuers`](crate::verifiers::Issuers) for issuers that do not trust each other.
    ///
    /// A verifier without an issuer takes over the source's. If the source says [`MustBeSet`](KeyIssuer::MustBeSet), set an
    /// issuer, as after [`new`](Self::new). If you also call [`insecure_any_issuer`](Self::insecure_any_issuer), the later
    /// call wins.
    ///
    /// # Security
    ///
    /// The keys of both sources may sign for every issuer that the verifier expects.
    pub fn add_keys(mut self, keys: impl KeySource + 'static) -> Result<Self, ConfigError> {
        let expected = &self.rules.expected.issuers;
        let issuer = keys.issuer().known().map(str::to_owned);
        if let Some(issuer) =
            issuer.as_ref().filter(|issuer| !expected.is_empty() && !expected.contains(issuer))
        {
            return Err(
                ConfigProblem::IssuerMismatch { expected: expected.join(" "), got: issuer.clone() }.into()
            );
        }
        let must_be_set = keys.issuer() == KeyIssuer::MustBeSet;
        self.keys = Arc::new(KeyUnion::new(self.keys, Arc::new(keys)));
        Ok(self.set(|rules| {
            if rules.expected.issuers.is_empty() {
                rules.expected.issuer_needed |= must_be_set;
                rules.expected.issuers.extend(issuer);
            }
        }))
    }

    /// Requires exactly this `iss`
    /// ([RFC 7519, section 4.1.1](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.1)).
    ///
    /// It replaces all issuers that were set before.
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.set(|rules| rules.expected.issuers = vec![issuer.into()])
    }

    /// Accepts one more issuer.
    ///
    /// Every key may then sign for every issuer. Use this for one issuer with several names. For issuers that do not trust
    /// each other use [`Issuers`](crate::verifiers::Issuers).
    pub fn add_issuer(self, issuer: impl Into<String>) -> Self {
        self.set(|rules| rules.expected.issuers.push(issuer.into()))
    }

    /// Requires an `aud` that is exactly this string or an array with it
    /// ([RFC 7519, section 4.1.3](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3)).
    ///
    /// It replaces all audiences that were set before.
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.set(|rules| rules.expected.wanted.audiences = vec![audience.into()])
    }

    /// Accepts one more audience.
    pub fn add_audience(self, audience: impl Into<String>) -> Self {
        self.set(|rules| rules.expected.wanted.audiences.push(audience.into()))
    }

    /// Requires a claim to be exactly this value or an array that contains it.
    ///
    /// Use it for providers that name the audience in another claim, such as Cognito's `client_id`. A second call with the
    /// same name accepts one more value. The verifier rejects other tokens with 401. For permissions use the policy
    /// [`claim`](crate::policy::claim), which answers with 403 and also looks into objects.
    ///
    /// Values are compared as JSON: `1` is neither `"1"` nor `1.0`. Numbers beyond 64 bits or with a fraction are compared as
    /// `f64`. A required array or object is compared as a whole. A required `null` matches no token.
    ///
    /// ```
    /// # use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims};
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// # let keys = KeySet::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?;
    /// let verifier = JwtVerifier::<RegisteredClaims>::new(keys)
    ///     .audience("https://api.example.com")
    ///     .require_claim("email_verified", true)
    ///     .require_claim("groups", "staff"); // `"groups": "staff"`, or `"groups": ["staff", "sales"]`
    /// # Ok(())
    /// # }
    /// ```
    pub fn require_claim(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set(|rules| rules.expected.require_claim(name.into(), value.into()))
    }

    /// Sets the allowed clock difference to the issuer. The default is 60 s.
    ///
    /// A token is accepted until this long after its `exp`, and from this long before its `nbf`.
    pub fn leeway(self, leeway: Duration) -> Self {
        self.set(|rules| rules.expected.leeway = leeway)
    }

    /// Sets the size limit of a token, in bytes. The default is 16 KiB.
    ///
    /// A payload of more than 2 KiB may also have at most 1,024 arrays, objects and backslashes. Brackets inside strings
    /// count, too.
    pub fn max_token_bytes(self, bytes: usize) -> Self {
        self.set(|rules| rules.max_token_bytes = bytes)
    }

    /// Accepts only these signature algorithms
    /// ([RFC 8725, section 3.1](https://www.rfc-editor.org/rfc/rfc8725#section-3.1)).
    ///
    /// By default all keys are used, each for its one algorithm. An empty list rejects every token.
    ///
    /// ```
    /// use tower_jwt_auth::keys::KeySource;
    /// use tower_jwt_auth::{Algorithm, JwtVerifier, RegisteredClaims};
    ///
    /// fn verifier(keys: impl KeySource + 'static) -> JwtVerifier<RegisteredClaims> {
    ///     JwtVerifier::new(keys).algorithms([Algorithm::RS256, Algorithm::ES256])
    /// }
    /// ```
    pub fn algorithms(self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        let algorithms = algorithms.into_iter().collect();
        self.set(|rules| rules.algorithms = algorithms)
    }

    /// Requires the header's `typ` to be `at+jwt`
    /// ([RFC 9068, section 4](https://www.rfc-editor.org/rfc/rfc9068#section-4)).
    ///
    /// An ID token then cannot pass for an access token. By default `typ` may be missing, `JWT` or `at+jwt`.
    pub fn access_tokens_only(self) -> Self {
        self.set(|rules| rules.types = Types::AccessTokens)
    }

    /// Requires this `typ` in the header, with or without `application/`
    /// ([RFC 8725, section 3.11](https://www.rfc-editor.org/rfc/rfc8725#section-3.11)).
    ///
    /// Use it for tokens that are neither access nor ID tokens, such as logout tokens
    /// ([OpenID Connect Back-Channel Logout 1.0, section 2.4](https://openid.net/specs/openid-connect-backchannel-1_0.html)).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_jwt_auth::keys::KeySource;
    /// use tower_jwt_auth::revocation::Revocations;
    /// use tower_jwt_auth::{AuthError, JwtVerifier};
    ///
    /// #[derive(serde::Deserialize, serde::Serialize)]
    /// struct Logout {
    ///     sid: String,
    /// }
    ///
    /// fn logout_tokens(keys: impl KeySource + 'static) -> JwtVerifier<Logout> {
    ///     JwtVerifier::new(keys).audience("the client's ID").token_type("logout+jwt")
    /// }
    ///
    /// /// Ends the session of a user who has signed out. The provider posts `token` as the form field `logout_token`. If
    /// /// your provider may send only a `sub`, make both optional and use `revoke_subject_of`.
    /// async fn signed_out(
    ///     verifier: &JwtVerifier<Logout>,
    ///     revocations: &Revocations,
    ///     token: &str,
    /// ) -> Result<(), AuthError> {
    ///     let logout = verifier.verify(token).await?;
    ///     let lifetime = Duration::from_secs(60 * 60); // the longest of an access token
    ///     drop(revocations.revoke_session_of(&logout, lifetime)?); // this process has revoked it
    ///     Ok(())
    /// }
    /// ```
    pub fn token_type(self, typ: &str) -> Self {
        self.set(|rules| rules.types = Types::Only(subtype(typ).to_owned()))
    }

    /// Rejects tokens that are on this revocation list. By default there is none.
    ///
    /// With a list, `jti`, `sid` and `sub` must be strings if they are present. Without one they may have any type that `C`
    /// accepts, because many issuers put numbers there.
    pub fn revocations(self, revocations: Revocations) -> Self {
        self.set(|rules| rules.set_revocations(revocations))
    }

    /// Replaces the system clock, for tests and for targets without a reliable clock.
    ///
    /// By default the verifier calls [`SystemTime::now`]. These targets need another clock:
    ///
    /// - `SystemTime::now` panics on `wasm32-unknown-unknown`. Return `UNIX_EPOCH` plus the milliseconds of JavaScript's
    ///   `Date.now()`. [`Revocations`] cannot be used there, since they need the system's clocks in any case.
    /// - A device without a battery starts in 1970 or at the date of its firmware, and would accept expired tokens. Until the
    ///   time is known, return any time before 1970: the verifier then rejects every token.
    /// - An enclave has a clock that its host sets. Return a time from a source that you trust.
    ///
    /// ```
    /// use std::sync::OnceLock;
    /// use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
    /// # use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims};
    ///
    /// /// Set once, from a trusted source: the time, and when it was known.
    /// static TIME: OnceLock<(SystemTime, Instant)> = OnceLock::new();
    ///
    /// fn now() -> SystemTime {
    ///     TIME.get().map_or(UNIX_EPOCH - Duration::from_secs(1), |(time, known)| *time + known.elapsed())
    /// }
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// # let keys = KeySet::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?;
    /// let verifier = JwtVerifier::<RegisteredClaims>::new(keys).clock(now);
    /// # Ok(())
    /// # }
    /// ```
    pub fn clock(self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.with_clock(Clock::new(now))
    }

    pub(crate) fn with_clock(self, clock: Clock) -> Self {
        self.set(|rules| rules.clock = clock)
    }

    /// Accepts any `iss`, and tokens without one.
    ///
    /// # Security
    ///
    /// Anyone with one of the keys can then issue tokens in the name of any issuer.
    pub fn insecure_any_issuer(self) -> Self {
        self.set(|rules| {
            rules.expected.issuers.clear();
            rules.expected.issuer_needed = false;
        })
    }

    /// Accepts any `aud`, and tokens without one.
    ///
    /// # Security
    ///
    /// A token that was issued for another service then works for this one.
    pub fn insecure_any_audience(self) -> Self {
        self.set(|rules| rules.expected.any_audience = true)
    }

    /// Ignores the `cnf` claim ([RFC 7800](https://www.rfc-editor.org/rfc/rfc7800)).
    ///
    /// It replaces earlier settings for DPoP and mutual TLS.
    ///
    /// # Security
    ///
    /// A token with `cnf` is bound to one sender. A thief can then use it, unless something else checks the sender.
    pub fn insecure_ignore_confirmation(self) -> Self {
        self.set(Rules::ignore_confirmation)
    }

    /// Accepts DPoP-bound tokens, whose sender proves that it holds the key ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)).
    ///
    /// Clients send them with the scheme `DPoP`. Bearer tokens are still accepted, unless the settings
    /// [require](crate::dpop::Dpop::required) a binding. The [`dpop`](crate::dpop) module has an example.
    ///
    /// Create one `Dpop` and pass a clone to each verifier of a service: a new one has no memory of accepted proofs.
    #[cfg(feature = "dpop")]
    pub fn dpop(self, dpop: super::dpop::Dpop) -> Self {
        self.set(|rules| rules.support(|senders| senders.dpop = Some(dpop)))
    }

    /// Accepts tokens that are bound to the client certificate of the connection
    /// ([RFC 8705](https://www.rfc-editor.org/rfc/rfc8705)).
    ///
    /// Clients send them with the scheme `Bearer`. Other bearer tokens are still accepted, unless the settings
    /// [require](crate::mtls::Mtls::required) a binding. The [`mtls`](crate::mtls) module has an example.
    #[cfg(feature = "mtls")]
    pub fn mtls(self, mtls: super::mtls::Mtls) -> Self {
        self.set(|rules| rules.support(|senders| senders.mtls = Some(mtls)))
    }

    /// Accepts tokens without an `exp`. Expired tokens are still rejected.
    ///
    /// # Security
    ///
    /// Such a token is valid as long as its key. Set a list of [`revocations`](Self::revocations) for leaked tokens, and rotate
    /// the key.
    ///
    /// - [`TokenInfo::expires_at`](crate::token::TokenInfo::expires_at) is `None`, so a WebSocket or a stream has no end.
    /// - The [`cache`](Self::cache) keeps the token for its `max_age`.
    /// - A revocation list keeps its entries as long as the process runs, at 24 to 66 bytes each.
    /// - A shared store drops an entry at its expiry, and later processes do not see it. Revoke with `None` as the expiry, or
    ///   with `claims.token().expires_at()`.
    ///
    /// ```
    /// use tower_jwt_auth::revocation::Revocations;
    /// use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims};
    ///
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// # let keys = KeySet::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?;
    /// let revocations = Revocations::new();
    /// let verifier = JwtVerifier::<RegisteredClaims>::new(keys)
    ///     .issuer("https://id.example.com")
    ///     .insecure_allow_missing_expiry()
    ///     .revocations(revocations.clone());
    /// drop(revocations.revoke_token("https://id.example.com", "t-42", None));
    /// # Ok(())
    /// # }
    /// ```
    pub fn insecure_allow_missing_expiry(self) -> Self {
        self.set(|rules| rules.expected.allow_missing_expiry = true)
    }

    /// Sets the limits of the cache of verified tokens.
    ///
    /// The default is [`CacheSettings::new`]. A verifier and its clones share one cache. A later change of any setting gives the
    /// changed verifier an empty cache of its own.
    pub fn cache(mut self, settings: CacheSettings) -> Self {
        self.cache = Some(TokenCache::new(settings));
        self
    }

    /// Uses the store of another cache, unless this verifier has no cache.
    #[cfg(feature = "remote-keys-core")]
    pub(super) fn share_cache(&mut self, other: &TokenCache<C>) {
        if let Some(cache) = &mut self.cache {
            cache.share(other);
        }
    }

    /// Turns the cache off, so that every request verifies its token.
    ///
    /// Every request then also deserializes the claims.
    ///
    /// Turn it off in these cases:
    ///
    /// - The claims depend on more than the token, such as the time or a counter.
    /// - A request changes its claims through a `Mutex` or another kind of interior mutability.
    /// - Tokens must not stay in memory.
    /// - Clients send each token once. The cache then costs up to a tenth of an HS256 check.
    ///
    /// ```
    /// # use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims};
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// # let keys = KeySet::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?;
    /// let verifier = JwtVerifier::<RegisteredClaims>::new(keys).without_cache();
    /// assert!(verifier.cache_stats().is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn without_cache(mut self) -> Self {
        self.cache = None;
        self
    }

    /// Returns the statistics of the cache, or `None` if it is off.
    ///
    /// Ask a clone that was made after the last setting: an earlier clone has another cache.
    #[must_use]
    pub fn cache_stats(&self) -> Option<CacheStats> {
        self.cache.as_ref().map(TokenCache::stats)
    }

    fn set(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        let rules = Arc::make_mut(&mut self.rules);
        rules.change(change);
        if let Some(revocations) = &rules.revocations {
            // A token that never expires must stay revoked for ever.
            let forever = rules.expected.allow_missing_expiry;
            revocations.hold_beyond_expiry(if forever { Duration::MAX } else { rules.expected.leeway });
        }
        self.cache = self.cache.map(|cache| cache.emptied());
        self
    }
}

impl<C> JwtVerifier<C>
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    /// Verifies a token in compact serialization without a request, or a [`Credential`].
    ///
    /// # Errors
    ///
    /// The verdict is an [`AuthError`]. Its kind is the first check that failed.
    pub fn verify<'a>(&self, credential: impl Into<Credential<'a>>) -> Verdict<C> {
        self.judge_sender(&credential.into())
    }

    /// Verifies the token, and then the binding to its sender.
    #[inline]
    fn judge_sender(&self, credential: &Credential<'_>) -> Verdict<C> {
        self.rules.judge_sender(self.judge(credential), credential)
    }

    fn judge(&self, credential: &Credential<'_>) -> Verdict<C> {
        let keys = self.keys.current();
        match self.verify_with(&keys, credential) {
            Err(refusal) if self.may_have(refusal.newer_key) => {
                self.verify_with_newer(&keys, credential, refusal)
            }
            result => Verdict::Ready(
                result.map_err(|refusal| self.diagnose(refusal.kind.into(), &keys, credential.token())),
            ),
        }
    }

    /// Returns true if newer keys may contain the token's key.
    fn may_have(&self, key: NewerKey) -> bool {
        match key {
            NewerKey::Impossible => false,
            NewerKey::Missing => true,
            NewerKey::Replaced => self.keys.can_refresh(),
        }
    }

    /// Verifies a credential with these keys.
    fn verify_with(&self, keys: &KeySet, credential: &Credential<'_>) -> Result<Claims<C>, Refusal> {
        let Some(cache) = &self.cache else {
            return self.rules.judge(keys, credential);
        };
        let token = credential.token();
        let still_holds = |claims: &Claims<C>| self.still_holds(keys, claims);
        let found = cache.find(token, || self.rules.now(), still_holds);
        observe::cache_looked_up(matches!(found, Found::Good(_)));
        let was_cached = match found {
            Found::Good(claims) => {
                self.rules.judge_revocations(&claims.conditions().revocable)?;
                return Ok(claims);
            }
            Found::Stale => true,
            Found::Nothing => false,
        };
        let mut claims = self.rules.judge(keys, credential)?;
        cache.keep(token, &mut claims, || heap_bytes_of::<C>(credential), was_cached);
        Ok(claims)
    }

    /// Returns true if a cached token has been accepted by the current rules, with a key that is still trusted.
    #[inline]
    fn still_holds(&self, keys: &KeySet, claims: &Claims<C>) -> bool {
        let conditions = claims.conditions();
        let is_trusted =
            || conditions.keys == keys.id() || keys.still_trusts(&conditions.signer, claims.token().kid());
        conditions.rules == self.rules.id && is_trusted()
    }

    /// Looks for newer keys after a rejection with the current keys, and verifies again.
    fn verify_with_newer(&self, keys: &KeySet, credential: &Credential<'_>, refusal: Refusal) -> Verdict<C> {
        let token = credential.token();
        let Refusal { kind, newer_key } = refusal;
        let refuse = |error: AuthError| Verdict::Ready(Err(self.diagnose(error, keys, token)));
        // Newer keys do not help a malformed token.
        let Some(jws) = Jws::split(token).filter(Jws::has_payload) else {
            let is_judged = newer_key == NewerKey::Replaced;
            return refuse(if is_judged { kind.into() } else { AuthErrorKind::MalformedToken.into() });
        };
        if self.keys.can_refresh()
            && let Err(foreseen) = self.rules.foresee(jws.payload)
        {
            // Without any keys, report the wrong claim: it explains a developer's first token.
            return refuse(match keys.is_empty() {
                true => AuthError::from(foreseen).unproven(),
                false => AuthError::from(kind).with_source(format!("newer keys would not help: {foreseen}")),
            });
        }
        let refreshed = {
            let mut buffer = Buffer::<USUAL_HEADER>::new();
            let header = Header::read(jws.header, &mut buffer).ok();
            let kid = header.as_ref().and_then(|header| header.kid.as_deref());
            // The current keys with this `kid` were tried.
            let is_held = kind != AuthErrorKind::UnknownKey;
            self.keys.refresh(if is_held { KeyLookup::replaced(kid) } else { KeyLookup::missing(kid) })
        };
        let error = match refreshed {
            Refresh::Unchanged => kind.into(),
            Refresh::Failed(error) => without_newer_keys(kind, error),
            Refresh::Pending(refreshed) => {
                let (verifier, scheme, token) =
                    (self.clone(), credential.scheme().to_string(), token.to_owned());
                return Verdict::Pending(Box::pin(async move {
                    let failure = refreshed.await.err();
                    // One of several sources may have fetched the key, even if another failed.
                    let keys = verifier.keys.current();
                    let credential = &Credential::new(Scheme::trusted(&scheme), &token);
                    let judged = verifier.verify_with(&keys, credential).map_err(|refusal| match failure {
                        Some(error) if refusal.newer_key != NewerKey::Impossible => {
                            without_newer_keys(refusal.kind, error)
                        }
                        _ => refusal.kind.into(),
                    });
                    judged.map_err(|error| verifier.diagnose(error, &keys, credential.token()))
                }));
            }
        };
        // Newer keys may have arrived since the first attempt.
        let newer = self.keys.current();
        if std::ptr::eq(&*newer, keys) {
            return refuse(error);
        }
        let judged = self.verify_with(&newer, credential).map_err(|refusal| match refusal.newer_key {
            NewerKey::Impossible => refusal.kind.into(),
            _ => error,
        });
        Verdict::Ready(judged.map_err(|error| self.diagnose(error, &newer, token)))
    }

    /// Adds details for logs: the issuer, the key, and a hint if the settings are the likely cause.
    #[cold]
    fn diagnose(&self, error: AuthError, keys: &KeySet, token: &[u8]) -> AuthError {
        let expected = &self.rules.expected;
        let issuer = || (!expected.issuers.is_empty()).then(|| expected.issuers.join(" "));
        // Do not parse a token that is too large.
        let kid = || if token.len() > self.rules.max_token_bytes { None } else { keys.name_in(token) };
        let error = error.about(About::new(issuer, kid));
        let is_proven = is_about_claims(error.kind()) && !error.is_unproven();
        let error = if is_proven { error.proven() } else { error };
        match error.kind() {
            // These need no details. They are frequent, so the payload is not decoded for them.
            AuthErrorKind::Expired | AuthErrorKind::NotYetValid | AuthErrorKind::Revoked => error,
            kind if is_about_claims(kind) || kind == AuthErrorKind::RevocationsUnavailable => {
                let payload =
                    Jws::split(token).and_then(|jws| decode_to_vec(jws.payload)).unwrap_or_default();
                claim_diagnosis::explain_claims::<C>(error, &payload, expected)
            }
            _ => diagnosis::explain(error, &self.rules, keys, token),
        }
    }
}

/// Returns true for kinds that are checked after the signature.
fn is_about_claims(kind: AuthErrorKind) -> bool {
    matches!(
        kind,
        AuthErrorKind::InvalidClaims
            | AuthErrorKind::WrongIssuer
            | AuthErrorKind::WrongAudience
            | AuthErrorKind::WrongClaim
            | AuthErrorKind::SenderConstrained
            | AuthErrorKind::MissingExpiry
            | AuthErrorKind::NotYetValid
            | AuthErrorKind::Expired
            | AuthErrorKind::Revoked
    )
}

/// Returns the error for a token after a failed fetch. A token with an unknown `kid` was not verified; one without a `kid` was
/// rejected by the current keys.
fn without_newer_keys(kind: AuthErrorKind, error: AuthError) -> AuthError {
    if kind == AuthErrorKind::UnknownKey { error } else { kind.into() }
}

impl<C> Verify for JwtVerifier<C>
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    type Claims = C;

    fn verify(&self, credential: Credential<'_>) -> Verdict<C> {
        self.judge_sender(&credential)
    }

    fn challenges(&self) -> Challenges {
        self.rules.challenges()
    }

    fn issuers(&self) -> Vec<String> {
        self.rules.expected.issuers.clone()
    }
}

impl<C> Clone for JwtVerifier<C> {
    fn clone(&self) -> Self {
        Self { keys: Arc::clone(&self.keys), rules: Arc::clone(&self.rules), cache: self.cache.clone() }
    }
}

impl<C> fmt::Debug for JwtVerifier<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier").field("expected", &self.rules.expected).finish_non_exhaustive()
    }
}
