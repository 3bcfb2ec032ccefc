//! The credential that a verifier checks.

use std::fmt::{self, Formatter};

use http::HeaderName;

use crate::error::AuthError;
use crate::head::Head;
use crate::kind::AuthErrorKind;
use crate::scheme::Scheme;

/// The header of a DPoP proof (RFC 9449, section 4.1).
pub(crate) const PROOF: HeaderName = HeaderName::from_static("dpop");

/// A token with its authentication scheme and the request that contains it.
///
/// A [`TokenSource`](crate::TokenSource) finds it, and a custom [`Verify`](crate::Verify) checks it. A bare token
/// converts to a bearer credential without a request:
///
/// ```
/// use tower_jwt_auth::verifiers::Scheme;
/// use tower_jwt_auth::Credential;
///
/// let credential = Credential::from("2YotnFZFEjr1zCsicMWpAA");
/// assert_eq!(credential.token(), b"2YotnFZFEjr1zCsicMWpAA");
/// assert_eq!(credential.scheme(), Scheme::BEARER);
/// assert!(credential.request().is_none());
/// ```
#[derive(Clone, Copy)]
pub struct Credential<'a> {
    token: &'a [u8],
    scheme: Scheme<'a>,
    request: Option<&'a Head<'a>>,
    /// The decoded payload of a JWT, if a router has already decoded it.
    payload: Option<&'a str>,
}

impl<'a> Credential<'a> {
    /// Creates a credential of this scheme, without a request.
    #[must_use]
    pub fn new(scheme: Scheme<'a>, token: &'a [u8]) -> Self {
        Self { token, scheme, request: None, payload: None }
    }

    /// Sets the request that contains the credential.
    ///
    /// A layer does this for each credential.
    #[must_use]
    pub fn with_request(self, request: &'a Head<'a>) -> Self {
        Self { request: Some(request), ..self }
    }

    /// Returns the bytes of the token. A layer never passes an empty token.
    ///
    /// The token may have any form, and need not be UTF-8. Bearer token sources require the form of a bearer token
    /// ([RFC 6750, section 2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)). The layer checks this form only
    /// if the verifier does not accept the token at once. If the form is wrong, the client gets 400 instead of 401, and
    /// the layer drops a pending verdict.
    #[must_use]
    pub fn token(&self) -> &'a [u8] {
        self.token
    }

    /// Returns the token as text.
    ///
    /// # Errors
    ///
    /// [`MalformedCredential`](AuthErrorKind::MalformedCredential) if the token is not UTF-8.
    pub fn token_str(&self) -> Result<&'a str, AuthError> {
        std::str::from_utf8(self.token).map_err(|_| AuthErrorKind::MalformedCredential.into())
    }

    /// Returns the scheme in front of the token, in its configured spelling.
    ///
    /// It is [`Bearer`](Scheme::BEARER) for sources without a scheme, such as cookies, query parameters and other
    /// headers.
    #[must_use]
    pub fn scheme(&self) -> Scheme<'a> {
        self.scheme
    }

    /// Returns the head of the request: its method, URI, headers and extensions.
    ///
    /// The extensions may contain the certificate or the address of the peer. Returns `None` without a request, as in
    /// [`JwtVerifier::verify`](crate::JwtVerifier::verify).
    #[must_use]
    pub fn request(&self) -> Option<Head<'a>> {
        self.request.copied()
    }

    /// Returns the decoded payload, if a router has set it.
    #[inline]
    pub(crate) fn payload(&self) -> Option<&'a str> {
        self.payload
    }

    /// Sets the decoded payload of this token, so that the verifier does not decode it again.
    pub(crate) fn with_payload<'b>(self, payload: &'b str) -> Credential<'b>
    where
        'a: 'b,
    {
        Credential { payload: Some(payload), ..self }
    }
}

impl<'a> From<&'a str> for Credential<'a> {
    /// Creates a bearer credential without a request.
    fn from(token: &'a str) -> Self {
        Self::new(Scheme::BEARER, token.as_bytes())
    }
}

impl<'a> From<&'a String> for Credential<'a> {
    /// Creates a bearer credential without a request.
    fn from(token: &'a String) -> Self {
        token.as_str().into()
    }
}

/// Shows neither the token nor the request.
impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}
