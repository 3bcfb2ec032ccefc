use std::borrow::Cow;
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
/// response. Nothing of the token is in it. Its text may be sent to clients. Its [source](std::error::Error::source) is for
/// logs only.
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
    /// True if the claims were judged without a key, so that anyone may have written them.
    is_unproven: bool,
    /// Whether the policy could not tell, so that its opposite does not permit the request either.
    is_undecided: bool,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    /// Stands in for `source` where there is none.
    fixed_cause: Option<&'static FixedCause>,
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
            is_unproven: false,
            is_undecided: false,
            source: None,
            fixed_cause: None,
            challenge: None,
            about: About::default(),
            is_reported: false,
        }
    }

    /// The token lacks a scope; [which](Self::needing), the rule knows that asked for it.
    pub(crate) fn lacking_scope() -> Self {
        Self { lacks_scope: true, ..Self::new(AuthErrorKind::InsufficientScope) }
    }

    /// The same as an error of a policy that cannot read a claim. The cause names the claim and says nothing of its value.
    pub(crate) fn undecided(self, cause: String) -> Self {
        Self { is_undecided: true, ..self }.caused_by(cause)
    }

    /// The same for claims whose signature nobody has checked.
    pub(crate) fn unproven(self) -> Self {
        Self { is_unproven: true, ..self }
    }

    pub(crate) fn is_unproven(&self) -> bool {
        self.is_unproven
    }

    /// Returns true if the policy was decided, and refuses.
    pub(crate) fn is_refusal(&self) -> bool {
        self.kind == AuthErrorKind::InsufficientScope && !self.is_undecided
    }

    /// The token could not be judged, because of something that has to be fetched or looked up first.
    #[cfg(feature = "remote-keys")]
    pub(crate) fn keys_unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(AuthErrorKind::KeysUnavailable).caused_by(cause)
    }

    /// Nothing has put `Claims` of type `C` before what needs them.
    pub(crate) fn missing_layer<C>() -> Self {
        Self::new(AuthErrorKind::MissingLayer).caused_by(NoClaimsFound { of: std::any::type_name::<C>() })
    }

    /// Adds what caused it. It is never shown to a client, only to whoever reads [`source`](std::error::Error::source).
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// The same with a cause that costs no allocation: for what a stranger can cause without end.
    pub(crate) fn because(mut self, cause: &'static FixedCause) -> Self {
        self.fixed_cause = Some(cause);
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

    /// The same for the opposite of a rule, which no scope helps to meet.
    pub(crate) fn needing_none(mut self) -> Self {
        self.lacks_scope = false;
        self
    }

    /// What neither of two policies permitted: one that could not decide comes first, since it might have.
    pub(crate) fn or(mut self, other: Self) -> Self {
        if other.kind != AuthErrorKind::InsufficientScope && self.kind == AuthErrorKind::InsufficientScope {
            return other;
        }
        self.lacks_scope |= other.lacks_scope;
        self.is_undecided |= other.is_undecided;
        self.scope = self.scope.or(other.scope);
        self.source = self.source.or(other.source);
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
            let cause = std::error::Error::source(self);
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

    /// The values of `WWW-Authenticate`, one for each scheme, whatever the status.
    pub(crate) fn challenge_headers(&self) -> Cow<'_, [HeaderValue]> {
        match &self.scope {
            Some(scope) => scope.headers(self.kind, self.challenge.as_ref()),
            None => Cow::Borrowed(Challenge::or_default(self.challenge.as_deref()).headers(self.kind)),
        }
    }

    /// The fix for a missing layer, as a response may show it: only to developers, never in a release build.
    pub(crate) fn hint(&self, is_debug_build: bool) -> Option<String> {
        let cause = self.source.as_deref().filter(|_| is_debug_build)?;
        cause.downcast_ref::<NoClaimsFound>().map(NoClaimsFound::to_string)
    }
}

impl From<AuthErrorKind> for AuthError {
    fn from(kind: AuthErrorKind) -> Self {
        Self::new(kind)
    }
}

impl Display for AuthError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Debug for AuthError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthError")
            .field("kind", &self.kind)
            .field("source", &std::error::Error::source(self))
            .finish_non_exhaustive()
    }
}

impl std::error::Error for AuthError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => self.fixed_cause.map(|cause| cause as _),
        }
    }
}

/// The cause of a missing layer. It names a type of the application, so it is for logs and developers only.
#[derive(Debug)]
struct NoClaimsFound {
    of: &'static str,
}

impl Display for NoClaimsFound {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { of } = self;
        write!(
            f,
            "no claims of type `{of}` in this request: put a JwtAuthLayer outside of what needs them, whose verifier \
             is a `JwtVerifier::<{of}>` (in axum, `.layer` covers only the routes that stand before it, and the layer \
             that is added last runs first)"
        )
    }
}

impl std::error::Error for NoClaimsFound {}

/// A cause of always the same text.
pub(crate) struct FixedCause(pub(crate) &'static str);

impl Display for FixedCause {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for FixedCause {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl std::error::Error for FixedCause {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_builds_send_no_hint() {
        let error = AuthError::missing_layer::<Duration>();
        let hint = error.hint(true).unwrap();
        assert!(hint.starts_with("no claims of type `core::time::Duration` in this request"), "{hint}");
        assert_eq!(error.hint(false), None);
        assert_eq!(AuthError::new(AuthErrorKind::MissingLayer).hint(true), None);
        assert_eq!(AuthError::new(AuthErrorKind::Expired).caused_by("a secret").hint(true), None);
    }
}
