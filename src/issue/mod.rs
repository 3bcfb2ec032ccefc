//! Tokens of one's own.

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

use self::payload::OwnClaims;
use self::rotation::Keys;
use crate::config_error::ConfigError;
use crate::registered::{Audience, since_epoch};
use crate::verify::base64url::{encode, encode_onto};

/// Issues tokens: signs claims of your own, and publishes the keys that others check them with.
///
/// A token says who issued it and for whom, when it was issued and when it ends, and has a `jti` of its own
/// ([RFC 7519, section 4.1](https://www.rfc-editor.org/rfc/rfc7519#section-4.1)); all else is in the claims.
///
/// The keys may have different algorithms: [rotate](Self::rotate) to move from `ES512` to `MlDsa65`, say. To sign with two
/// algorithms at the same time, use two issuers of one name and publish both sets.
///
/// It is cheap to clone. Clones share the keys, so that a [rotation](Self::rotate) is one of all; settings that are
/// changed are the clone's own.
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
    publish_ahead: Duration,
    clock: Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>,
}

/// The end of the year 9999: later ones are not dates that everybody can read.
const LATEST: u64 = 253_402_300_799;

impl TokenIssuer {
    /// An issuer of this name, ordinarily an `https` URL, that signs with this key.
    pub fn new(key: SigningKey, issuer: impl Into<String>) -> Self {
        let settings = Settings {
            issuer: issuer.into(),
            audience: Audience::default(),
            lifetime: Duration::from_secs(15 * 60),
            access_tokens: false,
            publish_ahead: Duration::from_secs(2 * 60 * 60),
            clock: None,
        };
        Self { settings: Arc::new(settings), keys: Arc::new(Keys::new(key)) }
    }

    /// Sets whom tokens are for: their `aud`
    /// ([RFC 7519, section 4.1.3](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3)). By default they have none. For
    /// tokens with different audiences, change a clone.
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.set(|settings| settings.audience = Audience::from_iter([audience]))
    }

    /// Adds one more; `aud` is then an array.
    pub fn add_audience(self, audience: impl Into<String>) -> Self {
        self.set(|settings| {
            let others = settings.audience.iter().map(str::to_owned);
            settings.audience = others.chain([audience.into()]).collect();
        })
    }

    /// Sets how long tokens live. The default is 15 minutes. `exp` is in whole seconds, rounded down, and not later than
    /// the year 9999. A key that was [rotated](Self::rotate) out stays published for at least as long.
    pub fn lifetime(self, lifetime: Duration) -> Self {
        self.set(|settings| settings.lifetime = lifetime)
    }

    /// Has the header's `typ` be `at+jwt`, which tells access tokens from all others
    /// ([RFC 9068, section 2.1](https://www.rfc-editor.org/rfc/rfc9068#section-2.1)); by default it is `JWT`. Such
    /// a token also needs an audience, and claims with `sub` and `client_id`
    /// ([section 2.2](https://www.rfc-editor.org/rfc/rfc9068#section-2.2)), which is not checked.
    pub fn access_tokens_only(self) -> Self {
        self.set(|settings| settings.access_tokens = true)
    }

    /// Sets how long a new key is published before it signs. The default is two hours.
    ///
    /// It has to be longer than the time for which verifiers and caches keep a JWK set. They may keep it for a quarter
    /// of this, and at most five minutes, as the [service](Self::jwks_service) tells them. A `RemoteKeys` keeps to that,
    /// but for its least of one minute, so that with its defaults two minutes are enough; others may ask once an hour.
    pub fn publish_ahead(self, time: Duration) -> Self {
        self.set(|settings| settings.publish_ahead = time)
    }

    /// Replaces the system's clock: for tests. With one that is late, tokens are issued that have expired.
    pub fn clock(self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.clock = Some(Arc::new(now)))
    }

    /// Issues a token with these claims, for as long as the [lifetime](Self::lifetime) is.
    ///
    /// The issuer adds `iss`, `aud` if there is an audience, `iat`, `exp` and `jti`: the claims must not have any of
    /// these, or the token would say two things. `jti` is 128 bits from the operating system's random numbers, in
    /// base64url.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
    /// # use tower_jwt_auth::Algorithm;
    /// # let issuer = TokenIssuer::new(SigningKey::generate(Algorithm::EdDSA).unwrap(), "https://id.example.com");
    /// let error = issuer.issue(&json!({"sub": "42", "exp": 1_800_000_000})).unwrap_err();
    /// assert_eq!(error.to_string(), "the claims have a member `exp`, which the issuer sets");
    /// ```
    ///
    /// # Errors
    ///
    /// If the claims are not a JSON object, have one of these members, any other member twice or one named
    /// `$serde_json::private::..` at any depth, or the operating system gives no random numbers.
    pub fn issue<C: Serialize + ?Sized>(&self, claims: &C) -> Result<IssuedToken, IssueError> {
        self.issue_with_lifetime(self.settings.lifetime, claims)
    }

    /// Issues a token with a lifetime of its own. If it is longer than the [lifetime](Self::lifetime) of the issuer, other
    /// processes, and this one after a restart, do not know of it when they drop a key that was rotated out.
    ///
    /// # Errors
    ///
    /// As [`issue`](Self::issue).
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
        let own = OwnClaims { iss: &settings.issuer, aud, iat: now.as_secs(), exp, jti: &jti };
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

    /// The public keys that are published now, as a JWK set
    /// ([RFC 7517, section 5](https://www.rfc-editor.org/rfc/rfc7517#section-5)): the one that signs, those that are
    /// to sign, and those whose tokens may not have ended. Secrets are never among them.
    #[must_use]
    pub fn jwks(&self) -> String {
        self.keys.at(self.now(), self.settings.lifetime).jwks.clone()
    }

    /// The service that answers with the [JWK set](Self::jwks), for the path that verifiers are told of, such as
    /// `/.well-known/jwks.json`. Pages of every origin may read it.
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

    /// Brings in a new key: it is published at once, and signs after the time that is
    /// [set](Self::publish_ahead), so that no verifier meets it unprepared. The one before it signs until then, and stays
    /// published until its last token has ended, and a minute longer.
    ///
    /// All of this is worked out from the clock when it is asked for. It is not written down anywhere: after a restart, bring
    /// in the keys again by [`rotate_at`](Self::rotate_at). One rotation may follow another at any time; each of the
    /// keys then signs until the next one does.
    ///
    /// # Errors
    ///
    /// If a key of the same `kid` is published already; or if one has no `kid`, as secrets have unless they are
    /// [given one](SigningKey::with_kid), and four of the same algorithm are.
    pub fn rotate(&self, key: SigningKey) -> Result<(), ConfigError> {
        let now = self.now();
        self.keys.add(key, now.saturating_add(self.settings.publish_ahead), now, self.settings.lifetime)
    }

    /// Brings in a new key that signs from a certain time on: one that several processes agree on, or one in the past,
    /// where the process begins in the midst of a rotation. A key that is to begin later takes over from it then, so that
    /// in an emergency this one can sign at once.
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
    /// As [`rotate`](Self::rotate).
    pub fn rotate_at(&self, key: SigningKey, signs_from: SystemTime) -> Result<(), ConfigError> {
        self.keys.add(key, since_epoch(signs_from), self.now(), self.settings.lifetime)
    }

    /// Removes a key at once, before its tokens have expired, for example because it was stolen.
    ///
    /// Every verifier that fetches the keys again rejects its tokens. A `RemoteKeys` does so within five minutes, or at once after
    /// `purge`. If the removed key is the one that signs, the next key signs from now on, so [add that one](Self::rotate_at) first.
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
    /// [`UnknownKeyId`](crate::ConfigErrorKind::UnknownKeyId) if no key with this `kid` is published, and
    /// [`OnlyKey`](crate::ConfigErrorKind::OnlyKey) if no other key could sign: then the key stays, and goes on signing.
    pub fn remove_key(&self, kid: &str) -> Result<(), ConfigError> {
        self.keys.remove(kid, self.now(), self.settings.lifetime)
    }

    /// How long a JWK set may be kept.
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
