//! Opaque tokens, checked by their provider (feature `introspection`).
//!
//! An [`Introspection`] asks the provider about each token ([RFC 7662](https://www.rfc-editor.org/rfc/rfc7662)), remembers the
//! answer for a minute, and judges it as strictly as a JWT. It is a [`Verify`], so it works in a
//! [`JwtAuthLayer`](crate::JwtAuthLayer) and as the [`opaque`](crate::verifiers::AnyOf::opaque) verifier beside JWTs.
//!
//! ```
//! use http::{Request, Response};
//! use tower_jwt_auth::introspection::{ClientAuth, Introspection};
//! use tower_jwt_auth::jwks::{ClientFuture, HttpClient};
//! use tower_jwt_auth::AuthErrorKind;
//!
//! #[derive(Debug, serde::Deserialize)]
//! struct User {
//!     username: String,
//! }
//!
//! /// Stands in for a provider. `Introspection::discover` uses the crate's own client (feature `remote-keys`).
//! struct Provider;
//!
//! impl HttpClient for Provider {
//!     fn fetch(&self, request: Request<Vec<u8>>, _: usize) -> ClientFuture {
//!         let answer = match request.body().starts_with(b"token=2YotnFZFEjr1zCsicMWpAA&") {
//!             true => r#"{"active": true, "username": "Eze", "aud": "https://api.example.com"}"#,
//!             false => r#"{"active": false}"#,
//!         };
//!         Box::pin(async { Ok(Response::new(answer.into())) })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let auth = ClientAuth::basic("api", "the client secret");
//! let verifier = Introspection::<User>::endpoint_with("https://id.example.com/introspect", auth, Provider)?
//!     .audience("https://api.example.com");
//!
//! assert_eq!(verifier.verify("2YotnFZFEjr1zCsicMWpAA").await?.username, "Eze");
//! let error = verifier.verify("another").await.unwrap_err();
//! assert_eq!(error.kind(), AuthErrorKind::InvalidToken);
//! # Ok(())
//! # }
//! ```
//!
//! # Failures
//!
//! A token is rejected with 401 only if the provider says that it is not active, or if its claims are not accepted. Every
//! other answer gets 503, with a cause for logs: a timeout, another status than 200, a response that is not a JSON object with
//! one boolean `active`, or one above 64 KiB. [`LookupSettings`] describes the backoff. Remembered tokens stay valid meanwhile.
//!
//! # Revoked tokens
//!
//! A token that the provider has revoked is accepted for at most [`LookupSettings::max_age`], 60 s by default. A list of
//! [`revocations`](Introspection::revocations) works at once.

mod call;
mod client_auth;
mod endpoint;
mod response;
mod signed;

use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use self::call::{Form, Provider, failure};
pub use self::client_auth::ClientAuth;
use self::endpoint::Endpoint;
use crate::challenges::Challenges;
use crate::claims::Claims;
use crate::config_error::ConfigError;
use crate::credential::Credential;
use crate::error::{AuthError, FixedCause};
use crate::jwks::HttpClient;
#[cfg(feature = "remote-keys")]
use crate::jwks::HttpsClient;
use crate::kind::AuthErrorKind;
use crate::lookups::{Answer, Blame, Failure, LookupSettings, LookupStats, Lookups};
use crate::revocation::Revocations;
use crate::token_source::is_bearer_token;
use crate::verify::{Clock, KeySource, Rules, Statement, UNKNOWN_TIME, Verdict, Verify};

/// Verifies tokens by asking their provider (RFC 7662).
///
/// The claims type `C` reads the members of the response, as it reads the claims of a JWT. `scope` works with
/// [policies](crate::policy). The response is judged like the payload of a JWT:
///
/// - `exp`, `nbf`, `cnf` and duplicate members are judged alike. `exp` may be missing.
/// - A configured [`issuer`](Self::issuer) or [`audience`](Self::audience) is required and compared exactly.
/// - A token with an `aud` is rejected if no audience is configured.
/// - After [`discover`](Self::discover), another `iss` is rejected. It may be missing: the endpoint is the issuer's own.
/// - `token_type` must be `Bearer` if it is present. With [`dpop`](Self::dpop) it may be `DPoP`, and then needs `cnf.jkt`.
/// - Refresh tokens and ID tokens are rejected if the provider marks them, as Keycloak does with `typ` and Ory Hydra with
///   `token_use`.
///
/// A setter replaces the earlier value; setters named `add_*` add one. The verifier needs a tokio runtime and is cheap to
/// clone. Clones share what is remembered; a later change of any setting gives the changed verifier an empty memory.
///
/// # Security
///
/// A response that does not name an audience may be about a token for any service of the provider, or about a refresh
/// token. Configure an [`audience`](Self::audience), [`access_tokens_only`](Self::access_tokens_only), or a [required
/// claim](Self::require_claim).
#[must_use]
pub struct Introspection<C> {
    settings: Arc<Settings>,
    lookups: Lookups<C>,
}

#[derive(Clone)]
struct Settings {
    provider: Arc<Provider>,
    rules: Rules,
    /// The keys of signed responses, if they are required.
    keys: Option<Arc<dyn KeySource>>,
    /// True if a response without `token_type` is rejected.
    needs_token_type: bool,
}

/// The name in logs and metrics.
const SERVICE: &str = "introspection";

#[cfg(feature = "remote-keys")]
impl<C> Introspection<C>
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    /// Asks the introspection endpoint of an issuer.
    ///
    /// The discovery document names it as `introspection_endpoint`. It is found as in
    /// [`RemoteKeys::discover`](crate::jwks::RemoteKeys::discover), and read at the first use, after an hour, and after
    /// failures.
    ///
    /// # Errors
    ///
    /// - The issuer is not an `https` URL or a URL of this machine.
    /// - It has a query, a fragment or a user name.
    pub fn discover(issuer: &str, auth: ClientAuth) -> Result<Self, ConfigError> {
        Self::discover_with(issuer, auth, HttpsClient::new())
    }

    /// Asks the endpoint at this URL.
    ///
    /// # Errors
    ///
    /// Same as [`discover`](Self::discover), but a query is allowed.
    pub fn endpoint(url: &str, auth: ClientAuth) -> Result<Self, ConfigError> {
        Self::endpoint_with(url, auth, HttpsClient::new())
    }
}

impl<C> Introspection<C>
where
    C: DeserializeOwned + Send + Sync + 'static,
{
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
        Ok(Self::new(Endpoint::of_issuer(issuer, &client)?, auth, client))
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
        Ok(Self::new(Endpoint::fixed(url, &client)?, auth, client))
    }

    fn new(endpoint: Endpoint, auth: ClientAuth, client: impl HttpClient + 'static) -> Self {
        let mut rules = Rules::new();
        rules.expected.allow_missing_expiry = true;
        let provider = Arc::new(Provider { endpoint, auth, client: Arc::new(client) });
        let settings = Arc::new(Settings { provider, rules, keys: None, needs_token_type: false });
        Self { settings, lookups: Lookups::new(SERVICE, LookupSettings::new()) }
    }
}

impl<C> Introspection<C> {
    /// Requires exactly this `iss` in the response.
    ///
    /// It replaces all issuers that were set before. Many providers omit `iss`: do not set it then.
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.set(|settings| settings.rules.expected.issuers = vec![issuer.into()])
    }

    /// Accepts one more issuer.
    pub fn add_issuer(self, issuer: impl Into<String>) -> Self {
        self.set(|settings| settings.rules.expected.issuers.push(issuer.into()))
    }

    /// Requires an `aud` that is exactly this string or an array with it.
    ///
    /// It replaces all audiences that were set before.
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.set(|settings| settings.rules.expected.wanted.audiences = vec![audience.into()])
    }

    /// Accepts one more audience.
    pub fn add_audience(self, audience: impl Into<String>) -> Self {
        self.set(|settings| settings.rules.expected.wanted.audiences.push(audience.into()))
    }

    /// Requires a member to be exactly this value or an array that contains it.
    ///
    /// A second call with the same name accepts one more value. See
    /// [`JwtVerifier::require_claim`](crate::JwtVerifier::require_claim).
    pub fn require_claim(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set(|settings| settings.rules.expected.require_claim(name.into(), value.into()))
    }

    /// Requires `token_type` in the response. By default it may be missing.
    ///
    /// Some providers, such as `oidc-provider` and Spring Authorization Server, omit it for refresh tokens alone. Such a
    /// token then cannot pass for an access token.
    pub fn access_tokens_only(self) -> Self {
        self.set(|settings| settings.needs_token_type = true)
    }

    /// Sets the allowed clock difference to the provider. The default is 60 s.
    ///
    /// A token is accepted until this long after its `exp`, and from this long before its `nbf`.
    pub fn leeway(self, leeway: Duration) -> Self {
        self.set(|settings| settings.rules.expected.leeway = leeway)
    }

    /// Sets the size limit of a token, in bytes. The default is 16 KiB.
    ///
    /// Larger tokens are rejected without a call.
    pub fn max_token_bytes(self, bytes: usize) -> Self {
        self.set(|settings| settings.rules.max_token_bytes = bytes)
    }

    /// Rejects tokens that are on this revocation list. By default there is none.
    ///
    /// The list is checked at every use, also of a remembered token.
    ///
    /// The response must name the token, the session or the subject (`jti`, `sid`, `sub`), as strings. Its issuer is its `iss`,
    /// or the discovered one. Without either, no entry matches. Revoke tokens without `exp` with `None` as the expiry.
    pub fn revocations(self, revocations: Revocations) -> Self {
        self.set(|settings| settings.rules.set_revocations(revocations))
    }

    /// Replaces the system clock, for tests and for targets without a reliable clock.
    ///
    /// See [`JwtVerifier::clock`](crate::JwtVerifier::clock). Timeouts and the backoff follow tokio's clock.
    pub fn clock(self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.rules.clock = Clock::new(now))
    }

    /// Accepts any `aud`, and responses without one.
    ///
    /// # Security
    ///
    /// A token that was issued for another service then works for this one.
    pub fn insecure_any_audience(self) -> Self {
        self.set(|settings| settings.rules.expected.any_audience = true)
    }

    /// Ignores the `cnf` member, and accepts `DPoP` as the `token_type`.
    ///
    /// # Security
    ///
    /// Such a token is bound to one sender. A thief can then use it, unless something else checks the sender.
    pub fn insecure_ignore_confirmation(self) -> Self {
        self.set(|settings| settings.rules.ignore_confirmation())
    }

    /// Accepts DPoP-bound tokens, like [`JwtVerifier::dpop`](crate::JwtVerifier::dpop).
    ///
    /// The response must have a `cnf` member with `jkt` ([RFC 9449, section
    /// 6.2](https://www.rfc-editor.org/rfc/rfc9449#section-6.2)).
    #[cfg(feature = "dpop")]
    pub fn dpop(self, dpop: crate::dpop::Dpop) -> Self {
        self.set(|settings| settings.rules.support(|senders| senders.dpop = Some(dpop)))
    }

    /// Accepts tokens bound to the client certificate, like [`JwtVerifier::mtls`](crate::JwtVerifier::mtls).
    ///
    /// The response must have a `cnf` member with `x5t#S256` ([RFC 8705, section
    /// 3.2](https://www.rfc-editor.org/rfc/rfc8705#section-3.2)).
    #[cfg(feature = "mtls")]
    pub fn mtls(self, mtls: crate::mtls::Mtls) -> Self {
        self.set(|settings| settings.rules.support(|senders| senders.mtls = Some(mtls)))
    }

    /// Requires signed responses ([RFC 9701](https://www.rfc-editor.org/rfc/rfc9701)), signed with one of `keys`.
    ///
    /// The request asks for `application/token-introspection+jwt`. The signed response needs this `typ`, an `iss` that is the
    /// issuer, an `aud` that is the client ID, and an `iat` within 5 minutes. A response that is not signed is a failure. After
    /// [`endpoint`](Self::endpoint), set an [`issuer`](Self::issuer), or use keys that name theirs.
    pub fn signed_responses(self, keys: impl KeySource + 'static) -> Self {
        self.set(|settings| settings.keys = Some(Arc::new(keys)))
    }

    /// Sets the limits of calls, and of what is remembered.
    pub fn lookup_settings(mut self, settings: LookupSettings) -> Self {
        self.lookups = Lookups::new(SERVICE, settings);
        self
    }

    /// Returns statistics of calls, and of what is remembered.
    ///
    /// Ask a clone that was made after the last setting.
    #[must_use]
    pub fn lookup_stats(&self) -> LookupStats {
        self.lookups.stats()
    }

    /// Forgets the answer about a token, for example after it was revoked.
    ///
    /// The next use asks the provider again. Other processes still remember the answer.
    pub fn forget(&self, token: &str) {
        self.lookups.forget(&fingerprint(token));
    }

    fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        let settings = Arc::make_mut(&mut self.settings);
        change(settings);
        if let Some(revocations) = &settings.rules.revocations {
            revocations.hold_beyond_expiry(settings.rules.expected.leeway);
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
    /// The verdict is an [`AuthError`]. Its kind is the first check that failed.
    pub fn verify<'a>(&self, credential: impl Into<Credential<'a>>) -> Verdict<C> {
        let credential = credential.into();
        self.settings.rules.judge_sender(self.judge(credential.token()), &credential)
    }

    fn judge(&self, token: &[u8]) -> Verdict<C> {
        let rules = &self.settings.rules;
        let now = rules.now();
        let token = match presented(token, rules.max_token_bytes) {
            Ok(_) if now == UNKNOWN_TIME => return Verdict::Ready(Err(AuthErrorKind::NotYetValid.into())),
            Ok(token) => token,
            Err(error) => return Verdict::Ready(Err(error)),
        };
        let ask = || {
            let (settings, token) = (Arc::clone(&self.settings), token.to_owned());
            async move { settings.answer(&token, now).await }
        };
        let settings = Arc::clone(&self.settings);
        let check = move |claims: &_| settings.rules.judge_use(claims);
        self.lookups.verify(&fingerprint(token), now, ask, check)
    }
}

/// Returns the token if the provider may be asked about it.
fn presented(token: &[u8], max_bytes: usize) -> Result<&str, AuthError> {
    if token.len() > max_bytes {
        return Err(AuthErrorKind::TokenTooLarge.into());
    }
    // Anything else would only reach a firewall in front of the provider (RFC 6750, section 2.1).
    let text = std::str::from_utf8(token).ok().filter(|_| is_bearer_token(token));
    text.ok_or_else(|| AuthError::new(AuthErrorKind::InvalidToken).because(UNPRINTABLE))
}

const UNPRINTABLE: &FixedCause = &FixedCause("the token does not have the form of a bearer token");

/// Returns the key under which a token is remembered, so that memory holds no tokens.
fn fingerprint(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl Settings {
    /// Asks the provider and judges its answer.
    async fn answer<C>(&self, token: &str, asked_at: Duration) -> Answer<C>
    where
        C: DeserializeOwned + 'static,
    {
        let response = match self.ask(token, asked_at).await {
            Ok(response) => response,
            Err(failure) => return Answer::Failed(failure),
        };
        match response::is_active(&response) {
            Ok(true) => match self.judge(&response, asked_at) {
                Ok(claims) => Answer::Accepted(claims),
                Err(error) => Answer::Rejected(error),
            },
            Ok(false) => Answer::Rejected(response::inactive()),
            Err(cause) => Answer::Failed(failure(cause, Blame::Unclear)),
        }
    }

    /// Returns the response as JSON.
    async fn ask(&self, token: &str, asked_at: Duration) -> Result<Vec<u8>, Failure> {
        let form = if self.keys.is_some() { Form::Jwt } else { Form::Json };
        let now = UNIX_EPOCH.checked_add(asked_at).unwrap_or(UNIX_EPOCH);
        let response = self.provider.ask(token, form, now).await?;
        match &self.keys {
            Some(keys) => {
                let client_id = self.provider.auth.client_id();
                signed::open(&response, keys, &self.issuers(), client_id, &self.rules).await
            }
            None => Ok(response),
        }
    }

    fn judge<C>(&self, response: &[u8], asked_at: Duration) -> Result<Claims<C>, AuthError>
    where
        C: DeserializeOwned + 'static,
    {
        let text = std::str::from_utf8(response).map_err(|_| AuthErrorKind::InvalidClaims)?;
        let token_type = response::judge_type(text, &self.rules, self.needs_token_type)?;
        let provider = self.provider.endpoint.issuer();
        let claims = self.rules.judge_stated(&Statement { text, provider, asked_at })?;
        response::judge_binding(token_type, &claims, &self.rules)?;
        Ok(claims)
    }

    /// Returns the configured issuers, or the discovered one.
    fn issuers(&self) -> Vec<String> {
        let configured = &self.rules.expected.issuers;
        match self.provider.endpoint.issuer() {
            Some(issuer) if configured.is_empty() => vec![issuer.to_owned()],
            _ => configured.clone(),
        }
    }
}

impl<C> Verify for Introspection<C>
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    type Claims = C;

    fn verify(&self, credential: Credential<'_>) -> Verdict<C> {
        Self::verify(self, credential)
    }

    fn challenges(&self) -> Challenges {
        self.settings.rules.challenges()
    }

    fn issuers(&self) -> Vec<String> {
        self.settings.issuers()
    }
}

impl<C> Clone for Introspection<C> {
    fn clone(&self) -> Self {
        Self { settings: Arc::clone(&self.settings), lookups: self.lookups.clone() }
    }
}

impl<C> fmt::Debug for Introspection<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Provider { endpoint, auth, .. } = &*self.settings.provider;
        f.debug_struct("Introspection")
            .field("issuer", &endpoint.issuer())
            .field("endpoint", &endpoint.url())
            .field("auth", auth)
            .field("expected", &self.settings.rules.expected)
            .finish_non_exhaustive()
    }
}
