//! Opaque tokens, checked by their provider (feature `introspection`).
//!
//! Some providers issue tokens that are not JWTs. Only the provider knows what such a token means: its introspection
//! endpoint says whether it is active, and returns its claims ([RFC 7662](https://www.rfc-editor.org/rfc/rfc7662)).
//!
#![cfg_attr(feature = "remote-keys", doc = "```")]
#![cfg_attr(not(feature = "remote-keys"), doc = "```ignore")]
//! use tower_jwt_auth::introspection::{ClientAuth, Introspection};
//! use tower_jwt_auth::policy::scope;
//! use tower_jwt_auth::JwtAuthLayer;
//!
//! # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
//! let auth = ClientAuth::basic("orders-api", "the secret of the client");
//! let verifier = Introspection::<serde_json::Value>::discover("https://id.example.com", auth)?
//!     .audience("https://api.example.com");
//! let layer = JwtAuthLayer::new(verifier).require(scope("orders:read"));
//! # Ok(())
//! # }
//! ```
//!
//! To accept JWTs as well, pass both verifiers to [`AnyOf`](crate::verifiers::AnyOf).

mod client_auth;
mod endpoint;
mod judge;
mod signed;

use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use self::client_auth::ClientAuth;
use self::endpoint::Endpoint;
use self::judge::judge;
use self::signed::{MEDIA_TYPE, SignedResponses};
use crate::config_error::ConfigError;
use crate::credential::Credential;
use crate::error::{AuthError, FixedCause};
use crate::jwks::HttpClient;
#[cfg(feature = "remote-keys")]
use crate::jwks::HttpsClient;
use crate::kind::AuthErrorKind;
use crate::lookups::{Answer, Blame, Failure, LookupSettings, LookupStats, Lookups};
use crate::revocation::Revocations;
use crate::verify::{KeySource, Rules, Verdict, Verify};

/// Verifies opaque tokens by asking their provider.
///
/// The answer is judged like a JWT: `exp`, `nbf`, `iss`, `aud`, `cnf` and [required claims](Self::require_claim) by the
/// same rules, and it is deserialized into the same claims type. In addition `active` must be true, and `token_type`
/// must be `Bearer` if it is present.
///
/// ```
/// use http::{Request, Response};
/// use tower_jwt_auth::introspection::{ClientAuth, Introspection};
/// use tower_jwt_auth::jwks::{ClientFuture, HttpClient};
/// use tower_jwt_auth::AuthErrorKind;
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     sub: String,
/// }
///
/// /// Replaces the provider.
/// struct Provider;
///
/// impl HttpClient for Provider {
///     fn fetch(&self, request: Request<Vec<u8>>, _: usize) -> ClientFuture {
///         let is_known = request.body().starts_with(b"token=2YotnFZFEjr1zCsicMWpAA&");
///         let answer = if is_known { r#"{"active": true, "sub": "eze"}"# } else { r#"{"active": false}"# };
///         Box::pin(async move { Ok(Response::new(answer.into())) })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let auth = ClientAuth::basic("orders-api", "the secret of the client");
/// let verifier = Introspection::<User>::endpoint_with("https://id.example.com/introspect", auth, Provider)?;
/// assert_eq!(verifier.verify("2YotnFZFEjr1zCsicMWpAA").await?.sub, "eze");
/// assert_eq!(verifier.verify("another").await.unwrap_err().kind(), AuthErrorKind::InvalidToken);
/// # Ok(())
/// # }
/// ```
///
/// # Requests to the provider
///
/// One call answers all requests with the same token. The answer is remembered for [a minute](LookupSettings::max_age)
/// at most, and never beyond the token's `exp`. A token that is revoked at the provider is rejected after that time. The
/// verifier remembers the SHA-256 of a token, not the token.
///
/// If the provider hangs or fails, unknown tokens get 503 with `Retry-After`, and remembered ones still work:
/// [`LookupSettings`] has the limits. A call needs a tokio runtime with timers, and I/O for the crate's own client.
///
/// # Security
///
/// - Some endpoints also call refresh tokens active. They are rejected if the provider marks them: by `token_type`, by
///   `token_use` (Ory Hydra) or by `typ` (Keycloak). Some providers only omit `token_type`. Set
///   [`audience`](Self::audience) or [`access_tokens_only`](Self::access_tokens_only) for those.
/// - The endpoint is trusted like a signing key, so it must be `https`.
#[must_use]
pub struct Introspection<C> {
    endpoint: Arc<Endpoint>,
    rules: Arc<Rules>,
    signed: Option<SignedResponses>,
    needs_token_type: bool,
    lookups: Lookups<C>,
}

#[cfg(feature = "remote-keys")]
impl<C> Introspection<C> {
    /// Asks the endpoint that the issuer's discovery document names.
    ///
    /// The document is fetched at the first use, and again after an hour. A token with another `iss` is rejected. One
    /// without `iss` is accepted, because the endpoint belongs to the issuer. Set [`issuer`](Self::issuer) to require it.
    ///
    /// # Errors
    ///
    /// Same as [`RemoteKeys::discover`](crate::jwks::RemoteKeys::discover).
    pub fn discover(issuer: &str, auth: ClientAuth) -> Result<Self, ConfigError> {
        Self::discover_with(issuer, auth, HttpsClient::new())
    }

    /// Asks the endpoint at this URL.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL is invalid or not `https`. `http` is accepted for this machine.
    pub fn endpoint(url: &str, auth: ClientAuth) -> Result<Self, ConfigError> {
        Self::endpoint_with(url, auth, HttpsClient::new())
    }
}

impl<C> Introspection<C> {
    /// Same as `discover`, with your own HTTP client or a configured `HttpsClient`.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL is invalid or not allowed.
    pub fn discover_with(
        issuer: &str,
        auth: ClientAuth,
        client: impl HttpClient + 'static,
    ) -> Result<Self, ConfigError> {
        let mut rules = Rules::new();
        rules.expected.issuers.push(issuer.to_owned());
        rules.expected.issuer_may_be_missing = true;
        Ok(Self::new(Endpoint::discovered(issuer, auth, Arc::new(client))?, rules))
    }

    /// Same as `endpoint`, with your own HTTP client or a configured `HttpsClient`.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL is invalid or not allowed.
    pub fn endpoint_with(
        url: &str,
        auth: ClientAuth,
        client: impl HttpClient + 'static,
    ) -> Result<Self, ConfigError> {
        Ok(Self::new(Endpoint::given(url, auth, Arc::new(client))?, Rules::new()))
    }

    fn new(endpoint: Endpoint, mut rules: Rules) -> Self {
        // The provider says that the token is active.
        rules.expected.allow_missing_expiry = true;
        Self {
            endpoint: Arc::new(endpoint),
            rules: Arc::new(rules),
            signed: None,
            needs_token_type: false,
            lookups: Lookups::new("introspection", LookupSettings::new()),
        }
    }

    /// Requires exactly this `iss`, which then must be present. It replaces all issuers that were set before.
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.set(|rules| {
            rules.expected.issuers = vec![issuer.into()];
            rules.expected.issuer_may_be_missing = false;
        })
    }

    /// Requires an `aud` that is or contains this string. It replaces all audiences that were set before.
    ///
    /// As for a JWT, a token with an `aud` is rejected if no audience is set.
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.set(|rules| rules.expected.wanted.audiences = vec![audience.into()])
    }

    /// Accepts one more audience.
    pub fn add_audience(self, audience: impl Into<String>) -> Self {
        self.set(|rules| rules.expected.wanted.audiences.push(audience.into()))
    }

    /// Requires a claim to be exactly this value or an array that contains it.
    ///
    /// Works like [`JwtVerifier::require_claim`](crate::JwtVerifier::require_claim).
    pub fn require_claim(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set(|rules| rules.expected.require_claim(name.into(), value.into()))
    }

    /// Requires `token_type` in the response. By default it may be missing.
    ///
    /// Some providers, such as `oidc-provider` and Spring Authorization Server, omit it for refresh tokens alone. Such a
    /// token then cannot pass for an access token.
    pub fn access_tokens_only(mut self) -> Self {
        self.needs_token_type = true;
        self.set(|_| {})
    }

    /// Sets the allowed clock difference to the provider. The default is 60 s.
    pub fn leeway(self, leeway: Duration) -> Self {
        self.set(|rules| rules.expected.leeway = leeway)
    }

    /// Sets the size limit of a token, in bytes. The default is 16 KiB.
    pub fn max_token_bytes(self, bytes: usize) -> Self {
        self.set(|rules| rules.max_token_bytes = bytes)
    }

    /// Rejects tokens that are on this revocation list. By default there is none.
    ///
    /// The list is checked at each request, so it takes effect before the remembered answer ends. It finds a token by
    /// the `iss` with `jti`, `sid` or `sub` that the provider returns.
    pub fn revocations(self, revocations: Revocations) -> Self {
        self.set(|rules| rules.set_revocations(revocations))
    }

    /// Replaces the system clock, for tests.
    pub fn clock(self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.set(|rules| rules.clock = Some(Arc::new(now)))
    }

    /// Requires signed responses, verified with these keys
    /// ([RFC 9701](https://www.rfc-editor.org/rfc/rfc9701)).
    ///
    /// The response is a JWT of the provider for this client: its `aud` must be the client ID, its `iss` the issuer, and
    /// its `iat` at most five minutes old. A response without a signature is then a failure. Register the client for
    /// signed responses at the provider. The keys are usually a `RemoteKeys` for the issuer.
    pub fn signed_responses(mut self, keys: impl KeySource + 'static) -> Self {
        self.signed = Some(SignedResponses::new(keys, self.endpoint.client_id()));
        self.set(|_| {})
    }

    /// Sets the limits of the calls and of the remembered answers.
    pub fn lookup_settings(self, settings: LookupSettings) -> Self {
        Self { lookups: Lookups::new("introspection", settings), ..self }
    }

    /// Accepts any `aud`, and tokens without one.
    ///
    /// # Security
    ///
    /// A token that was issued for another service then works for this one.
    pub fn insecure_any_audience(self) -> Self {
        self.set(|rules| rules.expected.any_audience = true)
    }

    /// Ignores `cnf`, and accepts the `token_type` `DPoP`.
    ///
    /// # Security
    ///
    /// A thief can then use a token that is bound to one sender, unless something else checks the sender.
    pub fn insecure_ignore_confirmation(self) -> Self {
        self.set(|rules| rules.expected.ignore_confirmation = true)
    }

    /// Returns statistics. Ask a clone that was made after the last setting.
    #[must_use]
    pub fn lookup_stats(&self) -> LookupStats {
        self.lookups.stats()
    }

    fn set(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        let rules = Arc::make_mut(&mut self.rules);
        rules.change(change);
        if let Some(revocations) = &rules.revocations {
            revocations.hold_beyond_expiry(rules.expected.leeway);
        }
        self.lookups = self.lookups.emptied();
        self
    }
}

impl<C> Introspection<C>
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    /// Verifies a token without a request, or a [`Credential`].
    ///
    /// # Errors
    ///
    /// - [`InvalidToken`](AuthErrorKind::InvalidToken): the provider does not know the token, or it is not active.
    /// - [`Unavailable`](AuthErrorKind::Unavailable): the provider could not be asked.
    /// - The kinds of a JWT whose claims are rejected, such as [`WrongAudience`](AuthErrorKind::WrongAudience).
    pub fn verify<'a>(&self, credential: impl Into<Credential<'a>>) -> Verdict<C> {
        self.judge(&credential.into())
    }

    fn judge(&self, credential: &Credential<'_>) -> Verdict<C> {
        let token = match self.readable(credential.token()) {
            Ok(token) => token,
            Err(error) => return Verdict::Ready(Err(error)),
        };
        let ask = || self.clone().ask(token.to_owned());
        let rules = Arc::clone(&self.rules);
        let check = move |claims: &crate::Claims<C>| {
            rules
                .judge_revocations(&claims.conditions().revocable)
                .map_err(|kind| AuthError::from(kind).proven())
        };
        self.lookups.verify(&Sha256::digest(token), self.rules.now(), ask, check)
    }

    /// Rejects a token that no provider issues: it has other characters than printable ASCII (RFC 6749, appendix A.12).
    fn readable<'t>(&self, token: &'t [u8]) -> Result<&'t str, AuthError> {
        const TOO_LONG: &FixedCause =
            &FixedCause("the token is too long; Introspection::max_token_bytes sets the limit");
        const UNREADABLE: &FixedCause = &FixedCause("the token has other characters than printable ASCII");
        if token.len() > self.rules.max_token_bytes {
            return Err(AuthError::new(AuthErrorKind::TokenTooLarge).because(TOO_LONG));
        }
        std::str::from_utf8(token)
            .ok()
            .filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or_else(|| AuthError::new(AuthErrorKind::InvalidToken).because(UNREADABLE))
    }

    async fn ask(self, token: String) -> Answer<C> {
        let accept = if self.signed.is_some() { MEDIA_TYPE } else { "application/json" };
        let body = match self.endpoint.ask(&token, accept).await {
            Ok(body) => body,
            Err(failure) => return Answer::Failed(failure),
        };
        let Some(signed) = &self.signed else {
            return judge(&body, &self.rules, self.needs_token_type);
        };
        let expected = &self.rules.expected;
        match signed.read(&body, &expected.issuers, self.rules.now(), expected.leeway).await {
            Ok(text) => judge(text.as_bytes(), &self.rules, self.needs_token_type),
            Err(error) => {
                let unavailable = error.kind() == AuthErrorKind::KeysUnavailable;
                let blame = if unavailable { Blame::Everybody } else { Blame::Unclear };
                Answer::Failed(Failure { cause: Box::new(Unverified(error)), blame, retry_after: None })
            }
        }
    }
}

/// The cause of a failure: the signature of a response is not proven.
#[derive(Debug)]
struct Unverified(AuthError);

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("the response is not a valid signed introspection response (RFC 9701)")
    }
}

impl std::error::Error for Unverified {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl<C> Verify for Introspection<C>
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

impl<C> Clone for Introspection<C> {
    fn clone(&self) -> Self {
        Self {
            endpoint: Arc::clone(&self.endpoint),
            rules: Arc::clone(&self.rules),
            signed: self.signed.clone(),
            needs_token_type: self.needs_token_type,
            lookups: self.lookups.clone(),
        }
    }
}

impl<C> fmt::Debug for Introspection<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection").field("expected", &self.rules.expected).finish_non_exhaustive()
    }
}
