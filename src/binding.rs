//! The key or certificate that a token is bound to.

#[cfg(any(feature = "dpop", feature = "issue"))]
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use base64_simd::{AsOut, URL_SAFE_NO_PAD};
#[cfg(any(feature = "dpop", feature = "issue"))]
use serde::Serialize;
#[cfg(any(feature = "dpop", feature = "issue"))]
use sha2::{Digest, Sha256};

use crate::config_error::{ConfigError, ConfigProblem};

/// The key or certificate of the sender that a token is bound to: its `cnf` claim
/// ([RFC 7800, section 3.1](https://www.rfc-editor.org/rfc/rfc7800#section-3.1)).
///
/// [`TokenInfo::binding`](crate::token::TokenInfo::binding) returns it for a token whose sender has proven the binding.
///
/// ```
/// use tower_jwt_auth::token::{Binding, Thumbprint, TokenInfo};
/// use tower_jwt_auth::Claims;
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// let jkt: Thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".parse()?;
/// let claims = Claims::from_parts("Eze", TokenInfo::new().with_binding(Binding::to_key(jkt)));
/// assert_eq!(claims.token().binding().and_then(Binding::key), Some(jkt));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    key: Option<Thumbprint>,
    certificate: Option<Thumbprint>,
}

impl Binding {
    /// Creates the binding to a key, by its JWK thumbprint: `jkt`
    /// ([RFC 9449, section 6.1](https://www.rfc-editor.org/rfc/rfc9449#section-6.1)).
    #[must_use]
    pub const fn to_key(jkt: Thumbprint) -> Self {
        Self { key: Some(jkt), certificate: None }
    }

    /// Creates the binding to a client certificate, by its thumbprint: `x5t#S256`
    /// ([RFC 8705, section 3.1](https://www.rfc-editor.org/rfc/rfc8705#section-3.1)).
    #[must_use]
    pub const fn to_certificate(x5t: Thumbprint) -> Self {
        Self { key: None, certificate: Some(x5t) }
    }

    /// Creates the binding of a `cnf` claim, or returns `None` if it has neither member.
    pub(crate) fn of(key: Option<Thumbprint>, certificate: Option<Thumbprint>) -> Option<Self> {
        (key.is_some() || certificate.is_some()).then_some(Self { key, certificate })
    }

    /// Returns the thumbprint of the key, if the token is bound to one (DPoP).
    #[must_use]
    pub const fn key(&self) -> Option<Thumbprint> {
        self.key
    }

    /// Returns the thumbprint of the client certificate, if the token is bound to one.
    #[must_use]
    pub const fn certificate(&self) -> Option<Thumbprint> {
        self.certificate
    }
}

/// A SHA-256 hash of a key or certificate.
///
/// It is the thumbprint of a JWK ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638)), or the hash of a certificate in DER
/// ([RFC 7515, section 4.1.8](https://www.rfc-editor.org/rfc/rfc7515#section-4.1.8)). Its text is base64url without padding,
/// as in a `cnf` claim.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// Creates a thumbprint from a hash.
    #[must_use]
    pub const fn new(sha256: [u8; 32]) -> Self {
        Self(sha256)
    }

    /// Returns the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Computes the thumbprint of a JWK from its required members, sorted by name (RFC 7638, section 3).
    #[cfg(any(feature = "dpop", feature = "issue"))]
    pub(crate) fn of_jwk<V: Serialize>(required: &BTreeMap<&str, V>) -> Self {
        let json = serde_json::to_vec(required).expect("strings serialize to JSON");
        Self(Sha256::digest(json).into())
    }

    /// Reads the canonical text.
    pub(crate) fn read(text: &str) -> Option<Self> {
        const LENGTH: usize = 43;
        let mut hash = [0; 32];
        // `decode` panics if the result is longer than the buffer.
        let text = text.as_bytes().first_chunk::<LENGTH>().filter(|_| text.len() == LENGTH)?;
        URL_SAFE_NO_PAD.decode(text, hash.as_mut_slice().as_out()).ok()?;
        Some(Self(hash))
    }
}

/// # Errors
///
/// Returns an error if the text is not the base64url of 32 bytes without padding: 43 characters.
impl FromStr for Thumbprint {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::read(text).ok_or_else(|| ConfigProblem::InvalidThumbprint { length: text.len() }.into())
    }
}

impl Display for Thumbprint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode_to_string(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_only_canonical_thumbprints() {
        let text = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        assert_eq!(text.parse::<Thumbprint>().unwrap().to_string(), text);
        for other in [
            "",
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I=",
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4J",
            "0ZcOCORZNYy+DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4",
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4IA",
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4IAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(other.parse::<Thumbprint>().is_err(), "{other}");
        }
    }
}
