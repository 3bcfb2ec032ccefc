//! A token taken apart: JWS in compact serialisation (RFC 7515, section 3.1).

use memchr::{memchr, memchr_iter, memrchr};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::base64url::{Buffer, is_canonical};
use super::json::{self, Text};
use crate::kind::AuthErrorKind;

/// A token cut at its first and its last dot. Nothing is decoded yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jws<'a> {
    pub(crate) header: &'a [u8],
    /// It may still hold dots. It cannot be decoded then, so that a good token is not searched for them.
    pub(crate) payload: &'a [u8],
    pub(crate) signature: &'a [u8],
    /// What the signature is over: header, dot, payload.
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
    /// What to say of a token that has another number of parts than three, whatever else is wrong with it.
    pub(crate) fn misshapen(&self) -> Option<AuthErrorKind> {
        match memchr_iter(b'.', self.payload).count() {
            0 => None,
            // Five parts are an encrypted token: RFC 7516, section 3.1.
            2 => Some(AuthErrorKind::UnsupportedToken),
            _ => Some(AuthErrorKind::MalformedToken),
        }
    }

    /// Whether the payload can be decoded. It is not known before the signature is found good.
    pub(crate) fn has_payload(&self) -> bool {
        is_canonical(self.payload)
    }
}

/// How many bytes a header has; what is longer is decoded on the heap.
pub(crate) const USUAL_HEADER: usize = 1024;

/// The members of a JOSE header that decide something; all others are ignored, as RFC 7515, section 4 demands.
///
/// `null` means absent for `kid` and `typ`, which only narrow what is accepted. It does not for `crit` and `b64`: they say that
/// a token must be refused, or read in another way, by a verifier that does not understand them.
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

/// What a header's `typ` says the token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenType {
    /// Nothing, or `JWT`.
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
        // No extension is understood here, so none may be critical: RFC 7515, section 4.1.11; RFC 7797, section 6.
        if header.crit.is_some() || header.b64 == Some(false) {
            return Err(AuthErrorKind::UnsupportedToken);
        }
        Ok(header)
    }

    /// What `typ` says, without `application/`.
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

/// Of a media type whose `application/` may be left out (RFC 7515, section 4.1.9).
pub(crate) fn subtype(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.get(..PREFIX.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(PREFIX) => &typ[PREFIX.len()..],
        _ => typ,
    }
}
