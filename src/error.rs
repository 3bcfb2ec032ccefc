use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::challenge::Challenge;
use crate::kind::AuthErrorKind;
use crate::needed_scope::NeededScope;
use crate::observe::{self, About};

/// How long a client is asked to wait before it tries again, where nothing better is known.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why a request was refused, with what an answer needs to say so.
///
/// It is put into the extensions of every response that refuses a request, for logs and metrics, whatever made the
/// response. Nothing of the token is in it.
///
/// ```
/// use tower_jwt_auth::{AuthError, AuthErrorKind};
///
/// let error = AuthError::new(AuthErrorKind::Expired);
/// assert_eq!(error.to_string(), "the token has expired");
/// assert_eq!(error.status(), 401);
/// ```
#[derive(Clone)]
pub struct AuthError {
    kind: AuthErrorKind,
    retry_after: Option<Duration>,
    scope: Option<Arc<NeededScope>>,
    /// Whether it is a scope that is missing, so that whoever knows which ones adds them.
    lacks_scope: bool,
    needed_by: Option<&'static str>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    challenge: Option<Arc<Challenge>>,
    about: About,
    /// Whether it has been logged and counted.
    is_reported: bool,
}

impl AuthError {
    /// An error of the given kind: for a [`Verify`](crate::Verify) of your own.
    #[must_use]
    pub fn new(kind: AuthErrorKind) -> Self {
        Self {
            kind,
            retry_after: None,
            scope: None,
            lacks_scope: false,
            needed_by: None,
            source: None,
            challenge: None,
            about: About::default(),
            is_reported: false,
        }
    }

    /// The token lacks a scope; [which](Self::needing), the rule knows that asked for it.
    pub(crate) fn lacking_scope() -> Self {
        Self { lacks_scope: true, ..Self::new(AuthErrorKind::InsufficientScope) }
    }

    /// The token could not be judged, because of something that has to be fetched or looked up first.
    #[cfg(any(feature = "issuer-resolver", feature = "remote-keys"))]
    pub(crate) fn keys_unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(AuthErrorKind::KeysUnavailable).caused_by(cause)
    }

    /// Nothing has put `Claims` of type `C` before what needs them.
    pub(crate) fn missing_layer<C>() -> Self {
        Self { needed_by: Some(std::any::type_name::<C>()), ..Self::new(AuthErrorKind::MissingLayer) }
    }

    /// Adds what caused it. It is never shown to a client, only to whoever reads [`source`](std::error::Error::source).
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Answers with another kind, and keeps this error as its cause.
    pub(crate) fn answered_as(self, kind: AuthErrorKind) -> Self {
        let about = self.about.clone();
        Self::new(kind).caused_by(self).about(about)
    }

    /// Sets when the client may try again; whole seconds are sent, rounded up. Without it, an answer with status 503
    /// says 5 s.
    #[must_use]
    pub fn retry_in(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Names the scopes that would have been needed, separated by spaces: the challenge's `scope`
    /// ([RFC 6750, section 3](https://www.rfc-editor.org/rfc/rfc6750#section-3)). Text that is no such list is left out
    /// of the challenge.
    #[must_use]
    pub fn needed_scope(mut self, scope: &str) -> Self {
        self.scope = NeededScope::new(scope).map(Arc::new);
        self
    }

    /// The same for a rule's scopes, if a scope is what was missing.
    pub(crate) fn needing(mut self, rule: Option<&Arc<NeededScope>>) -> Self {
        if self.lacks_scope {
            self.lacks_scope = false;
            self.scope = match (self.scope, rule) {
                (Some(own), Some(rule)) => {
                    NeededScope::new(&format!("{} {}", rule.as_str(), own.as_str())).map(Arc::new)
                }
                (own, rule) => own.or(rule.cloned()),
            };
        }
        self
    }

    /// What neither of two policies permitted: one that could not decide comes first, since it might have.
    pub(crate) fn or(mut self, other: Self) -> Self {
        if other.kind != AuthErrorKind::InsufficientScope && self.kind == AuthErrorKind::InsufficientScope {
            return other;
        }
        self.lacks_scope |= other.lacks_scope;
        self.scope = self.scope.or(other.scope);
        self
    }

    /// Has it answered as the layer does whose settings these are.
    pub(crate) fn in_challenge(mut self, challenge: Option<&Arc<Challenge>>) -> Self {
        self.challenge = challenge.cloned();
        self
    }

    /// Adds what is known of the token, for logs alone.
    pub(crate) fn about(mut self, token: About) -> Self {
        self.about = token;
        self
    }

    /// Has it logged and counted that a request is answered with this, once.
    pub(crate) fn report(&mut self) {
        if !std::mem::replace(&mut self.is_reported, true) {
            let cause = self.source.as_deref().map(|source| source as _);
            observe::refusal_answered(self.kind, self.kind.answer().status, &self.about, self, cause);
        }
    }

    /// Why the request was refused.
    #[must_use]
    pub fn kind(&self) -> AuthErrorKind {
        self.kind
    }

    /// When the client may try again: only for errors with status 503.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        (self.status() == http::StatusCode::SERVICE_UNAVAILABLE)
            .then(|| self.retry_after.unwrap_or(DEFAULT_RETRY_AFTER))
    }

    /// The scopes that would have been needed, separated by spaces, where the challenge names them.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref().map(NeededScope::as_str)
    }

    /// The value of `WWW-Authenticate`, whatever the status.
    pub(crate) fn challenge_header(&self) -> HeaderValue {
        match &self.scope {
            Some(scope) => scope.header(self.kind, self.challenge.as_ref()),
            None => Challenge::or_default(self.challenge.as_deref()).header(self.kind),
        }
    }

    /// What the developer has to mend, for the one error that is the application's own fault.
    pub(crate) fn hint(&self) -> Option<String> {
        self.needed_by.map(|claims| {
            format!(
                "no claims of type `{claims}` in this request: put a JwtAuthLayer outside of what needs them, whose \
                 verifier is a `JwtVerifier::<{claims}>` (in axum, `.layer` covers only the routes that stand before \
                 it, and the layer that is added last runs first)"
            )
        })
    }
}

impl From<AuthErrorKind> for AuthError {
    fn from(kind: AuthErrorKind) -> Self {
        Self::new(kind)
    }
}

impl Display for AuthError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.hint() {
            Some(hint) => f.write_str(&hint),
            None => self.kind.fmt(f),
        }
    }
}

impl fmt::Debug for AuthError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthError")
            .field("kind", &self.kind)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for AuthError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
