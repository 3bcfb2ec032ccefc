use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::algorithms::Algorithms;
use super::base64url::Buffer;
use super::cache::{CacheSettings, CacheStats, Found, TokenCache};
use super::jws::{Header, Jws, USUAL_HEADER, subtype};
use super::key_set::KeySet;
use super::key_source::{KeyIssuer, KeyLookup, KeySource, Refresh};
use super::key_union::KeyUnion;
use super::required::RequiredClaim;
use super::rules::{NewerKey, Refusal, Rules, TOKEN_LIMIT, Types};
use super::stream::Wanted;
use super::validate::Expected;
use super::{Verdict, Verify, claim_diagnosis, diagnosis};
use crate::algorithm::Algorithm;
use crate::claims::Claims;
use crate::conditions::unique_id;
use crate::config_error::{ConfigError, ConfigProblem};
use crate::credential::Credential;
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::observe::{self, About};
use crate::revocation::Revocations;
use crate::scheme::Scheme;

/// Verifies JWTs ([RFC 7519](https://www.rfc-editor.org/rfc/rfc7519)) that are signed
/// ([RFC 7515](https://www.rfc-editor.org/rfc/rfc7515)), and reads their claims into `C`.
///
/// It is strict by default: a token needs an `exp`, and an `iat`, if there is one, must be a number; `iss` and `aud` are
/// required and compared exactly where they are configured; a token that is for some audience is refused where none is;
/// what weakens any of this is named `insecure_*`. Settings that take one value replace it; those named `add_*` add one.
///
/// It can be used with no HTTP around it. It is cheap to clone. It [caches](Self::cache) the tokens that it has accepted.
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
    keys: Arc<dyn KeySource>,
    rules: Arc<Rules>,
    cache: Option<TokenCache<C>>,
}

impl<C> JwtVerifier<C> {
    /// A verifier that trusts tokens signed with one of `keys`, a [`KeySet`](crate::KeySet) say; a single
    /// [`Key`](crate::Key) becomes one by `KeySet::from(key)`.
    ///
    /// Name the claims type, as in `JwtVerifier::<User>::new(keys)`. It owns its fields: a `String`, not a `&str`.
    pub fn new(keys: impl KeySource + 'static) -> Self
    where
        C: DeserializeOwned + Send + Sync + 'static, // Name it: `JwtVerifier::<User>::new(..)`. It owns its fields.
    {
        let expected = Expected {
            issuers: keys.issuer().known().map(str::to_owned).into_iter().collect(),
            issuer_needed: keys.issuer() == KeyIssuer::MustBeSet,
            wanted: Wanted::default(),
            claims: Vec::new(),
            leeway: Duration::from_secs(60),
            any_audience: false,
            allow_missing_expiry: false,
            ignore_confirmation: false,
        };
        let rules = Rules {
            id: unique_id(),
            expected,
            max_token_bytes: TOKEN_LIMIT,
            types: Types::Usual,
            algorithms: Algorithms::ALL,
            revocations: None,
            clock: None,
        };
        let cache = Some(TokenCache::new(CacheSettings::new()));
        Self { keys: Arc::new(keys), rules: Arc::new(rules), cache }
    }

    /// Accepts tokens signed with a key of another source as well: for an issuer that publishes two sets of keys.
    ///
    /// Each source fetches its own keys, on its own schedule. A token whose key neither source holds has both look for
    /// newer keys, and is accepted as soon as one of them has the key. If neither has it and one source cannot be
    /// reached, the token is answered with 503. Without a `kid`, a token is tried against four keys of both sources together,
    /// those of the first source first. At start-up, await `ready` of both.
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
    /// If the source [names](KeySource::issuer) an issuer that the verifier does not expect: use
    /// [`Issuers`](crate::verifiers::Issuers) for issuers that do not trust each other. A verifier that expects no issuer yet expects
    /// the source's from then on, and one whose source says [`MustBeSet`](KeyIssuer::MustBeSet) needs to be told
    /// one, as with [`new`](Self::new). If you also call
    /// [`insecure_any_issuer`](Self::insecure_any_issuer), the later call wins.
    ///
    /// # Security
    ///
    /// The keys of both sources may sign for any issuer that the verifier expects.
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

    /// Demands that `iss` is there and exactly this
    /// ([RFC 7519, section 4.1.1](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.1)).
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.set(|rules| rules.expected.issuers = vec![issuer.into()])
    }

    /// Accepts one more issuer. Any of the keys may then sign for any of the issuers: use this for one issuer of several
    /// names, not for several issuers that do not trust each other.
    pub fn add_issuer(self, issuer: impl Into<String>) -> Self {
        self.set(|rules| rules.expected.issuers.push(issuer.into()))
    }

    /// Demands that `aud` is there and is exactly this, or an array with it
    /// ([RFC 7519, section 4.1.3](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3)).
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.set(|rules| rules.expected.wanted.audiences = vec![audience.into()])
    }

    /// Accepts one more audience.
    pub fn add_audience(self, audience: impl Into<String>) -> Self {
        self.set(|rules| rules.expected.wanted.audiences.push(audience.into()))
    }

    /// Requires a claim to be exactly this value, or an array with it as a member: a string, a boolean or a number.
    ///
    /// It is for providers that say by another claim whom a token is for, as Cognito does by `client_id`. Called again with the
    /// same name, it accepts one more value. The verifier rejects other tokens with 401; what a caller may do is for
    /// [`claim`](crate::policy::claim), which answers with 403, and looks into objects, too.
    ///
    /// Values are compared as JSON: `1` is neither `"1"` nor `1.0`, and numbers beyond 64 bits or with a fraction are compared
    /// as `f64`. A required array or object is compared as a whole. `null` is no value: if you require it, no token is accepted.
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
        let (name, value) = (name.into(), value.into());
        self.set(|rules| {
            let claims = &mut rules.expected.claims;
            match claims.iter_mut().find(|known| known.name == name) {
                Some(known) => known.values.push(value),
                None => claims.push(RequiredClaim { name, values: vec![value] }),
            }
        })
    }

    /// Sets how far the clocks of issuer and verifier may be apart: `exp` counts this much later and `nbf` this much
    /// earlier. The default is 60 s.
    pub fn leeway(self, leeway: Duration) -> Self {
        self.set(|rules| rules.expected.leeway = leeway)
    }

    /// Sets how many bytes a token may have. The default is 16 KiB. Whatever it is, a payload of more than 2 KiB has 1,024
    /// arrays, objects and backslashes at most (brackets in texts count, too).
    pub fn max_token_bytes(self, bytes: usize) -> Self {
        self.set(|rules| rules.max_token_bytes = bytes)
    }

    /// Accepts only tokens that are signed with one of these algorithms
    /// ([RFC 8725, section 3.1](https://www.rfc-editor.org/rfc/rfc8725#section-3.1)), whatever other keys there are. By default
    /// each key serves its one algorithm, and all keys are used. With an empty list no token is accepted.
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

    /// Demands that the header's `typ` is `at+jwt`
    /// ([RFC 9068, section 4](https://www.rfc-editor.org/rfc/rfc9068#section-4)), so that no ID token can be used in
    /// place of an access token. By default `typ` may be missing, `JWT` or `at+jwt`.
    pub fn access_tokens_only(self) -> Self {
        self.set(|rules| rules.types = Types::AccessTokens)
    }

    /// Demands that the header's `typ` is this one, with `application/` or without
    /// ([RFC 8725, section 3.11](https://www.rfc-editor.org/rfc/rfc8725#section-3.11)): for tokens that are neither access nor
    /// ID tokens, such as those by which a provider says that somebody has signed out
    /// ([OpenID Connect Back-Channel Logout 1.0, section 2.4](https://openid.net/specs/openid-connect-backchannel-1_0.html)).
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use tower_jwt_auth::keys::KeySource;
    /// use tower_jwt_auth::revocation::Revocations;
    /// use tower_jwt_auth::{AuthError, AuthErrorKind, JwtVerifier};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Logout {
    ///     sid: String,
    /// }
    ///
    /// fn logout_tokens(keys: impl KeySource + 'static) -> JwtVerifier<Logout> {
    ///     JwtVerifier::new(keys).audience("the client's ID").token_type("logout+jwt")
    /// }
    ///
    /// /// Ends the session of whoever has signed out: `token` is the `logout_token` of a form that the provider posts. (Where that
    /// /// may name a `sub` alone, both are optional, and there is `revoke_subject`.)
    /// async fn signed_out(
    ///     verifier: &JwtVerifier<Logout>,
    ///     revocations: &Revocations,
    ///     token: &str,
    /// ) -> Result<(), AuthError> {
    ///     let logout = verifier.verify(token).await?;
    ///     // An entry without one would revoke nothing.
    ///     let issuer = logout.token().issuer().ok_or(AuthErrorKind::WrongIssuer)?;
    ///     // For as long as access tokens live.
    ///     let last_expiry = SystemTime::now() + Duration::from_secs(60 * 60);
    ///     let recorded = revocations.revoke_session(issuer, &logout.sid, last_expiry);
    ///     let _ = recorded.await; // it counts here in any case
    ///     Ok(())
    /// }
    /// ```
    pub fn token_type(self, typ: &str) -> Self {
        self.set(|rules| rules.types = Types::Only(subtype(typ).to_owned()))
    }

    /// Refuses tokens that are on this list, although they have not expired. By default there is none.
    ///
    /// `jti`, `sid` and `sub` then have to be strings where a token has them. Without a list they may be of any type that the
    /// claims type reads: many issuers have numbers there.
    pub fn revocations(self, revocations: Revocations) -> Self {
        self.set(|rules| {
            rules.expected.wanted.identity = true;
            rules.revocations = Some(revocations);
        })
    }

    /// Replaces the system's clock: for tests, and for targets without one.
    ///
    /// By default the verifier calls [`SystemTime::now`]. Three sorts of targets need another clock:
    ///
    /// - `SystemTime::now` panics on `wasm32-unknown-unknown`. Return `UNIX_EPOCH` plus the milliseconds of JavaScript's
    ///   `Date.now()`. [`Revocations`] cannot be used there, since they need the system's clocks in any case.
    /// - A device without a battery begins in 1970 or at the date of its firmware, so that tokens which have long expired are
    ///   accepted. Until the time is known, return any time before 1970: the verifier then rejects every token.
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
        self.set(|rules| rules.clock = Some(Arc::new(now)))
    }

    /// Accepts tokens whatever their `iss` says, or whether there is one. Whoever has one of the keys can then speak for
    /// any issuer.
    pub fn insecure_any_issuer(self) -> Self {
        self.set(|rules| {
            rules.expected.issuers.clear();
            rules.expected.issuer_needed = false;
        })
    }

    /// Accepts tokens whatever their `aud` says, or whether there is one. A token that was issued for another service
    /// can then be used at this one.
    pub fn insecure_any_audience(self) -> Self {
        self.set(|rules| rules.expected.any_audience = true)
    }

    /// Accepts tokens with a `cnf` claim ([RFC 7800](https://www.rfc-editor.org/rfc/rfc7800)) as if they had none. They
    /// are meant for one sender only, and whoever has got hold of one can then use it; set this only where something
    /// else checks the sender.
    pub fn insecure_ignore_confirmation(self) -> Self {
        self.set(|rules| rules.expected.ignore_confirmation = true)
    }

    /// Accepts tokens without an `exp`. The verifier still rejects one that has expired.
    ///
    /// # Security
    ///
    /// Such a token is good for as long as its key is: a leaked one cannot be waited out. Give the verifier a list of
    /// [`revocations`](Self::revocations), and rotate the key.
    ///
    /// - [`TokenInfo::expires_at`](crate::token::TokenInfo::expires_at) is `None`, so that a WebSocket or a stream has no end either.
    /// - A [`cache`](Self::cache) keeps the token for its `max_age`.
    /// - A list of revocations keeps its entries for as long as the process runs, at 24 to 66 bytes each. A store that processes
    ///   share drops an entry at its expiry, and a process that starts later does not know of it: revoke with `None` as the
    ///   expiry, or with `claims.token().expires_at()`.
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

    /// Sets how many verified tokens the verifier caches, and for how long. The default is [`CacheSettings::new`].
    ///
    /// The verifier and its clones share one cache. If a setting is changed afterwards, the changed verifier begins with an
    /// empty cache, and those that it was cloned from keep theirs.
    pub fn cache(mut self, settings: CacheSettings) -> Self {
        self.cache = Some(TokenCache::new(settings));
        self
    }

    /// Caches tokens in the store of another cache. A verifier without a cache stays so.
    #[cfg(feature = "remote-keys-core")]
    pub(super) fn share_cache(&mut self, other: &TokenCache<C>) {
        if let Some(cache) = &mut self.cache {
            cache.share(other);
        }
    }

    /// Turns the cache off: every request has its token verified and its claims deserialized again.
    ///
    /// Do so if the claims type depends on anything but the token, such as the time or a counter, if one request changes
    /// what its claims hold (by a `Mutex` or a `Cell` inside), or if tokens must not stay in memory. Where each token is sent
    /// once, the cache is of no use, and costs up to a tenth of an HS256 check.
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
    /// Clones share one cache. A clone that was made before the last setting has another one, which stays empty.
    #[must_use]
    pub fn cache_stats(&self) -> Option<CacheStats> {
        self.cache.as_ref().map(TokenCache::stats)
    }

    fn set(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        let rules = Arc::make_mut(&mut self.rules);
        change(rules);
        rules.id = unique_id();
        if let Some(revocations) = &rules.revocations {
            // What never expires must stay revoked for ever.
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
    /// Verifies a token in compact serialization, or the credential that a layer has found. No request is needed.
    ///
    /// # Errors
    ///
    /// The verdict is an [`AuthError`] whose kind says which check the token failed first.
    pub fn verify<'a>(&self, credential: impl Into<Credential<'a>>) -> Verdict<C> {
        self.judge(&credential.into())
    }

    fn judge(&self, credential: &Credential<'_>) -> Verdict<C> {
        let keys = self.keys.current();
        match self.verify_with(&keys, credential) {
            Err(refusal) if self.may_have(refusal.newer_key) => {
                self.verify_with_newer(&keys, credential, refusal)
            }
            result => Verdict::Ready(
                result.map_err(|refusal| self.explain(refusal.kind.into(), &keys, credential.token())),
            ),
        }
    }

    /// Says if another look at the keys could find the one that has signed a token.
    fn may_have(&self, key: NewerKey) -> bool {
        match key {
            NewerKey::Impossible => false,
            NewerKey::Missing => true,
            NewerKey::Replaced => self.keys.can_refresh(),
        }
    }

    /// With keys that are held.
    fn verify_with(&self, keys: &KeySet, credential: &Credential<'_>) -> Result<Claims<C>, Refusal> {
        let Some(cache) = &self.cache else {
            return self.rules.judge(keys, credential);
        };
        let token = credential.token();
        let found = cache.find(token, self.rules.id, keys, || self.rules.now());
        observe::cache_looked_up(matches!(found, Found::Good(_)));
        let was_cached = match found {
            Found::Good(claims) => {
                self.rules.judge_revocations(&claims.conditions().revocable)?;
                return Ok(claims);
            }
            Found::Stale => true,
            Found::Nothing => false,
        };
        let claims = self.rules.judge(keys, credential)?;
        cache.keep(token, &claims, was_cached);
        Ok(claims)
    }

    /// After a look for newer keys, since the token's does not seem to be among those that were held.
    fn verify_with_newer(&self, keys: &KeySet, credential: &Credential<'_>, refusal: Refusal) -> Verdict<C> {
        let token = credential.token();
        let Refusal { kind, newer_key } = refusal;
        let refuse = |error: AuthError| Verdict::Ready(Err(self.explain(error, keys, token)));
        // What is broken in any case is not worth a look.
        let Some(jws) = Jws::split(token).filter(Jws::has_payload) else {
            let is_judged = newer_key == NewerKey::Replaced;
            return refuse(if is_judged { kind.into() } else { AuthErrorKind::MalformedToken.into() });
        };
        if self.keys.can_refresh()
            && let Err(foreseen) = self.rules.foresee(jws.payload)
        {
            // With no keys, the claims are all there is to judge. A developer's first token is explained that way, too.
            return refuse(match keys.is_empty() {
                true => AuthError::from(foreseen).unproven(),
                false => AuthError::from(kind).with_source(format!("newer keys would not help: {foreseen}")),
            });
        }
        let refreshed = {
            let mut buffer = Buffer::<USUAL_HEADER>::new();
            let header = Header::read(jws.header, &mut buffer).ok();
            let kid = header.as_ref().and_then(|header| header.kid.as_deref());
            // Those that are held were tried.
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
                    // One of several sources may have brought the key, whatever became of the others.
                    let keys = verifier.keys.current();
                    let credential = &Credential::new(Scheme::trusted(&scheme), &token);
                    let judged = verifier.verify_with(&keys, credential).map_err(|refusal| match failure {
                        Some(error) if refusal.newer_key != NewerKey::Impossible => {
                            without_newer_keys(refusal.kind, error)
                        }
                        _ => refusal.kind.into(),
                    });
                    judged.map_err(|error| verifier.explain(error, &keys, credential.token()))
                }));
            }
        };
        // They may have come after the token was judged and before they were asked for.
        let newer = self.keys.current();
        if std::ptr::eq(&*newer, keys) {
            return refuse(error);
        }
        let judged = self.verify_with(&newer, credential).map_err(|refusal| match refusal.newer_key {
            NewerKey::Impossible => refusal.kind.into(),
            _ => error,
        });
        Verdict::Ready(judged.map_err(|error| self.explain(error, &newer, token)))
    }

    /// Adds what only the developer should know: which issuer and key it is about, and where the settings are more likely at
    /// fault than the token.
    #[cold]
    fn explain(&self, error: AuthError, keys: &KeySet, token: &[u8]) -> AuthError {
        let expected = &self.rules.expected;
        let issuer = || (!expected.issuers.is_empty()).then(|| expected.issuers.join(" "));
        // What is too large is not looked at.
        let kid = || if token.len() > self.rules.max_token_bytes { None } else { keys.name_in(token) };
        let error = error.about(About::new(issuer, kid));
        let is_proven = is_about_claims(error.kind()) && !error.is_unproven();
        let error = if is_proven { error.proven() } else { error };
        let payload = || Jws::split(token).map(|jws| jws.payload).unwrap_or_default();
        match error.kind() {
            AuthErrorKind::RevocationsUnavailable => error.with_retry_after(Duration::from_secs(1)),
            AuthErrorKind::WrongAudience => error.with_source(claim_diagnosis::audience(payload(), expected)),
            AuthErrorKind::WrongIssuer => error.with_source(match &expected.issuers[..] {
                [] => {
                    "the source of the keys does not say whose they are: set JwtVerifier::issuer, \
                       or insecure_any_issuer"
                        .to_owned()
                }
                issuers => claim_diagnosis::issuer(payload(), issuers, &expected.wanted),
            }),
            AuthErrorKind::WrongClaim => error.with_source(claim_diagnosis::required_claim(payload(), expected)),
            AuthErrorKind::SenderConstrained => error.with_source(
                "the token has a `cnf` claim (RFC 7800), and the verifier does not check that its sender has the key: where \
                 something else does, set JwtVerifier::insecure_ignore_confirmation",
            ),
            AuthErrorKind::MissingExpiry => error.with_source(
                "the token has no `exp`: have the issuer set one, or set JwtVerifier::insecure_allow_missing_expiry",
            ),
            AuthErrorKind::InvalidClaims if error.is_unproven() => {
                error.with_source(claim_diagnosis::explain_unproven(payload(), &expected.wanted))
            }
            AuthErrorKind::InvalidClaims => {
                error.with_source(claim_diagnosis::explain::<C>(payload(), &expected.wanted))
            }
            _ => diagnosis::explain(error, &self.rules, keys, token),
        }
    }
}

/// Returns true for the kinds that are looked at once the signature is valid.
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

/// What to say where newer keys cannot be had. A token that names a key which is not held has not been judged; one that
/// names none has, by those that are.
fn without_newer_keys(kind: AuthErrorKind, error: AuthError) -> AuthError {
    if kind == AuthErrorKind::UnknownKey { error } else { kind.into() }
}

impl<C> Verify for JwtVerifier<C>
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    type Claims = C;

    fn verify(&self, credential: Credential<'_>) -> Verdict<C> {
        self.judge(&credential)
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
