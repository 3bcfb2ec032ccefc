//! A credential, as a verifier sees it.

use std::fmt::{self, Formatter};

use crate::error::AuthError;
use crate::head::Head;
use crate::kind::AuthErrorKind;
use crate::scheme::Scheme;

/// A credential that a [`TokenSource`](crate::TokenSource) found in a request, with the request it came in.
///
/// A [`Verify`](crate::Verify) of your own judges it. A bare token is a bearer credential without a request:
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
    /// The decoded payload of `token`, if it is a JWT that a router has looked at.
    payload: Option<&'a str>,
}

impl<'a> Credential<'a> {
    /// A token of this scheme, outside a request.
    #[must_use]
    pub fn new(scheme: Scheme<'a>, token: &'a [u8]) -> Self {
        Self { token, scheme, request: None, payload: None }
    }

    /// Sets the request in which the credential was found, which a layer does for each credential.
    #[must_use]
    pub fn with_request(self, request: &'a Head<'a>) -> Self {
        Self { request: Some(request), ..self }
    }

    /// The bytes of the token. It is never empty if a layer found it.
    ///
    /// It need not be UTF-8, and its form is not checked. Token sources that carry bearer tokens require the form of a bearer
    /// token ([RFC 6750, section 2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)), but the layer checks it only if the
    /// verifier does not accept the token at once. If the form is wrong, the client gets 400 instead of 401, and the layer
    /// drops a pending verdict.
    #[must_use]
    pub fn token(&self) -> &'a [u8] {
        self.token
    }

    /// The token as text.
    ///
    /// # Errors
    ///
    /// [`MalformedCredential`](AuthErrorKind::MalformedCredential) if it is not UTF-8.
    pub fn token_str(&self) -> Result<&'a str, AuthError> {
        std::str::from_utf8(self.token).map_err(|_| AuthErrorKind::MalformedCredential.into())
    }

    /// The scheme in front of the token, spelled as it is configured.
    ///
    /// It is [`Bearer`](Scheme::BEARER) for sources without a scheme, such as cookies, query parameters and other headers.
    #[must_use]
    pub fn scheme(&self) -> Scheme<'a> {
        self.scheme
    }

    /// The head of the request: method, URI, headers, and the extensions with the certificate or the address of the peer.
    ///
    /// `None` if there is no request, as in [`JwtVerifier::verify`](crate::JwtVerifier::verify).
    #[must_use]
    pub fn request(&self) -> Option<Head<'a>> {
        self.request.copied()
    }

    /// The decoded payload, if a router has decoded it.
    #[inline]
    pub(crate) fn payload(&self) -> Option<&'a str> {
        self.payload
    }

    /// Passes on the decoded payload of this very token, so that its verifier need not decode it again.
    pub(crate) fn with_payload<'b>(self, payload: &'b str) -> Credential<'b>
    where
        'a: 'b,
    {
        Credential { payload: Some(payload), ..self }
    }
}

impl<'a> From<&'a str> for Credential<'a> {
    /// A bearer token outside a request.
    fn from(token: &'a str) -> Self {
        Self::new(Scheme::BEARER, token.as_bytes())
    }
}

impl<'a> From<&'a String> for Credential<'a> {
    /// A bearer token outside a request.
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
