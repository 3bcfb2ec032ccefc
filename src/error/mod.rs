//! The error for rejected requests, and its response.

mod cause;
mod decision;
mod required_scope;

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

pub(crate) use self::cause::FixedCause;
use self::cause::MissingClaims;
pub(crate) use self::required_scope::RequiredScope;
use crate::challenge::Challenge;
use crate::kind::AuthErrorKind;
use crate::observe::{self, About};

/// The default of `Retry-After`.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Prevents caching, because a rejection applies to one request and its credential (RFC 9111, section 5.2.2.5).
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The reason why a request was rejected.
///
/// The layer inserts it into the extensions of every rejection, for logs and metrics. Clients may see its text.
///
/// ```
/// use std::time::Duration;
/// use tower_jwt_auth::{AuthError, AuthErrorKind};
///
/// let error = AuthError::new(AuthErrorKind::Expired);
/// assert_eq!(error.to_string(), "the token has expired");
/// assert_eq!(error.status(), 401);
///
/// // A custom verifier whose endpoint did not answer:
/// let error = AuthError::new(AuthErrorKind::Unavailable)
///     .with_source("the introspection endpoint timed out after 2 s")
///     .with_retry_after(Duration::from_secs(10));
/// assert_eq!(error.status(), 503);
/// assert_eq!(error.response(()).headers()["retry-after"], "10");
/// ```
///
/// # Security
///
/// The error contains no part of the token. Its [source](std::error::Error::source) is only for logs: do not send it to
/// clients.
#[derive(Clone)]
pub struct AuthError {
    kind: AuthErrorKind,
    retry_after: Option<Duration>,
    scope: Option<Arc<RequiredScope>>,
    /// True if a scope is missing. The rule then adds the scopes that it requires.
    lacks_scope: bool,
    /// True if the claims were checked before the signature, so that anyone may have written them.
    is_unproven: bool,
    /// True if the signature is valid, so that the error discloses nothing to unauthenticated clients.
    is_proven: bool,
    /// True if the policy could not decide, so that `not` does not permit the request either.
    is_undecided: bool,
    source: Option<Arc<dyn Error + Send + Sync>>,
    /// The source if `source` is `None`.
    fixed_cause: Option<&'static FixedCause>,
    challenge: Option<Arc<Challenge>>,
    /// More headers of the response.
    headers: Option<Box<HeaderMap>>,
    about: About,
    /// True after it has been logged and counted.
    is_reported: bool,
    unrendered: Unrendered,
}

/// True for the error in the extensions of a response whose body has not been created yet.
///
/// A clone is false, because an application may insert it into its own response. This includes clones of all
/// extensions: a response with them keeps its empty body. A moved error stays true, because it may move with its
/// response.
struct Unrendered(bool);

impl Clone for Unrendered {
    fn clone(&self) -> Self {
        Self(false)
    }
}

impl AuthError {
    /// Creates an error of a kind, for a custom [`Verify`](crate::Verify) or [`Policy`](crate::policy::Policy).
    #[must_use]
    pub fn new(kind: AuthErrorKind) -> Self {
        Self {
            kind,
            retry_after: None,
            scope: None,
            lacks_scope: false,
            is_unproven: false,
            is_proven: false,
            is_undecided: false,
            source: None,
            fixed_cause: None,
            challenge: None,
            headers: None,
            about: About::default(),
            is_reported: false,
            unrendered: Unrendered(false),
        }
    }

    /// Sets the [source](std::error::Error::source), the detailed reason for logs.
    ///
    /// No response contains it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Sets the delay after which the client may retry. The default is 5 s.
    ///
    /// Responses with status 503 send it as `Retry-After`, rounded up to whole seconds.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Sets the scopes that the request requires, separated by spaces.
    ///
    /// The challenge sends them as `scope` ([RFC 6750, section 3](https://www.rfc-editor.org/rfc/rfc6750#section-3)).
    /// It omits a text that is not a list of scopes.
    #[must_use]
    pub fn with_required_scope(mut self, scope: &str) -> Self {
        self.scope = RequiredScope::new(scope).map(Arc::new);
        self
    }

    /// Adds a header to the response, for a custom [`Verify`](crate::Verify).
    ///
    /// ```
    /// use http::{HeaderName, HeaderValue};
    /// use tower_jwt_auth::{AuthError, AuthErrorKind};
    ///
    /// let (name, value) = (HeaderName::from_static("dpop-nonce"), HeaderValue::from_static("eyJ7S_zG"));
    /// let error = AuthError::new(AuthErrorKind::WrongProofNonce).with_response_header(name, value);
    /// assert_eq!(error.response(()).headers()["dpop-nonce"], "eyJ7S_zG");
    /// ```
    #[must_use]
    pub fn with_response_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.get_or_insert_default().append(name, value);
        self
    }

    /// Returns the category of the error.
    #[must_use]
    pub fn kind(&self) -> AuthErrorKind {
        self.kind
    }

    /// Returns the delay after which the client may retry.
    ///
    /// Only errors with status 503 have it.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        (self.status() == StatusCode::SERVICE_UNAVAILABLE)
            .then(|| self.retry_after.unwrap_or(DEFAULT_RETRY_AFTER))
    }

    /// Returns the required scopes, separated by spaces, if the challenge names them.
    #[must_use]
    pub fn required_scope(&self) -> Option<&str> {
        self.scope.as_deref().map(RequiredScope::as_str)
    }

    /// Returns the HTTP status. The README lists them all.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind.answer().status
    }

    /// Returns the [gRPC status code](https://grpc.io/docs/guides/status-codes/).
    ///
    /// The docs of [`Grpc`](crate::reject::Grpc) list them all.
    #[must_use]
    pub fn grpc_status(&self) -> i32 {
        match self.status() {
            StatusCode::BAD_REQUEST => 3,
            StatusCode::UNAUTHORIZED => 16,
            StatusCode::FORBIDDEN => 7,
            StatusCode::SERVICE_UNAVAILABLE => 14,
            _ => 13,
        }
    }

    /// Returns the values of `WWW-Authenticate` for statuses 400, 401 and 403.
    ///
    /// There is one value for each scheme that the verifier [offers](crate::Verify::challenges) ([RFC 6750, section
    /// 3](https://www.rfc-editor.org/rfc/rfc6750#section-3)). For other statuses the result is empty.
    #[must_use]
    pub fn www_authenticate(&self) -> Cow<'_, [HeaderValue]> {
        match &self.scope {
            _ if !self.status().is_client_error() => Cow::Borrowed(&[]),
            Some(scope) => scope.headers(self.kind, self.challenge.as_ref()),
            None => Cow::Borrowed(Challenge::or_default(self.challenge.as_deref()).headers(self.kind)),
        }
    }

    /// Creates a response with the status and headers of this error and your own body.
    ///
    /// The headers are `Cache-Control: no-store`, `WWW-Authenticate` or `Retry-After` if the status requires it, and those of
    /// [`with_response_header`](Self::with_response_header).
    pub fn response<B>(&self, body: B) -> Response<B> {
        self.response_in(&mut HeaderMap::new(), body)
    }

    /// Creates the same response in the memory of other headers, whose values are dropped.
    pub(crate) fn response_in<B>(&self, memory: &mut HeaderMap, body: B) -> Response<B> {
        memory.clear();
        let mut response = Response::new(body);
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        mem::swap(headers, memory);
        headers.insert(CACHE_CONTROL, NO_STORE);
        for challenge in &*self.www_authenticate() {
            headers.append(WWW_AUTHENTICATE, challenge.clone());
        }
        for (name, value) in self.headers.iter().flat_map(|more| more.iter()) {
            headers.append(name, value.clone());
        }
        if let Some(delay) = self.retry_after() {
            let seconds = delay.as_secs().saturating_add(u64::from(delay.subsec_nanos() > 0));
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl AuthError {
    /// Creates the error for a token that cannot be verified yet, because a fetch or lookup failed.
    #[cfg(feature = "remote-keys-core")]
    pub(crate) fn keys_unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(AuthErrorKind::KeysUnavailable).with_source(cause)
    }

    /// Creates the error for a service without a layer that inserts `Claims<C>`.
    pub(crate) fn missing_layer<C>() -> Self {
        Self::new(AuthErrorKind::MissingLayer).with_source(MissingClaims::of::<C>())
    }

    /// Marks the error as found before the signature was checked.
    pub(crate) fn unproven(self) -> Self {
        Self { is_unproven: true, ..self }
    }

    pub(crate) fn is_unproven(&self) -> bool {
        self.is_unproven
    }

    /// Marks the error as about a token with a valid signature.
    pub(crate) fn proven(self) -> Self {
        Self { is_proven: true, ..self }
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// Sets a cause that needs no allocation, for errors that anyone can cause in any number.
    pub(crate) fn because(mut self, cause: &'static FixedCause) -> Self {
        self.fixed_cause = Some(cause);
        self
    }

    /// Creates an error of another kind with this error as its source.
    pub(crate) fn answered_as(self, kind: AuthErrorKind) -> Self {
        let about = self.about.clone();
        Self::new(kind).with_source(self).about(about)
    }

    /// Sets the challenge, which contains the settings of a layer.
    pub(crate) fn in_challenge(mut self, challenge: Option<&Arc<Challenge>>) -> Self {
        self.challenge = challenge.cloned();
        self
    }

    /// Adds the known facts about the token, only for logs.
    pub(crate) fn about(mut self, token: About) -> Self {
        self.about = token;
        self
    }

    /// Logs and counts the rejection, but only once.
    pub(crate) fn report(&mut self) {
        if !mem::replace(&mut self.is_reported, true) {
            let cause = self.source();
            observe::refusal_answered(self.kind, self.status(), &self.about, self, cause);
        }
    }

    /// Marks the response with this error as having no body yet, or removes the mark.
    pub(crate) fn set_unrendered(&mut self, is_unrendered: bool) {
        self.unrendered = Unrendered(is_unrendered);
    }

    pub(crate) fn is_unrendered(&self) -> bool {
        self.unrendered.0
    }

    /// Returns the fix for a missing layer, for the response. Only debug builds show it, never a release build.
    pub(crate) fn hint(&self, is_debug_build: bool) -> Option<String> {
        let cause = self.source.as_deref().filter(|_| is_debug_build)?;
        cause.downcast_ref::<MissingClaims>().map(MissingClaims::to_string)
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
            .field("source", &self.source())
            .finish_non_exhaustive()
    }
}

impl Error for AuthError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => self.fixed_cause.map(|cause| cause as _),
        }
    }
}

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
        assert_eq!(AuthError::new(AuthErrorKind::Expired).with_source("a secret").hint(true), None);
    }
}
