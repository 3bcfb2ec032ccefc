//! A credential, as a verifier sees it.

use std::fmt::{self, Display, Formatter};

use crate::config_error::ConfigError;
use crate::error::AuthError;
use crate::head::{Head, OwnedHead};
use crate::kind::AuthErrorKind;

/// A credential that a [`TokenSource`](crate::TokenSource) found in a request, with the request it came in.
///
/// A [`Verify`](crate::Verify) of your own judges it. A bare token is a bearer credential without a request:
///
/// ```
/// use tower_jwt_auth::{Credential, Scheme};
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
    request: Option<Head<'a>>,
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
    pub fn with_request(self, request: Head<'a>) -> Self {
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
        self.request
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

/// A credential that outlives its request, for verdicts that have to wait.
pub(crate) struct OwnedCredential {
    token: Vec<u8>,
    scheme: Box<str>,
    request: Option<OwnedHead>,
}

impl OwnedCredential {
    pub(crate) fn copy(credential: Credential<'_>) -> Self {
        Self {
            token: credential.token.to_owned(),
            scheme: credential.scheme.0.into(),
            request: credential.request.map(OwnedHead::copy),
        }
    }

    pub(crate) fn get(&self) -> Credential<'_> {
        Credential {
            token: &self.token,
            scheme: Scheme::trusted(&self.scheme),
            request: self.request.as_ref().map(OwnedHead::head),
            payload: None,
        }
    }
}

/// An authentication scheme ([RFC 9110, section 11.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.1)): the word in
/// front of the token in `Authorization`. Schemes are compared without regard to case.
///
/// ```
/// use tower_jwt_auth::Scheme;
///
/// assert_eq!(Scheme::from_static("bearer"), Scheme::BEARER);
/// assert!(Scheme::new("Api Key").is_err());
/// ```
#[derive(Clone, Copy)]
pub struct Scheme<'a>(&'a str);

impl<'a> Scheme<'a> {
    /// The scheme of bearer tokens ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)).
    pub const BEARER: Scheme<'static> = Scheme("Bearer");

    /// The scheme of tokens that are bound to a key of their sender
    /// ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)).
    pub const DPOP: Scheme<'static> = Scheme("DPoP");

    /// A scheme of this name.
    ///
    /// # Errors
    ///
    /// If `name` is empty or has a character that a scheme cannot have, such as a space.
    pub fn new(name: &'a str) -> Result<Self, ConfigError> {
        if !is_token(name.as_bytes()) {
            return Err(ConfigError::InvalidName { of: "a scheme", name: name.to_owned() });
        }
        Ok(Self(name))
    }

    /// A scheme whose name was checked before.
    pub(crate) const fn trusted(name: &'a str) -> Self {
        Self(name)
    }

    /// The name of the scheme, spelled as it was given.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

impl Scheme<'static> {
    /// A scheme whose name is in the source.
    ///
    /// # Panics
    ///
    /// Where [`new`](Scheme::new) returns an error. In a `const` this is an error of the compiler.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        assert!(is_token(name.as_bytes()), "a scheme is one word of RFC 9110, section 11.1");
        Self(name)
    }
}

impl PartialEq<Scheme<'_>> for Scheme<'_> {
    fn eq(&self, other: &Scheme<'_>) -> bool {
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl Eq for Scheme<'_> {}

impl Display for Scheme<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Scheme<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scheme").field(&self.0).finish()
    }
}

/// A `token` (RFC 9110, section 5.6.2).
pub(crate) const fn is_token(text: &[u8]) -> bool {
    let mut at = 0;
    while at < text.len() {
        if !is_token_char(text[at]) {
            return false;
        }
        at += 1;
    }
    !text.is_empty()
}

/// A `tchar` (RFC 9110, section 5.6.2).
pub(crate) const fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}
