use std::fmt::{self, Formatter};
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::SystemTime;

use http::Extensions;
use serde::{Serialize, Serializer};
use smallvec::SmallVec;

use crate::challenge::Challenge;
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::observe::{About, MayBeLogged};

/// The claims of a verified token, as the application's own type `C`.
///
/// [`JwtAuthLayer`](crate::JwtAuthLayer) puts it into the request's extensions. It dereferences to `C` and is cheap to
/// clone; what it holds is shared, so that fields are borrowed or cloned, not moved out. It serializes as `C` does, so a
/// handler can answer with axum's `Json(claims)`. It also tells what a handler
/// may need to know of the token itself; a method of `C` with one of these names is reached as `(*claims).issuer()`.
///
/// In a test, claims are made by hand, with no token:
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
pub struct Claims<C> {
    verified: Arc<Verified<C>>,
    challenge: Option<Arc<Challenge>>,
}

struct Verified<C> {
    claims: C,
    token: TokenInfo,
}

impl<C> Claims<C> {
    /// Claims that no token was needed for: for tests. They have no issuer and no expiry; those that
    /// [`of_token`](Self::of_token) makes can.
    #[must_use]
    pub fn new(claims: C) -> Self {
        Self::of_token(claims, TokenInfo::default())
    }

    /// Claims with what is known of their token: for a [`Verify`](crate::Verify) of your own.
    #[must_use]
    pub fn of_token(claims: C, token: TokenInfo) -> Self {
        Self { verified: Arc::new(Verified { claims, token }), challenge: None }
    }

    /// When the token expires: its `exp`, without any leeway. A connection that outlives a request (a WebSocket, a
    /// stream) must end then; a token that was accepted by the verifier's leeway has passed it already. `None` where
    /// nothing is known of a token, its `exp` is too far ahead for a [`SystemTime`] (some 292 billion years), or it has none
    /// ([`insecure_allow_missing_expiry`](crate::JwtVerifier::insecure_allow_missing_expiry)).
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.verified.token.expires_at
    }

    /// Who issued the token: its `iss`.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.verified.token.issuer()
    }

    /// The key ID in the token's header: its `kid`.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.verified.token.kid()
    }

    /// An error about these claims, for a handler that finds they are not enough.
    ///
    /// An axum handler returns it as its error. Any other handler makes a response of it with `Response::from(error)`. The
    /// layer that verified the claims then makes the body, as its [`on_reject`](crate::JwtAuthLayer::on_reject) says, and the
    /// challenge has that layer's realm.
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
    ///         return Err(user.refuse(AuthErrorKind::InsufficientScope).with_required_scope("admin"));
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
    pub fn refuse(&self, kind: AuthErrorKind) -> AuthError {
        self.error(AuthError::new(kind))
    }

    /// An error about these claims: it is answered as their layer answers, and logs say what is known of the token.
    pub(crate) fn error(&self, error: AuthError) -> AuthError {
        error.in_challenge(self.challenge()).about(self.about())
    }

    /// What logs may say of the token.
    pub(crate) fn about(&self) -> About {
        let token = &self.verified.token;
        token.may_be_logged.about(|| token.issuer(), || token.kid())
    }

    /// What the clones of one `Claims` share, besides what is on the heap for `C`.
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
    /// The claims that a layer put into the extensions of a request.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_jwt_auth::Claims;
    ///
    /// let mut request = http::Request::new("");
    /// request.extensions_mut().insert(Claims::new("Eze")); // as a layer does
    /// assert_eq!(**Claims::<&str>::find(request.extensions())?, "Eze");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Where the layer let the request pass without good claims, the error with which it would have refused it; where there
    /// is no layer for these claims, [`MissingLayer`](AuthErrorKind::MissingLayer).
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

    /// The same where a request may do without: `None` if the layer let it pass without good claims.
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

/// Serializes as `C` does: in axum, a handler can answer with `Json(claims)`.
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
        // What the claims show of themselves is the application's choice.
        f.debug_tuple("Claims").field(&self.verified.claims).finish()
    }
}

/// What is known of a token besides its claims.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_jwt_auth::{Claims, TokenInfo};
///
/// let expiry = SystemTime::now() + Duration::from_secs(300);
/// let claims = Claims::of_token("Eze", TokenInfo::new().expiry(expiry).issued_by("https://id.example.com"));
/// assert_eq!(claims.expires_at(), Some(expiry));
/// assert_eq!(claims.issuer(), Some("https://id.example.com"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct TokenInfo {
    expires_at: Option<SystemTime>,
    /// The issuer, then the `kid`: held here, so that a request neither allocates for them nor shares a counter.
    text: SmallVec<[u8; 128]>,
    issuer_len: Option<usize>,
    has_kid: bool,
    may_be_logged: MayBeLogged,
}

impl TokenInfo {
    /// Nothing known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets when the token expires.
    #[must_use]
    pub fn expiry(mut self, expires_at: SystemTime) -> Self {
        self.expires_at = Some(expires_at);
        self
    }

    /// Sets who issued the token.
    #[must_use]
    pub fn issued_by(self, issuer: &str) -> Self {
        let kid = self.kid().map(str::to_owned);
        Self::with(self.expires_at, Some(issuer), kid.as_deref(), self.may_be_logged)
    }

    /// Sets the ID of the key that signed the token.
    #[must_use]
    pub fn signed_with(self, kid: &str) -> Self {
        let issuer = self.issuer().map(str::to_owned);
        Self::with(self.expires_at, issuer.as_deref(), Some(kid), self.may_be_logged)
    }

    pub(crate) fn with(
        expires_at: Option<SystemTime>,
        issuer: Option<&str>,
        kid: Option<&str>,
        may_be_logged: MayBeLogged,
    ) -> Self {
        let mut text = SmallVec::new();
        text.extend_from_slice(issuer.unwrap_or_default().as_bytes());
        text.extend_from_slice(kid.unwrap_or_default().as_bytes());
        Self { expires_at, text, issuer_len: issuer.map(str::len), has_kid: kid.is_some(), may_be_logged }
    }

    fn issuer(&self) -> Option<&str> {
        self.issuer_len.map(|len| utf8(&self.text[..len]))
    }

    fn kid(&self) -> Option<&str> {
        self.has_kid.then(|| utf8(&self.text[self.issuer_len.unwrap_or(0)..]))
    }
}

fn utf8(text: &[u8]) -> &str {
    std::str::from_utf8(text).expect("the bytes were copied from a str")
}

/// Left in the extensions in place of `Claims<C>` by a layer that let a request pass without good claims.
pub(crate) struct NoClaims<C> {
    /// What the request is told where it cannot do without claims.
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
