//! Issuing tokens.

#[cfg(feature = "dpop")]
pub(crate) mod dpop_key;
mod issue_error;
mod issued_token;
mod jwks_service;
mod payload;
pub(crate) mod private_key;
mod public_jwk;
mod rotation;
mod signing_key;
#[cfg(feature = "test-util")]
mod test_kit;
mod verifier;

use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

pub use self::issue_error::{IssueError, IssueErrorKind};
pub use self::issued_token::IssuedToken;
pub use self::jwks_service::JwksService;
pub use self::signing_key::SigningKey;

use self::payload::{Confirmation, OwnClaims};
use self::rotation::Keys;
use crate::binding::Binding;
use crate::config_error::ConfigError;
use crate::registered::{Audience, since_epoch};
use crate::verify::base64url::{encode, encode_onto};

/// Issues tokens: signs your claims, and publishes the keys that verify them.
///
/// ```
/// use std::time::Duration;
/// use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
/// use tower_jwt_auth::Algorithm;
///
/// #[derive(serde::Deserialize, serde::Serialize)]
/// struct User {
///     sub: String,
///     email: String,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let issuer = TokenIssuer::new(SigningKey::generate(Algorithm::ES256)?, "https://id.example.com")
///     .audience("https://api.example.com")
///     .lifetime(Duration::from_secs(5 * 60));
/// let token = issuer.issue(&User { sub: "42".to_owned(), email: "eze@example.com".to_owned() })?;
///
/// let user = issuer.verifier::<User>().verify(token.as_str()).await?;
/// assert_eq!(user.email, "eze@example.com");
/// # Ok(())
/// # }
/// ```
///
/// A token has the claims `iss`, `aud`, `iat`, `exp` and a unique `jti`
/// ([RFC 7519, section 4.1](https://www.rfc-editor.org/rfc/rfc7519#section-4.1)). Everything else is in your claims.
///
/// The keys may have different algorithms: [rotate](Self::rotate) to move from `ES512` to `MlDsa65`, for example. To
/// sign with two algorithms at the same time, use two issuers with the same name and publish both sets.
///
/// Clones are cheap and share the keys, so a rotation applies to all of them. Changed settings apply to one clone only.
#[derive(Clone)]
#[must_use]
pub struct TokenIssuer {
    settings: Arc<Settings>,
    keys: Arc<Keys>,
}

#[derive(Clone)]
struct Settings {
    issuer: String,
    audience: Audience,
    lifetime: Duration,
    access_tokens: bool,
    binding: Option<Binding>,
    publish_ahead: Duration,
    clock: Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>,
}

/// The end of the year 9999. Many libraries cannot read later dates.
const LATEST: u64 = 253_402_300_799;

impl TokenIssuer {
    /// Creates an issuer with this name and signing key.
    ///
    /// The name is usually an `https` URL.
    pub fn new(key: SigningKey, issuer: impl Into<String>) -> Self {
        let settings = Settings {
            issuer: issuer.into(),
            audience: Audience::default(),
            lifetime: Duration::from_secs(15 * 60),
            access_tokens: false,
            binding: None,
            publish_ahead: Duration::from_secs(2 * 60 * 60),
            clock: None,
        };
        Self { settings: Arc::new(settings), keys: Arc::new(Keys::new(key)) }
    }

    /// Sets the audience of the tokens (`aud`). By default they have none.
    ///
    /// See [RFC 7519, section 4.1.3](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3). To issue tokens with
    /// different audiences, change a clone.
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.set(|settings| settings.audience = Audience::from_iter([audience]))
    }

    /// Adds an audience. With several, `aud` is an array.
    pub fn add_audience(self, audience: impl Into<String>) -> Self {
        self.set(|settings| {
            let others = settings.audience.iter().map(str::to_owned);
            settings.audience = others.chain([audience.into()]).collect();
        })
    }

    /// Sets the lifetime of tokens. The default is 15 minutes.
    ///
    /// `exp` is in whole seconds, rounded down, and at most in the year 9999. After a [rotation](Self::rotate) the old
    /// key stays published for at least this long.
    pub fn lifetime(self, lifetime: Duration) -> Self {
        self.set(|settings| settings.lifetime = lifetime)
    }

    /// Issues access tokens: the header's `typ` is `at+jwt` instead of `JWT`.
    ///
    /// The type separates access tokens from all others
    /// ([RFC 9068, section 2.1](https://www.rfc-editor.org/rfc/rfc9068#section-2.1)). Such a token also needs an
    /// audience and the claims `sub` and `client_id`
    /// ([section 2.2](https://www.rfc-editor.org/rfc/rfc9068#section-2.2)). The issuer does not check that.
    pub fn access_tokens_only(self) -> Self {
        self.set(|settings| settings.access_tokens = true)
    }

    /// Binds the tokens to a key or certificate of the client, with the claim `cnf`.
    ///
    /// Only a client that holds it can use such a token, at services that check it: see `JwtVerifier::dpop` and
    /// `JwtVerifier::mtls`. Bind the tokens of each client by changing a clone:
    ///
    /// ```
    /// use serde_json::{Value, json};
    /// use tower_jwt_auth::issue::{IssueError, IssuedToken, TokenIssuer};
    /// use tower_jwt_auth::token::{Binding, Thumbprint};
    ///
    /// fn issue_for(issuer: &TokenIssuer, sub: &str, key: Thumbprint) -> Result<IssuedToken, IssueError> {
    ///     issuer.clone().bound_to(Binding::to_key(key)).issue(&json!({"sub": sub}))
    /// }
    /// ```
    ///
    /// See [RFC 9449, section 6](https://www.rfc-editor.org/rfc/rfc9449#section-6) and [RFC 8705, section
    /// 3](https://www.rfc-editor.org/rfc/rfc8705#section-3). Your claims must then not contain `cnf`.
    ///
    /// # Security
    ///
    /// The issuer does not check that the client holds the key. Your authorization server must do that first: verify the
    /// DPoP proof of the token request ([RFC 9449, section 5](https://www.rfc-editor.org/rfc/rfc9449#section-5)), or take
    /// the certificate from its connection. A token that is bound to a key of somebody else is theirs.
    pub fn bound_to(self, binding: Binding) -> Self {
        self.set(|settings| settings.binding = Some(binding))
    }

    /// Sets how long a new key is published before it signs. The default is two hours.
    ///
    /// The time must be longer than verifiers and caches keep a JWK set. The [service](Self::jwks_service) allows them
    /// a quarter of it, and at most five minutes. Some verifiers ignore that and fetch once an hour. A `RemoteKeys`
    /// respects it, down to its minimum of one minute, so two minutes are enough with its defaults.
    pub fn publish_ahead(self, time: Duration) -> Self {
        self.set(|settings| settings.publish_ahead = time)
    }

    /// Replaces the system clock, for tests. A clock in the past issues expired tokens.
    pub fn clock(self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.clock = Some(Arc::new(now)))
    }

    /// Issues a token with these claims and the configured [lifetime](Self::lifetime).
    ///
    /// The issuer adds `iss`, `iat`, `exp`, `jti`, and `aud` if there is an audience. Your claims must not contain any
    /// of these. `jti` is 128 bits from the operating system's random numbers, in base64url.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
    /// # use tower_jwt_auth::Algorithm;
    /// # let issuer = TokenIssuer::new(SigningKey::generate(Algorithm::EdDSA).unwrap(), "https://id.example.com");
    /// let error = issuer.issue(&json!({"sub": "42", "exp": 1_800_000_000})).unwrap_err();
    /// assert_eq!(error.to_string(), "reserved claim `exp`: the issuer sets it; remove it from your claims");
    /// ```
    ///
    /// # Errors
    ///
    /// - The claims are not a JSON object.
    /// - They contain `iss`, `aud`, `iat`, `exp` or `jti`, or any other member twice.
    /// - They contain `cnf`, and the tokens are [bound](Self::bound_to).
    /// - A member at any depth has a name that begins with `$serde_json::private::`.
    /// - The operating system returns no random numbers.
    pub fn issue<C: Serialize + ?Sized>(&self, claims: &C) -> Result<IssuedToken, IssueError> {
        self.issue_with_lifetime(self.settings.lifetime, claims)
    }

    /// Issues a token with this lifetime instead of the configured one.
    ///
    /// A lifetime longer than the configured one is unknown to other processes, and to this one after a restart. They
    /// may remove a rotated key before such a token expires.
    ///
    /// # Errors
    ///
    /// Same as [`issue`](Self::issue).
    pub fn issue_with_lifetime<C: Serialize + ?Sized>(
        &self,
        lifetime: Duration,
        claims: &C,
    ) -> Result<IssuedToken, IssueError> {
        let now = self.now();
        let mut jti = [0; 16];
        getrandom::fill(&mut jti).map_err(|_| IssueError::new(IssueErrorKind::NoRandomness))?;
        let jti = encode(&jti);
        let exp = now.saturating_add(lifetime).as_secs().min(LATEST);
        let settings = &*self.settings;
        let aud = settings.audience.iter().next().is_some().then_some(&settings.audience);
        let cnf = settings.binding.map(Confirmation::from);
        let own = OwnClaims { iss: &settings.issuer, aud, iat: now.as_secs(), exp, jti: &jti, cnf };
        let payload = own.with(claims)?;

        let published = self.keys.at(now, settings.lifetime);
        let signer = published.signer(now);
        signer.outlive(exp);
        let mut token = signer.header(settings.access_tokens).to_owned();
        token.push('.');
        encode_onto(&mut token, &payload);
        let signature =
            signer.key.sign(token.as_bytes()).ok_or_else(|| IssueError::new(IssueErrorKind::NoRandomness))?;
        token.push('.');
        encode_onto(&mut token, &signature);
        Ok(IssuedToken { token, jti, expires_at: UNIX_EPOCH + Duration::from_secs(exp) })
    }

    /// Returns the published public keys as a JWK set.
    ///
    /// The set ([RFC 7517, section 5](https://www.rfc-editor.org/rfc/rfc7517#section-5)) contains:
    ///
    /// - the key that signs now
    /// - keys that will sign later
    /// - old keys whose tokens may still be valid
    ///
    /// It never contains secrets.
    #[must_use]
    pub fn jwks(&self) -> String {
        self.keys.at(self.now(), self.settings.lifetime).jwks.clone()
    }

    /// Creates a service that responds with the [JWK set](Self::jwks).
    ///
    /// Mount it at the path that you tell verifiers, such as `/.well-known/jwks.json`. Scripts of any origin may read
    /// it.
    ///
    /// ```
    /// use http::Request;
    /// use tower::ServiceExt;
    /// use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
    /// use tower_jwt_auth::Algorithm;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let issuer = TokenIssuer::new(SigningKey::generate(Algorithm::EdDSA)?, "https://id.example.com");
    /// let answer = issuer.jwks_service().oneshot(Request::new(())).await?;
    /// assert_eq!(answer.headers()["cache-control"], "public, max-age=300");
    /// assert!(answer.body().starts_with(r#"{"keys":[{"alg":"EdDSA","#));
    /// # Ok(())
    /// # }
    /// ```
    pub fn jwks_service(&self) -> JwksService {
        JwksService { issuer: self.clone() }
    }

    /// Rotates to a new key: publishes it now and signs with it later.
    ///
    /// - The new key signs after [`publish_ahead`](Self::publish_ahead), so that every verifier knows it by then.
    /// - The old key signs until then. It stays published until its last token has expired, and one minute longer.
    /// - Rotations may overlap: each key signs until the next one takes over.
    ///
    /// Everything is computed from the clock and nothing is stored. After a restart, add the keys again with
    /// [`rotate_at`](Self::rotate_at).
    ///
    /// # A wrong clock
    ///
    /// A clock that is ahead removes no key for good. The issuer holds the last 16 expired keys, and publishes them again
    /// once the clock is right. Two effects remain:
    ///
    /// - The new key signs late by as much as the clock was ahead. You can rotate again at any time.
    /// - A key that was added while the clock was behind signs as soon as the clock is right.
    ///
    /// # Errors
    ///
    /// - A key with the same `kid` is already published. The `kid` of an expired key may be used again.
    /// - A key of this algorithm has no `kid`, and four others are published. Secrets have no `kid` unless you
    ///   [set one](SigningKey::with_kid).
    pub fn rotate(&self, key: SigningKey) -> Result<(), ConfigError> {
        let now = self.now();
        self.keys.add(key, now.saturating_add(self.settings.publish_ahead), now, self.settings.lifetime)
    }

    /// Rotates to a new key that signs from a given time.
    ///
    /// Use the same time in several processes, or a past time when a process starts during a rotation. In an emergency
    /// pass the current time, to sign with the key at once. A key with a later time still takes over at its time.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
    /// use tower_jwt_auth::Algorithm;
    ///
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// let [old, new] = [SigningKey::generate(Algorithm::EdDSA)?, SigningKey::generate(Algorithm::EdDSA)?];
    /// let issuer = TokenIssuer::new(old, "https://id.example.com");
    /// issuer.rotate_at(new, SystemTime::now() - Duration::from_secs(60))?;
    /// assert_eq!(issuer.jwks().matches("kty").count(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Same as [`rotate`](Self::rotate).
    pub fn rotate_at(&self, key: SigningKey, signs_from: SystemTime) -> Result<(), ConfigError> {
        self.keys.add(key, since_epoch(signs_from), self.now(), self.settings.lifetime)
    }

    /// Removes a key at once, before its tokens have expired.
    ///
    /// Use it when a key was stolen.
    ///
    /// Verifiers reject its tokens once they have fetched the keys again. A `RemoteKeys` does so within five minutes,
    /// or at once after `purge`. If the removed key is the one that signs, the next one signs from now on.
    /// [Add that one](Self::rotate_at) first.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
    /// use tower_jwt_auth::Algorithm;
    ///
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// let [stolen, new] = [SigningKey::generate(Algorithm::EdDSA)?.with_kid("a"), SigningKey::generate(Algorithm::EdDSA)?.with_kid("b")];
    /// let issuer = TokenIssuer::new(stolen, "https://id.example.com");
    /// assert!(issuer.remove_key("a").is_err()); // it is the only one
    /// issuer.rotate_at(new, SystemTime::now())?;
    /// issuer.remove_key("a")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`UnknownKeyId`](crate::ConfigErrorKind::UnknownKeyId) if no key with this `kid` is published. If it has expired,
    ///   it is removed nevertheless, and a clock that was wrong does not bring it back.
    /// - [`OnlyKey`](crate::ConfigErrorKind::OnlyKey) if no other key could sign. The key then stays and continues to
    ///   sign.
    pub fn remove_key(&self, kid: &str) -> Result<(), ConfigError> {
        self.keys.remove(kid, self.now(), self.settings.lifetime)
    }

    /// Returns how long a JWK set may be cached.
    fn max_age(&self) -> Duration {
        (self.settings.publish_ahead / 4).min(Duration::from_secs(5 * 60))
    }

    fn now(&self) -> Duration {
        since_epoch(self.settings.clock.as_ref().map_or_else(SystemTime::now, |clock| clock()))
    }

    fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenIssuer")
            .field("issuer", &self.settings.issuer)
            .field("audience", &self.settings.audience)
            .field("lifetime", &self.settings.lifetime)
            .finish_non_exhaustive()
    }
}
