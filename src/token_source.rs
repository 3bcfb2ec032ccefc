//! Where in a request the token is.

use base64_simd::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::kind::AuthErrorKind;

/// A place where a request may carry its token.
///
/// A layer looks into `Authorization: Bearer` only, unless it is given [other
/// sources](crate::JwtAuthLayer::token_source). Where it is given several, all of them are read, and two credentials
/// in one request are refused.
///
/// ```
/// use http::HeaderName;
/// use tower_jwt_auth::TokenSource;
///
/// let source = TokenSource::header(HeaderName::from_static("x-access-token"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSource(Place);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Authorization,
    Header(HeaderName),
}

impl TokenSource {
    /// The header `Authorization`, with the scheme `Bearer` in any case
    /// ([RFC 6750, section 2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    #[must_use]
    pub fn authorization() -> Self {
        Self(Place::Authorization)
    }

    /// A header whose value is the token, with no scheme before it. An empty one is refused.
    #[must_use]
    pub fn header(name: HeaderName) -> Self {
        Self(Place::Header(name))
    }

    /// The token in this place, if there is one.
    #[inline]
    pub(crate) fn find<'a>(&self, headers: &'a HeaderMap) -> Result<Option<&'a [u8]>, AuthErrorKind> {
        let mut values = headers.get_all(self.header_name()).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(AuthErrorKind::MultipleCredentials);
        }
        match self.0 {
            Place::Authorization => bearer(value),
            Place::Header(_) => token(value.as_bytes()).map(Some),
        }
    }

    /// Keeps the credential out of the `Debug` output of the headers, and out of header compression.
    #[inline]
    pub(crate) fn mark_sensitive(&self, headers: &mut HeaderMap) {
        let name = self.header_name();
        let Some(first) = headers.get_mut(name) else {
            return;
        };
        first.set_sensitive(true);
        let some_name_has_several = headers.len() > headers.keys_len();
        if some_name_has_several {
            headers
                .iter_mut()
                .filter(|(other, _)| *other == name)
                .for_each(|(_, value)| value.set_sensitive(true));
        }
    }

    fn header_name(&self) -> &HeaderName {
        match &self.0 {
            Place::Authorization => &AUTHORIZATION,
            Place::Header(name) => name,
        }
    }
}

/// The token of a `Bearer` credential; nothing where the scheme is another, or there is none.
///
/// Only the scheme is looked at here. Whether the token is of the right form is asked [later](is_well_formed), once it
/// has been refused: a good one need not be read twice.
fn bearer(value: &HeaderValue) -> Result<Option<&[u8]>, AuthErrorKind> {
    let value = value.as_bytes();
    match value.split_at_checked(SCHEME.len()) {
        Some((scheme, [b' ', rest @ ..])) if scheme.eq_ignore_ascii_case(SCHEME) => {
            let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
            token(&rest[spaces..]).map(Some)
        }
        _ => other_scheme(value),
    }
}

const SCHEME: &[u8] = b"bearer";

/// Tells what is a credential of another scheme from what is none at all (RFC 9110, section 11.4).
fn other_scheme(value: &[u8]) -> Result<Option<&[u8]>, AuthErrorKind> {
    let end = value.iter().position(|byte| !is_token_char(*byte)).unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    let is_other = !scheme.is_empty() && !scheme.eq_ignore_ascii_case(SCHEME);
    if value.is_empty() || (is_other && matches!(rest.first(), None | Some(b' '))) {
        Ok(None)
    } else {
        Err(AuthErrorKind::MalformedCredential)
    }
}

fn token(bytes: &[u8]) -> Result<&[u8], AuthErrorKind> {
    if bytes.is_empty() { Err(AuthErrorKind::MalformedCredential) } else { Ok(bytes) }
}

/// Whether a token is a `b64token` (RFC 6750, section 2.1).
pub(crate) fn is_well_formed(token: &[u8]) -> bool {
    // Many bytes at once, where it is nothing but base64url.
    if URL_SAFE_NO_PAD.check(token).is_ok() {
        return !token.is_empty();
    }
    let padding = token.iter().rev().take_while(|byte| **byte == b'=').count();
    let body = &token[..token.len() - padding];
    !body.is_empty()
        // No early end, so that several bytes are looked at at once: most refused tokens are well-formed.
        && body.iter().fold(true, |good, byte| {
            good & ((byte | 0x20).is_ascii_lowercase() | matches!(byte, b'-'..=b'9' | b'_' | b'~' | b'+'))
        })
}

/// A `tchar` (RFC 9110, section 5.6.2).
fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_bearer(value: &[u8], expected: Result<Option<&[u8]>, AuthErrorKind>) {
        let value = HeaderValue::from_bytes(value).unwrap();
        assert_eq!(bearer(&value), expected, "{value:?}");
    }

    #[test]
    fn the_scheme_is_read_as_rfc_9110_says() {
        for good in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c", "bEaReR   a.b.c"] {
            assert_bearer(good.as_bytes(), Ok(Some(b"a.b.c")));
        }
        for other in
            ["", "Basic YTpi", "BearerX a", "Bearer-Token a", "Digest a=\"b\", c=d", "Negotiate", "x"]
        {
            assert_bearer(other.as_bytes(), Ok(None));
        }
        for broken in
            ["Bearer", "Bearer ", "Bearer   ", "Bearer\ta", "Bearer,a", "Bearer=a", "\"Bearer\" a", " a"]
        {
            assert_bearer(broken.as_bytes(), Err(AuthErrorKind::MalformedCredential));
        }
    }

    #[test]
    fn a_token_is_well_formed_as_rfc_6750_says() {
        for good in ["a", "ab", "abcd", "a.b.c", "-._~+/", "a=", "a=="] {
            assert!(is_well_formed(good.as_bytes()), "{good}");
        }
        for broken in ["", "=", "a=b", "a b", "a,b", "\"a\"", "a\t", "a;", "ä", "a%20"] {
            assert!(!is_well_formed(broken.as_bytes()), "{broken}");
        }
        assert!(!is_well_formed(b"a\xff"));
    }
}
