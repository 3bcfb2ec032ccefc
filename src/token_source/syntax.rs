//! The syntax of credentials in headers (RFC 9110, section 11.4; RFC 6750, section 2.1).

use base64_simd::URL_SAFE_NO_PAD;
use http::HeaderValue;

use crate::config_error::{ConfigError, ConfigProblem};
use crate::kind::AuthErrorKind;
use crate::scheme::{is_token, is_token_char};

/// Returns the token of a credential with this scheme. `None` if there is no credential, or one of another scheme.
///
/// It reads only the scheme. The form of the token is checked [later](is_b64token), and only for rejected tokens, so
/// that valid ones are read once.
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

/// Distinguishes a credential of another scheme from a malformed one (RFC 9110, section 11.4).
fn other_scheme<'a>(value: &[u8], scheme: &str) -> Result<Option<&'a [u8]>, AuthErrorKind> {
    let (word, rest) = split_word(value);
    let is_other = !word.is_empty() && !word.eq_ignore_ascii_case(scheme.as_bytes());
    if value.is_empty() || (is_other && matches!(rest.first(), None | Some(b' '))) {
        Ok(None)
    } else {
        Err(AuthErrorKind::MalformedCredential)
    }
}

/// Splits a value after its leading `token`, which may be empty.
pub(super) fn split_word(value: &[u8]) -> (&[u8], &[u8]) {
    value.split_at(value.iter().position(|byte| !is_token_char(*byte)).unwrap_or(value.len()))
}

/// Checks for a name that is valid in a header: a `token` (RFC 9110, section 5.6.2).
pub(super) fn checked_name(of: &'static str, name: &str) -> Result<Box<str>, ConfigError> {
    if !is_token(name.as_bytes()) {
        return Err(ConfigProblem::InvalidName { of, name: name.to_owned() }.into());
    }
    Ok(name.into())
}

/// Checks for a `b64token` (RFC 6750, section 2.1). It is the same as a `token68` (RFC 9110, section 11.2).
pub(crate) fn is_b64token(token: &[u8]) -> bool {
    // Fast path with SIMD: most tokens are base64url, dots included or not.
    if URL_SAFE_NO_PAD.check(token).is_ok() {
        return !token.is_empty();
    }
    let padding = token.iter().rev().take_while(|byte| **byte == b'=').count();
    let body = &token[..token.len() - padding];
    !body.is_empty()
        // No early exit, so that the loop vectorizes: most rejected tokens are well-formed.
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
    fn reads_scheme_per_rfc_9110() {
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
    fn accepts_tokens_per_rfc_6750() {
        for good in ["a", "ab", "abcd", "a.b.c", "-._~+/", "a=", "a=="] {
            assert!(is_b64token(good.as_bytes()), "{good}");
        }
        for broken in ["", "=", "a=b", "a b", "a,b", "\"a\"", "a\t", "a;", "ä", "a%20"] {
            assert!(!is_b64token(broken.as_bytes()), "{broken}");
        }
        assert!(!is_b64token(b"a\xff"));
    }
}
