//! JWS in compact serialization (RFC 7515, section 3.1).

use memchr::{memchr, memchr_iter, memrchr};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::base64url::{Buffer, is_canonical};
use super::json::{self, Text};
use crate::kind::AuthErrorKind;

/// A token split at its first and its last dot. Nothing is decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jws<'a> {
    pub(crate) header: &'a [u8],
    /// May still contain dots: decoding fails then, so valid tokens need no search for them.
    pub(crate) payload: &'a [u8],
    pub(crate) signature: &'a [u8],
    /// The signing input: header, dot, payload.
    pub(crate) signed: &'a [u8],
}

impl<'a> Jws<'a> {
    #[inline]
    pub(crate) fn split(token: &'a [u8]) -> Option<Self> {
        let (first, last) = (memchr(b'.', token)?, memrchr(b'.', token)?);
        (first < last).then(|| Self {
            header: &token[..first],
            payload: &token[first + 1..last],
            signature: &token[last + 1..],
            signed: &token[..last],
        })
    }
}

impl Jws<'_> {
    /// Returns the error for a token that does not have three parts.
    pub(crate) fn misshapen(&self) -> Option<AuthErrorKind> {
        match memchr_iter(b'.', self.payload).count() {
            0 => None,
            // Five parts are an encrypted token: RFC 7516, section 3.1.
            2 => Some(AuthErrorKind::UnsupportedToken),
            _ => Some(AuthErrorKind::MalformedToken),
        }
    }

    /// Returns true if the payload can be decoded. A valid signature is checked first otherwise.
    pub(crate) fn has_payload(&self) -> bool {
        is_canonical(self.payload)
    }
}

/// The size of the stack buffer for a header, in bytes. Longer headers are decoded on the heap.
pub(crate) const USUAL_HEADER: usize = 1024;

/// The members of a JOSE header that matter. All others are ignored (RFC 7515, section 4).
///
/// `null` means absent for `kid` and `typ`, which only restrict what is accepted. For `crit` and `b64` it is an error: a verifier
/// that does not understand them must reject the token.
#[derive(Deserialize)]
pub(crate) struct Header<'a> {
    #[serde(borrow)]
    pub(crate) alg: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) kid: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) typ: Option<Text<'a>>,
    #[serde(default, deserialize_with = "json::some")]
    crit: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "json::some")]
    b64: Option<bool>,
}

/// The kind of token that a header's `typ` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenType {
    /// No `typ`, or `JWT`.
    Any,
    /// `at+jwt` (RFC 9068, section 2.1).
    AccessToken,
    Other,
}

impl<'a> Header<'a> {
    /// Decodes and reads the first part of a token.
    pub(crate) fn read<const N: usize>(
        encoded: &[u8],
        buffer: &'a mut Buffer<N>,
    ) -> Result<Self, AuthErrorKind> {
        let bytes = buffer.decode(encoded).ok_or(AuthErrorKind::MalformedToken)?;
        let header: Self = json::object(bytes).ok_or(AuthErrorKind::MalformedToken)?;
        if header.has_extension() {
            return Err(AuthErrorKind::UnsupportedToken);
        }
        Ok(header)
    }

    /// Returns true if the header names an extension. None is supported, so none may be critical (RFC 7515, section 4.1.11;
    /// RFC 7797, section 6).
    #[inline]
    pub(crate) fn has_extension(&self) -> bool {
        self.crit.is_some() || self.b64 == Some(false)
    }

    /// Returns the `typ` without `application/`.
    pub(crate) fn subtype(&self) -> Option<&str> {
        self.typ.as_deref().map(subtype)
    }

    pub(crate) fn token_type(&self) -> TokenType {
        let Some(subtype) = self.subtype() else {
            return TokenType::Any;
        };
        if subtype.eq_ignore_ascii_case("at+jwt") {
            TokenType::AccessToken
        } else if subtype.eq_ignore_ascii_case("jwt") {
            TokenType::Any
        } else {
            TokenType::Other
        }
    }
}

/// Removes `application/`, which may be omitted (RFC 7515, section 4.1.9).
pub(crate) fn subtype(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.get(..PREFIX.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(PREFIX) => &typ[PREFIX.len()..],
        _ => typ,
    }
}
