use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::key_type::{Curve, KeyType, ParameterSet};

/// A signature algorithm, as in the `alg` of a token or a JWK.
///
/// The names are those of [RFC 7518, section 3.1](https://www.rfc-editor.org/rfc/rfc7518#section-3.1).
///
/// ```
/// use tower_jwt_auth::Algorithm;
///
/// let algorithm: Algorithm = "ES256".parse()?;
/// assert_eq!(algorithm, Algorithm::ES256);
/// assert_eq!(algorithm.to_string(), "ES256");
///
/// let error = "es256".parse::<Algorithm>().unwrap_err();
/// assert_eq!(error.to_string(), "unknown algorithm `es256`: names are case-sensitive, use `ES256`");
/// # Ok::<(), tower_jwt_auth::keys::UnknownAlgorithm>(())
/// ```
///
/// # Size of ML-DSA tokens
///
/// ML-DSA tokens are several times as long as others: the signature alone takes 3,227, 4,412 or 6,170 characters. The
/// default of [`max_token_bytes`](crate::JwtVerifier::max_token_bytes) leaves room for 7,500 bytes of claims. Other
/// programs have stricter limits:
///
/// - Browsers store cookies of up to 4,096 bytes
///   ([RFC 6265, section 6.1](https://www.rfc-editor.org/rfc/rfc6265#section-6.1)). Only a short ML-DSA-44 token fits.
/// - Proxies limit request headers. nginx allows 8 KiB a field (`large_client_header_buffers`) and Apache 8,190 bytes
///   (`LimitRequestFieldSize`): with ML-DSA-87 that leaves about 1.4 kB for claims.
/// - hyper limits all HTTP/2 request headers together to 16 KiB (`max_header_list_size`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA with the curve P-256 and SHA-256.
    ES256,
    /// ECDSA with the curve P-384 and SHA-384.
    ES384,
    /// ECDSA with the curve P-521 and SHA-512.
    ///
    /// Verifying takes seven times as long as with `ES256`. The back end `graviola` does not support it.
    ES512,
    /// EdDSA with the curve Ed25519 ([RFC 8037, section 3.1](https://www.rfc-editor.org/rfc/rfc8037#section-3.1)).
    ///
    /// The name `Ed25519` ([RFC 9864, section 2.2](https://www.rfc-editor.org/rfc/rfc9864#section-2.2)) is read as
    /// `EdDSA`.
    EdDSA,
    /// ML-DSA-44 ([RFC 9964](https://www.rfc-editor.org/rfc/rfc9964)), designed to resist quantum computers (FIPS 204).
    ///
    /// Only the back end `aws-lc-rs` supports it. The signature takes 3,227 characters of a token.
    MlDsa44,
    /// ML-DSA-65, only with `aws-lc-rs`. The signature takes 4,412 characters of a token.
    MlDsa65,
    /// ML-DSA-87, only with `aws-lc-rs`. The signature takes 6,170 characters of a token.
    MlDsa87,
}

impl Algorithm {
    /// All algorithms of this version of the crate.
    ///
    /// Not every [back end](crate#features) supports all of them.
    pub const ALL: &[Self] = &[
        Self::HS256,
        Self::HS384,
        Self::HS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
    ];

    /// Returns the registered name, which is case-sensitive.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
            Self::MlDsa44 => "ML-DSA-44",
            Self::MlDsa65 => "ML-DSA-65",
            Self::MlDsa87 => "ML-DSA-87",
        }
    }

    /// Finds an algorithm by its exact name, without the allocation of an error.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::HS256),
            "HS384" => Some(Self::HS384),
            "HS512" => Some(Self::HS512),
            "RS256" => Some(Self::RS256),
            "RS384" => Some(Self::RS384),
            "RS512" => Some(Self::RS512),
            "PS256" => Some(Self::PS256),
            "PS384" => Some(Self::PS384),
            "PS512" => Some(Self::PS512),
            "ES256" => Some(Self::ES256),
            "ES384" => Some(Self::ES384),
            "ES512" => Some(Self::ES512),
            "EdDSA" | "Ed25519" => Some(Self::EdDSA),
            "ML-DSA-44" => Some(Self::MlDsa44),
            "ML-DSA-65" => Some(Self::MlDsa65),
            "ML-DSA-87" => Some(Self::MlDsa87),
            _ => None,
        }
    }

    /// Guesses the algorithm from a name in another case.
    pub(crate) fn meant_by(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name))
    }

    /// Returns the only algorithm for keys on this curve.
    pub(crate) const fn of_curve(curve: Curve) -> Self {
        match curve {
            Curve::P256 => Self::ES256,
            Curve::P384 => Self::ES384,
            Curve::P521 => Self::ES512,
        }
    }

    pub(crate) const fn key_type(self) -> KeyType {
        match self {
            Self::HS256 | Self::HS384 | Self::HS512 => KeyType::Secret,
            Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512 => KeyType::Rsa,
            Self::ES256 => KeyType::Ec(Curve::P256),
            Self::ES384 => KeyType::Ec(Curve::P384),
            Self::ES512 => KeyType::Ec(Curve::P521),
            Self::EdDSA => KeyType::Ed25519,
            Self::MlDsa44 => KeyType::MlDsa(ParameterSet::MlDsa44),
            Self::MlDsa65 => KeyType::MlDsa(ParameterSet::MlDsa65),
            Self::MlDsa87 => KeyType::MlDsa(ParameterSet::MlDsa87),
        }
    }
}

impl Display for Algorithm {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::named(name).ok_or_else(|| UnknownAlgorithm::new(name))
    }
}

impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The error for an unknown algorithm name.
///
/// Conversions also return it for an algorithm that the other library does not support.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownAlgorithm {
    name: String,
    /// The other library, if it is not this crate.
    library: Option<&'static str>,
}

impl UnknownAlgorithm {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), library: None }
    }
}

#[cfg(feature = "jsonwebtoken-12")]
impl UnknownAlgorithm {
    pub(crate) fn to(library: &'static str, algorithm: Algorithm) -> Self {
        Self { library: Some(library), ..Self::new(algorithm.as_str()) }
    }
}

impl Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(library) = self.library {
            return write!(f, "{library} does not support {}", self.name);
        }
        write!(f, "unknown algorithm `{}`: ", self.name.escape_debug())?;
        match Algorithm::meant_by(&self.name) {
            Some(meant) => write!(f, "names are case-sensitive, use `{meant}`"),
            None => {
                let names: Vec<_> = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect();
                write!(f, "use one of {}", names.join(", "))
            }
        }
    }
}

impl Error for UnknownAlgorithm {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_every_algorithm_once() {
        // The assertion fails for a new variant that is not the last one.
        assert_eq!(Algorithm::ALL.len(), Algorithm::MlDsa87 as usize + 1);
        for (position, algorithm) in Algorithm::ALL.iter().enumerate() {
            assert_eq!(*algorithm as usize, position);
            assert_eq!(Algorithm::named(algorithm.as_str()), Some(*algorithm));
        }
    }
}
