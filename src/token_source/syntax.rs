//! The syntax of credentials in headers (RFC 9110, section 11.4; RFC 6750, section 2.1).

use base64_simd::URL_SAFE_NO_PAD;
use http::HeaderValue;

use crate::config_error::{ConfigError, ConfigProblem};
use crate::kind::AuthErrorKind;
use crate::scheme::{is_token, is_token_char};

/// The token of a credential of this scheme; nothing where the scheme is another, or there is none.
///
/// Only the scheme is looked at here. Whether the token is of the right form is asked [later](is_b64token), once it
/// has been refused: a good one need not be read twice.
#[inline]
pub(super) fn credential<'a>(
    value: &'a HeaderValue,
    scheme: &str,
) -> Result<Option<&'a [u8]>, AuthErrorKind> {
    let value = value.as_bytes();
    match value.split_at_checked(scheme.len()) {
        Some((word, [b' ', rest @ ..])) if word.eq_ignore_ascii_case(scheme.as_bytes()) => {
            let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
            Ok(Some(&rest[spaces..]))
        }
        _ => other_scheme(value, scheme),
    }
}

/// Tells what is a credential of another scheme from what is none at all (RFC 9110, section 11.4).
fn other_scheme<'a>(value: &[u8], scheme: &str) -> Result<Option<&'a [u8]>, AuthErrorKind> {
    let (word, rest) = split_word(value);
    let is_other = !word.is_empty() && !word.eq_ignore_ascii_case(scheme.as_bytes());
    if value.is_empty() || (is_other && matches!(rest.first(), None | Some(b' '))) {
        Ok(None)
    } else {
        Err(AuthErrorKind::MalformedCredential)
    }
}

/// Splits a value behind the `token` that it begins with, which may be empty.
pub(super) fn split_word(value: &[u8]) -> (&[u8], &[u8]) {
    value.split_at(value.iter().position(|byte| !is_token_char(*byte)).unwrap_or(value.len()))
}

/// A name that can stand in a header: a `token` (RFC 9110, section 5.6.2).
pub(super) fn checked_name(of: &'static str, name: &str) -> Result<Box<str>, ConfigError> {
    if !is_token(name.as_bytes()) {
        return Err(ConfigProblem::InvalidName { of, name: name.to_owned() }.into());
    }
    Ok(name.into())
}

/// Checks for a `b64token` (RFC 6750, section 2.1). It is the same as a `token68` (RFC 9110, section 11.2).
pub(super) fn is_b64token(token: &[u8]) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_bearer(value: &[u8], expected: Result<Option<&[u8]>, AuthErrorKind>) {
        let value = HeaderValue::from_bytes(value).unwrap();
        assert_eq!(credential(&value, "Bearer"), expected, "{value:?}");
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
        for empty in ["Bearer ", "Bearer   "] {
            assert_bearer(empty.as_bytes(), Ok(Some(b"")));
        }
        for broken in ["Bearer", "Bearer\ta", "Bearer,a", "Bearer=a", "\"Bearer\" a", " a"] {
            assert_bearer(broken.as_bytes(), Err(AuthErrorKind::MalformedCredential));
        }
    }

    #[test]
    fn a_token_is_well_formed_as_rfc_6750_says() {
        for good in ["a", "ab", "abcd", "a.b.c", "-._~+/", "a=", "a=="] {
            assert!(is_b64token(good.as_bytes()), "{good}");
        }
        for broken in ["", "=", "a=b", "a b", "a,b", "\"a\"", "a\t", "a;", "ä", "a%20"] {
            assert!(!is_b64token(broken.as_bytes()), "{broken}");
        }
        assert!(!is_b64token(b"a\xff"));
    }
}
