use std::fmt::{self, Formatter};
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use serde::{Serialize, Serializer};
use smallvec::SmallVec;

use crate::binding::Binding;
use crate::challenge::Challenge;
use crate::conditions::Conditions;
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::observe::{About, MayBeLogged};

/// The claims of a verified token, as a type `C` of the application.
///
/// [`JwtAuthLayer`](crate::JwtAuthLayer) inserts them into the extensions of the request. A test creates them without a
/// token:
///
/// ```
/// use tower_jwt_auth::Claims;
///
/// struct User {
///     email: String,
/// }
///
/// async fn hello(user: Claims<User>) -> String {
///     format!("Hello {}", user.email)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let user = Claims::new(User { email: "eze@example.com".to_owned() });
/// assert_eq!(hello(user).await, "Hello eze@example.com");
/// # }
/// ```
///
/// - `Claims<C>` dereferences to `C`. Clones are cheap and share one value, so borrow or clone its fields.
/// - It serializes as `C`, so a handler can return axum's `Json(claims)`.
/// - The method [`token`](Self::token) returns the expiry and the issuer of the token. If `C` has a method `token`,
///   call it with `(*claims).token()`.
/// - The other functions are not methods, so that they hide no method of `C`: write `Claims::reject(&claims, kind)`.
pub struct Claims<C> {
    verified: Arc<Verified<C>>,
    /// The challenge of the layer. Until the layer sets it, it contains the verifier's headers for the response: a
    /// separate field would make every copy of the claims larger.
    challenge: Option<Arc<Challenge>>,
}

struct Verified<C> {
    conditions: Conditions,
    claims: C,
    token: TokenInfo,
}

impl<C> Claims<C> {
    /// Creates claims without token information, for example in tests.
    ///
    /// Use [`from_parts`](Self::from_parts) to set the issuer or the expiry.
    #[must_use]
    pub fn new(claims: C) -> Self {
        Self::from_parts(claims, TokenInfo::default())
    }

    /// Creates claims with token information, for a custom [`Verify`](crate::Verify).
    #[must_use]
    pub fn from_parts(claims: C, token: TokenInfo) -> Self {
        Self::verified(claims, token, Conditions::default())
    }

    // Without inlining the claims would be moved once more.
    #[inline(always)]
    pub(crate) fn verified(claims: C, token: TokenInfo, conditions: Conditions) -> Self {
        Self { verified: Arc::new(Verified { conditions, claims, token }), challenge: None }
    }

    /// Sets the binding of new claims.
    pub(crate) fn with_binding(mut self, binding: Binding) -> Self {
        self.of_new().token.binding = Some(Box::new(binding));
        self
    }

    /// Sets the estimated size of the heap data of new claims.
    pub(crate) fn set_heap_bytes(&mut self, of_claims: usize) {
        let Verified { conditions, token, .. } = self.of_new();
        let bytes = of_claims.saturating_add(token.heap_bytes());
        conditions.heap_bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    }

    fn of_new(&mut self) -> &mut Verified<C> {
        Arc::get_mut(&mut self.verified).expect("nothing shares new claims")
    }

    /// Returns the expiry, the issuer, the key ID and the binding of the token.
    #[must_use]
    pub fn token(&self) -> &TokenInfo {
        &self.verified.token
    }

    /// Creates an error about these claims, for a handler that rejects the request.
    ///
    /// An axum handler returns it as its error. Any other handler creates the response with `Response::from(error)`.
    /// The layer that verified the claims then creates the body, according to its
    /// [`on_reject`](crate::JwtAuthLayer::on_reject). The challenge has the realm of this layer.
    ///
    /// ```
    /// use tower_jwt_auth::{AuthError, AuthErrorKind, Claims};
    ///
    /// struct User {
    ///     admin: bool,
    /// }
    ///
    /// async fn purge(user: Claims<User>) -> Result<&'static str, AuthError> {
    ///     if !user.admin {
    ///         return Err(Claims::reject(&user, AuthErrorKind::InsufficientScope).with_required_scope("admin"));
    ///     }
    ///     Ok("done")
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = purge(Claims::new(User { admin: false })).await.unwrap_err();
    /// assert_eq!(error.status(), 403);
    /// # }
    /// ```
    #[must_use]
    pub fn reject(claims: &Self, kind: AuthErrorKind) -> AuthError {
        claims.error(AuthError::new(kind))
    }

    /// Adds a header to the response, for a custom [`Verify`](crate::Verify).
    ///
    /// The layer adds it to the response of the inner service. It replaces headers of the same name, except
    /// `Set-Cookie` and `Vary`, which are appended. If [`require`](crate::JwtAuthLayer::require) rejects the request,
    /// the header is not sent.
    ///
    /// ```
    /// use http::{HeaderName, HeaderValue};
    /// use tower_jwt_auth::Claims;
    ///
    /// let (name, value) = (HeaderName::from_static("dpop-nonce"), HeaderValue::from_static("eyJ7S_zG"));
    /// let claims = Claims::with_response_header(Claims::new("Eze"), name, value);
    /// ```
    #[must_use]
    pub fn with_response_header(claims: Self, name: HeaderName, value: HeaderValue) -> Self {
        Self::with_response_headers(claims, [(name, value)])
    }

    /// Adds headers to the response.
    pub(crate) fn with_response_headers<const N: usize>(
        mut claims: Self,
        headers: [(HeaderName, HeaderValue); N],
    ) -> Self {
        let mut challenge = Challenge::or_default(claims.challenge.as_deref()).clone();
        challenge.carry(headers);
        claims.challenge = Some(Arc::new(challenge));
        claims
    }

    /// Returns the headers that the verifier adds to the response.
    #[inline]
    pub(crate) fn response_headers(&self) -> Option<Box<HeaderMap>> {
        self.challenge.as_ref().and_then(|challenge| challenge.carried())
    }

    /// Adds the challenge of the layer and the loggable facts about the token to an error.
    pub(crate) fn error(&self, error: AuthError) -> AuthError {
        error.in_challenge(self.challenge()).about(self.about())
    }

    /// Returns the facts about the token that may be logged.
    pub(crate) fn about(&self) -> About {
        let Verified { conditions, token, .. } = &*self.verified;
        if !conditions.about.is_empty() {
            return conditions.about.clone();
        }
        token.may_be_logged.about(|| token.issuer(), || token.kid())
    }

    #[inline]
    pub(crate) fn conditions(&self) -> &Conditions {
        &self.verified.conditions
    }

    /// Size of the allocation shared by all clones, excluding heap data owned by `C`.
    pub(crate) const HELD_BYTES: usize = size_of::<Verified<C>>() + 2 * size_of::<usize>();

    pub(crate) fn challenge(&self) -> Option<&Arc<Challenge>> {
        self.challenge.as_ref()
    }

    pub(crate) fn set_challenge(&mut self, challenge: Option<Arc<Challenge>>) {
        self.challenge = challenge;
    }
}

impl<C> Claims<C>
where
    C: Send + Sync + 'static,
{
    /// Returns the claims that a layer inserted into the extensions of a request.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_jwt_auth::Claims;
    ///
    /// let mut request = http::Request::new("");
    /// request.extensions_mut().insert(Claims::new("Eze")); // A layer does this.
    /// assert_eq!(**Claims::<&str>::find(request.extensions())?, "Eze");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - The layer let the request pass without valid claims: returns the error of the rejection that it omitted.
    /// - No layer inserts claims of this type: [`MissingLayer`](AuthErrorKind::MissingLayer).
    pub fn find(extensions: &Extensions) -> Result<&Self, AuthError> {
        match extensions.get::<Self>() {
            Some(claims) => Ok(claims),
            None => Err(Self::why_not(extensions)),
        }
    }

    #[cold]
    fn why_not(extensions: &Extensions) -> AuthError {
        match extensions.get::<NoClaims<C>>() {
            Some(passed) => passed.error.clone(),
            None => AuthError::missing_layer::<C>(),
        }
    }

    /// Returns `None` if the layer let the request pass without valid claims.
    pub(crate) fn find_optional(extensions: &Extensions) -> Result<Option<&Self>, AuthError> {
        match Self::find(extensions) {
            Ok(claims) => Ok(Some(claims)),
            Err(error) if error.kind() == AuthErrorKind::MissingLayer => Err(error),
            Err(_) => Ok(None),
        }
    }
}

impl<C> Deref for Claims<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.verified.claims
    }
}

/// Serializes as `C`, so an axum handler can return `Json(claims)`.
impl<C: Serialize> Serialize for Claims<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.verified.claims.serialize(serializer)
    }
}

impl<C> Clone for Claims<C> {
    fn clone(&self) -> Self {
        Self { verified: Arc::clone(&self.verified), challenge: self.challenge.clone() }
    }
}

impl<C: fmt::Debug> fmt::Debug for Claims<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // The application decides what its own `Debug` reveals.
        f.debug_tuple("Claims").field(&self.verified.claims).finish()
    }
}

/// The expiry, issuer, key ID and binding of a token.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_jwt_auth::token::TokenInfo;
/// use tower_jwt_auth::Claims;
///
/// let expiry = SystemTime::now() + Duration::from_secs(300);
/// let token = TokenInfo::new().with_expires_at(expiry).with_issuer("https://id.example.com");
/// let claims = Claims::from_parts("Eze", token);
/// assert_eq!(claims.token().expires_at(), Some(expiry));
/// assert_eq!(claims.token().issuer(), Some("https://id.example.com"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct TokenInfo {
    expires_at: Option<SystemTime>,
    /// The issuer, followed by the `kid`. Up to 128 bytes are stored inline, so that ordinary tokens need no allocation and no
    /// shared counter.
    text: SmallVec<[u8; 128]>,
    issuer_len: Option<usize>,
    has_kid: bool,
    may_be_logged: MayBeLogged,
    /// Boxed, because few tokens are bound.
    binding: Option<Box<Binding>>,
}

impl TokenInfo {
    /// Creates an empty value.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the time when the token expires.
    #[must_use]
    pub fn with_expires_at(mut self, expires_at: SystemTime) -> Self {
        self.expires_at = Some(expires_at);
        self
    }

    /// Sets the issuer of the token.
    #[must_use]
    pub fn with_issuer(self, issuer: &str) -> Self {
        let kid = self.kid().map(str::to_owned);
        let info = Self::with(self.expires_at, Some(issuer), kid.as_deref(), self.may_be_logged);
        Self { binding: self.binding, ..info }
    }

    /// Sets the ID of the key that signed the token.
    #[must_use]
    pub fn with_kid(self, kid: &str) -> Self {
        let issuer = self.issuer().map(str::to_owned);
        let info = Self::with(self.expires_at, issuer.as_deref(), Some(kid), self.may_be_logged);
        Self { binding: self.binding, ..info }
    }

    /// Sets the key or certificate that the token is bound to.
    #[must_use]
    pub fn with_binding(mut self, binding: Binding) -> Self {
        self.binding = Some(Box::new(binding));
        self
    }

    #[inline]
    pub(crate) fn with(
        expires_at: Option<SystemTime>,
        issuer: Option<&str>,
        kid: Option<&str>,
        may_be_logged: MayBeLogged,
    ) -> Self {
        let mut info = Self {
            expires_at,
            text: SmallVec::new(),
            issuer_len: issuer.map(str::len),
            has_kid: kid.is_some(),
            may_be_logged,
            binding: None,
        };
        info.text.extend_from_slice(issuer.unwrap_or_default().as_bytes());
        info.text.extend_from_slice(kid.unwrap_or_default().as_bytes());
        info
    }

    /// Returns the time when the token expires: its `exp`, without leeway.
    ///
    /// The time has already passed if the verifier accepted the token within its leeway. [`remaining`](Self::remaining)
    /// returns the time until then.
    ///
    /// Returns `None` in these cases:
    ///
    /// - The expiry is not known.
    /// - The token has no `exp`
    ///   ([`insecure_allow_missing_expiry`](crate::JwtVerifier::insecure_allow_missing_expiry)).
    /// - The `exp` is out of range for a [`SystemTime`] (292 billion years).
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// Returns the time from `now` until the token expires.
    ///
    /// Close a connection that outlives its request after this time, for example a WebSocket or a stream. It is also the
    /// `Max-Age` of a cookie with the token. `now` is usually [`SystemTime::now`]. The result is zero from the expiry on,
    /// also while the verifier accepts the token within its leeway. It is `None` in the cases of
    /// [`expires_at`](Self::expires_at).
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use tower_jwt_auth::token::TokenInfo;
    /// use tower_jwt_auth::Claims;
    ///
    /// fn seconds_left(user: &Claims<&str>, now: SystemTime) -> u64 {
    ///     user.token().remaining(now).unwrap_or_default().as_secs()
    /// }
    ///
    /// let now = SystemTime::now();
    /// let token = TokenInfo::new().with_expires_at(now + Duration::from_secs(300));
    /// assert_eq!(seconds_left(&Claims::from_parts("Eze", token), now), 300);
    /// ```
    #[must_use]
    pub fn remaining(&self, now: SystemTime) -> Option<Duration> {
        self.expires_at.map(|expiry| expiry.duration_since(now).unwrap_or_default())
    }

    /// Returns the issuer of the token: its `iss`.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer_len.map(|len| utf8(&self.text[..len]))
    }

    /// Returns the key ID in the header of the token: its `kid`.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.has_kid.then(|| utf8(&self.text[self.issuer_len.unwrap_or(0)..]))
    }

    /// Returns the key or certificate that the token is bound to.
    ///
    /// It is `None` for a bearer token. The verifier has checked that the sender of the request holds it: by a DPoP proof or by
    /// mutual TLS. A rule can require it:
    ///
    /// ```
    /// use tower_jwt_auth::policy::when;
    /// use tower_jwt_auth::{Claims, RegisteredClaims, RequireLayer};
    ///
    /// let payments = RequireLayer::<RegisteredClaims>::new(when(|user: &Claims<RegisteredClaims>, _| {
    ///     user.token().binding().is_some()
    /// }));
    /// ```
    #[must_use]
    pub fn binding(&self) -> Option<&Binding> {
        self.binding.as_deref()
    }

    /// Returns the size of the heap data.
    fn heap_bytes(&self) -> usize {
        let text = if self.text.spilled() { self.text.capacity() } else { 0 };
        text + self.binding.as_ref().map_or(0, |_| size_of::<Binding>())
    }
}

fn utf8(text: &[u8]) -> &str {
    std::str::from_utf8(text).expect("the bytes are copied from a str")
}

/// An extension instead of `Claims<C>`, for requests that passed a layer without valid claims.
pub(crate) struct NoClaims<C> {
    /// The error for a handler that needs claims.
    error: AuthError,
    claims: PhantomData<fn() -> C>,
}

impl<C> NoClaims<C> {
    pub(crate) fn new(error: AuthError) -> Self {
        Self { error, claims: PhantomData }
    }
}

impl<C> Clone for NoClaims<C> {
    fn clone(&self) -> Self {
        Self::new(self.error.clone())
    }
}
